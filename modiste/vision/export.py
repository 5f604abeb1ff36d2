"""The paper's three backbones from torchvision to checked ONNX files (needs the extra ``[export]``)."""

from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from modiste.errors import MissingExtraError, SettingError, SourceError
from modiste.vision.backbones import cache_folder

DIMENSIONS = {"resnet50": 2048, "densenet121": 1024, "vgg16": 4096}
"""The backbones that can be exported, and the length of their vectors."""

TOLERANCE = 1e-4
"""The largest difference between ONNX Runtime's and torch's output that an export passes with."""

_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def export_backbone(name: str, weights: Path | None = None, out: Path | None = None, url: str | None = None) -> Path:
    """Write ``name`` with torchvision's ImageNet-1K weights as ONNX with its TOML entry; returns the ONNX file.

    The classifier is replaced by the identity (VGG16 without its last layer, as in the paper). ``weights`` is a state
    dict file, read without unpickling code; None downloads it the way torchvision does, from ``url`` if given, and
    checks the hash in its name. ``out`` is the folder, by default the cache. Nothing is left behind if the check fails.
    Raises MissingExtraError, SettingError for another name, SourceError for weights that are not this network's.
    """
    if name not in DIMENSIONS:
        raise SettingError(f"can't export {name!r}; there are: {', '.join(DIMENSIONS)}")
    if any(find_spec(package) is None for package in ("torch", "torchvision", "onnx")):
        raise MissingExtraError("export", f"exporting {name}")
    import torch

    network, state, origin = _network(name, weights, url)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise SourceError(f"{origin} is not a state dict of {name}: {error}") from error
    _behead(name, network)
    folder = out or cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    file, unchecked = folder / f"{name}.onnx", folder / f"{name}.onnx.part"
    try:
        with torch.no_grad():
            torch.onnx.export(
                network,
                (torch.zeros(1, 3, 224, 224),),
                str(unchecked),
                input_names=["photo"],
                output_names=["embedding"],
                dynamic_axes={"photo": {0: "n"}, "embedding": {0: "n"}},
                opset_version=17,
                dynamo=False,
            )
        _check(name, network, unchecked)
        unchecked.replace(file)
    finally:
        unchecked.unlink(missing_ok=True)
    (folder / f"{name}.toml").write_text(_entry(name, file, origin), encoding="utf-8")
    return file


def _network(name: str, weights: Path | None, url: str | None) -> tuple[Any, Any, str]:
    import torch
    import torchvision

    network = torchvision.models.get_model(name, weights=None).eval()
    if weights is not None:
        try:
            return network, torch.load(weights, map_location="cpu", weights_only=True), str(weights)
        except FileNotFoundError as error:
            raise SourceError(f"{weights} doesn't exist") from error
        except Exception as error:  # unpickling refuses in many ways
            raise SourceError(f"{weights} can't be read as a plain state dict: {error}") from error
    source = url or str(torchvision.models.get_model_weights(name).IMAGENET1K_V1.url)
    try:
        state = torch.hub.load_state_dict_from_url(source, check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:
        raise SourceError(f"{source} can't be had ({error}); fetch it by hand and pass --weights FILE") from error
    return network, _modern(name, state), source


def _modern(name: str, state: Any) -> Any:
    """DenseNet's published file has the dots of an older torchvision in its keys (norm.1 for norm1)."""
    import re

    if name != "densenet121":
        return state
    old = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$")
    return {old.sub(r"\1\2", key): value for key, value in state.items()}


def _behead(name: str, network: Any) -> None:
    import torch

    if name == "resnet50":
        network.fc = torch.nn.Identity()
    elif name == "densenet121":
        network.classifier = torch.nn.Identity()
    else:
        network.classifier[-1] = torch.nn.Identity()


def _check(name: str, network: Any, file: Path) -> None:
    import onnx
    import onnxruntime
    import torch

    onnx.checker.check_model(str(file))
    batch = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    found = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(None, {"photo": batch})[0]
    with torch.no_grad():
        wanted = network(torch.from_numpy(batch)).numpy()
    if found.shape != (2, DIMENSIONS[name]) or not np.abs(found - wanted).max() <= TOLERANCE * max(
        1, np.abs(wanted).max()
    ):
        raise SourceError(f"the ONNX file of {name} does not compute what torch does; nothing was written")


def _entry(name: str, file: Path, origin: str) -> str:
    return (
        f'kind = "backbone"\nfile = "{file.name}"\nsha256 = "{sha256(file.read_bytes()).hexdigest()}"\n'
        'input = "photo"\noutput = "embedding"\nwidth = 224\nheight = 224\nresize = 256\ncrop = "centre"\n'
        f'mean = {_MEAN}\nstd = {_STD}\ndim = {DIMENSIONS[name]}\nlicence = "BSD-3-Clause"\n'
        f'origin = "torchvision {name}, weights from {Path(origin).name}"\n'
    )
