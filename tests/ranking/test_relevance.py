"""The formula against arithmetic done by hand, the weights' limits, and the words."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.errors import SettingError
from modiste.ranking.relevance import PRESETS, Scale, Terms, Weights, sentence, terms

unit = st.floats(0, 1)
weight = st.floats(0, 10).filter(lambda value: value == 0 or value > 1e-3)


def one(weights, cosine=0.8, span=(0.2, 1.0), n=0.3, tau=0.7, similarity=0.8, km=None, **more):
    found = terms(
        weights,
        look=np.array([cosine]),
        span=span,
        popularity=np.array([n]),
        trendiness=tau,
        similarity=np.array([similarity]),
        distance_km=None if km is None else np.array([km]),
        **more,
    )
    return Terms(*(float(term[0]) for term in found))


def test_the_formula_by_hand():
    assert one(Weights(0.5, 0.25, 0.25)) == pytest.approx([0.4, 0, 0.25 * (1 - 0.16), 0.2, 0, 0, 0, 0, 0, 0, 0])


def test_the_choice_formula_by_hand():
    weights = Weights(2, 0.5, 1, colour=3, together=4, price=6, other=2, formula="choice")
    scales = (Scale(0.2, 0.7), Scale(0.5, 0.9))
    more = {"colour": np.array([0.7]), "together": np.array([0.25]), "other": np.array([1.0]), "price": np.array([0.5]),
            "worn": np.array([0.4])}  # fmt: skip
    found = one(weights, n=2.0, ends=(0.0, 5.0), scales=scales, **more)
    assert found == pytest.approx(
        [2 * 0.6 / 0.5, 3 * 0.5, 0.5 * (3 * 0.7 - 1) * 2, 0.8, 0, 1, 1.5 * 3 * 0.4, 0, 3, -2, 0]
    )
    assert one(PRESETS["paper"], other=np.array([1.0])).gender == 0


def test_somebody_who_avoids_what_sells_is_given_points_for_what_does_not():
    weights = Weights(0, 1, 0, formula="choice")
    assert [one(weights, n=n, ends=(0.0, 5.0), tau=0.0).popularity for n in (0.0, 2.0, 5.0)] == pytest.approx([5, 3, 0])
    assert [one(weights, n=n, ends=(0.0, 5.0), tau=1 / 3).popularity for n in (0.0, 5.0)] == pytest.approx([0, 0])


def test_another_colour_is_worth_most_where_the_colours_are_those_of_strangers():
    weights = Weights(0, 0, 0, colour=-2, formula="choice")
    found = [one(weights, colour=np.array([c]), scales=(Scale(), Scale(0.5, 0.9))).colour for c in (0.5, 0.7, 0.9)]
    assert found == pytest.approx([2, 1, 0])


def test_min_max_scaling_stretches_the_cosine_over_its_span():
    assert one(PRESETS["paper"]) == pytest.approx([0.4 * 0.75, 0, 0.2 * (1 - 0.16), 0, 0, 0, 0, 0, 0, 0, 0])


def test_equal_cosines_say_nothing_under_min_max_scaling():
    assert one(PRESETS["paper"], span=(0.8, 0.8)).look == 0


def test_a_penalty_of_four_forgives_small_gaps():
    assert one(Weights(0, 1, 0, penalty=4)).popularity == pytest.approx(1 - 0.4**4)


def test_a_store_ten_kilometres_away_is_worth_a_third_of_one_next_door():
    near, far, nowhere = (one(Weights(0, 1, 0, distance=0.5), km=km).distance for km in (0.0, 10.0, math.nan))
    assert (near, far, nowhere) == pytest.approx((0.5, 0.5 / math.e, 0))


def test_what_the_query_lacks_counts_nothing():
    found = terms(Weights(1, 1, 1), look=None, popularity=np.array([0.5]), trendiness=0.5, similarity=None)
    assert found.relevance == pytest.approx([1.0])
    assert found.look == found.category == found.distance == [0.0]


@given(unit, unit, st.integers(1, 8), weight)
def test_popularity_is_worth_most_where_it_equals_trendiness(n, tau, half, beta):
    weights = Weights(1, beta, 0, penalty=2 * half)
    assert 0 <= one(weights, n=n, tau=tau).popularity <= one(weights, n=tau, tau=tau).popularity == pytest.approx(beta)


@given(unit, unit, unit, unit, st.floats(-1, 1))
def test_float32_agrees_with_float64(n, tau, similarity, km, cosine):
    weights = Weights(0.5, 0.3, 0.2, penalty=4, distance=0.1)
    arguments = {"look": [cosine], "popularity": [n], "similarity": [similarity], "distance_km": [km]}
    exact, rough = (
        terms(weights, span=(0, 0), trendiness=tau, **{k: np.array(v, kind) for k, v in arguments.items()})
        for kind in (np.float64, np.float32)
    )
    assert rough.relevance.dtype == np.float32
    assert rough.relevance == pytest.approx(exact.relevance, abs=1e-6)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, "much", None, True])
@pytest.mark.parametrize("name", ["alpha", "beta", "gamma", "distance", "together"])
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
    assert PRESETS["paper"] == Weights(0.4, 0.2, 0, 2, "minmax")
    assert PRESETS["visual"].beta == PRESETS["visual"].gamma == 0
    assert PRESETS["balanced"].formula == PRESETS["visual"].formula == "choice"


@pytest.mark.parametrize("name", ["colour", "together"])
def test_the_papers_formula_has_no_term_that_it_has_not(name):
    with pytest.raises(SettingError, match=name):
        Weights(1, 1, 1, **{name: 1.0})


def test_scaling_belongs_to_the_papers_formula():
    with pytest.raises(SettingError, match="scaling"):
        Weights(1, 1, 1, scaling="minmax", formula="choice")


BALANCED = Weights(0.5, 0.25, 0.25)
CHOICE = Weights(2, 0.5, 1, colour=1, together=1, formula="choice")
NOTHING = Terms(*[0.0] * len(Terms._fields))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"look": 0.48, "popularity": 0.25, "category": 0.25, "trendiness": 0.9},
            "It looks very much like your jeans, is the same kind of garment and is as popular as you like things.",
        ),
        (
            {"look": 0.1, "popularity": 0.249, "category": 0.2, "trendiness": 0.1},
            "It is of a kind close to your jeans and is as unusual as you like things.",
        ),
        ({"look": 0.35, "popularity": 0.1, "category": 0.0, "trendiness": 0.5}, "It looks like your jeans."),
        ({"look": 0.1, "popularity": 0.1, "category": 0.1, "trendiness": 0.5}, "It goes with your jeans."),
        ({"look": 0, "popularity": 0, "category": 0, "trendiness": 0.5}, "It is the nearest we have to your jeans."),
    ],
)
def test_a_recommendation_is_explained_in_a_sentence(parts, said):
    trendiness = parts.pop("trendiness")
    shown = NOTHING._replace(**parts)._asdict()
    assert sentence(BALANCED, shown, trendiness=trendiness, peak=1.0, cause="your jeans") == said


@pytest.mark.parametrize(
    ("parts", "trendiness", "said"),
    [
        ({"look": 1.9, "colour": 0.95}, 0.5, "It looks very much like your jeans and is the same navy."),
        ({"look": 1.3, "colour": 0.7, "together": 0.1}, 0.5, "It looks like your jeans, is of a similar colour and is "
         "often bought by those who buy what you did."),
        ({"category": 1.0, "popularity": 0.5 * 0.5 * 4}, 0.5, "It is the same kind of garment as your jeans and is "
         "bought a lot just now."),
        ({"category": 1.0, "popularity": 0.5 * 1 * 4}, 0.0, "It is the same kind of garment as your jeans and is "
         "rarely bought, as you like it."),
        ({"category": 1.0, "popularity": 0.0}, 1 / 3, "It is the same kind of garment as your jeans."),
    ],
)  # fmt: skip
def test_a_choice_is_explained_in_a_sentence(parts, trendiness, said):
    shown = NOTHING._replace(**parts)._asdict()
    assert sentence(CHOICE, shown, trendiness=trendiness, peak=5.0, colour="navy", cause="your jeans") == said


@pytest.mark.parametrize(
    ("weights", "habitual", "said"),
    [
        (CHOICE, False, "It looks very much like your jeans and costs about the same."),
        (CHOICE, True, "It looks very much like your jeans and costs about what you usually pay."),
        (Weights(0, 0, 0, price=1, formula="choice"), False, "It costs about as much as your jeans."),
    ],
)
def test_a_price_that_is_about_the_same_is_told(weights, habitual, said):
    shown = NOTHING._replace(look=2.0, price=0.5)._asdict()
    told = {"trendiness": None, "habitual": habitual, "cause": "your jeans"}
    assert sentence(weights, shown, priced=True, **told) == said
    assert "costs" not in sentence(weights, shown, **told)


def test_where_nothing_has_sold_no_sentence_speaks_of_popularity():
    assert "bought" not in sentence(CHOICE, NOTHING._replace(look=2.0)._asdict(), trendiness=1.0, cause="your jeans")


def test_the_sentence_names_a_near_store_when_nearness_counts():
    weights = Weights(0, 1, 0, distance=1)
    said = sentence(weights, NOTHING._replace(distance=0.9)._asdict(), trendiness=0.5, distance_km=1.04)
    assert said == "It is sold 1.0 km from you."
