"""The house embedding: two EfficientNet-lites side by side, a learnt projection, and a code of the colours."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from lite import MEAN, STD, Pooled, fold_batch_norms, load_lite
from torch import Tensor, nn
from torch.nn import functional

VARIANTS = (0, 2)
"""The EfficientNet-lites whose features are put side by side."""
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


class Head(nn.Module):
    """Features (n, m), each network's part of length one, to unit vectors (n, SHAPE): a linear projection."""

    def __init__(self, centre: np.ndarray, projection: np.ndarray) -> None:
        super().__init__()
        self.linear = nn.Linear(*projection.shape)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor(projection.T.copy()))
            self.linear.bias.copy_(torch.tensor(-centre @ projection))

    def forward(self, x: Tensor) -> Tensor:
        """Project."""
        return functional.normalize(self.linear(x))


class Features(nn.Module):
    """Normalised photos (n, 3, 224, 224) to the pooled features of VARIANTS side by side, each of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(fold_batch_norms(Pooled(load_lite(v, 224, 224)).eval()) for v in VARIANTS)

    def forward(self, photo: Tensor) -> Tensor:
        """Pool, normalise, put side by side."""
        return torch.cat([functional.normalize(part(photo)) for part in self.parts], 1)


class HouseEmbedding(nn.Module):
    """Normalised photos (n, 3, 224, 224) to unit vectors (n, SHAPE + COLOURS)."""

    def __init__(self, head: Head, colours: ColourCode) -> None:
        super().__init__()
        self.features, self.head, self.colours = Features(), head, colours

    def forward(self, photo: Tensor) -> Tensor:
        """The projection, and the colours of every fourth pixel of every fourth row, weighted by COLOUR_SHARE."""
        return joined(self.head(self.features(photo)), self.colours(photo[:, :, ::4, ::4]))


def joined(shape: Tensor, colours: Tensor) -> Tensor:
    """Unit vectors whose cosine is (1 - COLOUR_SHARE) of the projections' and COLOUR_SHARE of the colours'."""
    return torch.cat([(1 - COLOUR_SHARE) ** 0.5 * shape, COLOUR_SHARE**0.5 * colours], -1)
