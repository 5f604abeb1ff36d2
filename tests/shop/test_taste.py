"""What a shop says of a shopper is what the choice model says of the same purchases."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from modiste import Event, Item, Shop
from modiste.behaviour.choice import DEFAULT, Events, History, category_lift, newness_of
from modiste.behaviour.taste import posterior
from modiste.shop.storage import set_setting
from modiste.shop.taste import Crowd, freshness, habits, taste_of, together

MONDAY = datetime(2025, 1, 6)  # its ordinal is a multiple of seven, so that it begins a week
ITEMS, SHOPPERS = 30, 12


def bought(seed: int = 0, weeks: int = 40) -> list[Event]:
    """Purchases on Mondays, of popular things mostly; shopper 0 takes what nobody takes, shopper 1 what all do."""
    rng = np.random.default_rng(seed)
    chance = 1 / np.arange(1, ITEMS + 1)
    chances = {0: chance[::-1] ** 2, 1: chance**2}
    events = []
    for week in range(weeks):
        for shopper in rng.permutation(SHOPPERS)[:8].tolist():
            p = chances.get(shopper, chance)
            item = int(rng.choice(ITEMS, p=p / p.sum()))
            events.append(Event(str(shopper), f"{item:02d}", MONDAY + timedelta(weeks=week)))
    return events


@pytest.fixture
def shop(tmp_path: Path, database: str | None) -> Shop:
    lines = [f"{item:02d},{('Dresses', 'Denim', 'Skirts')[item % 3]}" for item in range(ITEMS)]
    (tmp_path / "items.csv").write_text("item_id,category\n" + "\n".join(lines) + "\n")
    with Shop.create(tmp_path / "shop", database=database) as made:
        made.items.add(tmp_path / "items.csv")
        yield made


def history(events: list[Event]) -> History:
    return History(
        Events(
            np.array([int(one.shopper_id) for one in events]),
            np.array([int(one.item_id) for one in events]),
            np.array([float(one.at.toordinal()) for one in events]),
        ),
        ITEMS,
        category=np.arange(ITEMS) % 3,
        offer_days=None,
    )


def purchases_of(events: list[Event], shopper: str) -> list[tuple[str, int]]:
    return [(one.item_id, one.at.toordinal()) for one in events if one.shopper_id == shopper]


def test_theta_is_the_choice_model_s(shop):
    assert MONDAY.toordinal() % 7 == 1  # ordinals count from 1; weeks begin a day later
    events = [Event(one.shopper_id, one.item_id, one.at - timedelta(days=1)) for one in bought()]
    shop.purchases.record(events)
    crowd, snapshot = history(events).crowd(DEFAULT.half_life), shop.snapshot()
    worth, partitions, _ = crowd.before(np.arange(SHOPPERS), np.inf)
    means, sds = posterior(worth, partitions, DEFAULT.prior)
    for shopper in range(SHOPPERS):
        told = taste_of(snapshot, purchases_of(events, str(shopper)))
        assert (told.theta, told.sd) == pytest.approx((means[shopper], sds[shopper]), abs=2e-3)
    assert shop.taste("0").theta < shop.taste("2").theta < shop.taste("1").theta
    assert shop.taste("1").words.startswith("follows the crowd")


def test_kinds_newness_and_companions_are_the_choice_model_s(shop):
    events = bought()
    shop.purchases.record(events)
    snapshot, hers = shop.snapshot(), purchases_of(events, "3")
    ids = [one for one, _ in hers]
    lift = category_lift(
        np.array([int(one) for one in ids]),
        np.arange(ITEMS) % 3,
        snapshot.selling().shares(snapshot.column("category"), 3),
    )
    rows = [snapshot.row(f"{item:02d}") for item in range(3)]
    found = habits(snapshot, ids, DEFAULT.half_life)[snapshot.column("category")[rows]]
    shown = np.array([snapshot.categories.index(name) for name in ("Dresses", "Denim", "Skirts")])
    expected = (
        DEFAULT.weights["category"] * (lift - lift.min()) if lift.min() < 0 else DEFAULT.weights["category"] * lift
    )
    assert sorted(found) == pytest.approx(sorted(expected[:3]), abs=1e-9)
    assert len(set(shown.tolist())) == 3
    first: dict[str, int] = {}
    for one in events:
        first.setdefault(one.item_id, one.at.toordinal())
    assert {one: int(snapshot.selling().came[snapshot.row(one)]) for one in first} == first
    ages = np.array([day - first[one] for one, day in hers], float)
    every = np.array([one.at.toordinal() - first[one.item_id] for one in events], float)
    leaning = (newness_of(ages).sum() - len(hers) * newness_of(every).mean()) / (len(hers) + 2)
    weights = DEFAULT.weights
    assert freshness(snapshot, hers) == pytest.approx(
        weights["newness"] + weights["newness_regular"] * np.log1p(len(hers)) + weights["newness_taste"] * leaning
    )
    rows, lifts = together(snapshot, {"00": {"01": 3.0, "29": 1.0}})
    assert [snapshot.item_ids[row] for row in rows.tolist()] == ["01", "29"]
    assert (lifts > 0).all()


def test_what_those_bought_who_bought_the_same_is_recommended_for_it(shop):
    day = MONDAY
    shop.purchases.record(
        [Event(f"b{n}", one, day) for n in range(5) for one in ("00", "17")] + [Event("a", "00", day)]
    )
    asked = {"alpha": 0, "colour": 0, "beta": 0, "gamma": 0, "newness": 0, "together": 1, "top": 1}
    [found] = shop.recommend("a", **asked)
    assert found.item_id == "17"
    assert found.terms["together"] > 0
    assert "often bought by those who buy what you did" in found.why
    assert shop.recommend("b0", **asked)[0].terms["together"] == 0, "she has both"


def test_orders_that_come_late_are_heeded(shop):
    """A service that was asked before the history of years was added must not go on from what it knew then."""
    events = bought()
    shop.purchases.record([one for one in events if one.shopper_id == "4"])
    before = shop.taste("4")
    shop.purchases.record([one for one in events if one.shopper_id != "4"])
    with Shop.open(shop.path) as anew:
        assert shop.taste("4").theta == pytest.approx(anew.taste("4").theta, abs=1e-9)
        assert shop.snapshot().selling().came.tolist() == anew.snapshot().selling().came.tolist()
        assert shop.taste("4").theta != before.theta
        assert Crowd.of(shop.snapshot()).usual == pytest.approx(Crowd.of(anew.snapshot()).usual)


def test_what_is_added_to_a_shop_that_has_been_open_is_new(shop):
    shop.purchases.record(bought())
    assert not shop.snapshot().column("came").any(), "its first items may be of any age"
    with shop.storage.writing() as writing:
        set_setting(writing.connection, "began", 1)
    shop.items.put(Item("new", "Dresses"))
    selling, row = shop.snapshot().selling(), shop.snapshot().row("new")
    assert selling.newness[row] == pytest.approx(newness_of(np.zeros(1))[0])
    assert (np.delete(selling.newness, row) < 2).all(), "and the others are older by the days since they sold"
    [found] = shop.recommend("3", alpha=0, colour=0, beta=0, gamma=0, together=0, newness=1, top=1)
    assert (found.item_id, found.why) == ("new", "It is new.")
    added = int(selling.came[row])
    shop.items.put(Item("new", "Skirts"))
    shop.purchases.record([Event("9", "new", MONDAY), Event("9", "00", MONDAY)])
    assert shop.snapshot().column("came")[row] == added, "what changes is no newer"
    assert shop.snapshot().selling().came[row] == MONDAY.toordinal(), "what sold before it was added was there before"
