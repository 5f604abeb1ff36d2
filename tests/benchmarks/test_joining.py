"""Ways of joining what many purchases say, and the likenesses they are compared by."""

import numpy as np
import pytest

from benchmarks.joining import BEST, TRUTHS, WAYS, together

ALIKE = np.random.default_rng(1).uniform(-0.5, 1.0, (4, 30))
BEFORE = np.array([400.0, 100.0, 5.0, 0.0])


@pytest.mark.parametrize("name", WAYS)
def test_of_one_purchase_every_way_says_what_it_says(name):
    assert WAYS[name](ALIKE[:1], np.zeros(1)) == pytest.approx(ALIKE[0])


def test_log_sum_exp_lies_between_the_mean_and_the_best_and_nearer_to_this_the_sharper_it_is():
    names = ["the mean", *(f"log-sum-exp, {sharp} times" for sharp in (2, 3, 5, 10)), BEST]
    found = np.stack([WAYS[name](ALIKE, BEFORE) for name in names])
    assert (np.diff(found, axis=0) > 0).all()
    assert set(TRUTHS) < set(WAYS)


def test_the_shorter_the_half_life_the_more_the_last_purchase_says():
    means = [WAYS[f"the mean, half after {days} days"](ALIKE, BEFORE) for days in (365, 90, 30)]
    away = [float(np.abs(one - WAYS["the last"](ALIKE, BEFORE)).mean()) for one in means]
    assert away == sorted(away, reverse=True)


def test_what_the_same_people_take_is_alike():
    people = np.repeat(np.arange(40), 3)  # even people take of the items 0 to 3, odd ones of 4 to 7; 8 has no company
    rng = np.random.default_rng(2)
    items = np.concatenate([4 * (one % 2) + rng.permutation(4)[:3] for one in range(40)])
    vectors = together(np.append(people, 99), np.append(items, 8), 9, dims=2)
    likeness = vectors @ vectors.T
    assert (likeness[:4, :4] > 0.9).all()
    assert (np.abs(likeness[:4, 4:8]) < 0.1).all()
    assert not vectors[8].any()
