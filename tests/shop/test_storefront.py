"""``shop.storefront``: a list's id says what it was, and what came of the list is counted once, for whoever it was."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from modiste import Event, Item, Shop
from modiste.errors import SettingError, UnknownIdError
from modiste.shop import schema
from modiste.shop.storefront import KEPT_DAYS, Seen, Served

NOW = datetime(2026, 1, 1)
"""The hour in which a test begins."""


@pytest.fixture(autouse=True)
def this_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    hour = datetime.now(UTC).replace(tzinfo=None, minute=0, second=0, microsecond=0)
    monkeypatch.setitem(globals(), "NOW", hour)


def served(shop: Shop, who: str | None = "ann", items: tuple[str, ...] = ("a", "b", "c"), **said: object) -> str:
    """The id of a list served an hour ago."""
    asked = {"placement": "home", "scenario": "warm", "at": NOW - timedelta(hours=1)} | said
    return shop.storefront.sign(Served(items=items, who=who, **asked))


def bought(
    shop: Shop, who: str, item: str, hours: float = 0.0, kind: str = "purchase", order: str | None = None
) -> None:
    shop.purchases.record([Event(who, item, NOW + timedelta(hours=hours), kind, order_id=order)])


def test_an_id_says_what_the_list_was_and_nobody_else_can_make_one(small: Shop) -> None:
    said = Served("home", None, ("ä/1", "b"), NOW, "ann", "winter", "ab", "ab", 0.5)
    signed = small.storefront.sign(said)
    assert small.storefront.read(signed) == said
    many = replace(said, items=tuple(f"{number:0200d}" for number in range(1000)))
    assert small.storefront.read(small.storefront.sign(many)) == many
    assert signed.replace("-", "").replace("_", "").isalnum()
    for wrong in ("", "x", "ü", signed[:-2], signed[:5] + ("A" if signed[5] != "A" else "B") + signed[6:], signed * 2):
        with pytest.raises(SettingError, match="not the id of a list that this shop served"):
            small.storefront.read(wrong)
    with pytest.raises(SettingError, match="180 days ago"):
        small.storefront.read(served(small, at=NOW - timedelta(days=KEPT_DAYS + 1)))
    assert len(served(small, items=tuple(f"{number:06d}" for number in range(12)))) < 200


def test_another_process_reads_the_id(small: Shop) -> None:
    signed = served(small)
    with Shop.open(small.path) as other:
        assert other.storefront.read(signed).items == ("a", "b", "c")


def test_what_was_seen_and_clicked_counts_once_and_no_list_is_made_anew(small: Shop) -> None:
    before = small.snapshot()
    one, two = served(small), served(small, who=None)
    sent = [
        Seen(one),
        Seen(one, "b"),
        Seen(two, session="s-1"),
        Seen(two, session="s-2"),
        Seen(two, "a", session="s-2"),
    ]
    assert small.storefront.record(sent) == 5
    assert small.storefront.record([*sent, Seen(one, "b")]) == 0
    assert small.snapshot() is before
    (row,) = small.storefront.funnel()
    assert (row.placement, row.scenario, row.lists, row.people) == ("home", "warm", 3, 3)
    assert (row.clicked.people, row.cart.people, row.bought.people) == (2, 0, 0)
    assert row.clicked.low < row.clicked.share == 2 / 3 < row.clicked.high


def test_nothing_of_a_wrong_report_is_noted(small: Shop) -> None:
    with pytest.raises(SettingError, match="item 'e' is not on that list"):
        small.storefront.record([Seen(served(small)), Seen(served(small), "e")])
    assert small.storefront.funnel() == []


def test_what_is_bought_within_the_window_counts_for_the_last_click_and_returns_are_subtracted(small: Shop) -> None:
    first, second = served(small), served(small, placement="cart")
    ago = NOW - timedelta(minutes=50)
    small.storefront.record(
        [Seen(first, "a", at=ago), Seen(second, "a", at=ago + timedelta(minutes=5)), Seen(first, "b")]
    )
    bought(small, "ann", "a", -0.5)
    bought(small, "ann", "c", -0.5)  # was not clicked
    bought(small, "bob", "a", -0.5)  # saw nothing
    bought(small, "ann", "b", 1, "cart")
    cart, home = small.storefront.funnel()
    assert (cart.placement, cart.cart.people, cart.bought.people, cart.pieces) == ("cart", 1, 1, 1)
    assert (home.placement, home.clicked.people, home.cart.people, home.bought.people) == ("home", 1, 1, 0)

    bought(small, "ann", "a", 2, "return")
    cart, home = small.storefront.funnel()
    assert (cart.cart.people, cart.bought.people, cart.pieces, cart.returned) == (1, 0, 1, 1)


def test_what_is_bought_later_or_before_the_click_does_not_count(small: Shop) -> None:
    long_ago = NOW - timedelta(days=20)
    small.storefront.record([Seen(served(small, at=long_ago), "a", at=long_ago + timedelta(hours=5))])
    bought(small, "ann", "a", -20 * 24 + 4)
    bought(small, "ann", "a", -10 * 24)
    assert small.storefront.funnel()[0].bought.people == 0
    assert small.storefront.funnel(days=11)[0].bought.people == 1
    assert small.storefront.funnel(until=NOW - timedelta(days=19), days=11)[0].people == 1
    assert small.storefront.funnel(since=NOW - timedelta(days=19)) == []


def test_another_size_of_what_was_clicked_counts(small: Shop) -> None:
    for name in ("coat-s", "coat-m"):
        small.items.put(Item(name, product="coat"))
    small.storefront.record([Seen(served(small, items=("coat-s",)), "coat-s")])
    bought(small, "ann", "coat-m", 1)
    assert small.storefront.funnel()[0].bought.people == 1


def test_an_anonymous_visitor_who_logs_in_is_one_person(small: Shop) -> None:
    small.storefront.record([Seen(served(small, who="s-1"), "a"), Seen(served(small), "b")])
    assert small.storefront.funnel()[0].people == 2
    small.storefront.link({"s-1": "ann"})
    bought(small, "ann", "a", 1)
    (row,) = small.storefront.funnel()
    assert (row.lists, row.people, row.clicked.people, row.bought.people) == (2, 1, 1, 1)
    bought(small, "s-1", "b", 1)  # before she logged in
    assert small.storefront.outcomes()["bought"].to_list() == [True, True]


def test_forgetting_a_shopper_forgets_what_she_saw_under_all_her_names(small: Shop) -> None:
    small.storefront.record([Seen(served(small, who="s-1"), "a"), Seen(served(small)), Seen(served(small, who="bob"))])
    small.storefront.link({"s-1": "ann"})
    bought(small, "ann", "a")
    bought(small, "s-1", "b")  # before she logged in
    known = small.known_of("ann")["lists"]
    assert [one["item_id"] for one in small.known_of("ann")["events"]] == ["a", "b"]
    assert {one["visitor"]: one["clicked"] for one in known} == {"s-1": ["a"], "ann": []}
    assert known[0]["items"] == ["a", "b", "c"]
    small.forget("ann")
    assert [row["who"] for row in small.storage.rows(sa.select(schema.lists))] == ["bob"]
    for table in (schema.clicks, schema.visitors, schema.events, schema.shoppers):
        assert small.storage.rows(sa.select(table)) == []
    small.forget("bob")  # who is no shopper, but saw a list
    with pytest.raises(UnknownIdError):
        small.forget("bob")


def test_what_was_seen_long_ago_is_cleared(small: Shop) -> None:
    old = NOW - timedelta(days=KEPT_DAYS - 1)
    small.storefront.record([Seen(served(small, at=old), "a", at=old), Seen(served(small, who="bob"))])
    assert small.storefront.clear(KEPT_DAYS - 2) == 1
    assert small.storefront.funnel()[0].people == 1


def test_several_report_the_same_at_once(small: Shop) -> None:
    sent = [Seen(served(small, who=str(number)), "a") for number in range(10)]
    counted: list[int] = []
    many = [threading.Thread(target=lambda: counted.append(small.storefront.record(sent))) for _ in range(4)]
    for one in many:
        one.start()
    for one in many:
        one.join()
    assert sum(counted) == 20
    assert small.storefront.funnel()[0].clicked.people == 10
