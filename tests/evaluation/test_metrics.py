import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modiste.errors import SettingError
from modiste.evaluation.metrics import category_similarity, gender_alignment, measure, popularity_error

POINTS = st.lists(st.floats(0, 100), min_size=1, max_size=40)


def test_category_similarity_is_the_matrix_in_percent_and_nothing_for_an_item_without_a_category():
    matrix = np.array([[1.0, 0.8], [0.8, 1.0]])
    points = category_similarity(matrix, np.array([0, 0, 1, -1]), np.array([0, 1, -1, -1]))
    assert points.tolist() == [100.0, 80.0, 0.0, 0.0]


def test_gender_alignment_judges_only_known_genders():
    shopper, found = np.array([1, 1, 2, 0, 2], np.int8), np.array([1, 2, 2, 1, 0], np.int8)
    assert np.array_equal(gender_alignment(shopper, found), [100, 0, 100, np.nan, np.nan], equal_nan=True)


def test_popularity_error_is_the_distance_to_the_trendiness_in_points():
    assert popularity_error(np.array([0.2, 1.0]), np.array([0.5, 1.0])) == pytest.approx([30.0, 0.0])


def test_a_measure_weighs_every_recommendation_the_same():
    one = measure(np.array([0.0, 0.0, 0.0, 100.0]), np.array([7, 7, 7, 9]))
    assert (one.mean, one.n, one.shoppers) == (25.0, 4, 2)


def test_a_measure_of_nothing_is_not_a_number_and_says_so():
    nothing = measure(np.array([np.nan, np.nan]), np.array([0, 1]))
    assert np.isnan(nothing.mean)
    assert (nothing.n, nothing.shoppers) == (0, 0)


def test_what_cannot_be_judged_does_not_count():
    one = measure(np.array([100.0, np.nan, 0.0]), np.array([0, 0, 1]))
    assert (one.mean, one.n) == (50.0, 2)


def test_points_and_shoppers_must_belong_together():
    with pytest.raises(SettingError, match="2 points but 3 shoppers"):
        measure(np.zeros(2), np.zeros(3, int))


@settings(deadline=None)
@given(POINTS, st.integers(0, 5))
def test_the_interval_lies_within_the_points_and_is_the_same_for_the_same_seed(points, seed):
    values, shopper = np.array(points), np.arange(len(points)) % 7
    one = measure(values, shopper, seed, resamples=200)
    assert one == measure(values, shopper, seed, resamples=200)
    assert min(points) - 1e-9 <= one.low <= one.high <= max(points) + 1e-9


@settings(deadline=None)
@given(POINTS)
def test_how_shoppers_are_numbered_changes_nothing(points):
    values, shopper = np.array(points), np.arange(len(points)) // 3
    assert measure(values, shopper, 1, 100) == measure(values, 1000 + 17 * shopper, 1, 100)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """60 shoppers with five recommendations each, which share their shopper's level: the truth is 50."""
    rng = np.random.default_rng(11)
    shopper = np.repeat(np.arange(60), 5)
    covered = naive = 0
    for trial in range(300):
        values = 50 + rng.normal(0, 10, 60)[shopper] + rng.normal(0, 3, 300)
        by_shopper = measure(values, shopper, trial, resamples=300)
        by_row = measure(values, np.arange(300), trial, resamples=300)
        covered += by_shopper.low <= 50 <= by_shopper.high
        naive += by_row.low <= 50 <= by_row.high
    assert 0.90 <= covered / 300 <= 0.98
    assert naive / 300 < 0.75  # resampling single recommendations would promise too much
