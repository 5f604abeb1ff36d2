"""However many threads and processes ask and write, and whatever happens to the files, an answer is of one moment."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from threading import Event as Signal
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import sqlalchemy as sa

from modiste import Event, Item, Shop
from modiste.ask import Ask
from modiste.shop import cache, moments, schema
from modiste.shop.moments import Moments
from modiste.shop.question import Question
from modiste.shop.snapshot import Snapshot
from modiste.shop.storage import revision_of, setting

pytestmark = pytest.mark.usefixtures("quick_network")

NOON = datetime(2026, 3, 1, 12)


def run_until(stop: Event, *work: Callable[[], object]) -> list[Exception]:
    """Do all of ``work`` again and again in threads of their own, until ``stop``; what any of it raised."""
    failures: list[Exception] = []

    def repeat(one: Callable[[], object]) -> None:
        while not stop.wait(0.001):
            try:
                one()
            except Exception as error:
                failures.append(error)
                stop.set()

    with ThreadPoolExecutor(len(work)) as pool:
        for one in work:
            pool.submit(repeat, one)
    return failures


# Threads


def test_a_snapshot_and_its_transaction_are_of_one_moment_whoever_writes(shop, encoded):
    photos = [encoded(name) for name in ("Dresses-red-women-0", "Denim-blue-men-0")]
    stop, moments_looked_at = Signal(), set()

    def count(connection: sa.Connection, table: sa.Table) -> int:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())

    def look(at: Shop) -> None:
        with at.moments.now() as (snapshot, connection):
            assert snapshot.revision == revision_of(connection)
            assert snapshot.size == count(connection, schema.items)
            bought = snapshot.popularity().counts - snapshot.column("popularity")
            assert bought.sum() == setting(connection, "purchases")
            alive, has = snapshot.column("alive"), snapshot.candidates().has_vector
            assert np.count_nonzero(alive & has) == count(connection, schema.vectors)
            moments_looked_at.add(snapshot.revision)

    with Shop.open(shop.path) as other:

        def write() -> None:
            for number in range(12):
                one = (shop, other)[number % 2]
                one.items.put(Item(f"0-{number}", "Denim", "women"), photos[number % 2] if number % 3 else None)
                one.purchases.record([Event("ann", f"0-{number}", NOON), Event("bea", "Denim-red-men-0", NOON)])
                if number % 3:
                    one.items.remove(f"0-{number - 1}")
            stop.set()

        assert run_until(stop, write, lambda: look(shop), lambda: look(shop), lambda: look(other)) == []
    assert len(moments_looked_at) > 10


def test_what_is_bought_together_is_counted_together_in_every_answer(small):
    stop = Signal()

    def ask() -> None:
        found = dict(small.purchases.popularity().select("item_id", "popularity").iter_rows())
        assert found["a"] == found["b"]
        faded = dict(small.purchases.popularity(9.0).select("item_id", "popularity").iter_rows())
        assert faded["a"] == pytest.approx(faded["b"])

    def write() -> None:
        for number in range(20):
            at = NOON + timedelta(days=number % 7)
            small.purchases.record([Event("ann", "a", at), Event("bea", "b", at)])
        stop.set()

    assert run_until(stop, write, ask, ask) == []
    assert len(small.purchases) == 40


def test_when_all_that_was_bought_is_forgotten_nothing_of_it_is_counted(small):
    before = [(one.item_id, one.relevance) for one in small.introduce(top=5)]
    small.purchases.record([Event("ann", "c", NOON)])
    assert small.purchases.popularity()["popularity"].sum() == 1  # a moment in which it counts
    small.forget("ann")
    assert [(one.item_id, one.relevance) for one in small.introduce(top=5)] == before


def test_a_question_keeps_to_one_catalogue_while_items_come_and_go(shop):
    shop.purchases.record([Event("ann", "Denim-red-women-0", NOON), Event("bea", "Dresses-blue-women-0", NOON)])
    expected = {name: {bought for bought, _ in shop.recommend_each(name)} for name in ("ann", "bea")}
    stop = Signal()

    def ask(name: str) -> None:
        found = shop.recommend(name, top=3)
        assert found
        assert {one.because for one in found} <= expected[name]
        assert {bought for bought, _ in shop.recommend_each(name)} == expected[name]
        assert shop.shoppers[name].trendiness >= 0
        assert shop.introduce(name, top=3)

    def write() -> None:
        for number in range(15):  # an id before all others
            shop.items.put(Item(f"0-{number}", category="Denim", gender="women"))
            if number % 2:
                shop.items.remove(f"0-{number}")
        stop.set()

    assert run_until(stop, write, lambda: ask("ann"), lambda: ask("bea")) == []


def test_a_snapshot_that_a_thread_holds_answers_the_same_while_later_ones_come(shop, encoded):
    photos = [encoded(name) for name in ("Dresses-red-women-0", "Denim-blue-men-0", "Tees_Tanks-red-men-6")]
    snapshot, stop = shop.snapshot(), Signal()

    def answer() -> list[dict[str, Any]]:
        ask = Ask(top=20, gender="any", half_life=30.0)
        found = [Question.for_item(snapshot, ask, one).merged() for one in ("Denim-red-men-0", "Dresses-red-women-0")]
        return [one.as_json() for many in found for one in many]

    first = answer()

    def ask_again() -> None:
        assert answer() == first

    def write() -> None:
        ids = shop.items.frame()["item_id"].to_list()
        for number, one in enumerate(ids[:6]):
            shop.items.put(Item(one, "Skirts", popularity=5.0, price=1.0), photos[number % 3])
            shop.purchases.record([Event("ann", one, NOON)] * 3)
            shop.snapshot().popularity(30.0)
            shop.items.remove(ids[-1 - number])
        stop.set()

    assert run_until(stop, write, ask_again, ask_again) == []
    assert len(shop.items) == 18


def test_threads_that_ask_at_once_read_the_shop_once(shop, monkeypatch):
    built, calls = Moments._built, []

    def counted(self: Moments, *arguments: Any) -> Snapshot:
        calls.append(1)
        return built(self, *arguments)

    monkeypatch.setattr(Moments, "_built", counted)
    barrier = Barrier(6)

    def ask(_: int) -> Snapshot:
        barrier.wait(60)
        return shop.snapshot()

    with ThreadPoolExecutor(6) as pool:
        snapshots = list(pool.map(ask, range(6)))
    assert len(calls) == 1
    assert {id(one) for one in snapshots} == {id(shop.snapshot())}


# Files

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what happens to files alone, whatever the database."""


def stock(shop: Shop) -> None:
    """Make two vector spaces, an item without a photo, and some purchases."""
    shop.vectors.embed(masking="none", crop="centre")
    shop.vectors.embed(masking="none")
    shop.items.put(Item("bare", "Kilts", price=3.0, store_id="s"))
    shop.purchases.record([Event("ann", "Denim-red-men-0", NOON + timedelta(days=day)) for day in (0, 3, 3)])


@pytest.fixture
def filed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A small shop whose snapshot lies in files all the same."""
    monkeypatch.setattr(Moments, "filed_from", 0)
    stock(shop)
    shop.moments._file(shop.snapshot())
    return shop


def manifest(shop: Shop) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shop.path / "cache" / "manifest.json").read_text())
    return found


def answers(shop: Shop) -> list[dict[str, Any]]:
    """What a few questions are answered with."""
    asked: list[dict[str, Any]] = [
        {"item": "Denim-red-men-0", "gender": "any"},
        {"item": "bare", "half_life": 2.0},
        {"item": "Tees_Tanks-red-men-6", "categories": ["Kilts", "Dresses"], "min_price": 1, "match": "any"},
        {"item": "Dresses-red-women-6", "space": shop.vectors.spaces()[-1].key, "exclude": ["Denim-blue-men-0"]},
    ]
    return [one.as_json() for ask in asked for one in shop.recommend(**ask, top=30)]


def from_the_database(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The same, answered without any file."""
    with monkeypatch.context() as without, Shop.open(shop.path) as other:
        without.setattr(Moments, "filed_from", 10**9)
        other.moments.files.root = shop.path / "no-such-folder"
        return answers(other)


def test_a_shop_in_files_is_opened_without_reading_its_items(filed, monkeypatch):
    expected = from_the_database(filed, monkeypatch)
    assert manifest(filed)["revision"] == filed.snapshot().revision
    monkeypatch.setattr(Moments, "_built", None)
    with Shop.open(filed.path) as other:
        assert answers(other) == expected
        assert other.snapshot().source == manifest(filed)["folder"]


def test_what_changed_since_the_files_were_written_is_read_from_the_database(filed, encoded, monkeypatch):
    filed.items.put(Item("new", "Dresses", price=2.0), encoded("Dresses-red-women-0"))
    filed.items.put(Item("Denim-red-men-6", "Kilts", price=50.0), encoded("Denim-blue-men-0"))
    filed.items.remove("Dresses-blue-women-0")
    filed.purchases.record([Event("bea", "new", NOON + timedelta(days=9))] * 3)
    expected = from_the_database(filed, monkeypatch)
    assert answers(filed) == expected
    monkeypatch.setattr(Moments, "_built", None)
    with Shop.open(filed.path) as other:
        assert answers(other) == expected


def test_much_that_changed_is_written_to_the_files_while_nobody_waits(filed, monkeypatch):
    before = manifest(filed)
    ids = filed.items.frame()["item_id"].to_list()
    orders = [Event("ann", one, NOON - timedelta(days=day)) for one in ids for day in range(220)]
    filed.purchases.record(orders)
    filed.snapshot()
    filed.moments.close()
    after = manifest(filed)
    assert after["revision"] == before["revision"] + 1
    assert [one["file"] for one in after["matrices"].values()] == [one["file"] for one in before["matrices"].values()]
    assert filed.snapshot().source == after["folder"]
    expected = from_the_database(filed, monkeypatch)
    assert answers(filed) == expected
    with Shop.open(filed.path) as other:
        assert answers(other) == expected


@on_sqlite
def test_a_matrix_file_is_appended_to_for_what_is_new_and_replaced_for_what_is_not(filed, encoded):
    def file() -> str:
        filed.moments._file(filed.snapshot())
        return str(manifest(filed)["matrices"][filed.vectors.space().key]["file"])

    first = file()
    filed.items.put(Item("new", "Dresses"), encoded("Dresses-red-women-0"))
    filed.items.put(Item("bare", "Kilts"), encoded("Denim-blue-men-0"))  # it had none
    assert file() == first
    filed.items.put(Item("new", "Dresses"), encoded("Denim-blue-men-0"))
    second = file()
    assert second != first
    assert not (filed.path / "cache" / first).exists()
    assert len(list((filed.path / "cache").glob("items-*"))) == 2, "the last one and the one before"
    filed.items.remove("new")
    assert file() == second


def test_another_s_files_are_taken_where_they_are_newer(filed, encoded, monkeypatch):
    with Shop.open(filed.path) as other:
        answers(other)
        for number in range(6):  # rows come in another order for each, as they look at other times
            (filed, other)[number % 2].items.put(Item(f"new-{number}", "Dresses"), encoded("Dresses-red-women-0"))
            (filed, other)[number // 2 % 2].snapshot()
        other.moments._file(other.snapshot())
        theirs = manifest(filed)["folder"]
        filed.items.put(Item("last", "Denim"), encoded("Denim-blue-men-0"))
        filed.moments._file(filed.snapshot())
        assert manifest(filed)["folder"] == theirs
        assert filed.snapshot().source == theirs
        assert answers(filed) == answers(other) == from_the_database(filed, monkeypatch)


def damages(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Ways in which files may be lost or wrong, each with its name."""
    file = folder / "manifest.json"

    def rewrite(**values: object) -> None:
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    yield "all deleted", lambda: shutil.rmtree(folder)
    yield "no manifest", file.unlink
    yield "half a manifest", lambda: file.write_text(file.read_text()[:40])
    yield "a manifest of nothing", lambda: file.write_text("[]")
    yield "another format", lambda: rewrite(format=cache.FORMAT + 1)
    yield "a later revision", lambda: rewrite(revision=10**6)
    yield "no such folder", lambda: rewrite(folder="items-0123456789ab")
    yield "a folder elsewhere", lambda: rewrite(folder="../cache/..")
    items = folder / json.loads(file.read_text())["folder"]
    for name in sorted(one.name for one in items.iterdir()):
        # the arrays of another snapshot have other names: they are looked for when it is their turn
        def of_now(name: str = name) -> Path:
            return folder / json.loads(file.read_text())["folder"] / name

        if of_now().stat().st_size > 160:
            yield f"{name} cut short", lambda of_now=of_now: of_now().write_bytes(of_now().read_bytes()[:-9])
        yield f"{name} empty", lambda of_now=of_now: of_now().write_bytes(b"")
        yield f"{name} deleted", lambda of_now=of_now: of_now().unlink()

    def matrix() -> Path:
        return folder / next(iter(json.loads(file.read_text())["matrices"].values()))["file"]

    yield "a matrix cut short", lambda: matrix().write_bytes(matrix().read_bytes()[:5000])
    yield "a matrix deleted", lambda: matrix().unlink()


@on_sqlite
def test_files_that_are_lost_or_wrong_are_made_anew(filed, monkeypatch):
    expected = from_the_database(filed, monkeypatch)
    done = []
    for name, damage in damages(filed.path / "cache"):
        before = manifest(filed)["folder"]
        damage()
        with Shop.open(filed.path) as other:
            assert answers(other) == expected, name
            assert other.snapshot().source == manifest(filed)["folder"], name
        assert manifest(filed)["folder"] != before, f"{name}: not used"
        done.append(name)
    assert len(done) > 40
    assert answers(filed) == expected, "whoever had the old ones open goes on"


def test_files_deleted_under_a_shop_that_is_open_cost_nothing_but_time(filed, encoded, monkeypatch):
    shutil.rmtree(filed.path / "cache")
    filed.items.put(Item("new", "Dresses"), encoded("Dresses-red-women-0"))
    filed.items.put(Item("Denim-red-men-6", "Denim"), encoded("Dresses-blue-women-0"))
    filed.vectors.embed("efficientnet_lite0", masking="none")  # another default
    assert answers(filed) == from_the_database(filed, monkeypatch)
    filed.moments._file(filed.snapshot())
    with Shop.open(filed.path) as other:
        assert other.snapshot().source == manifest(filed)["folder"]
        assert answers(other) == answers(filed)


def test_files_made_of_another_database_are_not_taken(tmp_path, postgres_server, monkeypatch):
    monkeypatch.setattr(Moments, "filed_from", 0)
    urls = [f"{postgres_server}&schema=files_{uuid4().hex[:12]}" for _ in range(2)]
    with Shop.create(tmp_path / "other", database=urls[1]) as other:
        for name in ("x", "y", "z"):
            other.items.put(Item(name))
    with Shop.create(tmp_path / "shop", database=urls[0]) as shop:
        shop.items.put(Item("a"))
        assert list(shop.snapshot().item_ids) == ["a"]
    monkeypatch.setenv("MODISTE_DATABASE", urls[1])
    with Shop.open(tmp_path / "shop") as shop:
        assert list(shop.snapshot().item_ids) == ["x", "y", "z"]


@on_sqlite
def test_a_folder_that_can_t_be_written_is_done_without(shop, monkeypatch, caplog):
    monkeypatch.setattr(Moments, "filed_from", 0)
    (shop.path / "cache").write_text("a file where the folder should be")
    stock(shop)
    assert answers(shop) == from_the_database(shop, monkeypatch)
    assert shop.snapshot().source == ""
    assert "the shop is kept in memory" in caplog.text
    with Shop.open(shop.path) as other:
        assert answers(other) == answers(shop)


@on_sqlite
def test_files_that_may_only_be_read_are_read(filed, encoded, monkeypatch, caplog):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache.Files, "save", refuse)
    monkeypatch.setattr(moments, "mapped_for_writing", refuse)
    monkeypatch.setattr(cache, "mapped_for_writing", refuse)
    with Shop.open(filed.path) as other:
        assert other.snapshot().source == manifest(filed)["folder"]
        filed.items.put(Item("new", "Dresses"), encoded("Dresses-red-women-0"))
        other.purchases.record(
            [Event("ann", one, NOON - timedelta(days=day)) for one in ("bare", "new") for day in range(2600)]
        )
        assert answers(other) == from_the_database(filed, monkeypatch)
        other.moments.close()
        assert f"can't write {filed.path / 'cache'}: Permission denied" in caplog.text
        filed.items.put(Item("newer", "Dresses"))
        assert answers(other) == from_the_database(filed, monkeypatch)
        other.moments.close()
        assert caplog.text.count("can't write") == 1, "said once"


# Processes


def test_processes_that_write_and_share_files_say_the_same(filed, process, tmp_path, encoded, monkeypatch):
    (tmp_path / "photo.png").write_bytes(encoded("Denim-blue-men-0"))
    program = """
import json, sys, time
from datetime import datetime, timedelta
from pathlib import Path
from modiste import Item, Event, Shop
from modiste.shop.moments import Moments
folder, photo, mine, theirs = map(Path, sys.argv[1:])
Moments.filed_from = 0
def wait_for_the_other(step):
    (mine / step).touch()
    end = time.monotonic() + 60
    while not (theirs / step).exists():
        assert time.monotonic() < end
        time.sleep(0.01)
with Shop.open(folder) as shop:
    assert shop.snapshot().source
    wait_for_the_other("ready")
    for number in range(8):
        name = f"{mine.name}-{number}"
        shop.items.put(Item(name, "Dresses", price=number), photo.read_bytes() + name.encode() if number % 2 else None)
        shop.purchases.record([Event("ann", name, datetime(2026, 3, 1) + timedelta(days=number)) for _ in range(3)])
        shop.recommend(item=name, half_life=3.0)
        if number % 3 == 2:
            shop.moments._file(shop.snapshot())
            shop.items.remove(f"{mine.name}-{number - 1}")
    wait_for_the_other("written")
    asked = [{"item": "Denim-red-men-0"}, {"item": "bare", "half_life": 2.0}, {"item": f"left-7"}, {"item": "right-3"}]
    print(json.dumps([one.as_json() for ask in asked for one in shop.recommend(**ask, gender="any", top=50)]))
"""
    left, right = tmp_path / "left", tmp_path / "right"
    for folder in (left, right):
        folder.mkdir()
    photo = tmp_path / "photo.png"
    running = [process(program, filed.path, photo, left, right), process(program, filed.path, photo, right, left)]
    one, other = (json.loads(finish()) for finish in running)
    assert len(one) == 4 * (25 + 2 * 6 - 1)
    assert one == other
    asked: list[dict[str, Any]] = [{"item": "Denim-red-men-0"}, {"item": "bare", "half_life": 2.0}]
    asked += [{"item": "left-7"}, {"item": "right-3"}]
    assert one == [found.as_json() for ask in asked for found in filed.recommend(**ask, gender="any", top=50)]
    assert answers(filed) == from_the_database(filed, monkeypatch)
    with Shop.open(filed.path) as anew:
        assert anew.snapshot().source == manifest(filed)["folder"]
        assert answers(anew) == answers(filed)


def test_what_is_read_in_pieces_leaves_its_connection_as_it_was(shop):
    with shop.storage.reading() as connection:
        assert sum(map(len, moments._streamed(connection, sa.select(schema.items.c.item_id)))) == len(shop.items)
        assert "yield_per" not in connection.get_execution_options()  # every later statement would be read so
