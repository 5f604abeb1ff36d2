"""``shop.shoppers``: what is known of them, and how far they follow trends."""

from datetime import datetime

import numpy as np
import pytest

from modiste import Purchase
from modiste.behaviour.popularity import RunningCounts
from modiste.errors import SettingError, UnknownIdError
from modiste.shop import schema

DAY = datetime(2025, 3, 31, 14, 5)


def test_a_shopper_is_known_once_she_was_put_or_has_bought(shop):
    assert "eve" not in shop.shoppers
    with pytest.raises(UnknownIdError, match="no shopper 'eve' in shop"):
        shop.shoppers["eve"]
    shop.shoppers.put("eve", trendiness=0.25, latitude=48.8, longitude=2.3)
    shop.purchases.record([Purchase("ann", "Denim-red-men-0", DAY)])
    assert "eve" in shop.shoppers
    assert "ann" in shop.shoppers
    assert 7 not in shop.shoppers
    assert len(shop.shoppers) == 2
    eve = shop.shoppers["eve"]
    assert (eve.trendiness, eve.estimated, eve.purchases, eve.simulated) == (0.25, False, 0, False)
    assert eve.position == (48.8, 2.3)
    ann = shop.shoppers["ann"]
    assert (ann.estimated, ann.purchases, ann.position) == (True, 1, None)


def test_putting_a_shopper_again_changes_her_and_keeps_what_she_bought(shop):
    shop.purchases.record([Purchase("ann", "Denim-red-men-0", DAY)])
    shop.shoppers.put("ann", trendiness=0.9)
    assert (shop.shoppers["ann"].trendiness, shop.shoppers["ann"].purchases) == (0.9, 1)
    shop.shoppers.put("ann")
    assert shop.shoppers["ann"].estimated
    assert len(shop.shoppers) == 1


@pytest.mark.parametrize("trendiness", [-0.1, 1.1, float("nan")])
def test_a_trendiness_that_can_t_be_is_refused(shop, trendiness):
    with pytest.raises(SettingError, match="trendiness"):
        shop.shoppers.put("eve", trendiness=trendiness)
    assert "eve" not in shop.shoppers


def test_trendiness_is_the_given_one_else_estimated_from_purchases(shop):
    shop.shoppers.put("given", trendiness=0.9)
    names = shop.items.frame().sort("popularity")["item_id"].to_list()
    shop.purchases.record([Purchase("high", one, DAY) for one in names[-8:]])
    shop.purchases.record([Purchase("low", one, DAY) for one in names[:8]])
    assert shop.shoppers["given"].trendiness == 0.9
    assert shop.shoppers["low"].trendiness < 0.4 < 0.6 < shop.shoppers["high"].trendiness


def test_an_estimate_is_the_mean_of_what_she_bought_shrunk_towards_that_of_all(shop):
    names = shop.items.frame()["item_id"].to_list()
    start = shop.items.frame()["popularity"].to_numpy()
    running, shares = RunningCounts(start), {"ann": [], "bea": []}
    for who, row in [("ann", 3), ("bea", 20), ("ann", 9), ("ann", 3)]:
        shares[who].append(running.normalised(row))
        running.add(row)
        shop.purchases.record([Purchase(who, names[row], DAY)])
    mean = np.mean(shares["ann"] + shares["bea"])
    for who, hers in shares.items():
        expected = (sum(hers) + 3 * mean) / (len(hers) + 3)
        assert shop.shoppers[who].trendiness == pytest.approx(expected, abs=1e-12)
    found = shop.shoppers.frame()
    assert found["trendiness"].to_list() == [shop.shoppers[who].trendiness for who in ("ann", "bea")]
    assert found["given"].to_list() == [None, None]
    assert found["purchases"].to_list() == [3, 1]


def test_a_shopper_without_purchases_is_as_trendy_as_the_others(shop):
    assert shop.shoppers.mean_trendiness() == 0.5
    shop.shoppers.put("ann", trendiness=0.9)
    shop.shoppers.put("bea", trendiness=0.7)
    shop.shoppers.put("eve")
    assert shop.shoppers["eve"].trendiness == pytest.approx(0.8)
    assert shop.shoppers.mean_trendiness() == pytest.approx(0.8)
    assert shop.shoppers.frame().rows() == [
        ("ann", 0.9, 0.9, 0, None, None, False),
        ("bea", 0.7, 0.7, 0, None, None, False),
        ("eve", pytest.approx(0.8), None, 0, None, None, False),
    ]


def test_trendiness_stays_in_its_range_when_purchases_are_taken_back(shop):
    shop.purchases.record([Purchase("ann", "Dresses-red-women-0", DAY)])  # the least popular
    with shop.storage.writing() as writing:  # what adding shares and taking them away again leaves
        writing.execute(schema.shoppers.update().values(normpop=-1e-16))
        writing.execute(schema.settings.update().where(schema.settings.c.name == "normpop").values(value="-1e-16"))
    assert shop.shoppers["ann"].trendiness == 0
    assert shop.shoppers.mean_trendiness() == 0
    assert shop.shoppers.frame()["trendiness"].to_list() == [0]
    assert shop.recommend("ann", top=3)


def test_trendiness_leads_to_what_is_popular_or_is_not(shop):
    shop.shoppers.put("follower", trendiness=1.0)
    shop.shoppers.put("contrarian", trendiness=0.0)
    shop.purchases.record([Purchase(one, "Denim-red-women-0", DAY) for one in ("follower", "contrarian")])
    popular = {"alpha": 0, "beta": 1, "gamma": 0, "top": 1, "gender": "any"}
    assert shop.recommend("follower", **popular)[0].item_id == "Tees_Tanks-blue-men-6"
    assert shop.recommend("contrarian", **popular)[0].item_id == "Dresses-red-women-0"
    assert shop.recommend("contrarian", trendiness=1.0, **popular)[0].item_id == "Tees_Tanks-blue-men-6"
