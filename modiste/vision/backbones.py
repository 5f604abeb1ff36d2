"""The networks: which are installed, where they came from, and how to run them on ONNX Runtime.

A network is an ONNX file with a TOML entry beside it. Adding one means adding an entry, not code: put both files into
the folder that :func:`cache_folder` names.
"""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from modiste.arrays import Singles
from modiste.catalog.files import read, read_toml
from modiste.errors import SourceError, UnknownIdError

SHIPPED = Path(__file__).parent / "models"
LARGEST = 2_000_000_000
"""Bytes of a network."""

EXPORTABLE = ("resnet50", "densenet121", "vgg16")
"""The paper's backbones, which ``modiste backbones export`` installs."""

CROPS = ("centre", "garment")
"""What of a photo a backbone sees: torchvision's centre crop, or the box of the kept pixels."""

_Pixels = Annotated[int, Field(ge=1, le=4096)]
_Unit = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[float, Field(gt=0, le=10)]


class BackboneSpec(BaseModel, frozen=True, extra="forbid"):
    """One TOML entry: a backbone (photo to vector) or a parser (photo to labels).

    ``width``, ``height``: the network's input in pixels. ``resize``: the photo's shorter side before a centre crop.
    ``crop``: the backbone's default, one of ``CROPS``. ``mean``, ``std``: per channel, in units of [0, 1].
    ``dim``: the vector's length (0 for a parser). ``labels``: a parser's channels in their order; ``palette`` maps
    those that are not named as in ``modiste.catalog.palette`` to a label that is.
    """

    name: str
    folder: Path
    kind: Literal["backbone", "parser"]
    file: Annotated[str, Field(pattern=r"^[^/\\]+\.onnx$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    input: str
    output: str
    width: _Pixels
    height: _Pixels
    mean: tuple[_Unit, _Unit, _Unit]
    std: tuple[_Positive, _Positive, _Positive]
    licence: str
    origin: str
    resize: _Pixels = 256
    crop: Literal["centre", "garment"] = "centre"
    dim: Annotated[int, Field(ge=0)] = 0
    labels: tuple[str, ...] = ()
    palette: Mapping[str, str] = {}

    @property
    def path(self) -> Path:
        """Where the ONNX file is."""
        return self.folder / self.file


def cache_folder() -> Path:
    """The folder of the user's own networks: ``MODISTE_CACHE``, by default ``~/.cache/modiste/models``."""
    return Path(os.environ.get("MODISTE_CACHE") or Path.home() / ".cache" / "modiste" / "models")


def list_backbones(kind: str | None = None) -> list[BackboneSpec]:
    """Every network that is installed, shipped ones first, or only those of one ``kind`` (backbone, parser).

    One whose entry can't be read is none; :func:`broken_entries` has it.
    """
    entries = [entry for entry in _entries().values() if isinstance(entry, BackboneSpec)]
    return [entry for entry in entries if kind in (None, entry.kind)]


def broken_entries() -> list[str]:
    """What is wrong with each entry that can't be read, in words that name its file."""
    return [str(entry) for entry in _entries().values() if isinstance(entry, SourceError)]


def _entries() -> dict[Path, BackboneSpec | SourceError]:
    """Each entry, or what is wrong with it."""
    found: dict[Path, BackboneSpec | SourceError] = {}
    for path in (path for folder in (SHIPPED, cache_folder()) for path in sorted(folder.glob("*.toml"))):
        try:
            found[path] = read_entry(path)
        except SourceError as error:
            found[path] = error
    return found


def get_backbone(name: str) -> BackboneSpec:
    """The network called ``name``; a shipped one before a user's.

    Raises UnknownIdError that tells which there are, and SourceError where its entry can't be read.
    """
    for path, entry in _entries().items():
        if path.stem == name:
            if isinstance(entry, SourceError):
                raise entry
            return entry
    known = ", ".join(entry.name for entry in list_backbones())
    remedy = f"; install it with: modiste backbones export {name}" if name in EXPORTABLE else ""
    raise UnknownIdError(f"no network {name!r} is installed (there are: {known}){remedy}")


def read_entry(path: Path) -> BackboneSpec:
    """The TOML entry at ``path``, named as the file. Raises SourceError that names the file and the key."""
    try:
        entry = read_toml(path)
        return BackboneSpec.model_validate({**entry, "name": path.stem, "folder": path.parent})
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise SourceError(f"{path}: {'; '.join(faults)}") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} can't be read as TOML: {error}") from error


def verify(spec: BackboneSpec) -> str | None:
    """What is wrong with a network's file, None if nothing is."""
    try:
        _read_checked(spec)
    except SourceError as error:
        return str(error)
    return None


def _read_checked(spec: BackboneSpec) -> bytes:
    try:
        network = read(spec.path, LARGEST)
    except OSError as error:
        raise SourceError(f"{spec.path} can't be read ({error.strerror}); install {spec.name} again") from error
    if sha256(network).hexdigest() != spec.sha256:
        raise SourceError(f"{spec.path} is not the file that {spec.name}.toml names (sha256 differs); install it again")
    return network


def open_session(spec: BackboneSpec, threads: int = 0) -> Any:
    """An ONNX Runtime session on the CPU with ``threads`` threads (0: one for each core).

    The very bytes whose SHA-256 was compared are run. Raises SourceError if the file is not the entry's, can't be run,
    or lacks the entry's input or output.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or _cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # decoding needs the cores meanwhile
    options.log_severity_level = 3
    network = _read_checked(spec)
    try:
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own kinds, none of them public
        raise SourceError(f"{spec.path} can't be run by ONNX Runtime: {error}") from error
    for what, name, nodes in (
        ("input", spec.input, session.get_inputs()),
        ("output", spec.output, session.get_outputs()),
    ):
        names = [node.name for node in nodes]
        if name not in names:
            raise SourceError(f"{spec.name}.toml: {spec.file} has no {what} {name!r}, but {', '.join(names)}")
    return session


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(session: Any, spec: BackboneSpec, batch: Singles) -> Singles:
    """The network's output for a batch, float32. Raises SourceError if the network refuses the entry's input size."""
    try:
        return np.asarray(session.run([spec.output], {spec.input: batch})[0], np.float32)
    except Exception as error:  # as above
        raise SourceError(
            f"{spec.name} can't be run on input {batch.shape}; correct {spec.name}.toml: {error}"
        ) from error


class Encoder:
    """A backbone ready to run. Raises SourceError for a parser's entry and whatever :func:`open_session` refuses."""

    def __init__(self, spec: BackboneSpec, threads: int = 0) -> None:
        if spec.kind != "backbone" or not spec.dim:
            raise SourceError(f'{spec.name} is not a backbone: its entry needs kind = "backbone" and a dim')
        self.spec = spec
        self._session = open_session(spec, threads)

    def embed(self, batch: Singles) -> Singles:
        """Normalised photos, float32 (n, 3, height, width), to vectors of unit length, float32 (n, dim).

        Each goes through the network alone, which takes no longer on a CPU: beside others its last bits would differ.
        """
        alone = [run(self._session, self.spec, batch[number : number + 1]) for number in range(len(batch))]
        vectors = np.concatenate(alone) if alone else np.zeros((0, self.spec.dim), np.float32)
        if vectors.shape != (len(batch), self.spec.dim):
            raise SourceError(f"{self.spec.name} gave {vectors.shape}, its entry promises (n, {self.spec.dim})")
        lengths: Singles = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, np.maximum(lengths, np.float32(1e-12)))
