"""Distances against a known route and another library; stores from chance."""

from collections import Counter

import haversine
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.behaviour.stores import BOX, assign_items, distances_km, make_stores
from modiste.errors import SettingError

place = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def test_from_paris_to_london_and_once_half_around_the_world():
    away = distances_km((48.8566, 2.3522), np.array([[51.5074, -0.1278], [48.8566, 2.3522], [-48.8566, -177.6478]]))
    assert away == pytest.approx([343.56, 0, np.pi * 6371], abs=0.01)


@given(place, st.lists(place, min_size=1, max_size=5))
def test_distances_equal_the_haversine_package_s_on_our_radius(here, there):
    theirs = [haversine.haversine(here, one) * 6371 / 6371.0088 for one in there]
    assert distances_km(here, np.array(there)) == pytest.approx(theirs, rel=1e-9, abs=1e-6)


def test_an_unknown_place_has_an_unknown_distance():
    assert np.isnan(distances_km((0, 0), np.array([[np.nan, np.nan]]))).all()


def test_stores_are_made_inside_the_box_and_by_seed():
    first, again, other = make_stores(50, seed=1), make_stores(50, seed=1), make_stores(50, seed=2)
    south, north, west, east = BOX
    assert first["latitude"].is_between(south, north).all()
    assert first["longitude"].is_between(west, east).all()
    assert first.equals(again)
    assert not first.equals(other)
    assert first["store_id"].n_unique() == 50


def test_a_shop_has_at_least_one_store():
    with pytest.raises(SettingError, match="at least 1 store"):
        make_stores(0)


@given(st.lists(st.sampled_from(["Denim", "Skirts", None]), max_size=60), st.integers(1, 7))
def test_every_category_is_spread_evenly_over_the_stores(categories, n):
    stores = [f"s{number}" for number in range(n)]
    found = assign_items(categories, stores)
    for kind in set(categories):
        counts = Counter(store for store, one in zip(found, categories, strict=True) if one == kind)
        sizes = [counts[store] for store in stores]
        assert max(sizes) - min(sizes) <= 1
