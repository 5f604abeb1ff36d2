"""The house embedding: two EfficientNet-lites side by side, and a learnt projection.

The last two blocks and the last convolution of both encoders learn with the projection; all before them keeps
ImageNet's weights.
"""

from __future__ import annotations

import numpy as np
import torch
from lite import Depthwise, fold_batch_norms, load_lite
from torch import Tensor, nn
from torch.nn import functional

VARIANTS = (0, 2)
"""The EfficientNet-lites whose features are put side by side."""
LEARNING = 2
"""How many blocks at the end of each encoder learn, before its last convolution."""
SHAPE = 128
"""Dimensions of the learnt projection."""


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
    """Normalised photos (n, 3, 224, 224) to unit vectors (n, SHAPE)."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.trunk, self.head = Trunk(), head

    def forward(self, photo: Tensor) -> Tensor:
        """What the trunk sees, projected."""
        return self.head(self.trunk(photo))
