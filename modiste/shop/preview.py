"""What a change of a scenario would do, before it is made: the lists of many shoppers by both, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from modiste.arrays import Ints
from modiste.ask import Ask
from modiste.behaviour.ab import wilson
from modiste.scenario import Scenario
from modiste.shop import schema
from modiste.shop.lists import lists_of, questions_of
from modiste.shop.recommendations import Moved, Recommendation, compare
from modiste.shop.reports import Progress
from modiste.shop.scenarios import ask_of
from modiste.shop.snapshot import Snapshot

if TYPE_CHECKING:
    from modiste.shop.shop import Shop

SAMPLE = 500
"""So many shoppers are looked at, if there are more."""

EXAMPLES = 3
"""Shoppers whose lists are shown."""

MOST_MOVED = 10
"""Items that are told to rise, and to fall."""

_BLOCK = 1000  # shoppers whose lists are of one moment
_AT_ONCE = 250  # and made in one go; then it is told how far it is
_THIRDS = ("avoid what others buy", "take what comes", "follow what others buy")


@dataclass(frozen=True)
class Shown:
    """What some lists show, on average: ``popularity``, the percentage of what is on offer that sells less; ``price``,
    of those that have one, None without any; ``variety``, how many categories a list has. ``coverage`` is the
    percentage of what is on offer that any of them shows.
    """

    popularity: float
    price: float | None
    variety: float
    coverage: float


@dataclass(frozen=True)
class Group:
    """Some shoppers, how many per cent of their lists change, and what these show before and after."""

    name: str
    shoppers: int
    changed: float
    before: Shown
    after: Shown


@dataclass(frozen=True)
class Mover:
    """An item and in how many lists it stands, before and after."""

    item_id: str
    before: int
    after: int


@dataclass(frozen=True)
class Example:
    """One shopper's list after the change, with how each place moved, and what dropped out of it."""

    shopper_id: str
    before: Sequence[Recommendation]
    moved: Sequence[Moved]
    dropped: Sequence[Moved]


@dataclass(frozen=True)
class Preview:
    """What a change does to the lists of ``everybody.shoppers`` of the shop's ``population`` shoppers.

    ``margin``: the 95% interval of the percentage that changes among all shoppers, None where all were looked at.
    ``thirds`` by trendiness, the lowest first; none where there are fewer than three shoppers.
    """

    name: str
    population: int
    everybody: Group
    margin: tuple[float, float] | None
    thirds: Sequence[Group]
    rises: Sequence[Mover]
    falls: Sequence[Mover]
    examples: Sequence[Example]


def preview(
    shop: "Shop",
    name: str,
    scenario: Scenario,
    before: Scenario,
    *,
    sample: int | None = SAMPLE,
    progress: Progress | None = None,
) -> Preview:
    """What asking by ``scenario`` instead of ``before`` does to the lists of ``sample`` shoppers, drawn always alike.

    With ``sample`` None to those of all. All is of one moment, where the sample is no larger than 1000. It ends with
    what ``progress`` raises.
    """
    table = schema.shoppers.c
    with shop.storage.reading() as connection:
        ids = list(connection.execute(sa.select(table.shopper_id).order_by(table.shopper_id)).scalars())
    population = len(ids)
    if sample is not None and sample < population:
        drawn = np.random.default_rng(42).choice(population, sample, replace=False)
        ids = [ids[one] for one in np.sort(drawn).tolist()]
    asks = [ask_of(one, Ask.of(scenario=name)) for one in (before, scenario)]
    lists: list[tuple[list[str], list[str]]] = []
    taste: list[float] = []
    looked_at: list[Example] = []
    for block in range(0, len(ids), _BLOCK):
        with shop.moments.now(*(one.space for one in asks)) as (snapshot, connection):
            for start in range(block, min(block + _BLOCK, len(ids)), _AT_ONCE):
                some = ids[start : min(start + _AT_ONCE, block + _BLOCK)]
                questions = questions_of(shop, snapshot, connection, asks, some)
                was, now = (lists_of(one) for one in questions)
                for who, after in now.items():
                    taste.append(float(questions[1][who].queries.trendiness[0]))
                    lists.append(([one.item_id for one in was[who]], [one.item_id for one in after]))
                    if block == 0:
                        looked_at.append(Example(who, was[who], *compare(after, was[who])))
                if progress:
                    progress(min(start + _AT_ONCE, len(ids)), len(ids))
    measure = _Measure(shop.snapshot(), lists)
    low, high = wilson(int(measure.changed.sum()), len(lists))
    order = np.argsort(np.array(taste), kind="stable")
    parts = [np.sort(part) for part in np.array_split(order, 3)] if len(lists) >= 3 else []
    rises, falls = measure.movers()
    return Preview(
        name=name,
        population=population,
        everybody=measure.group("all", np.arange(len(lists))),
        margin=None if len(lists) >= population else (100 * low, 100 * high),
        thirds=[measure.group(label, part) for label, part in zip(_THIRDS, parts, strict=False)],
        rises=rises,
        falls=falls,
        examples=_examples(looked_at, parts),
    )


class _Measure:
    """Lists before and after, of ids, and what they show at one moment."""

    def __init__(self, snapshot: Snapshot, lists: Sequence[tuple[list[str], list[str]]]) -> None:
        self._snapshot = snapshot
        self._rows = [
            tuple([row for one in side if (row := snapshot.find(one)) >= 0] for side in both) for both in lists
        ]
        self.changed = np.array([before != after for before, after in lists], bool)
        on_offer = snapshot.on_offer
        self._offered = np.ones(snapshot.rows, bool) if on_offer is None else on_offer
        counts = snapshot.popularity().counts
        sorted_counts = np.sort(counts[self._offered])
        self._percent = 100.0 * np.searchsorted(sorted_counts, counts) / max(len(sorted_counts), 1)

    def group(self, name: str, people: Ints) -> Group:
        """What changes for some shoppers."""
        changed = float(100 * self.changed[people].mean()) if len(people) else 0.0
        before, after = (self._shown([self._rows[one][side] for one in people.tolist()]) for side in (0, 1))
        return Group(name, len(people), changed, before, after)

    def _shown(self, lists: Sequence[list[int]]) -> Shown:
        rows = np.array([row for one in lists for row in one], np.int64)
        if not len(rows):
            return Shown(0.0, None, 0.0, 0.0)
        price, category = self._snapshot.column("price")[rows], self._snapshot.column("category")
        return Shown(
            popularity=float(self._percent[rows].mean()),
            price=None if np.isnan(price).all() else float(np.nanmean(price)),
            variety=float(np.mean([len(np.unique(category[one])) for one in lists if one])),
            coverage=100.0 * len(np.unique(rows)) / max(int(self._offered.sum()), 1),
        )

    def movers(self) -> tuple[list[Mover], list[Mover]]:
        """The items that come into, and go from, the most lists."""
        counts = np.zeros((2, self._snapshot.rows), np.int64)
        for side in (0, 1):
            np.add.at(counts[side], [row for one in self._rows for row in one[side]], 1)
        change = counts[1] - counts[0]
        moved = np.flatnonzero(change)
        ids = self._snapshot.item_ids
        ordered = sorted(moved.tolist(), key=lambda row: (-abs(int(change[row])), ids[row]))
        movers = [Mover(ids[row], int(counts[0, row]), int(counts[1, row])) for row in ordered]
        return (
            [one for one in movers if one.after > one.before][:MOST_MOVED],
            [one for one in movers if one.after < one.before][:MOST_MOVED],
        )


def _examples(looked_at: Sequence[Example], parts: Sequence[Ints]) -> list[Example]:
    """Shoppers whose lists change the most, of each third in turn."""

    def most(people: list[int]) -> list[Example]:
        changed = [looked_at[one] for one in people if one < len(looked_at)]
        changed = [one for one in changed if one.dropped or any(each.mark != "same" for each in one.moved)]
        return sorted(changed, key=lambda one: -sum(each.mark != "same" for each in one.moved))

    queues = [most(part.tolist()) for part in parts] or [most(list(range(len(looked_at))))]
    rounds = [queue[place] for place in range(EXAMPLES) for queue in queues if place < len(queue)]
    return rounds[:EXAMPLES]
