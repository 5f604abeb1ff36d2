"""What sells, as the choice model has it: counts that fade, their logarithms, and how new each item is, at one moment.

A later moment shares the arrays of an earlier one, or copies them and works out anew the rows that changed; on another
day all is worked out anew.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from modiste.arrays import Array, Floats, Singles
from modiste.behaviour.choice import DEFAULT, LASTING_HALF_LIFE, ChoiceModel, newness_of
from modiste.ranking.relevance import SMOOTHING

if TYPE_CHECKING:
    from modiste.shop.snapshot import Sales

LEAST = 0.05
"""The weight of taste that others are divided by, where orders know of none."""

_NEVER = np.int32(np.iinfo(np.int32).max)
_MOST_CHANGES = 10_000  # since an earlier moment; with more, all is worked out anew


@dataclass(frozen=True, eq=False)
class Selling:
    """By row: ``lately`` and ``lasting``, purchases with the model's half-life and one of a year, the counts before any
    purchase included; ``fashion``, their logarithms as the model weighs them; all float32 (n,), at least 0.

    ``came`` int32 (n,): the day on which it was ``added`` or first sold, 0 where neither is known. ``newness`` float32
    (n,): log(365 / (age + 7)) on the day ``today``, that of the latest sale or item, 0 from a year on, and where the
    age is not known. ``day`` and ``position`` are the sales' day and how far of their log they go.
    """

    model: ChoiceModel
    day: int
    today: int
    position: int
    start: Floats
    added: Array
    lately: Singles
    lasting: Singles
    fashion: Singles
    came: Array
    newness: Singles

    @classmethod
    def of(cls, model: ChoiceModel, sales: "Sales", start: Floats, added: Array) -> "Selling":
        """Worked out whole; ``start`` float64 (n,) are the counts before any purchase, ``added`` int32 (n,) days."""
        row, day, bought = sales.rows_days()
        came = np.where(added > 0, added, _NEVER)
        kept = bought > 0
        np.minimum.at(came, row[kept], day[kept].astype(np.int32))
        came[came == _NEVER] = 0
        today = max(sales.day, int(added.max(initial=0)))
        lately, lasting = (
            (start + np.bincount(row, bought * np.exp2((day - sales.day) / one), minlength=len(start))).astype(
                np.float32
            )
            for one in (model.half_life, LASTING_HALF_LIFE)
        )
        fashion, newness = _fashion(model, lately, lasting), _newness(came, today)
        return cls(model, sales.day, today, sales.logged, start, added, lately, lasting, fashion, came, newness)

    def after(self, model: ChoiceModel, sales: "Sales", start: Floats, added: Array) -> "Selling":
        """Of a later moment."""
        entries = sales.log[self.position : sales.logged]
        before = len(self.lately)
        near = self.position <= sales.logged and len(entries) <= _MOST_CHANGES and before <= len(start)
        today = max(sales.day, int(added.max(initial=0)))
        if not near or model != self.model or (sales.day, today) != (self.day, self.today):
            return Selling.of(model, sales, start, added)
        rows = {row for row, _, _ in entries} | set(range(before, len(start)))
        for now, then in ((start, self.start), (added, self.added)):
            if now.base is not then.base or now.base is None:
                rows.update(np.flatnonzero(now[:before] != then[:before]).tolist())
        if not rows:
            return replace(self, position=sales.logged, start=start, added=added)
        changed = np.array(sorted(rows), np.int64)
        place = {row: number for number, row in enumerate(changed.tolist())}
        counts, came = np.zeros((2, len(changed))), np.where(added[changed] > 0, added[changed], _NEVER)
        for row, day, bought in sales.of(rows):
            if not bought:  # what was taken back lies after the last day that is left, perhaps without end
                continue
            number = place[row]
            counts[:, number] += bought * np.exp2((day - sales.day) / np.array([model.half_life, LASTING_HALF_LIFE]))
            if bought > 0:
                came[number] = min(came[number], day)
        came[came == _NEVER] = 0
        lately, lasting = (counts + start[changed]).astype(np.float32)
        first = _written(self.came, len(start), changed, came)
        return Selling(
            model,
            sales.day,
            today,
            sales.logged,
            start,
            added,
            _written(self.lately, len(start), changed, lately),
            _written(self.lasting, len(start), changed, lasting),
            _written(self.fashion, len(start), changed, _fashion(model, lately, lasting)),
            first,
            _written(self.newness, len(start), changed, _newness(came, today)),
        )

    def shares(self, category: Array, categories: int) -> Floats:
        """Each category's share of what sells, float64 (categories,); none is 0. ``category`` (n,), -1: none."""
        sold = np.bincount(category + 1, self.lately, minlength=categories + 1)[1:] + 0.5
        shares: Floats = np.divide(sold, max(float(sold.sum()), 1e-9))
        return shares


def _fashion(model: ChoiceModel, lately: Singles, lasting: Singles) -> Singles:
    """The logarithms as the model weighs them, on the scale of the default's weight of taste."""
    now, year, taste = (model.weights.get(name, 0.0) for name in ("popularity", "lasting", "taste"))
    fashion = np.log1p(np.maximum(lately, 0) / np.float32(SMOOTHING))
    if year > 0 and now > 0:
        fashion += np.float32(year / now) * np.log1p(np.maximum(lasting, 0) / np.float32(SMOOTHING))
    fashion *= np.float32(max(taste, LEAST) / DEFAULT.weights["taste"])
    return fashion


def _newness(came: Array, day: int) -> Singles:
    ages: Floats = np.where(came > 0, (day - came).astype(np.float64), np.inf)
    newness: Singles = newness_of(ages).clip(0.0).astype(np.float32)
    return newness


def _written(array: Array, size: int, rows: Array, values: Array) -> Array:
    """A copy of ``size`` rows with ``values`` at ``rows``; the array itself where they stand there already."""
    if size == len(array) and np.array_equal(array[rows], values):
        return array
    made = np.empty(size, array.dtype)
    made[: len(array)] = array
    made[rows] = values
    return made
