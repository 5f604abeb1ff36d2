"""What sells, what is never recommended and why, and what to do next; on either database."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from modiste.catalog.events import Event
from modiste.errors import SettingError, UnknownIdError
from modiste.shop import schema
from modiste.shop import shop as shop_module
from modiste.shop.overview import overview, reach, trends
from modiste.shop.shop import Shop
from modiste.shop.trends import price_bands

NOON = datetime(2025, 6, 30, 12)
RED, BLUE = "Dresses-red-women-0", "Denim-blue-men-0"


def sold(item_id: str, buyers: int, days: float, first: int = 0) -> list[Event]:
    """So many shoppers who bought an item so many days ago."""
    return [Event(f"s{number}", item_id, NOON - timedelta(days=days)) for number in range(first, first + buyers)]


def test_what_rises_by_more_than_chance_is_told_and_one_eager_shopper_is_no_trend(shop: Shop) -> None:
    steady = [event for days in (3, 33) for event in sold("Denim-red-men-0", 15, days)]
    shop.purchases.record([*sold(RED, 20, 2), *sold(RED, 1, 40), *sold(BLUE, 20, 35), *steady, *sold(RED, 1, 0, 99)])
    shop.purchases.record([Event("eager", "Denim-blue-women-0", NOON, quantity=50)] * 3)
    found = overview(shop, 28)
    assert found.at == NOON
    assert found.rising.select("name", "buyers", "buyers_before", "category").rows() == [(RED, 21, 1, "Dresses")]
    assert found.falling["name"].to_list() == [BLUE]
    assert found.rising["chance"][0] < 0.001
    eager = trends(shop, "item", 28).row(0, named=True)
    assert (eager["name"], eager["bought"], eager["buyers"]) == ("Denim-blue-women-0", 150, 1)
    assert eager["chance"] > 0.05
    assert sum(bought for _, bought in found.weeks) == 22 + 20 + 30 + 150
    assert [begin for begin, _ in found.weeks[-2:]] == [datetime(2025, 6, 17), datetime(2025, 6, 24)]
    assert found.weeks[-1][1] == 20 + 15 + 1 + 150
    told = shop.purchases.trending(28, top=50)
    assert told.filter(item_id=RED)["chance"][0] == pytest.approx(found.rising["chance"][0])


def test_trends_by_category_colour_and_price_band(shop: Shop) -> None:
    for number, item in enumerate(shop.items.frame()["item_id"]):
        shop.items.edit(item, {"price": 10.0 * (1 + number), "currency": "EUR", "colour": item.split("-")[1]})
    shop.purchases.record([*sold(RED, 9, 1), *sold(BLUE, 4, 1), *sold(BLUE, 5, 30)])
    assert trends(shop, "category", 20).select("name", "bought", "before").rows() == [
        ("Dresses", 9, 0),
        ("Denim", 4, 5),
    ]
    assert trends(shop, "colour", 20).select("name", "buyers", "buyers_before").rows() == [
        ("red", 9, 0),
        ("blue", 4, 5),
    ]
    bands = trends(shop, "price", 20)
    assert bands["bought"].sum() == 13
    assert set(bands["name"]) <= {name for _, name in price_bands(np.arange(10.0, 250, 10), "EUR")}
    with pytest.raises(SettingError, match="category, colour, price"):
        trends(shop, "season")
    with pytest.raises(SettingError, match="window"):
        overview(shop, 0)


def test_price_bands_have_about_as_many_items_each_and_miss_none() -> None:
    bands = price_bands(np.array([5, 9, 12, 19.9, 20, 35, 49, 80, 120, 400, np.nan]), "EUR")
    assert [name for _, name in bands] == [
        "under 11 EUR", "11 to 20 EUR", "20 to 41 EUR", "41 to 88 EUR", "88 EUR and more",
    ]  # fmt: skip
    assert price_bands(np.array([np.nan])) == []
    assert price_bands(np.array([7.0, 7.0])) == [(None, "7")]


def test_what_is_in_no_list_is_counted_by_its_reason(shop: Shop, fill: Callable[..., None]) -> None:
    fill(shop, ["bare"])
    shop.items.hide(RED)
    with shop.storage.writing() as writing:
        for item_id, change in ((BLUE, {"available": False}), ("Denim-blue-men-6", {"stock": 0})):
            wanted = schema.items.update().where(schema.items.c.item_id == item_id)
            writing.execute(wanted.values(revision=writing.revision, **change))
    found = reach(shop)
    assert found.items == 25
    assert (found.lists, found.every) == (1 + 22, True)
    assert {name: found.why.get(name, 0) for name in ("hidden", "not available", "sold out")} == {
        "hidden": 1, "not available": 1, "sold out": 1,
    }  # fmt: skip
    assert found.reached + sum(found.why.values()) == 25
    assert found.likely == found.reached, "there are no other lists"
    assert set(found.never) == set(
        shop.items.frame()["item_id"]
    ).difference(  # what all lists together hold, asked one by one
        ["bare", RED, BLUE, "Denim-blue-men-6"],
        [one.item_id for one in shop.introduce(trendiness=0.5)],
        *([one.item_id for one in shop.recommend(item=item)] for item in shop.items.frame()["item_id"]
          if item not in (RED, BLUE, "Denim-blue-men-6")),
    )  # fmt: skip
    assert reach(shop) is found, "it is made once for a revision"


def test_time_is_bounded_and_the_sample_is_told(shop: Shop) -> None:
    found = reach(shop, seconds=0.0)
    assert (found.lists, found.every) == (1, False)
    assert found.likely >= found.reached
    empty = reach(shop, lists=0)
    assert empty.lists == 1


def test_a_hidden_item_is_in_no_list_and_stays_so_whatever_its_source_says(shop: Shop) -> None:
    first = shop.recommend(item=BLUE)[0].item_id
    shop.items.hide(first)
    assert first not in [one.item_id for one in shop.recommend(item=BLUE, top=20)]
    assert first not in shop.purchases.trending(30, top=50)["item_id"].to_list()
    shop.items.edit(first, {"title": "Coat", "stock": 4})
    assert shop.items[first]["hidden"] is True
    assert shop.status().hidden == 1
    assert shop.items.browse(state="hidden").items["item_id"].to_list() == [first]
    shop.items.hide(first, hidden=False)
    assert shop.recommend(item=BLUE)[0].item_id == first
    with pytest.raises(UnknownIdError):
        shop.items.hide("nothing")


def test_of_a_large_shop_one_shopper_s_taste_is_told_at_a_time(small: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop_module, "SPARING", 0)
    small.purchases.record([Event("ann", "a", NOON), Event("bob", "a", NOON - timedelta(days=30))])
    assert small.tastes()["told"].to_list() == [1, None], "nothing had sold when bob bought"
    monkeypatch.setattr(shop_module, "MOST_TOLD", 1)
    small.purchases.record([Event("ann", "b", NOON)])
    assert small.tastes().select("shopper_id", "purchases", "told").rows() == [("ann", 2, None), ("bob", 1, None)]
    assert small.taste("ann").purchases == 2


def test_editing_changes_what_is_named_and_nothing_else(shop: Shop) -> None:
    before = shop.items[RED]
    shop.items.edit(RED, {"title": "Red dress", "price": 49.9})
    after = shop.items[RED]
    assert {name for name in after if after[name] != before[name]} == {"title", "price"}
    assert shop.snapshot().matrix().has[shop.snapshot().row(RED)], "it keeps its vector"
    with pytest.raises(SettingError, match="popularity can't be edited"):
        shop.items.edit(RED, {"popularity": 3})


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"attributes": {"season": "season 3"}}, 24), ({"attributes": {"season": "season"}}, 0),
        ({"attributes": {"season": '%": "'}}, 0), ({"state": "no photo"}, 0), ({"state": "no vector"}, 0),
        ({"state": "on offer"}, 24), ({"state": "off"}, 0), ({"state": "rubbish"}, 24), ({"limit": None}, 24),
    ],
)  # fmt: skip
def test_items_are_looked_for_by_attribute_and_state(shop: Shop, asked: dict[str, object], count: int) -> None:
    assert shop.items.browse(**asked).total == count  # type: ignore[arg-type]


def test_attributes_that_tell_items_apart_are_offered(small: Shop) -> None:
    for number, item in enumerate("abcde"):
        small.items.edit(item, {"brand": "ab"[number % 2]})
    assert small.items.attributes() == {"brand": [("a", 3), ("b", 2)]}


def test_an_empty_shop_has_an_overview(tmp_path: Path, database: str | None) -> None:
    with Shop.create(tmp_path / "empty", database=database) as shop:
        found = overview(shop)
        assert (found.weeks, found.reach.items, found.rising.height) == ([], 0, 0)
        assert [step.page for step in found.status.steps("empty")] == ["/items"]
        for by in ("item", "category", "colour", "price"):
            assert isinstance(trends(shop, by), pl.DataFrame)
