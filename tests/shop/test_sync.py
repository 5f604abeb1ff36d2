"""A shop that follows its sources: its first afternoon and the nights after, on both databases."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from modiste import cli
from modiste.errors import SettingError, SourceError
from modiste.shop.shop import Shop
from modiste.shop.sync import Sources, last_syncs, sync

from .test_photos_by_address import Web, table


@pytest.fixture
def web(encoded: Callable[..., bytes]) -> Iterator[Web]:
    with Web() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        kinds = ("Tees_Tanks-red-women-0", "Tees_Tanks-red-women-6", "Dresses-red-women-0", "Denim-red-women-0")
        server.files = {f"/{n}.png": encoded(name) for n, name in enumerate((*kinds, "Dresses-red-women-6"))}
        yield server
        server.shutdown()


def feed(web: Web, **changes: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Five items of a feed with addresses of photos; ``changes`` by id: None leaves it out."""
    rows = [
        {"id": f"i{n}", "title": f"Garment {n}", "image_link": f"{web.url}/{n}.png", "product_type": "Dresses",
         "price": "10.00 EUR", "availability": "in stock"}
        for n in range(5)
    ]  # fmt: skip
    return [{**row, **(changes.get(row["id"]) or {})} for row in rows if changes.get(row["id"], {}) is not None]


def publish(web: Web, rows: list[dict[str, Any]], folder: Path) -> None:
    web.files["/feed.csv"] = table(folder / "feed.csv", rows).read_bytes()


def listed(shop: Shop, item_id: str) -> set[str]:
    return {one.item_id for one in shop.recommend(item=item_id, gender="any", top=10)}


def test_a_first_afternoon_and_the_nights_after(tmp_path: Path, web: Web, database: str | None) -> None:
    orders = table(
        tmp_path / "orders.csv",
        [{"order_id": f"o{n}", "customer_id": "anna", "item_id": f"i{n % 3}", "date": "2025-03-01"} for n in range(4)],
    )
    publish(web, feed(web), tmp_path)
    sources = Sources(items=f"{web.url}/feed.csv", orders=str(orders), private=True)
    with Shop.create(tmp_path / "s", database=database) as shop:
        first = sync(shop, sources)
        assert (first.added, first.embedded, first.orders, first.rejected, first.photos) == (5, 5, 4, [], [])
        assert listed(shop, "i0") == {"i1", "i2", "i3", "i4"}

        again = sync(shop)  # an hour later, nothing has happened
        assert (again.unchanged, again.added, again.updated, again.retired, again.embedded, again.orders) == (
            5,
            0,
            0,
            0,
            0,
            0,
        )
        assert web.asked.count("/0.png") == 2  # asked for, but it has not changed

        before = {n: shop.items[f"i{n}"] for n in range(5)}
        web.files["/3.png"] = web.files["/4.png"]  # another photo at the same address
        publish(web, feed(web, i1={"availability": "out of stock"}, i2={"price": "8.00 EUR"}, i4=None), tmp_path)
        night = sync(shop)
        assert (night.updated, night.unchanged, night.retired, night.embedded) == (3, 1, 1, 1)
        assert shop.items["i2"]["price"] == 8
        assert shop.items["i3"]["stamp"] != before[3]["stamp"]
        assert shop.items["i4"]["available"] is False  # retired, and all else is there
        assert {**shop.items["i4"], "available": True} == before[4]
        assert listed(shop, "i0") == {"i2", "i3"}
        assert sync(shop).retired == 0

        publish(web, feed(web), tmp_path)
        back = sync(shop)
        assert (back.restored, back.retired, back.embedded) == (1, 0, 0)
        assert shop.items["i4"]["available"] is True
        assert listed(shop, "i0") == {"i1", "i2", "i3", "i4"}
        assert len(shop.purchases.frame()) == 4
        told = [counts for _, counts in last_syncs(shop, 5)]
        assert [one["retired"] for one in told] == [0, 0, 1, 0, 0]
        assert [one["restored"] for one in told] == [1, 0, 0, 0, 0]


def test_a_source_that_is_suddenly_half_empty_is_refused_until_it_is_confirmed(tmp_path: Path, small: Shop) -> None:
    rows: list[dict[str, object]] = [{"item_id": f"n{n}", "category": "Dresses"} for n in range(10)]
    own = set(small.items.frame()["item_id"])
    sync(small, Sources(items=str(table(tmp_path / "items.csv", rows))))
    table(tmp_path / "items.csv", rows[:4])
    with pytest.raises(SourceError, match=r"has 4 of the 10 items it had; nothing was changed.*--confirm"):
        sync(small)
    assert small.items["n9"]["available"] is None
    report = sync(small, confirm=True)
    assert (report.retired, report.unchanged) == (6, 4)
    assert sync(small).retired == 0  # four of four
    assert all(small.items[item_id]["available"] is None for item_id in own)  # what no sync brought is not its business


def test_a_row_that_can_not_be_read_today_is_not_taken_for_gone(tmp_path: Path, small: Shop) -> None:
    rows: list[dict[str, object]] = [{"item_id": f"n{n}", "category": "Dresses", "price": 5} for n in range(10)]
    sync(small, Sources(items=str(table(tmp_path / "items.csv", rows))))
    table(tmp_path / "items.csv", [*rows[:8], {**rows[8], "price": "cheap"}])
    report = sync(small)
    assert (len(report.rejected), report.retired) == (1, 1)
    assert (small.items["n8"]["available"], small.items["n9"]["available"]) == (None, False)


def test_orders_without_numbers_would_count_again(tmp_path: Path, small: Shop) -> None:
    some = small.items.frame()["item_id"][0]
    orders = table(tmp_path / "orders.csv", [{"shopper_id": "1", "item_id": some, "date": "2025-01-01"}])
    with pytest.raises(SourceError, match="orders without a number"):
        sync(small, Sources(orders=str(orders)))
    assert small.purchases.frame().is_empty()
    assert Sources.of(small.path) is None


def test_sources_are_said_once(tmp_path: Path) -> None:
    Shop.create(tmp_path / "s").close()
    source = tmp_path / "it's.csv"
    with source.open("w", newline="") as file:
        csv.writer(file).writerows([["Nummer", "Sorte"], ["7", "Dresses"]])
    run = CliRunner().invoke
    assert isinstance(run(cli.app, ["sync", str(tmp_path / "s")]).exception, SettingError)
    first = run(
        cli.app,
        ["sync", str(tmp_path / "s"), "--items", str(source), "--map", "item_id=Nummer", "--map", "category=Sorte"],
    )
    assert first.exit_code == 0, first.output
    assert "1 added, 0 updated, 0 unchanged, 0 retired, 0 restored" in first.output
    assert Sources.of(tmp_path / "s") == Sources(items=str(source), maps=("item_id=Nummer", "category=Sorte"))
    assert "0 added, 0 updated, 1 unchanged" in run(cli.app, ["sync", str(tmp_path / "s")]).output
    (tmp_path / "s" / "sync.toml").write_text('itmes = "x"')
    with pytest.raises(SourceError, match="has itmes"):
        Sources.of(tmp_path / "s")
