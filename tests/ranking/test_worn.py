"""What is worn together, against the formula written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.arrays import Floats
from modiste.ranking.worn import Worn


def unit(rows: int, rng: np.random.Generator) -> np.ndarray:
    """Looks and colours, each of unit length, of things that are rather alike."""
    looks, colours = rng.normal(1, 0.3, (rows, 5)), np.abs(rng.normal(1, 0.3, (rows, 4)))
    parts = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (looks, colours)]
    return np.hstack(parts).astype(np.float32)


def lift(worn: Worn, asked: np.ndarray, own: int, other: np.ndarray, label: int) -> float:
    """That of one garment, pair by pair."""
    told, mass, near, many = 0.0, 0.0, 0.0, 0
    for photo, theirs, vector in zip(worn.photo, worn.label, worn.vectors.astype(float), strict=True):
        if theirs != label:
            continue
        alike = np.exp((vector @ other - 2) / 0.15)
        near, many = near + alike, many + 1
        for same, one, beside in zip(worn.photo, worn.label, worn.vectors.astype(float), strict=True):
            if same == photo and one == own:
                weight = np.exp((beside @ asked - 2) / 0.1)
                told, mass = told + weight * alike, mass + weight
    return float(np.log((told + near / many) / (mass + 1)) - np.log(near / many)) if mass else 0.0


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_it_is_how_much_denser_than_elsewhere_what_is_worn_with_the_like_lies(seed: int, garments: int) -> None:
    rng = np.random.default_rng(seed)
    worn = Worn(rng.integers(0, 9, garments), rng.integers(1, 5, garments), unit(garments, rng))
    [asked, *others] = unit(6, rng)
    found, told = worn.suits(asked, {1}, np.array(others), {2})
    expected: Floats = np.array([lift(worn, asked.astype(float), 1, one.astype(float), 2) for one in others])
    assert found == pytest.approx(expected, abs=1e-4)
    for row in told.tolist():
        beside = worn.label[worn.photo == worn.photo[row]].tolist()
        assert row == -1 or (worn.label[row] == 2 and 1 in beside)


def test_what_is_worn_with_the_like_comes_before_what_is_worn_with_other_things() -> None:
    red, blue, jeans, skirt = np.eye(4, dtype=np.float32)
    look = np.array([jeans, red, jeans, red, skirt, blue, skirt, blue])
    worn = Worn(np.repeat(np.arange(4), 2), np.array([1, 2] * 4), np.hstack([look, look]))
    asked, others = np.hstack([jeans, jeans]), np.hstack([[red, blue], [red, blue]])
    (with_red, with_blue), told = worn.suits(asked, {1}, others, {2})
    assert with_red > np.log(1.5) > 0 > with_blue
    assert told[0] in (1, 3)
    assert worn.suits(asked, {1}, others, {3})[0].tolist() == [0, 0], "nothing of the kind is worn on any photo"
