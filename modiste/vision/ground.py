"""What a photo stands on: a plain ground, found at its border without a network, and the thing in front of it."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modiste.arrays import Bools, Singles

_T = TypeVar("_T", bound=np.generic)

_SIDE = 256  # pixels of the longer side that is looked at
_PLAIN = 0.55  # share of the border's pixels that are one colour where the ground is plain
_FLAT = 4  # levels from the ground's colour that are still it
_TINT = 7  # levels that channels may part on a plain border
_CAST = (6, 0.6)  # levels that a shadow's channels may part, and more by how many levels it is darker
_SHADOW = 0.45  # of the ground's brightness, the darkest shadow
_DIM = 0.6  # of the ground's brightness, what of the border tells how it is lit
_BRIGHTER = 0.1  # of the ground's brightness, the brightest light
_STEP = 1.5  # levels from pixel to pixel that are no edge yet, beside the ground's noise
_FAR = np.int16(999)  # beyond every level
_GROWN = 5  # pixels that the ground reaches into what is narrow
_LEVEL = 3  # levels beyond the ground's around that are still it
_SHARE = 1.5  # of a pixel beside the ground, how much more of it is the thing than its level says: a third is half
_SPECK = 0.004  # of the photo: less in front of the ground is nothing
_DRAWN = 0.97  # of a placeholder's pixels have one of two tones, and
_WRITTEN = 0.1  # at most this share of them the second: a word or a sign
_SHADED = 3  # levels that the middle half of those inside a thing spans
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
    part = _ground(small)
    if part is None:
        return Scene(False)
    thing = part >= 0.5
    if thing.mean() < _SPECK:
        return Scene(True)
    sides = (thing[0], thing[-1], thing[:, 0], thing[:, -1])
    inside = all(side.mean() < _EDGE_AT_LEAST for side in sides)
    nobody = inside and float(_skin(small)[thing].mean()) < _SKIN_AT_LEAST
    enlarged = Image.fromarray((part * 255).astype(np.uint8)).resize(photo.size, Image.Resampling.BILINEAR)
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
    if sign > _WRITTEN or ground + sign < _DRAWN or ground < 1 - _WRITTEN:
        return False
    inner = small[1][~_around(np.abs(small[1] // 8 - first) <= 1, np.logical_or)]  # letters and signs are flat there
    return bool(inner.size < _SPECK / 4 * small[1].size or np.subtract(*np.percentile(inner, (75, 25))) < _SHADED)


def _ground(small: NDArray[np.int16]) -> Singles | None:
    """How much of each pixel is the thing before a plain ground, 0 to 1, (h, w); None where the ground is not plain.

    Ground is what is as bright as a smooth surface through the border, or darker in its colour, and hangs together with
    the border over slopes as gentle as those of light and shadow: a thing ends in a step.
    """
    rim = np.zeros(small.shape[1:], bool)
    rim[:2], rim[-2:], rim[:, :2], rim[:, -2:] = True, True, True, True
    border = small[:, rim]
    colour = np.median(border[:, border.sum(0) >= np.median(border.sum(0))], axis=1).astype(np.int16)
    seen = border - colour[:, None]
    sums, whole = border.sum(0, dtype=np.int32), int(colour.sum())
    plain = (np.ptp(seen, axis=0) <= _TINT) & (sums > 0.85 * whole) & (sums <= 1.15 * whole)
    if plain.mean() < _PLAIN:
        return None
    surface = _surface(small, rim, (np.ptp(seen, axis=0) <= _TINT) & (sums > _DIM * whole))
    gaps = small - surface
    gap, darker = np.abs(gaps).max(0), -gaps.sum(0, dtype=np.int16) // 3
    tint = np.ptp(gaps * (colour.mean() / np.maximum(colour, 1)).astype(np.float32)[:, None, None], axis=0)
    bright = surface.sum(0, dtype=np.int16) // 3
    like = (tint <= _CAST[0] + _CAST[1] * np.maximum(darker, 0)) & (darker <= (1 - _SHADOW) * bright)
    like &= darker >= -_BRIGHTER * bright
    edge = _edges(small.sum(0, dtype=np.int16))
    passable = like & ~edge
    broad = ~_widened(~passable)  # a thing's edge may have a gap, through which no ground is seen
    ground = flooded(rim & like, broad | (rim & passable))
    for _ in range(_GROWN):
        ground = _widened(ground) & passable
    even = ground & (gap <= _FLAT)
    if even.any() and gap[even].mean() < 1:  # seen through a handle, an even ground is known again
        hole = gap <= _FLAT // 2
        ground |= _widened(~_widened(~(hole & ~edge))) & hole
    return _fringe(small, ground)


def _surface(small: NDArray[np.int16], rim: Bools, like: Bools) -> NDArray[np.int16]:
    """The quadratic surface of each channel through most of the ``rim``, by those of its pixels that are ``like``."""
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in rim.shape)
    row, column = (places[::3] for places in np.nonzero(rim))
    at = np.stack([np.ones(len(row)), x[column], y[row], x[column] ** 2, y[row] ** 2, x[column] * y[row]], axis=1)
    levels, like = small[:, row, column].T.astype(np.float64), like[::3]
    used = like
    for _ in range(3):
        some = at[used]
        ridge = np.diag([0, 1, 1, 1, 1, 1]) * (0.002 * len(some))  # where two sides alone are seen, no bend is known
        terms = np.linalg.solve(some.T @ some + ridge, some.T @ levels[used])
        off = np.abs(at @ terms - levels).max(1)
        used = like & (off <= max(3.0, 2 * float(np.median(off[like]))))
    level, right, down, bowl, trough, twist = terms.T.astype(np.float32)[:, :, None, None].swapaxes(0, 1)
    surface = (level + right * x + bowl * x**2) + (down + twist * x) * y[:, None] + trough * (y**2)[:, None]
    rounded: NDArray[np.int16] = np.rint(surface).astype(np.int16)
    return rounded


def _edges(grey: NDArray[np.int16]) -> Bools:
    """Pixels on either side of a step, of sums of three channels, (h, w): steeper than the border's noise, and much
    steeper than what is beside it, as no shadow's end is."""
    along = np.concatenate([np.diff(grey[[0, -1]], axis=1).ravel(), np.diff(grey[:, [0, -1]], axis=0).ravel()])
    least = 3 * (_STEP + float(np.median(np.abs(along))))
    edge = np.zeros(grey.shape, bool)
    for one, found in ((grey, edge), (grey.T, edge.T)):
        step = np.diff(one, axis=0)
        beside = np.zeros_like(step)
        rising = np.minimum(step[:-2], step[2:]).clip(0) + np.maximum(step[:-2], step[2:]).clip(None, 0)
        beside[1:-1] = np.where(step[1:-1] > 0, rising, -rising).clip(0)
        steep = np.abs(step) > least + 2 * beside
        found[:-1] |= steep
        found[1:] |= steep
    return edge


def _fringe(small: NDArray[np.int16], ground: Bools) -> Singles:
    """How much of each pixel isn't ``ground``, 0 to 1: beside it by how far it lies beyond the ground's colours around,
    as a part of how far its neighbours do."""
    low, high = _around(np.where(ground, small, _FAR), np.minimum), _around(np.where(ground, small, -_FAR), np.maximum)
    beyond = np.maximum(low - small, small - high).max(0)
    beside = low[0] < _FAR
    most = _around(np.where(beside, beyond, 0), np.maximum)
    part = np.where(beyond > _LEVEL, _SHARE * beyond / np.maximum(most, 1).astype(np.float32), 0)
    return np.where(beside, part.clip(0, 1), ~ground).astype(np.float32)


def _widened(some: Bools) -> Bools:
    """``some``, bool (h, w), and the eight pixels around each."""
    return _around(some, np.logical_or, 1)


def _around(some: NDArray[_T], join: np.ufunc, far: int = 2) -> NDArray[_T]:
    """What ``join`` makes of the pixels as ``far`` away as that, over the last two axes."""
    for axis in (-1, -2):
        wide = some.copy()
        for shift in range(1, far + 1):
            after, before = (slice(shift, None),), (slice(None, -shift),)
            after, before = ((..., *one, *[slice(None)] * (-1 - axis)) for one in (after, before))
            join(wide[after], some[before], out=wide[after])
            join(wide[before], some[after], out=wide[before])
        some = wide
    return some


def flooded(seeds: Bools, through: Bools) -> Bools:
    """What can be reached from ``seeds`` over ``through`` pixels, up, down, left and right; both bool (h, w)."""
    high, wide = through.shape
    line = wide + 1  # each picture is one long number, a bit a pixel, and one between rows that nothing crosses
    free, reached = (
        int.from_bytes(np.packbits(np.pad(one, ((0, 0), (0, 1)))).tobytes()) for one in (through, seeds & through)
    )
    before = -1
    while before != reached:
        before = reached
        for step, last in ((1, line), (line, high * line)):
            for shift in (int.__lshift__, int.__rshift__):
                way, far = free, step
                while way and far < last:
                    reached |= way & shift(reached, far)
                    way &= shift(way, far)
                    far *= 2
    bits = np.frombuffer(reached.to_bytes(-(-high * line // 8)), np.uint8)
    return np.unpackbits(bits, count=high * line).reshape(high, line)[:, :wide].astype(bool)


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
