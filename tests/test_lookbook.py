"""The demo's look book: it is what is drawn, and, as tests trust it, its masks, names and colours have to be exact."""

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from lookbook import draw_lookbook
from lookbook.archive import ERROR, SEED, VIEWS, near, write_archive
from lookbook.book import draw, plan
from modiste import demo
from modiste.catalog.palette import LABELS, PALETTE
from modiste.catalog.readers import read_source
from modiste.catalog.taxonomy import PAPER, Taxonomy
from modiste.demo import ARCHIVE, PRODUCTS, Demo, unpack
from modiste.errors import SettingError, SourceError
from modiste.vision.backbones import Encoder, get_backbone
from modiste.vision.embedding import PhotoJob, embed_photos
from modiste.vision.masks import decode_mask


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return unpack(tmp_path_factory.mktemp("look"))


@pytest.fixture(scope="module")
def rows(book: Demo) -> list[dict[str, str]]:
    with book.table.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return Taxonomy.load(PAPER)


def labels_of(book: Demo, row: dict[str, str]) -> npt.NDArray[np.uint8]:
    return decode_mask(book.table.parent / row["mask"]).labels


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# The archive


def test_the_archive_takes_no_more_than_eight_megabytes() -> None:
    assert ARCHIVE.stat().st_size <= 8_000_000


def test_the_archive_holds_what_the_plan_says(rows: list[dict[str, str]]) -> None:
    planned = list(plan(PRODUCTS, VIEWS, SEED))
    assert [row["item_id"] for row in rows] == [look.item_id for look in planned]
    assert [row["image"] for row in rows] == [f"photos/{look.stem}.webp" for look in planned]


def test_looks_drawn_again_are_those_in_the_archive(book: Demo, rows: list[dict[str, str]]) -> None:
    for number in range(0, book.items, 40):
        photo, mask, truth = draw(list(plan(PRODUCTS, VIEWS, SEED))[number])
        row = rows[number]
        assert row == truth | {"image": row["image"]}
        with Image.open(book.table.parent / row["image"]) as archived:
            apart = np.abs(np.asarray(archived).astype(int) - np.asarray(photo))
        outside = (apart > ERROR).any(axis=2) | (labels_of(book, row) != decode_mask(mask).labels)
        assert outside.mean() < 0.001, row["item_id"]  # none where it was drawn; another processor may round an edge


def test_rounding_moves_no_level_further_than_is_said() -> None:
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    apart = np.abs(np.asarray(near(Image.fromarray(levels))).astype(int) - levels)
    assert apart.max(axis=(0, 1)).tolist() == list(ERROR)


def test_the_archive_is_written_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("one", "again"):
        write_archive(tmp_path / name, products=1)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "again").read_bytes()


# Unpacking


def test_the_first_products_are_unpacked_and_nothing_else(tmp_path: Path, book: Demo) -> None:
    seen: list[tuple[int, int]] = []
    few = unpack(tmp_path, 3, lambda done, total: seen.append((done, total)))
    everything = contents(book.table.parent)
    written = contents(tmp_path)
    table = written.pop("looks.csv")
    assert few.items == 6
    assert seen[-1] == (6, 6)
    assert len(seen) == 6
    assert everything["looks.csv"].startswith(table)
    assert len(written) == 12
    assert all(everything[name] == data for name, data in written.items())


@pytest.mark.parametrize("products", [0, -1, PRODUCTS + 1])
def test_more_or_fewer_products_than_there_are_are_refused(tmp_path: Path, products: int) -> None:
    with pytest.raises(SettingError, match="1 to 160"):
        unpack(tmp_path, products)


@pytest.mark.parametrize("image", ["../outside.webp", "/tmp/outside.webp", "photos/../../outside.webp"])
def test_an_archive_that_names_a_file_elsewhere_is_refused(
    tmp_path: Path, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("looks.csv", f"product,image,mask\none,{image},{image}\n")
        archive.writestr(image, b"?")
    monkeypatch.setattr(demo, "ARCHIVE", tmp_path / "bad.zip")
    with pytest.raises(SourceError, match="install modiste again"):
        unpack(tmp_path / "within")
    assert not list(tmp_path.rglob("*.webp"))


def test_a_damaged_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(ARCHIVE.read_bytes())
    data[1000] ^= 1  # in the first photo
    (tmp_path / "bad.zip").write_bytes(data)
    monkeypatch.setattr(demo, "ARCHIVE", tmp_path / "bad.zip")
    with pytest.raises(SourceError, match="install modiste again"):
        unpack(tmp_path / "within", 1)


# Drawing


def test_the_same_seed_draws_the_same_bytes_and_another_seed_other_ones(tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("again", 5), ("other", 6)):
        draw_lookbook(tmp_path / name, products=2, views=1, seed=seed)
    one, again, other = (contents(tmp_path / name) for name in ("one", "again", "other"))
    assert one == again
    assert len(one) == 2 * 2 + 1
    assert one["looks.csv"] != other["looks.csv"]


def test_a_longer_look_book_begins_with_the_shorter_one(tmp_path: Path) -> None:
    draw_lookbook(tmp_path / "short", products=1, views=1)
    draw_lookbook(tmp_path / "long", products=3, views=1)
    long = contents(tmp_path / "long")
    assert all(long[name] == data for name, data in contents(tmp_path / "short").items() if name.endswith(".png"))


def test_progress_counts_every_photo(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    draw_lookbook(tmp_path, products=2, views=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(("products", "views"), [(0, 1), (5, 0), (5, 6)])
def test_an_impossible_size_is_refused(tmp_path: Path, products: int, views: int) -> None:
    with pytest.raises(SettingError):
        draw_lookbook(tmp_path, products=products, views=views)


# What is drawn


def test_every_category_of_the_taxonomy_and_both_genders_are_drawn(
    rows: list[dict[str, str]], taxonomy: Taxonomy
) -> None:
    assert {row["category"] for row in rows} == set(taxonomy.categories)
    departments = Counter((row["gender"], row["category"]) for row in rows)
    assert len({category for gender, category in departments if gender == "women"}) == 14
    assert len({category for gender, category in departments if gender == "men"}) == 9
    assert set(departments.values()) <= {12, 14}


def test_masks_are_as_large_as_their_photos_and_hold_the_palette_alone(book: Demo, rows: list[dict[str, str]]) -> None:
    palette = {tuple(colour) for colour in PALETTE.tolist()}
    for row in rows:
        with Image.open(book.table.parent / row["image"]) as photo, Image.open(book.table.parent / row["mask"]) as mask:
            assert photo.mode == "RGB"
            assert photo.size == mask.size == (256, 384)
            assert {tuple(colour) for _, colour in mask.convert("RGB").getcolors()} <= palette


def test_the_items_own_garment_is_always_well_in_the_photo(
    book: Demo, rows: list[dict[str, str]], taxonomy: Taxonomy
) -> None:
    for row in rows:
        own = [LABELS.index(name) for name in taxonomy.labels(row["category"])]
        assert np.isin(labels_of(book, row), own).mean() > 0.03, row["item_id"]


def test_a_figure_wears_more_than_the_item(book: Demo, rows: list[dict[str, str]], taxonomy: Taxonomy) -> None:
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
    book: Demo, rows: list[dict[str, str]], taxonomy: Taxonomy
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


def test_views_of_a_product_share_its_cut_and_colour_but_not_the_photo(book: Demo, rows: list[dict[str, str]]) -> None:
    same = ("category", "gender", "colour", "rgb", "pattern", "garment", "sleeve", "neck", "price")
    for one, other in zip(rows[::2], rows[1::2], strict=True):
        assert one["product"] == other["product"]
        assert one["view"] != other["view"]
        assert [one[key] for key in same] == [other[key] for key in same]
        assert (labels_of(book, one) != labels_of(book, other)).mean() > 0.02


def test_the_catalogue_reads_the_folder_and_the_table_alike(book: Demo, taxonomy: Taxonomy) -> None:
    folder = read_source(book.photos, taxonomy, book.masks)
    table = read_source(book.table, taxonomy)
    assert folder.rejected == table.rejected == []
    assert folder.unknown_categories == table.unknown_categories == {}

    def facts(items: list) -> dict:
        return {i.item_id: (i.category, i.gender, i.product, Path(i.image), Path(i.mask)) for i in items}

    assert len(facts(folder.items)) == book.items
    assert facts(folder.items) == facts(table.items)


def test_with_masks_nearest_neighbours_agree_more_often_in_category_and_in_colour(
    book: Demo, rows: list[dict[str, str]], taxonomy: Taxonomy, record_property: Callable[[str, object], None]
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
    book: Demo, rows: list[dict[str, str]], taxonomy: Taxonomy, encoder: Encoder, masking: str
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
