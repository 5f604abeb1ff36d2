"""A reduction keeps what varies, forgets the mean, and is stored without pickle."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.errors import SettingError
from modiste.vision.reduction import Reduction, fit_reduction


def blob(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, d)) * np.linspace(3, 0.1, d) + 5).astype(np.float32)


def test_points_on_a_line_become_their_sides_of_the_mean() -> None:
    direction = np.array([3, 4, 0], np.float32) / 5
    vectors = np.float32([[1], [2], [6]]) * direction + np.float32([7, 7, 7])
    reduction = fit_reduction(vectors, 1)
    assert reduction.components == pytest.approx(direction[None], abs=1e-6)
    assert reduction.apply(vectors) == pytest.approx(np.array([[-1], [-1], [1]]), abs=1e-6)


def test_components_are_the_strongest_orthonormal_directions() -> None:
    vectors = blob(500, 20)
    reduction = fit_reduction(vectors, 5)
    _, _, directions = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    assert np.abs(reduction.components @ directions[:5].T) == pytest.approx(np.eye(5), abs=1e-3)
    assert reduction.components @ reduction.components.T == pytest.approx(np.eye(5), abs=1e-5)


def test_the_sign_of_a_direction_is_that_of_its_largest_part() -> None:
    for seed in range(5):
        components = fit_reduction(blob(60, 9, seed), 9).components
        assert (components[np.arange(9), np.abs(components).argmax(1)] > 0).all()


@given(st.integers(0, 1000), st.integers(2, 12))
def test_all_directions_kept_leave_angles_around_the_mean_as_they_were(seed: int, d: int) -> None:
    vectors = blob(40, d, seed)
    centred = vectors - vectors.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    reduced = fit_reduction(vectors, d).apply(vectors)
    assert np.linalg.norm(reduced, axis=1) == pytest.approx(np.ones(40), abs=1e-5)
    assert reduced @ reduced.T == pytest.approx(centred @ centred.T, abs=1e-3)


def test_many_vectors_are_summed_in_parts_to_the_same_answer() -> None:
    vectors = blob(20_000, 4)
    expected = np.linalg.eigvalsh(np.cov(vectors.T))[::-1]
    along = (vectors - vectors.mean(0)) @ fit_reduction(vectors, 4).components.T
    assert along.var(0, ddof=1) == pytest.approx(expected, rel=1e-3)


def test_no_more_directions_than_the_vectors_span() -> None:
    assert fit_reduction(blob(3, 10), 128).components.shape == (2, 10)
    assert fit_reduction(blob(300, 10), 128).components.shape == (10, 10)
    with pytest.raises(SettingError, match="two vectors or more"):
        fit_reduction(blob(1, 10))


def test_the_mean_itself_has_no_direction() -> None:
    reduction = Reduction(np.float32([1, 2]), np.eye(2, dtype=np.float32))
    assert reduction.apply(np.float32([[1, 2]])).tolist() == [[0, 0]]


def test_stored_and_read_again_it_is_the_same() -> None:
    reduction = fit_reduction(blob(50, 8), 3)
    again = Reduction.from_bytes(reduction.to_bytes())
    assert np.array_equal(again.mean, reduction.mean)
    assert np.array_equal(again.components, reduction.components)


def test_bytes_that_hold_objects_are_refused() -> None:
    buffer = BytesIO()
    np.save(buffer, np.array([{"run": "me"}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Reduction.from_bytes(buffer.getvalue())
