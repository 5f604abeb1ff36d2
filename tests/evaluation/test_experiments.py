"""The paper's experiments on a real shop of 36 drawn items, with vectors of a real backbone."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from modiste import Event, Item, Shop, evaluate
from modiste.errors import SettingError, UnknownIdError
from modiste.evaluation import EvaluationReport
from modiste.evaluation.experiments import purchases_of

from ..garments import BOXES, drawn

KINDS = tuple(BOXES)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Twelve plain garments of each kind, half for men and half for women; four shoppers, one of unknown trendiness."""
    folder = tmp_path_factory.mktemp("experiments")
    rows = []
    for number in range(36):
        kind = KINDS[number % 3]
        (folder / f"{number}.png").write_bytes(drawn(kind, f"rgb({7 * number}, 60, {250 - 6 * number})"))
        gender = "MEN" if number % 4 < 2 else "WOMEN"
        rows.append((f"i{number:02d}", f"{number}.png", kind, gender, float(10 * number)))
    columns = ["item_id", "image", "category", "gender", "popularity"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(folder / "items.csv")
    with Shop.create(folder / "drawn") as made:
        made.items.add(folder / "items.csv")
        made.vectors.embed(masking="none")
        for name, tau in {"ann": 0.1, "bob": 0.5, "cat": 0.9}.items():
            made.shoppers.put(name, trendiness=tau)
        start = datetime(2025, 1, 1)
        buys = [("ann", "i02"), ("ann", "i03"), ("bob", "i04"), ("cat", "i06"), ("dan", "i08")]
        made.purchases.record([Event(who, what, start + timedelta(days=day)) for day, (who, what) in enumerate(buys)])
        yield made


def test_all_tables_have_their_rows_and_the_papers_figures_beside_them(shop):
    report = evaluate(shop, "all")
    tables = {table.name: table for table in report.tables}
    assert list(tables) == ["table1", "baselines", "table2", "table3"]
    assert [row.name.split(",")[0] for row in tables["table1"].rows] == [
        "modiste_s", "resnet50", "densenet121", "vgg16",
    ]  # fmt: skip
    assert [row.name for row in tables["table2"].rows] == [
        "paper: full", "paper: no popularity", "paper: no visual",
        "balanced: full", "balanced: no popularity", "balanced: no visual", "balanced: no category",
    ]  # fmt: skip
    assert [row.published.category for row in tables["table3"].rows] == [62.52, 65.24, 56.3]


def test_a_backbone_that_the_shop_never_embedded_is_not_measured_but_said_to_be_missing(shop):
    text = evaluate(shop, "backbones").tables[0].markdown
    resnet = next(line for line in text.splitlines() if line.startswith("| resnet50"))
    assert "not run here" in resnet
    assert "64.95% / 100% / 12.96" in resnet
    assert "this shop has no vectors of it" in resnet


def test_leaving_out_the_popularity_costs_popularity_error(shop):
    rows = {row.name: row.measures for row in evaluate(shop, "ablation").tables[0].rows}
    assert rows["paper: no popularity"]["mae"].mean > rows["paper: full"]["mae"].mean
    assert rows["paper: no visual"]["mae"].mean <= rows["paper: full"]["mae"].mean


def test_every_shopper_stands_in_one_third_of_the_trendiness(shop):
    rows = evaluate(shop, "trendiness").tables[0].rows
    assert sum(row.measures["category"].shoppers for row in rows if row.measures) == 4


def test_the_authors_comparison_of_gender_is_an_option(shop):
    honest = evaluate(shop, "trendiness").tables[0]
    theirs = evaluate(shop, "trendiness", authors_gender=True).tables[0]
    assert "gender_authors" not in honest.columns
    assert all(row.measures["gender_authors"].mean == 100.0 for row in theirs.rows if row.measures)


def test_an_estimated_trendiness_is_declared(shop):
    assert purchases_of(shop, shop.snapshot())[1] == 1
    assert any("trendiness of 1 of the shoppers was estimated" in note for note in evaluate(shop, "trendiness").notes)


def test_purchases_are_judged_in_the_order_made_with_each_shopper_s_trendiness(shop):
    snapshot = shop.snapshot()
    purchases, _ = purchases_of(shop, snapshot)
    assert [snapshot.item_ids[row] for row in purchases.item.tolist()] == ["i02", "i03", "i04", "i06", "i08"]
    assert purchases.shopper.tolist() == [0, 0, 1, 2, 3]
    assert purchases.trendiness[:4].tolist() == [0.1, 0.1, 0.5, 0.9]
    assert purchases.trendiness[4] == shop.shoppers["dan"].trendiness
    assert purchases.gender.tolist() == [2, 2, 1, 2, 1]


def test_an_item_that_is_gone_is_in_no_table(tmp_path, shop):
    def measured(report: EvaluationReport) -> list[object]:
        rows = [row for table in report.tables for row in table.rows]
        return [
            (row.name, name, one.n, round(one.mean, 9), round(one.high, 9))
            for row in rows
            for name, one in row.measures.items()
        ]

    with Shop.create(tmp_path / "other") as other:
        other.items.add(shop.path.parent / "items.csv")
        other.vectors.embed(masking="none")
        other.purchases.record([Event(who, "i02", datetime(2025, 1, 1)) for who in ("ann", "bob", "cat")])
        other.shoppers.put("ann", trendiness=0.1)
        before = measured(evaluate(other, "all"))
        other.items.put(Item("gone", "Dresses", popularity=10_000.0))
        other.purchases.record([Event("dan", "gone", datetime(2025, 1, 2))])
        assert measured(evaluate(other, "all")) != before
        other.items.remove("gone")
        assert measured(evaluate(other, "all")) == before


def test_the_same_seed_gives_the_same_report(shop):
    assert evaluate(shop, "all", seed=7).markdown == evaluate(shop, "all", seed=7).markdown


def test_the_files_are_written_where_asked(shop, tmp_path: Path):
    report = evaluate(shop, "all", tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    stems = ["table1", "baselines", "table2", "table3"]
    figures = {f"{stem}{dark}.png" for stem in (*stems, "side_by_side") for dark in ("", "-dark")}
    assert names == {"tables.md", *(f"{stem}.csv" for stem in stems), *figures}
    assert "-dark" not in report.markdown
    for figure in report.figures:
        with Image.open(figure) as shown:
            assert shown.width > 200


def test_an_unknown_experiment_is_refused_with_the_ones_there_are(shop):
    with pytest.raises(SettingError, match="backbones, ablation, trendiness, all"):
        evaluate(shop, "tables")


def test_a_shop_without_purchases_says_how_to_get_some(tmp_path):
    with Shop.create(tmp_path / "empty") as empty, pytest.raises(SettingError, match="modiste simulate empty"):
        evaluate(empty)


def test_a_shop_without_vectors_says_how_to_get_some(tmp_path):
    with Shop.create(tmp_path / "bare") as bare:
        bare.items.put(Item("a", "Denim"))
        bare.purchases.record([Event("ann", "a", datetime(2025, 1, 1))])
        with pytest.raises(UnknownIdError, match="modiste embed bare"):
            evaluate(bare)
