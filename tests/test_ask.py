"""How one may ask: every field has its range and its words, and the same name behind every door."""

import pytest
from pydantic import ValidationError

from modiste import Ask, Weights
from modiste.ask import SearchAsk
from modiste.errors import SettingError
from modiste.ranking.relevance import PRESETS

FIELDS = [
    "top", "preset", "alpha", "colour", "beta", "gamma", "distance", "together", "newness", "price", "penalty",
    "scaling", "trendiness", "gender", "age", "near",
    "within", "categories", "min_price", "max_price", "match", "sold_out", "exclude", "half_life", "space",
    "variety", "fallback", "tuning", "scenario",
]  # fmt: skip


def test_these_are_the_names_of_what_one_may_ask():
    assert list(Ask.model_fields) == FIELDS
    assert {*SearchAsk.model_fields} == {*FIELDS, "category"}
    assert all(about.description for about in SearchAsk.model_fields.values())


def test_the_presets_are_those_of_the_documents():
    assert PRESETS["paper"] == Weights(0.4, 0.2, 0.0, 2, "minmax")
    assert PRESETS["balanced"].formula == PRESETS["visual"].formula == "choice"
    assert {name: Ask(preset=name).weights for name in PRESETS} == PRESETS
    assert (Ask().weights, SearchAsk().weights) == (PRESETS["balanced"], PRESETS["visual"])
    assert (Ask().top, SearchAsk().top) == (5, 12)


def test_a_weight_is_taken_instead_of_the_preset_s():
    ask = Ask.of(preset="paper", alpha=0, gamma=0.5, distance=2, penalty=4, scaling="none")
    assert ask.weights == Weights(0.0, 0.2, 0.5, 4, "none", 2.0)


def test_a_position_is_two_numbers_or_their_text():
    for near in ((48.86, 2.35), [48.86, 2.35], "48.86,2.35"):
        assert Ask.of(near=near).position == (48.86, 2.35)
        assert Ask.of(near=near).near == "48.86,2.35"
    assert Ask.of(near="-33.9,151").position == (-33.9, 151.0)
    assert Ask().position is None
    assert Ask.of(near=None).position is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tops": 3}, "one can't ask for 'tops'; did you mean top?"),
        ({"halflife": 3}, "did you mean half_life?"),
        ({"where": 3}, "one can't ask for 'where'; there are: top, preset, alpha, "),
        ({"explain": True}, "can't ask for 'explain'"),
        ({"top": 0}, r"top: .*greater than or equal to 1 \(not 0\)"),
        ({"top": 1001}, "top: .*less than or equal to 1000"),
        ({"top": 2.5}, "top: .*integer"),
        ({"top": "five"}, r"top: .*integer.* \(not 'five'\)"),
        ({"preset": "lovely"}, "preset: .*'balanced', 'paper' or 'visual'"),
        ({"alpha": -1}, "alpha: .*greater than or equal to 0"),
        ({"alpha": float("nan")}, "alpha: .*finite"),
        ({"beta": float("inf")}, "beta: .*finite"),
        ({"penalty": 3}, "penalty: .*multiple of 2"),
        ({"penalty": 0}, "penalty: "),
        ({"scaling": "max"}, "scaling: .*'none' or 'minmax'"),
        ({"trendiness": 1.01}, "trendiness: .*less than or equal to 1"),
        ({"gender": "cats"}, "gender: 'cats' is not known; there are: men, women, any$"),
        ({"near": "here"}, "near: write it as latitude,longitude in degrees, such as 48.86,2.35"),
        ({"near": "95,2"}, "near: "),
        ({"near": (95, 2)}, "near: .*latitude"),
        ({"near": (1,)}, "near: "),
        ({"within": -1}, "within: "),
        ({"categories": "Denim"}, "categories: .*list"),
        ({"categories": [""]}, "categories.0: "),
        ({"min_price": -1}, "min_price: "),
        ({"max_price": float("nan")}, "max_price: .*finite"),
        ({"min_price": 3, "max_price": 2}, "min_price 3 is above max_price 2"),
        ({"match": "some"}, "match: .*'all' or 'any'"),
        ({"half_life": 0}, "half_life: .*greater than"),
        ({"space": ""}, "space: "),
        ({"preset": "paper", "alpha": 0, "beta": 0, "gamma": 0}, "every weight is 0"),
        ({"penalty": 4}, "penalty and scaling belong to the paper's formula"),
        ({"scaling": "none", "preset": "visual"}, "penalty and scaling belong to the paper's formula"),
        ({"colour": 1, "preset": "paper"}, "the paper's formula has no term for colour"),
        ({"age": "old"}, "age: 'old' is not known; there are: adults, children, any$"),
        ({"top": 0, "match": "some"}, "top: .*; match: "),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(fields, words):
    with pytest.raises(SettingError, match=words):
        Ask.of(**fields)


def test_text_as_a_command_or_an_address_has_it_is_read_as_what_it_means():
    ask = Ask.of(
        preset="paper", top="3", alpha="0.5", penalty="4", trendiness="1", within="12.5", half_life="30", min_price="0"
    )
    assert ask == Ask(
        preset="paper", top=3, alpha=0.5, penalty=4, trendiness=1.0, within=12.5, half_life=30.0, min_price=0.0
    )


def test_an_ask_does_not_change_and_says_itself_as_json():
    ask = Ask.of(top=3, near=(48.86, 2.35), categories=["jeans"])
    with pytest.raises(ValidationError):
        ask.top = 4
    assert Ask.model_validate_json(ask.model_dump_json()) == ask


def test_a_search_may_name_the_garment_that_is_meant():
    assert SearchAsk.of(category="Dresses").category == "Dresses"
    with pytest.raises(SettingError, match="can't ask for 'category'; did you mean categories"):
        Ask.of(category="Dresses")
