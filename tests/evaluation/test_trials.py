from dataclasses import replace

import numpy as np
import pytest

from modiste.evaluation.trials import Purchases, judge, judge_ties, random_ties, trial
from modiste.ranking.relevance import Weights
from modiste.ranking.topk import rank

POPULARITY = Weights(0.0, 1.0, 0.0)


def test_lists_judged_by_hand(six, bought):
    lists = np.array([[1, 4], [3, -1], [5, 0]])  # a→b,e  c→d  b→f,a
    measures = judge(six, bought, lists, seed=0)
    assert measures["category"].mean == pytest.approx((100 + 100 + 100 + 40 + 100) / 5)
    assert measures["mae"].mean == pytest.approx((30 + 30 + 10 + 0 + 100) / 5)
    assert measures["gender"].mean == pytest.approx(100 * 2 / 5)  # e for the man, f for the woman
    assert {one.n for one in measures.values()} == {5}
    assert {one.shoppers for one in measures.values()} == {2}


def test_the_authors_comparison_is_always_100_because_it_looks_at_what_was_bought(six, bought):
    wrong = np.array([[1, 3], [5, 1], [0, 2]])  # women's for the man, men's for the woman
    measures = judge(six, bought, wrong, seed=0)
    assert measures["gender"].mean == 0.0
    assert measures["gender_authors"].mean == 100.0


def test_a_trial_reports_gender_with_and_without_the_filter(six, bought):
    measures = trial(six, bought, POPULARITY, top=2, seed=0)
    assert measures["gender"].mean == 100.0
    # without it: τ .5, neither a nor c again → d, b (gap .1, .3) twice, women's; τ 1, not b → f, e: one of two
    assert measures["gender_unfiltered"].mean == pytest.approx(100 * 1 / 6)
    assert "gender_authors" not in measures
    assert trial(six, bought, POPULARITY, 2, 0, authors=True)["gender_authors"].mean == 100.0


def test_the_first_known_purchase_sets_a_shoppers_gender():
    item_gender = np.array([0, 1, 2], np.int8)
    purchases = Purchases.of(np.array([0, 1, 2, 0]), np.array([3, 3, 3, 1]), np.full(4, 0.5), item_gender)
    assert purchases.gender.tolist() == [1, 1, 1, 0]


def test_buying_the_same_again_asks_once_and_keeps_the_order():
    purchases = Purchases.of(np.array([2, 1, 2, 2]), np.array([0, 0, 0, 1]), np.zeros(4), np.ones(3, np.int8))
    assert list(zip(purchases.shopper, purchases.item, strict=True)) == [(0, 2), (0, 1), (1, 2)]


def test_every_query_excludes_all_that_its_shopper_bought_and_nothing_of_others(bought):
    excluded = bought.queries(gender_filter=True).excluded
    assert [sorted(one.tolist()) for one in excluded] == [[0, 2], [0, 2], [1]]


def test_without_ties_a_random_tie_break_changes_nothing(six, bought):
    queries = bought.queries(gender_filter=False)
    exact = rank(six, queries, POPULARITY, 3).items
    first_two = exact[2:]  # τ 1: popularity alone orders them; τ .5 has pairs as far above as below
    for lists in random_ties(six, queries, POPULARITY, 3, draws=5, seed=0):
        assert np.array_equal(lists[2:], first_two)


def test_tied_items_are_drawn_equally_often_however_many_they_are(six, bought):
    flat = replace(six, normpop=np.full(6, 0.5))
    queries = bought.queries(gender_filter=False)
    drawn = np.stack(list(random_ties(flat, queries, POPULARITY, 1, draws=4000, seed=3)))[:, 2, 0]
    counts = np.bincount(drawn, minlength=6)
    assert counts[1] == 0  # bought
    assert counts[[0, 2, 3, 4, 5]] == pytest.approx(np.full(5, 800), abs=110)  # about 4 standard deviations


def test_the_expectation_over_ties_is_the_mean_of_the_tied_and_its_spread_their_range(six, bought):
    flat = replace(six, normpop=np.full(6, 0.5))
    woman = bought.where(bought.shopper == 1)
    measures, spreads = judge_ties(flat, woman.queries(gender_filter=False), woman, POPULARITY, 1, 4000, seed=0)
    # she bought b; a and e are of its kind, c, d and f are not
    assert measures["category"].mean == pytest.approx((100 + 100 + 40 + 40 + 40) / 5, abs=2)
    assert (spreads["category"].low, spreads["category"].high) == (40.0, 100.0)
    assert measures["mae"].mean == pytest.approx(50.0)


def test_lists_that_run_out_are_judged_by_what_they_hold(six, bought):
    lists = list(random_ties(six, bought.queries(gender_filter=True), POPULARITY, 5, draws=2, seed=0))
    assert [(row >= 0).sum() for row in lists[0]] == [1, 1, 2]
