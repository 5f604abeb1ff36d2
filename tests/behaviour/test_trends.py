"""Whether something rises or falls by more than chance."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.behaviour.trends import chances


def fisher(a: int, b: int, recent: int, earlier: int) -> float:
    """Fisher's exact test, two-sided, by whole numbers."""
    weights = {k: comb(recent, k) * comb(earlier, a + b - k) for k in range(a + b + 1)}
    total = sum(weights.values())
    return sum(weight for weight in weights.values() if weight <= weights[a]) / total


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6))
def test_chances_are_those_of_fishers_exact_test_corrected_for_how_many_there_are(counts):
    now, before = (np.array(one) for one in zip(*counts, strict=True))
    exact = [fisher(a, b, int(now.sum()), int(before.sum())) for a, b in counts]
    order = np.argsort(exact, kind="stable")
    wanted = np.empty(len(exact))
    for rank, place in enumerate(order):
        wanted[place] = min(
            1, *(exact[other] * len(exact) / (rank + 1 + more) for more, other in enumerate(order[rank:]))
        )
    assert chances(now, before) == pytest.approx(wanted)


def test_a_better_week_for_all_is_news_of_none():
    before = np.array([10, 20, 40, 80])
    assert chances(3 * before, before).min() > 0.9
    rising = chances(np.array([45, 20, 40, 80]), before)
    assert rising[0] < 0.001
    assert rising[1:].min() > 0.05


def test_where_nothing_changed_hardly_ever_something_is_told():
    rng = np.random.default_rng(1)
    share = rng.dirichlet(np.full(300, 0.3))
    told = [chances(rng.multinomial(2000, share), rng.multinomial(1500, share)).min() <= 0.05 for _ in range(200)]
    assert np.mean(told) <= 0.08


def test_nothing_sold_is_no_news():
    assert chances(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
    assert chances(np.array([0, 3]), np.array([0, 0])).tolist() == [1, 1]
