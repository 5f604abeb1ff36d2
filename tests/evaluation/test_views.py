"""Photos of one product find each other: on arrays judged by hand, and in a real shop of the look book's photos."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modiste import Item, Shop
from modiste.demo import unpack
from modiste.errors import SettingError
from modiste.evaluation.tables import EvaluationReport
from modiste.evaluation.views import Gallery, _chance, evaluate_views, judge


def gallery(product: list[int], colour: list[int], category: list[int]) -> Gallery:
    n = len(product)
    names = [str(one) for one in range(n)]
    return Gallery(np.arange(n), names, names, np.array(product), np.array(category), np.full(n, -1), np.array(colour))


def test_places_are_counted_by_hand():
    """Product 0 in red (a, b) and blue (c); product 1 in red (d). a finds d, then c, then b."""
    photos = gallery([0, 0, 0, 1], [0, 0, 1, 0], [5, 5, 5, 6])
    alike = np.array([[1, 0.1, 0.5, 0.9], [0.1, 1, 0.8, 0.3], [0.5, 0.8, 1, 0.2], [0.9, 0.3, 0.2, 1]], np.float32)
    points, place, first = judge(lambda block: alike[block], photos)
    assert place.tolist() == [1, 0, 0, -1]
    assert points["recall_1"][:3].tolist() == [0, 100, 100]
    assert points["recall_5"][:3].tolist() == [100, 100, 100]
    assert np.isnan(points["recall_1"][3])
    assert points["same_colour_1"][:2].tolist() == [0, 0]  # its blue photos are left out, d stands before b
    assert np.isnan(points["same_colour_1"][2:]).all()
    assert points["colour"][[0, 2]].tolist() == [100, 0]
    assert points["kind"].tolist() == [0, 0, 0, 0]
    assert np.isnan(points["sex"]).all()
    assert first[0].tolist() == [3, 2, 1]


def test_a_space_in_which_all_photos_are_equal_finds_nothing():
    photos = gallery([0, 0, 1, 1], [-1] * 4, [0] * 4)
    points, _, _ = judge(lambda block: np.ones((block.stop - block.start, 4), np.float32), photos)
    assert points["recall_1"].tolist() == [0, 0, 0, 0]


def test_chance_is_what_random_orders_reach_on_average():
    rng = np.random.default_rng(3)
    photos = gallery(
        rng.integers(0, 12, 40).tolist(), rng.integers(-1, 3, 40).tolist(), rng.integers(-1, 4, 40).tolist()
    )
    expected = _chance(photos)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in expected}
    for _ in range(300):
        scores = rng.random((40, 40), np.float32)
        for name, points in judge(lambda block, scores=scores: scores[block], photos)[0].items():
            drawn[name].append(points)
    for name, points in expected.items():
        if np.isfinite(points).any():
            assert np.nanmean(points) == pytest.approx(np.nanmean(drawn[name]), abs=1.5), name


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("views")
    book = unpack(folder / "book", 12)
    with Shop.create(folder / "looks") as made:
        made.items.add(book.table)
        made.vectors.embed(masking="clothes", masks="given")
        yield made


@pytest.fixture(scope="module")
def report(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> EvaluationReport:
    return evaluate_views(shop, tmp_path_factory.mktemp("out"))


def test_views_of_a_product_find_each_other_far_more_often_than_by_chance(report):
    rows = {row.name: row.measures for row in report.tables[0].rows}
    assert list(rows) == [
        "chance",
        "modiste_s, masking clothes: look and colour",
        "modiste_s, masking clothes: look",
        "modiste_s, masking clothes: colour",
        "modiste_s unmasked: look",
        "colours of the whole photo",
    ]
    assert rows["chance"]["recall_1"].mean == pytest.approx(100 / 23)
    assert rows["modiste_s, masking clothes: look and colour"]["recall_1"].low > 30
    assert all(one.n == 24 and one.shoppers == 12 for one in (row["recall_1"] for row in rows.values()))


def test_tables_figures_for_both_schemes_and_the_misses_are_written(report):
    folder = report.figures[0].parent
    written = {path.name for path in folder.iterdir()}
    assert {"tables.md", "views.csv", "views.png", "views-dark.png"} <= written
    assert (
        (folder / "views.csv")
        .read_text()
        .startswith("row,recall_1_mean,recall_1_low,recall_1_high,recall_1_n,recall_1_products")
    )
    with Image.open(folder / "views.png") as light, Image.open(folder / "views-dark.png") as dark:
        assert light.convert("L").getpixel((1, 1)) > 250
        assert dark.convert("L").getpixel((1, 1)) < 40


def test_a_sample_is_of_whole_products(shop):
    measures = evaluate_views(shop, sample=10).tables[0].rows[0].measures
    assert measures["recall_1"].n == 10
    assert measures["recall_1"].shoppers == 5


def test_sizes_that_share_a_photo_do_not_find_themselves(shop, tmp_path: Path):
    first = shop.items.frame().row(0, named=True)
    with Shop.create(tmp_path / "sizes") as sizes:
        for size in ("s", "m"):
            sizes.items.put(Item(size, image=first["image"], product="dress"))
        sizes.vectors.embed(masking="none")
        with pytest.raises(SettingError, match="no product of sizes has two photos"):
            evaluate_views(sizes)
