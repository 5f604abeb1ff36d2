"""A garment's colours: what they are called, and which are alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.vision.colour import COLOUR_DIM, COLOURS, SHADES, colour_of, colour_words


def flat(*rgb: int, light: float = 1.0) -> np.ndarray:
    return np.full((8, 8, 3), np.array(rgb) * light, np.uint8)


def striped(one: tuple[int, ...], other: tuple[int, ...]) -> np.ndarray:
    photo = np.empty((60, 60, 3), np.uint8)
    photo[::2], photo[1::2] = one, other
    return photo


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(colour_of(one) @ colour_of(other))


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=30))
def test_a_colour_is_a_unit_vector_without_a_negative_and_like_itself(pixels: list[tuple[int, int, int]]) -> None:
    vector = colour_of(np.array(pixels, np.uint8)[None])
    assert vector.shape == (COLOUR_DIM,) == (len(SHADES),)
    assert vector.dtype == np.float32
    assert vector.min() >= 0
    assert vector @ vector == pytest.approx(1, abs=1e-5)
    assert colour_words(vector)


def test_colours_of_other_numbers_have_another_name() -> None:
    photo = np.array([[(200, 40, 40), (40, 60, 190), (240, 240, 240), (90, 120, 80)]], np.uint8)
    vector = colour_of(photo)
    found = {SHADES[place]: round(float(vector[place]), 3) for place in np.argsort(-vector)[:4].tolist()}
    known = {"grey green": 0.491, "red": 0.458, "royal blue": 0.425, "white": 0.399}
    assert (COLOURS, found) == ("72618625", known), (
        "only shades, constants or _FORM change COLOURS; both change at once"
    )


@pytest.mark.parametrize(
    ("rgb", "words"),
    [
        ((250, 250, 250), "white"),
        ((12, 12, 12), "black"),
        ((168, 227, 198), "mint green"),
        ((25, 30, 65), "navy"),
        ((205, 30, 40), "red"),
        ((244, 214, 60), "yellow"),
    ],
)
def test_colours_have_the_words_that_shoppers_use(rgb: tuple[int, ...], words: str) -> None:
    assert colour_words(colour_of(flat(*rgb))) == words


def test_a_striped_garment_has_both_its_colours_and_is_half_like_each() -> None:
    stripes = striped((20, 25, 50), (250, 250, 250))
    assert set(colour_words(colour_of(stripes)).split(" and ")) == {"navy", "white"}
    for one in (flat(20, 25, 50), flat(250, 250, 250)):
        assert 0.6 < alike(stripes, one) < 0.8


def test_less_light_is_less_of_a_difference_than_another_colour() -> None:
    mint = flat(168, 227, 198)
    assert alike(mint, flat(168, 227, 198, light=0.85)) > alike(mint, flat(163, 198, 234)) + 0.2


def test_only_the_kept_pixels_count_and_there_must_be_some() -> None:
    photo = striped((200, 32, 43), (250, 250, 250))
    keep = np.zeros((60, 60), bool)
    keep[::2] = True
    assert colour_words(colour_of(photo, keep)) == "red"
    with pytest.raises(ValueError, match="no pixel"):
        colour_of(photo, np.zeros((60, 60), bool))
