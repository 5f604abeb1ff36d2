"""The garment parser: labels, their meaning in the palette, and the network."""

from __future__ import annotations

import copy

import torch
from lite import Depthwise, load_lite
from torch import Tensor, nn
from torch.nn import functional

PALETTE = {
    "background": "background",
    "hair": "hair",
    "skin": "skin",
    "top": "top",
    "outer": "outer",
    "dress": "dress",
    "pants": "pants",
    "leggings": "leggings",
    "skirt": "skirt",
    "footwear": "footwear",
    "bag": "bag",
    "headwear": "headwear",
    "eyewear": "eyeglass",
    "neckwear": "neckwear",
    "belt": "belt",
    "jewellery": "wrist wearing",
}
"""The parser's labels, in channel order -> the label of DeepFashion-MultiModal's palette each is drawn as."""

LABELS = list(PALETTE)

MERGED = {
    "face": "skin",
    "rompers": "dress",
    "eyeglass": "eyewear",
    "tie": "neckwear",
    "wrist wearing": "jewellery",
    "ring": "jewellery",
    "necklace": "jewellery",
    "earrings": "jewellery",
    "socks": "footwear",
}
"""Palette label -> the parser's label that stands for it, where the names differ. Gloves (10 photos) are not learnt."""

GROUPS = ["background", "hair", "skin", "top", "outer", "dress", "bottom", "footwear", "bag", "accessories"]
"""The ten groups by which parsers are compared."""

_GROUP_NAME = {
    **dict.fromkeys(("pants", "leggings", "skirt"), "bottom"),
    **dict.fromkeys(("headwear", "eyewear", "neckwear", "belt", "jewellery"), "accessories"),
}
GROUP_OF = [GROUPS.index(_GROUP_NAME.get(label, label)) for label in LABELS]
"""The index into GROUPS of every label."""

BODY = {"background", "hair", "skin"}
"""What the paper's masking removes; all other labels are garment pixels."""


class GarmentParser(nn.Module):
    """EfficientNet-lite2 with feature pyramids: photos (n, 3, h, w), normalised, to logits (n, labels, h, w).

    The first blocks keep ImageNet's weights and are computed once; all after them are there `members` times, each
    trained on its own batches, and their logits are averaged: where one takes a dress for a top, another may not.
    Height and width are multiples of 32.
    """

    def __init__(self, height: int, width: int, members: int = 2) -> None:
        super().__init__()
        encoder = load_lite(2, height, width)
        blocks = list(encoder._blocks)
        self.trunk = nn.Sequential(encoder._conv_stem, encoder._bn0, nn.ReLU6(), blocks[0])
        self.quarter = nn.Sequential(*blocks[1:4])
        self.trunk.requires_grad_(False)
        self.quarter.requires_grad_(False)
        self.members = nn.ModuleList(Member(copy.deepcopy(blocks[4:])) for _ in range(members))
        self.bias = nn.Parameter(torch.zeros(len(LABELS)), requires_grad=False)

    def of_member(self, photo: Tensor, member: int) -> tuple[Tensor, Tensor]:
        """One member's logits at half the size of the photos, and those of each label's being there, (n, labels)."""
        with torch.no_grad():
            half = self.trunk(photo)
            quarter = self.quarter(half)
        return self.members[member](half, quarter)

    def forward(self, photo: Tensor) -> Tensor:
        """Logits at the size of the photos."""
        half = self.trunk(photo)
        quarter = self.quarter(half)
        logits = torch.stack([member(half, quarter)[0] for member in self.members]).mean(0)
        return enlarged(logits + self.bias[:, None, None])


class Member(nn.Module):
    """The deep blocks of an encoder and a feature pyramid on them: (n, 16, h / 2, w / 2) and (n, 24, h / 4, w / 4) in.

    Which labels the whole photo shows is scored as well and added to every pixel's logits: whether a dress or a top and
    a skirt are worn is not to be seen from a pixel's surroundings alone.
    """

    def __init__(self, blocks: list[nn.Module], channels: int = 64) -> None:
        super().__init__()
        for block in blocks:
            block._depthwise_conv = Depthwise(block._depthwise_conv)
        self.stages = nn.ModuleList(nn.Sequential(*blocks[a:b]) for a, b in ((0, 3), (3, 11), (11, 17)))
        widths = [24, *(stage[-1]._block_args.output_filters for stage in self.stages)]
        self.context = nn.Sequential(nn.Conv2d(widths[-1], channels, 1), nn.ReLU())
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.smooth = nn.ModuleList(_conv(channels, channels) for _ in widths)
        self.drop = nn.Dropout2d(0.1)
        self.fuse = _conv(channels, 48)
        self.skip = nn.Sequential(nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.fine = _conv(64, 24)
        self.classify = nn.Conv2d(24, len(LABELS), 1)
        self.present = nn.Sequential(nn.Dropout(0.2), nn.Conv2d(widths[-1], len(LABELS), 1))

    def forward(self, half: Tensor, quarter: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, labels, h / 2, w / 2) and those of each label's being there at all, (n, labels)."""
        levels = [quarter]
        for stage in self.stages:
            levels.append(stage(levels[-1]))
        pooled = levels[-1].mean((2, 3), keepdim=True)
        top = self.context(pooled)
        for lateral, smooth, level in reversed(list(zip(self.laterals, self.smooth, levels, strict=True))):
            top = smooth(lateral(level) + functional.interpolate(top, size=level.shape[2:], mode="nearest"))
        top = functional.interpolate(self.fuse(self.drop(top)), scale_factor=2, mode="nearest")
        present = self.present(pooled)
        return self.classify(self.fine(torch.cat([top, self.skip(half)], 1))) + present, present[..., 0, 0]


def enlarged(logits: Tensor) -> Tensor:
    """Logits at twice their size."""
    return functional.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)


def _conv(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU())
