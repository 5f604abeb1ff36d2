"""Counts, decay and normalisation by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modiste.behaviour.popularity import RunningCounts, decayed_counts, normalise
from modiste.errors import SettingError

few_counts = arrays(np.float64, st.integers(1, 8), elements=st.integers(0, 3).map(float))


def test_counts_are_stretched_between_the_least_and_the_most_bought():
    assert normalise(np.array([5.0, 10.0, 25.0])).tolist() == [0, 0.25, 1]


@pytest.mark.parametrize("counts", [np.full(3, 7.0), np.zeros(1), np.zeros(0)])
def test_where_all_counts_are_equal_nothing_is_popular(counts):
    assert normalise(counts).tolist() == [0.0] * len(counts)


@given(arrays(np.float64, st.integers(2, 30), elements=st.floats(0, 1e9)))
def test_normalised_popularity_lies_in_its_range_and_keeps_the_order(counts):
    n = normalise(counts)
    assert n.min() == 0
    assert n.max() in (0, 1)
    assert (np.diff(n[np.argsort(counts)]) >= 0).all()


def test_a_purchase_is_worth_half_after_a_half_life():
    counts = decayed_counts(np.array([0, 0, 2]), np.array([0.0, 30, 60]), 30, np.array([0.0, 4, 1]))
    assert counts.tolist() == [1.5, 4, 1.25]


def test_without_a_half_life_purchases_only_add_up():
    assert decayed_counts(np.array([1, 1]), np.array([0.0, 1e6]), None, np.zeros(3)).tolist() == [0, 2, 0]


def test_purchases_of_a_day_are_counted_together():
    rows, days, bought = np.array([0, 1, 1]), np.array([30, 0, 30]), np.array([2, 3, 4])
    assert decayed_counts(rows, days, 30, np.zeros(2), bought).tolist() == [1, 5]
    assert decayed_counts(rows, days, None, np.zeros(2), bought).tolist() == [2, 7]


def test_no_purchases_leave_the_start_counts():
    assert decayed_counts(np.empty(0, np.int64), np.empty(0), 10, np.array([3.0, 1])).tolist() == [3, 1]


def test_a_purchase_in_the_future_is_worth_no_more_than_one_today():
    assert decayed_counts(np.array([0]), np.array([-10.0]), 5, np.zeros(1)).tolist() == [1]


@pytest.mark.parametrize("half_life", [0, -1, float("nan")])
def test_a_half_life_must_be_positive(half_life):
    with pytest.raises(SettingError, match="half-life"):
        decayed_counts(np.array([0]), np.array([1.0]), half_life, np.zeros(1))


@given(few_counts, st.lists(st.integers(0, 7), max_size=40))
def test_running_counts_know_the_normalised_popularity_at_every_moment(start, bought):
    running, counts = RunningCounts(start), start.copy()
    for row in (row % len(start) for row in bought):
        assert [running.normalised(one) for one in range(len(start))] == pytest.approx(normalise(counts).tolist())
        lowest = counts.min()
        counts[row] += 1
        assert running.add(row) == (counts.min() > lowest)
    assert (running.counts, running.low, running.high) == (counts.tolist(), counts.min(), counts.max())


def test_a_purchase_is_judged_by_the_popularity_just_before_it():
    def before(bought: list[int], start: list[float]) -> list[float]:
        running, shares = RunningCounts(np.array(start)), []
        for row in bought:
            shares.append(running.normalised(row))
            running.add(row)
        return shares

    # the counts before each are 0 1 4, 1 1 4, 1 1 5, 2 1 5 and 2 1 6
    assert before([0, 2, 0, 2, 2], [0.0, 1, 4]) == pytest.approx([0, 1, 0, 1, 1])
    # 0 1 2, 0 2 2, 1 2 2, 2 2 2 (all equal) and 2 3 2
    assert before([1, 0, 0, 1, 1], [0.0, 1, 2]) == pytest.approx([0.5, 0, 0, 0, 1])
