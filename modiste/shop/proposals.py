"""What names and photos propose where the shop doesn't say a garment's category or gender: names by their words, photos
by what looks most like them."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from modiste.arrays import Bools, Floats, Ints, Singles
from modiste.catalog.items import GENDERS
from modiste.catalog.taxonomy import Taxonomy
from modiste.catalog.words import spoken_gender
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import Weights
from modiste.ranking.topk import rank

SURE = 0.8
"""The share of the neighbours from which what they are is proposed: nine of ten proposals are right on the photos that
it was chosen by (benchmarks/looks.py)."""

_NEIGHBOURS = 5
_ALIKE = 0.3  # of two photos of one product; where others are the nearest, nothing here is like it
_MOST = 100_000  # items that may be asked; of more, evenly spread ones
_NEARER = 3.6  # a neighbour nearer by a look of 1 weighs e to that as much
_LOOK = Weights(1.0, 0.0, 0.0, formula="choice")


def by_name(taxonomy: Taxonomy, items: Sequence[Mapping[str, Any]], sold: Set[str]) -> list[str | None]:
    """For each of ``items`` the gender that its name says: a word of its title or of its page's path ("Women's",
    "/herren/"), or its kind, where that is one gender's alone and things for both are ``sold``, or named by such words.
    """
    said = [
        spoken_gender(item["title"]) or spoken_gender("/".join((item["url"] or "").split("/")[3:])) for item in items
    ]
    if not {*said, *sold} >= {*GENDERS}:
        return said
    return [word or taxonomy.worn_by(item["category"], item["title"]) for word, item in zip(said, items, strict=True)]


def told(category: Ints, said: Ints, named: Ints) -> Ints:
    """The genders that photos are compared with, int (n,), -1: none: what the shop has ``said``, and what is ``named``
    of things of a ``category`` in which both are known: pumps alone would make all shoes women's."""
    known = np.where(said >= 0, said, named)
    both = np.intersect1d(*(category[(known == one) & (category >= 0)] for one in range(len(GENDERS))))
    return np.where(np.isin(category, both), known, said)


def proposals(
    gallery: Candidates, vectors: Singles, values: Ints, excluded: Sequence[Ints] | None = None
) -> tuple[Ints, Floats]:
    """For each of ``vectors``, float32 (m, d) as the gallery's, the value that most of the five products that look most
    like it have, and their share: int64 (m,) and float64 (m,); nearer ones count for more.

    ``values``, int (n,), are the gallery's, from 0 on; -1: not known. ``excluded`` are rows for each vector whose
    products aren't asked. Where fewer than five that are known look at all like it, or all known ones are the same so
    that there is nothing to choose, the value is -1 and the share 0.
    """
    many = len(vectors)
    known = (values >= 0) & gallery.has_vector
    if gallery.allowed is not None:
        known &= gallery.allowed
    rows = np.flatnonzero(known)
    known[:] = False
    known[rows[:: max(1, -(-len(rows) // _MOST))]] = True
    said = values[known]
    if not len(said) or said.min() == said.max():
        return np.full(many, -1, np.int64), np.zeros(many)
    nobody = np.zeros(many, np.int8)
    queries = Queries(np.full(many, -1), vectors, np.zeros(many), nobody, excluded)
    near = rank(gallery.updated(allowed=known), queries, _LOOK, _NEIGHBOURS)
    enough: Bools = np.all(near.terms.look >= _ALIKE, axis=1)  # false for NaN
    look = np.where(enough[:, None], near.terms.look, 0.0)
    weights = np.exp(_NEARER * (look - look[:, :1]))
    theirs = np.where(enough[:, None], values[near.items], -1)
    votes = ((theirs[:, :, None] == theirs[:, None, :]) * weights[:, None, :]).sum(axis=2)
    best = votes.argmax(axis=1, keepdims=True)
    found = np.take_along_axis(theirs, best, axis=1)[:, 0].astype(np.int64)
    shares = np.take_along_axis(votes, best, axis=1)[:, 0] / weights.sum(axis=1)
    return found, np.where(enough, shares, 0.0)
