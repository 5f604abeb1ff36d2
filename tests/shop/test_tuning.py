"""Weights learnt from a shop's own purchases: what is kept, and that nothing changes until someone says so."""

import json
from datetime import datetime, timedelta

import numpy as np
import pytest

from modiste.behaviour.choice import DEFAULT
from modiste.catalog.events import Event
from modiste.catalog.items import Item
from modiste.errors import SettingError, UnknownIdError


def test_learning_keeps_weights_with_their_evidence_and_changes_nothing(shop):
    shop.simulate(shoppers=80, purchases=12, model="choice")
    before = shop.recommend(shopper="1", top=3)
    made = shop.tunings.learn("own", weeks=10)
    assert {*DEFAULT.weights, "look", "colour"} - {"price"} == set(made.model.weights), "no item has a price"
    assert made.simulated
    assert made.choices > 300
    assert made.judged >= 50
    assert made.likelihood.low <= made.likelihood.mean <= made.likelihood.high
    assert shop.tunings.used() is None
    assert [one.as_json() for one in shop.recommend(shopper="1", top=3)] == [one.as_json() for one in before]
    (kept,) = shop.tunings.all()
    assert kept.model == made.model
    assert kept.likelihood == made.likelihood
    assert json.loads(kept.as_json()) == json.loads(made.as_json())


def test_one_tuning_at_most_is_in_use(small):
    rng = np.random.default_rng(0)
    start = datetime(2025, 1, 1)
    days = np.sort(rng.integers(0, 200, 600)).tolist()
    liked = rng.choice(list("abcde"), 600, p=[0.5, 0.2, 0.1, 0.1, 0.1]).tolist()
    small.purchases.record(
        [Event(f"{number % 90}", item, start + timedelta(days=day)) for number, (item, day) in
         enumerate(zip(liked, days, strict=True))]
    )  # fmt: skip
    for name in ("one", "two"):
        made = small.tunings.learn(name)
    assert not made.simulated
    assert made.model.weights["popularity"] + made.model.weights["lasting"] > 0
    asked = {"items": ["c"], "gender": "any", "top": 4, "alpha": 0, "colour": 0, "gamma": 0}
    before = small.recommend(**asked)
    assert small.snapshot().model == DEFAULT, "learning changes nothing"
    small.tunings.use("one")
    small.tunings.use("two")
    assert small.snapshot().model == made.model, "the next answer is by what was learned"
    after = small.recommend(**asked)
    assert [one.relevance for one in after] != [one.relevance for one in before]
    assert small.tunings.used().name == "two"
    assert [one.used for one in small.tunings.all()] == [False, True]
    small.tunings.use(None)
    assert small.tunings.used() is None
    small.tunings.use("two")
    with pytest.raises(UnknownIdError, match="no tuning 'three'"):
        small.tunings.use("three")
    assert small.tunings.used().name == "two"  # what failed has changed nothing


def test_what_is_learnt_of_price_and_of_whom_it_is_for_is_what_lists_weigh(small, fill):
    ids = [f"{number:02}" for number in range(40)]
    fill(small, ids)
    for number, one in enumerate(ids):  # eight prices from 10 to 1280; half of all are women's
        price = 10.0 * 2 ** (number % 8)
        small.items.put(Item(one, "Coats", ("women", "men")[number // 20], price=price, currency="EUR"))
    rng, bought = np.random.default_rng(1), []
    for shopper in range(100):  # each buys what is for her, at about one price of her own
        usual = rng.integers(8)
        for day in np.sort(rng.integers(0, 200, 8)).tolist():
            hers = 20 * int((shopper % 2) ^ (shopper > 9 and rng.random() < 0.1))  # now and then a gift
            level = int(np.clip(usual + rng.integers(-1, 2), 0, 7))
            item = ids[hers + int(rng.choice([one for one in range(20) if one % 8 == level]))]
            bought.append(Event(f"{shopper}", item, datetime(2025, 1, 1) + timedelta(days=day)))
    small.purchases.record(sorted(bought, key=lambda one: one.at))
    made = small.tunings.learn()
    price, other = made.model.weights["price"], made.model.weights["other"]
    assert price > 3 * made.errors["price"] > 0
    assert other > 3 * made.errors["other"] > 0
    asked = {"gender": "any", "top": 40}
    assert {one.terms["price"] for one in small.recommend("1", **asked)} == {0}, "nothing changes by itself"
    assert min(one.terms["gender"] for one in small.recommend("1", **asked)) == -1
    small.tunings.use("own")
    found = small.recommend("1", **asked)
    paid = np.log10([small.items[item]["price"] for item in small.purchases.of("1")["item_id"]])
    for one in found:
        near = max(0.0, 1 - abs(np.log10(one.item["price"]) - paid.mean())) if one.item["price"] else 0.0
        assert one.terms["price"] == pytest.approx(price * near * len(paid) / (len(paid) + 2))
    assert {round(one.terms["gender"] / other, 6) for one in found} <= {0, -1}
    assert {one.terms["price"] for one in small.recommend("1", **asked, price=0)} == {0}
    assert {one.terms["price"] for one in small.recommend("1", **asked, preset="visual")} == {0}
    other_model = small.recommend("1", **asked, tuning="defaults")
    assert {one.terms["price"] for one in other_model} == {0}


def test_without_enough_orders_the_defaults_stay(small):
    with pytest.raises(SettingError, match=r"0 purchases before its last 8 weeks and 0 in them.*the defaults stay"):
        small.tunings.learn()
    assert small.tunings.all() == []
