"""Inputs as shops export them, outside of the repository: each comes out as its README says, and no row is lost.

What is meant by each stands, with a few lines of its kind, in ``test_cases.py`` and the tests of the shop.
"""

import csv
from pathlib import Path
from typing import Any

import pytest

from modiste.catalog.events import read_events
from modiste.catalog.readers import Reading, read_source
from modiste.catalog.stores import read_stores
from modiste.catalog.taxonomy import PAPER, Taxonomy
from modiste.catalog.words import gender
from modiste.errors import SourceError

pytestmark = pytest.mark.data

SOLD = {"LMD-SND-S", "CHJ-1", "LMD-NVY-S", "LMD-S", "LMD-M", "LMD-L", "LMD-XL", "LMD-XS"}
ORDERS = {  # rows taken and reported
    "03-parquet-float-ids": {"orders-item-float.parquet": (3, 1), "orders.csv": (3, 1), "orders.parquet": (3, 1)},
    "04-order-id": {"per-shopper-numbers.csv": (3, 0), "quoted-empty.csv": (4, 0), "space.csv": (2, 0)},
    "05-orders-dialects": {
        "bad-quote.csv": (1, 1), "bom.csv": (1, 0), "bom.csv.gz": (1, 0), "cp1252.csv": (2, 0),
        "crlf-blank.csv": (1, 0), "empty.csv": "has no column", "excel-sep.csv": (1, 0), "header-case.csv": (1, 0),
        "header-only.csv": "has no rows", "newline.csv": (1, 1), "orders.jsonl": (1, 0), "orders.xlsx": (1, 0),
        "other-names.csv": (1, 0), "ragged.csv": (2, 1), "semicolon.csv": (1, 0), "spaces-in-header.csv": (1, 0),
        "tab.csv": (1, 0), "tab.tsv": (1, 0), "utf16.csv": (1, 0),
    },
    "06-orders-quotes": {
        "inch-one.csv": (3, 0), "inch-quoted.csv": (2, 1), "inch.csv": (4, 0), "oneil.csv": (3, 0),
        "short.csv": (1, 1), "stray-start.csv": (2, 2), "unclosed.csv": (2, 1),
    },
    "07-dates": {"epoch.parquet": (2, 0), "offsets.csv": (2, 0), "orders.csv": (21, 5), "tz.parquet": (2, 0)},
    "08-returns-events": {"events.csv": (4, 0), "returns.csv": (4, 0)},
    "09-same-file-twice": {"orders.csv": (2, 0)},
    "11-renttherunway": {"renttherunway_final_data.json": (2, 0)},
    "15-shopify-products": {"orders-renamed.csv": (3, 0), "orders_export_1.csv": (3, 0)},
    "20-size-variants-same-photo": {"orders.csv": (1, 0)},
    "27-user_id-and-shopper_id": {
        "both-ids.csv": (1, 0), "date-and-at.csv": (1, 0), "dup-col.csv": "2 columns named 'item_id'",
    },
}  # fmt: skip
ITEMS = {  # items, rows that tell more of others' items, rows reported
    "00-base": {"items.csv": (48, 0, 0)},
    "11-renttherunway": {"items.jsonl": (2, 0, 0)},
    "12-items-dialects": {
        "backslash.csv": (2, 0, 0), "bom.csv": (2, 0, 0), "bom.csv.gz": (2, 0, 0), "case-ext.csv": (2, 0, 0),
        "cp1252.csv": (1, 0, 0), "excel-sep.csv": (1, 0, 0), "feed.txt": (1, 0, 0), "header-case.csv": (1, 0, 0),
        "inch-quoted.csv": (1, 0, 1), "inch.csv": (2, 0, 0), "items.json": (1, 0, 0), "items.xlsx": (2, 0, 0),
        "multi-image-cell.csv": (3, 0, 0), "na-rep.csv": (2, 0, 0), "nan.csv": (4, 0, 0),
        "no-header.csv": "if that is the first row", "other-columns-case.csv": (1, 0, 0),
        "other-names.csv": (1, 0, 0), "prices.csv": (8, 0, 1), "semicolon.csv": (2, 0, 0), "sku.csv": (1, 0, 0),
        "tab.csv": (1, 0, 0), "tab.tsv": (1, 0, 0), "two-photos.csv": (2, 1, 0), "urls.csv": (3, 0, 1),
        "utf16.csv": (1, 0, 0), "with-index.csv": (1, 0, 0),
    },
    "13-gender-words": {f"{name}.csv": (5, 0, 0) for name in ("control", "german", "hm-words", "mans")},
    "14-category-paths": {"items.csv": (10, 0, 0)},
    "15-shopify-products": dict.fromkeys(("products_export_1.csv", "renamed.csv", "renamed-local.csv"), (4, 1, 0)),
    "16-woocommerce": {"wc-product-export.csv": (2, 1, 0)},
    "17-google-feed": {"feed.tsv": (2, 0, 0), "feed.txt": (2, 0, 0), "feed.xml": (1, 0, 0)},
    "19-photo-formats": {"items.csv": (36, 0, 0)},
    "20-size-variants-same-photo": {"items.csv": (10, 0, 0)},
    "21-folder-shapes": {"flat": (2, 0, 0), "perproduct": (2, 0, 0), "three": (2, 0, 0), "withjunk": (3, 0, 1)},
    "23-sold-out": {"monday.csv": (4, 0, 0), "tuesday.csv": (2, 0, 0)},
    "24-icc": {"items.csv": (6, 0, 0)},
    "26-masks-of-other-tools": {"items.csv": (5, 0, 0)},
}  # fmt: skip
STORES = {"29-stores": {"comma.csv": (1, 1), "lat.csv": (1, 0)}}
OTHERS = {"13-gender-words": {"words.csv"}, "30-http": {"run.sh"}}  # held by tests of words and of the service


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> Path:
    folder = shared_data.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


def files(expected: dict[str, dict[str, Any]]) -> list[Any]:
    return [
        pytest.param(case, name, wanted, id=f"{case}/{name}")
        for case, of in expected.items()
        for name, wanted in of.items()
    ]


def test_no_case_is_left_out(cases: Path) -> None:
    there = {one.name: {file.name for file in one.iterdir()} for one in cases.iterdir() if one.is_dir()}
    for case, names in there.items():
        photos = {name for name in names if name.endswith((".jpg", ".png")) or name in ("img", "images")}
        known = [{*of.get(case, ())} for of in (ORDERS, ITEMS, STORES, OTHERS)]
        assert names - photos - {"README"} == set().union(*known), case


@pytest.mark.parametrize(("case", "name", "wanted"), files(ORDERS))
def test_orders_are_taken_or_reported(cases: Path, case: str, name: str, wanted: Any) -> None:
    known = SOLD | {str(number) for number in range(1001, 1049)}
    if isinstance(wanted, str):
        with pytest.raises(SourceError, match=wanted):
            read_events(cases / case / name, known)
        return
    found = read_events(cases / case / name, known)
    assert (found.rows, len(found.rejected)) == wanted
    assert all(one.row for one in found.rejected)
    assert not any(one.shopper_id.endswith(".0") or (one.order_id or "").endswith(".0") for one in found.events)


@pytest.mark.parametrize(("case", "name", "wanted"), files(ITEMS))
def test_items_are_taken_or_reported(cases: Path, case: str, name: str, wanted: Any) -> None:
    if isinstance(wanted, str):
        with pytest.raises(SourceError, match=wanted):
            read_source(cases / case / name, Taxonomy.load())
        return
    found = read_source(cases / case / name, Taxonomy.load())
    assert (len(found.items), found.merged, len(found.rejected)) == wanted
    if name not in ("na-rep.csv", "items.jsonl") and case != "00-base":
        assert all(one.image for one in found.items), "every one has its photo"


@pytest.mark.parametrize(("case", "name", "wanted"), files(STORES))
def test_stores_are_taken_or_reported(cases: Path, case: str, name: str, wanted: tuple[int, int]) -> None:
    stores, rejected, _ = read_stores(cases / case / name)
    assert (stores.height, len(rejected)) == wanted


def read(cases: Path, name: str, taxonomy: Path | None = None) -> Reading:
    return read_source(cases / name, Taxonomy.load(taxonomy))


def test_what_the_readmes_expect_of_items(cases: Path) -> None:
    paths = {one.item_id: one.category for one in read(cases, "14-category-paths/items.csv", PAPER).items}
    assert paths == {
        "1": "Tees_Tanks", **dict.fromkeys("235", "Dresses"), "4": "Denim", "6": "Pants", "7": "Jackets_Coats",
        "8": "Sweatshirts_Hoodies", "9": "Tees_Tanks", "10": "Tees_Tanks",
    }  # fmt: skip
    for name in ("hm-words", "german", "control", "mans"):
        who = {one.item_id: (one.gender, one.age_group) for one in read(cases, f"13-gender-words/{name}.csv").items}
        assert {one: told[0] for one, told in who.items() if one[0] in "WM"} == {
            "W1": "women", "W2": "women", "M1": "men", "M2": "men"
        }  # fmt: skip
    shopify = read(cases, "15-shopify-products/products_export_1.csv").items
    assert {(one.product, one.category, one.gender) for one in shopify} == {
        (one.product, one.category, one.gender) for one in shopify if one.gender and one.category
    }
    assert len({one.product for one in shopify}) == 2
    google = read(cases, "17-google-feed/feed.tsv").items
    assert {one.product for one in google} == {"LMD"}
    assert sum(one.on_offer for one in google) == 1
    sizes = [one for one in read(cases, "20-size-variants-same-photo/items.csv").items if one.item_id.startswith("LMD")]
    assert len({one.product for one in sizes}) == 1
    views = {one.view for one in read(cases, "21-folder-shapes/perproduct").items}
    assert len(views) == 2


def test_every_word_for_people_is_what_it_was_or_more(cases: Path) -> None:
    with (cases / "13-gender-words" / "words.csv").open(encoding="utf-8") as file:
        words = [(row["word"], row["modiste"]) for row in csv.DictReader(file)]
    assert {word: gender(word) for word, meant in words if meant} == {word: meant for word, meant in words if meant}
    nobodys = {"Unisex", "U", "unisex", "Kids", "Baby", "Children", "Junior", "Women|Men", "Men,Women", "Men/Women"}
    assert {word for word, _ in words if gender(word) is None} <= nobodys | {"1", "2", "Sport", ">", "Dresses'"}
