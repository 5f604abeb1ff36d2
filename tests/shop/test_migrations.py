"""A new shop has the tables that the program knows, and a shop of an earlier release is brought forward whole, once."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from modiste import Event, Item, Shop
from modiste.errors import SourceError
from modiste.shop import migrations, schema
from modiste.shop.storage import SETTINGS

NOON = datetime(2026, 3, 1, 12)

SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade():
    with op.batch_alter_table("stores") as table:
        table.add_column(sa.Column("opened", sa.Integer))
    op.create_table("upgrades", sa.Column("number", sa.Integer, primary_key=True, autoincrement=True))
    op.execute("INSERT INTO upgrades DEFAULT VALUES")
    op.execute("UPDATE stores SET opened = 1999")
    op.execute("UPDATE settings SET value = '2' WHERE name = 'schema'")
"""


@pytest.fixture
def program_of_tomorrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes this program one that has a second migration, whose source it takes."""

    def have(second: str) -> Path:
        here = Path(migrations.__file__).parent
        folder = shutil.copytree(here, tmp_path / "migrations", ignore=shutil.ignore_patterns("__*"))
        (folder / "versions" / "r2_upgrades.py").write_text(second)
        monkeypatch.setattr(migrations, "LOCATION", str(folder))
        monkeypatch.setattr(schema, "VERSION", 2)
        return folder

    return have


@pytest.fixture
def old(tmp_path: Path, database: str | None) -> Path:
    """The folder of a shop of the first release, with something of everything."""
    with Shop.create(tmp_path / "old", database=database) as shop:
        shop.items.put(Item("a", "Denim", "men", price=9.5, popularity=2.0))
        shop.items.put(Item("b", "Denim"))
        shop.stores.make(2)
        shop.shoppers.put("bea", trendiness=0.25)
        shop.purchases.record([Event("ann", "a", NOON, order_id="A-1")])
        shop.items.remove("b")
        return shop.path


def everything(shop: Shop) -> dict[str, list[Any]]:
    """What each of the tables of the first release holds, but for the columns that came later and the version."""
    with shop.storage.reading() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table).where(table.c[0] != "schema"))))
            if table is schema.settings
            else sorted(map(tuple, connection.execute(sa.select(table))), key=str)
            for table in schema.metadata.sorted_tables
        }


def versions(shop: Shop) -> tuple[str, str]:
    """Alembic's and the shop's own."""
    with shop.storage.reading() as connection:
        stamped = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
        known = connection.execute(sa.text("SELECT value FROM settings WHERE name = 'schema'")).scalar_one()
        return stamped, known


def differences(engine: sa.Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, schema.metadata))


def test_a_new_shop_has_the_tables_that_the_program_thinks_it_has(tmp_path, database):
    with Shop.create(tmp_path / "shop", database=database) as shop:
        assert differences(shop.storage.engine) == []
        with shop.storage.engine.begin() as connection:  # and the comparison can fail
            connection.execute(sa.text("ALTER TABLE items ADD COLUMN fabric VARCHAR"))
            connection.execute(sa.text("DROP INDEX events_by_time"))
        assert len(differences(shop.storage.engine)) == 2


def test_the_latest_migration_is_the_schema_that_the_program_knows(tmp_path, database):
    with Shop.create(tmp_path / "shop", database=database) as shop:
        assert versions(shop) == (str(schema.VERSION), str(schema.VERSION))
        with shop.storage.reading() as connection:
            names = connection.execute(sa.select(schema.settings.c.name)).scalars()
            assert set(names) == set(SETTINGS)


def test_a_later_migration_brings_a_shop_forward_with_all_it_holds(old, program_of_tomorrow):
    with Shop.open(old) as shop:
        before = everything(shop)
    program_of_tomorrow(SECOND)
    with Shop.open(old) as shop:
        assert versions(shop) == ("2", "2")
        assert everything(shop) == before
        with shop.storage.reading() as connection:
            assert connection.execute(sa.text("SELECT opened FROM stores")).scalars().all() == [1999, 1999]
        assert (
            shop.purchases.record([Event("ann", "a", NOON, order_id="A-1"), Event("ann", "a", NOON, order_id="A-2")])
            == 1
        )
        assert shop.snapshot().popularity().counts.tolist() == [4]
    with Shop.open(old) as again:
        assert len(again.purchases) == 2


def test_a_new_shop_of_tomorrow_has_all_migrations(tmp_path, database, program_of_tomorrow):
    program_of_tomorrow(SECOND)
    with Shop.create(tmp_path / "new", database=database) as shop:
        assert versions(shop) == ("2", "2")


def test_a_migration_that_fails_half_way_changes_nothing(old, program_of_tomorrow, monkeypatch):
    with Shop.open(old) as shop:
        before = everything(shop)
        tables = set(sa.inspect(shop.storage.engine).get_table_names())
    program_of_tomorrow(SECOND + '    op.execute("INSERT INTO stores (name) VALUES (1)")\n')
    with pytest.raises(SourceError, match=r"has schema 1 and could not be brought up to 2 .*nothing was changed"):
        Shop.open(old)
    monkeypatch.undo()
    with Shop.open(old) as shop:
        assert versions(shop) == ("1", "1")
        assert everything(shop) == before
        assert set(sa.inspect(shop.storage.engine).get_table_names()) == tables
        assert differences(shop.storage.engine) == []


def test_processes_that_open_an_old_shop_at_once_bring_it_forward_once(old, program_of_tomorrow, process, tmp_path):
    location = program_of_tomorrow(SECOND)
    program = """
import sys, time
from pathlib import Path
from modiste import Shop
from modiste.shop import migrations, schema
folder, location, mine, *others = sys.argv[1:]
migrations.LOCATION, schema.VERSION = location, 2
Path(mine).touch()
end = time.monotonic() + 60
while not all(Path(other).exists() for other in others):
    assert time.monotonic() < end
with Shop.open(folder) as shop:
    print(len(shop.items))
"""
    ready = [tmp_path / f"ready-{number}" for number in range(2)]
    running = [process(program, old, location, mine, *ready) for mine in ready]
    assert [finish() for finish in running] == ["1", "1"]
    with Shop.open(old) as shop, shop.storage.reading() as connection:
        assert versions(shop) == ("2", "2")
        assert connection.execute(sa.text("SELECT count(*) FROM upgrades")).scalar() == 1


def test_a_newer_shop_is_refused_with_the_remedy(old):
    with Shop.open(old) as shop, shop.storage.engine.begin() as connection:
        connection.execute(sa.text("UPDATE settings SET value = '99' WHERE name = 'schema'"))
    with pytest.raises(
        SourceError, match=r"made by a newer Modiste \(schema 99, this one knows 1\); install the newer one"
    ):
        Shop.open(old)


def test_a_migration_takes_nothing_from_the_program_of_today():
    folder = Path(migrations.__file__).parent / "versions"
    assert [file.name for file in folder.glob("*.py") if "modiste" in file.read_text()] == []


def test_each_migration_is_written_for_one_version_after_the_other():
    folder = Path(migrations.__file__).parent / "versions"
    assert sorted(file.name.split("_")[0] for file in folder.glob("*.py")) == [
        f"r{number}" for number in range(1, schema.VERSION + 1)
    ]
