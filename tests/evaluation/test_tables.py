import csv
import io
import sys

import pytest

from modiste.commands.printing import print_report
from modiste.evaluation.metrics import Measure
from modiste.evaluation.published import Published
from modiste.evaluation.tables import EvaluationReport, Row, Table

HERE = Measure(62.123, 60.0, 64.5, 685, 50)
FEWER = Measure(77.0, 70.0, 84.0, 600, 44)
NOBODY = Measure(float("nan"), float("nan"), float("nan"), 0, 0)

TABLE = Table(
    "table1",
    "Table 1: backbones",
    [
        Row("lite0", {"category": HERE, "mae": HERE, "gender_unfiltered": FEWER}),
        Row("street", {"category": HERE, "mae": HERE, "gender_unfiltered": NOBODY}),
        Row("vgg16", published=Published(57.99, 13.32, 100.0), note="no vectors"),
        Row("high", published=Published(56.3, 12.05)),
    ],
    "What must be known.",
)


def test_a_cell_holds_the_mean_the_interval_and_its_own_n_where_that_is_another():
    lines = TABLE.markdown.splitlines()
    assert (
        "| lite0 | 62.12 [60.00, 64.50] | 62.12 [60.00, 64.50] | 77.00 [70.00, 84.00], n 600 | 685 | 50 |" in lines[4]
    )
    assert lines[-1] == "What must be known."


def test_what_was_not_run_and_what_cannot_be_known_say_so():
    text = TABLE.markdown
    assert "| vgg16 | not run here | not run here | not run here |  |  | 57.99% / 100% / 13.32 | no vectors |" in text
    assert "| not known here |" in text
    assert "56.3% / not given / 12.05" in text


def test_csv_keeps_the_numbers_whole_and_the_missing_empty():
    rows = list(csv.DictReader(io.StringIO(TABLE.csv())))
    assert rows[0]["category_mean"] == "62.123"
    assert rows[0]["gender_unfiltered_n"] == "600"
    assert rows[1]["gender_unfiltered_mean"] == ""
    assert rows[2]["category_mean"] == ""
    assert (rows[2]["paper_category"], rows[2]["paper_gender"], rows[2]["paper_mae"]) == ("57.99", "100.0", "13.32")
    assert rows[3]["paper_gender"] == ""


def test_a_report_is_written_as_one_page_and_one_csv_per_table(tmp_path):
    pictures = [tmp_path / f"{name}.png" for name in ("rows", "table1", "table1-dark")]
    EvaluationReport("Evaluation", [TABLE], ["Mind this."], pictures).write(tmp_path / "out")
    page = (tmp_path / "out" / "tables.md").read_text(encoding="utf-8")
    assert page.startswith("# Evaluation\n")
    assert "- Mind this." in page
    heading, rest = TABLE.markdown.split("\n\n", 1)
    assert f"{heading}\n\n![table1](table1.png)\n\n{rest}" in page, "a picture stands beside its table"
    assert page.endswith("![rows](rows.png)\n")
    assert (tmp_path / "out" / "table1.csv").read_text(encoding="utf-8") == TABLE.csv()


@pytest.mark.parametrize(("width", "has_intervals"), [(200, True), (100, False)])
def test_on_a_terminal_tables_have_lines_and_their_intervals_where_there_is_room(
    capsys, monkeypatch, width, has_intervals
):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_report(EvaluationReport("Evaluation", [TABLE], ["Mind this."]))
    shown = capsys.readouterr().out
    assert "62.12" in shown
    assert ("[60.00, 64.50]" in shown) == has_intervals
    assert all(words in shown for words in ("Table 1: backbones", "What must be known.", "- Mind this.", "━"))
