import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.behaviour.popularity import RunningCounts, decayed_counts, normalise, popularity_at_purchase
from modiste.errors import SettingError

COUNTS = st.lists(st.integers(0, 4) | st.floats(0, 100), min_size=1, max_size=12)


def test_the_least_bought_item_is_0_and_the_most_bought_1():
    assert normalise(np.array([2.0, 4.0, 10.0])).tolist() == [0.0, 0.25, 1.0]


@pytest.mark.parametrize("counts", [[], [3.0], [7.0, 7.0, 7.0]])
def test_where_nothing_is_more_popular_than_the_rest_everything_is_0(counts):
    assert normalise(np.array(counts)).tolist() == [0.0] * len(counts)


@given(COUNTS)
def test_normalising_keeps_the_order_and_stays_within_0_and_1(counts):
    values = np.array(counts, float)
    found = normalise(values)
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.all(np.diff(found[np.argsort(values)]) >= 0)


def test_a_purchase_is_worth_half_after_each_half_life():
    rows, ages = np.array([0, 0, 0, 2]), np.array([0.0, 30.0, 60.0, 90.0])
    assert decayed_counts(rows, ages, 30, np.zeros(4)).tolist() == [1.75, 0.0, 0.125, 0.0]


def test_without_a_half_life_every_purchase_counts_1_and_the_start_never_decays():
    rows, ages, start = np.array([1, 1]), np.array([0.0, 4000.0]), np.array([5.0, 2.0])
    assert decayed_counts(rows, ages, None, start).tolist() == [5.0, 4.0]
    assert decayed_counts(rows[:0], ages[:0], 1, start).tolist() == [5.0, 2.0]


def test_a_purchase_in_the_future_is_worth_no_more_than_one_today():
    assert decayed_counts(np.array([0]), np.array([-10.0]), 5, np.zeros(1)).tolist() == [1.0]


@pytest.mark.parametrize("half_life", [0, -1, float("nan")])
def test_a_half_life_must_be_positive(half_life):
    with pytest.raises(SettingError, match="half-life"):
        decayed_counts(np.array([0]), np.array([1.0]), half_life, np.zeros(1))


@given(COUNTS, st.lists(st.integers(0, 11), max_size=60))
def test_running_counts_equal_those_computed_again_from_all_purchases(start, bought):
    running, counts = RunningCounts(np.array(start, float)), np.array(start, float)
    for row in (one % len(start) for one in bought):
        lowest = counts.min()
        counts[row] += 1
        assert running.add(row) == (counts.min() > lowest)
        assert running.counts == counts.tolist()
        assert [running.normalised(one) for one in range(len(start))] == normalise(counts).tolist()


def test_popularity_at_purchase_is_that_just_before_it():
    seen = popularity_at_purchase(np.array([0, 0, 1, 0]), np.array([0.0, 2.0, 0.0]))
    assert seen.tolist() == [0.0, 0.5, 1.0, 2 / 3]
