"""``shop.vectors``: every photo becomes a vector once, and no vector outlives what it was made of."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image, ImageDraw

from modiste import Item, Shop
from modiste.catalog.palette import LABELS
from modiste.errors import UnknownIdError
from modiste.evaluation.views import evaluate_views
from modiste.shop import schema
from modiste.shop import vectors as vectors_module
from modiste.shop.reports import EmbedReport
from modiste.vision.colour import COLOUR_DIM
from modiste.vision.embedding import EmbeddedBatch, VectorSpace
from tests.garments import drawn

SPACE = VectorSpace("resnet50", "0" * 64, "none", "fit", "auto", "", 128)
SOURCE = ("image", "mask", "photos", "stamp", "category")


# Embedding


@pytest.fixture
def several(shop: Shop, catalogue: Path) -> Callable[..., EmbedReport]:
    """Gives one item further photos, adds it again and embeds it; one may be ``sunset``, which shows no garment."""
    sunset = Image.new("RGB", (96, 144), "black")
    ImageDraw.Draw(sunset).ellipse((20, 40, 80, 100), fill="yellow")
    sunset.save(catalogue.parent / "sunset.png")

    def give(*photos: str, first: str = "Dresses-red-women-0") -> EmbedReport:
        files = ";".join(f"{one}.png" for one in photos)
        table = "\n".join(["item_id,image,photos,category", f"Dresses-red-women-0,{first}.png,{files},Dresses"])
        (catalogue.parent / "one.csv").write_text(table)
        assert shop.items.add(catalogue.parent / "one.csv").rejected == []
        return shop.vectors.embed(masking="none")

    return give


def test_photos_that_agree_make_one_vector_and_one_that_doesn_t_is_left_out(shop, several):
    report = several("Dresses-red-women-6", "sunset", "Dresses-red-men-0")
    assert [one.reason for one in report.remarks] == [
        "photo sunset.png doesn't show what the others do; it was left out"
    ]
    looks = [vector_of(shop, f"Dresses-red-{one}") for one in ("women-6", "men-0")]
    mean = np.sum([expected_of(shop, "Dresses-red-women-0"), *looks], axis=0)
    assert vector_of(shop, "Dresses-red-women-0") @ mean / np.linalg.norm(mean) > 0.999
    assert shop.items["Dresses-red-women-0"]["shown"] is None


def test_a_first_photo_that_is_left_out_is_not_the_one_that_is_shown(shop, several):
    several("Dresses-red-women-0", "Dresses-red-women-6", first="sunset")
    assert Path(shop.items["Dresses-red-women-0"]["shown"]).name.startswith("Dresses-red-women")
    found = {one.item_id: one.image for one in shop.recommend(item="Dresses-red-women-6", preset="visual", top=20)}
    assert Path(found["Dresses-red-women-0"]).name.startswith("Dresses-red-women")
    several("Dresses-red-women-6")
    assert shop.items["Dresses-red-women-0"]["shown"] is None


def without_category(catalogue: Path, *item_ids: str) -> Path:
    table = catalogue.parent / "without.csv"
    table.write_text("\n".join(["item_id,image", *(f"{one},{one}.png" for one in item_ids)]))
    return table


def test_a_photo_proposes_the_category_that_the_shop_doesn_t_say_and_never_overwrites_one(shop, catalogue):
    shop.items.add(without_category(catalogue, "Denim-blue-men-0"))
    shop.vectors.embed(masking="none")
    one = shop.items["Denim-blue-men-0"]
    assert (one["category"], one["proposed"], one["proposed_share"] >= 0.7) == (None, "Denim", True)
    assert shop.snapshot().item(shop.snapshot().row("Denim-blue-men-0"))["proposed"] == "Denim"
    [step] = [one for one in shop.status().next_steps("shop") if "category" in one]
    assert "items without a category: 1" in step
    assert "photos propose one for 1" in step
    assert {row["proposed"] for row in shop.items.frame().filter(category="Denim").to_dicts()} == {None}
    shop.items.put(Item("Denim-blue-men-0", "Dresses"))
    one = shop.items["Denim-blue-men-0"]
    assert (one["category"], one["proposed"], one["proposed_share"]) == ("Dresses", None, None)


@pytest.fixture
def told_apart(shop: Shop, catalogue: Path) -> Shop:
    """The shop where the photos tell for whom it is: denim is men's and all else women's; nobody says so of one."""
    rows = [
        [one, f"{one}.png", one.split("-")[0], "men" if one.startswith("Denim") else "women"]
        for one in shop.items.frame()["item_id"]
        if one != UNSAID
    ]
    table = catalogue.parent / "apart.csv"
    table.write_text("\n".join(map(",".join, [["item_id", "image", "category", "gender"], *rows])))
    shop.items.add(table)
    shop.items.add(said(catalogue, ""))
    shop.vectors.embed(masking="none")
    return shop


UNSAID = "Denim-blue-men-0"


def said(catalogue: Path, gender: str) -> Path:
    table = catalogue.parent / "said.csv"
    table.write_text(f"item_id,image,category,gender\n{UNSAID},{UNSAID}.png,Denim,{gender}")
    return table


def test_a_photo_proposes_the_gender_that_the_shop_doesn_t_say_until_it_does(told_apart, catalogue):
    one = told_apart.items[UNSAID]
    assert (one["gender"], one["proposed_gender"], one["proposed_gender_share"]) == (None, "men", 1.0)
    [step] = [one for one in told_apart.status().next_steps("shop") if "gender" in one]
    assert step.startswith("items without a gender, though name or photos propose one (see their pages): 1")
    assert told_apart.items.frame()["proposed_gender"].null_count() == 23
    told_apart.items.add(said(catalogue, "women"))
    one = told_apart.items[UNSAID]
    assert (one["gender"], one["proposed_gender"], one["proposed_gender_share"]) == ("women", None, None)
    told_apart.items.put(Item(UNSAID, "Denim"))
    assert told_apart.items[UNSAID]["proposed_gender"] == "men"


def test_a_name_proposes_the_gender_before_any_photo_does(told_apart):
    shop = told_apart
    photo = (shop.path / shop.items[UNSAID]["image"]).read_bytes()
    for title, category in (("Women's jeans", "Denim"), ("Jeans", "Denim"), ("Denim skirt", None)):
        shop.items.put(Item(UNSAID, category, title=title), photo)
        one = shop.items[UNSAID]
        proposed = ("men", 1.0) if title == "Jeans" else ("women", None)
        assert (one["proposed_gender"], one["proposed_gender_share"]) == proposed, title
    bare = Item("bare", "Skirts", title="A skirt that nobody photographed")
    shop.items.put(bare)
    shop.vectors.embed(masking="none")
    assert shop.items["bare"]["proposed_gender"] == shop.items[UNSAID]["proposed_gender"] == "women"


def test_a_proposed_gender_hides_nothing_and_lets_the_other_s_things_stand_lower(told_apart, catalogue):
    def doubted(**ask: Any) -> dict[str, bool]:
        found = told_apart.recommend(**{"item": UNSAID, "top": 50} | ask)
        assert {one.terms["gender"] for one in found} <= {0.0, -1.0}
        return {one.item_id: one.terms["gender"] < 0 for one in found}

    others = {one for one in told_apart.items.frame()["item_id"] if one != UNSAID}
    assert doubted() == {one: not one.startswith("Denim") for one in others}
    other = doubted(item="Dresses-red-women-0")
    assert other.pop(UNSAID)
    assert not any(other.values())
    assert not any("Denim" in one for one in other)
    for plainly in ({"gender": "any"}, {"preset": "paper"}, {"gender": "men"}, {"item": "Denim-red-men-0"}):
        assert not any(doubted(**plainly).values())
    photo = catalogue.parent / f"{UNSAID}.png"
    search = told_apart.search(photo, top=50)
    assert search.whose == ("men", 1.0)
    assert {one.item_id: one.terms["gender"] < 0 for one in search.recommendations} == doubted() | {UNSAID: False}
    assert told_apart.search(photo, gender="any").whose is None


def test_what_is_put_without_a_category_has_one_proposed_at_once(shop, encoded):
    tag = shop.items.tag("Denim-blue-women-0")
    shop.items.put(Item("new"), encoded("Denim-blue-women-0"))
    assert shop.items["new"]["proposed"] == "Denim"
    assert shop.items.tag("Denim-blue-women-0") == tag


@pytest.mark.usefixtures("quick_network")
def test_where_no_item_has_a_category_none_is_proposed(shop, catalogue):
    shop.items.add(without_category(catalogue, *shop.items.frame()["item_id"]))
    shop.vectors.embed(masking="none")
    assert shop.items.frame()["proposed"].null_count() == 24


@pytest.mark.usefixtures("quick_network")
def test_an_item_is_embedded_again_when_one_of_its_photos_comes_changes_or_goes(shop, several, catalogue):
    assert several("Dresses-red-women-6", "Dresses-red-men-0").embedded == 1
    assert several("Dresses-red-women-6", "Dresses-red-men-0").embedded == 0
    (catalogue.parent / "Dresses-red-men-0.png").write_bytes(drawn("Dresses", "green"))
    assert several("Dresses-red-women-6", "Dresses-red-men-0").embedded == 1
    assert several("Dresses-red-women-6").embedded == 1
    assert several("Dresses-red-women-6").present == 24


@pytest.mark.usefixtures("quick_network")
def test_a_further_photo_that_can_t_be_read_is_a_remark_and_no_failure(shop, several, catalogue):
    (catalogue.parent / "broken.png").write_bytes(b"no photo")
    report = several("broken", "Dresses-red-women-6")
    assert (report.embedded, report.failures) == (1, [])
    assert "broken.png" in report.remarks[0].reason


@pytest.mark.usefixtures("quick_network")
def test_a_photo_that_breaks_later_is_set_aside_when_embedding(shop, catalogue):
    (catalogue.parent / "Denim-red-men-0.png").write_bytes(b"no photo any more")
    report = shop.vectors.embed(masking="none", crop="centre")
    assert report.embedded == 23
    assert ["Denim-red-men-0.png" in str(failure) for failure in report.failures] == [True]
    assert shop.vectors.embed(masking="none", crop="centre").embedded == 0
    assert [one.reason for one in shop.vectors.failures()] == [one.reason for one in report.failures]
    coverage = shop.coverage()
    assert (coverage.photos, coverage.vectors, coverage.missing, coverage.failed) == (24, 23, 0, 1)


@pytest.mark.usefixtures("quick_network")
def test_an_interrupted_embedding_loses_a_batch_at_most_and_goes_on(shop):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.vectors.embed(masking="none", crop="centre", progress=interrupt)
    report = shop.vectors.embed(masking="none", crop="centre")
    assert report.present == 16
    assert report.embedded == 8


@pytest.mark.usefixtures("quick_network")
def test_progress_is_told_batch_by_batch(shop):
    told: list[tuple[int, int]] = []
    shop.vectors.embed(masking="none", crop="centre", progress=lambda done, total: told.append((done, total)))
    assert told == [(16, 24), (24, 24)]


def test_vectors_are_of_unit_length_and_belong_to_their_items(shop):
    item_ids, vectors = shop.vectors.matrix()
    assert item_ids == shop.items.frame()["item_id"].to_list()
    assert vectors.shape == (24, 128)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    for row in (0, 17):
        photo = Image.open(shop.items[item_ids[row]]["image"]).convert("RGB")
        expected = shop.vectors.embed_photo(photo, shop.vectors.space()).vector
        assert vectors[row] @ expected > 0.9999


@pytest.mark.usefixtures("quick_network")
def test_the_space_embedded_into_last_is_the_default(shop):
    first = shop.vectors.space()
    assert shop.vectors.spaces() == [first]
    second = shop.vectors.embed("efficientnet_lite0", masking="none").space
    assert shop.vectors.spaces() == [second, first]
    assert shop.vectors.space() == second
    assert shop.vectors.space(first.key) == first
    assert shop.vectors.space(first.backbone) == first
    assert shop.vectors.matrix(first)[0] == shop.vectors.matrix()[0]
    assert [shop.vectors.matrix(one)[1].shape for one in (None, first)] == [(24, 1280), (24, 128)]
    third = shop.vectors.embed(masking="none", crop="centre").space
    assert shop.vectors.space(first.backbone) == third, "the latest of a backbone"
    shop.vectors.embed(masking="none")
    assert shop.vectors.spaces() == [first, third, second]
    with pytest.raises(UnknownIdError, match=f"no vector space 'resnet50' here; there are: {first.key}, {third.key}"):
        shop.vectors.space("resnet50")


def test_the_first_photo_of_an_empty_shop_makes_the_default_space(tmp_path, encoded):
    with Shop.create(tmp_path / "empty") as shop:
        with pytest.raises(UnknownIdError, match="modiste embed"):
            shop.search(encoded("Dresses-red-women-0"))
        shop.items.put(Item("one", category="Dresses"), encoded("Dresses-red-women-0"))
        shop.items.put(Item("two", category="Dresses"), encoded("Dresses-blue-women-0"))
        assert [space.masking for space in shop.vectors.spaces()] == ["own"]
        found = shop.search(encoded("Dresses-red-women-0"), category="Dresses")
        assert found.recommendations[0].item_id == "one"
        assert found.labels is not None
        assert found.labels.shape == (144, 96)
        assert found.keep is not None


def test_an_item_s_labels_are_its_mask_s_or_the_parser_s(shop):
    labels = shop.vectors.labels("Dresses-red-women-0")
    assert labels is not None
    assert labels.shape == (144, 96)
    assert np.unique(labels).size > 1
    shop.items.put(Item("bare"))
    assert shop.vectors.labels("bare") is None
    with pytest.raises(UnknownIdError):
        shop.vectors.labels("nothing")


def test_a_contact_sheet_shows_photos_spread_over_the_catalogue_and_names_those_it_can_t(shop, catalogue):
    sheet, rejected = shop.vectors.contact_sheet(count=2)
    assert min(sheet.size) > 100
    assert rejected == []
    (catalogue.parent / "Denim-blue-men-0.png").write_bytes(b"no photo any more")  # the first by id
    progress: list[tuple[int, int]] = []
    _, rejected = shop.vectors.contact_sheet(count=2, progress=lambda done, total: progress.append((done, total)))
    assert ["Denim-blue-men-0.png" in str(one) for one in rejected] == [True]
    assert progress == [(1, 2), (2, 2)]


def test_a_large_catalogue_s_vectors_are_reduced_once_and_alike_ever_after(shop, encoded, catalogue, monkeypatch):
    monkeypatch.setattr(vectors_module, "REDUCED_DIM", 8)
    monkeypatch.setattr(vectors_module, "REDUCED_FROM", 25)
    assert shop.snapshot().matrix().looks.shape[1] == 128
    space = shop.vectors.embed(masking="none").space
    assert shop.vectors.matrix()[1].shape == (24, 128), "too few to fit a reduction on"
    calibration = shop.vectors.calibration(space)
    assert set(calibration) == {"look", "colour"}
    assert all(low < high for low, high in calibration.values())
    shop.items.put(Item("new", "Dresses"), encoded("Dresses-red-women-0"))
    shop.vectors.embed(masking="none")
    item_ids, before = shop.vectors.matrix()
    assert before.shape == (25, 8)
    assert np.allclose(np.linalg.norm(before, axis=1), 1, atol=1e-5)
    (catalogue.parent / "Denim-blue-men-0.png").write_bytes(drawn("Denim", "green"))
    shop.items.add(catalogue)
    shop.vectors.embed(masking="none")
    after = shop.vectors.matrix()
    assert after[0] == item_ids
    assert np.flatnonzero(np.abs(after[1] - before).max(axis=1) > 1e-5).tolist() == [0], "the one that changed"
    with Shop.open(shop.path) as anew:
        assert np.allclose(anew.vectors.matrix()[1], after[1], atol=1e-5)
    found = shop.search(encoded("Tees_Tanks-blue-men-6"), top=1).recommendations
    assert found[0].item_id == "Tees_Tanks-blue-men-6"
    assert found[0].terms["look"] > 1


# What a vector is made of


def vector_of(shop: Shop, item_id: str) -> np.ndarray:
    item_ids, vectors = shop.vectors.matrix()
    return vectors[item_ids.index(item_id)]


def expected_of(shop: Shop, item_id: str) -> np.ndarray:
    """What the item's photo of now is embedded as, with its category of now."""
    item = shop.items[item_id]
    photo = Image.open(item["image"]).convert("RGB")
    return shop.vectors.embed_photo(photo, shop.vectors.space(), item["category"]).vector


def assert_all_right(shop: Shop) -> None:
    """Every item with a photo has the vector that its photo and category lead to."""
    item_ids, vectors = shop.vectors.matrix()
    assert item_ids == shop.items.frame().drop_nulls("image")["item_id"].to_list()
    wrong = [one for one, vector in zip(item_ids, vectors, strict=True) if not expected_of(shop, one) @ vector > 0.9995]
    assert wrong == []


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has something done while photos are being embedded: before they are read, or once they have become vectors.

    It is done once, or once more for each batch of each further time.
    """
    real = vectors_module.embed_photos

    def during(*, read: Callable[[], Any] | None = None, embedded: Callable[[], Any] | None = None, times: int = 1):
        left = {"read": times, "embedded": times}

        def call(what: str, do: Callable[[], Any] | None) -> None:
            if do is not None and left[what]:
                left[what] -= 1
                do()  # which may embed as well

        def embed_photos(*arguments: Any, **options: Any) -> Iterator[EmbeddedBatch]:
            call("read", read)
            for batch in real(*arguments, **options, batch_size=3):
                call("embedded", embedded)
                yield batch

        monkeypatch.setattr(vectors_module, "embed_photos", embed_photos)

    return during


@pytest.fixture
def other(shop: Shop) -> Iterator[Shop]:
    """Another process's view of the shop."""
    with Shop.open(shop.path) as opened:
        yield opened


@pytest.mark.parametrize("when", ["read", "embedded"])
def test_a_photo_put_while_the_one_before_is_embedded_has_the_last_word(shop, other, encoded, meanwhile, when):
    first, second = encoded("Dresses-red-women-0"), encoded("Denim-blue-men-0")
    meanwhile(**{when: lambda: other.items.put(Item("new", "Dresses"), second)})
    report = shop.items.put(Item("new", "Dresses"), first)
    assert Path(shop.items["new"]["image"]).read_bytes() == second
    assert vector_of(shop, "new") @ expected_of(shop, "new") > 0.9999
    assert vector_of(shop, "new") @ vector_of(shop, "Denim-blue-men-0") > 0.9999
    assert vector_of(shop, "new") @ vector_of(shop, "Dresses-red-women-0") < 0.99, "so that the wrong one shows"
    assert (report.embedded, report.remark) == (True, None), "it has a vector now"
    assert shop.vectors.failures() == []
    assert shop.coverage().missing == 0


def test_an_item_removed_while_it_is_embedded_has_no_vector_and_its_report_says_so(shop, other, encoded, meanwhile):
    meanwhile(embedded=lambda: other.items.remove("new"))
    report = shop.items.put(Item("new", "Dresses"), encoded("Dresses-red-women-0"))
    assert not report.embedded
    assert report.remark
    assert "new" not in shop.vectors.matrix()[0]


def test_an_item_removed_and_put_anew_while_it_is_embedded_has_its_new_vector(shop, other, encoded, meanwhile):
    def replace() -> None:
        other.items.remove("new")
        other.items.put(Item("new", "Denim"), encoded("Denim-blue-men-0"))

    meanwhile(embedded=replace)
    shop.items.put(Item("new", "Dresses"), encoded("Dresses-red-women-0"))
    assert vector_of(shop, "new") @ vector_of(shop, "Denim-blue-men-0") > 0.9999


FEW = (
    "Denim-blue-men",
    "Denim-blue-women",
    "Denim-red-men",
    "Dresses-blue-men",
    "Dresses-red-women",
    "Tees_Tanks-red-women",
)


@pytest.fixture
def few(shop: Shop, catalogue: Path) -> Shop:
    """Six of the items, in the catalogue too; the parser takes its time."""
    head, *lines = catalogue.read_text().splitlines()
    catalogue.write_text("\n".join([head, *(line for line in lines if line.partition("-0,")[0] in FEW)]))
    for one in set(shop.items.frame()["item_id"]) - {f"{one}-0" for one in FEW}:
        shop.items.remove(one)
    return shop


def test_a_calibration_tells_strangers_from_photos_of_one_product() -> None:
    rng = np.random.default_rng(0)
    product = np.repeat(np.arange(40), 2)
    centres = rng.normal(size=(40, 16))[product]
    vectors = (centres + rng.normal(size=centres.shape) * 0.3).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    low, high = vectors_module.calibrated(vectors, product, "look")
    assert abs(low) < 0.1
    assert 0.85 < high < 0.97
    alone = vectors_module.calibrated(vectors, np.arange(80), "look")
    assert alone[1] == vectors_module.CALIBRATION["look"][1], "no product has two photos"
    assert vectors_module.calibrated(vectors[:1], product[:1], "colour") == list(vectors_module.CALIBRATION["colour"])


@pytest.mark.usefixtures("quick_network")
def test_what_changes_while_the_catalogue_is_embedded_is_embedded_as_it_is_in_the_end(
    few, other, catalogue, encoded, meanwhile
):
    few.items.put(Item("Denim-blue-men-0", "Denim"), encoded("Denim-blue-women-6"))  # the first by id
    changes = iter(["Denim-red-men-0", "Tees_Tanks-red-women-0"])  # of the first batch and of the last

    def change() -> None:
        one = next(changes)
        (catalogue.parent / f"{one}.png").write_bytes(drawn(one.split("-")[0], "green"))
        other.items.add(catalogue)
        other.items.put(Item("Denim-blue-men-0", "Denim"), encoded("Tees_Tanks-red-men-0"))
        other.items.put(Item("Dresses-blue-men-0", "Tees_Tanks"))  # its category alone: other pixels are its own
        if "Denim-blue-women-0" in other.items:
            other.items.remove("Denim-blue-women-0")

    meanwhile(embedded=change, times=2)
    report = few.vectors.embed(masking="own")
    assert report.failures == []
    assert len(few.items) == few.coverage().vectors
    assert next(changes, None) is None
    assert_all_right(few)


def test_a_photo_that_can_t_be_embedded_is_a_reason_in_the_report(shop, encoded):
    shop.items.put(Item("new", "Dresses"), encoded("Dresses-red-women-0"))
    Path(shop.items["new"]["image"]).write_bytes(b"no photo any more")
    report = shop.items.put(Item("new", "Denim"))
    assert (report.created, report.embedded) == (False, False)
    assert "not a photo that can be read" in str(report.remark)
    assert len(shop.vectors.failures()) == 1
    assert str(report.remark) in str(shop.vectors.failures()[0])
    assert "new" not in shop.vectors.matrix()[0]
    assert shop.items.put(Item("new", "Denim"), encoded("Denim-red-men-0")).embedded
    assert shop.vectors.failures() == []


@pytest.mark.usefixtures("quick_network")
def test_a_photo_that_is_there_again_is_no_failure_any_more(shop, catalogue):
    photo = catalogue.parent / "Denim-red-men-0.png"
    content = photo.read_bytes()
    photo.unlink()
    assert len(shop.vectors.embed(masking="none", crop="centre").failures) == 1
    photo.write_bytes(content)
    assert shop.items.put(Item("Denim-red-men-0", "Denim", "men", popularity=3.0)).embedded
    assert shop.vectors.failures() == []
    assert (shop.coverage().vectors, shop.coverage().missing, shop.coverage().failed) == (24, 0, 0)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("quick_network")
def test_a_category_that_changes_changes_the_vector_where_pixels_are_chosen_by_it(few):
    few.vectors.embed(masking="own")
    before = vector_of(few, "Dresses-red-women-0")
    few.items.put(Item("Dresses-red-women-0", "Tees_Tanks"))
    assert_all_right(few)
    few.items.put(Item("Dresses-red-women-0", "Dresses", price=3.0))
    assert np.array_equal(vector_of(few, "Dresses-red-women-0"), before)


PHOTOS = ("Dresses-red-women-0", "Denim-blue-men-0", "Tees_Tanks-red-men-6", "Dresses-blue-men-0")


@pytest.mark.usefixtures("quick_network")
def test_photos_put_at_once_by_threads_leave_the_vector_of_the_one_that_stayed(shop, other, encoded):
    photos = [encoded(name) for name in PHOTOS]
    for turn in range(4):
        barrier = Barrier(len(photos))

        def put(number: int, barrier: Barrier = barrier) -> None:
            barrier.wait(60)
            (shop, other)[number % 2].items.put(Item("new", "Dresses"), photos[number])

        with ThreadPoolExecutor(len(photos)) as pool:
            list(pool.map(put, range(len(photos))))
        stayed = Path(shop.items["new"]["image"])
        assert stayed.read_bytes() in photos
        assert [one.name for one in stayed.parent.iterdir()] == [stayed.name]
        for one in (shop, other):
            assert vector_of(one, "new") @ expected_of(shop, "new") > 0.9999, f"turn {turn}"
    assert shop.coverage().missing == 0
    assert shop.vectors.failures() == []


def test_photos_put_at_once_by_processes_leave_the_vector_of_the_one_that_stayed(shop, process, tmp_path, encoded):
    program = """
import sys
from pathlib import Path
from modiste import Item, Shop
folder, *files = sys.argv[1:]
photos = [Path(file).read_bytes() for file in files]
with Shop.open(folder) as shop:
    shop.items.put(Item(files[0]), photos[0])
    print("ready", flush=True)
    for photo in photos:
        shop.items.put(Item("new", "Dresses"), photo)
"""
    files = [tmp_path / f"{name}.png" for name in PHOTOS]
    for file in files:
        file.write_bytes(encoded(file.stem))
    running = [process(program, shop.path, *files), process(program, shop.path, *files[2:], *files[:2])]
    assert [finish() for finish in running] == ["ready", "ready"]
    for name in ("new", str(files[0]), str(files[2])):
        assert vector_of(shop, name) @ expected_of(shop, name) > 0.9999
    assert shop.coverage().missing == 0


def batch(item_ids: list[str], vectors: np.ndarray, failures: list[tuple[str, str]] | None = None) -> EmbeddedBatch:
    return EmbeddedBatch(item_ids, vectors, np.eye(COLOUR_DIM, dtype=np.float32)[[0] * len(item_ids)], failures or [])


def test_vectors_come_back_bit_for_bit(small, fill):
    ids = [f"{number:05d}" for number in range(4_000)]
    fill(small, ids)
    small.vectors._register(SPACE)
    vectors = np.random.default_rng(1).normal(size=(4_000, 128)).astype("<f2")
    vectors[0, :4] = (0.0, -0.0, 6e-8, 65504)  # the smallest and the largest that float16 knows
    assert small.vectors._store(SPACE, made_of(small, ids), batch(ids, vectors)) == 4_000
    names, stored = small.vectors.matrix(SPACE.key)
    assert names == ids
    assert stored.astype("<f2").tobytes() == vectors.tobytes()


def made_of(shop: Shop, item_ids: list[str]) -> dict[str, dict[str, Any]]:
    found = {row["item_id"]: row for row in shop.items.frame().iter_rows(named=True)}
    return {
        one: {name: found.get(one, found["a"])[name] if name != "photos" else None for name in SOURCE}
        for one in item_ids
    }


def test_a_batch_that_another_process_stored_or_whose_item_is_gone_is_left_out(small):
    small.vectors._register(SPACE)
    first, second = np.zeros((2, 128), "<f2"), np.ones((3, 128), "<f2")
    ids = ["a", "b", "c", "d", "gone"]
    sources = made_of(small, ids)
    assert small.vectors._store(SPACE, sources, batch(["a", "b"], first, [("c", "too dark")])) == 2
    assert (
        small.vectors._store(SPACE, sources, batch(["b", "d", "gone"], second, [("c", "dark"), ("gone", "dark")])) == 1
    )
    names, stored = small.vectors.matrix(SPACE)
    assert names == ["a", "b", "d"]
    assert stored.sum(axis=1).tolist() == [0, 0, 128]
    with small.storage.reading() as connection:
        table = schema.failures.c
        assert connection.execute(sa.select(table.item_id, table.reason)).all() == [("c", "too dark")]


@pytest.mark.parametrize("changed", SOURCE)
def test_what_was_made_of_something_else_is_not_stored(small, changed):
    small.vectors._register(SPACE)
    sources = made_of(small, ["a", "b"])
    sources["b"][changed] = "something else"
    vectors = np.ones((2, 128), "<f2")
    assert small.vectors._store(SPACE, sources, batch(["a", "b"], vectors)) == 1
    assert small.vectors.matrix(SPACE)[0] == ["a"]


# Another form


def in_another_form(shop: Shop) -> VectorSpace:
    """As an older program left the shop: its vectors have other shades, fewer of them; returns what the latest space
    would be today."""
    ours, spaces, vectors, fewer = shop.vectors.spaces(), schema.spaces, schema.vectors, np.eye(60, dtype="<f2")[0]
    with shop.storage.writing() as writing:
        for second, space in enumerate(reversed(ours)):
            older = replace(space, form="0" * 8)
            row = {**older.row, "used": datetime(2026, 1, 1, second=second)}
            writing.execute(spaces.insert(), row)
            new = {"space": older.key, "colour": fewer.tobytes(), "revision": writing.revision}
            writing.execute(vectors.update().where(vectors.c.space == space.key).values(new))
            writing.execute(spaces.delete().where(spaces.c.key == space.key))
    return ours[0]


@pytest.mark.usefixtures("quick_network")
def test_vectors_of_another_form_are_not_compared_until_the_photos_are_embedded_again(shop, encoded, caplog):
    space, photo, remedy = in_another_form(shop), encoded("Denim-red-women-0"), f"modiste embed {shop.name}"
    picture = Image.open(BytesIO(photo)).convert("RGB")
    with Shop.open(shop.path) as later:
        assert remedy in caplog.text
        for ask in (lambda: later.search(picture), lambda: evaluate_views(later)):
            with pytest.raises(UnknownIdError, match=remedy):
                ask()
        put = later.items.put(Item("new", "Denim"), photo)
        assert (put.embedded, "another Modiste" in put.remark, "modiste embed" in put.remark) == (False, True, True)
        steps = {step.said: step.command for step in later.status().steps(later.name)}
        assert steps["photos without a vector: 25"] == remedy
        assert {one.terms["look"] for one in later.recommend(item="Denim-red-women-0", top=5)} == {0}
        [found] = later.check("derived")
        assert (found.kind, found.mended, remedy in found.said) == ("spaces", False, True)
        assert later.vectors.embed(masking="none").embedded == 25
        assert later.check() == []
        assert (later.vectors.spaces(), len(later.storage.rows(sa.select(schema.spaces)))) == ([space], 1)
        [found] = later.search(picture, top=1).recommendations
        assert (found.category, found.terms["colour"] > 0) == ("Denim", True)
    caplog.clear()
    Shop.open(shop.path).close()
    assert not caplog.text


@pytest.mark.usefixtures("quick_network")
def test_a_check_embeds_photos_of_another_form_as_they_were_embedded(shop):
    shop.vectors.embed(masking="none", crop="centre")
    ours = in_another_form(shop)
    [told] = shop.check("all")
    assert (told.kind, told.count, told.mended, shop.check()) == ("spaces", 2, True, [])
    assert shop.vectors.spaces() == [ours]


@pytest.mark.parametrize(("category", "label"), [("Shoes", "footwear"), ("Handbags", "bag"), (None, "top")])
def test_a_single_thing_has_the_label_of_its_category(shop, category, label):
    picture, photo = BytesIO(), Image.new("RGB", (160, 160), "white")
    ImageDraw.Draw(photo).rounded_rectangle((40, 60, 120, 110), 12, fill=(20, 40, 120))
    photo.save(picture, "PNG")
    shop.items.put(Item("thing", category), picture.getvalue())
    labels = shop.vectors.labels("thing")
    assert {LABELS[one] for one in np.unique(labels)} == {"background", label}
    assert labels[80, 80] == LABELS.index(label)
