"""The choice model's features by hand, and that nothing of a later day is seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modiste.behaviour.choice import (
    DEFAULT,
    ChoiceModel,
    Events,
    History,
    features,
    likeness,
    log_chances,
    log_prices,
    price_fit,
    usual_price,
    whose_fit,
)
from modiste.behaviour.taste import Prior
from modiste.behaviour.tuning import cut
from modiste.errors import SettingError

PRIOR = Prior(1.0, 0.3)
ALL = np.arange(4)


def events(*rows: tuple[int, int, float]) -> Events:
    shopper, item, day = zip(*rows, strict=True)
    return Events(np.array(shopper), np.array(item), np.array(day, float))


SMALL = events((0, 0, 0), (1, 1, 0), (0, 1, 10), (2, 0, 10), (2, 2, 20), (1, 0, 30))


def of(history: History, shopper: int, day: float) -> dict[str, np.ndarray]:
    return features(history, shopper, day, ALL, 10.0, PRIOR)


def test_popularity_is_the_log_of_one_and_what_decay_has_left():
    found = of(History(SMALL, 4, start=np.array([0, 0, 0, 5.0])), 0, 20)
    assert found["popularity"] == pytest.approx(np.log1p([0.25 + 0.5, 0.25 + 0.5, 0, 5]))
    assert found["lasting"][0] == pytest.approx(np.log1p(2 ** (-20 / 365) + 2 ** (-10 / 365)))


def test_newness_counts_from_the_first_purchase_or_from_the_day_it_came():
    found = of(History(SMALL, 4, since=np.array([-100, np.nan, np.nan, 25])), 0, 30)
    assert found["newness"] == pytest.approx(np.log(365 / np.array([137, 37, 17, 12])))
    assert found["newness_regular"] == pytest.approx(np.log(3) * found["newness"])


def test_what_came_or_sold_lately_is_on_offer():
    came = History(SMALL, 4, since=np.array([-400, np.nan, np.nan, 25]))
    assert came.moment(25, 10.0).offer.tolist() == [0, 1, 2]  # it comes in the course of the day
    assert came.moment(26, 10.0).offer.tolist() == [0, 1, 2, 3]
    assert came.moment(205, 10.0).offer.tolist() == [0, 3]
    for first, _, _, offer in came.daily([10.0]):
        assert offer.tolist() == came.moment(SMALL.day[first], 10.0).offer.tolist()
    assert cut(came, 26).moment(26, 10.0).offer.tolist() == [0, 1, 2, 3]
    assert History(SMALL, 4).moment(26, 10.0).offer.tolist() == [0, 1, 2]


def test_what_never_came_is_neither_new_nor_old():
    assert of(History(SMALL, 4), 0, 30)["newness"][3] == 0


def test_the_category_she_buys_is_lifted_and_the_others_are_not():
    history = History(SMALL, 4, category=np.array([0, 0, 1, -1]))
    hers, nobodys = of(history, 0, 30)["category"], of(history, -1, 30)["category"]
    assert hers[0] == hers[1] > 0 > hers[2]
    assert hers[3] == 0
    assert nobodys == pytest.approx(np.zeros(4))
    popularity = np.expm1(of(history, 0, 30)["popularity"])
    share = (popularity[0] + popularity[1] + 0.5) / (popularity.sum() + 1)
    assert hers[0] == pytest.approx(np.log((2 + 8 * share) / 10 / share))


def test_what_goes_with_hers_is_lifted_by_the_pairs_that_were_bought():
    history = History(SMALL, 4)
    mass, total = history.together(np.array([0]), 25.0)  # 0 with 1 on day 10, and with 2 on day 20
    assert total == pytest.approx(2**0.5)
    assert mass == pytest.approx(np.array([0, 1, 1, 0]) / 2**0.5)
    assert history.together(np.array([0]), 20.0)[0] == pytest.approx([0, 1, 0, 0])
    assert history.together(np.array([3]), 25.0)[1] == 0
    found = of(history, -1, 25)
    assert found["together"] == pytest.approx(np.zeros(4))


def test_taste_bends_popularity_by_how_far_theta_lies_from_the_mean():
    rows = [(0, 0, day) for day in range(20)] + [(1, 1 + day % 3, day) for day in range(20)]
    history = History(Events(*(np.array(one) for one in zip(*sorted(rows, key=lambda row: row[2]), strict=True))), 4)
    crowd, other, nobody = (of(history, one, 20.0) for one in (0, 1, -1))
    assert crowd["taste"][0] > 0 > other["taste"][0]
    assert crowd["taste"] == pytest.approx(crowd["popularity"] * crowd["taste"][0] / crowd["popularity"][0])
    assert (nobody["taste"] == 0).all() or abs(nobody["taste"]).max() < 0.01


def test_terms_add_up_to_the_utility_and_a_missing_weight_is_none():
    history = History(SMALL, 4, category=np.array([0, 0, 1, -1]))
    terms = DEFAULT.terms(history, 1, 40.0)
    assert DEFAULT.utilities(history, np.array([1]), 40.0)[0] == pytest.approx(sum(terms.values()))
    assert set(ChoiceModel({"popularity": 1.0, "look": 1.0}, 20.0).terms(history, 1, 40.0)) == {"popularity"}
    assert np.exp(log_chances(DEFAULT.utilities(history, np.array([0, 1]), 40.0))).sum(axis=1) == pytest.approx([1, 1])


purchases = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 60)), min_size=5, max_size=60)


@settings(max_examples=25, deadline=None)
@given(purchases, st.integers(10, 60))
def test_nothing_of_a_later_day_is_seen(rows, day):
    rows.sort(key=lambda row: row[2])  # there may be none before the day
    made = Events(*(np.array(column) for column in zip(*rows, strict=True)))
    whole = History(Events(made.shopper, made.item, made.day.astype(float)), 8, category=np.arange(8) % 3)
    known = cut(whole, float(day))
    for shopper in range(6):
        for name, values in features(whole, shopper, float(day), np.arange(8), 20.0, PRIOR).items():
            again = features(known, shopper, float(day), np.arange(8), 20.0, PRIOR)[name]
            assert values == pytest.approx(again, abs=1e-9), name


def test_features_of_one_s_own():
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [0, 0]])
    extras = {
        "look": likeness(vectors),
        "other": whose_fit(np.array([1, 3, 2, 0]), np.array([False, True, False, False])),
        "price": price_fit(log_prices(np.array([10.0, 40.0, 200.0, np.nan]), np.zeros(4, int))),
    }
    found = of(History(SMALL, 4, extras=extras), 0, 30)  # she bought 0 and 1
    assert found["look"] == pytest.approx([0.6, 0.6, 0.8, 0])  # each beside the others
    assert likeness(vectors)(History(SMALL, 4).past(0, 30), np.array([2])) == pytest.approx([0.8])
    assert found["other"] == pytest.approx([-0.5, -0.5, -1 - 0.5, -0.5]), "half of what she bought was for children"
    assert found["price"] == pytest.approx([0.5 * (1 - np.log10(2)), 0.5 * (1 - np.log10(2)), 0, 0])
    assert all((values == 0).all() for name, values in of(History(SMALL, 4, extras=extras), -1, 30).items()
               if name in extras)  # fmt: skip


def test_what_she_usually_pays_is_told_in_the_currency_she_paid_in_most():
    prices = log_prices(np.array([10.0, 1000.0, 3.0, np.nan, 0.0]), np.array([0, 0, 7, 0, -1]))
    assert usual_price(prices[:4]) == pytest.approx((2.0, 0.5))
    mean, sure = usual_price(prices[3:4])
    assert np.isnan(mean)
    assert sure == 0
    history = History(
        SMALL, 4, extras={"price": price_fit(log_prices(np.array([10, 10, 10, 10]), np.array([0, 0, 1, 0])))}
    )
    assert of(history, 0, 30)["price"] == pytest.approx([0.5, 0.5, 0, 0.5]), "of other currencies nothing is known"


def test_events_out_of_order_are_refused():
    with pytest.raises(SettingError, match="sorted by day"):
        events((0, 0, 3), (0, 1, 2))
