"""A check finds what is stale, missing, foreign or orphaned, says it in a sentence, and mends what can be mended."""

import os
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from modiste import Event, Item, Shop
from modiste.shop import schema
from modiste.shop.checking import Finding
from modiste.shop.moments import Moments

NOON = datetime(2026, 3, 1, 12)
RED, BLUE = "Denim-red-women-0", "Denim-blue-women-0"


@pytest.fixture
def network(quick_network) -> str:
    """What a check lets be made again is made by the quick one."""
    return "quick"


def change(shop: Shop, statement: str, **values: object) -> None:
    """By another hand than the shop's; what was in memory is read anew."""
    with shop.storage.writing() as writing:
        writing.execute(sa.text(statement), values)
    shop.moments.read_anew()


def vector(shop: Shop, item_id: str) -> bytes | None:
    row = shop.storage.row(sa.select(schema.vectors.c.vector).where(schema.vectors.c.item_id == item_id))
    return None if row is None else bytes(row["vector"])


def mended(shop: Shop, kind: str, **how: bool) -> Finding:
    """The one thing that a check finds and mends; afterwards it finds nothing, and all counts are right."""
    found, *more = shop.check(**how)
    assert not more
    assert (found.kind, found.mended) == (kind, False)
    assert shop.check(**how) == [found], "a check that doesn't mend changes nothing"
    [told] = shop.check("all" if not found.derived else "derived", **how)
    assert (told.kind, told.said, told.mended) == (kind, found.said, True)
    assert shop.check() == []
    return found


def test_a_shop_in_use_is_as_it_should_be(shop, encoded):
    shop.items.put(Item("new", "Denim", "women"), encoded(RED))
    shop.purchases.record(
        [Event("ann", "new", NOON), Event("ann", RED, NOON, "view"), Event("bea", RED, NOON, "return")]
    )
    shop.purchases.record([Event("bea", RED, NOON)])
    shop.items.remove("new")
    shop.recommend("ann", top=3)
    assert shop.check() == []


def test_a_vector_of_another_photo_or_category_is_made_again(shop):
    right = vector(shop, RED)
    change(shop, "UPDATE vectors SET made_of = 'another', vector = (SELECT vector FROM vectors WHERE item_id = :other)"
                 " WHERE item_id = :one", one=RED, other=BLUE)  # fmt: skip
    found = mended(shop, "vectors")
    assert (found.count, RED in found.said) == (1, True)
    assert vector(shop, RED) == right
    change(shop, "UPDATE items SET category = 'Shorts' WHERE item_id = :one", one=RED)
    mended(shop, "vectors")


@pytest.mark.parametrize("wrong", ["nan", "short", "long", "colour"])
def test_what_is_no_vector_is_made_again(shop, wrong):
    right, column = vector(shop, RED), "colour" if wrong == "colour" else "vector"
    numbers = np.frombuffer(right, "<f2").copy()
    numbers[0] = np.nan
    bad = {"nan": numbers.tobytes(), "short": right[:-2], "long": 2 * right, "colour": right[:10]}[wrong]
    change(shop, f"UPDATE vectors SET {column} = :bad WHERE item_id = :one", bad=bad, one=RED)
    mended(shop, "vectors", thorough=False)
    assert vector(shop, RED) == right


def test_rows_of_what_is_gone_are_deleted(shop):
    if shop.storage.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL lets nobody make them")
    shop.snapshot()
    with closing(sqlite3.connect(shop.path / "shop.db")) as connection, connection:  # which doesn't look after them
        connection.execute("DELETE FROM items WHERE item_id = ?", (RED,))
    assert {one.kind for one in shop.check("derived", thorough=False)} == {"rows"}
    assert shop.check() == []
    assert shop.snapshot().find(RED) == -1


def test_counts_that_are_not_what_the_events_say_are_counted_anew(shop):
    shop.purchases.record([Event("ann", RED, NOON), Event("bea", RED, NOON), Event("bea", RED, NOON, "return")])
    for statement in (
        "UPDATE counts SET count = count + 1 WHERE item_id = :one",
        "DELETE FROM counts WHERE item_id = :one",
        "UPDATE sales SET bought = 7 WHERE item_id = :one",
        "UPDATE sales SET day = day + 1 WHERE item_id = :one",
        "UPDATE shoppers SET purchases = 2 WHERE shopper_id = 'ann'",
        "UPDATE shoppers SET normpop = normpop + 0.1 WHERE shopper_id = 'ann'",
        "UPDATE settings SET value = '5' WHERE name = 'purchases'",
        "UPDATE settings SET value = '0.75' WHERE name = 'normpop'",
        "UPDATE events SET kept = 1 WHERE shopper_id = 'bea' AND kind = 'purchase'",
        "UPDATE events SET kept = 0 WHERE shopper_id = 'ann'",
    ):
        change(shop, statement, **({"one": RED} if ":one" in statement else {}))
        [found] = [one for one in shop.check("derived", thorough=False) if one.kind == "counts"]
        assert found.mended
        assert shop.check() == []
    assert (len(shop.purchases), shop.shoppers["bea"].purchases) == (1, 0)


def test_a_photo_that_changed_is_read_again_and_one_that_is_gone_is_told(shop, catalogue):
    photo, before = Path(shop.items[RED]["image"]), vector(shop, RED)
    kept = photo.read_bytes()
    shutil.copyfile(shop.items[BLUE]["image"], photo)
    assert shop.check(thorough=False) == []
    assert RED in mended(shop, "photos").said
    assert vector(shop, RED) == vector(shop, BLUE) != before
    photo.unlink()
    [found] = shop.check("all")
    assert (found.kind, found.mended, photo.name in found.said) == ("missing", False, True)
    photo.write_bytes(kept)
    mended(shop, "photos")
    assert vector(shop, RED) == before


def test_files_that_nothing_names_are_deleted_once_they_are_old(shop, encoded):
    shop.items.put(Item("new", "Denim", "women"), encoded(RED))
    uploads = shop.path / "uploads"
    (shop.path / "photos").mkdir()
    photos, name = shop.path / "photos", f"{0:032x}.png"
    left = [uploads / "tmpab_c", uploads / name, photos / name, photos / ".tmp0", shop.path / "sync.toml.unfinished"]
    kept = [photos / "index.jsonl", photos / "dress.png", photos / "items.csv", shop.path / "notes.txt"]
    for one in (*left, *kept):
        one.write_bytes(b"half")
    assert shop.check() == []
    for one in [*left, *kept, *uploads.iterdir()]:
        os.utime(one, (time.time() - 1e6,) * 2)
    assert mended(shop, "leftovers").count == 5
    assert not any(one.exists() for one in left)
    assert all(one.exists() for one in kept)
    assert Path(shop.items["new"]["image"]).is_file()


@pytest.fixture
def filed(shop, monkeypatch):
    """The shop with its snapshot in files, as large shops have it."""
    monkeypatch.setattr(Moments, "filed_from", 0)
    with Shop.open(shop.path) as opened:
        opened.snapshot()
        assert (shop.path / "cache" / "manifest.json").is_file()
        yield opened


def test_files_that_hold_other_than_the_tables_are_made_anew(filed):
    [file] = (filed.path / "cache").glob("vectors-*")
    file.write_bytes(bytes(file.stat().st_size))
    with Shop.open(filed.path) as other:
        assert other.check(thorough=False) == []
        assert mended(other, "cache").count == 24
        assert [one.item_id for one in other.recommend(item=RED, top=1, preset="visual", gender="women")]


def test_files_that_were_cut_short_are_made_anew(filed):
    for file in (filed.path / "cache").glob("vectors-*"):
        os.truncate(file, 100)
    with Shop.open(filed.path) as other:
        mended(other, "cache", thorough=False)


def test_tables_put_back_to_an_older_state_are_not_answered_for_by_newer_files(filed, encoded):
    older = dict.fromkeys(schema.metadata.sorted_tables)
    with filed.storage.reading() as connection:
        for table in older:
            older[table] = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
    for number in range(4):
        filed.items.put(Item(f"new-{number}", "Denim", "women"), encoded(RED))
    filed.moments.files.save(filed.snapshot())
    with filed.storage.engine.connect().execution_options(writes=True) as connection, connection.begin():
        for table in reversed(older):
            connection.execute(table.delete())
        for table, rows in older.items():
            if rows:
                connection.execute(table.insert(), rows)
    assert filed.snapshot().find("new-3") == -1, "a shop that was open all the while sees it"
    for number in range(5):  # it counts on, past the files' revision
        filed.items.put(Item(f"other-{number}", "Denim", "men"), encoded(BLUE))
    for asked in (filed, Shop.open(filed.path)):
        snapshot = asked.snapshot()
        assert (snapshot.find("new-0"), snapshot.size) == (-1, 29)
        assert asked.check() == []
    asked.close()
