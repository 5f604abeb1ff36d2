from collections import Counter

import numpy as np
import polars as pl
import pytest
from haversine import haversine_vector
from hypothesis import given
from hypothesis import strategies as st

from modiste.behaviour.stores import BOX, EARTH_RADIUS_KM, assign_items, distances_km, make_stores, read_stores
from modiste.errors import SettingError, SourceError

PARIS, LONDON = (48.8566, 2.3522), (51.5074, -0.1278)
PLACES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def test_paris_is_343_km_from_london():
    assert distances_km(PARIS, np.array([LONDON])) == pytest.approx([343.5], rel=0.005)


def test_a_quarter_and_a_half_of_the_earth_and_nothing_at_all():
    away = distances_km((0.0, 0.0), np.array([[90.0, 0.0], [0.0, 180.0], [0.0, 0.0]]))
    assert away == pytest.approx([EARTH_RADIUS_KM * np.pi / 2, EARTH_RADIUS_KM * np.pi, 0.0])


@given(PLACES, st.lists(PLACES, min_size=1, max_size=5))
def test_distances_are_those_of_the_haversine_package_on_this_radius(point, places):
    theirs = haversine_vector([point] * len(places), places) * (EARTH_RADIUS_KM / 6371.0088)
    assert distances_km(point, np.array(places)) == pytest.approx(theirs, rel=1e-6, abs=1e-3)


def test_stores_lie_in_the_box_and_are_the_same_for_the_same_seed():
    stores = make_stores(200)
    assert stores["store_id"].n_unique() == 200
    assert stores["latitude"].is_between(BOX[0], BOX[1]).all()
    assert stores["longitude"].is_between(BOX[2], BOX[3]).all()
    assert stores.equals(make_stores(200))
    assert not stores.equals(make_stores(200, seed=1))


@pytest.mark.parametrize(
    ("n", "box"), [(0, BOX), (1, (49.0, 48.0, 2.0, 3.0)), (1, (48.0, 49.0, 3.0, 2.0)), (1, (48.0, 91.0, 2.0, 3.0))]
)
def test_a_shop_needs_a_store_and_a_box_with_an_inside(n, box):
    with pytest.raises(SettingError):
        make_stores(n, box)


@given(st.lists(st.sampled_from(["Dresses", "Denim", "", None]), max_size=60), st.integers(1, 7), st.integers(0, 99))
def test_each_category_is_spread_evenly_over_the_stores(categories, n, seed):
    stores = [f"s{number}" for number in range(n)]
    placed = assign_items(categories, stores, seed)
    assert placed == assign_items(categories, stores, seed)
    for category in {one or "" for one in categories}:
        held = Counter(store for one, store in zip(categories, placed, strict=True) if (one or "") == category)
        assert max(held.values()) - min(held[store] for store in stores) <= 1


def test_stores_are_read_and_each_bad_row_is_named_with_its_reason(tmp_path):
    file = tmp_path / "stores.csv"
    file.write_text(
        "store_id,lat,lng,name\n"
        "north,48.9,2.35,Nord\n"
        "south,48.8,2.34,\n"
        "north,48.0,2.0,again\n"
        ",48.0,2.0,nameless\n"
        "far,91,2.0,\n"
        "lost,here,2.0,\n"
        "nan,nan,2.0,\n"
    )
    stores, rejected = read_stores(file)
    assert stores.rows() == [("north", "Nord", 48.9, 2.35), ("south", "south", 48.8, 2.34)]
    assert [(one.row, one.file) for one in rejected] == [(row, str(file)) for row in (4, 5, 6, 7, 8)]
    assert "stands twice" in rejected[0].reason
    assert rejected[1].reason == "no store_id"
    assert all("is no place" in one.reason for one in rejected[2:])


def test_a_parquet_file_and_an_id_that_is_a_number_are_read_as_well(tmp_path):
    file = tmp_path / "stores.parquet"
    pl.DataFrame({"store_id": [0, 1], "latitude": [1.0, 2.0], "longitude": [3.0, 4.0]}).write_parquet(file)
    stores, rejected = read_stores(file)
    assert stores.rows() == [("0", "0", 1.0, 3.0), ("1", "1", 2.0, 4.0)]
    assert not rejected


def test_a_file_that_is_no_table_of_stores_is_refused(tmp_path):
    with pytest.raises(SourceError, match="doesn't exist"):
        read_stores(tmp_path / "none.csv")
    bad = tmp_path / "bad.parquet"
    bad.write_text("not a table")
    with pytest.raises(SourceError, match="can't be read"):
        read_stores(bad)
    short = tmp_path / "short.csv"
    short.write_text("store_id,lat\nnorth,48\n")
    with pytest.raises(SourceError, match="no column longitude"):
        read_stores(short)
