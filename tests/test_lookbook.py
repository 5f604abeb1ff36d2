"""The look book is the tests' own truth, so its masks, names and colours have to be exact."""

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from modiste.catalog.palette import LABELS, PALETTE
from modiste.catalog.readers import read_source
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import SettingError
from modiste.lookbook import Lookbook, draw_lookbook
from modiste.vision.backbones import Encoder, get_backbone
from modiste.vision.embedding import PhotoJob, embed_photos
from modiste.vision.masks import decode_mask


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Lookbook:
    return draw_lookbook(tmp_path_factory.mktemp("look"))


@pytest.fixture(scope="module")
def rows(book: Lookbook) -> list[dict[str, str]]:
    with book.table.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return Taxonomy.load()


def labels_of(book: Lookbook, row: dict[str, str]) -> npt.NDArray[np.uint8]:
    return decode_mask(book.table.parent / row["mask"]).labels


def contents(book: Lookbook) -> dict[str, bytes]:
    folder = book.table.parent
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_draws_the_same_bytes_and_another_seed_other_ones(tmp_path: Path) -> None:
    one, again, other = (
        contents(draw_lookbook(tmp_path / name, products=3, views=2, seed=seed))
        for name, seed in (("one", 5), ("again", 5), ("other", 6))
    )
    assert one == again
    assert len(one) == 3 * 2 * 2 + 1
    assert one["looks.csv"] != other["looks.csv"]


def test_a_longer_look_book_begins_with_the_shorter_one(tmp_path: Path) -> None:
    short = contents(draw_lookbook(tmp_path / "short", products=2, views=1))
    long = contents(draw_lookbook(tmp_path / "long", products=4, views=1))
    assert all(long[name] == data for name, data in short.items() if name.endswith(".png"))


def test_progress_counts_every_photo(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    draw_lookbook(tmp_path, products=2, views=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(("products", "views"), [(0, 1), (5, 0), (5, 6)])
def test_an_impossible_size_is_refused(tmp_path: Path, products: int, views: int) -> None:
    with pytest.raises(SettingError):
        draw_lookbook(tmp_path, products=products, views=views)


def test_every_category_of_the_taxonomy_and_both_genders_are_drawn(
    rows: list[dict[str, str]], taxonomy: Taxonomy
) -> None:
    assert {row["category"] for row in rows} == set(taxonomy.categories)
    departments = Counter((row["gender"], row["category"]) for row in rows)
    assert len({category for gender, category in departments if gender == "women"}) == 14
    assert len({category for gender, category in departments if gender == "men"}) == 9
    assert set(departments.values()) <= {12, 14}


def test_masks_are_as_large_as_their_photos_and_hold_the_palette_alone(
    book: Lookbook, rows: list[dict[str, str]]
) -> None:
    palette = {tuple(colour) for colour in PALETTE.tolist()}
    for row in rows:
        with Image.open(book.table.parent / row["image"]) as photo, Image.open(book.table.parent / row["mask"]) as mask:
            assert photo.mode == "RGB"
            assert photo.size == mask.size == (256, 384)
            assert {tuple(colour) for _, colour in mask.convert("RGB").getcolors()} <= palette


def test_the_items_own_garment_is_always_well_in_the_photo(
    book: Lookbook, rows: list[dict[str, str]], taxonomy: Taxonomy
) -> None:
    for row in rows:
        own = [LABELS.index(name) for name in taxonomy.labels(row["category"])]
        assert np.isin(labels_of(book, row), own).mean() > 0.03, row["item_id"]


def test_a_figure_wears_more_than_the_item(book: Lookbook, rows: list[dict[str, str]], taxonomy: Taxonomy) -> None:
    garments = {"top", "outer", "skirt", "dress", "pants", "leggings", "rompers"}
    others, seen = 0, set()
    for row in rows:
        worn = {LABELS[label] for label in np.unique(labels_of(book, row))}
        seen |= worn
        others += bool((worn & garments) - taxonomy.labels(row["category"]))
        assert worn & {"skin", "face", "hair"}, row["item_id"]
    assert others > 0.75 * len(rows)
    assert seen >= garments | {
        "headwear",
        "eyeglass",
        "belt",
        "footwear",
        "bag",
        "socks",
        "necklace",
        "earrings",
        "tie",
    }


def test_the_masked_pixels_of_a_plain_garment_have_the_colour_the_table_says(
    book: Lookbook, rows: list[dict[str, str]], taxonomy: Taxonomy
) -> None:
    plain = [row for row in rows if row["pattern"] == "plain"]
    assert len(plain) > 60
    for row in plain:
        own = [LABELS.index(name) for name in taxonomy.labels(row["category"])]
        with Image.open(book.table.parent / row["image"]) as picture:
            photo = np.asarray(picture)
        seen = np.median(photo[np.isin(labels_of(book, row), own)], axis=0)
        said = np.array([int(row["rgb"][i : i + 2], 16) for i in (1, 3, 5)])
        assert np.abs(seen - said).max() < 40, row["item_id"]


def test_views_of_a_product_share_its_cut_and_colour_but_not_the_photo(
    book: Lookbook, rows: list[dict[str, str]]
) -> None:
    same = ("category", "gender", "colour", "rgb", "pattern", "garment", "sleeve", "neck", "price")
    for one, other in zip(rows[::2], rows[1::2], strict=True):
        assert one["product"] == other["product"]
        assert one["view"] != other["view"]
        assert [one[key] for key in same] == [other[key] for key in same]
        assert (labels_of(book, one) != labels_of(book, other)).mean() > 0.02


def test_the_catalogue_reads_the_folder_and_the_table_alike(book: Lookbook, taxonomy: Taxonomy) -> None:
    folder = read_source(book.photos, taxonomy, book.masks)
    table = read_source(book.table, taxonomy)
    assert folder.rejected == table.rejected == []
    assert folder.unknown_categories == table.unknown_categories == {}

    def facts(items: list) -> dict:
        return {i.item_id: (i.category, i.gender, i.product, Path(i.image), Path(i.mask)) for i in items}

    assert len(facts(folder.items)) == book.items
    assert facts(folder.items) == facts(table.items)


def test_with_masks_nearest_neighbours_agree_more_often_in_category_and_in_colour(
    book: Lookbook, rows: list[dict[str, str]], taxonomy: Taxonomy, record_property: Callable[[str, object], None]
) -> None:
    encoder = Encoder(get_backbone("efficientnet_lite0"))
    without, masked = (agreement(book, rows, taxonomy, encoder, masking) for masking in ("none", "own"))
    margin = {what: masked[what] - without[what] for what in masked}
    for what, gain in margin.items():
        record_property(f"{what} margin", round(gain, 4))
        print(f"{what}: {without[what]:.3f} without masks, {masked[what]:.3f} with ({gain:+.3f})")
    assert margin["category"] > 0.15
    assert margin["colour"] > 0.02
    assert margin["category and colour"] > 0.03


def agreement(
    book: Lookbook, rows: list[dict[str, str]], taxonomy: Taxonomy, encoder: Encoder, masking: str
) -> dict[str, float]:
    """How often an item's nearest neighbour, other views of its product aside, is of its category and colour."""
    folder = book.table.parent
    jobs = [
        PhotoJob(
            row["item_id"], str(folder / row["image"]), str(folder / row["mask"]), taxonomy.labels(row["category"])
        )
        for row in rows
    ]
    vectors: dict[str, npt.NDArray[np.float32]] = {}
    for batch in embed_photos(jobs, encoder, masking, encoder.spec.crop):
        assert batch.failures == []
        vectors.update(zip(batch.item_ids, batch.vectors, strict=True))
    matrix = np.stack([vectors[row["item_id"]] for row in rows])
    product, category, colour = (np.array([row[key] for row in rows]) for key in ("product", "category", "colour"))
    similarity = np.where(product[:, None] == product[None, :], -np.inf, matrix @ matrix.T)
    nearest = similarity.argmax(axis=1)
    same_category, same_colour = category[nearest] == category, colour[nearest] == colour
    return {
        "category": float(same_category.mean()),
        "colour": float(same_colour.mean()),
        "category and colour": float((same_category & same_colour).mean()),
    }
