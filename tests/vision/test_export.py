"""The paper's backbones leave torch as ONNX files that give the same vectors."""

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from modiste.errors import MissingExtraError, SourceError, UnknownIdError
from modiste.vision.backbones import Encoder, get_backbone, verify
from modiste.vision.export import export_backbone
from modiste.vision.photos import open_photo
from modiste.vision.preparing import normalise, prepare

INSTALLED = all(find_spec(package) for package in ("torch", "torchvision", "onnx"))
needs_torch = pytest.mark.skipif(not INSTALLED, reason="needs the extra [export]: torch, torchvision and onnx")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODISTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "cache"


def seeded_state(name: str) -> dict[str, object]:
    import torch
    import torchvision

    torch.manual_seed(7)
    return torchvision.models.get_model(name, weights=None).state_dict()


def saved(state: object, folder: Path, name: str) -> Path:
    """A state dict in a file named like torchvision's, with the first eight digits of its hash."""
    import torch

    torch.save(state, folder / "state.pth")
    digest = sha256((folder / "state.pth").read_bytes()).hexdigest()
    return (folder / "state.pth").rename(folder / f"{name}-{digest[:8]}.pth")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A local web server: its address and the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def batch_of_photos(folder: Path | None, name: str) -> np.ndarray:
    spec = get_backbone(name)
    if folder is None:
        return np.random.default_rng(0).standard_normal((2, 3, 224, 224)).astype(np.float32)
    photos = [open_photo(path) for path in sorted((folder / "street/photos").iterdir())[:3]]
    return normalise(np.stack([prepare(photo, None, spec, spec.crop) for photo in photos]), spec)


@needs_torch
@pytest.mark.data
@pytest.mark.parametrize(("name", "dim", "last"), [("resnet50", 2048, "fc"), ("densenet121", 1024, "classifier")])
def test_vectors_are_torchs_before_the_classifier(
    name: str, dim: int, last: str, cache: Path, tmp_path: Path, shared_data: Path
) -> None:
    import torch
    import torchvision

    state = seeded_state(name)
    assert export_backbone(name, saved(state, tmp_path, name)) == cache / f"{name}.onnx"
    spec = get_backbone(name)
    assert (spec.dim, spec.crop, spec.resize) == (dim, "centre", 256)
    assert verify(spec) is None
    network = torchvision.models.get_model(name, weights=None).eval()
    network.load_state_dict(state)
    setattr(network, last, torch.nn.Identity())
    photos = batch_of_photos(shared_data, name)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(network(torch.from_numpy(photos))).numpy()
    assert np.abs(Encoder(spec).embed(photos) - expected).max() <= 1e-5


@needs_torch
@pytest.mark.data
def test_vgg16_keeps_its_first_two_linear_layers(cache: Path, tmp_path: Path, shared_data: Path) -> None:
    import torch
    import torchvision

    state = seeded_state("vgg16")
    export_backbone("vgg16", saved(state, tmp_path, "vgg16"))
    network = torchvision.models.vgg16(weights=None).eval()
    network.load_state_dict(state)
    photos = batch_of_photos(shared_data, "vgg16")
    with torch.inference_mode():
        features = network.avgpool(network.features(torch.from_numpy(photos))).flatten(1)
        hidden = torch.relu(network.classifier[0](features))
        expected = torch.nn.functional.normalize(torch.relu(network.classifier[3](hidden))).numpy()
    vectors = Encoder(get_backbone("vgg16")).embed(photos)
    assert vectors.shape == (3, 4096)
    assert np.abs(vectors - expected).max() <= 1e-5


@needs_torch
def test_densenets_old_layer_names_are_understood(tmp_path: Path) -> None:
    import re

    new = seeded_state("densenet121")
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))([12])\.", r"\1.\2.", name): tensor
        for name, tensor in new.items()
        if not name.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    first = export_backbone("densenet121", saved(new, tmp_path, "new"), tmp_path / "a")
    second = export_backbone("densenet121", saved(old, tmp_path, "old"), tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


@needs_torch
def test_weights_are_downloaded_and_their_hash_is_checked(
    cache: Path, tmp_path: Path, served: tuple[str, Path]
) -> None:
    address, folder = served
    weights = saved(seeded_state("resnet50"), folder, "resnet50")
    export_backbone("resnet50", url=f"{address}/{weights.name}")
    assert get_backbone("resnet50").origin.endswith(f"{address}/{weights.name}")
    weights.rename(folder / "resnet50-00000000.pth")
    with pytest.raises(SourceError, match=r"invalid hash value.*--weights FILE"):
        export_backbone("resnet50", url=f"{address}/resnet50-00000000.pth")
    with pytest.raises(SourceError, match=r"can't be downloaded \(HTTP Error 404.*--weights FILE"):
        export_backbone("resnet50", url=f"{address}/resnet50-11111111.pth")


@needs_torch
def test_a_file_that_is_not_the_networks_state_is_refused(cache: Path, tmp_path: Path) -> None:
    import torch

    weights = saved({"fc.weight": torch.zeros(2)}, tmp_path, "resnet50")
    with pytest.raises(SourceError, match="not a state dict of torchvision's resnet50"):
        export_backbone("resnet50", weights)
    wrong = weights.rename(tmp_path / "resnet50-0676ba61.pth")
    with pytest.raises(SourceError, match="not as its name says"):
        export_backbone("resnet50", wrong)
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(SourceError, match="is not a state dict that can be loaded"):
        export_backbone("resnet50", tmp_path / "text.pth")
    with pytest.raises(SourceError, match="can't be read"):
        export_backbone("resnet50", tmp_path / "gone.pth")
    assert not list(cache.glob("*.toml"))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("import pathlib; pathlib.Path('evil').touch()",)


@needs_torch
def test_a_file_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="without running code"):
        export_backbone("resnet50", saved({"fc.weight": Evil()}, tmp_path, "resnet50"))
    assert not (tmp_path / "evil").exists()


def test_other_networks_are_not_exported() -> None:
    with pytest.raises(UnknownIdError, match="there are: resnet50, densenet121, vgg16"):
        export_backbone("alexnet")


@pytest.mark.skipif(INSTALLED, reason="torch, torchvision and onnx are installed")
def test_without_torch_the_remedy_is_named() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install .*'torch>="):
        export_backbone("resnet50")
