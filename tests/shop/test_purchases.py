"""``shop.purchases``: orders are kept once, and what is counted as they come is what one would count afterwards."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from modiste import Event, Item, Shop
from modiste.behaviour.popularity import normalise
from modiste.behaviour.simulation import Simulation
from modiste.errors import SettingError, UnknownIdError
from modiste.shop import purchases as purchases_module
from modiste.shop import schema
from modiste.shop import shop as shop_module

DAY = datetime(2025, 3, 31, 14, 5)
NOON = datetime(2026, 3, 1, 12)


@dataclass
class Counted:
    """All that a shop counts as purchases are recorded, as its tables have it."""

    counts: dict[str, float]
    sales: dict[tuple[str, int], int]
    shoppers: dict[str, tuple[int, float]]
    purchases: float
    normpop: float
    shares: list[float]

    @classmethod
    def of(cls, shop: Shop) -> "Counted":
        with shop.storage.reading() as connection:

            def rows(table: sa.Table, *names: str) -> Iterator[Any]:
                yield from connection.execute(sa.select(*(table.c[name] for name in names)))

            settings = dict(rows(schema.settings, "name", "value"))
            made = sorted(rows(schema.events, "event_id", "normpop"))
            return cls(
                dict(rows(schema.counts, "item_id", "count")),
                {(item, day): n for item, day, n in rows(schema.sales, "item_id", "day", "bought") if n},
                {who: (n, share) for who, n, share in rows(schema.shoppers, "shopper_id", "purchases", "normpop")},
                float(settings["purchases"]),
                float(settings["normpop"]),
                [share for _, share in made],
            )

    def __eq__(self, other: object) -> bool:
        """Equal but for what the order of adding floats makes."""
        if not isinstance(other, Counted):
            return NotImplemented
        return (
            self.counts == pytest.approx(other.counts)
            and self.sales == other.sales
            and {who: n for who, (n, _) in self.shoppers.items()} == {who: n for who, (n, _) in other.shoppers.items()}
            and {who: share for who, (_, share) in self.shoppers.items()}
            == pytest.approx({who: share for who, (_, share) in other.shoppers.items()}, abs=1e-9)
            and self.purchases == other.purchases
            and self.normpop == pytest.approx(other.normpop, abs=1e-9)
            and self.shares == pytest.approx(other.shares, abs=1e-12)
        )


@dataclass
class Ledger:
    """The same, worked out in the obvious way: a list of purchases, and everything counted from it."""

    start: dict[str, float]
    purchases: list[tuple[Event, float]] = field(default_factory=list)
    shoppers: set[str] = field(default_factory=set)

    def count(self, item_id: str) -> float:
        return self.start[item_id] + sum(one.item_id == item_id for one, _ in self.purchases)

    def record(self, purchases: list[Event]) -> int:
        new = 0
        lines = {(one.order_id, one.shopper_id, one.item_id) for one, _ in self.purchases if one.order_id is not None}
        kept = []
        for one in purchases:
            if one.order_id is None or (one.order_id, one.shopper_id, one.item_id) not in lines:
                lines.add((one.order_id, one.shopper_id, one.item_id))
                kept.append(one)
        counts = {item_id: self.count(item_id) for item_id in self.start}
        for one in sorted(kept, key=lambda one: one.at):
            low, high = min(counts.values()), max(counts.values())
            share = (counts[one.item_id] - low) / (high - low) if high > low else 0.0
            self.purchases.append((one, share))
            self.shoppers.add(one.shopper_id)
            counts[one.item_id] += 1
            new += 1
        return new

    def remove(self, item_id: str) -> None:
        del self.start[item_id]
        self.purchases = [(one, share) for one, share in self.purchases if one.item_id != item_id]

    def counted(self) -> Counted:
        return Counted(
            {item_id: self.count(item_id) for item_id in self.start},
            dict(Counter((one.item_id, one.at.toordinal()) for one, _ in self.purchases)),
            {
                who: (
                    sum(one.shopper_id == who for one, _ in self.purchases),
                    sum(share for one, share in self.purchases if one.shopper_id == who),
                )
                for who in self.shoppers
            },
            len(self.purchases),
            sum(share for _, share in self.purchases),
            [share for _, share in self.purchases],
        )

    def popularity(self, half_life: float | None) -> dict[str, float]:
        last = max((one.at.toordinal() for one, _ in self.purchases), default=0)
        counts = dict(self.start)
        for one, _ in self.purchases:
            age = last - one.at.toordinal()
            counts[one.item_id] += 1 if half_life is None else 2 ** (-age / half_life)
        return counts


def popularity(shop: Shop, half_life: float | None = None, at: datetime | None = None) -> dict[str, float]:
    return dict(shop.purchases.popularity(half_life, at).select("item_id", "popularity").iter_rows())


# Orders


def test_an_order_sent_twice_is_recorded_once(shop):
    order = Event("ann", "Denim-red-men-0", DAY, order_id="A-1")
    assert shop.purchases.record([order, order]) == 1
    assert shop.purchases.record([order]) == 0
    assert shop.purchases.frame().height == len(shop.purchases) == 1


def test_an_order_of_several_items_has_a_line_for_each(shop):
    lines = [Event("ann", one, DAY, order_id="A-1") for one in ("Denim-red-men-0", "Denim-red-men-6")]
    assert shop.purchases.record([*lines, lines[0]]) == 2
    later = Event("ann", "Dresses-red-women-0", DAY, order_id="A-1")
    assert shop.purchases.record([lines[1], later]) == 1
    assert shop.purchases.record([Event("ann", "Denim-red-men-0", DAY, order_id="A-2")]) == 1
    found = shop.purchases.frame().group_by("order_id").len().sort("order_id").rows()
    assert found == [("A-1", 3), ("A-2", 1)]


def test_an_order_of_an_unknown_item_records_nothing(shop):
    revision = shop.snapshot().revision
    with pytest.raises(UnknownIdError, match="no item 'sock'"):
        shop.purchases.record([Event("ann", "Denim-red-men-0", DAY), Event("ann", "sock", DAY)])
    assert shop.purchases.frame().is_empty()
    assert "ann" not in shop.shoppers
    assert shop.snapshot().revision == revision


def test_orders_are_read_from_a_table_once(shop, tmp_path):
    (tmp_path / "orders.csv").write_text(
        "shopper_id,item_id,date,order_id\nann,Denim-red-men-0,2025-03-31,A-1\nbob,sock,2025-03-31,A-2\n"
        "bob,Denim-red-men-0,2025-04-01,A-3\n"
    )
    report = shop.purchases.add(tmp_path / "orders.csv")
    assert (report.added, report.unchanged) == (2, 0)
    assert [one.row for one in report.rejected] == [3]
    again = shop.purchases.add(tmp_path / "orders.csv")
    assert (again.added, again.unchanged) == (0, 2)
    assert shop.purchases.frame()["shopper_id"].to_list() == ["ann", "bob"]


def test_purchases_are_listed_in_the_order_in_which_they_were_made(shop):
    shop.purchases.record([Event("ann", "Denim-red-men-0", DAY)])
    shop.purchases.record([Event("bob", "Denim-red-men-6", DAY - timedelta(days=1), order_id="B-1")])
    shop.purchases.record(
        [Event("ann", "Denim-red-men-6", DAY - timedelta(days=2)), Event("ann", "Denim-red-men-0", DAY)]
    )
    assert shop.purchases.frame().rows() == [
        ("ann", "Denim-red-men-6", DAY - timedelta(days=2), None, False),
        ("bob", "Denim-red-men-6", DAY - timedelta(days=1), "B-1", False),
        ("ann", "Denim-red-men-0", DAY, None, False),
        ("ann", "Denim-red-men-0", DAY, None, False),
    ]
    assert shop.purchases.of("ann").equals(shop.purchases.frame().filter(shopper_id="ann"))
    assert shop.purchases.of("nobody").is_empty()
    assert shop.purchases.latest(["ann", "bob", "nobody"], each=2) == {
        "ann": ["Denim-red-men-0", "Denim-red-men-0"],
        "bob": ["Denim-red-men-6"],
    }
    assert shop.purchases.latest(["ann"])["ann"][-1] == "Denim-red-men-6"


def test_purchases_are_read_anew_whoever_recorded_or_deleted_them(shop):
    with Shop.open(shop.path) as other:
        assert other.purchases.frame().is_empty()
        shop.purchases.record([Event("ann", "Denim-red-women-0", NOON)])
        assert other.purchases.frame().height == 1
        other.purchases.record([Event("ann", "Denim-blue-women-0", NOON - timedelta(days=1))])
        assert shop.purchases.frame()["item_id"].to_list() == ["Denim-blue-women-0", "Denim-red-women-0"]
        shop.items.remove("Denim-blue-women-0")
        assert other.purchases.frame()["item_id"].to_list() == ["Denim-red-women-0"]
        assert other.coverage().purchases == len(other.purchases) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": datetime.now() + timedelta(days=3)},
        {"at": datetime(1969, 12, 31)},
        {"kind": "wish"},
        {"quantity": 0},
        {"quantity": 10_001},
        {"shopper_id": " "},
        {"shopper_id": "a\nb"},
        {"order_id": "a\0b"},
    ],
)
def test_an_event_that_cannot_be_records_nothing(small, wrong):
    with pytest.raises(SettingError):
        small.purchases.record([Event("ann", "a", DAY), replace(Event("ann", "a", DAY), **wrong)])
    assert len(small.purchases) == 0


def test_a_line_of_an_order_is_known_by_order_shopper_item_and_the_shop_s_own_key(small):
    shop = small.purchases
    assert shop.record([Event(who, "a", DAY, order_id="1") for who in ("ann", "bea", "cat")]) == 3, "numbers restart"
    assert shop.record([Event("ann", "a", DAY, order_id=" 1 "), Event("ann", "a", NOON, order_id="1")]) == 0
    assert shop.record([Event("ann", "b", DAY, order_id="1", line=line) for line in ("x", "y", "x")]) == 2
    assert shop.record([Event("ann", "c", DAY, line="z"), Event("ann", "c", NOON, line="z")]) == 1, "the key alone"
    assert shop.record([Event("ann", "d", DAY, order_id=none) for none in ("", " ", None)]) == 3, "an empty one is none"
    assert popularity(small) == {"a": 3, "b": 2, "c": 1, "d": 3, "e": 0}


def test_a_file_without_orders_is_recognised_however_it_grew(small, tmp_path):
    file = tmp_path / "orders.csv"
    rows = ["shopper_id,item_id,date", "ann,a,2025-03-01", "bea,a,2025-03-01", "ann,a,2025-03-01"]
    file.write_text("\n".join(rows))
    for added, known in ((3, 0), (0, 3), (0, 3)):
        report = small.purchases.add(file)
        assert (report.added, report.unchanged, report.kinds.get("purchase", 0)) == (added, known, added)
    file.write_text("\n".join([*rows, "ann,a,2025-03-02", "ann,a,2025-03-01"]))
    report = small.purchases.add(file)
    assert (report.added, report.unchanged) == (2, 3)
    small.purchases.record([Event("ann", "a", datetime(2025, 3, 1))])
    assert popularity(small)["a"] == 6, "who tells it herself says that it is new"


# What is taken back


def kept(shop: Shop, shopper_id: str) -> list[tuple[str, int]]:
    events = shop.purchases.events_of(shopper_id)
    return list(events.filter(kind="purchase").select("item_id", "kept").iter_rows())


def test_a_return_takes_back_what_it_returned_and_no_more(small):
    shop, later = small.purchases, DAY + timedelta(days=7)
    shop.record([Event("ann", "a", DAY, quantity=3, order_id="A1"), Event("ann", "a", DAY, order_id="A2")])
    shop.record([Event("ann", "a", later, "return", 2, "A1"), Event("bea", "a", later, "return", 9)])
    assert kept(small, "ann") == [("a", 1), ("a", 1)]
    assert popularity(small)["a"] == 2
    assert shop.record([Event("ann", "a", later, "return", 2, "A1")]) == 0, "sent again"
    shop.record([Event("ann", "a", later + timedelta(days=1), "return", 5, "A1")])
    assert kept(small, "ann") == [("a", 0), ("a", 1)], "another order's is hers"
    shop.record([Event("ann", "a", later + timedelta(days=2), "return", order_id="CREDIT-7")])
    assert kept(small, "ann") == [("a", 0), ("a", 0)], "a number of its own: the last one bought"
    assert shop.of("ann").is_empty()
    assert small.shoppers["ann"].purchases == len(shop) == 0
    assert popularity(small)["a"] == 0
    assert popularity(small, half_life=10)["a"] == 0
    assert small.coverage().last_purchase is None


def test_a_cancelled_order_is_none_whichever_comes_first(small):
    order, cancelled = Event("cat", "b", DAY, order_id="A3"), Event("cat", "b", DAY, "cancel", order_id="A3")
    small.purchases.record([Event("cat", "b", DAY - timedelta(days=1), order_id="A0"), cancelled])
    assert kept(small, "cat") == [("b", 1)], "the cancelled order is another"
    small.purchases.record([order])
    assert kept(small, "cat") == [("b", 1), ("b", 0)]
    assert popularity(small)["b"] == 1


@pytest.mark.parametrize("seed", range(2))
def test_the_order_in_which_events_come_plays_no_part(small, tmp_path, seed):
    rng = np.random.default_rng(seed)
    events = [
        Event(
            str(rng.choice(["ann", "bea"])),
            str(rng.choice(list("ab"))),
            DAY + timedelta(days=n),
            str(rng.choice(["purchase", "purchase", "return", "cancel", "view"])),
            int(rng.integers(1, 4)),
            None if rng.random() < 0.5 else f"order-{rng.integers(4)}",
        )
        for n in range(40)
    ]
    events = list({(one.order_id and purchases_module._key(one)) or n: one for n, one in enumerate(events)}.values())
    small.purchases.weigh(view=0.5)
    small.purchases.record(events)
    with Shop.create(tmp_path / "other") as other:
        for item_id in "abcde":
            other.items.put(Item(item_id))
        other.purchases.weigh(view=0.5)
        for number in rng.permutation(len(events)).tolist():
            other.purchases.record([events[number]])
            if rng.random() < 0.2:
                other.snapshot()
        one, same = Counted.of(small), Counted.of(other)
        assert (one.counts, one.sales, one.purchases) == (same.counts, same.sales, same.purchases)
        assert {who: n for who, (n, _) in one.shoppers.items()} == {who: n for who, (n, _) in same.shoppers.items()}
        assert popularity(small) == popularity(other)
        assert kept(small, "ann") == kept(other, "ann")
        for shop in (small, other):
            before = Counted.of(shop)
            shop.purchases.recount()
            assert (Counted.of(shop).counts, Counted.of(shop).sales) == (before.counts, before.sales)
            for event_id in shop.purchases.events_of("ann")["event_id"].to_list():
                shop.purchases.remove(event_id)
            bought = {item for item, _ in kept(shop, "bea")}
            assert shop.shoppers["ann"].purchases == 0
            assert set(popularity(shop)) >= bought


def test_an_event_taken_back_is_as_if_it_had_never_been(small):
    small.purchases.record([Event("ann", "a", DAY), Event("ann", "a", NOON), Event("ann", "a", NOON, "return")])
    before = Counted.of(small)
    small.purchases.record([Event("bea", "b", NOON, quantity=4)])
    [event_id] = small.purchases.events_of("bea")["event_id"]
    small.purchases.remove(event_id)
    after = Counted.of(small)
    assert after.shoppers.pop("bea") == (0, 0.0)
    assert after == before
    small.purchases.remove(event_id)  # gone already
    assert Counted.of(small) == replace(before, shoppers={**before.shoppers, "bea": (0, 0.0)})
    small.purchases.record([Event("bea", "b", NOON)])
    assert small.purchases.events_of("bea")["event_id"].item() > event_id, "no id has two meanings"
    with pytest.raises(UnknownIdError, match=f"no purchase {event_id + 9}"):
        small.purchases.remove(event_id + 9)
    first, second, _ = small.purchases.events_of("ann")["event_id"]
    small.purchases.remove(second)
    assert kept(small, "ann") == [("a", 0)], "the return takes back the other one"
    small.purchases.remove(first)
    assert popularity(small)["a"] == 0


def test_a_return_taken_back_is_as_if_nothing_had_come_back(small):
    small.purchases.record([Event("ann", "a", DAY, quantity=2)])
    before = Counted.of(small)
    small.purchases.record([Event("ann", "a", NOON, "return", 2)])
    *_, returned = small.purchases.events_of("ann")["event_id"]
    small.purchases.remove(returned)
    assert kept(small, "ann") == [("a", 2)]
    assert Counted.of(small) == before
    assert small.check() == []


def test_views_and_carts_count_as_much_as_they_weigh(small):
    small.purchases.record([Event("ann", "a", DAY, "view")] * 3 + [Event("ann", "b", DAY, "cart", 2)])
    small.purchases.record([Event("ann", "c", DAY)])
    assert popularity(small) == {"a": 0, "b": 0, "c": 1, "d": 0, "e": 0}
    assert len(small.purchases) == small.shoppers["ann"].purchases == 1
    with small.moments.now() as (_, connection):
        assert [one for one, _ in small.purchases.bought(connection, ["ann"])["ann"]] == ["c"]
    small.purchases.weigh(view=0.25, cart=0.5, purchase=2)
    expected = {"a": 0.75, "b": 1, "c": 2, "d": 0, "e": 0}
    with Shop.open(small.path) as other:
        for shop in (small, other):
            assert popularity(shop) == popularity(shop, at=NOON) == popularity(shop, 30.0) == expected
    small.purchases.record([Event("ann", "a", DAY, "view")])
    assert popularity(small)["a"] == popularity(small, 30.0)["a"] == 1
    with pytest.raises(SettingError, match="return can't weigh"):
        small.purchases.weigh(**{"return": 1.0})


# What is counted


@pytest.mark.parametrize("seed", range(3))
def test_what_is_counted_is_what_one_would_count_from_the_purchases(small, seed):
    rng = np.random.default_rng(seed)
    shop, ledger = small, Ledger(dict.fromkeys("abcde", 0.0))
    for step in range(30):
        what = rng.choice(["record", "record", "record", "put", "remove", "shopper"])
        some = sorted(ledger.start)
        if what == "record":
            many = int(rng.choice([1, 1, 2, 7, 30]))
            bought = [
                Event(
                    f"shopper-{rng.integers(4)}",
                    str(rng.choice(some)),
                    DAY + timedelta(days=int(rng.integers(-20, 1 + step)), minutes=int(rng.integers(1440))),
                    order_id=None if rng.random() < 0.5 else f"order-{rng.integers(25)}",
                )
                for _ in range(many)
            ]
            assert shop.purchases.record(bought) == ledger.record(bought)
        elif what == "put":
            item_id, start = f"item-{rng.integers(6)}", float(rng.integers(4))
            shop.items.put(Item(item_id, popularity=start))
            ledger.start[item_id] = start
        elif what == "remove" and len(some) > 2:
            item_id = str(rng.choice(some))
            shop.items.remove(item_id)
            ledger.remove(item_id)
        elif what == "shopper":
            shop.shoppers.put(f"shopper-{rng.integers(6)}", trendiness=0.5)
            ledger.shoppers |= set(shop.shoppers.frame()["shopper_id"])
        assert Counted.of(shop) == ledger.counted()
        assert len(shop.purchases) == len(ledger.purchases) == shop.purchases.frame().height
        for half_life in (None, 3.0, 400.0):
            expected = ledger.popularity(half_life)
            found = shop.purchases.popularity(half_life)
            assert found["item_id"].to_list() == sorted(expected)
            assert dict(found.select("item_id", "popularity").iter_rows()) == pytest.approx(expected)
            assert found["normpop"].to_numpy() == pytest.approx(normalise(found["popularity"].to_numpy()))


def test_what_is_counted_can_be_wrong_and_is_put_right_by_counting_anew(small):
    bought = [Event(f"{n % 3}", "abcde"[n * n % 5], DAY + timedelta(hours=7 * n)) for n in range(40)]
    small.purchases.record(bought[:25])
    small.purchases.record(bought[25:])
    right = Counted.of(small)
    small.purchases.recount()
    assert Counted.of(small) == right
    before = small.snapshot()
    with small.storage.writing() as writing:
        writing.execute(schema.counts.update().where(schema.counts.c.item_id == "a").values(count=1000))
        writing.execute(schema.sales.update().values(bought=9, revision=writing.revision))
        writing.execute(schema.shoppers.update().values(purchases=7, normpop=3.5))
        writing.execute(schema.events.update().values(normpop=0.125))
        writing.execute(schema.settings.update().where(schema.settings.c.name == "normpop").values(value="99.0"))
    wrong = Counted.of(small)
    assert wrong != right
    assert small.snapshot().popularity().counts.sum() != before.popularity().counts.sum()
    small.purchases.recount()
    assert Counted.of(small) == right
    assert small.snapshot().popularity().counts.tolist() == before.popularity().counts.tolist()
    assert small.snapshot().popularity(5.0).counts == pytest.approx(before.popularity(5.0).counts)


def test_purchases_counted_anew_in_batches_are_counted_as_in_one(small, monkeypatch):
    monkeypatch.setattr("modiste.shop.purchases._BATCH", 7)
    small.purchases.record([Event(f"{n % 3}", "abcde"[n * n % 5], DAY + timedelta(hours=7 * n)) for n in range(40)])
    right = Counted.of(small)
    small.purchases.recount()
    assert Counted.of(small) == right


def test_three_thousand_at_once_are_counted_as_if_they_came_one_by_one(small, tmp_path, fill):
    rng = np.random.default_rng(5)
    bought = [
        Event(f"shopper-{rng.integers(40)}", "abcde"[int(5 * rng.random() ** 2)], DAY + timedelta(minutes=17 * n))
        for n in range(3_000)
    ]
    ledger = Ledger(dict.fromkeys("abcde", 0.0))
    assert small.purchases.record(bought) == 3_000
    with Shop.create(tmp_path / "other") as other:
        fill(other, list("abcde"))
        cuts = [*range(101), *np.cumsum(rng.integers(20, 400, 20) + 5).tolist(), 3_000]
        cuts = sorted({min(cut, 3_000) for cut in cuts})
        for start, end in pairwise(cuts):
            other.purchases.record(bought[start:end])
        assert Counted.of(small) == Counted.of(other)
    for one in bought[:200]:
        ledger.record([one])
    assert Counted.of(small).shares[:200] == pytest.approx([share for _, share in ledger.purchases])


def test_simulating_again_replaces_the_simulation_and_all_that_was_counted_of_it(shop):
    shop.shoppers.put("real", trendiness=0.5)
    first = shop.simulate(shoppers=10, purchases=4, seed=7)
    counted = Counted.of(shop)
    ledger = Ledger(
        dict(shop.items.frame().select("item_id", "popularity").iter_rows()), shoppers=set(first.shoppers["shopper_id"])
    )
    bought = first.purchases.select("shopper_id", "item_id", pl.col("date").cast(pl.Datetime))
    ledger.record([Event(*one) for one in bought.iter_rows()])
    ledger.shoppers.add("real")
    assert counted == ledger.counted()
    other = shop.simulate(shoppers=7, purchases=6, seed=8)
    assert not other.purchases.equals(first.purchases)
    assert shop.purchases.frame().height == len(shop.purchases) == other.purchases.height
    again = shop.simulate(shoppers=10, purchases=4, seed=7)
    assert again.purchases.equals(first.purchases)
    assert Counted.of(shop) == counted
    assert shop.shoppers.frame()["simulated"].sum() == 10
    assert len(shop.stores.frame()) == 5
    assert shop.snapshot().popularity(30.0).counts == pytest.approx(list(ledger.popularity(30.0).values()))


def test_a_simulated_catalogue_without_any_popularity_gets_some(small):
    small.simulate(shoppers=3, purchases=3)
    start = small.items.frame()["popularity"]
    assert start.null_count() == 0
    assert start.n_unique() > 1
    assert start.is_between(0, 100).all()
    counts = popularity(small)
    assert sum(counts.values()) == start.sum() + len(small.purchases)


def test_a_shop_with_real_purchases_is_not_simulated(shop):
    shop.purchases.record([Event("ann", "Denim-red-men-0", DAY)])
    with pytest.raises(SettingError, match="real purchases"):
        shop.simulate()
    assert len(shop.purchases) == 1


def test_a_real_shopper_is_never_taken_for_a_simulated_one(shop):
    shop.simulate(shoppers=2, seed=7)
    counted = Counted.of(shop)
    shop.shoppers.put("3", trendiness=0.25)
    with pytest.raises(SettingError, match="has a real shopper '3'; simulate in a shop of its own"):
        shop.simulate(shoppers=3)
    assert shop.shoppers["3"].trendiness == 0.25
    assert Counted.of(shop).shares == counted.shares
    assert len(shop.shoppers) == 3


# Popularity


def test_popularity_rises_with_a_purchase_and_decays_with_its_age(shop):
    start = popularity(shop)
    shop.purchases.record(
        [Event("ann", "Denim-red-men-0", DAY), Event("bob", "Denim-red-men-0", DAY - timedelta(days=30))]
    )
    assert popularity(shop)["Denim-red-men-0"] == start["Denim-red-men-0"] + 2
    assert popularity(shop, half_life=30)["Denim-red-men-0"] == pytest.approx(start["Denim-red-men-0"] + 1.5)
    assert popularity(shop, half_life=30)["Denim-red-men-6"] == start["Denim-red-men-6"]


@pytest.mark.parametrize("half_life", [0, -1, float("nan")])
def test_a_half_life_must_be_positive(shop, half_life):
    with pytest.raises(SettingError, match="half-life"):
        shop.purchases.popularity(half_life)


def test_popularity_of_an_earlier_time_counts_what_had_been_bought(small):
    bought = [Event("ann", "a", DAY - timedelta(days=10 * n)) for n in range(4)]
    small.purchases.record([*bought, Event("ann", "b", DAY)])
    then = DAY - timedelta(days=10)
    assert popularity(small, at=then) == {"a": 3, "b": 0, "c": 0, "d": 0, "e": 0}
    assert popularity(small, half_life=10, at=then)["a"] == pytest.approx(1.75)
    assert popularity(small, at=DAY - timedelta(days=99))["a"] == 0
    assert popularity(small, at=DAY) == popularity(small)


@pytest.mark.parametrize("year", [1, 1969, 1970, 9999])
def test_purchases_of_any_year_are_counted_by_their_day(small, year):
    at = datetime(year, 1, 1)
    with small.storage.writing() as writing:  # as a simulation does
        purchases_module.insert(writing, [Event("ann", "b", at), Event("ann", "b", at), Event("bea", "c", at)])
    small.snapshot()
    with small.storage.writing() as writing:
        purchases_module.insert(writing, [Event("ann", "c", at + timedelta(days=10))])
    for shop in (small, Shop.open(small.path)):
        assert popularity(shop) == {"a": 0, "b": 2, "c": 2, "d": 0, "e": 0}
        assert popularity(shop, 10.0) == pytest.approx({"a": 0, "b": 1, "c": 1.5, "d": 0, "e": 0})
        assert popularity(shop, 10.0, at) == {"a": 0, "b": 2, "c": 1, "d": 0, "e": 0}
        small.items.remove("d")
        assert len(shop.purchases.popularity()) == 4
        small.items.put(Item("d"))
        shop.close()


@pytest.mark.parametrize("year", [1, datetime.now(UTC).year - 1])
def test_any_year_that_is_over_can_be_simulated(shop, year):
    made = shop.simulate(shoppers=5, purchases=5, year=year)
    start = dict(shop.items.frame().select("item_id", "popularity").iter_rows())
    bought = Counter(made.purchases["item_id"])
    assert popularity(shop) == {one: count + bought[one] for one, count in start.items()}


def test_a_year_that_is_not_over_is_refused_and_nothing_changes(shop):
    before = shop.purchases.frame(), shop.stores.frame(), shop.items.frame()
    with pytest.raises(SettingError, match=r"9999 is not over, and nobody has bought in the future; simulate \d+ or"):
        shop.simulate(shoppers=5, purchases=5, year=9999)
    assert all(map(pl.DataFrame.equals, before, (shop.purchases.frame(), shop.stores.frame(), shop.items.frame())))


def test_popularity_of_many_half_lives_is_right_for_each(small):
    small.purchases.record([Event("ann", "a", DAY - timedelta(days=n)) for n in range(10)])
    half_lives = [float(n) for n in range(1, 13)]
    for half_life in [*half_lives, *half_lives]:  # more than a snapshot keeps
        assert popularity(small, half_life)["a"] == pytest.approx(sum(2 ** (-n / half_life) for n in range(10)))


def test_old_purchases_count_less_in_recommendations_with_a_half_life(shop):
    old = [Event("ann", "Denim-red-men-0", DAY - timedelta(days=300)) for _ in range(400)]
    new = [Event("ann", "Denim-red-men-6", DAY) for _ in range(300)]
    shop.purchases.record(old + new)
    ask = {
        "item": "Denim-blue-men-0",
        "top": 1,
        "alpha": 0,
        "beta": 1,
        "gamma": 0,
        "trendiness": 1.0,
        "preset": "paper",
    }
    assert shop.recommend(**ask)[0].item_id == "Denim-red-men-0"
    assert shop.recommend(**ask, half_life=30)[0].item_id == "Denim-red-men-6"


def test_what_is_bought_now_comes_first_with_its_change(shop):
    shop.purchases.record([Event("ann", "Denim-red-women-0", NOON - timedelta(days=days)) for days in (40, 41)])
    shop.purchases.record([Event("bea", "Denim-blue-women-0", NOON - timedelta(days=days)) for days in (0, 1, 35)])
    found = shop.purchases.trending(30, top=2)
    assert found.select("item_id", "bought", "before", "change").rows() == [
        ("Denim-blue-women-0", 2, 1, 1),
        ("Tees_Tanks-blue-men-6", 0, 0, 0),
    ]
    assert found["popularity"].to_list() == [123, 230]
    denim = shop.purchases.trending(30, top=50, categories=["jeans"])
    assert denim["category"].unique().to_list() == ["Denim"]
    assert denim.height == 8
    falling = shop.purchases.trending(30, top=50).filter(item_id="Denim-red-women-0")
    assert falling["change"].to_list() == [-2]
    with pytest.raises(SettingError, match="window"):
        shop.purchases.trending(0)


def test_what_was_bought_at_an_earlier_time_is_told_as_it_was_then(shop):
    shop.purchases.record([Event("ann", "Denim-red-women-0", NOON - timedelta(days=days)) for days in (40, 41)])
    shop.purchases.record([Event("bea", "Denim-blue-women-0", NOON - timedelta(days=days)) for days in (0, 1, 35)])
    found = shop.purchases.trending(10, top=2, at=NOON - timedelta(days=34))
    assert found.select("item_id", "bought", "before", "popularity").rows() == [
        ("Denim-red-women-0", 2, 0, 82),
        ("Denim-blue-women-0", 1, 0, 121),
    ]


def test_what_was_bought_then_is_told_of_one_moment(small, monkeypatch):
    small.purchases.record([Event("ann", "a", NOON)])
    real, done = purchases_module.compared, []

    def meanwhile(*arguments: Any) -> pl.DataFrame:
        if not done:
            done.append(small.path)
            with Shop.open(small.path) as other:
                other.purchases.record([Event("bea", "a", NOON - timedelta(days=1))] * 5)
                other.items.remove("b")
        return real(*arguments)

    monkeypatch.setattr(purchases_module, "compared", meanwhile)
    found = small.purchases.trending(30, at=NOON)
    assert found.sort("item_id").select("item_id", "bought", "popularity").rows() == [
        ("a", 1, 1), ("b", 0, 0), ("c", 0, 0), ("d", 0, 0), ("e", 0, 0),
    ]  # fmt: skip


def test_a_purchase_recorded_while_a_year_is_simulated_stops_the_simulation(small, monkeypatch):
    real = shop_module.simulate

    def meanwhile(*arguments: Any) -> Simulation:
        with Shop.open(small.path) as other:
            other.purchases.record([Event("ann", "a", NOON)])
        return real(*arguments)

    monkeypatch.setattr(shop_module, "simulate", meanwhile)
    with pytest.raises(SettingError, match="real purchases"):
        small.simulate(shoppers=3)
    assert len(small.purchases) == 1
    counts = popularity(small)
    small.purchases.recount()
    assert popularity(small) == counts


def test_nothing_was_bought_yet(shop):
    found = shop.purchases.trending(top=2)
    assert found["item_id"].to_list() == ["Tees_Tanks-blue-men-6", "Tees_Tanks-blue-men-0"]
    assert found["bought"].to_list() == [0, 0]


def test_an_item_s_history_adds_up_to_its_popularity(shop):
    days = (0, 1, 8, 30)
    shop.purchases.record([Event("ann", "Denim-red-women-0", NOON + timedelta(days=day)) for day in days])
    found = shop.purchases.history("Denim-red-women-0", days=7)
    assert found["bought"].to_list() == [2, 1, 0, 0, 1]
    assert found["at"][0] == datetime(2026, 3, 1)
    assert found["popularity"][-1] == popularity(shop)["Denim-red-women-0"]
    assert shop.purchases.history("Denim-blue-women-0").is_empty()
    with pytest.raises(UnknownIdError):
        shop.purchases.history("nothing")
