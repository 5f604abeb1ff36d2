"""What is worn together: how well others suit a garment, by what people wear with its like on photos."""

from collections.abc import Collection
from dataclasses import dataclass, fields

import numpy as np

from modiste.arrays import Array, Bools, Floats, Ints, Singles

NEIGHBOURS = 128
"""So many of the worn garments that are most like the asked one tell what is worn with it; the others weigh nothing."""

USUAL = 128
"""How many worn garments of a kind, evenly spread, tell how usual a look is."""

_BLOCK = 4096  # others that are compared at a time

_LIKE_ASKED, _LIKE = 0.1, 0.15  # widths: how far below 2 the sum of two cosines, of look and colour, still counts


@dataclass(frozen=True, eq=False)
class Worn:
    """Garments that somebody wears on photos, by row.

    ``photo`` int64 (n,) numbers the photo from 0, ``label`` int64 (n,) is that of the masks' palette, and ``vectors``
    float32 (n, d) are look and colour, each of unit length.
    """

    photo: Ints
    label: Ints
    vectors: Singles

    def at(self, rows: Bools | Ints) -> "Worn":
        """Some of them."""
        return Worn(*(getattr(self, one.name)[rows] for one in fields(self)))

    def suits(
        self, asked: Singles, labels: Collection[int], others: Singles, theirs: Collection[int]
    ) -> tuple[Floats, Ints]:
        """How much denser than elsewhere garments lie around each of ``others`` that are worn with the like of
        ``asked``: logarithms, float64 (m,), below 0 where such are worn with other things, and the row that says most
        of each, int64 (m,). Without any such photo 0 and -1.

        ``asked`` (d,) and ``others`` (m, d) are vectors as the worn ones; ``labels`` and ``theirs`` are those that they
        may have, and none is in both.
        """
        own, rest = (np.flatnonzero(np.isin(self.label, list(some))) for some in (labels, theirs))
        weight = _near(self.vectors[own] @ asked, _LIKE_ASKED)
        best = np.argsort(-weight, kind="stable")[:NEIGHBOURS]
        by_photo = np.bincount(self.photo[own[best]], weight[best], minlength=int(self.photo.max(initial=-1)) + 1)
        mass = by_photo[self.photo[rest]]
        told = rest[mass > 0]
        if not len(told):
            return np.zeros(len(others)), np.full(len(others), -1)
        mass = mass[mass > 0]
        found, says = np.zeros(len(others)), np.zeros(len(others), np.int64)
        sample = self.vectors[rest[:: -(-len(rest) // USUAL)]]
        for start in range(0, len(others), _BLOCK):
            part = slice(start, start + _BLOCK)
            usual = _near(sample @ others[part].T, _LIKE).mean(0)
            alike = mass[:, None] * _near(self.vectors[told] @ others[part].T, _LIKE)
            around = (alike.sum(0) + usual) / (mass.sum() + 1)
            found[part] = np.log(around + 1e-12) - np.log(usual + 1e-12)
            says[part] = told[alike.argmax(0)]
        return found, says


def _near(cosines: Array, width: float) -> Floats:
    near: Floats = np.exp((cosines.astype(np.float64) - 2) / width)
    return near
