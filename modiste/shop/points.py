"""The approximate Top-K in PostgreSQL: pgvector ranks the whole relevance, current popularity decides.

Every item's point in the relevance's own space (:mod:`modiste.ranking.space`) lies in a table with an HNSW index by
Euclidean distance, one table for each vector space, named ``points_…``. Points are derived data: the tables are made
and renewed here, belong to no migration, and may be dropped at any time.

A point is out of date when its item's vector, category or gender has changed, or when the item's normalised popularity
is more than ``MOVED`` from what the point has. Such items are proposed to every query until they are written again, so
that a photo added or a purchase made now counts now. Where more than a quarter of all points are out of date, a table
is made anew beside the old one, which answers meanwhile.

Few items are very popular, and they lie far from all others, where a search through the graph loses its way. So the
most popular ones are proposed to every query as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects.postgresql import insert

from modiste.ranking.proposals import Proposals
from modiste.ranking.relevance import Weights
from modiste.ranking.space import ITEM_WEIGHTS, Points, Space
from modiste.ranking.topk import Candidates, Ints, Queries
from modiste.shop import database as db

MOVED = 0.05
"""How far an item's normalised popularity may be from its point's before the point is out of date."""

REBUILT = 0.25
"""The share of points out of date from which on a new table is quicker made than the old one mended."""

INDEXED_DIM = 4000
"""The most dimensions that pgvector indexes; longer points are compared one by one."""

_MOST_PENDING = 2000  # points out of date from which on ranking exactly is cheaper than scoring them all every time
_LEAST_ADMITTED = 0.1  # of all items; where fewer may be recommended, ranking exactly is cheaper than a huge pool
_POPULAR = 256  # of the most popular items are proposed to every query
_ROUNDING = 2e-3  # coordinates this near are equal: they were rounded to float16, perhaps by another machine


@dataclass(frozen=True)
class _Written:
    """The points as this process last left them: what each was made from, and each item's row."""

    candidates: Candidates
    normpop: NDArray[np.float64]
    row: Mapping[str, int]


class PointIndex(Proposals):
    """The points of one vector space in the shop's PostgreSQL database. Safe to share between threads.

    Call :meth:`refresh` when :meth:`is_stale` says so, in a thread of its own where nobody should wait, and
    :meth:`rank` at any time: before the first refresh, and wherever the database can't propose enough, it ranks
    exactly.

    Args:
        engine: of a shop in PostgreSQL.
        space: the vector space's key.
        kinds: float64 (c, e), the categories' coordinates, aligned with the candidates' similarity matrix. Where they
            change, make another index, whose first refresh renews the points.
        weights: what points are made for; any others are answered too, best where they are not far from these.
        connectivity, expansion: HNSW's M and the width of its search while building; more is better and slower.
    """

    def __init__(
        self,
        engine: sa.Engine,
        space: str,
        kinds: NDArray[np.float64],
        weights: Weights = ITEM_WEIGHTS,
        connectivity: int = 24,
        expansion: int = 100,
    ) -> None:
        super().__init__(Space(kinds, weights))
        self.engine = engine
        self.name = f"points_{blake2b(space.encode(), digest_size=8).hexdigest()}"
        self.connectivity, self.expansion = connectivity, expansion
        self._written: _Written | None = None
        self._refreshing = Lock()

    # Keeping the points

    def is_stale(self, candidates: Candidates) -> bool:
        """Whether some points are out of date, as far as this process knows; asks no database."""
        written = self._written
        return written is None or len(_pending(written, candidates)) > 0 or not _same_items(written, candidates)

    def refresh(self, candidates: Candidates) -> int:
        """Bring the points up to ``candidates``; returns how many were written.

        Of several threads or processes that try at once, one does it; the others return 0 without waiting.
        """
        if not len(candidates) or not self._refreshing.acquire(blocking=False):
            return 0
        try:
            with self.engine.connect() as connection, connection.begin():
                lock = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended(current_schema() || :name, 1))")
                if not connection.execute(lock, {"name": self.name}).scalar():
                    return 0
                points = self.space.items(candidates).astype("<f2")
                rows, gone, normpop = self._out_of_date(connection, candidates, points)
                if len(rows) > REBUILT * len(candidates):
                    rows, normpop = np.arange(len(candidates)), candidates.normpop
                    self._rebuild(connection, candidates, points)
                else:
                    self._insert(connection, self.name, candidates, points, rows)
                    table = _table(self.name)
                    if gone:
                        connection.execute(sa.delete(table).where(table.c.item_id == sa.bindparam("gone")), gone)
            row = {one: number for number, one in enumerate(candidates.item_ids)}
            self._written = _Written(candidates, normpop, row)
            return len(rows)
        finally:
            self._refreshing.release()

    def _out_of_date(
        self, connection: sa.Connection, candidates: Candidates, points: NDArray[np.float16]
    ) -> tuple[Ints, list[dict[str, str]], NDArray[np.float64]]:
        """Rows whose stored points differ from ``points``, points without an item, and the popularity in each point."""
        everything: tuple[Ints, list[dict[str, str]], Any] = np.arange(len(candidates)), [], candidates.normpop
        dim = connection.execute(
            sa.text("SELECT atttypmod FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attname = 'point'"),
            {"name": self.name},
        ).scalar()
        if dim != points.shape[1]:
            return everything
        table = _table(self.name)
        found = connection.execute(sa.select(table.c.item_id, table.c.gender, table.c.point)).all()
        if not found:
            return everything
        row = {one: number for number, one in enumerate(candidates.item_ids)}
        known = np.array([row.get(one, -1) for one, _, _ in found])
        there = known >= 0
        stored = np.frombuffer(b"".join(point for _, _, point in found), "<f2").reshape(len(found), dim)[there]
        gender = np.array([gender for _, gender, _ in found], np.int8)[there]
        rows = known[there]
        popularity = candidates.vectors.shape[1] + 1  # the coordinate after the vector's and its spare one
        off = np.abs(stored.astype(np.float32) - points[rows])
        held = stored[:, popularity] / np.sqrt(self.space.weights.beta)
        right = (np.abs(held - candidates.normpop[rows]) <= MOVED) & (gender == candidates.gender[rows])
        off[:, popularity] = 0
        right &= off.max(axis=1) <= _ROUNDING
        normpop = candidates.normpop.copy()
        normpop[rows[right]] = held[right]
        gone = [{"gone": one} for (one, _, _), here in zip(found, there, strict=True) if not here]
        return np.setdiff1d(np.arange(len(candidates)), rows[right]), gone, normpop

    def _rebuild(self, connection: sa.Connection, candidates: Candidates, points: NDArray[np.float16]) -> None:
        """A new table beside the old one, and in its place when it is done."""
        new, dim = f"{self.name}_new", points.shape[1]
        connection.execute(
            sa.text(
                f'CREATE TABLE {new} (item_id varchar COLLATE "C" PRIMARY KEY, gender smallint NOT NULL, '
                f"point halfvec({dim}) NOT NULL)"
            )
        )
        self._insert(connection, new, candidates, points, np.arange(len(candidates)))
        if dim <= INDEXED_DIM:
            for setting in ("maintenance_work_mem = '256MB'", "max_parallel_maintenance_workers = 0"):
                connection.execute(sa.text(f"SET LOCAL {setting}"))  # a container's shared memory may be small
            connection.execute(
                sa.text(
                    f"CREATE INDEX ON {new} USING hnsw (point halfvec_l2_ops) "
                    f"WITH (m = {self.connectivity}, ef_construction = {self.expansion})"
                )
            )
        connection.execute(sa.text(f"ANALYZE {new}"))
        connection.execute(sa.text(f"DROP TABLE IF EXISTS {self.name}"))
        connection.execute(sa.text(f"ALTER TABLE {new} RENAME TO {self.name}"))

    def _insert(
        self, connection: sa.Connection, name: str, candidates: Candidates, points: NDArray[np.float16], rows: Ints
    ) -> None:
        if not len(rows):
            return
        put = insert(_table(name))
        put = put.on_conflict_do_update(
            index_elements=["item_id"], set_={"gender": put.excluded.gender, "point": put.excluded.point}
        )
        connection.execute(
            put,
            [
                {
                    "item_id": candidates.item_ids[row],
                    "gender": int(candidates.gender[row]),
                    "point": points[row].tobytes(),
                }
                for row in rows.tolist()
            ],
        )

    # Asking

    def _nearest(self, candidates: Candidates, points: Points, queries: Queries, count: int) -> list[Ints]:
        """Rows of ``count`` of the nearest items, of the most popular, and of all whose points are out of date."""
        nothing = [np.empty(0, np.int64)] * len(queries)
        written = self._written
        share = 1.0 if candidates.allowed is None else float(candidates.allowed.mean())
        if written is None or not len(queries) or share < _LEAST_ADMITTED:
            return nothing
        pending = _pending(written, candidates)
        if len(pending) > _MOST_PENDING:
            return nothing
        rest = max(0, len(candidates) - _POPULAR)
        always = np.union1d(pending, np.argpartition(candidates.normpop, min(rest, len(candidates) - 1))[rest:])
        row = written.row
        if written.candidates.item_ids is not candidates.item_ids:
            row = {one: number for number, one in enumerate(candidates.item_ids)}
        wide = int(np.ceil(count / share))
        table, pools = _table(self.name), []
        try:
            with self.engine.connect() as connection:
                connection.execute(_SETTINGS, {"width": str(min(1000, max(100, 2 * wide)))})
                for query, point in enumerate(points.astype("<f2")):
                    away = table.c.point.op("<->")(sa.literal(point.tobytes(), db.VECTOR))
                    asked = sa.select(table.c.item_id).order_by(away)
                    if gender := int(queries.gender[query]):
                        asked = asked.where(table.c.gender.in_([0, gender]))
                    taken = len(queries.taken(query, candidates))
                    names = connection.execute(asked.limit(wide + taken)).scalars()
                    found = [row[name] for name in names if name in row]
                    pools.append(np.union1d(np.array(found, np.int64), always))
        except (sa.exc.ProgrammingError, sa.exc.DataError):  # the table was dropped, or renewed for other categories
            return nothing
        return pools


_SETTINGS = sa.text(
    "SELECT set_config('hnsw.ef_search', :width, true), set_config('hnsw.iterative_scan', 'relaxed_order', true)"
)


def _table(name: str) -> sa.TableClause:
    return sa.table(
        name, sa.column("item_id", db.ID), sa.column("gender", sa.SmallInteger), sa.column("point", db.VECTOR)
    )


def _same_items(written: _Written, candidates: Candidates) -> bool:
    return candidates.item_ids is written.candidates.item_ids or candidates.item_ids == written.candidates.item_ids


def _pending(written: _Written, candidates: Candidates) -> Ints:
    """Rows of the candidates whose points are out of date."""
    old, places = written.candidates, np.arange(len(candidates))
    if not _same_items(written, candidates):
        places = np.array([written.row.get(one, -1) for one in candidates.item_ids], np.int64)
    off = (places < 0) | (np.abs(candidates.normpop - written.normpop[places]) > MOVED)
    for name in ("vectors", "has_vector", "category", "gender"):
        now: NDArray[Any] = getattr(candidates, name)
        then: NDArray[Any] = getattr(old, name)
        if now is not then:
            same = now.shape[1:] == then.shape[1:] and now == then[places]
            off |= ~np.asarray(same).reshape(len(candidates), -1).all(axis=1) if np.ndim(same) else not same
    return np.flatnonzero(off)
