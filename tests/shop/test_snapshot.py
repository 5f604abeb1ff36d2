"""A snapshot is a shop at one moment: made from the one before it is as if made anew, and it never changes."""

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from modiste import Event, Item, Shop
from modiste.behaviour.popularity import normalise
from modiste.errors import UnknownIdError
from modiste.shop import storage as storage_module
from modiste.shop import vectors as vectors_module
from modiste.shop.moments import Moments
from modiste.shop.snapshot import Snapshot
from modiste.shop.storage import set_setting

pytestmark = pytest.mark.usefixtures("quick_network")

DAY = datetime(2025, 3, 31, 14, 5)
HALF_LIVES = (None, 2.0, 365.0)
PARIS = (48.85, 2.35)


def everything(snapshot: Snapshot) -> dict[str, Any]:
    """All that a snapshot says, item by item in the order of ids, so that any two can be compared."""
    alive = np.flatnonzero(snapshot.column("alive")).tolist()
    row_of = {snapshot.item_ids[row]: row for row in alive}
    assert len(row_of) == len(alive) == snapshot.size, "no id stands twice"
    ids = sorted(row_of)
    rows = np.array([row_of[one] for one in ids], np.int64)
    assert [snapshot.find(one) for one in ids] == rows.tolist()
    shown = snapshot.candidates()
    assert shown.allowed is None or np.flatnonzero(shown.allowed).tolist() == alive
    category = shown.category[rows]
    km = snapshot.distances_km(PARIS)
    found: dict[str, Any] = {
        "revision": snapshot.revision,
        "items": [snapshot.item(row) for row in rows.tolist()],
        "category": [snapshot.categories[one] if one >= 0 else None for one in category.tolist()],
        "similarity": np.pad(shown.similarity, (0, 1))[np.ix_(category, category)],  # -1: similar to nothing
        "gender": shown.gender[rows],
        "product": shown.product[rows],
        "price": snapshot.column("price")[rows],
        "stores": snapshot.stores.rows(),
        "spaces": [one.key for one in snapshot.spaces],
        "km": None if km is None else km[rows],
    }
    for key in snapshot.matrices:
        candidates = snapshot.candidates(key)
        has = candidates.has_vector[rows]
        found[f"vectors in {key}"] = np.where(has[:, None], candidates.vectors[rows], 0)
        found[f"has a vector in {key}"] = has
    for half_life in HALF_LIVES:
        popularity = snapshot.popularity(half_life)
        found[f"counts, half-life {half_life}"] = popularity.counts[rows]
        found[f"normpop, half-life {half_life}"] = snapshot.candidates(half_life=half_life).normpop[rows]
        selling = snapshot.selling(half_life)
        for name in ("lately", "lasting", "fashion", "came", "newness"):
            found[f"selling, {name}, half-life {half_life}"] = getattr(selling, name)[rows]
    return found


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Both say the same, popularity but for rounding."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            close = 1e-5 if "vectors" in name or "selling" in name else 1e-9
            assert np.allclose(
                value, other[name], rtol=1e-6 if "selling" in name else 1e-9, atol=close, equal_nan=True
            ), name
        elif isinstance(value, np.ndarray):
            assert np.array_equal(value, other[name]), name
        else:
            assert value == other[name], name


def anew(shop: Shop, spaces: tuple[str, ...] = ()) -> Snapshot:
    """The shop now, read from nothing but the database."""
    moments = Moments(shop.storage, shop.taxonomy)
    moments.filed_from = 10**9
    moments.files.root = shop.path / "no-such-folder"
    with moments.now(*spaces) as (snapshot, _):
        return snapshot


class Walk:
    """Writes at random, by one of two who have the shop open."""

    def __init__(self, shop: Shop, seed: int, photos: list[bytes], filed: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.shops, self.photos, self.filed = [shop, Shop.open(shop.path)], photos, filed
        self.came = self.ordered = 0
        with shop.storage.writing() as writing:  # so that what comes is new
            set_setting(writing.connection, "began", 1)

    def close(self) -> None:
        self.shops[1].close()

    def step(self) -> str:
        what = [self.put, self.put, self.change, self.change, self.remove, self.record, self.record, self.others]
        done: Callable[[Shop], None] = self.rng.choice([*what, *([self.file] if self.filed else [])])  # type: ignore[arg-type]
        done(self.shops[self.rng.integers(2)])
        return done.__name__

    def item(self, item_id: str) -> Item:
        rng = self.rng
        return Item(
            item_id,
            category=rng.choice(["Dresses", "jeans", "Skirts", "Kilts", None]),
            gender=rng.choice(["men", "women", None]),
            product=str(rng.choice(["", "one", "two"])),
            price=None if rng.random() < 0.3 else float(rng.integers(100)),
            store_id=rng.choice(["store-1", "store-2", "nowhere", None]),
            popularity=None if rng.random() < 0.3 else float(rng.integers(50)),
            attributes={"colour": str(rng.choice(["rot", "grün"]))},
        )

    def some(self, shop: Shop) -> str:
        return str(self.rng.choice(shop.items.frame()["item_id"].to_list()))

    def photo(self) -> bytes | None:
        return None if self.rng.random() < 0.4 else self.photos[self.rng.integers(len(self.photos))]

    def put(self, shop: Shop) -> None:
        self.came += 1
        shop.items.put(self.item(f"{self.rng.choice(['0', 'M', 'é'])}-{self.came % 12}"), self.photo())

    def change(self, shop: Shop) -> None:
        shop.items.put(self.item(self.some(shop)), self.photo())

    def remove(self, shop: Shop) -> None:
        for _ in range(self.rng.integers(1, 3)):
            shop.items.remove(self.some(shop))

    def record(self, shop: Shop) -> None:
        self.ordered += 1
        days = self.rng.integers(-3, 2 + self.ordered, self.rng.integers(1, 9))
        shop.purchases.record(
            [Event(f"{self.rng.integers(3)}", self.some(shop), DAY + timedelta(days=int(day))) for day in days]
        )

    def others(self, shop: Shop) -> None:
        what = self.rng.integers(6)
        if what == 0:
            shop.stores.make(int(self.rng.integers(1, 4)), seed=int(self.rng.integers(9)))
        elif what == 1:
            shop.vectors.embed(masking="none", crop="centre")
        elif what == 2:
            shop.vectors.embed(masking="none")
        elif what == 3:
            shop.purchases.recount()
        elif what == 4:
            shop.items.set_popularity({self.some(shop): float(self.rng.integers(99)) for _ in range(3)})
        else:
            shop.shoppers.put("someone", trendiness=0.5)

    def file(self, shop: Shop) -> None:
        what = self.rng.integers(4)
        if what == 0:
            shutil.rmtree(shop.path / "cache", ignore_errors=True)
        elif what == 1:
            self.shops[1].close()
            self.shops[1] = Shop.open(shop.path)
        else:
            shop.moments._file(shop.snapshot())


@pytest.fixture
def walk(shop: Shop, encoded: Callable[..., bytes], request: pytest.FixtureRequest) -> Iterator[Walk]:
    seed, filed = request.param
    names = ("Dresses-red-women-0", "Denim-blue-men-0", "Tees_Tanks-red-men-6")
    made = Walk(shop, seed, [encoded(name) for name in names], filed)
    yield made
    made.close()


WALKS = [(seed, filed) for filed in (False, True) for seed in range(2)]


@pytest.mark.parametrize("walk", WALKS, indirect=True, ids=lambda one: f"{'files' if one[1] else 'memory'}-{one[0]}")
def test_a_later_snapshot_is_what_it_would_be_anew_and_the_earlier_ones_stay_as_they_were(walk, monkeypatch):
    if walk.filed:
        monkeypatch.setattr(Moments, "filed_from", 0)
    if walk.rng.random() < 0.5:  # once a few more have come, vectors are reduced
        monkeypatch.setattr(vectors_module, "REDUCED_DIM", 8)
        monkeypatch.setattr(vectors_module, "REDUCED_FROM", 26)
    earlier: list[tuple[Snapshot, dict[str, Any]]] = []
    done = []
    for _ in range(15):
        done += [walk.step() for _ in range(walk.rng.integers(1, 4))]
        for shop in walk.shops:
            spaces = tuple(one.key for one in shop.vectors.spaces()) if walk.rng.random() < 0.3 else ()
            snapshot = shop.snapshot(*spaces)
            said = everything(snapshot)
            assert_same(said, everything(anew(shop, tuple(snapshot.matrices))))
            earlier.append((snapshot, said))
    for snapshot, said in earlier:
        assert_same(said, everything(snapshot))
    assert len(set(done)) >= 5 + walk.filed, "it did all it can do"


def test_a_snapshot_is_the_same_object_until_something_changed(shop):
    snapshot = shop.snapshot()
    assert shop.snapshot() is snapshot
    assert shop.recommend(item="Denim-red-men-0")
    assert shop.snapshot() is snapshot
    shop.shoppers.put("ann", trendiness=0.5)
    later = shop.snapshot()
    assert later.revision == snapshot.revision + 1
    assert later.columns["price"] is snapshot.columns["price"], "what is the same is shared"
    assert later.matrix().vectors is snapshot.matrix().vectors
    assert shop.snapshot() is later


def test_an_earlier_snapshot_keeps_the_vector_that_its_item_had(shop, encoded):
    before = shop.snapshot()
    said = everything(before)
    shop.items.put(Item("Dresses-red-women-0", "Dresses", "women"), encoded("Denim-blue-men-0"))
    assert_same(said, everything(before))
    after = shop.snapshot()
    row = after.row("Dresses-red-women-0")
    assert not np.allclose(after.matrix().vectors[row], before.matrix().vectors[row])


def test_an_earlier_snapshot_keeps_a_vector_that_was_gone_for_a_moment(shop, encoded, monkeypatch):
    before = shop.snapshot()
    said = everything(before)
    embed, between = shop.items._embed, []

    def look_first(item_id: str) -> str | None:
        between.append(shop.snapshot())  # the item is changed, its vector not made yet
        return embed(item_id)

    monkeypatch.setattr(shop.items, "_embed", look_first)
    shop.items.put(Item("Dresses-red-women-0", "Dresses", "women"), encoded("Denim-blue-men-0"))
    row = before.row("Dresses-red-women-0")
    assert not between[0].candidates().has_vector[row]
    after = shop.snapshot()
    assert after.candidates().has_vector[row]
    assert_same(everything(after), everything(anew(shop)))
    assert_same(said, everything(before))


def test_an_item_that_came_and_went_between_two_snapshots_is_in_neither(shop, encoded):
    shop.snapshot()
    shop.items.put(Item("new", "Dresses"), encoded("Dresses-red-women-0"))
    shop.purchases.record([Event("ann", "new", DAY)])
    shop.items.remove("new")
    assert_same(everything(shop.snapshot()), everything(anew(shop)))
    assert shop.snapshot().find("new") == -1
    with pytest.raises(UnknownIdError, match="no item 'new' in shop"):
        shop.snapshot().row("new")


def test_what_was_removed_too_long_ago_to_be_remembered_is_gone_all_the_same(shop, monkeypatch):
    monkeypatch.setattr("modiste.shop.items.MOST_REMOVED", 3)
    ids = shop.items.frame()["item_id"].to_list()
    with Shop.open(shop.path) as other:
        assert other.snapshot().size == 24
        for one in ids[:5]:
            shop.items.remove(one)
        with shop.storage.reading() as connection:
            assert storage_module.setting(connection, "forgotten") > 0
        assert other.snapshot().size == 19
        assert_same(everything(other.snapshot()), everything(anew(shop)))
        shop.items.remove(ids[5])
        assert_same(everything(other.snapshot()), everything(anew(shop)))


def test_more_changes_than_are_worth_copying_are_read_anew(shop, fill):
    shop.snapshot()
    fill(shop, [f"{number:04}" for number in range(1_200)], popularity=7)
    assert_same(everything(shop.snapshot()), everything(anew(shop)))
    assert shop.snapshot().size == 1_224


def test_an_empty_shop_has_a_snapshot_too(tmp_path, database):
    with Shop.create(tmp_path / "shop", database=database) as shop:
        snapshot = shop.snapshot()
        assert (snapshot.size, snapshot.rows, len(snapshot.candidates())) == (0, 0, 0)
        assert snapshot.popularity(30.0).counts.tolist() == []
        with pytest.raises(UnknownIdError, match="modiste embed shop"):
            snapshot.space()
        shop.items.put(Item("one"))
        assert everything(shop.snapshot())["items"][0]["item_id"] == "one"


def test_a_snapshot_says_how_to_take_one_with_another_space(shop):
    first = shop.vectors.space()
    shop.vectors.embed(masking="none", crop="centre")
    with Shop.open(shop.path) as other:
        snapshot = other.snapshot()
        with pytest.raises(UnknownIdError, match=f"taken without {first.key}; take it with"):
            snapshot.candidates(first)
        assert len(other.snapshot(first.key).candidates(first.key)) == 24


def test_popularity_with_any_half_life_is_that_of_the_purchases(small):
    rng = np.random.default_rng(2)
    days = rng.integers(0, 60, 40)
    for some in np.split(days, 8):  # each time a little more, so that what was known is carried on
        small.purchases.record(
            [Event("ann", "abcde"[day % 5], DAY + timedelta(days=int(day))) for day in some.tolist()]
        )
        sold = days[: len(small.purchases)]
        for half_life in (None, 0.5, 7.0, 1000.0):
            worth = np.ones(len(sold)) if half_life is None else 2.0 ** (-(sold.max() - sold) / half_life)
            expected = np.bincount(sold % 5, worth, minlength=5)
            found = small.snapshot().popularity(half_life)
            assert found.counts == pytest.approx(expected)
            assert found.normpop == pytest.approx(normalise(expected))
    assert small.snapshot().popularity(7.0) is small.snapshot().popularity(7.0)
