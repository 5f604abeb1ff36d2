"""The colour of a garment's pixels as a vector, and in words.

A palette of named colours with shares: each pixel belongs to those nearest to it in CIELAB, with lightness squeezed,
since light changes it, and strong chroma as well. The roots of the shares have unit length, and the inner product of
two is their Bhattacharyya coefficient: 1 for the same palette, 0 for palettes without a colour in common. A patterned
garment keeps its several colours.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from modiste.arrays import Array, Floats, Singles

PALETTE = {
    "black": (20, 20, 22), "charcoal": (62, 63, 66), "dark grey": (92, 92, 95), "grey": (128, 128, 130),
    "light grey": (190, 190, 192), "silver grey": (214, 214, 218), "off-white": (232, 232, 228),
    "white": (246, 246, 246), "cream": (250, 244, 226), "ivory": (240, 232, 212), "sand": (226, 208, 180),
    "beige": (214, 192, 158), "taupe": (142, 122, 106), "camel": (182, 138, 88), "cognac": (150, 82, 40),
    "brown": (104, 66, 42), "dark brown": (64, 42, 32), "brick": (150, 66, 54), "terracotta": (196, 98, 72),
    "rust": (166, 78, 40), "orange": (240, 132, 40), "apricot": (250, 186, 130), "peach": (250, 206, 176),
    "mustard": (206, 160, 44), "gold": (186, 148, 60), "yellow": (248, 220, 70), "pale yellow": (250, 240, 170),
    "khaki": (158, 150, 112), "olive": (104, 104, 58), "sage": (150, 168, 140), "mint green": (164, 220, 190),
    "lime green": (166, 208, 60), "bright green": (70, 190, 80), "green": (44, 128, 66),
    "emerald green": (0, 140, 100), "forest green": (30, 92, 48), "dark green": (28, 64, 46), "teal": (30, 122, 126),
    "petrol": (22, 78, 92), "turquoise": (70, 196, 200), "ice blue": (214, 230, 240), "light blue": (160, 198, 230),
    "sky blue": (96, 164, 222), "cobalt blue": (0, 80, 200), "blue": (44, 92, 188), "royal blue": (36, 58, 160),
    "steel blue": (110, 134, 164), "denim blue": (82, 110, 148), "navy": (30, 36, 72), "lilac": (190, 166, 214),
    "violet": (136, 92, 190), "purple": (108, 58, 142), "plum": (78, 40, 76), "mauve": (160, 120, 136),
    "wine": (122, 30, 60), "burgundy": (104, 26, 46), "dark red": (140, 24, 32), "red": (204, 34, 42),
    "coral": (244, 120, 104), "rose": (206, 100, 116), "pink": (240, 150, 182), "pale pink": (244, 208, 210),
    "fuchsia": (214, 40, 132), "magenta": (170, 30, 120),
}  # fmt: skip
"""Colours as shoppers name them, in sRGB."""

COLOUR_DIM = len(PALETTE)
"""The length of a colour's vector."""

_LIGHT, _CHROMA = 0.6, 20.0  # what lightness counts for; the chroma from which on differences are squeezed
_BLUR = 5.0  # how far colours run into each other
_BITS = 5  # of a channel that are looked at
_MOST_PIXELS = 1 << 16  # more are not looked at
_NAMED_FROM = 0.2  # the share from which on a second colour is named


def colour_vector(pixels: NDArray[np.uint8]) -> Singles:
    """The shares of the palette in sRGB ``pixels`` uint8 (n, 3), as roots: float32 (COLOUR_DIM,), of unit length and at
    least 0; zeros without a pixel."""
    step = -(-len(pixels) // _MOST_PIXELS) or 1
    red, green, blue = (pixels[::step] >> (8 - _BITS)).astype(np.intp).T
    bins = (red << 2 * _BITS) | (green << _BITS) | blue
    shares = np.bincount(bins, minlength=1 << 3 * _BITS).astype(np.float32) @ _membership()
    roots: Singles = np.sqrt(shares / max(float(shares.sum()), 1e-9)).astype(np.float32)
    return roots


def colour_words(vector: Array) -> str:
    """The main colours of a palette, at most two, in words: "navy and white"; empty for zeros."""
    shares, names = np.square(vector), list(PALETTE)
    first, second = np.argsort(-shares, kind="stable")[:2].tolist()
    if not shares[first]:
        return ""
    return f"{names[first]} and {names[second]}" if shares[second] >= _NAMED_FROM else names[first]


def _squeezed(rgb: Array) -> Floats:
    """sRGB (n, 3) in 0 to 255 as CIELAB (D65), squeezed, float64 (n, 3)."""
    part = np.asarray(rgb, np.float64) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    root = xyz / [0.9505, 1.0, 1.0888]
    root = np.where(root > 0.008856, np.cbrt(root), 7.787 * root + 16 / 116)
    a, b = 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])
    chroma = np.hypot(a, b)
    squeeze = _CHROMA * np.log1p(chroma / _CHROMA) / np.maximum(chroma, 1e-9)
    return np.stack([_LIGHT * (116 * root[:, 1] - 16), a * squeeze, b * squeeze], axis=1)


@cache
def _membership() -> Singles:
    """How much of each bin's pixels goes to each colour, float32 (bins, COLOUR_DIM), rows adding up to 1."""
    levels = (np.arange(1 << _BITS) + 0.5) * (1 << (8 - _BITS))
    bins = _squeezed(np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3))
    palette = _squeezed(np.array(list(PALETTE.values())))
    apart = np.square(bins).sum(axis=1)[:, None] + np.square(palette).sum(axis=1) - 2 * bins @ palette.T
    close = np.exp(-apart / (2 * _BLUR**2)) + 1e-12
    made: Singles = (close / close.sum(axis=1, keepdims=True)).astype(np.float32)
    return made
