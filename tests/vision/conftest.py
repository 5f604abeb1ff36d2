"""Networks small enough to know every answer, written as ONNX without any library that writes ONNX."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from modiste.vision.backbones import BackboneSpec, read_entry


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _field(number: int, value: int | str | bytes | Iterable[bytes]) -> bytes:
    """One protobuf field, or a repeated one for a list of bytes."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, (str, bytes)):
        data = value.encode() if isinstance(value, str) else value
        return _varint(number << 3 | 2) + _varint(len(data)) + data
    return b"".join(_field(number, one) for one in value)


def _tensor(name: str, array: np.ndarray) -> bytes:
    dims = b"".join(_field(1, size) for size in array.shape)
    return dims + _field(2, 1) + _field(8, name) + _field(9, array.astype("<f4").tobytes())


def _value(name: str, shape: list[int | str]) -> bytes:
    dims = [_field(1 if isinstance(size, int) else 2, size) for size in shape]
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, _field(1, dims))))


def _node(kind: str, inputs: list[str], output: str) -> bytes:
    return _field(1, [name.encode() for name in inputs]) + _field(2, output) + _field(4, kind)


def _model(nodes: list[bytes], tensors: list[bytes], shape: list[int | str], output: bytes) -> bytes:
    graph = _field(1, nodes) + _field(2, "tiny") + _field(5, tensors)
    graph += _field(11, _value("photo", shape)) + _field(12, output)
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 13))


def _install(folder: Path, name: str, network: bytes, entry: str) -> BackboneSpec:
    (folder / f"{name}.onnx").write_bytes(network)
    (folder / f"{name}.toml").write_text(
        f'file = "{name}.onnx"\nsha256 = "{sha256(network).hexdigest()}"\ninput = "photo"\n'
        f'mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\nlicence = "CC0"\norigin = "these tests"\n{entry}'
    )
    return read_entry(folder / f"{name}.toml")


@pytest.fixture
def mean_colour(tmp_path: Path) -> BackboneSpec:
    """A backbone whose vector is the mean colour of its 32 × 32 input, red, green and blue."""
    nodes = [_node("GlobalAveragePool", ["photo"], "pooled"), _node("Flatten", ["pooled"], "colour")]
    network = _model(nodes, [], ["n", 3, 32, 32], _value("colour", ["n", 3]))
    entry = 'kind = "backbone"\noutput = "colour"\nwidth = 32\nheight = 32\nresize = 32\ndim = 3\n'
    return _install(tmp_path, "mean_colour", network, entry)


@pytest.fixture
def by_colour(tmp_path: Path) -> BackboneSpec:
    """A parser for which red is a frock, green is grass, blue is pants and white skin, on a grid of 64 × 96."""
    weights = (np.vstack([np.eye(3), [[0.4, 0.4, 0.4]]]) * 20).reshape(4, 3, 1, 1)
    network = _model(
        [_node("Conv", ["photo", "weights"], "scores")],
        [_tensor("weights", weights)],
        ["n", 3, 96, 64],
        _value("scores", ["n", 4, 96, 64]),
    )
    entry = (
        'kind = "parser"\noutput = "scores"\nwidth = 64\nheight = 96\nlabels = ["frock", "grass", "pants", "skin"]\n'
        '[palette]\nfrock = "dress"\ngrass = "background"\n'
    )
    return _install(tmp_path, "by_colour", network, entry)
