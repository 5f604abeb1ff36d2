"""Both databases keep a shop alike, for several processes at once, and say what is wrong without telling a password."""

import importlib.util
import shutil
import stat
import subprocess
import sys
import traceback
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from threading import Thread
from unittest.mock import ANY
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sqlalchemy.engine.default import DefaultDialect

from modiste import Event, Item, Shop
from modiste.catalog.values import identifier
from modiste.errors import MissingExtraError, ModisteError, SettingError, SourceError, StorageError, UnknownIdError
from modiste.rules import Rule
from modiste.shop import database as db
from modiste.shop import schema
from modiste.shop.storage import revision_of, setting

from .. import garments
from ..shops import execute, name_of, new_database

DAY = datetime(2025, 3, 31, 14, 5)
COMPOSED = "café-Å"
APART = unicodedata.normalize("NFD", COMPOSED)


# What is kept


def test_times_are_kept_to_the_microsecond_as_utc(small):
    exact = datetime(2025, 3, 30, 2, 30, 0, 123457)  # an hour that some time zones skip
    small.purchases.record([Event("ann", "a", exact)])
    assert small.purchases.frame()["at"].to_list() == [exact]


def test_a_text_that_no_database_can_keep_is_refused_in_words(small):
    with pytest.raises(SettingError, match="control characters"):
        small.purchases.record([Event("ann", "a", DAY, order_id="\ud800")])
    with pytest.raises(SettingError, match="control characters"):
        small.purchases.record([Event("ann", "a", DAY, order_id="A\0")])
    with pytest.raises(SettingError, match="half a surrogate pair"):
        small.items.put(Item("new", title="\ud800"))
    assert small.purchases.frame().is_empty()


LETTERS = st.text(
    st.sampled_from("aéÅ\u0301\u0327ñ한각가\u11a8"), min_size=1, max_size=8
)  # some compose in several steps


def test_an_id_is_one_however_its_letters_are_composed(small, tmp_path):
    photo = tmp_path / unicodedata.normalize("NFD", "Élan.png")
    photo.write_bytes(garments.drawn("Denim", "red"))
    (tmp_path / "items.csv").write_text(f"item_id,image,product\n{COMPOSED},Élan.png,été\n{APART},Élan.png,été\n")
    mask = tmp_path / "masks" / "Élan_segm.png"
    mask.parent.mkdir()
    Image.new("L", (96, 144), 5).save(mask)
    report = small.items.add(tmp_path / "items.csv", masks=mask.parent)
    assert (report.added, [one.reason for one in report.rejected]) == (1, [ANY])
    assert "taken once" in report.rejected[0].reason
    assert small.items[APART]["item_id"] == COMPOSED
    assert (small.items[COMPOSED]["image"], small.items[COMPOSED]["mask"]) == (str(photo), str(mask))
    small.items.put(Item(APART, "Denim", product=unicodedata.normalize("NFD", "été")))
    assert (len(small.items), small.items[COMPOSED]["product"]) == (6, "été")
    (tmp_path / "orders.csv").write_text(f"shopper_id,item_id,date,order_id\n{APART},{APART},2025-03-01,{APART}\n")
    assert small.purchases.add(tmp_path / "orders.csv").added == 1
    assert small.purchases.record([Event(COMPOSED, COMPOSED, DAY, order_id=COMPOSED)]) == 0, "a line of an order once"
    small.shoppers.put(APART, trendiness=0.5)
    assert (len(small.shoppers), APART in small.shoppers, small.shoppers[APART].purchases) == (1, True, 1)
    assert [one.because for one in small.recommend(APART, top=1)] == [COMPOSED]
    assert small.taste(APART) == small.taste(COMPOSED)
    assert small.recommend(items=[APART], exclude=[APART])
    assert [one["item_id"] for one in small.items.browse(text=APART).items.to_dicts()] == [COMPOSED]
    assert small.items.browse(product=unicodedata.normalize("NFD", "été")).total == 1
    assert Rule(name="r", do="hide", items=APART).items == (COMPOSED,)
    assert Rule(name="r", do="hide", where=f"product = {APART}").where == (f"product = {COMPOSED}",)
    small.forget(APART)
    assert COMPOSED not in small.shoppers
    small.items.remove(APART)
    assert COMPOSED not in small.items


@given(LETTERS, st.sampled_from(["NFC", "NFD"]), st.sampled_from(["NFC", "NFD"]))
def test_what_looks_alike_is_one_id(letters, one, other):
    spoken = [identifier(unicodedata.normalize(form, f" {letters} ")) for form in (one, other)]
    assert spoken[0] == spoken[1] == identifier(spoken[0])


# Transactions


def test_every_write_has_a_revision_of_its_own_and_a_reader_s_moment_stays(small):
    before = small.snapshot().revision
    with small.storage.reading() as connection:
        assert revision_of(connection) == before
        small.shoppers.put("ann")
        small.shoppers.put("bea")
        assert revision_of(connection) == before
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.shoppers)).scalar() == 0
    with small.storage.writing() as writing:
        assert writing.revision == before + 3
    assert small.snapshot().revision == before + 3


def test_what_changes_carries_the_revision_of_its_change(small):
    small.items.put(Item("b", price=3.0))
    put = small.snapshot().revision
    small.purchases.record([Event("ann", "c", DAY)])
    small.items.remove("a")
    with small.storage.reading() as connection:

        def since(table: sa.Table) -> list[tuple[object, ...]]:
            wanted = sa.select(table.c.item_id, table.c.revision).where(table.c.revision >= put)
            return [tuple(row) for row in connection.execute(wanted.order_by(table.c.item_id))]

        assert since(schema.items) == [("b", put)]
        assert since(schema.sales) == [("c", put + 1)]
        assert since(schema.removed) == [("a", put + 2)]
        assert setting(connection, "purchases") == 1


# Several processes, several threads


def test_writers_in_several_processes_lose_no_update_and_record_each_line_of_an_order_once(small, process):
    program = """
import sys
from datetime import datetime
from modiste import Event, Shop
folder, name = sys.argv[1:]
day, new = datetime(2025, 3, 31), 0
with Shop.open(folder) as shop:
    for number in range(12):  # each order is sent by every process, in another company each time
        new += shop.purchases.record([
            Event("all", "a", day, order_id=f"order-{number}"),
            Event(name, "abcde"[number % 5], day, order_id=f"{name}-{number}"),
        ])
        new += shop.purchases.record([Event("all", item, day, order_id=f"order-{number}") for item in "abc"])
print(new)
"""
    before = small.snapshot()
    new = [int(finish()) for finish in [process(program, small.path, name) for name in ("ann", "bob", "cat")]]
    assert sum(new) == 3 * 12 + 3 * 12
    lines = small.purchases.frame().select("order_id", "item_id")
    assert lines.height == lines.n_unique() == 72
    after = small.snapshot()
    assert after.revision == before.revision + 3 * 2 * 12
    assert before.popularity().counts.sum() == 0
    assert after.popularity().counts.sum() == len(small.purchases) == 72
    assert small.purchases.record([Event("all", "a", DAY, order_id="order-7")]) == 0


def test_the_database_itself_refuses_a_line_twice(small):
    small.purchases.record([Event("ann", "a", DAY, order_id="A-1"), Event("ann", "a", DAY), Event("ann", "a", DAY)])
    line = {"shopper_id": "ann", "item_id": "a", "at": DAY, "simulated": False, "normpop": 0.0}
    line |= {"kind": "purchase", "quantity": 1, "kept": 1, "line": ""}
    with pytest.raises(sa.exc.IntegrityError), small.storage.writing() as writing:
        writing.execute(schema.events.insert(), [line | {"order_id": "A-1"}])
    assert small.purchases.frame().height == 3


def test_threads_share_a_shop(small):
    def buy(number: int) -> int:
        small.purchases.record(
            [Event(f"shopper-{number % 40 % 7}", "abcde"[number % 5], DAY, order_id=f"order-{number % 40}")]
        )
        return small.purchases.frame().height

    with ThreadPoolExecutor(24) as pool:
        heights = list(pool.map(buy, range(80)))
    assert max(heights) == small.purchases.frame().height == 40


def test_writers_who_each_have_the_shop_open_lose_no_purchase(small):
    def buy(name: str) -> None:
        with Shop.open(small.path) as mine:
            for number in range(20):
                mine.purchases.record([Event(name, "a", DAY, order_id=f"{name}-{number}")])

    writers = [Thread(target=buy, args=(name,)) for name in ("ann", "bob")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert small.purchases.frame().height == 40
    assert small.purchases.popularity()["popularity"].to_list() == [40, 0, 0, 0, 0]


def test_a_write_that_fails_leaves_nothing_behind(small):
    revision = small.snapshot().revision
    store = {"store_id": "s", "name": "s", "latitude": 0, "longitude": 0}
    with pytest.raises(sa.exc.IntegrityError), small.storage.writing() as writing:
        writing.execute(schema.stores.insert(), [store, store])
    assert small.stores.frame().is_empty()
    assert small.snapshot().revision == revision
    assert small.purchases.record([Event("ann", "a", DAY)]) == 1, "and the next writer isn't kept waiting"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_has_connections_of_its_own(small, process):
    program = """
import os, sys, warnings
import sqlalchemy as sa
from modiste import Shop
from modiste.shop import schema
warnings.simplefilter("ignore")
def count(shop):
    with shop.storage.reading() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(schema.items)).scalar()
with Shop.open(sys.argv[1]) as shop:
    assert count(shop) == 5
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            os._exit(0 if all(count(shop) == 5 for _ in range(50)) else 1)
        children.append(child)
    assert all(count(shop) == 5 for _ in range(50))
    print([os.waitpid(child, 0)[1] for child in children], count(shop))
"""
    assert process(program, small.path)() == "[0, 0, 0] 5"


def test_a_connection_that_the_server_dropped_is_made_anew(tmp_path, postgres_url):
    with Shop.create(tmp_path / "shop", database=postgres_url) as shop:
        shop.items.put(Item("a"))
        other = db.postgres(postgres_url)
        with shop.storage.engine.connect() as connection:
            backend = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar()
        with other.connect() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(:backend, 5000)"), {"backend": backend})
        other.dispose()
        assert len(shop.items) == 1


def test_postgresql_converts_a_time_with_a_zone_to_utc(tmp_path, postgres_url):
    with Shop.create(tmp_path / "shop", database=postgres_url) as shop:
        shop.items.put(Item("a"))
        east = DAY.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=5)))
        shop.purchases.record([Event("ann", "a", east)])
        assert shop.purchases.frame()["at"].to_list() == [DAY]


# Where it lies


def test_a_commit_is_on_the_disk_before_it_is_told(tmp_path):
    spec = importlib.util.find_spec("modiste.shop.database")
    fresh = importlib.util.module_from_spec(spec)  # the tests' own has what spares them the wait
    spec.loader.exec_module(fresh)
    (tmp_path / "shop.db").touch()
    with closing(fresh.sqlite(tmp_path / "shop.db").raw_connection()) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"


def test_the_url_is_remembered_for_its_owner_alone(tmp_path, postgres_url):
    Shop.create(tmp_path / "shop", database=postgres_url).close()
    assert stat.S_IMODE((tmp_path / "shop" / "shop.toml").stat().st_mode) == 0o600
    assert not (tmp_path / "shop" / "shop.db").exists()
    with Shop.open(tmp_path / "shop") as shop:
        assert len(shop.items) == 0


def test_the_short_name_of_the_scheme_will_do(tmp_path, postgres_url):
    with Shop.create(tmp_path / "shop", database=postgres_url.replace("postgresql:", "postgres:")) as shop:
        assert len(shop.items) == 0


def test_the_environment_s_url_is_used_in_place_of_the_file_s(tmp_path, postgres_url, monkeypatch):
    monkeypatch.setenv("MODISTE_DATABASE", postgres_url)
    with Shop.create(tmp_path / "shop", database="postgresql://clerk@db.example/shop") as shop:
        shop.items.put(Item("a"))
    assert "db.example" in (tmp_path / "shop" / "shop.toml").read_text()
    with Shop.open(tmp_path / "shop") as shop:
        assert len(shop.items) == 1
    with Shop.create(tmp_path / "small") as shop:
        assert shop.storage.engine.dialect.name == "sqlite", "only a shop that lies in PostgreSQL looks there"


def test_shops_in_one_database_keep_apart_in_schemas(tmp_path, postgres_server):
    names = [f"s_{uuid4().hex[:12]}" for _ in range(2)]
    shops = [Shop.create(tmp_path / one, database=f"{postgres_server}&schema={one}") for one in names]
    for shop, item_ids in zip(shops, ("ab", "c"), strict=True):
        for one in item_ids:
            shop.items.put(Item(one))
    assert [len(shop.items) for shop in shops] == [2, 1]
    with shops[0].storage.writing():
        assert shops[1].purchases.record([Event("ann", "c", DAY)]) == 1, "a writer in one holds up none in the other"
    for shop in shops:
        shop.close()


def test_a_second_shop_in_the_same_place_is_refused_and_leaves_the_first_alone(tmp_path, postgres_url):
    with Shop.create(tmp_path / "one", database=postgres_url) as shop:
        shop.items.put(Item("a"))
        with pytest.raises(SourceError, match=r"a shop already .*\?schema="):
            Shop.create(tmp_path / "two", database=postgres_url)
        assert not (tmp_path / "two" / "shop.toml").exists()
        with pytest.raises(SourceError, match="a shop already"):
            Shop.create(tmp_path / "one")
        assert len(shop.items) == 1


# What goes wrong


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://ann:hushhush@host/db", "PostgreSQL's, not mysql's"),
        ("sqlite:///shop.db", "PostgreSQL's, not sqlite's"),
        ("hushhush", "no URL"),
        ("postgresql://ann:hushhush:99x/db", "no URL"),
        ("postgresql://ann:hush@hush@host/db", "%40"),
        ("postgresql://ann:hushhush@host/db?schema=Street", "small letters"),
        ("postgresql://ann:hushhush@host/db?schema=a;drop", "small letters"),
    ],
)
def test_a_url_that_will_not_do_is_refused_without_telling_it(tmp_path, url, words):
    with pytest.raises(SettingError, match=words) as caught:
        Shop.create(tmp_path / "shop", database=url)
    assert "hush" not in "".join(traceback.format_exception(caught.value))
    assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hushhush@127.0.0.1:9/db",
        "postgresql://ann@127.0.0.1:9/db?password=hushhush",
        "postgresql://ann:hushhush@/db?host=/nowhere",
    ],
)
def test_a_server_that_does_not_answer_is_named_without_the_password(tmp_path, url):
    pytest.importorskip("psycopg", reason="needs the extra postgres")
    with pytest.raises(SourceError, match=r"'db' on (127.0.0.1|/nowhere): .*is the server running") as caught:
        Shop.create(tmp_path / "shop", database=url)
    assert "hushhush" not in "".join(traceback.format_exception(caught.value))
    assert not (tmp_path / "shop").exists()
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shop.toml").write_text(f'database = "{url}"\n')
    with pytest.raises(SourceError, match="is the server running") as caught:
        Shop.open(tmp_path / "shop")
    assert "hushhush" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("content", ["", "database = 3", 'database = "postgresql://ann:hushhush@host', "\0"])
def test_a_broken_shop_toml_is_refused_without_telling_its_content(tmp_path, content):
    (tmp_path / "shop.toml").write_text(content)
    with pytest.raises(SourceError, match="should hold one line") as caught:
        Shop.open(tmp_path)
    assert "hushhush" not in "".join(traceback.format_exception(caught.value))


def test_a_database_without_a_shop_is_refused(tmp_path, postgres_server):
    (tmp_path / "shop.toml").write_text(f'database = "{postgres_server}&schema=nobody"\n')
    with pytest.raises(SourceError, match="not a Modiste database"):
        Shop.open(tmp_path)


def test_without_the_extra_it_tells_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'psycopg\[binary\]>="):
        Shop.create(tmp_path / "shop", database="postgresql://ann@host/db")
    (tmp_path / "shop.toml").write_text('database = "postgresql://ann@host/db"\n')
    with pytest.raises(MissingExtraError, match=r"pip install 'psycopg\[binary\]>="):
        Shop.open(tmp_path)


def test_a_database_of_ones_own_is_enough_without_any_extension(tmp_path, postgres_server):
    bare, clerk = f"bare_{uuid4().hex[:8]}", f"clerk_{uuid4().hex[:8]}"
    url = sa.make_url(postgres_server).set(drivername="postgresql")
    administrator = sa.create_engine(url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with administrator.connect() as connection:
        connection.execute(sa.text(f"CREATE ROLE {clerk} LOGIN"))
        connection.execute(sa.text(f"CREATE DATABASE {bare} OWNER {clerk}"))
    administrator.dispose()
    theirs = url.set(database=bare, username=clerk).render_as_string(hide_password=False)
    with Shop.create(tmp_path / "shop", database=theirs) as shop:
        shop.items.put(Item("a"))
        assert shop.purchases.record([Event("ann", "a", DAY)]) == 1
        assert shop.snapshot().popularity().counts.tolist() == [1]


def test_a_user_who_may_not_make_tables_is_told(tmp_path, postgres_server):
    clerk = f"clerk_{uuid4().hex[:8]}"
    url = sa.make_url(postgres_server)
    administrator = db.postgres(postgres_server)
    with administrator.begin() as connection:
        connection.execute(sa.text(f"CREATE ROLE {clerk} LOGIN"))
    administrator.dispose()
    with pytest.raises(ModisteError, match="permission denied"):
        Shop.create(tmp_path / "shop", database=url.set(username=clerk).render_as_string(hide_password=False))


# Making and opening


def test_a_shop_is_made_once_and_opened_where_it_is(tmp_path, database):
    with Shop.create(tmp_path / "shop", database=database) as shop:
        assert (shop.path, shop.name) == (tmp_path / "shop", "shop")
        shop.items.put(Item("a"))
    with pytest.raises(SourceError, match="a shop already"):
        Shop.create(tmp_path / "shop", database=database)
    with Shop.open(tmp_path / "shop") as shop:
        assert len(shop.items) == 1
    with pytest.raises(SourceError, match="modiste new nothing"):
        Shop.open(tmp_path / "nothing")


@pytest.fixture
def street(postgres_server):
    """The URL of a database of its own, that may be closed to everybody."""
    url = new_database(postgres_server)
    yield url
    execute(postgres_server, f"DROP DATABASE {name_of(url)} WITH (FORCE)")


def answer_lost(monkeypatch, after):
    """The next commit is done; then comes what ``after`` does, and its answer doesn't come."""
    commit = DefaultDialect.do_commit

    def committing(dialect, connection):
        commit(dialect, connection)
        monkeypatch.undo()
        after()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setattr(DefaultDialect, "do_commit", committing)


def test_a_shop_whose_commit_was_not_answered_is_made(tmp_path, street, monkeypatch):
    answer_lost(monkeypatch, lambda: None)
    with Shop.create(tmp_path / "shop", categories="paper", database=street) as shop:
        shop.items.put(Item("a"))
    assert sorted(one.name for one in (tmp_path / "shop").iterdir() if one.is_file()) == [
        "categories.toml",
        "shop.toml",
    ]
    with pytest.raises(SourceError, match="already"):
        Shop.create(tmp_path / "shop", database=street)


@pytest.mark.parametrize("made", [True, False])
def test_a_shop_of_which_the_database_can_not_say_whether_it_was_made_is_made_by_the_same_command(
    tmp_path, street, postgres_server, monkeypatch, made
):
    def leave():
        execute(postgres_server, f"ALTER DATABASE {name_of(street)} ALLOW_CONNECTIONS false")
        theirs = f"FROM pg_stat_activity WHERE datname = '{name_of(street)}'"
        execute(postgres_server, f"SELECT pg_terminate_backend(pid) {theirs}")

    answer_lost(monkeypatch, leave)
    with pytest.raises(StorageError, match=r"nobody knows whether .* make it once more"):
        Shop.create(tmp_path / "shop", categories="paper", database=street)
    execute(postgres_server, f"ALTER DATABASE {name_of(street)} ALLOW_CONNECTIONS true")
    if not made:
        execute(street, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        with pytest.raises(SourceError, match="interrupted; make it again: modiste new shop"):
            Shop.open(tmp_path / "shop")
    with pytest.raises(SourceError, match="already"):
        Shop.create(tmp_path / "shop", database="postgresql://elsewhere/street")
    if made:
        with pytest.raises(SourceError, match="already"):
            Shop.create(tmp_path / "other", database=street)
    with Shop.create(tmp_path / "shop", database=street) as shop:
        assert len(shop.taxonomy.categories) == 17
        shop.items.put(Item("a"))
    with pytest.raises(SourceError, match=r"already .*open it"):
        Shop.create(tmp_path / "shop", database=street)


def test_tables_whose_folder_is_gone_are_refused_with_the_command_that_makes_one(tmp_path, street):
    with Shop.create(tmp_path / "shop", database=street) as shop:
        shop.items.put(Item("a"))
    shutil.rmtree(tmp_path / "shop")
    with pytest.raises(SourceError, match="have this folder be its: ") as caught:
        Shop.create(tmp_path / "shop", database=street)
    subprocess.run(["sh", "-c", str(caught.value).partition("be its: ")[2]], check=True)
    with Shop.open(tmp_path / "shop") as shop:
        assert "a" in shop.items


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to look like a file of some kind" * 20])
def test_a_file_that_is_no_shop_is_refused(tmp_path, content):
    (tmp_path / "shop.db").write_bytes(content)
    with pytest.raises(SourceError, match="not a Modiste database"):
        Shop.open(tmp_path)


def test_a_taxonomy_of_one_s_own_goes_with_the_shop(tmp_path):
    (tmp_path / "hats.toml").write_text(
        'within = 0.5\n[groups]\nhats = ["Caps", "Bonnets"]\n[aliases]\nCaps = ["baseball cap"]\n'
    )
    with Shop.create(tmp_path / "shop", categories=tmp_path / "hats.toml") as shop:
        shop.items.put(Item("a", "baseball caps"))
    (tmp_path / "hats.toml").unlink()
    with Shop.open(tmp_path / "shop") as shop:
        assert shop.items["a"]["category"] == "Caps"
        shop.items.put(Item("b", "Bonnets"))
        [found] = shop.recommend(item="a", gamma=1, alpha=0, beta=0)
        assert found.relevance == 0.5
    (tmp_path / "bad.toml").write_text("within = 7")
    with pytest.raises(SourceError):
        Shop.create(tmp_path / "other", categories=tmp_path / "bad.toml")
    assert not (tmp_path / "other").exists()


def test_a_shop_knows_what_shops_sell_or_the_papers_categories_alone(tmp_path):
    with Shop.create(tmp_path / "wide") as wide, Shop.create(tmp_path / "paper", categories="paper") as paper:
        assert len(paper.taxonomy.categories) == 17 < len(wide.taxonomy.categories)
        for shop in (wide, paper):
            shop.items.put(Item("a", "Women > Ankle Boots"))
        assert [shop.items["a"]["category"] for shop in (wide, paper)] == ["Boots", "Women > Ankle Boots"]
    with Shop.open(tmp_path / "paper") as shop:
        assert "Boots" not in shop.taxonomy.categories


def test_coverage_counts_what_is_there(shop, encoded):
    found = shop.coverage()
    assert (found.items, found.photos, found.vectors, found.missing, found.failed) == (24, 24, 24, 0, 0)
    assert (found.shoppers, found.purchases, found.last_purchase) == (0, 0, None)
    shop.items.put(Item("bare"))
    shop.purchases.record([Event("ann", "bare", DAY)])
    found = shop.coverage()
    assert (found.items, found.photos, found.shoppers, found.last_purchase) == (25, 24, 1, DAY)
    assert shop.recommend("ann")
    with pytest.raises(UnknownIdError):
        shop.recommend("bob")
