"""Colour: the shares of named shades among a garment's pixels, as a vector that a person can read."""

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from modiste.arrays import Bools, Singles

_SHADES = """
black 0b0b0c, black 202022, charcoal 37383b, dark grey 545559, grey 7c7d80, light grey a5a6a8, silver grey c8c9cb,
white e4e5e7, white fafafa, cream f3ead8, beige dccbb0, taupe a39486, dark taupe 857565, grey brown 6b625b,
khaki a59a73, camel bd8f5b, tan a5673b, brown 6b4a34, dark brown 3a2a23, rust a1461f, red c8202b, bright red f23a2a,
dark red 951c24, burgundy 641a2b, coral f26a5c, salmon pink f3a08f, pale pink f5d5d8, pink f09cb4, hot pink e0408a,
rose c4707f, dusty pink cfa5a4, raspberry a8185f, lavender c9b8e6, lilac b18fcf, purple 7a3fa0, dark purple 40264d,
violet 5a48c2, periwinkle 8f96dd, mauve 9b7f95, plum 6d3a5a, pale blue d3e3f2, light blue a3c6ea, sky blue 5fb1ea,
blue 1f74d6, royal blue 2a3fc0, dark blue 25387a, navy 1d2547, navy 13182c, denim blue 55749b, dark denim 37475f,
slate 5c6875, grey blue 93a4b5, turquoise 3fc2c8, pale turquoise b5e4e4, teal 14727a, dark teal 0f4650,
petrol 2c5d70, mint green a8e3c6, pale green d5ebd5, light green 78cc6c, sea green 55b58f, green 2d9a4d,
emerald 10805f, dark green 1d4a32, grey green 76856f, sage 9db08e, lime b7d63c, olive 6b6b34, dark olive 42432c,
pale yellow f6efb1, yellow f4d43a, mustard c99a1f, ochre 8f7330, orange f08424, burnt orange c85a1c, peach f8c8a0
"""
_ENTRIES = [entry.rsplit(maxsplit=1) for entry in _SHADES.replace("\n", " ").split(",")]

SHADES: tuple[str, ...] = tuple(word.strip() for word, _ in _ENTRIES)
"""The word for each dimension of a colour vector; light and dark shades of one word have a dimension each."""

COLOUR_DIM = len(SHADES)

_LIGHTNESS = 1.0  # how much lightness counts beside chroma
_CHROMA = 0.55  # the exponent that draws saturated colours together: sRGB has far more room there than shops have words
_BLUR = 6.0  # how far a pixel's share is spread, in units of CIELAB: within it two shades are one to the eye
_PIXELS = 2048  # looked at, spread evenly
_FORM = 1  # of the arithmetic below; another one makes other vectors of the same shades

COLOURS = sha256(repr((_ENTRIES, _LIGHTNESS, _CHROMA, _BLUR, _PIXELS, _FORM)).encode()).hexdigest()[:8]
"""What all that decides a colour vector's numbers is known by: vectors of another one are never compared with these."""

_NAMED = 0.16
"""The share from which a second or third colour is named."""


def colour_of(photo: NDArray[np.uint8], keep: Bools | None = None) -> Singles:
    """The colour vector of the kept pixels of an sRGB photo, uint8 (h, w, 3): float32 (COLOUR_DIM,).

    The square roots of the shades' shares, so that it has unit length, nothing negative, and the inner product of two
    is their similarity in [0, 1] (Bhattacharyya's coefficient). A pixel is shared among the shades around it in CIELAB,
    with its chroma compressed and lightness counting less; a patterned garment has all its colours.
    Raises ValueError where nothing is kept.
    """
    pixels = photo.reshape(-1, 3)
    many = len(pixels) if keep is None else int(np.count_nonzero(keep))
    if not many:
        raise ValueError("no pixel to take a colour from")
    step = -(-many // _PIXELS)
    places = np.arange(0, many, step) if keep is None else np.flatnonzero(keep)[::step]
    shares = _shares(pixels[places]).mean(0)
    vector: Singles = np.sqrt(shares / shares.sum()).astype(np.float32)
    return vector


def colour_words(vector: Singles) -> str:
    """The colours that a colour vector is made of in a shopper's words, at most three, the largest first: "mint green",
    "navy and white", "white, red and black"."""
    left = np.square(vector.astype(np.float64))
    total = float(left.sum())
    found: dict[str, float] = {}
    for _ in range(6):
        largest = int(left.argmax())
        share = min(left[largest] / _PURE[largest, largest], left.sum())
        if found and share < _NAMED * total:
            break
        found[SHADES[largest]] = found.get(SHADES[largest], 0.0) + share
        # what one shade spreads to its neighbours, and their like, is not another colour
        near = np.linalg.norm(_PLACES - _PLACES[largest], axis=1) < 3.3 * _BLUR
        left[near] = 0.0
    words = sorted(found, key=lambda word: -found[word])[:3]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _place(rgb: NDArray[np.uint8]) -> Singles:
    """sRGB colours (n, 3) in the space that shades are compared in, float32 (n, 3)."""
    x, y, z = (_LINEAR[rgb] @ _TO_XYZ).T
    x, y, z = (np.where(v > 216 / 24389, np.cbrt(v), v * (24389 / 3132) + 4 / 29) for v in (x, y, z))
    a, b = 500 * (x - y), 200 * (y - z)
    chroma = np.maximum(np.hypot(a, b), 1e-3)
    squeeze = (60 / chroma) ** (1 - _CHROMA)
    return np.stack([_LIGHTNESS * (116 * y - 16), a * squeeze, b * squeeze], 1).astype(np.float32)


def _shares(rgb: NDArray[np.uint8]) -> Singles:
    """Each pixel's shares of the shades, float32 (n, COLOUR_DIM), rows of sum 1."""
    place = _place(rgb)
    gap = np.square(place).sum(1)[:, None] + np.square(_PLACES).sum(1) - 2 * place @ _PLACES.T
    weights = np.exp((gap.min(1, keepdims=True) - gap) / _BLUR**2 / 2)
    shares: Singles = weights / weights.sum(1, keepdims=True)
    return shares


_LEVEL = np.arange(256) / 255
_LINEAR = np.where(_LEVEL <= 0.04045, _LEVEL / 12.92, ((_LEVEL + 0.055) / 1.055) ** 2.4)
_TO_XYZ = np.array(  # under D65, white at 1
    [[0.4124564, 0.2126729, 0.0193339], [0.3575761, 0.7151522, 0.1191920], [0.1804375, 0.0721750, 0.9503041]]
) / [0.95047, 1.0, 1.08883]
_RGB = np.array([list(bytes.fromhex(code)) for _, code in _ENTRIES], np.uint8)
_PLACES = _place(_RGB)
_PURE = _shares(_RGB)
