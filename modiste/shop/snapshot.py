"""One moment of a shop: its items, stores, vectors and sales at one revision, as arrays that nobody changes.

A later snapshot shares whatever is the same. What comes is written behind the rows that an earlier one reads; what
changes is copied first. So a question keeps to one snapshot, and is answered from one moment.
"""

import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modiste.arrays import Array, Bools, Floats, Ints, Singles
from modiste.behaviour.choice import DEFAULT, ChoiceModel
from modiste.behaviour.popularity import decayed_counts, normalise
from modiste.behaviour.stores import distances_km
from modiste.catalog.items import GENDERS
from modiste.catalog.taxonomy import Taxonomy
from modiste.catalog.values import composed
from modiste.errors import UnknownIdError
from modiste.ranking.candidates import Candidates
from modiste.ranking.relevance import Formula, Scale
from modiste.rules import near
from modiste.shop import schema
from modiste.shop.arrays import Ids, mapped, written
from modiste.shop.selling import Selling
from modiste.vision.embedding import VectorSpace
from modiste.vision.reduction import Reduction

FIELDS = tuple(column.name for column in schema.items.c if column.name != "revision")
"""What a snapshot knows of an item, in the order in which records have it."""

DTYPES: dict[str, type] = {
    "alive": np.bool_, "category": np.int32, "gender": np.int8, "children": np.bool_, "product": np.int64,
    "price": np.float64, "store": np.int32, "popularity": np.float64, "group": np.int64, "state": np.int8,
    "came": np.int32, "picture": np.int64,
}  # fmt: skip
"""The columns of a snapshot, a value for each row. ``category`` and ``store`` number the snapshot's names (-1: none);
``gender`` and ``group`` are as :class:`Candidates` has them; ``product`` is a hash, and so is ``picture``, equal where
the photos that show items are the same file byte for byte, 0 without a photo; ``price`` is NaN where
there is none; ``popularity`` is the count before any purchase here; ``state`` numbers STATES; ``came`` is the day it
came, as its source says or else when it was added, 0 where its age is not known."""

STATES = ("on offer", "hidden", "not available", "sold out", "no photo")
"""What an item is in: what comes first where several hold. The second to the fourth are not recommended."""

MOST_HALF_LIVES = 8
"""For how many half-lives the popularity stays in memory."""

MOST_SELLING = 4
"""And for how many what sells by the choice model."""

_PLACE, _NOWHERE = ("store_id", "latitude", "longitude"), (np.nan, np.nan)
Key = TypeVar("Key", int, Ints)
_DAY_BITS = 22  # of a key of sales: item's row and day in one number, up to the year 9999


@dataclass(frozen=True, eq=False)
class Matrix:
    """The vectors of one space by row: float32, of unit length the look and, in the last ``colour_dim`` places, the
    colour; zeros where there is none.

    ``vectors`` (capacity, d) and ``has`` (capacity,) may hold more rows than a snapshot reads. ``file`` is what
    ``vectors`` is a private map of, None for memory; ``fresh`` are the vectors written since the file was, by row, and
    ``overwritten`` tells whether some that are in the file are not true any more. ``lost`` are rows without a vector
    whose old one an earlier snapshot may be reading in ``vectors``.
    """

    vectors: Singles
    has: Bools
    reduction: Reduction | None = None
    file: Path | None = None
    fresh: Mapping[int, Singles] = field(default_factory=dict)
    overwritten: bool = False
    lost: frozenset[int] = frozenset()
    colour_dim: int = 0
    scales: tuple[Scale, Scale] = (Scale(), Scale())

    @property
    def looks(self) -> Singles:
        """The looks alone, (capacity, d - colour_dim)."""
        return self.vectors[:, : self.vectors.shape[1] - self.colour_dim]

    def changed(self, used: int, total: int, rows: Ints, vectors: Singles, gone: Ints) -> "Matrix":
        """With ``vectors`` (m, d) at ``rows``, none at the rows ``gone``, and room for ``total`` rows.

        Others read the first ``used`` rows, and go on doing so.
        """
        has, array, file, inside = self.has, self.vectors, self.file, rows < used
        went = gone[gone < used]
        went = went[has[went]]
        held = np.zeros(len(rows), bool)  # where others read a vector
        held[inside] = has[rows[inside]] | np.isin(rows[inside], list(self.lost))
        new = ~held
        new[held] = np.any(array[rows[held]] != vectors[held], axis=1)
        replaced = bool((held & new).any())
        fresh = {**self.fresh, **dict(zip(rows[new].tolist(), vectors[new], strict=True))}
        lost = self.lost.union(went.tolist())
        if replaced or total > len(array):  # not where somebody may be reading
            capacity = len(array) if total <= len(array) else total + total // 8
            array, file = self._moved(used, capacity, fresh)
            has = np.concatenate([has[:used], np.zeros(capacity - used, bool)])
            lost = frozenset()
        array[rows[new]] = vectors[new]
        has = written(has, used, rows, np.ones(len(rows), bool))
        has = written(has, used, gone, np.zeros(len(gone), bool))
        overwritten = self.overwritten or replaced or bool(len(went))
        return replace(self, vectors=array, has=has, file=file, fresh=fresh, overwritten=overwritten, lost=lost)

    def _moved(self, used: int, capacity: int, fresh: Mapping[int, Singles]) -> tuple[Singles, Path | None]:
        """The first ``used`` vectors where nobody reads them: in another map of the file, or in memory."""
        if self.file is not None:
            with suppress(OSError):  # the folder can't be written, or the files were deleted
                array = mapped(self.file, capacity, self.vectors.shape[1])
                for row, vector in fresh.items():
                    array[row] = vector
                return array, self.file
        array = np.zeros((capacity, self.vectors.shape[1]), np.float32)
        array[:used] = self.vectors[:used]
        return array, None


@dataclass(frozen=True, eq=False)
class Popularity:
    """How popular each item is: ``counts`` and ``normpop`` in [0, 1] (min-max over the items), float64 (n,).

    ``sums`` are the counts or, with a half-life, the purchases alone, worth what they are on ``day``; ``position`` is
    how far of the log they go, and ``source`` the columns they were added to.
    """

    sums: Floats
    day: int
    position: int
    counts: Floats
    normpop: Floats
    source: tuple[Array, Array, int]


@dataclass(frozen=True, eq=False)
class Sales:
    """What was bought on which day: sorted keys (row and day) with counts, then a log of (row, day, change). Other
    events count as much as their kinds weigh.

    ``logged`` is how much of the log belongs to the snapshot: the list goes on growing. ``day`` is the last one on
    which something was bought, -1 without any.
    """

    keys: Ints
    bought: Floats
    day: int = -1
    since: Mapping[int, float] = field(default_factory=dict)
    log: list[tuple[int, int, float]] = field(default_factory=list)
    logged: int = 0

    def rows_days(self) -> tuple[Ints, Ints, Floats]:
        """Row, day and what was bought, sorted; none of what was taken back whole."""
        keys, bought = self.all()
        if not bought.all():
            keys, bought = keys[bought != 0], bought[bought != 0]
        return keys >> _DAY_BITS, keys & ((1 << _DAY_BITS) - 1), bought

    @staticmethod
    def key(row: Key, day: Key) -> Key:
        """Row and day as one number, in whose order the keys are sorted."""
        return row << _DAY_BITS | day

    def count(self, key: int) -> float:
        """How many were bought."""
        if key in self.since:
            return self.since[key]
        place = int(np.searchsorted(self.keys, key))
        return float(self.bought[place]) if place < len(self.keys) and self.keys[place] == key else 0.0

    def changed(self, counts: Iterable[tuple[int, int, float]]) -> "Sales":
        """With other counts: row, day and how many were bought."""
        since, day, undone = dict(self.since), self.day, False
        del self.log[self.logged :]
        for row, when, bought in counts:
            key = self.key(row, when)
            if change := bought - (since[key] if key in since else self.count(key)):
                self.log.append((row, when, change))
                since[key] = bought
                day, undone = max(day, when if bought else -1), undone or (not bought and when == self.day)
        made = replace(self, since=since, day=day, logged=len(self.log))
        if not undone:
            return made
        keys, counted = made.all()
        return replace(made, day=int((keys[counted > 0] & ((1 << _DAY_BITS) - 1)).max(initial=-1)))

    def of(self, rows: Collection[int]) -> list[tuple[int, int, float]]:
        """The days of some rows with what was bought: row, day, count; sorted."""
        wanted = set(rows)
        counted: dict[int, float] = {}
        for row in wanted:
            low, high = np.searchsorted(self.keys, [self.key(row, 0), self.key(row + 1, 0)])
            counted.update(zip(self.keys[low:high].tolist(), self.bought[low:high].tolist(), strict=True))
        counted.update((key, many) for key, many in self.since.items() if key >> _DAY_BITS in wanted)
        return [(key >> _DAY_BITS, key & ((1 << _DAY_BITS) - 1), many) for key, many in sorted(counted.items())]

    def all(self) -> tuple[Ints, Floats]:
        """Every key, sorted, with its count."""
        if not self.since:
            return self.keys, self.bought
        new = np.array(sorted(self.since), np.int64)
        kept = ~np.isin(self.keys, new)
        keys = np.concatenate([self.keys[kept], new])
        bought = np.concatenate([self.bought[kept], np.array([self.since[one] for one in new.tolist()])])
        order = np.argsort(keys, kind="stable")
        return keys[order], bought[order]

    def sums(self, rows: int, half_life: float | None) -> Floats:
        """Purchases of each row, float64 (rows,), each worth 2^(-age / half_life) on the last day."""
        keys, bought = self.all()
        age = self.day - (keys & ((1 << _DAY_BITS) - 1))
        return decayed_counts(keys >> _DAY_BITS, age, half_life, np.zeros(rows), bought)


_FOUND_AGAIN = 50_000  # ids whose rows are remembered; what sells is asked for by everybody


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A shop at one revision. Ints are items in no order, some of them gone; :meth:`row` finds an id's.

    ``columns`` are those of DTYPES, with room behind the first ``rows``. ``order`` has the rows of the first ids sorted
    by id; ``moved`` tells where ids are that came (or went: -1) since. ``similarity`` is that of ``categories``.
    ``source`` names the files it was opened from. ``model`` is the choice model in use, ``tunings`` are
    those there are. ``kept`` is for what others
    work out once, for later snapshots too, ``derived`` for this one.
    """

    revision: int
    mark: str
    name: str
    folder: Path
    taxonomy: Taxonomy
    rows: int
    item_ids: Ids
    records: Sequence[str]
    changed: Mapping[int, Mapping[str, Any]]
    order: NDArray[np.int32]
    moved: Mapping[str, int]
    columns: Mapping[str, Array]
    categories: tuple[str, ...]
    similarity: Floats
    store_ids: tuple[str, ...]
    stores: pl.DataFrame
    spaces: tuple[VectorSpace, ...]
    matrices: Mapping[str, Matrix]
    sales: Sales
    source: str = ""
    model: ChoiceModel = DEFAULT
    tunings: Mapping[str, ChoiceModel] = field(default_factory=dict)
    _candidates: dict[tuple[str, float | None, Formula | None], Candidates] = field(default_factory=dict, init=False)
    _popularity: dict[float | None, Popularity] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    derived: dict[Any, Any] = field(default_factory=dict, init=False)
    _lock: Any = field(default_factory=Lock)

    # Items

    def row(self, item_id: str | None) -> int:
        """The item's row. Raises UnknownIdError."""
        row = self.find(item_id)
        if row < 0:
            raise UnknownIdError(f"no item {item_id!r} in {self.name}")
        return row

    def find(self, item_id: str | None) -> int:
        """The item's row, -1 for an id that the shop doesn't have."""
        if item_id is None:
            return -1
        item_id = composed(item_id)
        if item_id in self.moved:
            return self.moved[item_id]
        order, rows = self.kept.get("rows", (None, {}))
        if order is not self.order:
            order, rows = self.kept["rows"] = (self.order, {})
        if (row := rows.get(item_id)) is not None:
            return int(row)
        place = self.place(item_id)
        row = int(order[place]) if place < len(order) else -1
        if row < 0 or self.item_ids[row] != item_id:
            return -1
        if len(rows) < _FOUND_AGAIN:
            rows[item_id] = row
        return row

    def place(self, item_id: str) -> int:
        """Where ``item_id`` is in ``order``, or would be."""
        return bisect_left(self.order, item_id, key=self.item_ids.__getitem__)

    def item(self, row: int) -> dict[str, Any]:
        """What is known of the item, by FIELDS, with absolute paths, and ``came`` as a date."""
        record = self.changed.get(row)
        item = dict(record) if record else dict(zip(FIELDS, json.loads(self.records[row]), strict=True))
        for name in ("image", "mask", "shown"):
            item[name] = None if item[name] is None else str(self.folder / item[name])
        item["came"] = date.fromordinal(item["came"]) if item["came"] else None
        item["photos"] = [str(self.folder / one) for one in json.loads(item["photos"] or "[]")]
        return item

    def column(self, name: str) -> Array:
        """One of DTYPES, (rows,)."""
        return self.columns[name][: self.rows]

    @property
    def alive(self) -> Bools | None:
        """Which rows are items of the shop, bool (rows,); None where all are."""
        return None if self.size == self.rows else self.column("alive")

    def said(self, name: str) -> Ints:
        """The category or gender that the shop itself says of each row, int64 (rows,): its number in ``categories`` or
        GENDERS, -1 where it says none."""
        column = self.column(name).astype(np.int64)
        return column if name == "category" else np.where(column > len(GENDERS), -1, column - 1)

    @cached_property
    def offered(self) -> Bools:
        """Which rows are not hidden, unavailable or sold out, bool (rows,)."""
        state = self.column("state")
        offered: Bools = (state == 0) | (state == STATES.index("no photo"))
        return offered

    @cached_property
    def on_offer(self) -> Bools | None:
        """Which rows may be recommended, bool (rows,): items of the shop that are not sold out; None where all are."""
        on_offer = self.column("alive") & self.offered
        return None if on_offer.all() else on_offer

    @cached_property
    def size(self) -> int:
        """How many items there are."""
        return int(np.count_nonzero(self.column("alive")))

    # Where things are

    def distances_km(self, position: tuple[float, float] | None) -> Floats | None:
        """Each row's distance to its store, float64 (rows,), NaN where it has none; None where nothing is known."""
        if position is None or self.stores.is_empty():
            return None
        return distances_km(position, self._places)[self.column("store")]

    @cached_property
    def _places(self) -> Floats:
        """Where each of ``store_ids`` is, degrees, float64 (stores + 1, 2), NaN where that isn't known; the last one is
        no store."""
        known = {name: (latitude, longitude) for name, latitude, longitude in self.stores.select(*_PLACE).iter_rows()}
        return np.array([*(known.get(one, _NOWHERE) for one in self.store_ids), _NOWHERE])

    # Vectors

    def space(self, wanted: VectorSpace | str | None = None) -> VectorSpace:
        """A vector space by its key or backbone, by default the latest embedded into. Raises UnknownIdError."""
        if isinstance(wanted, VectorSpace):
            return wanted
        if not self.spaces:
            raise UnknownIdError(
                f"{self.name} has no vectors yet, or another Modiste's alone; make them with: modiste embed {self.name}"
            )
        if wanted is None:
            return self.spaces[0]
        for one in self.spaces:
            if wanted in (one.key, one.backbone):
                return one
        raise UnknownIdError(f"no vector space {wanted!r} here; there are: {', '.join(one.key for one in self.spaces)}")

    # Popularity

    def popularity(self, half_life: float | None = None) -> Popularity:
        """How popular each item is now; with ``half_life`` (days) a purchase counts 2^(-age / half-life)."""
        source = (self.columns["popularity"], self.columns["alive"], self.rows)
        with self._lock:
            known = self._popularity.get(half_life)
            if known is not None and known.position == self.sales.logged and _same(known.source, source):
                return known
            sums = self._sums(known, half_life)
            counts = sums if half_life is None else sums + self.column("popularity")
            alive = self.alive
            normpop = normalise(counts) if alive is None else _normalised(counts, alive)
            made = Popularity(sums, self.sales.day, self.sales.logged, counts, normpop, source)
            if known is None or known.position <= made.position:
                while len(self._popularity) >= MOST_HALF_LIVES:
                    self._popularity.pop(next(iter(self._popularity)))
                self._popularity[half_life] = made
            return made

    def _sums(self, known: Popularity | None, half_life: float | None) -> Floats:
        """From what was known, if that is not far."""
        sales, start = self.sales, self.column("popularity") if half_life is None else np.zeros(1)
        far = known is None or not 0 <= sales.logged - known.position <= 10_000 or sales.day < known.day
        if known is None or far or (half_life is None and known.source[0] is not self.columns["popularity"]):
            return sales.sums(self.rows, half_life) + start
        sums, shared = np.empty(self.rows), min(self.rows, len(known.sums))
        sums[:shared], sums[shared:] = known.sums[:shared], start[shared:] if half_life is None else 0
        if half_life is not None and sales.day != known.day and known.day >= 0:
            sums *= np.exp2((known.day - sales.day) / half_life)
        for row, day, change in sales.log[known.position : sales.logged]:
            sums[row] += change if half_life is None else change * np.exp2((day - sales.day) / half_life)
        return sums

    def selling(self, half_life: float | None = None) -> Selling:
        """What sells as the choice model in use has it, with another half-life where one is asked for."""
        model = self.model if half_life is None else replace(self.model, half_life=half_life)
        given, many = (self.column("popularity"), self.column("came")), self.kept.setdefault("selling", {})
        known: Selling | None = many.get(model.half_life)
        made = Selling.of(model, self.sales, *given) if known is None else known.after(model, self.sales, *given)
        if known is None or made.position >= known.position:
            while model.half_life not in many and len(many) >= MOST_SELLING:
                many.pop(next(iter(many)), None)
            many[model.half_life] = made
        return made

    def tuned(self, name: str | None) -> "Snapshot":
        """The same moment by another tuning than the one in use, or by the "defaults". Raises UnknownIdError."""
        if name is None:
            return self
        if name != "defaults" and name not in self.tunings:
            raise UnknownIdError(f"no tuning {name!r} in {self.name}{near(name, ['defaults', *self.tunings])}")
        model = DEFAULT if name == "defaults" else self.tunings[name]
        if model == self.model:
            return self
        known: Snapshot | None = self.derived.get(name)
        if known is None or known.model != model:
            known = self.derived[name] = replace(self, model=model, kept=self.kept.setdefault(f"tuned {name}", {}))
        return known

    # Ranking

    def candidates(
        self,
        space: VectorSpace | str | None = None,
        half_life: float | None = None,
        formula: Formula | None = None,
    ) -> Candidates:
        """All rows as the ranking takes them; those of items that are gone are not allowed.

        With ``formula`` without what the other formula alone takes. Raises UnknownIdError for a vector space that the
        shop doesn't have, or that the snapshot was not taken with.
        """
        key = self.space(space).key if self.spaces else ""
        known = self._candidates.get((key, half_life, formula))
        if known is not None:
            return known
        matrix = (
            self.matrix(space)
            if self.spaces
            else Matrix(np.zeros((self.rows, 1), np.float32), np.zeros(self.rows, bool))
        )
        selling = None if formula == "paper" else self.selling(half_life)
        made = Candidates(
            vectors=matrix.vectors[: self.rows],
            has_vector=matrix.has[: self.rows],
            normpop=self.popularity(half_life).normpop if formula != "choice" else np.broadcast_to(0.0, self.rows),
            fashion=None if selling is None else selling.fashion,
            newness=None if selling is None else selling.newness,
            children=self.column("children"),
            colour_dim=matrix.colour_dim,
            scales=matrix.scales,
            category=self.column("category"),
            similarity=self.similarity,
            gender=self.column("gender"),
            product=self.column("product"),
            item_ids=self.item_ids,
            allowed=self.alive,
            group=self.column("group"),
        )
        if len(self._candidates) < MOST_HALF_LIVES:
            self._candidates[key, half_life, formula] = made
        return made

    def matrix(self, space: VectorSpace | str | None = None) -> Matrix:
        """The vectors of a space. Raises UnknownIdError as :meth:`candidates`."""
        key = self.space(space).key
        if key not in self.matrices:
            raise UnknownIdError(f"the snapshot was taken without {key}; take it with: shop.snapshot({key!r})")
        return self.matrices[key]


def record(values: Iterable[Any]) -> str:
    """What is known of an item, the values of FIELDS, as a snapshot's records have it."""
    return json.dumps(list(values), ensure_ascii=False, separators=(",", ":"))


def _same(one: tuple[Array, Array, int], other: tuple[Array, Array, int]) -> bool:
    return one[0] is other[0] and one[1] is other[1] and one[2] == other[2]


def _normalised(counts: Floats, alive: Bools) -> Floats:
    """Min-max over the rows that are alive; 0 for the others."""
    normpop = np.zeros(len(counts))
    normpop[alive] = normalise(counts[alive])
    return normpop
