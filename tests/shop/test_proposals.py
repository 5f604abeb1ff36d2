"""What names and photos propose."""

from typing import Any

import numpy as np
import pytest

from modiste.arrays import Singles
from modiste.catalog.taxonomy import Taxonomy
from modiste.ranking.candidates import Candidates
from modiste.shop.proposals import by_name, proposals, told


def gallery(vectors: Singles, **more: Any) -> Candidates:
    """Items of these looks, each a product of its own unless ``more`` says another."""
    n = len(vectors)
    made: dict[str, Any] = {
        "vectors": vectors,
        "has_vector": np.ones(n, bool),
        "normpop": np.zeros(n),
        "category": np.full(n, -1),
        "similarity": np.zeros((0, 0)),
        "gender": np.zeros(n, np.int8),
        "product": np.arange(n),
        "item_ids": [f"{one:04d}" for one in range(n)],
    }
    return Candidates(**made | more)


def at(*degrees: float) -> Singles:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_near_neighbours_count_for_more_than_far_ones():
    looks = at(10, 12, 60, 61, 62, 90)  # the last is none of the five nearest
    [found], [share] = proposals(gallery(looks), at(0), np.array([4, 4, 7, 7, 7, 7]))
    cosine = (looks @ at(0)[0]).astype(float)[:5]
    weights = np.exp(3.6 * cosine)
    assert found == 4
    assert np.isclose(share, weights[:2].sum() / weights.sum(), atol=1e-6)


def test_it_is_five_products_that_are_asked_however_many_sizes_or_photos_they_have():
    looks = at(*[1.0] * 20, 5, 6, 7, 8, 40)
    values = np.array([0] * 20 + [1] * 4 + [0])
    product = np.array([0] * 20 + [1, 2, 3, 4, 5])
    assert proposals(gallery(looks, product=product), at(0), values)[0].tolist() == [1]
    assert proposals(gallery(looks), at(0), values)[0].tolist() == [0]


def test_who_is_gone_has_no_photo_is_not_known_or_is_excluded_is_not_asked():
    looks = at(1, 2, 3, 4, 5, 6, 7, 8, 9)
    values, has = np.array([0, 0, -1, 0, 1, 1, 1, 1, 1]), np.arange(9) != 1
    asked = gallery(looks, has_vector=has, allowed=np.arange(9) != 0)
    [found], [share] = proposals(asked, at(0), values)
    weights = np.exp(3.6 * (looks @ at(0)[0]).astype(float))
    assert (found, np.isclose(share, weights[4:8].sum() / weights[[3, 4, 5, 6, 7]].sum(), atol=1e-6)) == (1, True)
    assert proposals(asked, at(0), values, [np.array([3])])[1].tolist() == [1.0]


def test_of_very_many_evenly_spread_ones_are_asked(monkeypatch):
    looks, values = at(*range(20)), np.array([0, 1] * 10)
    for most, share in ((20, 0.6), (19, 0.0), (7, 0.6)):  # all; every second, which are the same; every third
        monkeypatch.setattr("modiste.shop.proposals._MOST", most)
        [found] = proposals(gallery(looks), at(0), values)[1]
        assert found == pytest.approx(share, abs=0.05)


def test_too_few_that_look_like_it_or_nothing_to_choose_is_nothing_to_propose():
    for values, looks in (
        ([0, 1, 1, 1, -1, -1], range(6)), ([1] * 6, range(6)), ([-1] * 6, range(6)),
        ([0, 1, 1, 1, 1, 1], (0, 0, 0, 0, 80, 81)),
    ):  # fmt: skip
        found, shares = proposals(gallery(at(*looks)), at(0, 1), np.array(values))
        assert (found.tolist(), shares.tolist()) == ([-1, -1], [0.0, 0.0])


def test_a_name_says_whose_it_is_by_its_words_and_where_things_for_both_are_sold_by_its_kind():
    items = [
        {"category": category, "title": title, "url": url}
        for category, title, url in (
            ("Shirts", "Herrenhemd, 24 hr", None), ("Shirts", "Linen shirt", "https://men.example/hr/damen/hemd?x=1"),
            ("Shoes", "Prima Pump", "https://men.example"), ("Tees", "Boyfriend tee, men/women", "://["),
            (None, None, None),
        )
    ]  # fmt: skip
    taxonomy = Taxonomy.load()
    assert by_name(taxonomy, items, set()) == ["men", "women", "women", None, None]
    assert by_name(taxonomy, items[2:], {"women"}) == [None, None, None], "who sells to women alone needn't be told"
    assert by_name(taxonomy, items[2:], {"women", "men"}) == ["women", None, None]


def test_what_names_say_counts_for_photos_of_kinds_of_which_both_are_known():
    category = np.array([0, 0, 0, 1, 1, -1, -1])
    said, named = np.array([-1, 0, -1, 0, -1, 0, -1]), np.array([1, -1, -1, -1, 0, -1, 1])
    assert told(category, said, named).tolist() == [1, 0, -1, 0, -1, 0, -1]
