import sys

import numpy as np
import pytest
from PIL import Image

from modiste.evaluation import figures
from modiste.evaluation.metrics import Measure
from modiste.evaluation.published import Published
from modiste.evaluation.tables import Row, Table

SOME = Measure(62.0, 60.0, 64.0, 685, 50)


def _pixels(path, colour: str) -> int:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    with Image.open(path) as drawn:
        pixels = np.asarray(drawn.convert("RGB")).astype(int)
    return int((np.abs(pixels - wanted).max(axis=2) < 8).sum())


def test_matplotlib_is_not_imported_before_a_picture_is_drawn():
    import subprocess

    code = "import sys, modiste.evaluation.figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_papers_figures_stand_beside_ours(tmp_path):
    alone = Table("t", "Alone", [Row("lite0", {"category": SOME, "mae": SOME})])
    beside = Table("t", "Beside", [Row("lite0", {"category": SOME, "mae": SOME}, Published(64.95, 12.96))])
    without = figures.measures(alone, tmp_path / "alone.png")
    with_paper = figures.measures(beside, tmp_path / "beside.png")
    assert _pixels(without, figures.OURS) > 100
    assert _pixels(without, figures.PAPER) == 0
    assert _pixels(with_paper, figures.PAPER) > 20


def test_a_row_that_was_not_run_shows_only_the_paper(tmp_path):
    table = Table(
        "t", "T", [Row("lite0", {"category": SOME, "mae": SOME}), Row("vgg16", published=Published(58, 13.3))]
    )
    assert _pixels(figures.measures(table, tmp_path / "t.png"), figures.PAPER) > 20


def test_a_table_of_which_nothing_was_run_can_be_drawn(tmp_path):
    table = Table("t", "T", [Row("vgg16", published=Published(58, 13.3))])
    with Image.open(figures.measures(table, tmp_path / "t.png")) as drawn:
        assert drawn.width > 100


@pytest.mark.parametrize("image", [None, "broken.jpg"])
def test_an_item_without_a_readable_photo_keeps_its_place(tmp_path, image):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    Image.new("RGB", (60, 90), "#2e8b57").save(tmp_path / "green.png")
    rows = [("lite0", [("green", str(tmp_path / "green.png")), ("none", image and str(tmp_path / image))])]
    light, dark = figures.side_by_side(("bought", str(tmp_path / "green.png")), rows, tmp_path / "rows.png")
    assert _pixels(light, "#2e8b57") > 5000
    assert _pixels(dark, "#2e8b57") > 5000
    assert _pixels(light, "#ffffff") > 10 * _pixels(dark, "#ffffff")
