"""What somebody who works with a shop sees first: how it sells, what rises and falls, and what is never recommended."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from modiste.ask import Ask
from modiste.catalog.values import utc_now
from modiste.shop import schema
from modiste.shop.lists import questions_of, ranked
from modiste.shop.purchases import last_purchase
from modiste.shop.question import Question
from modiste.shop.shop import SPARING, Shop
from modiste.shop.snapshot import STATES, Snapshot
from modiste.shop.status import Status
from modiste.shop.storefront import Funnel
from modiste.shop.trends import by_week, compared, grouped, unusual

WEEKS = 26
"""So many weeks of sales are told."""

WINDOW = 28.0
"""Days that are held against as many before them."""

SHOWN = 8
"""So many items that rise, and that fall."""

SEEN_DAYS = 7
"""Of so many days it is told what came of the lists on the shop's pages."""

SAMPLE = 400
"""So many lists tell what is recommended, half of them shoppers', half of them on items' pages, if time allows."""

SECONDS = 2.0
"""For so long lists are made."""

NEVER = 24
"""So many items that are in no list are named."""

_AT_ONCE = 20  # lists between two looks at the clock
_ONE = Lock()  # whoever asks while lists are being made waits for them


@dataclass(frozen=True)
class Reach:
    """What of a catalogue some ``lists`` of ``top`` recommend.

    ``items`` are all; ``reached`` those on offer that are in a list, or of which another view is (one of a product's,
    or of those with one picture, takes its place). ``why`` tells of the others how many are: hidden, not available,
    sold out, without a photo, without a vector, or out-competed: on offer, and in none of these lists; ``never`` are
    some of these by id.
    ``every`` tells whether there are no other lists; ``likely`` is how many items all lists are likely to reach at
    least, as those that were in one or two of these tell (Chao, 1984).
    """

    lists: int
    top: int
    items: int
    reached: int
    why: Mapping[str, int]
    never: tuple[str, ...]
    every: bool
    likely: int


@dataclass(frozen=True)
class Overview:
    """A shop at one moment.

    ``at`` is the last purchase's time, to which ``weeks`` (each with its begin) and the windows of ``window`` days
    lead. ``rising`` and ``falling`` have the columns of :func:`~modiste.shop.trends.compared`, with title, category and
    image. ``synced`` are the time (UTC) of the last sync and what came of it. ``never_sold`` are items on offer that
    nobody bought; ``lists`` is what came of those that were seen on the shop's pages in the last SEEN_DAYS.
    """

    status: Status
    at: datetime | None
    window: float
    weeks: list[tuple[datetime, int]]
    rising: pl.DataFrame
    falling: pl.DataFrame
    reach: Reach
    synced: tuple[datetime, dict[str, int]] | None
    never_sold: int
    lists: list[Funnel]


def overview(shop: Shop, window: float = WINDOW) -> Overview:
    """The shop now. Raises SettingError for a window that can't be."""
    with shop.moments.now() as (snapshot, connection):
        at = last_purchase(connection)
        weeks = [] if at is None else list(by_week(connection, WEEKS, at))
        found = compared(connection, window, at or datetime(1970, 1, 1))
    rising, falling = (named(snapshot, unusual(found, rises, SHOWN)) for rises in (True, False))
    status = shop.status()
    have = status.coverage
    synced = None if have.last_sync is None else (have.last_sync, have.synced)
    never_sold = shop.items.browse(state="never sold", limit=0).total
    return Overview(status, at, window, weeks, rising, falling, reach(shop), synced, never_sold, _lists(shop, snapshot))


def _lists(shop: Shop, snapshot: Snapshot) -> list[Funnel]:
    """What came of the lists on the shop's pages; it holds for SPARING times as long as it took."""
    began = monotonic()
    known: tuple[float, list[Funnel]] | None = snapshot.kept.get("lists")
    if known is None or known[0] < began:
        found = shop.storefront.funnel(utc_now() - timedelta(days=SEEN_DAYS))
        known = snapshot.kept["lists"] = (monotonic() + SPARING * (monotonic() - began), found)
    return known[1]


def trends(shop: Shop, by: str = "item", window: float = WINDOW) -> pl.DataFrame:
    """What sold in the last ``window`` days against as many before: of each item (with title, category and image), or
    by ``category``, ``colour`` or ``price`` band; as :func:`~modiste.shop.trends.compared`, the most bought first.

    Raises SettingError for another window or name.
    """
    with shop.moments.now() as (snapshot, connection):
        now = last_purchase(connection) or datetime(1970, 1, 1)
        if by == "item":
            found = compared(connection, window, now).sort("bought", "name", descending=[True, False])
            return named(snapshot, found)
        prices = snapshot.column("price")[snapshot.column("alive")]
        return grouped(connection, window, now, by, prices, currency_of(connection))


def currency_of(connection: sa.Connection) -> str | None:
    """The currency of all prices; None where none is known, or several are."""
    currency = schema.items.c.currency
    found = connection.execute(sa.select(currency).where(currency.is_not(None)).distinct().limit(2)).scalars().all()
    return found[0] if len(found) == 1 else None


def named(snapshot: Snapshot, found: pl.DataFrame) -> pl.DataFrame:
    """With title, category and image of the items ``name``; without those that are gone."""
    items = [snapshot.item(row) if (row := snapshot.find(one)) >= 0 else None for one in found["name"]]
    columns = [
        pl.Series(key, [item and item[key] for item in items], pl.String) for key in ("title", "category", "image")
    ]
    return found.with_columns(columns).filter(pl.Series([item is not None for item in items], dtype=pl.Boolean))


def reach(shop: Shop, *, lists: int = SAMPLE, seconds: float = SECONDS) -> Reach:
    """What is recommended in at most so many lists, made as by default, for at most about so many ``seconds``.

    Made once for each revision of the shop.
    """
    with _ONE, shop.moments.now() as (snapshot, connection):
        known: tuple[Any, Reach] | None = snapshot.kept.get("reach")
        key = snapshot.revision, lists, seconds
        if known is None or known[0] != key:
            known = snapshot.kept["reach"] = key, _reach(shop, snapshot, connection, lists, seconds)
        return known[1]


def _reach(shop: Shop, snapshot: Snapshot, connection: sa.Connection, lists: int, seconds: float) -> Reach:
    ask, until = Ask.of(), monotonic() + seconds
    alive, product = snapshot.column("alive"), snapshot.column("product")
    shown, made = np.zeros(snapshot.rows, np.int64), 0
    people = schema.shoppers.c
    buyers = sa.select(people.shopper_id).where(people.purchases > 0).order_by(sa.func.random()).limit(lists // 2)
    who = list(connection.execute(buyers).scalars())
    offered = np.flatnonzero(alive & snapshot.offered)
    some = np.random.default_rng(0).permutation(offered)[: lists - len(who)]
    every = len(some) == len(offered) and len(who) < lists // 2
    if len(offered):
        nobody = Question.for_nobody(snapshot, ask, 0.5).spread()
        shown[[snapshot.row(one.item_id) for one in nobody]] = 1
        made = 1
    waiting = [("shopper", one) for one in who] + [("item", snapshot.item_ids[row]) for row in some.tolist()]
    order = np.random.default_rng(1).permutation(len(waiting)).tolist()  # as many of both, however soon time is up
    for start in range(0, len(order) if len(offered) else 0, _AT_ONCE):
        if monotonic() > until:
            every = False
            break
        now = [waiting[one] for one in order[start : start + _AT_ONCE]]
        for rows in _listed(shop, snapshot, connection, ask, now):
            shown[rows] += 1
            made += 1
    seen, place = np.unique(product[shown > 0], return_inverse=True)
    times = np.bincount(place, shown[shown > 0], minlength=len(seen))
    once, twice = int((times == 1).sum()), int((times == 2).sum())
    more = 0.0 if every or not len(seen) else once * (once - 1) / (2 * (twice + 1)) / len(seen)
    has = snapshot.matrix().has[: snapshot.rows] if snapshot.spaces else np.zeros(snapshot.rows, bool)
    pictures = np.where(has, snapshot.column("picture"), 0)
    alike = (pictures != 0) & np.isin(pictures, np.unique(pictures[shown > 0]))
    reached = alive & snapshot.offered & (np.isin(product, seen) | alike)
    fine = alive & ~reached & (snapshot.column("state") == 0)
    counts = np.bincount(snapshot.column("state")[alive & ~reached], minlength=len(STATES)).tolist()
    why = dict(zip(STATES[1:], counts[1:], strict=True))
    why |= {"no vector": int((fine & ~has).sum()), "out-competed": int((fine & has).sum())}
    never = sorted(snapshot.item_ids[row] for row in np.flatnonzero(fine & has).tolist())[:NEVER]
    why = {name: count for name, count in why.items() if count}
    count = int(reached.sum())
    likely = min(round(count * (1 + more)), int((alive & snapshot.offered).sum()))
    return Reach(made, ask.top, snapshot.size, count, why, tuple(never), every, max(count, likely))


def _listed(
    shop: Shop, snapshot: Snapshot, connection: sa.Connection, ask: Ask, wanted: list[tuple[str, str]]
) -> Iterator[list[int]]:
    """The rows of the list for each of some shoppers and items."""
    of_items = {one: Question.for_item(snapshot, ask, one) for kind, one in wanted if kind == "item"}
    (asked,) = questions_of(shop, snapshot, connection, [ask], [one for kind, one in wanted if kind == "shopper"])
    for questions in (of_items, {one: question for one, question in asked.items() if question.of_items}):
        for _, _, ranking, found in ranked(questions):
            yield [int(ranking.items[query, place]) for query, place in found[: ask.top]]
