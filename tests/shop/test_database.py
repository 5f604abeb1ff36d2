"""Both databases keep a shop alike, for several processes at once, and say what is wrong without telling a password."""

import stat
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import sqlalchemy as sa

from modiste.catalog.purchases import Purchase
from modiste.errors import MissingExtraError, ModisteError, SettingError, SourceError
from modiste.shop import database as db
from modiste.shop.shop import Shop
from modiste.vision.embedding import VectorSpace

DAY = datetime(2025, 3, 31, 14, 5)
SPACE = VectorSpace("resnet50", "0" * 64, "none", "fit", "auto", None, 128)


def fill(shop: Shop, item_ids: list[str]) -> None:
    """Items without photos."""
    with shop._writing("items_version") as connection:
        connection.execute(
            db.items.insert(), [{"item_id": one, "product": one, "attributes": "{}", "stamp": ""} for one in item_ids]
        )


@pytest.fixture
def small(tmp_path: Path, database: str | None):
    """A shop of five items without photos."""
    with Shop.create(tmp_path / "small", database=database) as made:
        fill(made, ["a", "b", "c", "d", "e"])
        yield made


def run(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Another Python process."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    said, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint
    return said.strip()


# What is kept


def test_vectors_come_back_bit_for_bit(small):
    ids = [f"{number:05d}" for number in range(20_000)]
    fill(small, ids)
    small._register(SPACE)
    vectors = np.random.default_rng(1).normal(size=(20_000, 128)).astype("<f2")
    vectors[0, :4] = (0.0, -0.0, 6e-8, 65504)  # the smallest and the largest that float16 knows
    small._store_batch(SPACE, ids, vectors, [])
    names, stored = small._stored_vectors(SPACE)
    assert names == ids
    assert stored.astype("<f2").tobytes() == vectors.tobytes()


def test_a_batch_that_another_process_stored_or_whose_item_is_gone_is_left_out(small):
    small._register(SPACE)
    first, second = np.zeros((2, 128), "<f2"), np.ones((3, 128), "<f2")
    small._store_batch(SPACE, ["a", "b"], first, [("c", "too dark")])
    small._store_batch(SPACE, ["b", "d", "gone"], second, [("c", "too dark"), ("gone", "too dark")])
    names, stored = small._stored_vectors(SPACE)
    assert names == ["a", "b", "d"]
    assert stored.sum(axis=1).tolist() == [0, 0, 128]
    assert len(small.failures(SPACE)) == 1


def test_ids_sort_by_code_point(small):
    ids = ["B", "_x", "10", "9", "é", "z", "Ä", "a b", "\U0001f457", "ﬁ"]
    fill(small, ids)
    assert small.items()["item_id"].to_list() == sorted([*ids, "a", "b", "c", "d", "e"])
    small.record([Purchase(one, "a", DAY) for one in ids])
    assert small.shoppers()["shopper_id"].to_list() == sorted(ids)


def test_times_are_kept_to_the_microsecond_as_utc(small):
    exact = datetime(2025, 3, 30, 2, 30, 0, 123457)  # an hour that some time zones skip
    small.record([Purchase("ann", "a", exact)])
    assert small.purchases()["at"].to_list() == [exact]


def test_a_text_that_no_database_can_keep_is_refused_in_words(small):
    with pytest.raises(SettingError, match="half a surrogate pair"):
        small.record([Purchase("ann", "a", DAY, "\ud800")])
    if small.engine.dialect.name == "postgresql":
        with pytest.raises(SettingError, match="NUL"):
            small.record([Purchase("ann", "a", DAY, "A\0")])
    assert small.purchases().is_empty()


# Several processes, several threads


def test_a_purchase_in_one_process_is_seen_by_another_at_once(small):
    before = small.popularity()["popularity"][0]
    program = """
import sys
from datetime import datetime
from modiste.catalog.purchases import Purchase
from modiste.shop.shop import Shop
with Shop.open(sys.argv[1]) as shop:
    print(shop.record([Purchase("ann", "a", datetime(2025, 3, 31), "A-1")]))
"""
    assert finish(run(program, small.path)) == "1"
    assert small.purchases()["order_id"].to_list() == ["A-1"]
    assert small.popularity()["popularity"][0] == before + 1
    assert small.record([Purchase("ann", "a", DAY, "A-1")]) == 0


def test_writers_in_several_processes_lose_no_update_and_record_an_order_once(small):
    program = """
import sys
from datetime import datetime
from modiste.catalog.purchases import Purchase
from modiste.shop.shop import Shop
folder, name = sys.argv[1:]
new = 0
with Shop.open(folder) as shop:
    for number in range(25):  # each order is sent to every process, in another company each time
        new += shop.record([
            Purchase("all", "a", datetime(2025, 3, 31), f"order-{number}"),
            Purchase(name, "abcde"[number % 5], datetime(2025, 3, 31), f"{name}-{number}"),
        ])
print(new)
"""
    version = int(small._setting("purchases_version"))
    new = [int(finish(one)) for one in [run(program, small.path, name) for name in ("ann", "bob", "cat")]]
    assert sum(new) == 25 + 3 * 25
    orders = small.purchases()["order_id"].to_list()
    assert len(orders) == len(set(orders)) == 100
    assert int(small._setting("purchases_version")) == version + 75


def test_lines_of_one_order_from_several_processes_are_each_recorded_once(small):
    program = """
import sys
from datetime import datetime
from modiste.catalog.purchases import Purchase
from modiste.shop.shop import Shop
with Shop.open(sys.argv[1]) as shop:
    sent = [Purchase("ann", item, datetime(2025, 3, 31), f"order-{n}") for n in range(20) for item in "abcde"]
    print(sum(shop.record(sent[start : start + 3]) for start in range(0, len(sent), 3)))
"""
    assert sum(int(finish(one)) for one in [run(program, small.path) for _ in range(3)]) == 100
    bought = small.purchases()
    assert bought.height == bought.select("order_id", "item_id").n_unique() == 100


def test_the_database_itself_refuses_a_line_twice(small):
    small.record([Purchase("ann", "a", DAY, "A-1"), Purchase("ann", "a", DAY), Purchase("ann", "a", DAY)])
    line = {"shopper_id": "ann", "item_id": "a", "at": DAY, "simulated": False}
    with pytest.raises(sa.exc.IntegrityError), small._writing() as connection:
        connection.execute(db.purchases.insert(), [line | {"order_id": "A-1"}])
    assert small.purchases().height == 3


def test_threads_share_a_shop(small):
    def buy(number: int) -> int:
        small.record([Purchase(f"shopper-{number % 7}", "abcde"[number % 5], DAY, f"order-{number % 40}")])
        return small.purchases().height

    with ThreadPoolExecutor(24) as pool:
        heights = list(pool.map(buy, range(80)))
    assert max(heights) == small.purchases().height == 40


def test_a_write_that_fails_leaves_nothing_behind(small):
    store = {"store_id": "s", "name": "s", "latitude": 0, "longitude": 0}
    with pytest.raises(sa.exc.IntegrityError), small._writing("items_version") as connection:
        connection.execute(db.stores.insert(), [store, store])
    assert small.stores().is_empty()
    assert small.record([Purchase("ann", "a", DAY)]) == 1, "and the next writer isn't kept waiting"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_has_connections_of_its_own(small):
    program = """
import os, sys, warnings
import sqlalchemy as sa
from modiste.shop import database as db
from modiste.shop.shop import Shop
warnings.simplefilter("ignore")
def count(shop):
    with shop.engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(db.items)).scalar()
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
    assert finish(run(program, small.path)) == "[0, 0, 0] 5"


def test_a_connection_that_the_server_dropped_is_made_anew(tmp_path, postgres_url):
    with Shop.create(tmp_path / "shop", database=postgres_url) as shop:
        fill(shop, ["a"])
        other = db.postgres(postgres_url)
        with shop.engine.connect() as connection:
            backend = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar()
        with other.connect() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(:backend, 5000)"), {"backend": backend})
        other.dispose()
        assert shop.items().height == 1


def test_postgresql_converts_a_time_with_a_zone_to_utc(tmp_path, postgres_url):
    with Shop.create(tmp_path / "shop", database=postgres_url) as shop:
        fill(shop, ["a"])
        east = DAY.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=5)))
        shop.record([Purchase("ann", "a", east)])
        assert shop.purchases()["at"].to_list() == [DAY]


# Where it lies


def test_the_url_is_remembered_for_its_owner_alone(tmp_path, postgres_url):
    Shop.create(tmp_path / "shop", database=postgres_url).close()
    assert stat.S_IMODE((tmp_path / "shop" / "shop.toml").stat().st_mode) == 0o600
    assert not (tmp_path / "shop" / "shop.db").exists()
    with Shop.open(tmp_path / "shop") as shop:
        assert shop.items().is_empty()


def test_the_short_name_of_the_scheme_will_do(tmp_path, postgres_url):
    with Shop.create(tmp_path / "shop", database=postgres_url.replace("postgresql:", "postgres:")) as shop:
        assert shop.items().is_empty()


def test_the_environment_s_url_is_used_in_place_of_the_file_s(tmp_path, postgres_url, monkeypatch):
    monkeypatch.setenv("MODISTE_DATABASE", postgres_url)
    with Shop.create(tmp_path / "shop", database="postgresql://clerk@db.example/shop") as shop:
        fill(shop, ["a"])
    assert "db.example" in (tmp_path / "shop" / "shop.toml").read_text()
    with Shop.open(tmp_path / "shop") as shop:
        assert shop.items().height == 1
    with Shop.create(tmp_path / "small") as shop:
        assert shop.engine.dialect.name == "sqlite", "only a shop that lies in PostgreSQL looks there"


def test_shops_in_one_database_keep_apart_in_schemas(tmp_path, postgres_server):
    names = [f"s_{uuid4().hex[:12]}" for _ in range(2)]
    shops = [Shop.create(tmp_path / one, database=f"{postgres_server}&schema={one}") for one in names]
    fill(shops[0], ["a", "b"])
    fill(shops[1], ["c"])
    assert [shop.items().height for shop in shops] == [2, 1]
    with shops[0]._writing() as _:
        assert shops[1].record([Purchase("ann", "c", DAY)]) == 1, "a writer in one holds up none in the other"
    for shop in shops:
        shop.close()


def test_a_second_shop_in_the_same_place_is_refused_and_leaves_the_first_alone(tmp_path, postgres_url):
    with Shop.create(tmp_path / "one", database=postgres_url) as shop:
        fill(shop, ["a"])
        with pytest.raises(SourceError, match=r"a shop already .*\?schema="):
            Shop.create(tmp_path / "two", database=postgres_url)
        assert not (tmp_path / "two" / "shop.toml").exists()
        with pytest.raises(SourceError, match="a shop already"):
            Shop.create(tmp_path / "one")
        assert shop.items().height == 1


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
    assert not (tmp_path / "shop" / "shop.toml").exists()
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
    monkeypatch.setitem(sys.modules, "psycopg.adapt", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'modiste\[postgres\]'"):
        Shop.create(tmp_path / "shop", database="postgresql://ann@host/db")
    (tmp_path / "shop.toml").write_text('database = "postgresql://ann@host/db"\n')
    with pytest.raises(MissingExtraError, match=r"pip install 'modiste\[postgres\]'"):
        Shop.open(tmp_path)


def test_without_pgvector_it_tells_the_remedy(tmp_path, postgres_server):
    bare, clerk = f"bare_{uuid4().hex[:8]}", f"clerk_{uuid4().hex[:8]}"
    url = sa.make_url(postgres_server).set(drivername="postgresql")
    administrator = sa.create_engine(url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with administrator.connect() as connection:
        connection.execute(sa.text(f"CREATE ROLE {clerk} LOGIN"))
        connection.execute(sa.text(f"CREATE DATABASE {bare}"))
    inside = sa.create_engine(url.set(drivername="postgresql+psycopg", database=bare), isolation_level="AUTOCOMMIT")
    with inside.connect() as connection:
        connection.execute(sa.text(f"GRANT CREATE ON SCHEMA public TO {clerk}"))
    theirs = url.set(database=bare, username=clerk).render_as_string(hide_password=False)
    with pytest.raises(SourceError, match=r"lacks pgvector .*CREATE EXTENSION vector"):
        Shop.create(tmp_path / "shop", database=theirs)
    with inside.connect() as connection:
        connection.execute(sa.text("CREATE EXTENSION vector"))
    with Shop.create(tmp_path / "shop", database=theirs) as shop:
        assert shop.items().is_empty()
    for engine in (inside, administrator):
        engine.dispose()


def test_a_user_who_may_not_make_tables_is_told(tmp_path, postgres_server):
    clerk = f"clerk_{uuid4().hex[:8]}"
    url = sa.make_url(postgres_server)
    administrator = db.postgres(postgres_server)
    with administrator.begin() as connection:
        connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public"))
        connection.execute(sa.text(f"CREATE ROLE {clerk} LOGIN"))
    administrator.dispose()
    with pytest.raises(ModisteError, match="permission denied"):
        Shop.create(tmp_path / "shop", database=url.set(username=clerk).render_as_string(hide_password=False))
