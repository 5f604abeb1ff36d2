"""Whatever is done in whatever order, by however many: the shop is what a dictionary would be, its counts exact.

``MODISTE_TORTURE`` (see ``make torture``) has more of all of it, at 0.5 half as much as at 1.
"""

import csv
import os
import random
import shutil
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, takewhile
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from modiste import Event, Item, Shop
from modiste.errors import SourceError, StorageError
from modiste.shop.sync import Sources, sync

from .. import garments

pytestmark = pytest.mark.usefixtures("quick_network")

TORTURE = float(os.environ.get("MODISTE_TORTURE") or 0)


def many(least: int, most: int) -> int:
    """How many there are of something: ``least``, but as ``make torture`` asks for its share of ``most``."""
    return max(least, round(TORTURE * most))


DAY = datetime(2026, 1, 1, 12)
ITEMS, SHOPPERS = ("a", "b", "ç", "d'"), ("ann", "bea")
KINDS = list(garments.BOXES)


@dataclass
class Known:
    """What a dictionary knows of an item."""

    category: str
    photo: bytes | None = None
    popularity: float = 0.0
    on_offer: bool = True
    synced: bool = False


@dataclass(frozen=True)
class Line:
    """What a list knows of an event."""

    number: int
    shopper: str
    item: str
    kind: str
    quantity: int
    day: int
    order: str | None


def kept(lines: list[Line]) -> dict[int, int]:
    """How many pieces of each purchase of one item by one shopper stay, taken back piece by piece."""
    left = {one.number: one.quantity for one in lines if one.kind == "purchase"}
    for back in sorted((one for one in lines if one.kind == "return"), key=lambda one: (one.day, one.number)):
        before = [one for one in lines if one.kind == "purchase" and one.day <= back.day]
        for _ in range(back.quantity):
            there = [one for one in before if left[one.number]]
            if there:
                left[max(there, key=lambda one: (one.day, one.number)).number] -= 1
    return left


class Machine(RuleBasedStateMachine):
    """A shop and a dictionary, to which the same is done."""

    def __init__(self, database: str | None, photos: list[bytes]) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="modiste-history-"))
        url = None if database is None else f"{database}&schema=history_{uuid4().hex[:12]}"
        self.shop, self.photos, self.numbers = Shop.create(self.folder / "shop", database=url), photos, count()
        self.items: dict[str, Known] = {}
        self.lines: list[Line] = []
        self.shoppers: set[str] = set()

    @initialize()
    def begin(self) -> None:
        self.shop.vectors.embed(masking="none")  # the space that later photos go into
        for item in ITEMS:
            self.put(item, KINDS[0], None)

    def teardown(self) -> None:
        with self.shop as shop:
            found = shop.check()
            if shop.storage.engine.dialect.name == "postgresql":
                name = shop.storage.engine.get_execution_options()["shop_schema"]
                with shop.storage.engine.begin() as connection:
                    connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
        shutil.rmtree(self.folder)
        assert found == []

    @rule(item=st.sampled_from(ITEMS), kind=st.sampled_from(KINDS), photo=st.none() | st.integers(0, 3))
    def put(self, item: str, kind: str, photo: int | None) -> None:
        encoded = None if photo is None else self.photos[photo]
        known = self.items.get(item, Known(kind))
        report = self.shop.items.put(Item(item, category=kind), encoded)
        assert report.created == (item not in self.items)
        self.items[item] = Known(kind, encoded or known.photo, synced=known.synced)

    @rule(rows=st.dictionaries(st.sampled_from(ITEMS), st.tuples(st.sampled_from(KINDS), st.integers(0, 9))))
    def add(self, rows: dict[str, tuple[str, int]]) -> None:
        if rows:
            self.shop.items.add(self.table(rows))
            for item, (kind, popularity) in rows.items():
                known = self.items.get(item, Known(kind))
                self.items[item] = Known(kind, self.photos[0], float(popularity), synced=known.synced)

    @rule(rows=st.dictionaries(st.sampled_from(ITEMS), st.tuples(st.sampled_from(KINDS), st.integers(0, 9))))
    def sync(self, rows: dict[str, tuple[str, int]]) -> None:
        if rows:
            report = sync(self.shop, Sources(items=str(self.table(rows))), confirm=True)
            gone = {item for item, known in self.items.items() if known.synced and item not in rows}
            assert report.retired <= len(gone)
            for item in gone:
                self.items[item].on_offer = False
            for item, (kind, popularity) in rows.items():
                self.items[item] = Known(kind, self.photos[0], float(popularity), synced=True)

    def table(self, rows: dict[str, tuple[str, int]]) -> Path:
        """A catalogue in which every item has the first photo, in the shop's own folder."""
        (self.folder / "shop" / "first.png").write_bytes(self.photos[0])
        file = self.folder / "shop" / "items.csv"
        with file.open("w", newline="", encoding="utf-8") as opened:
            writer = csv.writer(opened)
            writer.writerow(["item_id", "image", "category", "popularity"])
            writer.writerows([item, "first.png", *said] for item, said in rows.items())
        return file

    @rule(item=st.sampled_from(ITEMS))
    def remove(self, item: str) -> None:
        if item in self.items:
            self.shop.items.remove(item)
            del self.items[item]
            self.lines = [one for one in self.lines if one.item != item]

    @rule(
        shopper=st.sampled_from(SHOPPERS), item=st.sampled_from(ITEMS), quantity=st.integers(1, 3),
        kind=st.sampled_from(["purchase", "purchase", "return", "view"]), day=st.integers(0, 40),
        order=st.none() | st.sampled_from(["1", "2"]),
    )  # fmt: skip
    def record(self, shopper: str, item: str, quantity: int, kind: str, day: int, order: str | None) -> None:
        if item not in self.items:
            return
        order = order if kind == "purchase" else None
        line = Line(next(self.numbers), shopper, item, kind, quantity, day, order)
        same = [one for one in self.lines if order and (one.shopper, one.item, one.order) == (shopper, item, order)]
        event = Event(shopper, item, DAY + timedelta(days=day), kind, quantity, order)
        assert self.shop.purchases.record([event]) == (not same)
        if not same:
            self.lines.append(line)
            self.shoppers.add(shopper)

    @rule(shopper=st.sampled_from(SHOPPERS))
    def forget(self, shopper: str) -> None:
        if shopper in self.shoppers:
            self.shop.forget(shopper)
            self.shoppers.discard(shopper)
            self.lines = [one for one in self.lines if one.shopper != shopper]

    @rule()
    def embed(self) -> None:
        assert self.shop.vectors.embed(masking="none").failures == []
        assert self.shop.coverage().missing == 0

    @rule(shopper=st.sampled_from(SHOPPERS), top=st.integers(1, 5))
    def recommend(self, shopper: str, top: int) -> None:
        if shopper in self.shoppers:
            found = [one.item_id for one in self.shop.recommend(shopper, top=top)]
            assert len(found) == len(set(found)) <= top
            assert set(found) <= {item for item, known in self.items.items() if known.on_offer}

    @rule()
    def check(self) -> None:
        assert self.shop.check() == []

    @invariant()
    def is_what_the_dictionary_is(self) -> None:
        found = {row["item_id"]: row for row in self.shop.items.frame().to_dicts()}
        assert {item: known.category for item, known in self.items.items()} == {
            item: row["category"] for item, row in found.items()
        }
        for item, known in self.items.items():
            photo = found[item]["image"]
            assert (None if photo is None else Path(photo).read_bytes()) == known.photo
        pieces: Counter[str] = Counter()
        bought: Counter[str] = Counter()
        pairs = defaultdict(list)
        for one in self.lines:
            pairs[one.shopper, one.item].append(one)
        for (shopper, item), lines in pairs.items():
            left = kept(lines)
            pieces[item] += sum(left.values())
            bought[shopper] += sum(map(bool, left.values()))
        popularity = dict(self.shop.purchases.popularity().select("item_id", "popularity").iter_rows())
        assert popularity == {item: known.popularity + pieces[item] for item, known in self.items.items()}
        shoppers = dict(self.shop.shoppers.frame().select("shopper_id", "purchases").iter_rows())
        assert shoppers == {shopper: bought[shopper] for shopper in self.shoppers}
        assert len(self.shop.purchases) == bought.total()


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    return [garments.drawn(kind, colour) for kind in KINDS[:2] for colour in garments.COLOURS][:4]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_whatever_is_done_the_shop_is_what_a_dictionary_would_be(
    database: str, photos: list[bytes], request: pytest.FixtureRequest
) -> None:
    url = None if database == "sqlite" else request.getfixturevalue("postgres_server")
    run_state_machine_as_test(
        lambda: Machine(url, photos),
        settings=settings(
            max_examples=many(8, 300), stateful_step_count=60 if TORTURE else 30, deadline=None,
            suppress_health_check=list(HealthCheck), print_blob=True,
            phases=list(Phase) if TORTURE else [Phase.generate],
        ),
    )  # fmt: skip


# Several at once

DOES = """
import random, sys
from datetime import datetime, timedelta
from modiste import Event, Item, Shop
name, path, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng, day, mine = random.Random(name), datetime(2026, 1, 1, 12), 0
with Shop.open(path) as shop:
    for step in range(steps):
        item, at = rng.choice("abcde"), day + timedelta(days=rng.randrange(30))
        what = rng.random()
        if what < 0.6:
            mine += shop.purchases.record([Event(name, item, at, "purchase", 1, f"{name}-{step}")])
        elif what < 0.7:
            shop.items.put(Item(f"{name}-{step}", category="Denim"))
        elif what < 0.8:
            shop.purchases.popularity(9.0)
        elif what < 0.9:
            shop.recommend(item=item, top=3)
        else:
            assert not [one for one in shop.check(thorough=False) if one.kind != "leftovers"]
    print(mine)
"""


def test_processes_and_threads_that_do_all_at_once_lose_nothing(
    small: Shop, process: Callable[..., Callable[[], str]]
) -> None:
    steps = many(25, 400)
    waiting = [process(DOES, f"p{number}", small.path, steps) for number in range(2)]

    def thread(name: str) -> int:
        rng, mine = random.Random(name), 0
        for step in range(steps):
            mine += small.purchases.record([Event(name, rng.choice("abcde"), DAY, order_id=f"{name}-{step}")])
            assert small.recommend(item=rng.choice("abcde"), top=3) is not None
        return mine

    with ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(thread, ("t0", "t1")))
    bought = dict(zip(("p0", "p1"), (int(one()) for one in waiting), strict=True)) | dict(
        zip(("t0", "t1"), theirs, strict=True)
    )
    assert {who: small.shoppers[who].purchases for who in bought} == bought
    assert small.purchases.popularity()["popularity"].sum() == sum(bought.values()) == len(small.purchases)
    assert small.check() == []


# Orders whose answer was lost


def test_orders_are_there_once_however_often_connections_are_cut(
    tmp_path: Path, postgres_server: str, fill: Callable[..., None]
) -> None:
    psycopg = pytest.importorskip("psycopg")
    url, orders, clients = f"{postgres_server}&schema=cut_{uuid4().hex[:8]}", many(25, 250), 4
    with Shop.create(tmp_path / "shop", database=url) as shop:
        fill(shop, list("abcde"))
    over, cuts = threading.Event(), Counter[str]()

    def enough() -> bool:
        """Whether anything was cut at all: on a quick machine all orders may be there before that."""
        return cuts["cut"] > 5 and cuts["unknown"] > 0

    def cut() -> None:
        """End connections at random moments, in the middle of whatever they do."""
        rng = random.Random(1)
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            while not over.wait(rng.uniform(0.01, 0.08)):
                theirs = "application_name = 'modiste' ORDER BY random() LIMIT 2"
                ended = connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {theirs}")
                cuts["cut"] += len(ended.fetchall())

    def opened() -> Shop:
        while True:
            try:
                return Shop.open(tmp_path / "shop")
            except SourceError as error:  # cut while it was opened; nothing was sent yet
                if "can't use" not in str(error):
                    raise

    def client(name: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Orders of two lines; each is sent until it is acknowledged, or given up: then nobody knows."""
        rng, acknowledged, unknown = random.Random(name), dict[str, list[str]](), dict[str, list[str]]()
        with opened() as shop:
            for number in takewhile(lambda number: number < orders or not enough(), range(100 * orders)):
                order, lines = f"{name}-{number}", rng.sample("abcde", 2)
                events = [Event(name, item, DAY, order_id=order) for item in lines]
                unknown[order] = lines
                for _ in range(rng.choice([1, 20, 20, 20])):
                    try:
                        shop.purchases.record(events)
                    except StorageError:
                        cuts["unknown"] += 1
                        continue
                    acknowledged[order] = unknown.pop(order)
                    break
                if rng.random() < 0.2:
                    with suppress(StorageError):
                        read = Counter(shop.purchases.of(name)["order_id"].to_list())
                        assert all(read[one] == 2 for one in acknowledged), "who was told sees it"
                        assert set(read) <= acknowledged.keys() | unknown.keys()
        return acknowledged, unknown

    nemesis = threading.Thread(target=cut)
    nemesis.start()
    try:
        with ThreadPoolExecutor(clients) as pool:
            histories = list(pool.map(client, [f"c{number}" for number in range(clients)]))
    finally:
        over.set()
        nemesis.join()
    with Shop.open(tmp_path / "shop") as shop:
        stored = Counter((one["order_id"], one["item_id"]) for one in shop.purchases.frame().to_dicts())
        acknowledged = {(order, item) for told, _ in histories for order, lines in told.items() for item in lines}
        unknown = {order: lines for _, lost in histories for order, lines in lost.items()}
        assert max(stored.values()) == 1
        assert acknowledged <= stored.keys()
        rest = {order for order, _ in stored.keys() - acknowledged}
        assert rest <= unknown.keys()
        assert all({(order, item) for item in unknown[order]} <= stored.keys() for order in rest), "whole or not at all"
        assert shop.check() == []
    assert enough()
