"""The authors' own run: what of their figures their files bear out, and what not."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.paper_run import AUTHORS, PaperRun, Way, evaluate_paper_run, read_paper_run
from modiste.errors import SourceError

ITEMS = """item_id,file_name,gender,category,popularity
id_1-01_1,a.jpg,WOMEN,Dresses,0
id_1-01_2,b.jpg,WOMEN,Dresses,10
id_2-01_1,c.jpg,MEN,Denim,5
id_3-01_1,d.jpg,WOMEN,Skirts,6
"""
USERS = "user_id,trendiness\n1,1.0\n"
PURCHASES = "user_id,item_id,category,gender,day,month\n1,id_1-01_1,Dresses,WOMEN,8,8\n"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """One shopper with τ 1 bought a dress, whose other view is the most popular item."""
    for name, text in {"items": ITEMS, "users": USERS, "purchases": PURCHASES}.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def run(shared_data: Path) -> PaperRun:
    return read_paper_run(shared_data / "paper-run")


def test_a_small_run_judged_by_hand(small):
    run = read_paper_run(small)
    measures = run.row("no visual", Way()).measures  # c and d; the other view is not recommended
    assert measures["category"].mean == pytest.approx((10 + 80) / 2)
    assert measures["mae"].mean == pytest.approx((50 + 40) / 2)
    assert measures["gender_unfiltered"].mean == 50.0
    assert run.threshold == pytest.approx(0.15 * 21)


def test_the_authors_way_recommends_other_views_and_compares_gender_with_the_purchase(small):
    measures = read_paper_run(small).row("theirs", AUTHORS).measures
    assert measures["category"].mean == pytest.approx((100 + 10 + 80) / 3)
    assert measures["gender_unfiltered"].mean == pytest.approx(100 * 2 / 3)
    assert measures["gender_authors"].mean == 100.0


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("purchases.csv", "user_id,item_id\n1,id_1-01_1\n1,nothing\n", r"purchases.csv, row 3: item 'nothing'"),
        ("purchases.csv", "user_id,item_id\n2,id_1-01_1\n", r"purchases.csv, row 2: user '2'"),
        ("users.csv", "user_id,trendiness\n1,much\n", r"users.csv, row 2: trendiness is 'much'"),
        ("users.csv", "user_id\n1\n", r"users.csv has no column trendiness"),
        ("items.csv", ITEMS + "id_1-01_1,e.jpg,MEN,Denim,1\n", r"an item_id stands twice"),
    ],
)
def test_a_broken_file_is_refused_with_its_row(small, file, text, complaint):
    (small / file).write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=complaint):
        read_paper_run(small)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"items\.csv can't be read"):
        read_paper_run(tmp_path)


@pytest.mark.data
def test_the_run_is_the_one_we_know(run):
    assert (len(run.candidates), len(run.purchases), len(np.unique(run.purchases.shopper))) == (10_324, 137, 50)
    assert set(run.candidates.gender.tolist()) == {1, 2}


@pytest.mark.data
def test_no_visual_comes_out_as_the_authors_did_but_for_the_gender(run):
    expected, spreads = run.expected("no visual", Way())
    measures = expected.measures
    assert measures["mae"].mean == pytest.approx(0.23, abs=0.02)
    assert 39 <= measures["category"].mean <= 43
    assert measures["category"].low <= 40.01 <= measures["category"].high  # the paper's figure
    assert 77 <= measures["gender_unfiltered"].mean <= 83
    assert measures["gender_unfiltered"].high < 100
    assert spreads["category"].low < 39 < 42 < spreads["category"].high  # ties alone move it by points
    assert spreads["mae"].high - spreads["mae"].low < 1e-9  # and don't touch the MAE


@pytest.mark.data
def test_the_gender_filter_makes_the_alignment_100_and_says_nothing(run):
    expected, _ = run.expected("no visual", Way(gender_filter=True), draws=20)
    assert expected.measures["gender"].mean == 100.0
    assert 39 <= expected.measures["category"].mean <= 43


@pytest.mark.data
def test_the_authors_way_gives_100_where_an_honest_look_gives_about_77(run):
    measures = run.row("theirs", AUTHORS).measures
    assert measures["gender_authors"].mean == 100.0
    assert measures["gender_unfiltered"].mean == pytest.approx(77.4, abs=0.1)
    assert 39 <= measures["category"].mean <= 43
    assert measures["mae"].mean == pytest.approx(0.23, abs=0.02)


@pytest.mark.data
def test_random_items_are_of_the_purchases_category_as_often_as_those_without_a_visual_term(run):
    ours, chance = run.row("no visual", Way()).measures["category"], run.baseline("random items").measures["category"]
    assert abs(ours.mean - chance.mean) < 2


@pytest.mark.data
def test_without_regard_to_popularity_chance_alone_gives_the_papers_error(run):
    gaps = np.abs(run.candidates.normpop[:, None] - run.purchases.trendiness)
    assert 100 * gaps.mean() == pytest.approx(31.14, abs=0.1)  # "no popularity" in the paper's Table 2


@pytest.mark.data
def test_no_item_ever_reaches_the_authors_threshold(run):
    assert run.popularity.max() == 101
    assert run.threshold == pytest.approx(77_278.5)
    assert (run.popularity >= run.threshold).sum() == 0


@pytest.mark.data
def test_the_command_prints_the_report_and_writes_its_files(shared_data, tmp_path):
    command = [sys.executable, "benchmarks/paper_run.py", str(shared_data / "paper-run")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path), "--draws", "5"], capture_output=True, text=True, check=True
    )
    assert "no visual" in done.stdout
    assert "0 of 10,324 reach the threshold" in done.stdout
    assert {one.name for one in tmp_path.iterdir()} == {"tables.md", "no_visual.csv", "threshold.png"}


def test_the_report_stands_without_writing_anything(small):
    report = evaluate_paper_run(small, draws=3)
    assert report.figures == []
    assert "not run here" in report.markdown
