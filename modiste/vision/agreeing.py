"""Several photos of an item: which of them show the same thing, and one look and one colour of those."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modiste.arrays import Bools, Singles

AGREE_AT_LEAST = 0.3
"""How much a photo has in common with the others of its item at least, from 0, two strangers, to 1, two photos of one
product: look and, half as much, colour. Chosen on Luma's studio photos. On Madison Island's none of 95 photos of an
item's own has less, and 73% of the photos of another product put among them; of tables of sizes nearly all."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """An item as its photos show it: ``look``, float32 (dim,), and ``colour``, float32 (COLOUR_DIM,), both of unit
    length, ``kept``, which photos they were made of, bool (n,), and ``best``, the number of the one to show."""

    look: Singles
    colour: Singles
    kept: Bools
    best: int


def agreed(looks: Singles, colours: Singles, ends: Mapping[str, Sequence[float]]) -> Agreed:
    """What ``n`` photos of an item, the most important first, have in common.

    One after another, the photo that has least in common with the others is left out as long as that is less than
    AGREE_AT_LEAST: what most photos show stays. Where no two agree the first stays alone. The first is the one to
    show, or where it was left out the one most like the item.

    Args:
        looks, colours: float32 (n, dim) and (n, COLOUR_DIM), rows of unit length, n at least 1.
        ends: for "look" and "colour" the similarity of two strangers and of two photos of one product.
    """
    kept = np.ones(len(looks), bool)
    alike = np.zeros((len(looks), len(looks)))
    for vectors, (low, high), weight in ((looks, ends["look"], 2 / 3), (colours, ends["colour"], 1 / 3)):
        alike += weight * (vectors @ vectors.T - low) / (high - low)
    np.fill_diagonal(alike, 0.0)
    while (many := int(kept.sum())) > 1:
        common = np.where(kept, (alike @ kept) / (many - 1), np.inf)
        last = len(kept) - 1 - int(common[::-1].argmin())  # of several the least important one
        if common[last] >= AGREE_AT_LEAST:
            break
        kept[last] = False
    if many == 1:
        kept = np.arange(len(looks)) == 0
        return Agreed(looks[0], colours[0], kept, 0)
    look, colour = looks[kept].mean(axis=0), np.sqrt(np.square(colours[kept]).mean(axis=0))
    look, colour = look / np.linalg.norm(look), colour / np.linalg.norm(colour)
    best = 0 if kept[0] else int(np.where(kept, looks @ look, -np.inf).argmax())
    return Agreed(look, colour, kept, best)
