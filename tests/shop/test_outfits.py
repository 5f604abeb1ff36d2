"""What goes with an item: parts of an outfit, never two of one, by colours that are worn together."""

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from modiste.catalog.events import Event
from modiste.catalog.palette import LABELS
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import SettingError, UnknownIdError
from modiste.shop import schema
from modiste.shop.outfits import PARTS, parts, suiting
from modiste.shop.recommendations import Recommendations
from modiste.shop.shop import Shop
from modiste.vision.masks import encode_mask

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


# What is worn on photos


def dressed(file: Path, top: str | None, pants: str | None) -> None:
    """Draw what somebody wears, or one thing alone, and its mask beside it."""
    photo, labels = Image.new("RGB", (96, 144), "white"), np.zeros((144, 96), np.uint8)
    body = [("face", (36, 4, 60, 24), "#e0b090")] if top and pants else []
    for label, (left, upper, right, lower), colour in [
        *body, ("top", (24, 26, 72, 76), top), ("pants", (30, 78, 66, 140), pants),
    ]:  # fmt: skip
        if colour:
            ImageDraw.Draw(photo).rectangle((left, upper, right, lower), fill=colour)
            labels[upper : lower + 1, left : right + 1] = LABELS.index(label)
    photo.save(file)
    encode_mask(labels).save(file.with_name(f"{file.stem}_segm.png"))


THINGS = {
    "ann": ("crimson", "navy", "Denim", "women", ""), "amy": ("crimson", "navy", "Denim", "women", "Amy in red"),
    "bea": ("navy", "khaki", "Denim", "women", ""), "jeans": (None, "navy", "Denim", "women", ""),
    "his": (None, "navy", "Denim", "men", ""), "red": ("crimson", None, "Tees_Tanks", "", ""),
    "blue": ("navy", None, "Tees_Tanks", "", ""), "green": ("green", None, "Tees_Tanks", "", ""),
}  # fmt: skip


@pytest.fixture
def street(tmp_path: Path, database: str | None) -> Iterator[Shop]:
    """Ann and Amy wear red tops with their jeans, Bea a blue one with khakis; other jeans, tops of three colours."""
    rows = [["item_id", "image", "mask", "category", "gender", "title"]]
    for name, (top, pants, *said) in THINGS.items():
        dressed(tmp_path / f"{name}.png", top, pants)
        rows.append([name, f"{name}.png", f"{name}_segm.png", *said])
    with (tmp_path / "items.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with Shop.create(tmp_path / "street", database=database) as shop:
        assert shop.items.add(tmp_path / "items.csv").added == len(THINGS)
        shop.vectors.embed(masks="given")
        yield shop


def tops(shop: Shop, item_id: str, **ask: float) -> Recommendations:
    """The tops that go with an item, by their colours and by what is worn."""
    [found] = shop.goes_with(item_id, top=3, beta=0, newness=0, **ask)
    assert all(one.relevance == pytest.approx(sum(one.terms.values())) for one in found.recommendations)
    return found.recommendations


def worn(shop: Shop) -> list[tuple[str, str]]:
    """The garments that are known: item and label."""
    wanted = sa.select(schema.worn.c.item_id, schema.worn.c.label).where(schema.worn.c.label != "")
    return [(row["item_id"], row["label"]) for row in shop.storage.rows(wanted.order_by(*wanted.selected_columns))]


def test_what_is_worn_with_the_like_on_photos_comes_before_the_same_colour(street: Shop) -> None:
    best = tops(street, "jeans")[0]
    assert (best.item_id, best.terms["worn"]) == ("blue", 0)
    assert street.vectors.embed_worn() == (len(THINGS), 3)
    assert street.vectors.embed_worn() == (0, 3), "it goes on where it was"
    assert worn(street) == [(one, label) for one in ("amy", "ann", "bea") for label in ("pants", "top")]
    best = tops(street, "jeans")[0]
    assert best.item_id == "red"
    assert "is like what is worn with something like the denim you look at on the photo of Amy in red" in best.why
    assert "is like what is worn with the denim you look at on its photo" in tops(street, "amy")[0].why
    for found in (tops(street, "his"), tops(street, "jeans", colour=-1)):
        assert [one.terms["worn"] for one in found] == [0, 0, 0], "of another gender, and where contrast is asked for"
    assert street.check() == []


def test_what_is_worn_is_forgotten_with_the_photo_and_told_again_of_the_new_one(street: Shop, tmp_path: Path) -> None:
    street.vectors.embed_worn()
    assert tops(street, "jeans")[0].item_id == "red"
    for one in ("ann", "amy"):
        dressed(tmp_path / f"{one}.png", "green", "navy")
    street.items.add(tmp_path / "items.csv")
    assert {one for one, _ in worn(street)} == {"bea"}
    assert tops(street, "jeans")[0].item_id == "blue"
    street.vectors.embed(masks="given")
    assert street.vectors.embed_worn() == (2, 3)
    assert tops(street, "jeans")[0].item_id == "green"
    for one in ("ann", "amy", "bea"):
        street.items.remove(one)
    assert (worn(street), [one.terms["worn"] for one in tops(street, "jeans")]) == ([], [0, 0, 0])


def test_sizes_of_one_product_tell_once_and_further_photos_where_the_first_has_nobody(
    street: Shop, tmp_path: Path
) -> None:
    street.vectors.embed_worn()
    once = tops(street, "jeans")[0].terms["worn"]
    rows = ["item_id,image,photos,mask,product,category,gender"]
    rows += [f"size-{one},jeans.png,ann.png,jeans_segm.png,ann,Denim,women" for one in "SML"]
    (tmp_path / "sizes.csv").write_text("\n".join(rows))
    assert street.items.add(tmp_path / "sizes.csv").added == 3
    street.vectors.embed(masks="given")
    assert street.vectors.embed_worn() == (3, 3), "without a given mask nobody tells what the further photo shows"
    assert tops(street, "jeans")[0].terms["worn"] == pytest.approx(once)


def test_a_space_of_whole_photos_knows_no_outfits(shop: Shop) -> None:
    with pytest.raises(SettingError, match="--masking own"):
        shop.vectors.embed_worn()


def test_a_check_finds_and_deletes_what_is_worn_of_vectors_that_are_gone_or_can_t_be(tmp_path: Path) -> None:
    for one in ("ann", "amy"):
        dressed(tmp_path / f"{one}.png", "crimson", "navy")
    rows = [f"{one},{one}.png,{one}_segm.png,Denim" for one in ("ann", "amy")]
    (tmp_path / "items.csv").write_text("\n".join(["item_id,image,mask,category", *rows]))
    with Shop.create(tmp_path / "street") as shop:
        shop.items.add(tmp_path / "items.csv")
        shop.vectors.embed(masks="given")
        shop.vectors.embed_worn()
        with closing(sqlite3.connect(tmp_path / "street" / "shop.db")) as other, other:  # which minds no foreign keys
            other.execute("DELETE FROM vectors WHERE item_id = 'ann'")
            other.execute("UPDATE worn SET vector = substr(vector, 3) WHERE item_id = 'amy' AND label = 'top'")
        shop.moments.read_anew()
        gone, short = shop.check("derived")
        assert [(one.kind, one.count, one.mended) for one in (gone, short)] == [("rows", 2, True), ("vectors", 1, True)]
        assert "2 rows of worn are of vectors that are gone" in gone.said
        assert "of 1 item what is worn" in short.said
        assert worn(shop) == []
        shop.vectors.embed(masks="given")
        assert shop.vectors.embed_worn() == (2, 2)
        assert shop.check() == []
