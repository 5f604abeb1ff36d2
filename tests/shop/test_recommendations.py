"""What a recommendation says, to a machine, in a notebook and on a page."""

import json

import pytest

from modiste.shop.recommendations import SHOWN, TERMS, Recommendation, Recommendations, page
from modiste.shop.shop import Shop

ONE = Recommendation(
    item_id="a<b",
    relevance=0.75,
    terms=dict.fromkeys(TERMS, 0.0) | {"look": 0.5, "popularity": 0.25},
    because="c",
    category="Tees_Tanks",
    store_id=None,
    distance_km=1.5,
    image=None,
    why="It looks like <it>.",
)


def test_json_has_the_promised_fields(shop):
    [one] = shop.recommend(item="Denim-red-men-0", top=1)
    fields = one.as_json()
    assert set(fields) == {
        "item_id", "relevance", "terms", "because", "category", "store_id", "distance_km", "why",
        "on_offer", "image", "rules", *SHOWN,
    }  # fmt: skip
    assert fields["because"] == "Denim-red-men-0"
    assert fields["category"] == "Denim"
    assert tuple(fields["terms"]) == TERMS
    assert TERMS == (
        "look", "colour", "popularity", "category", "distance", "together", "worn", "newness", "price", "gender",
        "boost",
    )  # fmt: skip
    assert sum(fields["terms"].values()) == pytest.approx(fields["relevance"], abs=1e-9)
    assert json.loads(json.dumps(fields)) == fields


def test_a_notebook_shows_pictures_and_bars(shop):
    shown = shop.recommend(item="Denim-red-men-0", top=2)._repr_html_()
    assert shown.count("<img") == 2
    assert "data:image/jpeg;base64," in shown


def test_a_shop_in_a_notebook_shows_itself(shop, tmp_path):
    shown = shop._repr_html_()
    assert shown.count("<img") == 8
    assert "24 items, 24 photos embedded, 0 shoppers, 0 purchases · nobody bought anything" in shown
    with Shop.create(tmp_path / "a&b") as empty:
        assert "<b>a&amp;b</b> · 0 items" in empty._repr_html_()


def test_an_item_without_a_photo_keeps_its_place_and_no_text_is_taken_for_markup():
    shown = Recommendations([ONE])._repr_html_()
    assert "<img" not in shown
    assert "a&lt;b" in shown
    assert "a<b" not in shown
    assert "It looks like &lt;it&gt;." in shown
    assert "Tees Tanks" in shown
    assert 'title="look 0.500" style="width:66.7%' in shown


def test_a_page_has_a_section_for_each_list():
    shown = page("For <you>", [("Because of c", "trendiness 0.50", None, [ONE]), ("Because of d", "", None, [])])
    assert shown.count("<section>") == 2
    assert "<title>For &lt;you&gt;</title>" in shown
    assert shown.startswith("<!doctype html>")
