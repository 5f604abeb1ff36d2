"""The paper's backbones as ONNX files: torchvision's networks with ImageNet-1K weights, without their classifier."""

import re
import warnings
from collections.abc import Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from modiste.arrays import Singles
from modiste.catalog.files import as_toml
from modiste.errors import MissingExtraError, ModisteError, SourceError, UnknownIdError
from modiste.vision.backbones import EXPORTABLE, Encoder, cache_folder, read_entry

_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_SIDE = 224


def export_backbone(name: str, weights: Path | None = None, out: Path | None = None, url: str | None = None) -> Path:
    """Write ``resnet50`` (2048), ``densenet121`` (1024) or ``vgg16`` (4096) as ONNX with its TOML entry.

    Weights are torchvision's IMAGENET1K_V1, downloaded from ``url`` (default: torchvision's own) with their hash
    checked, or the state dict in the file ``weights``, whose SHA-256 must begin as its name says where it ends like
    ``resnet50-0676ba61.pth``. ``out``: the folder, by default the user's cache, where ``modiste embed --backbone NAME``
    finds it. The vectors are those before the last linear layer. Before the entry is written, the ONNX file passes
    ONNX's checker and its vectors are compared with torch's. Returns the ONNX file's path.

    Raises MissingExtraError without torch, torchvision and onnx; UnknownIdError for another name; SourceError for
    weights that can't be had, are not a state dict of this network, or have another hash.
    """
    if name not in EXPORTABLE:
        raise UnknownIdError(f"no backbone {name!r} to export; there are: {', '.join(EXPORTABLE)}")
    if not all(find_spec(package) for package in ("torch", "torchvision", "onnx")):
        raise MissingExtraError("export", "exporting a backbone")
    import torch

    state, origin = _downloaded(name, url) if weights is None else _read(weights)
    network = _without_classifier(name, state).eval()
    folder = out or cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    _write_onnx(network, path)
    photos = np.random.default_rng(0).standard_normal((2, 3, _SIDE, _SIDE)).astype(np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(photos)).numpy()
    entry = folder / f"{name}.toml"
    entry.write_text(_entry(path, expected.shape[1], origin), encoding="utf-8")
    try:
        _compare(Encoder(read_entry(entry)), photos, expected)
    except ModisteError:
        entry.unlink()
        raise
    return path


def _downloaded(name: str, url: str | None) -> tuple[Mapping[str, Any], str]:
    import torch
    import torchvision

    source = url or torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].url
    remedy = f"download it elsewhere and give it: modiste backbones export {name} --weights FILE"
    try:
        state = torch.hub.load_state_dict_from_url(
            source, map_location="cpu", check_hash=True, progress=False, weights_only=True
        )
    except OSError as error:
        raise SourceError(f"{source} can't be downloaded ({error}); {remedy}") from error
    except Exception as error:  # a wrong hash is a RuntimeError, a file that is no state dict an UnpicklingError
        raise SourceError(f"{source} is not what it should be ({error}); try again, or {remedy}") from error
    return state, f"torchvision's IMAGENET1K_V1 weights, {source}"


def _read(weights: Path) -> tuple[Mapping[str, Any], str]:
    import torch

    try:
        digest = sha256(weights.read_bytes()).hexdigest()
        promised = re.search(r"-([0-9a-f]{8,})\.pth?$", weights.name)
        if promised and not digest.startswith(promised[1]):
            raise SourceError(f"{weights}: its SHA-256 begins {digest[:8]}, not as its name says; download it again")
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SourceError(f"{weights} can't be read ({error.strerror})") from error
    except SourceError:
        raise
    except Exception as error:  # torch raises UnpicklingError, RuntimeError, EOFError and more
        raise SourceError(f"{weights} is not a state dict that can be loaded without running code") from error
    return state, f"weights of {weights.name}, SHA-256 {digest}"


def _without_classifier(name: str, state: Mapping[str, Any]) -> Any:
    """The torch module: photos (n, 3, 224, 224) to vectors (n, dim)."""
    import torch
    import torchvision

    network = torchvision.models.get_model(name, weights=None)
    try:
        if name == "densenet121":  # its file is from before torch 0.4 and names layers as torchvision no longer does
            old = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)$")
            state = {old.sub(r"\1\2", key): value for key, value in state.items()}
        network.load_state_dict(state)
    except Exception as error:  # AttributeError and TypeError where it isn't a mapping of tensors
        raise SourceError(f"the weights are not a state dict of torchvision's {name}: {str(error)[:300]}") from error
    if name == "resnet50":
        network.fc = torch.nn.Identity()
    elif name == "densenet121":
        network.classifier = torch.nn.Identity()
    else:
        network.classifier = network.classifier[:-1]
    return network


def _write_onnx(network: Any, path: Path) -> None:
    import onnx
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the other exporter needs one package more
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, _SIDE, _SIDE),),
            str(path),
            input_names=["photo"],
            output_names=["embedding"],
            dynamic_axes={"photo": {0: "n"}, "embedding": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    onnx.checker.check_model(str(path), full_check=True)


def _compare(encoder: Encoder, photos: Singles, expected: Singles) -> None:
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    gap = float(np.abs(encoder.embed(photos) - expected / np.maximum(lengths, 1e-12)).max())
    if not gap <= 1e-5:
        raise SourceError(f"{encoder.spec.path}: vectors differ from torch's by {gap:.1e}; report this as a bug")


def _entry(path: Path, dim: int, origin: str) -> str:
    fields = {
        "kind": "backbone",
        "file": path.name,
        "sha256": sha256(path.read_bytes()).hexdigest(),
        "input": "photo",
        "output": "embedding",
        "width": _SIDE,
        "height": _SIDE,
        "resize": 256,
        "crop": "centre",
        "mean": _MEAN,
        "std": _STD,
        "dim": dim,
        "licence": "BSD-3-Clause (torchvision); ImageNet's terms for the weights",
        "origin": origin,
    }
    return as_toml(fields)
