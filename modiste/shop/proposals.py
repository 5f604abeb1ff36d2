"""The category that a photo proposes for an item without one, by what looks most like it."""

import numpy as np

from modiste.arrays import Floats, Ints, Singles

PROPOSED_FROM = 0.7
"""The share of an item's neighbours from which their category is proposed: 80 to 96% of the proposals are right on the
photos of benchmarks/looks.py."""

_NEIGHBOURS = 10
_NEARER = 3.6  # a neighbour nearer by a look of 1 weighs e to that as much
_BLOCK = 512  # queries at a time


def proposals(looks: Singles, gallery: Singles, category: Ints, scale: tuple[float, float]) -> tuple[Ints, Floats]:
    """For each of ``looks``, float32 (m, dim), the category that most of the ten nearest of ``gallery``, float32
    (n, dim), have, and their share, int64 (m,) and float64 (m,); nearer ones count for more.

    ``category``, int (n,), are the gallery's, from 0 on. ``scale`` is the cosine of two strangers and of two photos of
    one product. Without a gallery the category is -1 and the share 0.
    """
    found, shares = np.full(len(looks), -1, np.int64), np.zeros(len(looks))
    most = min(_NEIGHBOURS, len(gallery))
    if not most:
        return found, shares
    for start in range(0, len(looks), _BLOCK):
        cosine = looks[start : start + _BLOCK] @ gallery.T
        near = np.argpartition(-cosine, most - 1, axis=1)[:, :most]
        alike = np.take_along_axis(cosine, near, axis=1).astype(np.float64) / (scale[1] - scale[0])
        weights = np.exp(_NEARER * (alike - alike.max(axis=1, keepdims=True)))
        same = category[near][:, :, None] == category[near][:, None, :]
        votes = (same * weights[:, None, :]).sum(axis=2) / weights.sum(axis=1, keepdims=True)
        best = votes.argmax(axis=1)
        each = np.arange(len(near))
        found[start : start + _BLOCK] = category[near[each, best]]
        shares[start : start + _BLOCK] = votes[each, best]
    return found, shares
