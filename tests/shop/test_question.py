"""A question is how somebody asks, put to one moment: pure, by the formula, and filtered as was asked."""

import json
import re
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modiste import Ask, Event, Item, Shop
from modiste.behaviour.choice import DEFAULT
from modiste.behaviour.stores import distances_km
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import ModisteError, PhotoError, SettingError, UnknownIdError
from modiste.ranking.relevance import Scale, Terms
from modiste.shop.arrays import Ids
from modiste.shop.lists import recommend_all
from modiste.shop.question import FILLED_UP, NOTHING_FITS, Question
from modiste.shop.shoppers import Shopper
from modiste.shop.snapshot import FIELDS, Matrix, Sales, Snapshot
from modiste.vision.embedding import VectorSpace

DAY = datetime(2025, 3, 31, 14, 5)
SPACE = VectorSpace("drawn", "0" * 64, "none", "fit", "given", "", 2)
MEN, WOMEN = 1, 2
NO_TERMS = dict.fromkeys(Terms._fields, 0.0)

# Without a database: six items by hand


@pytest.fixture
def by_hand() -> Snapshot:
    """Six items as in the table below; f is gone, e has no vector, and of d 8 were sold, 100 days before the last."""
    rows = [  # id, category, gender, product, price, store, start count, angle of its vector in degrees
        ("a", "Denim", "women", "a", 10.0, "left", 0.0, 0),
        ("b", "Denim", "women", "b", 20.0, "right", 4.0, 60),
        ("c", "Skirts", None, "c", 30.0, "left", 8.0, 90),
        ("d", "Pants", "men", "d", None, None, 2.0, 180),
        ("e", None, "women", "e", 15.0, "right", 10.0, None),
        ("f", "Denim", "women", "f", 1.0, "left", 10.0, 0),
    ]
    categories, store_ids = ("Denim", "Skirts", "Pants"), ("left", "right")
    ids, kinds, genders, _, prices, stores, counts, angles = zip(*rows, strict=True)
    has = np.array([angle is not None for angle in angles])
    turned = np.radians([angle or 0 for angle in angles])
    vectors = np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)
    items = [
        dict(zip(("item_id", "category", "gender", "product", "price", "store_id"), row, strict=False)) for row in rows
    ]
    category = np.array([categories.index(one) if one else -1 for one in kinds], np.int32)
    gender = np.array([{"men": MEN, "women": WOMEN, None: 0}[one] for one in genders], np.int8)
    taxonomy = Taxonomy.load()
    return Snapshot(
        revision=1,
        mark="",
        name="drawn",
        folder=Path("/nowhere"),
        taxonomy=taxonomy,
        rows=6,
        item_ids=Ids(ids, [], 6),
        records=[json.dumps([item.get(name) for name in FIELDS]) for item in items],
        changed={},
        order=np.arange(6, dtype=np.int32),
        moved={"f": -1},
        columns={
            "alive": np.array([True] * 5 + [False]),
            "category": category,
            "gender": gender,
            "children": np.zeros(6, bool),
            "state": np.zeros(6, np.int8),
            "came": np.zeros(6, np.int32),
            "group": 10 * (category.astype(np.int64) + 1) + gender,
            "product": np.arange(6),
            "picture": np.arange(10, 16),
            "price": np.array([np.nan if one is None else one for one in prices]),
            "store": np.array([store_ids.index(one) if one else -1 for one in stores], np.int32),
            "popularity": np.array(counts),
        },
        categories=categories,
        similarity=taxonomy.matrix(categories),
        store_ids=store_ids,
        stores=pl.DataFrame(
            {"store_id": ["left", "right"], "name": ["L", "R"], "latitude": [48.8, 48.9], "longitude": [2.3, 2.4]}
        ),
        spaces=(SPACE,),
        matrices={SPACE.key: Matrix(vectors * has[:, None], has)},
        sales=Sales(np.array([Sales.key(3, 739_900), Sales.key(4, 740_000)]), np.array([8, 0], np.int32), 740_000),
    )


def someone(trendiness: float = 0.5, position: tuple[float, float] | None = None) -> Shopper:
    latitude, longitude = position or (None, None)
    return Shopper("ann", trendiness, False, latitude, longitude, False, 1)


def on_a_day(*item_ids: str) -> list[tuple[str, int]]:
    return [(one, 740_000) for one in item_ids]


def ids(found: list[Any]) -> str:
    return "".join(one.item_id for one in found)


def test_a_question_is_answered_by_the_formula_from_arrays_alone(by_hand):
    ask = Ask(preset="paper", alpha=0.5, beta=0.3, gamma=0.2, scaling="none", gender="any", top=10)
    found = Question.for_shopper(by_hand, ask, someone(0.4), on_a_day("a")).merged()
    # counts 0, 4, 8, 10 (2 and 8 sold), 10 → n = 0, .4, .8, 1, 1; cosines 1, ½, 0, -1, none; Denim:Pants .8, :Skirts .1
    expected = {
        "b": (0.25, 0.3 * (1 - 0.0), 0.2),
        "c": (0.0, 0.3 * (1 - 0.16), 0.02),
        "e": (0.0, 0.3 * (1 - 0.36), 0.0),
        "d": (-0.5, 0.3 * (1 - 0.36), 0.16),
    }
    assert ids(found) == "bced"
    for one in found:
        visual, popularity, category = expected[one.item_id]
        terms = NO_TERMS | {"look": visual, "popularity": popularity, "category": category}
        assert one.terms == pytest.approx(terms, abs=1e-7)
        assert one.relevance == pytest.approx(visual + popularity + category, abs=1e-7)
        assert one.because == "a"
        assert one.distance_km is None
    assert "the denim you bought" in found[0].why
    assert (found[0].category, found[2].category) == ("Denim", None)


def test_old_purchases_fade_where_a_half_life_is_asked_for(by_hand):
    popular = {"preset": "paper", "alpha": 0, "beta": 1, "gamma": 0, "trendiness": 1.0, "gender": "any", "top": 1}
    # after two half-lives the 8 that were sold count 2: d has 4 of 0 to 10
    for half_life, expected in ((None, 1.0), (50.0, 1 - 0.6**2)):
        ask = Ask(**popular, half_life=half_life, categories=["Pants"])
        [found] = Question.for_item(by_hand, ask, "b").merged()
        assert found.item_id == "d"
        assert found.relevance == pytest.approx(expected)


def test_minmax_stretches_the_cosines_of_what_may_be_recommended(by_hand):
    ask = Ask(preset="paper", alpha=1, beta=0, gamma=0, scaling="minmax", gender="any")
    found = {one.item_id: one.relevance for one in Question.for_item(by_hand, ask, "a").merged()}
    assert found == pytest.approx({"b": 1.0, "c": 1 / 1.5, "d": 0.0, "e": 0.0}, abs=1e-6)


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        ({}, "bce"),  # a is women's: so are b and e, and c is for whoever
        ({"gender": "women"}, "bce"),
        ({"gender": "men"}, "cd"),
        ({"gender": "any"}, "bcde"),
        ({"categories": ["jeans", "skirt"]}, "bc"),
        ({"categories": ["Denim", "Pants"], "gender": "any"}, "bd"),
        ({"categories": ["Jeans, skirt"]}, "bc"),
        ({"gender": "Herren"}, "cd"),
        ({"gender": "Unisex"}, "bcde"),
        ({"min_price": 20}, "bc"),
        ({"max_price": 20}, "be"),
        ({"min_price": 15, "max_price": 15}, "e"),
        ({"min_price": 0, "gender": "any"}, "bce"),  # d has no price
        ({"categories": ["Denim"], "max_price": 15}, ""),
        ({"categories": ["Denim"], "max_price": 15, "match": "any"}, "be"),
        ({"exclude": ["b", "nothing", "f"]}, "ce"),
        ({"near": "48.8,2.3", "within": 1}, "c"),
        ({"near": "48.9,2.4", "within": 1}, "be"),
        ({"near": "48.9,2.4", "within": 1, "max_price": 15}, "e"),
        ({"near": "0,0", "within": 100}, ""),
    ],
)
def test_only_what_was_asked_for_is_recommended(by_hand, ask, expected):
    found = Question.for_item(by_hand, Ask(top=10, **ask), "a").merged()
    assert "".join(sorted(ids(found))) == expected


def test_nearness_counts_by_the_asker_s_position_else_the_shopper_s(by_hand):
    here = (48.8, 2.3)
    away = distances_km(here, np.array([[48.9, 2.4]]))[0]
    weights = {"preset": "paper", "alpha": 0, "beta": 0, "gamma": 0, "distance": 2.0, "gender": "any"}
    found = {
        one.item_id: one
        for one in Question.for_shopper(by_hand, Ask(**weights), someone(0.5, here), on_a_day("a")).merged()
    }
    assert found["c"].relevance == pytest.approx(2.0)
    assert found["b"].relevance == pytest.approx(2.0 * np.exp(-away / 10))
    assert found["d"].relevance == 0
    assert (found["b"].distance_km, found["d"].distance_km) == (pytest.approx(away), None)
    other = Question.for_shopper(by_hand, Ask(**weights, near=(48.9, 2.4)), someone(0.5, here), on_a_day("a")).merged()
    assert sorted(ids(other)[:2]) == ["b", "e"]


def test_lists_for_each_purchase_are_merged_into_one_without_repeats(by_hand):
    question = Question.for_shopper(
        by_hand, Ask(preset="visual", gender="any", top=3), someone(), on_a_day("a", "d", "gone")
    )
    each = question.each()
    assert [(bought, ids(found)) for bought, found in each] == [("a", "bce"), ("d", "ceb")]
    assert [one.because for one in each[1][1]] == ["d"] * 3
    merged = question.merged()
    assert [(one.item_id, one.because) for one in merged] == [("b", "a"), ("c", "a"), ("e", "a")]
    assert [bought for bought, _ in question.each(latest=1)] == ["d"]
    assert question.of_items


def test_nobody_in_particular_is_shown_what_is_as_popular_as_she_likes_of_each_category_first(by_hand):
    found = Question.for_nobody(by_hand, Ask(preset="paper", top=4), 1.0).spread()
    # 100 days are 3⅓ half-lives: n = 0, .4, .8, .28, 1
    assert ids(found) == "ecbd"
    assert [one.because for one in found] == [None] * 4
    assert found[1].terms == pytest.approx(NO_TERMS | {"popularity": 1 - 0.2**2})
    for preset in ("paper", "balanced"):
        never = Question.for_nobody(by_hand, Ask(preset=preset, top=4, alpha=9), 0.0)
        assert ids(never.spread()) == "adce", "weights play no part"
        popular = Question.for_nobody(by_hand, Ask(preset=preset, top=4, trendiness=1.0), 0.0)
        assert ids(popular.spread()) == "ecbd"
    assert not Question.for_nobody(by_hand, Ask(), 0.5).of_items


def test_nothing_fits_where_filters_leave_only_what_is_worth_less_than_a_random_item(by_hand):
    asked = {"gender": "men", "exclude": ["c"]}  # d alone, which looks unlike a as can be
    for question in (
        Question.for_shopper(by_hand, Ask(**asked), someone(), on_a_day("a")),
        Question.for_guest(by_hand, Ask(**asked), ["a"], 0.5),
    ):
        assert (question.merged(), question.merged().nothing) == ([], NOTHING_FITS)
        assert [(found, found.nothing) for _, found in question.each()] == [([], NOTHING_FITS)]
    filled = Question.for_guest(by_hand, Ask(**asked, fallback="popular"), ["a"], 0.5).merged()
    assert (bool(filled), filled.nothing) == (True, None)
    assert all(FILLED_UP in one.rules for one in filled)
    # whoever asks for a kind wants what is unlike her own
    found = Question.for_guest(by_hand, Ask(**asked, categories=["Pants"]), ["a"], 0.5).merged()
    assert (ids(found), found.nothing) == ("d", None)
    # and by the item's own page, by the paper's formula and where nothing is known of her it is shown
    for question in (
        Question.for_item(by_hand, Ask(**asked), "a"),
        Question.for_guest(by_hand, Ask(**asked, preset="paper"), ["a"], 0.5),
        Question.for_nobody(by_hand, Ask(**asked), 1.0),
    ):
        assert ids(question.merged()) == "d"


def test_filters_that_leave_something_of_each_kind_leave_what_fits(shop):
    for asked in (
        {"gender": "women"},
        {"gender": "men"},
        {"exclude": ["dress-red-women-0"]},
        {"gender": "any", "age": "any"},
        {"gender": "any", "categories": ["Denim"], "top": 1},
    ):
        for seen in shop.items.frame()["item_id"]:
            found = shop.recommend(items=[seen], **asked)
            assert (len(found), found.nothing) == (asked.get("top", 5), None)


def test_a_photo_is_asked_about_by_its_vector(by_hand):
    look, colour = np.array([0.0, 1.0], np.float32), np.zeros(0, np.float32)
    found = Question.for_photo(by_hand, Ask(preset="visual", gender="any"), look, colour).merged()
    assert ids(found) == "cbade"  # the last three are at right angles to it, or have no vector: a tie
    assert found[0].relevance == pytest.approx(1)
    assert found[1].relevance == pytest.approx(np.sin(np.radians(60)))
    assert "your photo" in found[0].why
    assert found[0].because is None


def test_the_choice_formula_calibrates_looks_and_takes_the_logarithm_of_what_sells(by_hand):
    matrix = replace(by_hand.matrices[SPACE.key], scales=(Scale(0.25, 0.75), Scale()))
    calibrated = replace(by_hand, matrices={SPACE.key: matrix})
    ask = Ask(alpha=2, beta=1, gamma=0, colour=0, together=0, trendiness=1, half_life=36_600, gender="any")
    found = {one.item_id: one.terms for one in Question.for_item(calibrated, ask, "a").merged()}
    assert {item_id: terms["look"] for item_id, terms in found.items()} == pytest.approx(
        {"b": 2 * 0.5, "c": -2 * 0.5, "d": -2 * 2.5, "e": 0.0}, abs=1e-6
    )
    lasting = DEFAULT.weights["lasting"] / DEFAULT.weights["popularity"]
    assert found["b"]["popularity"] == pytest.approx(2 * np.log(5) * (1 + lasting)), "a trendiness of 1 is a θ of 2"


def test_a_child_s_garment_is_shown_for_a_child_s_alone(by_hand):
    columns = by_hand.columns | {"children": np.array([False, True, False, False, True, False])}
    columns["group"] = by_hand.columns["group"] + 3 * columns["children"]
    mixed = replace(by_hand, columns=columns)
    for item_id, age, expected in (("a", None, "c"), ("b", None, "e"), ("a", "any", "bce"), ("a", "children", "be")):
        assert "".join(sorted(ids(Question.for_item(mixed, Ask(age=age), item_id).merged()))) == expected


def test_an_item_that_is_gone_or_never_was_can_t_be_asked_about(by_hand):
    for item_id in ("f", "sock"):
        with pytest.raises(UnknownIdError, match=f"no item '{item_id}' in drawn"):
            Question.for_item(by_hand, Ask(), item_id)


# With a shop


def test_what_looks_alike_comes_first_with_the_visual_preset(shop):
    found = shop.recommend(item="Dresses-red-women-0", top=3, preset="visual")
    assert found[0].item_id == "Dresses-red-women-6"
    assert all("women" in one.item_id for one in found)


def test_terms_add_up_to_the_relevance_and_follow_the_formula(shop):
    weights = {"preset": "paper", "alpha": 0.5, "beta": 0.3, "gamma": 0.2, "scaling": "none"}
    found = shop.recommend(item="Denim-blue-men-0", top=24, trendiness=0.25, gender="any", **weights)
    item_ids, vectors = shop.vectors.matrix()
    row = {item_id: number for number, item_id in enumerate(item_ids)}
    normpop = dict(shop.purchases.popularity().select("item_id", "normpop").iter_rows())
    assert len(found) == 23
    for one in found:
        cosine = float(vectors[row[one.item_id]] @ vectors[row["Denim-blue-men-0"]])
        assert one.terms["look"] == pytest.approx(0.5 * cosine, abs=1e-5)
        assert one.terms["popularity"] == pytest.approx(0.3 * (1 - (normpop[one.item_id] - 0.25) ** 2))
        assert one.terms["category"] == pytest.approx(0.2 * shop.taxonomy.similarity("Denim", one.category))
        assert one.relevance == pytest.approx(sum(one.terms.values()), abs=1e-9)
    assert [one.relevance for one in found] == sorted((one.relevance for one in found), reverse=True)


def test_a_shopper_is_not_shown_what_she_bought_nor_the_other_gender(shop):
    shop.purchases.record([Event("ann", "Dresses-red-women-0", DAY), Event("ann", "Denim-blue-women-0", DAY)])
    found = shop.recommend("ann", top=50)
    assert {one.item_id for one in found}.isdisjoint({"Dresses-red-women-0", "Denim-blue-women-0"})
    assert all("-women-" in one.item_id for one in found)
    assert {one.because for one in found} == {"Dresses-red-women-0", "Denim-blue-women-0"}
    assert any("-men-" in one.item_id for one in shop.recommend("ann", top=50, gender="any"))


def test_each_of_her_purchases_has_a_list_in_the_order_she_made_them(shop):
    bought = ["Tees_Tanks-red-women-0", "Denim-blue-women-0", "Tees_Tanks-red-women-0", "Dresses-red-women-0"]
    shop.purchases.record([Event("ann", one, DAY) for one in bought])
    lists = shop.recommend_each("ann", top=2, preset="visual")
    assert [one for one, _ in lists] == [bought[0], bought[1], bought[3]]
    assert [many[0].item_id for _, many in lists] == [one.replace("-0", "-6") for one, _ in lists]
    assert [one for one, _ in shop.recommend_each("ann", latest=2)] == [bought[1], bought[3]]
    shop.shoppers.put("eve")
    assert shop.recommend_each("eve") == []


@pytest.fixture
def views(tmp_path: Path, catalogue: Path) -> Path:
    """A folder of three photos: two views of one product, and one of another."""
    (tmp_path / "views").mkdir()
    for view, photo in (("01_7", "0"), ("01_4", "0"), ("02_1", "6")):
        name = f"WOMEN-Dresses-id_00000080-{view}_front.png"
        shutil.copyfile(catalogue.parent / f"Dresses-red-women-{photo}.png", tmp_path / "views" / name)
    return tmp_path / "views"


def test_other_views_of_a_bought_product_are_not_recommended(tmp_path, views):
    with Shop.create(tmp_path / "views-shop") as shop:
        shop.items.add(views)
        shop.vectors.embed(masking="none")
        assert [one.item_id for one in shop.recommend(item="id_00000080-01_7")] == ["id_00000080-02_1"]
        assert [one.item_id for one in shop.recommend(item="id_00000080-02_1", exclude=["id_00000080-01_4"])] == []


def test_two_views_of_one_product_take_one_place_in_a_list(tmp_path, views):
    with Shop.create(tmp_path / "views-shop") as shop:
        shop.items.add(views)
        shop.vectors.embed(masking="none")
        shop.purchases.record([Event("ann", "id_00000080-02_1", DAY)])
        assert len(shop.recommend("ann")) == 1
        [(bought, each)] = shop.recommend_each("ann")
        assert bought == "id_00000080-02_1"
        assert len(each) == 1


def test_no_list_shows_one_picture_twice(shop, catalogue, tmp_path):
    """Of three products of one kind, a file each, all the same; without vectors they are what is known of them."""
    names = [f"{kind}-{number}" for kind in ("Dresses", "Denim", "Tees_Tanks") for number in "123"]
    rows = ["item_id,image,category,gender,popularity"]
    for name in names:
        kind = name[:-2]
        shutil.copyfile(catalogue.parent / f"{kind}-red-women-0.png", catalogue.parent / f"{name}.png")
        rows.append(f"{name},{name}.png,{kind},women,1000")
    (catalogue.parent / "more.csv").write_text("\n".join(rows))
    shop.items.add(catalogue.parent / "more.csv")
    popular = {one.item_id for one in shop.introduce(top=40)}
    assert popular.issuperset(names), "no picture hides what has no vector"
    assert len(popular) == 33

    shop.vectors.embed(masking="none")
    stamps = {row["item_id"]: row["stamp"] for row in shop.items.frame().iter_rows(named=True)}
    shop.purchases.record([Event("ann", one, DAY) for one in ("Denim-1", "Dresses-blue-women-0")])
    owned = {stamps["Denim-1"], stamps["Dresses-blue-women-0"]}
    recommend_all(shop, tmp_path / "all.parquet", of="items", top=40)
    recommend_all(shop, tmp_path / "hers.parquet", top=40)
    every = pl.read_parquet(tmp_path / "all.parquet").group_by("for_item").agg("item_id").iter_rows()
    lists = [(list(found), {stamps[item_id]}) for item_id, found in every]
    assert len(lists) == 33
    lists.append((pl.read_parquet(tmp_path / "hers.parquet")["item_id"].to_list(), owned))
    for found, had in [
        *((found, owned) for ask in ({"variety": 0.5}, {"top": 4}, {}) for found in [shop.recommend("ann", **ask)]),
        *((found, owned) for _, found in shop.recommend_each("ann", top=40)),
        *((part.recommendations, {stamps["Denim-2"]}) for part in shop.goes_with("Denim-2", top=40)),
        (shop.recommend(items=["Denim-3"], top=5), {stamps["Denim-3"]}),
        (shop.search(catalogue.parent / "Denim-1.png", top=40).recommendations, set()),
        (shop.introduce(top=40), set()),
    ]:
        lists.append(([one.item_id for one in found], had))
    for ids, had in lists:
        shown = [stamps[one] for one in ids]
        assert ids
        assert len(set(shown)) == len(shown)
        assert not had.intersection(shown)
    assert len(shop.recommend("ann", top=4)) == 4, "what is left out makes room for others"
    assert {one["item_id"] for one in shop.items.browse(limit=40).items.to_dicts()}.issuperset(names)


def test_items_without_a_photo_have_every_other_term(tmp_path, database):
    (tmp_path / "items.csv").write_text("item_id,category,popularity\na,Denim,1\nb,Denim,5\nc,Dresses,9\n")
    with Shop.create(tmp_path / "shop", database=database) as shop:
        assert shop.items.add(tmp_path / "items.csv").added == 3
        found = shop.recommend(item="a", preset="paper", gamma=0.25, trendiness=0.5)
    assert [one.item_id for one in found] == ["b", "c"]
    assert found[0].terms["look"] == 0
    assert found[0].terms["category"] == pytest.approx(0.25)


def test_filters_join_by_and_or_by_or(shop):
    for number, row in enumerate(shop.items.frame().to_dicts()):
        shop.items.put(Item(row["item_id"], row["category"], row["gender"], price=float(number)))

    def kinds(**ask: Any) -> set[tuple[str | None, bool]]:
        found = shop.recommend(item="Dresses-red-women-0", top=30, gender="any", **ask)
        return {(one.category, shop.items[one.item_id]["price"] <= 15) for one in found}

    assert kinds(categories=["jeans"]) == {("Denim", True)}
    assert kinds(categories=["jeans"], max_price=15) == {("Denim", True)}
    assert kinds(categories=["Tees_Tanks"], max_price=15) == set()
    both = kinds(categories=["Tees_Tanks"], max_price=15, match="any")
    assert both == {("Denim", True), ("Dresses", True), ("Tees_Tanks", False)}


@pytest.fixture
def priced(small: Shop) -> Shop:
    """a and b cost 100, the one reduced from 300; c 1000 in another currency, d 200, and of e nobody knows it."""
    prices: list[tuple[float | None, float | None, str]] = [
        (300, 100, "EUR"), (100, None, "EUR"), (100, None, "PLN"), (200, None, "EUR"), (None, None, "EUR")
    ]  # fmt: skip
    for item_id, (price, sale, currency) in zip("abcde", prices, strict=True):
        small.items.put(Item(item_id, price=price, sale_price=sale, currency=currency))
    return small


def test_what_costs_as_much_stands_first_where_prices_count(priced):
    alone = {"alpha": 0, "colour": 0, "beta": 0, "gamma": 0, "newness": 0, "together": 0, "price": 2, "top": 4}
    found = priced.recommend(item="a", **alone)
    assert [one.item_id for one in found] == ["b", "d", "c", "e"]
    terms = [2, 2 * (1 - np.log10(2)), 0, 0]
    assert [one.terms["price"] for one in found] == pytest.approx(terms), "of other currencies nothing is known"
    assert [one.why for one in found[:2]] == [
        "It costs about as much as what you look at.", "It is the nearest we have to what you look at."
    ]  # fmt: skip
    priced.purchases.record([Event("ann", one, DAY) for one in "ab"])
    [same, *_] = priced.recommend("ann", **alone)
    assert (same.item_id, same.terms["price"]) == ("d", pytest.approx(2 * 0.5 * (1 - np.log10(2))))
    priced.items.put(Item("d", price=110.0, currency="EUR"))
    assert priced.recommend("ann", **alone)[0].why == "It costs about what you usually pay."
    priced.items.put(Item("d", price=110.0, currency="PLN"))
    assert {one.terms["price"] for one in priced.recommend("ann", **alone)} == {0}
    assert {one.terms["price"] for one in priced.recommend(item="a")} == {0}, "none weighs it by itself"
    with pytest.raises(SettingError, match="no term for price"):
        priced.recommend(item="a", preset="paper", price=1)


def test_one_asks_for_any_gender_or_age_and_what_is_for_others_counts_for_less(priced):
    for item_id, gender, age in zip(
        "abcde", ("women", "men", "women", None, "men"), ["adults"] * 4 + ["children"], strict=True
    ):
        priced.items.put(Item(item_id, gender=gender, age_group=age))
    assert {one.item_id for one in priced.recommend(item="a")} == {"c", "d"}
    found = {one.item_id: one.terms["gender"] for one in priced.recommend(item="a", gender="any", age="any")}
    assert found == {"c": 0, "d": 0, "b": -1, "e": -2}
    plain = priced.recommend(item="a", gender="any", age="any", preset="paper", scaling="none")
    assert {one.terms["gender"] for one in plain} == {0}


def test_every_door_shows_items_of_no_known_gender_to_whoever_asks(shop, encoded):
    shop.items.put(Item("for-all", "Dresses"), encoded("Dresses-red-women-0"))
    for gender in ("men", "women"):
        asked = [
            shop.recommend(item="Dresses-red-women-0", gender=gender, top=30),
            shop.introduce(gender=gender, top=30),
            shop.search(encoded("Dresses-red-women-0"), gender=gender, top=30).recommendations,
        ]
        other = {"men": "-women-", "women": "-men-"}[gender]
        for found in asked:
            assert "for-all" in {one.item_id for one in found}
            assert not [one.item_id for one in found if other in one.item_id]
        assert "for-all" in shop.items.browse(gender=gender).items["item_id"].to_list()


def test_nobody_we_know_gets_popular_things_of_every_kind_and_a_contrarian_others(shop):
    followed = shop.introduce(top=3, trendiness=1.0)
    assert {one.category for one in followed} == {"Dresses", "Denim", "Tees_Tanks"}
    assert followed[0].item_id == "Tees_Tanks-blue-men-6"  # the most popular of all
    assert all(one.because is None for one in followed)
    avoided = shop.introduce(top=3, trendiness=0.0)
    assert avoided[0].item_id == "Dresses-red-women-0"  # never bought
    assert {one.category for one in avoided} == {"Dresses", "Denim", "Tees_Tanks"}
    shop.shoppers.put("eve", trendiness=0.0)
    assert [one.item_id for one in shop.recommend("eve", top=3)] == [one.item_id for one in avoided]
    assert [one.item_id for one in shop.introduce("eve", top=3)] == [one.item_id for one in avoided]
    with pytest.raises(UnknownIdError, match="no shopper 'nobody'"):
        shop.introduce("nobody")


POPULAR = re.compile("bought a lot|rarely bought|popular|unusual|well known")


@pytest.mark.parametrize("preset", ["balanced", "paper"])
def test_only_whoever_is_known_reads_of_popularity(shop, encoded, tmp_path, preset):
    shop.shoppers.put("new")
    shop.shoppers.put("said", trendiness=1.0)
    shop.purchases.record([Event("ann", "Dresses-blue-women-6", datetime(2025, 1, day)) for day in (1, 2, 3)])
    item, asked = "Dresses-blue-women-6", {"preset": preset, "top": 8, "gender": "any"}

    def everywhere(**ask: Any) -> list[str]:
        recommend_all(shop, tmp_path / "items.feed", of="items", **ask)
        recommend_all(shop, tmp_path / "shoppers.csv", **ask)
        feed = [json.loads(line) for line in (tmp_path / "items.feed").read_text().splitlines()]
        mail = pl.read_csv(tmp_path / "shoppers.csv").filter(pl.col("shopper_id") == "new")
        by_list = [
            " ".join(one.why for one in found)
            for found in (
                shop.introduce(**ask), shop.introduce("new", **ask), shop.recommend("new", **ask),
                shop.recommend(item=item, **ask), shop.recommend(items=[item], **ask), shop.recommend(items=[], **ask),
                shop.recommend(item=item, categories=["Skirts"], fallback="popular", **ask),
                shop.search(encoded(item), **ask).recommendations,
            )
        ]  # fmt: skip
        return [
            *by_list,
            " ".join(mail["why"]),
            " ".join(each["why"] for one in feed for each in one["recommendations"]),
        ]

    assert [said for said in everywhere(**asked) if not said or POPULAR.search(said)] == []
    assert {one.why for one in shop.introduce(**asked)} == {"It is a suggestion for everybody."}
    assert [said for said in everywhere(**asked | {"top": 40}, trendiness=1.0) if not POPULAR.search(said)] == []
    for known in ("said", "ann"):
        assert any(POPULAR.search(one.why) for one in shop.recommend(known, **asked | {"top": 20})), known


def test_what_goes_with_an_item_says_nothing_of_popularity_to_a_guest(shop):
    said = [one.why for part in shop.goes_with("Denim-red-men-0", top=9) for one in part.recommendations]
    assert said
    assert not [why for why in said if POPULAR.search(why)]


@pytest.mark.parametrize("preset", ["balanced", "paper"])
def test_where_nothing_has_sold_nobody_reads_of_popularity(small, preset):
    small.shoppers.put("said", trendiness=1.0)
    assert not [one.why for one in small.recommend("said", preset=preset) if POPULAR.search(one.why)]


def test_a_photo_finds_what_looks_like_it(shop, encoded, catalogue):
    photo = encoded("Denim-blue-men-6", "JPEG")
    found = shop.search(photo, top=3)
    assert found.labels is None  # this shop compares whole photos
    assert found.photo.size == (96, 144)
    assert found.recommendations[0].item_id == "Denim-blue-men-6"
    assert "your photo" in found.recommendations[0].why
    assert len(shop.search(photo).recommendations) == 12
    women = shop.search(catalogue.parent / "Denim-blue-men-6.png", top=24, gender="women")
    assert {one.item_id.split("-")[2] for one in women.recommendations} == {"women"}
    with pytest.raises(PhotoError):
        shop.search(b"no photo")
    with pytest.raises(PhotoError, match="megapixels"):
        shop.search(photo, max_pixels=100)


@pytest.mark.data
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_each_garment_that_somebody_wears_finds_what_can_be_one(shop, shared_data):
    shop.vectors.embed(masking="own")
    photo = shared_data / "street/photos/0013.jpg"  # pants, coat, sweater
    found = shop.search(photo, top=3)
    kinds = {one.label: one.kinds for one in found.garments}
    assert "pants" in kinds
    for one in found.garments:
        fitting = {"top": ("Tees_Tanks",), "pants": ("Denim",), "dress": ("Dresses",)}.get(one.label, ())
        assert one.kinds == fitting
        assert {like.category for like in one.recommendations} == set(fitting)
        assert one.colour
        assert one.keep.shape == found.photo.size[::-1]
    assert len(found.recommendations) == 3, "what looks like all of it"
    wanted = shop.search(photo, categories=["Dresses"]).garments
    assert {kind for one in wanted for kind in one.kinds} <= {"Dresses"}
    assert shop.search(photo, category="Dresses").garments == ()
    assert shop.search(photo, space=shop.vectors.spaces()[1].key).garments == (), "that space compares whole photos"


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ({"item": "sock"}, "no item 'sock'"),
        ({"shopper": "nobody"}, "no shopper 'nobody'"),
        ({}, "name a shopper, an item, or the items of a guest"),
        ({"item": "Denim-red-men-0", "shopper": "ann"}, "name a shopper, an item, or the items of a guest"),
        ({"item": "Denim-red-men-0", "top": 0}, "top: .*greater than or equal to 1"),
        ({"item": "Denim-red-men-0", "preset": "lovely"}, "'balanced', 'paper' or 'visual'"),
        ({"item": "Denim-red-men-0", "trendiness": 1.5}, "trendiness: .*less than or equal to 1"),
        ({"item": "Denim-red-men-0", "space": "resnet50"}, "no vector space 'resnet50'"),
        ({"item": "Denim-red-men-0", "within": 5}, "within needs a position"),
        ({"item": "Denim-red-men-0", "weights": "paper"}, "can't ask for 'weights'"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_in_words(shop, ask, words):
    with pytest.raises(ModisteError, match=words):
        shop.recommend(**ask)


def test_a_price_range_upside_down_is_refused(shop):
    with pytest.raises(SettingError, match="min_price 2 is above max_price 1"):
        shop.recommend(item="Denim-red-men-0", min_price=2, max_price=1)
