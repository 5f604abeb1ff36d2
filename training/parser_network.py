"""The garment parser: labels, their meaning in the palette, and the network."""

from __future__ import annotations

from itertools import pairwise

import torch
from lite import load_lite
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
    """EfficientNet-lite2 with a feature pyramid: photos (n, 3, h, w), normalised, to logits (n, labels, h, w).

    Which garments the whole photo shows is scored as well and added to every pixel's logits: whether a dress or a top
    and a skirt are worn is not to be seen from a pixel's surroundings alone. Height and width are multiples of 32.
    """

    def __init__(self, height: int, width: int, variant: int = 2, channels: int = 96) -> None:
        super().__init__()
        encoder = load_lite(variant, height, width)
        self.stem = nn.Sequential(encoder._conv_stem, encoder._bn0, nn.ReLU6())
        blocks = list(encoder._blocks)
        cuts = {0: [0, 1, 3, 5, 11, 16], 1: [0, 1, 4, 7, 15, 21], 2: [0, 1, 4, 7, 15, 21]}[variant]
        self.stages = nn.ModuleList(nn.Sequential(*blocks[a:b]) for a, b in pairwise(cuts))
        widths = [blocks[cut - 1]._block_args.output_filters for cut in cuts[2:]]
        self.context = nn.Sequential(nn.Conv2d(widths[-1], channels, 1), nn.ReLU())
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.smooth = nn.ModuleList(_conv(channels, channels) for _ in widths)
        self.drop = nn.Dropout2d(0.1)
        self.fuse = _conv(channels, 48)
        self.skip = nn.Sequential(nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.fine = _conv(64, 32)
        self.classify = nn.Conv2d(32, len(LABELS), 1)
        self.present = nn.Sequential(nn.Dropout(0.2), nn.Conv2d(widths[-1], len(LABELS), 1))

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The pretrained weights, which learn more slowly than the decoder's."""
        return [*self.stem.parameters(), *self.stages.parameters()]

    def both(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """Logits at the size of the photos, and those of each label's being there at all, (n, labels)."""
        x = self.stem(photo)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        half, *levels = features
        pooled = levels[-1].mean((2, 3), keepdim=True)
        top = self.context(pooled)
        for lateral, smooth, level in reversed(list(zip(self.laterals, self.smooth, levels, strict=True))):
            top = smooth(lateral(level) + functional.interpolate(top, size=level.shape[2:], mode="nearest"))
        top = functional.interpolate(self.fuse(self.drop(top)), scale_factor=2, mode="nearest")
        present = self.present(pooled)
        logits = self.classify(self.fine(torch.cat([top, self.skip(half)], 1))) + present
        return functional.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False), present[..., 0, 0]

    def forward(self, photo: Tensor) -> Tensor:
        """Logits at the size of the photos."""
        return self.both(photo)[0]


def _conv(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU())
