"""Cloth: named colours, patterns and weaves, each a small repeating tile."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

RGB = tuple[int, int, int]

SHADES: Final[dict[str, tuple[RGB, ...]]] = {
    "black": ((36, 35, 40), (54, 54, 62)),
    "grey": ((132, 135, 143), (168, 170, 175)),
    "white": ((246, 244, 240), (240, 233, 218)),
    "beige": ((206, 176, 138), (188, 148, 104)),
    "brown": ((110, 76, 58), (142, 94, 66)),
    "blue": ((40, 52, 98), (66, 108, 176), (84, 134, 200)),
    "sky": ((150, 188, 220), (174, 206, 226)),
    "green": ((60, 114, 80), (108, 116, 70), (146, 170, 138), (52, 124, 118)),
    "yellow": ((216, 170, 70), (240, 212, 118)),
    "orange": ((222, 128, 72), (190, 94, 58)),
    "red": ((192, 52, 56), (126, 38, 54)),
    "pink": ((222, 122, 146), (238, 184, 186)),
    "purple": ((112, 82, 146), (182, 164, 208)),
}
"""Colour names and the shades that count as them; the name is what two garments of like colour share."""

DENIM: Final[dict[str, tuple[RGB, ...]]] = {
    "blue": ((44, 56, 92), (52, 66, 104), (84, 116, 164), (96, 130, 174)),
    "sky": ((152, 180, 206), (170, 194, 214)),
    "black": ((42, 42, 48),),
    "grey": ((120, 124, 132),),
    "white": ((238, 236, 230),),
}
"""The washes denim comes in, under the same colour names."""

PATTERNS: Final = ("plain", "stripes", "checks", "dots", "print")
WEAVES: Final = ("smooth", "denim", "knit", "rib", "quilt")

_STRIPES_UPRIGHT = "pinstripes"


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """The colour ``share`` (0 to 1) of the way from a to b."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def luminance(colour: RGB) -> float:
    """Perceived brightness, 0 to 1."""
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255


def darker(colour: RGB, share: float = 0.3) -> RGB:
    """A seam's colour on cloth of this colour: darker, or lighter where the cloth is nearly black."""
    return mix(colour, (24, 20, 30) if luminance(colour) > 0.22 else (150, 150, 160), share)


@dataclass(frozen=True, slots=True)
class Fabric:
    """Cloth of a ``colour`` (called ``name``) with a ``pattern`` in ``accent``; ``repeat`` is its period in units."""

    colour: RGB
    name: str = ""
    pattern: str = "plain"
    accent: RGB = (255, 255, 255)
    repeat: float = 18.0
    weave: str = "smooth"
    seed: int = 0

    @property
    def plain(self) -> bool:
        """Whether it is one colour all over, yarn and all."""
        return self.pattern == "plain" and self.weave == "smooth"

    def tile(self, scale: float) -> npt.NDArray[np.uint8]:
        """uint8 (n, m, 3): one repeat of the cloth at ``scale`` pixels per unit; it tiles without a seam."""
        period = max(4, round(self.repeat * scale / 2) * 2)
        side = period * (6 if self.pattern == "print" else 4)
        rng = np.random.default_rng(self.seed)
        cloth = np.broadcast_to(np.array(self.colour, dtype=np.float32), (side, side, 3))
        cover = self._cover(side, period, rng)
        cloth = cloth + cover[..., None] * (np.array(self.accent, dtype=np.float32) - cloth)
        if self.pattern == "print":
            cloth = self._flowers(cloth, period, rng)
        tile: npt.NDArray[np.uint8] = np.clip(cloth * self._weave(side, scale, rng)[..., None], 0, 255).astype(np.uint8)
        return tile

    def _cover(self, side: int, period: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """float32 (side, side): how much of the accent shows, 0 to 1."""
        at = np.arange(side) % period / period
        if self.pattern == "stripes":
            return np.repeat((at < 0.36)[:, None], side, axis=1).astype(np.float32)
        if self.pattern == _STRIPES_UPRIGHT:
            return 0.8 * np.repeat((at < 0.16)[None, :], side, axis=0).astype(np.float32)
        if self.pattern == "checks":
            band = (at < 0.5).astype(np.float32)
            return 0.42 * (band[:, None] + band[None, :])
        if self.pattern == "dots":
            x = np.arange(side) / period
            row = np.floor(x)[:, None]
            dx = (x[None, :] + 0.5 * (row % 2)) % 1 - 0.5
            dy = (x % 1)[:, None] - 0.5
            return (dx**2 + dy**2 < 0.055).astype(np.float32)
        return np.zeros((side, side), dtype=np.float32)

    def _flowers(
        self, cloth: npt.NDArray[np.float32], period: int, rng: np.random.Generator
    ) -> npt.NDArray[np.float32]:
        side = cloth.shape[0]
        sheet = Image.fromarray(cloth.astype(np.uint8))
        pen = ImageDraw.Draw(sheet)
        leaf = mix(self.colour, (70, 112, 84), 0.6)
        heart = mix(self.accent, (250, 226, 150), 0.6)
        spots = [
            (c + 0.5 * (r % 2) + rng.uniform(-0.2, 0.2), r + rng.uniform(-0.2, 0.2)) for r in range(4) for c in range(4)
        ]
        for column, row in spots:
            x, y = (column * side / 4, row * side / 4)
            size, turn = period * rng.uniform(0.28, 0.5), rng.uniform(0, 2)
            bloom = mix(self.accent, (255, 250, 240), rng.uniform(0, 0.45))
            for ox in (-side, 0, side):
                for oy in (-side, 0, side):
                    if not (-period < x + ox < side + period and -period < y + oy < side + period):
                        continue
                    for k in range(2):
                        lx = x + ox + 1.3 * size * np.cos(turn + 2.4 * k)
                        ly = y + oy + 1.3 * size * np.sin(turn + 2.4 * k)
                        pen.ellipse((lx - size * 0.45, ly - size * 0.3, lx + size * 0.45, ly + size * 0.3), fill=leaf)
                    for k in range(5):
                        px = x + ox + 0.55 * size * np.cos(turn + 1.257 * k)
                        py = y + oy + 0.55 * size * np.sin(turn + 1.257 * k)
                        r = size * 0.46
                        pen.ellipse((px - r, py - r, px + r, py + r), fill=bloom)
                    r = size * 0.26
                    pen.ellipse((x + ox - r, y + oy - r, x + ox + r, y + oy + r), fill=heart)
        return np.asarray(sheet, dtype=np.float32)

    def _weave(self, side: int, scale: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """float32 (side, side): the yarn's own light and shade, around 1."""
        if self.weave == "smooth":
            return np.ones((side, side), dtype=np.float32)
        turn = 2 * np.pi * np.arange(side, dtype=np.float32) / side
        waves = max(1, round(side / (4.5 * scale)))
        if self.weave == "denim":
            noise = Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8)).filter(ImageFilter.BoxBlur(1))
            twill = np.sin(waves * 1.6 // 1 * (turn[:, None] + turn[None, :]))
            grain = np.asarray(noise, dtype=np.float32) / 255 - 0.5
            return (1 + 0.05 * twill + 0.28 * grain).astype(np.float32)
        if self.weave == "knit":
            bend = np.abs((waves * turn[None, :] / np.pi) % 2 - 1) * 2.2
            return (1 + 0.09 * np.sin(2 * waves * turn[:, None] + bend) + 0.05 * np.cos(waves * turn[None, :])).astype(
                np.float32
            )
        if self.weave == "rib":
            return np.repeat(1 + 0.10 * np.sin(waves * turn)[None, :], side, axis=0).astype(np.float32)
        band = np.abs(np.sin(turn * max(1, round(side / (52 * scale)))))  # quilt: padded bands between seams
        return np.repeat(0.74 + 0.34 * band[:, None] ** 0.4, side, axis=1).astype(np.float32)
