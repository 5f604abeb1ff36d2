"""The formula against arithmetic done by hand, the weights' limits, and the words."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.errors import SettingError
from modiste.ranking.relevance import PRESETS, Weights, preset, sentence, terms

unit = st.floats(0, 1)
weight = st.floats(0, 10).filter(lambda value: value == 0 or value > 1e-3)


def one(weights, cosine=0.8, span=(0.2, 1.0), n=0.3, tau=0.7, similarity=0.8, km=None):
    found = terms(
        weights,
        cosine=np.array([cosine]),
        span=span,
        normpop=np.array([n]),
        trendiness=tau,
        similarity=np.array([similarity]),
        distance_km=None if km is None else np.array([km]),
    )
    return [float(term[0]) for term in found]


def test_the_formula_by_hand():
    assert one(Weights(0.5, 0.25, 0.25)) == pytest.approx([0.4, 0.25 * (1 - 0.16), 0.2, 0])


def test_min_max_scaling_stretches_the_cosine_over_its_span():
    assert one(PRESETS["paper"]) == pytest.approx([0.4 * 0.75, 0.2 * (1 - 0.16), 0, 0])


def test_equal_cosines_say_nothing_under_min_max_scaling():
    assert one(PRESETS["paper"], span=(0.8, 0.8))[0] == 0


def test_a_penalty_of_four_forgives_small_gaps():
    assert one(Weights(0, 1, 0, penalty=4))[1] == pytest.approx(1 - 0.4**4)


def test_a_store_ten_kilometres_away_is_worth_a_third_of_one_next_door():
    near, far, nowhere = (one(Weights(0, 1, 0, distance=0.5), km=km)[3] for km in (0.0, 10.0, math.nan))
    assert (near, far, nowhere) == pytest.approx((0.5, 0.5 / math.e, 0))


def test_what_the_query_lacks_counts_nothing():
    found = terms(Weights(1, 1, 1), cosine=None, span=(0, 0), normpop=np.array([0.5]), trendiness=0.5, similarity=None)
    assert found.relevance == pytest.approx([1.0])
    assert found.visual == found.category == found.distance == [0.0]


@given(unit, unit, st.integers(1, 8), weight)
def test_popularity_is_worth_most_where_it_equals_trendiness(n, tau, half, beta):
    weights = Weights(1, beta, 0, penalty=2 * half)
    assert 0 <= one(weights, n=n, tau=tau)[1] <= one(weights, n=tau, tau=tau)[1] == pytest.approx(beta)


@given(unit, unit, unit, unit, st.floats(-1, 1))
def test_float32_agrees_with_float64(n, tau, similarity, km, cosine):
    weights = Weights(0.5, 0.3, 0.2, penalty=4, distance=0.1)
    arguments = {"cosine": [cosine], "normpop": [n], "similarity": [similarity], "distance_km": [km]}
    exact, rough = (
        terms(weights, span=(0, 0), trendiness=tau, **{k: np.array(v, kind) for k, v in arguments.items()})
        for kind in (np.float64, np.float32)
    )
    assert rough.relevance.dtype == np.float32
    assert rough.relevance == pytest.approx(exact.relevance, abs=1e-6)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, "much", None, True])
@pytest.mark.parametrize("name", ["alpha", "beta", "gamma", "distance"])
def test_a_weight_that_is_no_weight_is_refused_by_name(name, bad):
    with pytest.raises(SettingError, match=name):
        Weights(**{"alpha": 1.0, "beta": 1.0, "gamma": 1.0, name: bad})


@pytest.mark.parametrize("penalty", [1, 3, 0, -2, 2.5, math.nan, math.inf, "2", True])
def test_a_penalty_must_be_a_positive_even_integer(penalty):
    with pytest.raises(SettingError, match="positive even integer"):
        Weights(1, 1, 1, penalty=penalty)


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(SettingError, match="every weight is 0"):
        Weights(0, 0, 0)


def test_an_unknown_scaling_is_refused():
    with pytest.raises(SettingError, match="choose 'none' or 'minmax'"):
        Weights(1, 1, 1, scaling="zscore")


def test_the_presets_are_the_plan_s():
    assert preset("paper") == Weights(0.4, 0.2, 0, 2, "minmax")
    assert preset("visual") == Weights(1, 0, 0)
    assert preset("balanced") == Weights(0.5, 0.25, 0.25, 2, "minmax")
    with pytest.raises(SettingError, match="balanced, paper, visual"):
        preset("popular")


BALANCED = Weights(0.5, 0.25, 0.25)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"visual": 0.48, "popularity": 0.25, "category": 0.25, "trendiness": 0.9},
            "It looks very much like your jeans, is the same kind of garment and is as popular as you like things.",
        ),
        (
            {"visual": 0.1, "popularity": 0.249, "category": 0.2, "trendiness": 0.1},
            "It is of a kind close to your jeans and is as unusual as you like things.",
        ),
        ({"visual": 0.35, "popularity": 0.1, "category": 0.0, "trendiness": 0.5}, "It looks like your jeans."),
        ({"visual": 0.1, "popularity": 0.1, "category": 0.1, "trendiness": 0.5}, "It goes with your jeans."),
        ({"visual": 0, "popularity": 0, "category": 0, "trendiness": 0.5}, "It is the nearest we have to your jeans."),
    ],
)
def test_a_recommendation_is_explained_in_a_sentence(parts, said):
    assert sentence(BALANCED, **parts, cause="your jeans") == said


def test_the_sentence_names_a_near_store_when_nearness_counts():
    weights = Weights(0, 1, 0, distance=1)
    said = sentence(weights, visual=0, popularity=0, category=0, distance=0.9, trendiness=0.5, distance_km=1.04)
    assert said == "It is sold 1.0 km from you."
