"""What goes with an item: parts of an outfit, never two of one, by colours that are worn together."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.catalog.events import Event
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import SettingError, UnknownIdError
from modiste.shop.outfits import PARTS, parts, suiting
from modiste.shop.shop import Shop

WIDE = Taxonomy.load()
JEANS = "Denim-blue-women-0"


@pytest.mark.parametrize(
    ("category", "found"),
    [
        ("Denim", {"tops": ("Tops", "Sweatshirts_Hoodies"), "outerwear": ("Coats",), "shoes": ("Boots",)}),
        ("Dresses", {"outerwear": ("Coats",), "shoes": ("Boots",)}),
        ("Boots", {"tops": ("Tops", "Sweatshirts_Hoodies"), "bottoms": ("Denim", "Skirts"), "dresses": ("Dresses",),
                   "outerwear": ("Coats",)}),
        ("Suiting", {"tops": ("Tops",), "shoes": ("Boots",)}),
        ("Bikinis", {}),
        ("something of the shop's own", {}),
        (None, {}),
    ],
)  # fmt: skip
def test_an_outfit_has_one_of_each_part(category: str | None, found: dict[str, tuple[str, ...]]) -> None:
    kinds = ("Tops", "Sweatshirts_Hoodies", "Denim", "Skirts", "Dresses", "Coats", "Boots", "Suiting", "Bras")
    assert suiting(WIDE, category, kinds) == found


@given(st.sampled_from(WIDE.categories))
def test_nothing_is_worn_with_its_like(category: str) -> None:
    own = parts(WIDE, category)
    for part, kinds in suiting(WIDE, category, WIDE.categories).items():
        assert part in PARTS
        assert part not in own
        for kind in kinds:
            assert part in parts(WIDE, kind)
            assert (
                category in {one for some in suiting(WIDE, kind, [category]).values() for one in some} or len(own) > 1
            )


def test_what_goes_with_an_item_is_of_its_gender_and_passes_the_filters(shop: Shop) -> None:
    [tops] = shop.goes_with(JEANS, top=10)
    assert (tops.part, tops.kinds) == ("tops", ("Tees_Tanks",))
    all_of_them = {f"Tees_Tanks-{colour}-women-{cut}" for colour in ("red", "blue") for cut in (0, 6)}
    assert {one.item_id for one in tops.recommendations} == all_of_them
    assert all(one.because == JEANS for one in tops.recommendations)
    for one in tops.recommendations:
        assert one.relevance == pytest.approx(sum(one.terms.values()))
        assert one.terms["look"] == one.terms["category"] == 0
    shop.items.hide("Tees_Tanks-red-women-0")
    [tops] = shop.goes_with(JEANS, top=10, exclude=["Tees_Tanks-red-women-6"])
    assert {one.item_id for one in tops.recommendations} == {one for one in all_of_them if "blue" in one}
    assert shop.goes_with(JEANS, categories=["Dresses"]) == []
    assert shop.goes_with("Dresses-red-women-0") == []  # the shop has neither shoes nor bags
    with pytest.raises(UnknownIdError):
        shop.goes_with("nothing")
    with pytest.raises(SettingError):
        shop.goes_with(JEANS, tpo=3)


def test_like_colours_come_first_and_each_says_why(shop: Shop) -> None:
    [tops] = shop.goes_with(JEANS, top=4, beta=0, newness=0)
    assert ["blue" in one.item_id for one in tops.recommendations] == [True, True, False, False]
    assert tops.recommendations[0].why.startswith("It is the same ")
    [tops] = shop.goes_with(JEANS, colour=0, beta=0)
    assert tops.recommendations[-1].why == "It is what we have to go with the denim you look at."
    with pytest.raises(SettingError):
        shop.goes_with(JEANS, beta=0, colour=0, newness=0, together=0)


def test_what_was_bought_with_it_comes_first(shop: Shop) -> None:
    red = "Tees_Tanks-red-women-6"
    day = datetime(2025, 3, 3)
    shop.purchases.record([Event(f"{number}", one, day) for number in range(5) for one in (JEANS, red)])
    [tops] = shop.goes_with(JEANS, together=10)
    assert tops.recommendations[0].item_id == red
    assert "is often bought by those who buy the denim you look at" in tops.recommendations[0].why
    [tops] = shop.goes_with(JEANS, together=0, beta=0)
    assert "blue" in tops.recommendations[0].item_id


def test_what_is_pinned_is_pinned_where_it_can_be_worn(shop: Shop) -> None:
    pinned = {"name": "news", "do": "pin", "items": ["Dresses-red-women-0", "Tees_Tanks-red-women-0"], "place": 1}
    shop.scenarios.put("look", {"preset": "paper", "rules": [pinned]})
    [tops] = shop.goes_with(JEANS, scenario="look")
    assert tops.recommendations[0].item_id == "Tees_Tanks-red-women-0"
    assert {one.category for one in tops.recommendations} == {"Tees_Tanks"}


def test_without_vectors_and_orders_there_are_lists_all_the_same(small: Shop) -> None:
    assert small.goes_with("a") == []  # nobody knows what it is
