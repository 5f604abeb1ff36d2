"""``shop.storefront``: which lists were served, seen and clicked on the shop's own pages, and what was bought of them.

A list's id says itself what it is (placement, scenario, items in order, who it was made for), signed with the shop's
secret. So nothing is written when a list is served, whatever process serves it, and nobody can report a list that none
served. A row is written when the list is seen, in a transaction of its own that no snapshot and no list waits for.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

import polars as pl
import sqlalchemy as sa

from modiste.behaviour.ab import wilson
from modiste.catalog.values import composed, utc_now
from modiste.errors import SettingError
from modiste.shop import schema
from modiste.shop.storage import Storage, Writing, chunks, frame, upsert

KEPT_DAYS = 180
"""Lists that were seen are kept for so long; the id of one that was served before is refused."""

WINDOW = 7.0
"""Days after a click in which what is bought counts for the list."""

STEPS = ("clicked", "cart", "bought")
"""How far somebody comes who saw a list."""

_MAC = 12  # bytes


@dataclass(frozen=True, slots=True)
class Served:
    """A list as it was served, in the hour of ``at`` (UTC): where, by which scenario, to whom (None: not told), and its
    items.

    In an experiment ``variant`` is ``a`` or ``b``, chosen with ``propensity``, or ``ab`` where it was interleaved: then
    ``teams`` has a letter for each item.
    """

    placement: str
    scenario: str | None
    items: tuple[str, ...]
    at: datetime
    who: str | None = None
    experiment: str | None = None
    variant: str | None = None
    teams: str | None = None
    propensity: float = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """That a list came into view, or with ``item_id`` that this item of it was clicked; None for ``at``: now.

    ``session`` is what the storefront calls whoever saw it, where the list's id doesn't say for whom it was made.
    """

    list_id: str
    item_id: str | None = None
    at: datetime | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """So many of those who saw the list, their share and its 95% interval (Wilson), in [0, 1]."""

    people: int
    share: float
    low: float
    high: float

    @classmethod
    def of(cls, people: int, n: int) -> "Share":
        """``people`` of ``n``."""
        return cls(people, people / n if n else 0.0, *wilson(people, n))


@dataclass(frozen=True, slots=True)
class Funnel:
    """What came of the lists of one placement, scenario and variant: lists and people who saw them, pieces
    bought and how many came back, and how many of these people clicked, put what they clicked into the cart, and
    bought it."""

    placement: str
    scenario: str | None
    experiment: str | None
    variant: str | None
    lists: int
    people: int
    pieces: int
    returned: int
    clicked: Share
    cart: Share
    bought: Share


class Storefront:
    """A shop's lists out in the world."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._cleared: datetime | None = None

    @cached_property
    def _secret(self) -> bytes:
        table = schema.settings.c
        with self._storage.reading() as connection:
            return bytes.fromhex(connection.execute(sa.select(table.value).where(table.name == "secret")).scalar_one())

    # Ids

    def sign(self, served: Served) -> str:
        """The list's id: letters, digits, - and _; some 100 characters and 5 for each item.

        Of the time it has the hour: the same list, for the same person, has the same id when a page is loaded again.
        """
        hour = int(served.at.replace(tzinfo=UTC).timestamp() // 3600)
        said = (
            served.placement, served.scenario, served.items, hour, served.who, served.experiment,
            served.variant, served.teams, served.propensity,
        )  # fmt: skip
        content = zlib.compress(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode(), 6, -15)
        return base64.urlsafe_b64encode(self._mac(content) + content).decode().rstrip("=")

    def read(self, list_id: str) -> Served:
        """What a list's id says. Raises SettingError for one that this shop didn't sign, or that is too old."""
        try:
            raw = base64.b64decode(list_id + "=" * (-len(list_id) % 4), b"-_", validate=True)
        except ValueError:
            raw = b""
        if not compare_digest(raw[:_MAC], self._mac(raw[_MAC:])):
            raise SettingError("list_id is not the id of a list that this shop served; send it as it came")
        placement, scenario, items, at, *rest = json.loads(zlib.decompress(raw[_MAC:], -15))  # as large as was signed
        served = Served(
            placement, scenario, tuple(items), datetime.fromtimestamp(3600 * at, UTC).replace(tzinfo=None), *rest
        )
        if served.at < utc_now() - timedelta(days=KEPT_DAYS):
            raise SettingError(f"the list was served more than {KEPT_DAYS} days ago")
        return served

    def _mac(self, content: bytes) -> bytes:
        return blake2b(content, digest_size=_MAC, key=self._secret).digest()

    # What comes back

    def check(self, one: Seen) -> Served:
        """The list that was seen. Raises SettingError for an id that is no list's, or an item that isn't on it."""
        served = self.read(one.list_id)
        if one.item_id is not None and one.item_id not in served.items:
            raise SettingError(f"item {one.item_id!r} is not on that list")
        return served

    def record(self, sent: Iterable[Seen]) -> int:
        """Note lists that were seen and items that were clicked, durably; returns how many are new.

        A click on a list is a sight of it too. Sent again, nothing is counted twice. Raises SettingError as
        :meth:`check` does; then nothing is noted.
        """
        now = utc_now()
        lists: dict[str, tuple[Served, datetime]] = {}
        clicks: dict[tuple[str, str], datetime] = {}
        for one in sent:
            served = self.check(one)
            who = served.who or one.session
            key = blake2b(one.list_id.encode(), digest_size=15, key=(who or "").encode()[:64]).digest()
            name = base64.urlsafe_b64encode(key).decode()
            at = min(max(one.at or now, served.at), now)
            lists.setdefault(name, (replace(served, who=who), at))
            if one.item_id is not None:
                clicks.setdefault((name, one.item_id), at)
        rows = [
            {
                "list_key": name, "seen": at, "placement": one.placement, "scenario": one.scenario,
                "experiment": one.experiment, "variant": one.variant, "teams": one.teams,
                "propensity": one.propensity, "who": one.who, "shown": json.dumps(one.items, ensure_ascii=False),
            }
            for name, (one, at) in sorted(lists.items())  # in one order, so that none waits for who waits for it
        ]  # fmt: skip
        with self._storage.aside() as connection:
            new = _added(connection, schema.lists, rows)
            clicked = [{"list_key": name, "item_id": item, "at": at} for (name, item), at in sorted(clicks.items())]
            new += _added(connection, schema.clicks, clicked)
        if self._cleared is None or now - self._cleared > timedelta(days=1):
            self._cleared = now
            self.clear()
        return new

    def link(self, people: dict[str, str]) -> None:
        """Let what anonymous visitors (sessions) did count as done by these shoppers, from now on and before."""
        rows = [{"session": session, "shopper_id": who} for session, who in sorted(people.items()) if session != who]
        if rows:
            with self._storage.aside() as connection:
                made = upsert(connection, schema.visitors)
                again = {"shopper_id": made.excluded.shopper_id}
                connection.execute(made.on_conflict_do_update(index_elements=["session"], set_=again), rows)

    def clear(self, days: float = KEPT_DAYS) -> int:
        """Forget the lists that were seen more than so many days ago, as :meth:`record` does each day; how many."""
        lists = schema.lists
        with self._storage.aside() as connection:
            gone = connection.execute(lists.delete().where(lists.c.seen < utc_now() - timedelta(days=days)))
            return int(gone.rowcount)

    def names(self, connection: sa.Connection, who: str) -> list[str]:
        """Under which names a shopper did what she did: her id, and what the storefront called her before."""
        table = schema.visitors.c
        found = sa.select(table.session).where(table.shopper_id == who).order_by(table.session)
        return [composed(who), *connection.execute(found).scalars()]

    def forget(self, writing: Writing, names: Sequence[str]) -> bool:
        """Delete what was seen and clicked under these names; whether there was anything."""
        visitors, lists = schema.visitors, schema.lists
        gone = 0
        for some in chunks(names):
            gone += writing.execute(lists.delete().where(lists.c.who.in_(some))).rowcount
            gone += writing.execute(visitors.delete().where(visitors.c.session.in_(some))).rowcount
        return gone > 0

    def known_of(self, who: str) -> list[dict[str, Any]]:
        """The lists that a shopper or visitor saw, under all her names, with what she clicked; the oldest first."""
        lists, clicks = schema.lists.c, schema.clicks.c
        wanted = sa.select(lists.list_key, lists.seen, lists.placement, lists.scenario, lists.who, lists.shown)
        wanted = wanted.where(_person() == who).select_from(_with_visitors()).order_by(lists.seen, lists.list_key)
        with self._storage.reading() as connection:
            found = {
                row.list_key: {
                    "seen": row.seen, "placement": row.placement, "scenario": row.scenario, "visitor": row.who,
                    "items": json.loads(row.shown), "clicked": [],
                }
                for row in connection.execute(wanted)
            }  # fmt: skip
            for some in chunks(found):
                those = sa.select(clicks.list_key, clicks.item_id).where(clicks.list_key.in_(some)).order_by(clicks.at)
                for row in connection.execute(those):
                    found[row.list_key]["clicked"].append(row.item_id)
        return list(found.values())

    # What came of it

    def outcomes(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        days: float = WINDOW,
        experiment: str | None = None,
    ) -> pl.DataFrame:
        """Each list that was seen from ``since`` to before ``until`` (UTC), and what came of it, by the time it was
        seen.

        Columns list_key, seen, placement, scenario, experiment, variant, teams, propensity, shown, person (who saw it,
        under the name she is known by now; the list's key where nobody was told), clicked, cart (a clicked item was put
        into the cart or bought within ``days`` of the click), bought (and not taken back) as Booleans, with clicked_at,
        cart_at and bought_at, the first time of each; pieces bought, and returned of them; picks, how many more of the
        clicked items of an interleaved list are b's. A click counts for what she buys of the clicked product, in any
        size or colour; each purchase counts once, for the last click before it.
        """
        lists = schema.lists.c
        wanted = sa.select(
            *(lists[name] for name in ("list_key", "seen", "placement", "scenario", "experiment", "variant", "teams")),
            *(lists.propensity, lists.shown, _person().label("person")),
        ).select_from(_with_visitors())
        conditions = [lists.experiment == experiment] if experiment is not None else []
        conditions += [lists.seen >= since] if since is not None else []
        conditions += [lists.seen < until] if until is not None else []
        with self._storage.reading() as connection:
            seen = frame(connection, wanted.where(*conditions).order_by(lists.seen, lists.list_key))
            clicks = self._clicks(connection, conditions)
            did = self._did(connection, conditions, clicks, days)
        seen = seen.with_columns(person=pl.coalesce("person", "list_key"))
        clicks = clicks.join(seen.select("list_key", "person", "teams", "shown"), on="list_key")
        found = _attributed(clicks, did, days)
        return (
            seen.join(_clicked(clicks), on="list_key", how="left")
            .join(found, on="list_key", how="left")
            .with_columns(
                pl.col("pieces", "returned", "picks").fill_null(0),
                clicked=pl.col("clicked_at").is_not_null(),
                cart=pl.col("cart_at").is_not_null(),
                bought=pl.col("bought_at").is_not_null(),
            )
            .sort("seen", "list_key")
        )

    def _clicks(self, connection: sa.Connection, conditions: Sequence[Any]) -> pl.DataFrame:
        """The clicks on some lists: list_key, item_id, product, at."""
        clicks, items = schema.clicks.c, schema.items.c
        product = sa.func.coalesce(items.product, clicks.item_id)
        wanted = sa.select(clicks.list_key, clicks.item_id, _text(product, "product"), clicks.at)
        joined = schema.clicks.join(schema.lists).outerjoin(schema.items, items.item_id == clicks.item_id)
        return frame(connection, wanted.select_from(joined).where(*conditions))

    def _did(
        self, connection: sa.Connection, conditions: Sequence[Any], clicks: pl.DataFrame, days: float
    ) -> pl.DataFrame:
        """What those who clicked put into the cart or bought: event_id, kind, quantity, kept, person, product, at."""
        events, items = schema.events.c, schema.items.c
        who = sa.select(_person()).select_from(_with_visitors().join(schema.clicks)).where(*conditions)
        person = sa.func.coalesce(schema.visitors.c.shopper_id, events.shopper_id)
        joined = schema.events.join(schema.items, items.item_id == events.item_id).outerjoin(
            schema.visitors, schema.visitors.c.session == events.shopper_id
        )
        wanted = sa.select(
            events.event_id,
            events.kind,
            events.quantity,
            events.kept,
            _text(person, "person"),
            items.product,
            events.at,
        ).select_from(joined)
        if clicks.is_empty():
            return frame(connection, wanted.where(sa.false()))
        first, last = clicks["at"].min(), clicks["at"].max()
        assert isinstance(first, datetime)
        assert isinstance(last, datetime)
        within = [events.at >= first, events.at <= last + timedelta(days=days), events.kind.in_(("cart", "purchase"))]
        return frame(connection, wanted.where(*within, person.in_(who)))

    def funnel(
        self, since: datetime | None = None, until: datetime | None = None, *, days: float = WINDOW
    ) -> list[Funnel]:
        """What came of the lists that were seen from ``since`` to before ``until`` (UTC), by placement, scenario and
        variant of an experiment; see :meth:`outcomes`."""
        found = self.outcomes(since, until, days=days)
        by = ["placement", "scenario", "experiment", "variant"]
        people = found.group_by(*by, "person").agg(
            pl.len().alias("lists"), pl.col("clicked", "cart", "bought").any(), pl.col("pieces", "returned").sum()
        )
        told = people.group_by(by).agg(
            pl.len().alias("people"), pl.col("lists", "clicked", "cart", "bought", "pieces", "returned").sum()
        )
        return [
            Funnel(
                *(row[name] for name in (*by, "lists", "people", "pieces", "returned")),
                *(Share.of(row[step], row["people"]) for step in STEPS),
            )
            for row in told.sort(*by, nulls_last=False).iter_rows(named=True)
        ]


def _added(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> int:
    """Insert those of ``rows`` that aren't there; how many."""
    new = 0
    for start in range(0, len(rows), 500):
        made = upsert(connection, table).values(rows[start : start + 500]).on_conflict_do_nothing()
        new += len(connection.execute(made.returning(table.c.list_key)).all())
    return new


def _with_visitors() -> Any:
    return schema.lists.outerjoin(schema.visitors, schema.visitors.c.session == schema.lists.c.who)


def _person() -> Any:
    """Who saw a list, under the name by which she is known now."""
    return _text(sa.func.coalesce(schema.visitors.c.shopper_id, schema.lists.c.who), "person")


def _text(column: Any, name: str) -> Any:
    return sa.type_coerce(column, sa.String()).label(name)


def _clicked(clicks: pl.DataFrame) -> pl.DataFrame:
    """By list: clicked_at, and picks, how many more of the clicked items are b's in an interleaved list."""

    def pick(row: dict[str, Any]) -> int:
        return 1 if row["teams"][json.loads(row["shown"]).index(row["item_id"])] == "b" else -1

    picks = [pick(row) if row["teams"] else 0 for row in clicks.iter_rows(named=True)]
    counted = clicks.with_columns(picks=pl.Series(picks, dtype=pl.Int64))
    return counted.group_by("list_key").agg(pl.col("at").min().alias("clicked_at"), pl.col("picks").sum())


def _attributed(clicks: pl.DataFrame, did: pl.DataFrame, days: float) -> pl.DataFrame:
    """By list: cart_at, bought_at, pieces, returned; each event counts for its person's last click on the product."""
    both = (
        did.join(clicks.select("list_key", "person", "product", clicked="at"), on=["person", "product"])
        .filter(pl.col("at") >= pl.col("clicked"), pl.col("at") <= pl.col("clicked") + pl.duration(days=days))
        .sort("clicked", "list_key")
        .unique("event_id", keep="last", maintain_order=True)
    )
    sold = pl.col("kind") == "purchase"
    return both.group_by("list_key").agg(
        pl.col("at").min().alias("cart_at"),
        pl.col("at").filter(sold & (pl.col("kept") > 0)).min().alias("bought_at"),
        pl.col("quantity").filter(sold).sum().alias("pieces"),
        (pl.col("quantity") - pl.col("kept")).filter(sold).sum().alias("returned"),
    )
