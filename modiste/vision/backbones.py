"""The networks: what is installed, where it came from, and how to run it on ONNX Runtime.

A network is an ONNX file with a TOML entry beside it. Adding one means adding an entry, not code: put both files into
the folder that :func:`cache_folder` names.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modiste.errors import SourceError, UnknownIdError

SHIPPED = Path(__file__).parent / "models"


@dataclass(frozen=True)
class BackboneSpec:
    """One TOML entry: a backbone (photo to vector) or a parser (photo to labels).

    ``width``, ``height``: the network's input in pixels. ``resize``: the photo's shorter side before a centre crop.
    ``mean``, ``std``: per channel, in units of [0, 1]. ``dim``: the vector's length (0 for a parser).
    ``labels``: a parser's channels; ``palette`` maps them to labels of the paper's masks.
    """

    name: str
    folder: Path
    kind: str
    file: str
    sha256: str
    input: str
    output: str
    width: int
    height: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    licence: str
    origin: str
    resize: int = 256
    crop: str = "centre"
    dim: int = 0
    labels: tuple[str, ...] = ()
    palette: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where the ONNX file is."""
        return self.folder / self.file


def cache_folder() -> Path:
    """The folder of the user's own networks: ``MODISTE_CACHE``, by default ``~/.cache/modiste/models``."""
    return Path(os.environ.get("MODISTE_CACHE") or Path.home() / ".cache" / "modiste" / "models")


def list_backbones(kind: str | None = None) -> list[BackboneSpec]:
    """Every network that is installed, shipped ones first, or only those of one ``kind`` (backbone, parser)."""
    entries = [read_entry(path) for folder in (SHIPPED, cache_folder()) for path in sorted(folder.glob("*.toml"))]
    return [entry for entry in entries if kind in (None, entry.kind)]


def get_backbone(name: str) -> BackboneSpec:
    """The network called ``name``. Raises UnknownIdError that tells which there are."""
    entries = list_backbones()
    for entry in entries:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in entries)
    remedy = (
        f"; export it with: modiste backbones export {name}" if name in ("resnet50", "densenet121", "vgg16") else ""
    )
    raise UnknownIdError(f"no network {name!r} is installed (there are: {known}){remedy}")


def read_entry(path: Path) -> BackboneSpec:
    """Read one TOML entry. Raises SourceError that names the file and the key."""
    try:
        entry = tomllib.loads(path.read_text(encoding="utf-8"))
        for name in ("mean", "std", "labels"):
            if name in entry:
                entry[name] = tuple(entry[name])
        spec = BackboneSpec(name=path.stem, folder=path.parent, **entry)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is not valid TOML: {error}") from error
    except TypeError as error:
        raise SourceError(f"{path}: {str(error).removeprefix('BackboneSpec.__init__() ')}") from error
    if Path(spec.file).name != spec.file:
        raise SourceError(f"{path}: file must be a name in the same folder, not {spec.file!r}")
    return spec


def verify(spec: BackboneSpec) -> str | None:
    """What is wrong with a network's file, None if nothing is."""
    if not spec.path.is_file():
        return f"{spec.path} is missing"
    if sha256(spec.path.read_bytes()).hexdigest() != spec.sha256:
        return f"{spec.path} is not the file its entry names (sha256 differs); install it again"
    return None


def open_session(spec: BackboneSpec, threads: int = 0) -> Any:
    """An ONNX Runtime session on the CPU, on ``threads`` cores (0: all). Raises SourceError if the file is wrong."""
    import onnxruntime

    if (fault := verify(spec)) is not None:
        raise SourceError(fault)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(spec.path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own kinds, none of them public
        raise SourceError(f"{spec.path} can't be run by ONNX Runtime: {error}") from error
    for what, name, nodes in (
        ("input", spec.input, session.get_inputs()),
        ("output", spec.output, session.get_outputs()),
    ):
        if name not in [node.name for node in nodes]:
            raise SourceError(f"{spec.path} has no {what} {name!r}; correct the entry {spec.name}.toml")
    return session


def normalise(batch: NDArray[np.uint8], spec: BackboneSpec) -> NDArray[np.float32]:
    """uint8 (n, height, width, 3) to what the network reads: float32 (n, 3, height, width), (x/255 − mean) / std."""
    scale = (1 / (255 * np.asarray(spec.std))).astype(np.float32)
    shift = (np.asarray(spec.mean) / np.asarray(spec.std)).astype(np.float32)
    planes = batch.transpose(0, 3, 1, 2).astype(np.float32)
    planes *= scale[:, None, None]
    planes -= shift[:, None, None]
    return planes


class Encoder:
    """A backbone ready to run."""

    def __init__(self, spec: BackboneSpec, threads: int = 0) -> None:
        if spec.kind != "backbone":
            raise SourceError(f"{spec.name} is a {spec.kind}, not a backbone")
        self.spec = spec
        self.session = open_session(spec, threads)

    def embed(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalised photos, float32 (n, 3, height, width), to vectors of unit length, float32 (n, dim)."""
        vectors = np.asarray(self.session.run([self.spec.output], {self.spec.input: batch})[0], np.float32)
        if vectors.shape != (len(batch), self.spec.dim):
            raise SourceError(f"{self.spec.name} gave {vectors.shape}, its entry promises (n, {self.spec.dim})")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
        return unit
