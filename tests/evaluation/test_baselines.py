import numpy as np
import pytest

from modiste.evaluation.baselines import BASELINES, random_items, with_random_ties


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_obeys_the_rules_of_the_formula(name, six, bought):
    lists = BASELINES[name](six, bought.queries(gender_filter=True), 3, 0)
    for row, (items, shopper) in enumerate(zip(lists, bought.shopper, strict=True)):
        shown = items[items >= 0]
        owned = bought.item[bought.shopper == shopper]
        assert len(shown) == len(set(shown.tolist()))
        assert not set(shown.tolist()) & set(owned.tolist())
        assert set(six.gender[shown].tolist()) <= {bought.gender[row]}


def test_best_sellers_are_the_same_for_everybody_who_may_see_them(six, bought):
    lists = BASELINES["best sellers"](six, bought.queries(gender_filter=False), 2, 0)
    assert lists.tolist() == [[5, 4], [5, 4], [5, 4]]


def test_the_visual_baseline_finds_the_lookalike(six, bought):
    lists = BASELINES["visual only"](six, bought.queries(gender_filter=False), 1, 0)
    assert lists[:, 0].tolist() == [1, 3, 0]


def test_the_category_baseline_stays_within_the_category_while_there_is_something_in_it(six, bought):
    lists = BASELINES["same category"](six, bought.queries(gender_filter=False), 2, 0)
    assert np.array_equal(six.category[lists], [[0, 0], [1, 1], [0, 0]])


def test_random_items_are_uniform_and_seeded(six, bought):
    queries = bought.queries(gender_filter=False)
    assert np.array_equal(random_items(six, queries, 2, 5), random_items(six, queries, 2, 5))
    drawn = np.concatenate([random_items(six, queries, 1, seed)[2] for seed in range(2000)])
    assert np.bincount(drawn, minlength=6)[[0, 2, 3, 4, 5]] == pytest.approx(np.full(5, 400), abs=75)


def test_random_ties_keep_the_items_and_change_their_order(six):
    orders = {tuple(np.argsort(with_random_ties(six, seed).item_ids).tolist()) for seed in range(20)}
    assert len(orders) > 10
    assert all(sorted(order) == list(range(6)) for order in orders)
