"""A shop of any earlier release is brought forward whole, once, and loses nothing."""

import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects.postgresql.base import ischema_names

from modiste.catalog.purchases import Purchase
from modiste.errors import SourceError
from modiste.shop import database as db
from modiste.shop import migrations
from modiste.shop.shop import Shop
from modiste.vision.embedding import VectorSpace

# What the first release's `modiste new` made, as SQLite tells it.
SCHEMA_1 = """
CREATE TABLE items (item_id VARCHAR NOT NULL, category VARCHAR, gender VARCHAR, image VARCHAR, mask VARCHAR,
    product VARCHAR NOT NULL, "view" VARCHAR, price FLOAT, store_id VARCHAR, popularity FLOAT, attributes TEXT NOT NULL,
    stamp VARCHAR NOT NULL, PRIMARY KEY (item_id));
CREATE INDEX ix_items_product ON items (product);
CREATE TABLE stores (store_id VARCHAR NOT NULL, name VARCHAR NOT NULL, latitude FLOAT NOT NULL,
    longitude FLOAT NOT NULL, PRIMARY KEY (store_id));
CREATE TABLE shoppers (shopper_id VARCHAR NOT NULL, trendiness FLOAT, latitude FLOAT, longitude FLOAT,
    simulated BOOLEAN NOT NULL, PRIMARY KEY (shopper_id));
CREATE TABLE spaces ("key" VARCHAR NOT NULL, settings TEXT NOT NULL, reduction BLOB, used DATETIME NOT NULL,
    PRIMARY KEY ("key"));
CREATE TABLE settings (name VARCHAR NOT NULL, value VARCHAR NOT NULL, PRIMARY KEY (name));
CREATE TABLE purchases (purchase_id INTEGER NOT NULL, order_id VARCHAR, shopper_id VARCHAR NOT NULL,
    item_id VARCHAR NOT NULL, at DATETIME NOT NULL, simulated BOOLEAN NOT NULL, PRIMARY KEY (purchase_id),
    UNIQUE (order_id), FOREIGN KEY(shopper_id) REFERENCES shoppers (shopper_id) ON DELETE CASCADE,
    FOREIGN KEY(item_id) REFERENCES items (item_id) ON DELETE CASCADE);
CREATE INDEX purchases_by_item ON purchases (item_id, at);
CREATE INDEX purchases_by_shopper ON purchases (shopper_id, at);
CREATE TABLE vectors (space VARCHAR NOT NULL, item_id VARCHAR NOT NULL, vector BLOB NOT NULL,
    PRIMARY KEY (space, item_id), FOREIGN KEY(space) REFERENCES spaces ("key") ON DELETE CASCADE,
    FOREIGN KEY(item_id) REFERENCES items (item_id) ON DELETE CASCADE);
CREATE TABLE failures (space VARCHAR NOT NULL, item_id VARCHAR NOT NULL, reason VARCHAR NOT NULL,
    PRIMARY KEY (space, item_id), FOREIGN KEY(space) REFERENCES spaces ("key") ON DELETE CASCADE,
    FOREIGN KEY(item_id) REFERENCES items (item_id) ON DELETE CASCADE);
INSERT INTO settings VALUES ('schema', '1'), ('items_version', '4'), ('purchases_version', '2'),
    ('vectors_version', '3');
"""
SPACE = VectorSpace("resnet50", "0" * 64, "none", "fit", "auto", None, 8)
VECTORS = np.eye(3, 8, dtype="<f2")


@pytest.fixture
def old_shop(tmp_path: Path) -> Path:
    """A folder with the shop.db of the first release: three items with vectors, one failure, two purchases."""
    folder = tmp_path / "old"
    folder.mkdir()
    connection = sqlite3.connect(folder / "shop.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA_1)
    with connection:
        connection.executemany(
            "INSERT INTO items VALUES (?, 'Denim', 'men', ?, NULL, ?, NULL, 9.5, 's', ?, '{}', '')",
            [(one, f"{one}.png", one, popularity) for one, popularity in (("b", 2.0), ("a", 1.0), ("Z", None))],
        )
        connection.execute("INSERT INTO stores VALUES ('s', 'Shop', 48.0, 2.0)")
        connection.execute("INSERT INTO shoppers VALUES ('ann', 0.25, NULL, NULL, 0)")
        connection.executemany(
            "INSERT INTO purchases (order_id, shopper_id, item_id, at, simulated) VALUES (?, 'ann', ?, ?, 0)",
            [("A-1", "a", "2025-03-31 14:05:00.000000"), (None, "b", "2025-03-30 09:00:00.000000")],
        )
        connection.execute(
            "INSERT INTO spaces VALUES (?, ?, NULL, '2025-03-31 15:00:00.000000')", (SPACE.key, SPACE.to_json())
        )
        connection.executemany(
            "INSERT INTO vectors VALUES (?, ?, ?)",
            [(SPACE.key, one, vector.tobytes()) for one, vector in zip(("a", "b", "Z"), VECTORS, strict=True)],
        )
        connection.execute("INSERT INTO failures VALUES (?, 'b', 'too dark')", (SPACE.key,))
    connection.close()
    return folder


def state(folder: Path) -> tuple[str | None, str, list[str]]:
    """Alembic's version, the schema setting and the names of all indexes in a folder's shop.db."""
    connection = sqlite3.connect(folder / "shop.db")
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
    stamped = None
    if "alembic_version" in names:
        [(stamped,)] = connection.execute("SELECT version_num FROM alembic_version")
    [(schema,)] = connection.execute("SELECT value FROM settings WHERE name = 'schema'")
    connection.close()
    return stamped, schema, names


def differences(engine: sa.Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, db.metadata))


def test_a_shop_of_the_first_release_is_brought_forward_with_all_it_holds(old_shop):
    assert state(old_shop)[:2] == (None, "1")
    with Shop.open(old_shop) as shop:
        assert state(old_shop)[:2] == ("2", "2")
        assert shop.items()["item_id"].to_list() == ["Z", "a", "b"]
        assert shop.items()["popularity"].to_list() == [None, 1.0, 2.0]
        assert shop.purchases()["item_id"].to_list() == ["b", "a"]
        assert shop.purchases()["at"][1] == datetime(2025, 3, 31, 14, 5)
        assert shop.record([Purchase("ann", "a", datetime(2025, 4, 1), "A-1")]) == 0
        assert shop.trendiness("ann") == 0.25
        assert shop.stores()["store_id"].to_list() == ["s"]
        item_ids, vectors = shop.vectors()
        assert item_ids == ["Z", "a", "b"]
        assert np.array_equal(vectors, VECTORS[[2, 0, 1]])
        assert [one.reason for one in shop.failures()] == ["too dark"]
        assert shop.record([Purchase("bob", "a", datetime(2025, 4, 1), "A-2")]) == 1
    with Shop.open(old_shop) as again:
        assert again.purchases().height == 3


def test_orders_of_the_first_release_keep_their_ids_and_take_more_lines(old_shop):
    with sqlite3.connect(old_shop / "shop.db") as connection:
        connection.execute("DELETE FROM purchases WHERE order_id IS NULL")
        connection.execute(
            "INSERT INTO purchases VALUES (7, 'A-7', 'ann', 'b', '2025-03-30 09:00:00.000000', 0), "
            "(9, NULL, 'ann', 'Z', '2025-03-29 09:00:00.000000', 0)"
        )
        before = connection.execute("SELECT * FROM purchases ORDER BY purchase_id").fetchall()
    connection.close()
    assert [row[0] for row in before] == [1, 7, 9]
    with Shop.open(old_shop) as shop:
        with shop.engine.connect() as reader:
            after = [tuple(row) for row in reader.exec_driver_sql("SELECT * FROM purchases ORDER BY purchase_id")]
            assert after == before
            assert reader.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            assert reader.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        day = datetime(2025, 4, 1)
        assert shop.record([Purchase("ann", "b", day, "A-1"), Purchase("ann", "Z", day, "A-1")]) == 2
        assert shop.record([Purchase("ann", one, day, "A-1") for one in ("a", "b", "Z")]) == 0
        shop.remove_item("b")  # its purchases go with it, as before
        assert shop.purchases()["item_id"].to_list() == ["Z", "a", "Z"]


def test_an_old_shop_then_has_the_tables_of_a_new_one(old_shop):
    with Shop.open(old_shop) as shop:
        assert differences(shop.engine) == []


def test_a_new_shop_has_the_tables_that_the_program_thinks_it_has(tmp_path, database, monkeypatch):
    monkeypatch.setitem(ischema_names, "halfvec", db.HalfVec)
    with Shop.create(tmp_path / "shop", database=database) as shop:
        assert differences(shop.engine) == []
        with shop.engine.begin() as connection:  # and the comparison can fail
            connection.execute(sa.text("ALTER TABLE items ADD COLUMN colour VARCHAR"))
        assert len(differences(shop.engine)) == 1


def test_the_latest_migration_is_the_schema_that_the_program_knows(tmp_path, database):
    with Shop.create(tmp_path / "shop", database=database) as shop, shop.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == "2"
        assert connection.execute(sa.text("SELECT value FROM settings WHERE name = 'schema'")).scalar() == "2"
    assert db.SCHEMA_VERSION == 2


def test_a_migration_that_fails_half_way_changes_nothing(old_shop):
    before = state(old_shop)
    connection = sqlite3.connect(old_shop / "shop.db")
    connection.execute("CREATE INDEX vectors_by_item ON vectors (item_id)")  # in the second migration's way
    connection.close()
    with pytest.raises(SourceError, match=r"shop\.db has schema 1 and could not be brought up to 2 .*vectors_by_item"):
        Shop.open(old_shop)
    after = state(old_shop)
    assert after[:2] == before[:2]
    assert set(after[2]) - set(before[2]) == {"vectors_by_item"}


@pytest.mark.parametrize("on", ["sqlite", "postgresql"])
def test_processes_that_open_an_old_shop_at_once_bring_it_forward_once(on, request, old_shop, tmp_path):
    folder = old_shop
    if on == "postgresql":
        folder = tmp_path / "served"
        with Shop.create(folder, database=request.getfixturevalue("postgres_url")) as made:
            back_to_schema_1(made)
    program = "import sys; from modiste.shop.shop import Shop; sys.stdin.readline(); Shop.open(sys.argv[1]).close()"
    openers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program, str(folder)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("now\n")
        opener.stdin.flush()
    for opener in openers:
        _, complaint = opener.communicate(timeout=120)
        assert (opener.returncode, complaint) == (0, "")
    with Shop.open(folder) as shop, shop.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT value FROM settings WHERE name = 'schema'")).scalar() == "2"


def back_to_schema_1(shop: Shop) -> None:
    """Undo the second migration."""
    with shop.engine.begin() as connection:
        for undo in (
            "DROP INDEX purchases_by_time",
            "DROP INDEX vectors_by_item",
            "DROP INDEX purchases_by_order",
            "ALTER TABLE purchases ADD CONSTRAINT purchases_order_id_key UNIQUE (order_id)",
            "UPDATE settings SET value = '1' WHERE name = 'schema'",
            "UPDATE alembic_version SET version_num = '1'",
        ):
            connection.execute(sa.text(undo))


def test_a_shop_on_postgresql_is_brought_forward_too(tmp_path, postgres_url, monkeypatch):
    monkeypatch.setitem(ischema_names, "halfvec", db.HalfVec)
    with Shop.create(tmp_path / "shop", database=postgres_url) as shop:
        with shop._writing("items_version") as connection:
            rows = [{"item_id": one, "product": one, "attributes": "{}", "stamp": ""} for one in "ab"]
            connection.execute(db.items.insert(), rows)
        day = datetime(2025, 3, 31)
        shop.record([Purchase("ann", "a", day, "A-1")])
        back_to_schema_1(shop)
        assert len(differences(shop.engine)) == 4
        with pytest.raises(sa.exc.IntegrityError, match="purchases_order_id_key"):
            shop.record([Purchase("ann", "b", day, "A-1")])
    with Shop.open(tmp_path / "shop") as shop:
        assert differences(shop.engine) == []
        assert shop.record([Purchase("ann", one, day, "A-1") for one in "ab"]) == 1


def test_a_migration_takes_nothing_from_the_program_of_today():
    versions = Path(migrations.__file__).parent / "versions"
    assert [file.name for file in versions.glob("*.py") if "modiste" in file.read_text()] == []


def test_each_migration_is_written_for_one_version_after_the_other():
    versions = Path(migrations.__file__).parent / "versions"
    assert sorted(file.name.split("_")[0] for file in versions.glob("*.py")) == [
        f"r{number}" for number in range(1, db.SCHEMA_VERSION + 1)
    ]
