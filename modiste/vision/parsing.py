"""Masks for photos that have none: a parser network that names the garment at each pixel."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from modiste.arrays import Bools, Singles
from modiste.errors import SourceError
from modiste.vision.backbones import BackboneSpec, open_session, run
from modiste.vision.ground import Scene, flooded
from modiste.vision.masks import LABELS, one_thing, shows_person
from modiste.vision.preparing import normalise


class Parser:
    """A parser ready to run; any ONNX network with a TOML entry of kind "parser" will do.

    The network reads (n, 3, height, width) and gives a score for each label at each pixel, (n, labels, h, w), of any
    h and w. Raises SourceError for another kind, for labels that are not in the palette, and whatever
    :func:`~modiste.vision.backbones.open_session` refuses.
    """

    def __init__(self, spec: BackboneSpec, threads: int = 0) -> None:
        if spec.kind != "parser" or not spec.labels:
            raise SourceError(f'{spec.name} is not a parser: its entry needs kind = "parser" and labels')
        unknown = [name for name in spec.labels if spec.palette.get(name, name) not in LABELS]
        if unknown:
            raise SourceError(
                f"{spec.name}.toml: {', '.join(unknown)}: not in the palette; map each under [palette] to one of: "
                + ", ".join(LABELS)
            )
        self.spec = spec
        self._session = open_session(spec, threads)
        self._label = np.array([LABELS.index(spec.palette.get(name, name)) for name in spec.labels], np.uint8)

    def parse(self, photo: Image.Image) -> NDArray[np.uint8]:
        """An RGB photo's labels in the palette of DeepFashion-MultiModal, uint8 (h, w) in 0–23 at the photo's size."""
        size = (self.spec.width, self.spec.height)
        square = np.asarray(photo.resize(size, Image.Resampling.BILINEAR))
        scores = run(self._session, self.spec, normalise(square[None], self.spec))
        if scores.ndim != 4 or scores.shape[:2] != (1, len(self._label)):
            raise SourceError(f"{self.spec.name} gave {scores.shape}, its entry promises (n, {len(self._label)}, h, w)")
        return self._label.take(_likeliest(scores[0], photo.size))

    def labels(self, photo: Image.Image, scene: Scene) -> NDArray[np.uint8]:
        """What an RGB photo shows, as :meth:`parse`, with what was seen at first sight.

        Where nobody is on it, all of a thing has one label; on a plain ground the thing is what isn't ground, and the
        network doesn't run where that is sure.
        Of several people the largest and most central one stays.
        """
        if scene.thing is not None and scene.nobody:
            return scene.thing.astype(np.uint8)
        found = self.parse(photo)
        return _one_person(found) if shows_person(found) else one_thing(found, scene.thing)


_APART = 96  # pixels of the longer side that people are told apart at
_ANOTHER = 0.1  # of the largest figure, the least that is somebody else


def _one_person(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The labels without those of other people, who stand apart from the largest and most central figure."""
    factor = max(1, -(-max(labels.shape) // _APART))
    small = labels[factor // 2 :: factor, factor // 2 :: factor]
    rest = small > 0
    x = np.abs(np.linspace(-1, 1, small.shape[1]))
    figures: list[tuple[float, int, Bools]] = []
    whole = int(rest.sum())
    while int(rest.sum()) > _ANOTHER / 2 * whole and len(figures) < 8:
        seed = np.zeros_like(rest)
        seed.flat[int((rest * (2 - x)).argmax())] = True
        figure = flooded(seed, rest)
        rest = rest & ~figure
        figures.append((float((figure * (1.5 - x)).sum()), int(figure.sum()), figure))
    figures.sort(key=lambda one: -one[0])
    others = [
        figure for _, size, figure in figures[1:] if size >= _ANOTHER * figures[0][1] and shows_person(small[figure])
    ]
    if not others:
        return labels
    gone = Image.fromarray(np.any(others, axis=0).astype(np.uint8)).filter(ImageFilter.MaxFilter(3))
    away = np.asarray(gone.resize(labels.shape[::-1], Image.Resampling.NEAREST))
    return np.where(away, 0, labels).astype(np.uint8)


def _likeliest(scores: Singles, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The channel of the highest probability at each pixel of ``size`` (width, height), uint8 (height, width).

    Probabilities are enlarged smoothly, one channel after another, so that edges are not staircases of the network's
    grid; channels that win nowhere on the grid are left out.
    """
    highest, undecided, winners = scores.max(0), np.ones(scores.shape[1:], bool), []
    for channel, score in enumerate(scores):  # of equal scores the first wins, as in argmax, which is slow here
        wins = (score == highest) & undecided
        if wins.any():
            winners.append(channel)
            undecided ^= wins
    chances = scores[winners] - highest
    np.exp(chances, out=chances)
    chances *= 255 / chances.sum(0)
    levels = np.rint(chances, out=chances).astype(np.uint8)
    keys = np.zeros((size[1], size[0]), np.uint16)  # the level, and the channel so that of equal levels the first wins
    for channel, coarse in zip(winners, levels, strict=True):
        level = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)).astype(np.uint16)
        np.maximum(keys, (level << 8) + np.uint16(255 - channel), out=keys)
    return (~keys).astype(np.uint8)
