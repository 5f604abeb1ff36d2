"""The house embedding: two EfficientNet-lites side by side, a learnt projection, and a code of the colours.

The last two blocks and the last convolution of both encoders learn with the projection; all before them keeps
ImageNet's weights.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from lite import MEAN, STD, Depthwise, fold_batch_norms, load_lite
from torch import Tensor, nn
from torch.nn import functional

VARIANTS = (0, 2)
"""The EfficientNet-lites whose features are put side by side."""
LEARNING = 2
"""How many blocks at the end of each encoder learn, before its last convolution."""
COLOURS = 16
"""Dimensions of the colour code."""
SHAPE = 112
"""Dimensions of the learnt projection."""
COLOUR_SHARE = 0.1
"""How much of the cosine of two vectors is that of their colours."""
SOFTNESS = 150.0
"""How far, in squared units of CIELAB, a pixel also counts for colours that are not its nearest."""


def to_lab(rgb: Tensor) -> Tensor:
    """sRGB (..., 3) in [0, 1] to CIELAB under D65."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055).clamp(min=1e-6) ** 2.4, rgb / 12.92)
    matrix = torch.tensor(
        [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    )
    xyz = linear @ (matrix / matrix.sum(1, keepdim=True)).T
    f = torch.where(xyz > 0.008856, xyz.clamp(min=1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def colour_centres(crops: np.ndarray, seed: int) -> np.ndarray:
    """The COLOURS centres (n, 3), in CIELAB, around which the pixels of crops on black, uint8 (..., 3), lie."""
    pixels = crops.reshape(-1, 3)
    pixels = pixels[pixels.max(1) > 2]
    pixels = pixels[np.random.default_rng(seed).choice(len(pixels), 60_000, replace=False)]
    lab = to_lab(torch.from_numpy(pixels).float() / 255).numpy()
    cv2.setRNGSeed(seed)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 50, 0.1)
    return cv2.kmeans(lab, COLOURS, None, criteria, 3, cv2.KMEANS_PP_CENTERS)[2]


class ColourCode(nn.Module):
    """Normalised photos (n, 3, h, w), removed pixels black, to the root of the shares of COLOURS colours, (n, COLOURS).

    The root gives a vector of length one, and the cosine of two is the Bhattacharyya coefficient of their colours.
    """

    def __init__(self, centres: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("centres", torch.from_numpy(centres).float())

    def forward(self, photo: Tensor) -> Tensor:
        """All pixels count that are not black."""
        rgb = (photo * STD + MEAN).flatten(2).transpose(1, 2)
        lab = to_lab(rgb.clamp(0, 1))
        distance = lab.square().sum(2, keepdim=True) - 2 * lab @ self.centres.T + self.centres.square().sum(1)
        nearness = (-distance / SOFTNESS).softmax(2)
        kept = (rgb.amax(2, keepdim=True) > 2.5 / 255).float() + 1e-6
        return ((nearness * kept).sum(1) / kept.sum(1)).sqrt()


def halves(variant: int) -> tuple[nn.Sequential, nn.Sequential]:
    """The part of an EfficientNet-lite that keeps ImageNet's weights, and the part that learns, without classifier."""
    network = load_lite(variant, 224, 224)
    blocks = list(network._blocks)
    for block in blocks[-LEARNING:]:
        block._depthwise_conv = Depthwise(block._depthwise_conv)
    fold_batch_norms(network.eval())
    fixed = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6(), *blocks[:-LEARNING])
    learning = nn.Sequential(*blocks[-LEARNING:], network._conv_head, nn.ReLU6())
    return fixed.requires_grad_(False), learning.requires_grad_(True)  # folded normalisations came without


class Trunk(nn.Module):
    """Normalised photos (n, 3, 224, 224) to the maps that both encoders' learning parts read, (n, 400, 7, 7)."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(halves(variant)[0] for variant in VARIANTS)

    def forward(self, photo: Tensor) -> Tensor:
        """The encoders' maps, side by side."""
        return torch.cat([part(photo) for part in self.parts], 1)


class Features(nn.Module):
    """The trunk's maps (n, 400, 7, 7) to pooled features (n, 2560), each encoder's 1,280 of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(halves(variant)[1] for variant in VARIANTS)
        self.channels = [part[0]._expand_conv.in_channels for part in self.parts]

    def forward(self, maps: Tensor) -> Tensor:
        """Pool, normalise, put side by side."""
        pairs = zip(self.parts, maps.split(self.channels, 1), strict=True)
        return torch.cat([functional.normalize(part(x).mean((2, 3))) for part, x in pairs], 1)


class Head(nn.Module):
    """What learns: maps (n, 400, 7, 7) to unit vectors (n, SHAPE), by a linear projection of their features."""

    def __init__(self, centre: np.ndarray, projection: np.ndarray) -> None:
        super().__init__()
        self.features, self.dropout = Features(), nn.Dropout(0.3)
        self.linear = nn.Linear(*projection.shape)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor(projection.T.copy()))
            self.linear.bias.copy_(torch.tensor(-centre @ projection))

    def forward(self, maps: Tensor) -> Tensor:
        """Pool and project."""
        return functional.normalize(self.linear(self.dropout(self.features(maps)).float()))


class HouseEmbedding(nn.Module):
    """Normalised photos (n, 3, 224, 224) to unit vectors (n, SHAPE + COLOURS)."""

    def __init__(self, head: Head, colours: ColourCode) -> None:
        super().__init__()
        self.trunk, self.head, self.colours = Trunk(), head, colours

    def forward(self, photo: Tensor) -> Tensor:
        """The projection, and the colours of every fourth pixel of every fourth row, weighted by COLOUR_SHARE."""
        return joined(self.head(self.trunk(photo)), self.colours(photo[:, :, ::4, ::4]))


def joined(shape: Tensor, colours: Tensor) -> Tensor:
    """Unit vectors whose cosine is (1 - COLOUR_SHARE) of the projections' and COLOUR_SHARE of the colours'."""
    return torch.cat([(1 - COLOUR_SHARE) ** 0.5 * shape, COLOUR_SHARE**0.5 * colours], -1)
