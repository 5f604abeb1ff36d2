"""The sheet a figure is drawn on: every stroke paints the photo and, with the same pixels, the label map."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from lookbook.fabrics import RGB, Fabric
from modiste.catalog.palette import LABELS, PALETTE

Points = npt.NDArray[np.float64]
"""float64 (n, 2): x to the right and y down, in figure units (a figure stands 800 units tall)."""

WIDTH: Final = 256
HEIGHT: Final = 384
OVERSAMPLING: Final = 3
"""Everything is drawn this many times larger and reduced at the end; that is the antialiasing."""

_COARSE = 4  # light and shadow are smooth, so they are computed on every fourth pixel
_SHADOW = (38, 30, 44)


def spline(points: Sequence[Sequence[float]] | Points, *, closed: bool = False, steps: int = 8) -> Points:
    """Catmull-Rom curve through ``points`` (n, k) with ``steps`` samples a segment; k may hold widths besides x, y."""
    p = np.asarray(points, dtype=np.float64)
    p = np.vstack([p[-1:], p, p[:2]]) if closed else np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None, :] for i in range(4))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    curve = curve.reshape(-1, p.shape[1])
    return curve if closed else np.vstack([curve, p[-2]])


def limb(points: Sequence[Sequence[float]] | Points) -> Points:
    """Outline of a tube whose centre line curves through a few rows of (x, y, half width)."""
    return sweep(spline(points))


def sweep(curve: Points) -> Points:
    """Outline of a tube along a line that is smooth already: rows of (x, y, half width)."""
    along = np.gradient(curve[:, :2], axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) * np.maximum(curve[:, 2:3], 0.5)
    return np.vstack([curve[:, :2] + across, (curve[:, :2] - across)[::-1]])


def ellipse(x: float, y: float, rx: float, ry: float, *, angle: float = 0.0) -> Points:
    """Outline of an ellipse, turned by ``angle`` radians."""
    t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    u, v = rx * np.cos(t), ry * np.sin(t)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([x + u * c - v * s, y + u * s + v * c], axis=1)


class Canvas:
    """A photo and its label map, drawn together.

    ``scale`` is oversampled pixels per figure unit, ``origin`` the oversampled pixel of figure point (0, 0),
    ``light`` the side the light comes from (-1 left, 1 right).
    """

    def __init__(self, backdrop: Image.Image, scale: float, origin: tuple[float, float], light: float) -> None:
        size = (WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING)
        self.photo = backdrop.resize(size, Image.Resampling.BICUBIC)
        self.labels = Image.new("L", size, 0)
        self.scale = scale
        self.light = light
        self._origin = np.array(origin)
        self._textures: dict[Fabric, npt.NDArray[np.uint8]] = {}

    def _pixels(self, points: Points) -> Points:
        pixels: Points = np.asarray(points, dtype=np.float64) * self.scale + self._origin
        return pixels

    def _box(self, shapes: Sequence[Points], margin: float) -> tuple[int, int, int, int] | None:
        every = np.vstack(shapes)
        low = np.floor(every.min(axis=0) - margin).astype(int)
        high = np.ceil(every.max(axis=0) + margin).astype(int) + 1
        x0, y0 = np.maximum(low, 0)
        x1, y1 = np.minimum(high, self.photo.size)
        return (int(x0), int(y0), int(x1), int(y1)) if x1 - x0 > 1 and y1 - y0 > 1 else None

    def _stencil(
        self, shapes: Sequence[Points], box: tuple[int, int, int, int], cut: Sequence[Points] = ()
    ) -> Image.Image:
        stencil = Image.new("L", (box[2] - box[0], box[3] - box[1]), 0)
        pen = ImageDraw.Draw(stencil)
        for fill, group in ((255, shapes), (0, cut)):
            for shape in group:
                pen.polygon([(x - box[0], y - box[1]) for x, y in shape.tolist()], fill=fill)
        return stencil

    def _texture(self, fabric: Fabric, box: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
        """uint8 (h, w, 3): the fabric's repeat laid over the box, fixed to the figure rather than to the box."""
        if fabric not in self._textures:
            self._textures[fabric] = fabric.tile(self.scale)
        tile = self._textures[fabric]
        x = (np.arange(box[0], box[2]) - int(self._origin[0])) % tile.shape[1]
        y = (np.arange(box[1], box[3]) - int(self._origin[1])) % tile.shape[0]
        laid: npt.NDArray[np.uint8] = tile[y[:, None], x[None, :]]
        return laid

    def paint(
        self,
        shapes: Sequence[Points],
        label: str,
        fabric: Fabric,
        *,
        roundness: float = 12.0,
        relief: float = 0.5,
        shadow: float = 0.35,
        folds: Sequence[Points] = (),
        cut: Sequence[Points] = (),
        joined: Sequence[Points] = (),
    ) -> None:
        """Fill the union of ``shapes`` less ``cut`` with a shaded fabric, and the label map with ``label``.

        ``roundness`` is how far (units) the shading reaches in from the edge, ``relief`` its strength, ``shadow`` the
        strength of the soft shadow it throws on what lies under it, ``folds`` creases of the cloth, ``joined`` the
        neighbouring area it goes over into without an edge (a sleeve into its shoulder).
        """
        polygons = [self._pixels(s) for s in shapes]
        box = self._box(polygons, 10 * self.scale)
        if box is None:
            return
        stencil = self._stencil(polygons, box, [self._pixels(s) for s in cut])
        coarse = stencil.reduce(_COARSE)
        neighbour = self._stencil([self._pixels(s) for s in joined], box).reduce(_COARSE) if joined else None
        if shadow:
            self._shade_below(coarse, box, shadow, neighbour)
        if neighbour is not None:
            coarse = ImageChops.lighter(coarse, neighbour)
        light = self._lighting(coarse, box, roundness, relief, folds)
        size = (box[2] - box[0], box[3] - box[1])
        shade = light.resize(size, Image.Resampling.BILINEAR)
        if fabric.plain:
            lit = Image.merge("RGB", [shade.point([min(c * v >> 7, 255) for v in range(256)]) for c in fabric.colour])
        else:
            bright = self._texture(fabric, box) * np.asarray(shade, dtype=np.uint16)[..., None] >> 7
            lit = Image.fromarray(np.minimum(bright, 255).astype(np.uint8))
        self.photo.paste(lit, box, stencil)
        self.labels.paste(LABELS.index(label), box, stencil)

    def _shade_below(
        self, coarse: Image.Image, box: tuple[int, int, int, int], strength: float, spare: Image.Image | None
    ) -> None:
        reach = 5 * self.scale / _COARSE
        soft = ImageChops.offset(coarse, round(-self.light * reach * 0.6), round(reach * 0.8))
        soft = soft.filter(ImageFilter.BoxBlur(reach * 0.7)).point([int(v * strength) for v in range(256)])
        if spare is not None:
            soft = ImageChops.subtract(soft, spare.filter(ImageFilter.BoxBlur(reach)))
        size = (box[2] - box[0], box[3] - box[1])
        on_figure = self.labels.crop(box).point([0] + [255] * 255)
        alpha = ImageChops.darker(soft.resize(size, Image.Resampling.BILINEAR), on_figure)
        self.photo.paste(_SHADOW, box, alpha)

    def _lighting(
        self,
        coarse: Image.Image,
        box: tuple[int, int, int, int],
        roundness: float,
        relief: float,
        folds: Sequence[Points],
    ) -> Image.Image:
        """Brightness on the coarse grid, 128 for the fabric's own colour."""
        reach = max(roundness * self.scale / _COARSE, 1.0)
        dome = np.asarray(coarse.filter(ImageFilter.GaussianBlur(reach)), dtype=np.float32) / 255
        step = max(1, round(reach / 2))
        slope = np.roll(dome, step, axis=1) - np.roll(dome, -step, axis=1)
        light = 1.0 + relief * (0.55 * (np.minimum(dome, 0.95) - 0.86) - 0.32 * self.light * slope)
        if folds:
            creases = Image.new("L", coarse.size, 0)
            ridges = Image.new("L", coarse.size, 0)
            corner = np.array(box[:2])
            width = max(1, round(3.2 * self.scale / _COARSE))
            for fold in folds:
                path = (self._pixels(fold) - corner) / _COARSE
                ImageDraw.Draw(creases).line([tuple(p) for p in path.tolist()], fill=255, width=width)
                path[:, 0] += self.light * width * 1.3
                ImageDraw.Draw(ridges).line([tuple(p) for p in path.tolist()], fill=255, width=width)
            blur = ImageFilter.GaussianBlur(1.5 * self.scale / _COARSE + 0.4)
            light -= 0.26 * relief * np.asarray(creases.filter(blur), dtype=np.float32) / 255
            light += 0.20 * relief * np.asarray(ridges.filter(blur), dtype=np.float32) / 255
        return Image.fromarray(np.clip(light * 128, 0, 255).astype(np.uint8))

    def detail(
        self, shapes: Sequence[Points], colour: RGB, *, alpha: float = 1.0, within: str | Sequence[str] = ()
    ) -> None:
        """Paint on the photo alone (a print, a button, a lip); ``within`` keeps it to pixels of these labels."""
        polygons = [self._pixels(s) for s in shapes]
        box = self._box(polygons, 1)
        if box is not None:
            self._lay(self._stencil(polygons, box), box, colour, alpha, within)

    def line(
        self,
        path: Points,
        colour: RGB,
        width: float,
        *,
        alpha: float = 1.0,
        label: str | None = None,
        within: str | Sequence[str] = (),
    ) -> None:
        """Stroke a path (seam, strap, stem) ``width`` units wide; with ``label`` it is part of the mask too."""
        pixels = self._pixels(path)
        thick = max(1, round(width * self.scale))
        box = self._box([pixels], thick)
        if box is None:
            return
        stencil = Image.new("L", (box[2] - box[0], box[3] - box[1]), 0)
        route = [(x - box[0], y - box[1]) for x, y in pixels.tolist()]
        ImageDraw.Draw(stencil).line(route, fill=255, width=thick, joint="curve")
        self._lay(stencil, box, colour, alpha, within)
        if label is not None:
            self.labels.paste(LABELS.index(label), box, stencil)

    def _lay(
        self,
        stencil: Image.Image,
        box: tuple[int, int, int, int],
        colour: RGB,
        alpha: float,
        within: str | Sequence[str],
    ) -> None:
        if within:
            allowed = {LABELS.index(name) for name in ([within] if isinstance(within, str) else within)}
            table = [255 if value in allowed else 0 for value in range(256)]
            stencil = ImageChops.darker(stencil, self.labels.crop(box).point(table))
        if alpha < 1:
            stencil = stencil.point([int(v * alpha) for v in range(256)])
        self.photo.paste(colour, box, stencil)

    def finish(self, tint: RGB) -> tuple[Image.Image, Image.Image]:
        """The photo under a light of colour ``tint`` (128 is neutral), and its palette mask; both WIDTH x HEIGHT."""
        photo = self.photo.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, reducing_gap=None)
        curve = [min(255, v * t // 128) for t in tint for v in range(256)]
        middle = OVERSAMPLING // 2
        labels = np.asarray(self.labels)[middle::OVERSAMPLING, middle::OVERSAMPLING]
        mask = Image.fromarray(np.ascontiguousarray(labels)).convert("P")
        mask.putpalette(PALETTE.tobytes())
        return photo.point(curve), mask
