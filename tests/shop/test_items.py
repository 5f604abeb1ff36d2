"""``shop.items`` keeps what catalogues and services bring, finds it again, and forgets it whole."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Event as Signal
from time import sleep

import pytest

from modiste import Event, Item, Shop
from modiste.catalog.values import utc_now
from modiste.errors import PhotoError, SettingError, SourceError, UnknownIdError
from modiste.shop import items as items_module
from tests.garments import drawn

NOON = datetime(2026, 3, 1, 12)


# Catalogues


def test_adding_a_catalogue_again_changes_nothing(shop, catalogue):
    revision = shop.snapshot().revision
    report = shop.items.add(catalogue)
    assert (report.added, report.updated, report.unchanged, report.rejected) == (0, 0, 24, [])
    assert shop.snapshot().revision == revision
    assert shop.vectors.embed(masking="none").embedded == 0


def test_the_day_a_feed_says_is_the_one_on_which_an_item_came(small, tmp_path):
    feed, asked = tmp_path / "feed.csv", dict.fromkeys(("beta", "gamma", "alpha", "colour", "together"), 0)
    today = utc_now().date()

    def came() -> dict[str, date | None]:
        snapshot = small.snapshot()
        days = {one: int(snapshot.column("came")[snapshot.row(one)]) for one in "abfg"}
        return {one: date.fromordinal(day) if day else None for one, day in days.items()}

    feed.write_text("item_id,published_at\na,2025-03-31\nf,2025-04-01\ng,\n")
    assert small.items.add(feed).updated == 1
    known = {"a": date(2025, 3, 31), "b": None, "f": date(2025, 4, 1), "g": None}
    assert came() == known, "the others are of the shop's first day, and may be of any age"
    report = small.items.add(feed)
    assert (report.added, report.updated, report.unchanged) == (0, 0, 3)
    small.items.put(Item("a", title="another"))
    small.items.put_many([Item("f", title="another")])
    small.items.edit("a", {"title": "a third"})
    small.items.hide("f")
    small.items.hide("f", False)
    feed.write_text("item_id\na\nf\n")
    small.items.add(feed)
    assert came() == known, "what says nothing of it changes nothing"
    feed.write_text(f"item_id,published_at\na,{today - timedelta(days=3)}\ng,{today + timedelta(days=30)}\n")
    assert "later" in " ".join(small.items.add(feed).understood.remarks)
    assert came() == known | {"a": today - timedelta(days=3)}
    small.purchases.record([Event("ann", "b", utc_now() - timedelta(days=1))])
    assert small.recommend("ann", top=1, newness=1, **asked)[0].item_id == "a"
    assert small.items["a"]["came"] == small.snapshot().item(small.snapshot().row("a"))["came"]
    assert small.items.frame()["came"].to_list()[:2] == [today - timedelta(days=3), None]
    assert small.check() == []


def test_a_changed_photo_is_updated_and_embedded_anew(shop, catalogue):
    (catalogue.parent / "Denim-red-men-0.png").write_bytes(drawn("Denim", "green"))
    report = shop.items.add(catalogue)
    assert (report.added, report.updated, report.unchanged) == (0, 1, 23)
    assert shop.vectors.embed(masking="none").embedded == 1


def test_a_broken_photo_is_reported_and_stops_nothing(shop, catalogue):
    with catalogue.open("a") as file:
        file.write("broken,broken.jpg,Denim,men,3,x\nwhole,Denim-red-men-0.png,Denim,men,3,x\n")
    whole = (catalogue.parent / "Denim-red-men-0.png").read_bytes()
    (catalogue.parent / "broken.jpg").write_bytes(whole[:200])
    report = shop.items.add(catalogue)
    assert report.added == 1
    assert len(report.rejected) == 1
    assert "broken.jpg" in str(report.rejected[0])


def test_columns_of_a_shop_s_own_are_kept_as_attributes(shop):
    assert shop.items.frame()["attributes"][0] == '{"season": "season 3"}'


def test_a_shop_moves_with_its_folder(tmp_path, catalogue):
    with Shop.create(tmp_path / "here") as shop:
        catalogue.parent.rename(tmp_path / "here" / "photos")
        shop.items.add(tmp_path / "here" / "photos" / "items.csv")
    (tmp_path / "here").rename(tmp_path / "there")
    with Shop.open(tmp_path / "there") as shop:
        assert shop.vectors.embed(masking="none").embedded == 24
        [found] = shop.recommend(item="Denim-red-men-0", top=1)
        assert Path(found.image).parent == tmp_path / "there" / "photos"


# Finding them again


def test_items_are_counted_looked_up_and_listed_by_id(shop, catalogue):
    assert len(shop.items) == 24
    assert "Denim-red-men-0" in shop.items
    assert "sock" not in shop.items
    assert 7 not in shop.items
    found = shop.items.frame()
    assert found.columns == [
        "item_id", "category", "gender", "image", "mask", "product", "view", "price", "store_id", "popularity",
        "title", "url", "brand", "colour", "size", "age_group", "currency", "sale_price", "available", "stock",
        "photos", "attributes", "stamp", "came", "hidden", "shown", "proposed", "proposed_share",
        "proposed_gender", "proposed_gender_share",
    ]  # fmt: skip
    assert found["item_id"].to_list() == sorted(found["item_id"])
    one = shop.items["Denim-red-men-0"]
    assert one["image"] == str(catalogue.parent / "Denim-red-men-0.png")
    assert [one] == found.filter(item_id="Denim-red-men-0").to_dicts()
    with pytest.raises(UnknownIdError, match="no item 'sock' in shop"):
        shop.items["sock"]


def test_ids_sort_by_code_point(small, fill):
    ids = ["B", "_x", "10", "9", "é", "z", "Ä", "a b", "\U0001f457", "ﬁ"]
    fill(small, ids)
    assert small.items.frame()["item_id"].to_list() == sorted([*ids, "a", "b", "c", "d", "e"])
    small.purchases.record([Event(one, "a", NOON) for one in ids])
    assert small.shoppers.frame()["shopper_id"].to_list() == sorted(ids)


@pytest.fixture
def priced(shop: Shop) -> Shop:
    """The items with a price each, 0, 1, 2 … in the order of their popularity, and one of no known gender or price."""
    for row in shop.items.frame().iter_rows(named=True):
        item = Item(
            row["item_id"],
            row["category"],
            row["gender"],
            price=row["popularity"] / 10,
            popularity=row["popularity"],
            attributes={"season": "Herbst" if row["popularity"] < 50 else "Frühling"},
        )
        shop.items.put(item)
    shop.items.put(Item("bare", "Denim"))
    return shop


def test_a_page_of_items_meets_its_conditions(priced):
    def ids(**conditions: object) -> set[str]:
        page = priced.items.browse(**conditions)
        assert page.total == page.items.height
        return set(page.items["item_id"])

    everything = set(priced.items.frame()["item_id"])
    assert ids() == everything
    denim = {one for one in everything if "Denim" in one} | {"bare"}
    assert ids(categories=["jeans"]) == denim
    assert ids(max_price=3) == {f"Dresses-red-{gender}-{cut}" for gender in ("women", "men") for cut in (0, 6)}
    assert ids(min_price=22) == {"Tees_Tanks-blue-men-0", "Tees_Tanks-blue-men-6"}
    assert ids(categories=["Dresses"], min_price=7) == {"Dresses-blue-men-6"}
    assert ids(categories=["Denim"], max_price=0, match="any") == denim | {"Dresses-red-women-0"}
    assert ids(gender="women") == {one for one in everything if "-women-" in one} | {"bare"}, "unknown ones too"
    assert ids(product="Denim-red-men-0") == {"Denim-red-men-0"}
    assert ids(text="FRÜHLING", categories=["Dresses"]) == {
        f"Dresses-blue-{one}" for one in ("women-6", "men-0", "men-6")
    }
    assert ids(text="tees tanks") == {one for one in everything if "Tees" in one}
    assert ids(text="100%") == set(), "no wildcard"
    with pytest.raises(SettingError, match="no store 'nowhere'; there are: none"):
        ids(store_id="nowhere")
    with pytest.raises(SettingError, match="no category 'Frocky'; did you mean Dresses"):
        ids(categories=["Frocky"])


def test_a_page_of_items_is_sorted_and_cut(priced):
    page = priced.items.browse(sort="cheap", offset=1, limit=2)
    assert page.total == 25
    assert page.items["item_id"].to_list() == ["Dresses-red-women-6", "Dresses-red-men-0"]
    assert page.items["price"].to_list() == [1, 2]
    assert priced.items.browse(sort="dear", limit=1).items["item_id"].to_list() == ["Tees_Tanks-blue-men-6"]
    for sort in ("cheap", "dear"):
        assert priced.items.browse(sort=sort).items["item_id"][-1] == "bare", "without a price: last"
    assert priced.items.browse(limit=3).items["item_id"].to_list() == sorted(priced.items.frame()["item_id"])[:3]
    assert priced.items.browse(offset=25).items.is_empty()


def test_a_page_of_items_says_how_popular_they_are(priced):
    priced.purchases.record([Event("ann", "Tees_Tanks-blue-men-6", NOON)] * 20)
    page = priced.items.browse(sort="popularity", limit=2)
    assert page.items["item_id"].to_list() == ["Tees_Tanks-blue-men-6", "Tees_Tanks-blue-men-0"]
    assert page.items["count"].to_list() == [250, 220]
    assert page.items["normpop"].to_list() == pytest.approx([1, 220 / 250])
    assert priced.items.browse(sort="popularity", offset=24).items["normpop"].to_list() == [0]


def test_categories_and_genders_are_those_that_items_have(priced):
    assert priced.items.categories() == [("Denim", 9), ("Dresses", 8), ("Tees_Tanks", 8)]
    assert priced.items.genders() == ["men", "women"]
    for one in priced.items.frame()["item_id"]:
        if "-women-" in one:
            priced.items.remove(one)
    assert priced.items.genders() == ["men"]
    assert priced.items.categories() == [("Denim", 5), ("Dresses", 4), ("Tees_Tanks", 4)]


# What shops know of an item


DRESS = {
    "title": "Slip dress", "url": "https://shop.example/slip", "brand": "Ame", "colour": "rouge", "size": "M",
    "age_group": "children", "currency": "EUR", "price": 49.9, "sale_price": 39.9, "available": True, "stock": 3,
}  # fmt: skip


def test_an_item_has_all_that_a_page_shows_and_a_recommendation_too(shop):
    shop.items.put(Item("new", category="Dresses", gender="women", **DRESS))
    assert DRESS.items() <= shop.items["new"].items()
    found = shop.recommend(item="Dresses-red-women-0", age="any", top=30)
    shown = next(one for one in found if one.item_id == "new")
    shown = shown.as_json()
    assert DRESS.items() - {("available", True), ("stock", 3)} <= shown.items()
    assert shown["on_offer"] is True


@pytest.mark.parametrize("wrong", [{"age_group": "old"}, {"url": "javascript:alert(1)"}, {"currency": "euro"},
                                   {"sale_price": -1.0}])  # fmt: skip
def test_what_no_page_can_show_is_refused(shop, wrong):
    with pytest.raises(SourceError, match=next(iter(wrong)).replace("_", ".")):
        shop.items.put(Item("new", **wrong))


def test_further_photos_are_kept_as_the_first_one_is(tmp_path, catalogue, shop):
    inside = shop.path / "photos" / "back.png"
    inside.parent.mkdir()
    inside.write_bytes(catalogue.with_name("Denim-red-men-0.png").read_bytes())
    outside = str(catalogue.with_name("Denim-blue-men-0.png"))
    row = shop.items._row(Item("new", photos=(str(inside), outside)))
    assert row["photos"] == f'["photos/back.png", "{outside}"]', "relative where it moves with the shop"
    with shop.storage.writing() as writing:
        shop.items._store(writing, [row])
    assert shop.items["new"]["photos"] == [str(inside), outside]
    assert shop.snapshot().item(shop.snapshot().row("new"))["photos"] == [str(inside), outside]
    shop.items.put(Item("new", title="Jeans"))
    assert shop.items["new"]["photos"] == [str(inside), outside], "as long as no other come"
    if shop.storage.engine.dialect.name == "sqlite":
        assert (shop.backup(tmp_path / "copy") / "photos" / "back.png").read_bytes() == inside.read_bytes()


@pytest.mark.parametrize("gone", [{"available": False}, {"stock": 0}, {"available": True, "stock": -1}])
def test_what_is_sold_out_is_recommended_to_nobody_until_it_is_back(shop, gone):
    def lists(**ask: bool) -> list[set[str]]:
        return [
            {one.item_id for one in shop.recommend(item="Dresses-red-women-6", top=30, **ask)},
            {one.item_id for one in shop.recommend(shopper="ann", top=30, **ask)},
            {one.item_id for one in shop.introduce(top=30, **ask)},
            set(shop.purchases.trending(top=30, **ask)["item_id"]),
        ]

    red = "Dresses-red-women-0"
    shop.purchases.record([Event("ann", "Dresses-blue-women-0", NOON), Event("bea", red, NOON)])
    assert all(red in one for one in lists())
    known = shop.items[red]
    said = {name: known[name] for name in ("category", "gender", "product", "popularity")}
    shop.items.put(Item(red, **said, **gone))
    assert not any(red in one for one in lists())
    assert all(red in one for one in lists(sold_out=True))
    assert shop.purchases.of("bea")["item_id"].to_list() == [red], "with its history"
    assert shop.recommend(shopper="bea", top=1), "which goes on causing recommendations"
    shop.items.put(Item(red, **said, available=True, stock=2))
    assert all(red in one for one in lists())


# Items that come one at a time


def test_an_uploaded_item_is_recommended_at_once_and_gone_with_its_photo(shop, encoded):
    photo = encoded("Dresses-red-women-0")
    report = shop.items.put(Item("new", category="dress", gender="women", price=20.0), photo)
    assert (report.created, report.embedded, report.remark) == (True, True, None)
    assert shop.items["new"]["category"] == "Dresses"
    [found] = shop.recommend(item="Dresses-red-women-0", top=1, preset="visual")
    assert found.item_id == "new"
    assert found.terms["look"] > 1.2, "the very same photo is more alike than two of one product"
    upload = Path(shop.items["new"]["image"])
    assert upload.read_bytes() == photo
    assert upload.parent == shop.path / "uploads"
    shop.items.remove("new")
    assert not upload.exists()
    assert "new" not in shop.items
    assert "new" not in {one.item_id for one in shop.recommend(item="Dresses-red-women-0", top=30)}
    with pytest.raises(UnknownIdError):
        shop.items["new"]


def test_metadata_without_a_photo_keeps_the_photo_and_a_new_photo_replaces_it(shop, encoded):
    shop.items.put(Item("new", category="Dresses"), encoded("Dresses-red-women-0"))
    first = Path(shop.items["new"]["image"])
    report = shop.items.put(Item("new", category="Dresses", price=5.0))
    assert (report.created, report.embedded) == (False, True)
    assert shop.items["new"]["price"] == 5.0
    assert Path(shop.items["new"]["image"]) == first
    shop.items.put(Item("new", category="Denim"), encoded("Denim-blue-women-0", "JPEG"))
    assert not first.exists()
    assert Path(shop.items["new"]["image"]).suffix == ".jpeg"
    assert shop.recommend(item="new", top=1, preset="visual", gender="women")[0].item_id == "Denim-blue-women-0"


def test_an_item_without_a_photo_says_so_in_its_report(shop):
    report = shop.items.put(Item("bare"))
    assert (report.created, report.embedded, report.remark) == (True, False, "it has no photo")


def test_a_shared_upload_stays_as_long_as_an_item_shows_it(shop, encoded):
    photo = encoded("Dresses-red-women-0")
    shop.items.put(Item("a"), photo)
    shop.items.put(Item("b"), photo)
    upload = Path(shop.items["a"]["image"])
    assert shop.items["b"]["image"] == str(upload)
    shop.items.remove("a")
    assert upload.exists()
    shop.items.remove("b")
    assert not upload.exists()


def test_a_broken_photo_or_value_changes_nothing(shop, encoded):
    revision = shop.snapshot().revision
    whole = encoded("Dresses-red-women-0")
    for photo in (b"", b"no photo", whole[: len(whole) // 2]):
        with pytest.raises(PhotoError):
            shop.items.put(Item("new"), photo)
    for item in (Item("new", gender="cats"), Item("new", price=-1.0), Item("new", popularity=float("nan")), Item(" ")):
        with pytest.raises(SourceError):
            shop.items.put(item)
    assert len(shop.items) == 24
    assert shop.snapshot().revision == revision


def test_a_new_photo_survives_metadata_that_was_under_way(shop, encoded, monkeypatch):
    shop.items.put(Item("new", category="Dresses"), encoded("Dresses-red-women-0"))
    blue = encoded("Denim-blue-women-0")
    begun, stamped = Signal(), items_module._stamp

    def slowly(item: Item) -> str:
        if item.price == 5.0:
            begun.set()
            sleep(0.3)
        return stamped(item)

    monkeypatch.setattr(items_module, "_stamp", slowly)
    with Shop.open(shop.path) as other, ThreadPoolExecutor(2) as pool:
        metadata = pool.submit(shop.items.put, Item("new", category="Dresses", price=5.0))
        assert begun.wait(60)
        photo = pool.submit(other.items.put, Item("new", category="Denim"), blue)
        metadata.result(), photo.result()
    image = Path(shop.items["new"]["image"])
    assert image.read_bytes() == blue
    assert list(image.parent.iterdir()) == [image]


def test_removing_an_item_forgets_its_vectors_and_purchases(shop):
    shop.purchases.record([Event("ann", "Denim-red-men-0", NOON)])
    shop.items.remove("Denim-red-men-0")
    assert shop.purchases.frame().is_empty()
    assert len(shop.purchases) == shop.shoppers["ann"].purchases == 0
    assert len(shop.vectors.matrix()[0]) == 23
    with pytest.raises(UnknownIdError):
        shop.items.remove("Denim-red-men-0")


def test_an_item_that_comes_again_is_a_new_one(shop, encoded):
    shop.purchases.record([Event("ann", "Denim-red-men-0", NOON)] * 3)
    shop.snapshot()
    shop.items.remove("Denim-red-men-0")
    shop.items.put(Item("Denim-red-men-0", category="Dresses", popularity=7.0), encoded("Dresses-red-women-0"))
    assert shop.items["Denim-red-men-0"]["category"] == "Dresses"
    counts = dict(shop.purchases.popularity().select("item_id", "popularity").iter_rows())
    assert counts["Denim-red-men-0"] == 7
    [found] = shop.recommend(item="Denim-red-men-0", top=1, preset="visual", gender="women")
    assert found.item_id == "Dresses-red-women-0"
