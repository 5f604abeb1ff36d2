"""What a photo stands on: a plain ground, found at its border without a network, and the thing in front of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modiste.arrays import Bools

_SIDE = 256  # pixels of the longer side that is looked at
_PLAIN = 0.55  # share of the border's pixels that are one colour where the ground is plain
_FLAT = 4  # levels from the ground's colour that are still it
_TINT = 7  # levels a shadow's channels may part more than the ground's
_STEP = 4  # levels from pixel to pixel within which a shadow fades
_SHADOW = 0.45  # of the ground's brightness, the darkest shadow
_SPECK = 0.004  # of the photo: less in front of the ground is nothing
_DRAWN = 0.97  # of a placeholder's pixels have one of two tones, and
_WRITTEN = 0.1  # at most this share of them the second: a word or a sign
_SKIN_AT_LEAST = 0.015  # of the thing's pixels, where somebody may be on the photo
_EDGE_AT_LEAST = 0.08  # of a side, where a thing runs out of the photo, as people do


@dataclass(frozen=True, slots=True)
class Scene:
    """A photo at first sight. ``empty``: it shows nothing at all (one flat colour, a placeholder's sign).

    ``thing``: what isn't ground, bool at the photo's size, None where the ground is not plain; shadows are ground.
    ``nobody``: surely nobody is on it: a thing of no skin's colour that lies wholly inside the photo.
    """

    empty: bool
    thing: Bools | None = None
    nobody: bool = False


def look(photo: Image.Image) -> Scene:
    """Look at an RGB photo's border, and where it is plain, for what stands before it; some milliseconds."""
    factor = max(1, -(-max(photo.size) // _SIDE))
    pixels = np.asarray(photo.reduce(factor) if factor > 1 else photo)
    small = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.int16)
    if _is_empty(small):
        return Scene(True)
    ground = _ground(small)
    if ground is None:
        return Scene(False)
    thing = ~ground
    if thing.mean() < _SPECK:
        return Scene(True)
    sides = (thing[0], thing[-1], thing[:, 0], thing[:, -1])
    inside = all(side.mean() < _EDGE_AT_LEAST for side in sides)
    nobody = inside and float(_skin(small)[thing].mean()) < _SKIN_AT_LEAST
    enlarged = Image.fromarray(thing.astype(np.uint8) * 255).resize(photo.size, Image.Resampling.BILINEAR)
    return Scene(False, np.asarray(enlarged) >= 128, nobody)


def _is_empty(small: NDArray[np.int16]) -> bool:
    """One flat colour, or a sign in a second tone on one; of pixels, int16 (3, h, w)."""
    if min(small.shape[1:]) < 8 or np.ptp(small, axis=(1, 2)).max() <= 2 * _FLAT:
        return True
    if np.ptp(small, axis=0).max() > 2 * _TINT:
        return False
    levels = np.bincount(small[1].ravel() // 8, minlength=32) / small[1].size
    first = int(levels.argmax())
    ground = levels[max(0, first - 1) : first + 2].sum()
    levels[max(0, first - 1) : first + 2] = 0
    second = int(levels.argmax())
    sign = levels[max(0, second - 1) : second + 2].sum()
    return bool(sign <= _WRITTEN and ground + sign >= _DRAWN and ground >= 1 - _WRITTEN)


def _ground(small: NDArray[np.int16]) -> Bools | None:
    """The plain ground, bool (h, w): what is of the border's colour or its shadow, and hangs together with it."""
    high, wide = small.shape[1:]
    rim = np.zeros((high, wide), bool)
    rim[:2], rim[-2:], rim[:, :2], rim[:, -2:] = True, True, True, True
    border = small[:, rim]
    colour = np.median(border[:, border.sum(0) >= np.median(border.sum(0))], axis=1).astype(np.int16)
    like, brightness, _ = _alike(border, colour)
    if (like & (brightness > 0.85)).mean() < _PLAIN:
        return None
    like, _, gap = _alike(small, colour)
    flat = gap <= _FLAT
    grey = small.sum(0, dtype=np.int32)
    steps = np.zeros((high, wide), np.int32)
    for axis in (0, 1):
        step = np.abs(np.diff(grey, axis=axis)) // 3
        before, after = (
            (slice(None, -1), slice(1, None))
            if axis == 0
            else ((slice(None), slice(None, -1)), (slice(None), slice(1, None)))
        )
        np.maximum(steps[before], step, out=steps[before])
        np.maximum(steps[after], step, out=steps[after])
    passable = flat | (like & (steps <= _STEP))
    ground = flooded(rim & like, passable)
    even = ground & flat
    noise = np.abs(small[:, even] - colour[:, None]).mean() if even.any() else _FLAT
    return ground | flat if noise < 1 else ground  # seen through a handle, an even ground is known again


def _alike(
    pixels: NDArray[np.int16], colour: NDArray[np.int16]
) -> tuple[Bools, NDArray[np.float32], NDArray[np.int16]]:
    """Of pixels, int16 (3, …), whether they are of a colour or its shadow, their brightness beside it, and how far
    their channels lie from it at most, each (…)."""
    gaps = pixels - colour.reshape(-1, *[1] * (pixels.ndim - 1))
    brightness = pixels.sum(0, dtype=np.float32) / max(1, int(colour.sum()))
    tint = gaps.max(0) - gaps.min(0)
    like = (tint <= _TINT) & (brightness >= _SHADOW) & (brightness <= 1.15)
    return like, brightness, np.abs(gaps).max(0)


def flooded(seeds: Bools, through: Bools) -> Bools:
    """What can be reached from ``seeds`` over ``through`` pixels, up, down, left and right; both bool (h, w)."""
    reached = seeds & through
    ways = []
    for turned in (False, True):
        for back in (False, True):
            one, free = (reached.T, through.T) if turned else (reached, through)
            one, free = (one[:, ::-1], free[:, ::-1]) if back else (one, free)
            place = np.arange(one.shape[1], dtype=np.int32)
            ways.append((one, place, np.maximum.accumulate(np.where(free, -1, place), axis=1)))
    while True:
        before = np.count_nonzero(reached)
        for one, place, wall in ways:
            one |= np.maximum.accumulate(np.where(one, place, -1), axis=1) > wall
        if np.count_nonzero(reached) == before:
            return reached


def largest_piece(some: Bools) -> int:
    """How many pixels of ``some``, bool (h, w), hang together at most."""
    rest, most = some, 0
    while int(rest.sum()) > most:
        seed = np.zeros_like(rest)
        seed.flat[int(rest.argmax())] = True
        piece = flooded(seed, rest)
        most, rest = max(most, int(piece.sum())), rest & ~piece
    return most


def _skin(small: NDArray[np.int16]) -> Bools:
    """Pixels that may be skin: red above green above blue, as much as skin of any tone is."""
    red, green, blue = small
    warm = (red > green + 8) & (green >= blue) & (red > 60)
    return np.asarray(warm & (red - blue > 20) & (red - green < 0.35 * red) & (green - blue < 0.28 * red))
