"""A shop that follows its sources: its first afternoon and the nights after, on both databases."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa

from modiste import Item
from modiste.catalog.readers import read_source
from modiste.errors import SourceError
from modiste.shop import schema
from modiste.shop.shop import Shop
from modiste.shop.sync import Sources, sync

from ..garments import drawn
from ..running import typed
from .test_photos_by_address import Web, table


def synced(shop: Shop) -> list[Any]:
    """What is kept of each sync, the latest last."""
    return shop.storage.rows(sa.select(schema.syncs).order_by(schema.syncs.c.sync_id))


@pytest.fixture
def web(encoded: Callable[..., bytes]) -> Iterator[Web]:
    with Web() as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        kinds = ("Tees_Tanks-red-women-0", "Tees_Tanks-red-women-6", "Dresses-red-women-0", "Denim-red-women-0")
        server.files = {f"/{n}.png": encoded(name) for n, name in enumerate((*kinds, "Dresses-red-women-6"))}
        yield server
        server.shutdown()


PHOTOS = {"tee": "0.png", "shirt": "moved/1.png", "dress": "slow/2.png", "jeans": "flaky/3.png", "coat": "gone.png"}


def export(web: Web, **changes: dict[str, Any] | None) -> bytes:
    """Five products of a Shopify export, the tee in two sizes; ``changes`` by handle: None leaves it out."""
    rows = []
    for handle, photo in PHOTOS.items():
        if changes.get(handle, {}) is None:
            continue
        first = {
            "Handle": handle, "Title": handle.title(), "Vendor": "Harbour", "Type": "Dresses", "Option1 Name": "Size",
            "Option1 Value": "S", "Variant SKU": f"{handle}-S", "Variant Inventory Qty": 3, "Variant Price": "10.00",
            "Variant Compare At Price": "",
            "Image Src": f"{web.url}/{photo}", "Status": "active", "Google Shopping / Gender": "female",
        }  # fmt: skip
        rows.append(first | (changes.get(handle) or {}))
        if handle == "tee":
            rows.append({"Handle": handle, "Option1 Value": "M", "Variant SKU": "tee-M", "Variant Price": "10.00"})
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


ORDERS = """\
Name,Email,Financial Status,Created at,Lineitem quantity,Lineitem name,Lineitem sku
#1,anna@x.example,paid,2025-03-01 10:00:00 +0100,1,Tee - S,tee-S
#1,anna@x.example,,,2,Dress - S,dress-S
#2,bea@x.example,{status},2025-03-02 10:00:00 +0100,1,Jeans - S,jeans-S
"""


def listed(shop: Shop, item_id: str) -> set[str]:
    return {one.item_id for one in shop.recommend(item=item_id, gender="any", top=10)}


def test_a_first_afternoon_with_a_shopify_export_and_the_nights_after(
    tmp_path: Path, web: Web, database: str | None
) -> None:
    web.files["/products.csv"], orders = export(web), tmp_path / "orders.csv"
    orders.write_text(ORDERS.format(status="paid"))
    sources = Sources(items=f"{web.url}/products.csv", orders=str(orders), private=True)
    with Shop.create(tmp_path / "s", database=database) as shop:
        first = sync(shop, sources)
        assert (first.added, first.embedded, first.orders, first.rejected) == (6, 5, 3, [])
        assert [one.file.rpartition("/")[2] for one in first.photos] == ["gone.png"], "all others came, by and by"
        assert web.asked.count("/flaky/3.png") == 2
        tee, shirt = shop.items["tee-M"], shop.items["shirt-S"]
        assert (tee["product"], tee["gender"], tee["image"]) == ("tee", "women", shop.items["tee-S"]["image"])
        assert Path(shirt["image"]).read_bytes() == web.files["/1.png"], "from where its address leads"
        assert listed(shop, "tee-S") == {"shirt-S", "dress-S", "jeans-S", "coat-S"}, "not its other size"

        again = sync(shop)  # an hour later, nothing has happened
        assert {name: value for name, value in again.counts().items() if value and name != "remarks"} == {
            "unchanged": 6, "photos": 1
        }  # fmt: skip
        assert web.asked.count("/0.png") == 2  # asked for, but it has not changed

        before = {one: shop.items[one] for one in ("jeans-S", "coat-S")}
        web.files["/3.png"] = web.files["/4.png"]  # another photo at the same address
        sold_out, cheaper = {"Variant Inventory Qty": 0}, {"Variant Price": "8.00", "Variant Compare At Price": "10.00"}
        web.files["/products.csv"] = export(web, shirt=sold_out, dress=cheaper, coat=None)
        orders.write_text(ORDERS.format(status="refunded"))
        night = sync(shop)
        assert (night.updated, night.unchanged, night.retired, night.embedded, night.orders) == (3, 2, 1, 1, 1)
        assert (shop.items["dress-S"]["price"], shop.items["dress-S"]["sale_price"]) == (10, 8)
        assert shop.items["jeans-S"]["stamp"] != before["jeans-S"]["stamp"]
        assert shop.items["coat-S"]["available"] is False  # retired, and all else is there
        assert {**shop.items["coat-S"], "available": True} == before["coat-S"]
        assert listed(shop, "tee-S") == {"dress-S", "jeans-S"}
        assert shop.purchases.frame()["item_id"].to_list() == ["tee-S", "dress-S"], "the jeans came back"
        assert sync(shop).retired == 0

        web.files["/gone.png"] = web.files["/2.png"] + b"a file of its own"
        web.files["/products.csv"] = export(web, jeans={"Status": "draft"}, dress={"Title": "Long dress"})
        night = sync(shop)
        assert (night.restored, night.retired, night.embedded, night.photos) == (1, 0, 1, [])
        assert (shop.items["coat-S"]["available"], shop.items["dress-S"]["title"]) == (True, "Long dress")
        assert listed(shop, "tee-S") == {"shirt-S", "dress-S", "coat-S"}
        told = [json.loads(row["report"]) for row in synced(shop)][-5:]
        assert [one["retired"] for one in told] == [0, 0, 1, 0, 0]
        assert [one["restored"] for one in told] == [0, 0, 0, 0, 1]


def test_a_table_from_elsewhere_shows_no_file_of_this_machine(tmp_path: Path, web: Web) -> None:
    (mine := tmp_path / "mine.png").write_bytes(drawn())
    web.files = {"/0.png": drawn(colour="blue")}
    rows = [("a", f"{mine}|{web.url}/0.png", mine), ("b", f"file://{mine}", "")]
    web.files["/feed.csv"] = "\n".join(["item_id,images,mask", *(",".join(map(str, row)) for row in rows)]).encode()
    with Shop.create(tmp_path / "s") as shop:
        report = sync(shop, Sources(items=f"{web.url}/feed.csv", private=True))
        assert [(one.file, one.reason.partition(",")[0]) for one in report.photos] == [
            (str(mine), "lies on this machine")
        ] * 2
        assert Path(shop.items["a"]["image"]).read_bytes() == web.files["/0.png"]
        assert (shop.items["b"]["image"], shop.items["a"]["mask"]) == (None, None)


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
    small.items.put(Item("n9", category="Denim"))  # by hand, though its source has it no more
    assert small.items["n9"]["available"] is None
    assert sync(small).retired == 1
    assert small.items["n9"]["available"] is False
    assert all(small.items[item_id]["available"] is None for item_id in own)  # what no sync brought is not its business


def test_a_row_that_can_not_be_read_today_is_not_taken_for_gone(tmp_path: Path, small: Shop) -> None:
    rows: list[dict[str, object]] = [{"item_id": f"n{n}", "category": "Dresses", "price": 5} for n in range(10)]
    sync(small, Sources(items=str(table(tmp_path / "items.csv", rows))))
    table(tmp_path / "items.csv", [*rows[:8], {**rows[8], "price": "cheap"}])
    report = sync(small)
    assert (len(report.rejected), report.retired) == (1, 1)
    assert (small.items["n8"]["available"], small.items["n9"]["available"]) == (None, False)


def test_a_night_without_orders_and_rows_that_were_not_understood_are_told(tmp_path: Path, small: Shop) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text("order_id,shopper_id,item_id,date,Kasse\n")
    report = sync(small, Sources(orders=str(orders)))
    assert (report.orders, report.remarks) == (0, [f"{orders} has no orders"])
    orders.write_text("order_id,shopper_id,item_id,date,Kasse\nA1,ann,a,31/03/2025,7\nA2,ann,b,2025-03-31,7\n")
    report = sync(small)
    assert (report.orders, [one.row for one in report.rejected]) == (1, [2])
    assert report.remarks == ["1 dates have the form of '31/03/2025': add --day-first", "columns not read: Kasse"]
    coverage = small.coverage()
    assert (coverage.synced["orders"], coverage.synced["rejected"], len(synced(small))) == (1, 1, 2)
    assert coverage.last_sync == synced(small)[-1]["at"]


def test_a_source_that_changes_as_it_is_read_is_not_taken(
    tmp_path: Path, small: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, object]] = [{"item_id": f"n{n}", "category": "Dresses"} for n in range(10)]
    sync(small, Sources(items=str(table(tmp_path / "items.csv", rows))))

    def meanwhile(file: Path, *how: Any) -> Any:
        reading = read_source(file, *how)
        table(file, rows[:9])
        return reading

    with monkeypatch.context() as patch:
        patch.setattr("modiste.shop.sync.read_source", meanwhile)
        with pytest.raises(SourceError, match="changed while it was read"):
            sync(small)
    assert sync(small).retired == 1


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
    assert typed("sync", tmp_path / "s").code == 2
    first = typed("sync", tmp_path / "s", "--items", source, "--map", "item_id=Nummer", "--map", "category=Sorte")
    assert first.code == 0, first.err
    assert "1 added, 0 updated, 0 unchanged, 0 retired, 0 restored" in first.out
    assert Sources.of(tmp_path / "s") == Sources(items=str(source), maps=("item_id=Nummer", "category=Sorte"))
    assert "0 added, 0 updated, 1 unchanged" in typed("sync", tmp_path / "s").out
    (tmp_path / "s" / "sync.toml").write_text('itmes = "x"')
    with pytest.raises(SourceError, match="has itmes"):
        Sources.of(tmp_path / "s")
