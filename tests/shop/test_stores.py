"""``shop.stores``: where they are, which items they have, and how far they are."""

from collections import Counter

import numpy as np
import pytest

from modiste import Item
from modiste.errors import SettingError
from modiste.shop.recommendations import TERMS

PARIS, LONDON = (48.8566, 2.3522), (51.5074, -0.1278)


@pytest.fixture
def placed(shop, tmp_path):
    """One item in Paris, one in London, one in a store that nobody added; the others nowhere."""
    (tmp_path / "stores.csv").write_text(
        "store_id,lat,lon\nparis,48.8566,2.3522\nlondon,51.5074,-0.1278\nnowhere,99,0\n"
    )
    report = shop.stores.add(tmp_path / "stores.csv")
    assert (report.added, report.updated) == (2, 0)
    assert "row 4" in str(report.rejected[0])
    for name, store in (("men-0", "london"), ("men-6", "paris"), ("women-6", "nowhere")):
        shop.items.put(Item(f"Denim-red-{name}", "Denim", name.partition("-")[0], store_id=store))
    return shop


def test_stores_are_listed_by_id_and_updated(placed, tmp_path):
    assert placed.stores.frame().rows() == [("london", "london", *LONDON), ("paris", "paris", *PARIS)]
    (tmp_path / "more.csv").write_text("store_id,lat,lon,name\nparis,48.86,2.35,Paris\nrome,41.9,12.5,Roma\n")
    report = placed.stores.add(tmp_path / "more.csv")
    assert (report.added, report.updated) == (1, 1)
    assert placed.stores.frame()["name"].to_list() == ["london", "Paris", "Roma"]
    assert placed.snapshot().stores.equals(placed.stores.frame())


def test_stores_are_listed_by_distance_from_a_position(placed):
    assert placed.stores.near()["distance_km"].to_list() == [None, None]
    found = placed.stores.near(PARIS)
    assert found["store_id"].to_list() == ["paris", "london"]
    assert found["distance_km"].to_list() == pytest.approx([0, 343.56], abs=0.01)
    assert placed.stores.near(PARIS, within=343)["store_id"].to_list() == ["paris"]
    with pytest.raises(SettingError, match="within needs a position"):
        placed.stores.near(within=5)


def test_distances_come_from_the_item_s_store_and_filter(placed):
    found = {one.item_id: one for one in placed.recommend(item="Denim-blue-men-0", top=30, near=PARIS, gender="any")}
    assert found["Denim-red-men-6"].distance_km == pytest.approx(0, abs=1e-6)
    assert found["Denim-red-men-0"].distance_km == pytest.approx(343.56, abs=0.01)
    assert found["Denim-red-men-0"].store_id == "london"
    assert found["Denim-red-women-6"].distance_km is None
    assert found["Dresses-red-men-0"].distance_km is None
    near = placed.recommend(item="Denim-blue-men-0", top=20, near="48.8566,2.3522", within=5)
    assert [one.item_id for one in near] == ["Denim-red-men-6"]


def test_a_shopper_s_own_position_counts_unless_another_is_given(placed):
    placed.shoppers.put("ann", latitude=LONDON[0], longitude=LONDON[1])
    nearest = {"distance": 10.0, "top": 1, "gender": "any"}
    assert placed.recommend("ann", within=5, gender="any")[0].item_id == "Denim-red-men-0"
    assert placed.introduce("ann", within=5, gender="any")[0].item_id == "Denim-red-men-0"
    assert placed.recommend("ann", within=5, near=PARIS, gender="any")[0].item_id == "Denim-red-men-6"
    assert placed.recommend(item="Dresses-blue-men-0", near=LONDON, **nearest)[0].item_id == "Denim-red-men-0"
    assert placed.recommend(item="Dresses-blue-men-0", near=PARIS, **nearest)[0].item_id == "Denim-red-men-6"


def test_nearness_is_a_term_of_the_relevance(placed):
    [found] = placed.recommend(
        item="Dresses-blue-men-0",
        near=LONDON,
        preset="paper",
        alpha=0,
        beta=0,
        gamma=0,
        distance=0.7,
        top=1,
        within=20_000,
    )
    assert found.terms == pytest.approx(dict.fromkeys(TERMS, 0.0) | {"distance": 0.7})
    assert "sold 0.0 km from you" in found.why


def test_stores_made_at_random_have_as_many_items_of_each_category(shop):
    made = shop.stores.make(3, seed=7)
    assert shop.stores.frame().equals(made)
    items = shop.items.frame()
    for category in ("Denim", "Dresses", "Tees_Tanks"):
        assert sorted(Counter(items.filter(category=category)["store_id"]).values()) == [2, 3, 3]
    snapshot = shop.snapshot()
    assert [snapshot.item(snapshot.row(one))["store_id"] for one in items["item_id"]] == items["store_id"].to_list()
    away = snapshot.distances_km((48.85, 2.3))
    assert away is not None
    assert np.isfinite(away).all()
    shop.stores.make(2, seed=7)
    assert len(shop.stores.frame()) == 2
    assert set(shop.items.frame()["store_id"]) == {"store-1", "store-2"}


def test_without_stores_or_a_position_nothing_is_known_of_distances(shop, tmp_path):
    assert shop.snapshot().distances_km(PARIS) is None
    assert shop.stores.near(PARIS).is_empty()
    with pytest.raises(SettingError, match="within needs a position"):
        shop.recommend(item="Denim-red-men-0", near=PARIS, within=5)
    shop.stores.make()
    assert shop.snapshot().distances_km(None) is None
    with pytest.raises(SettingError, match="within needs a position"):
        shop.recommend(item="Denim-red-men-0", within=5)
