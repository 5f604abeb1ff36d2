"""The commands, run as a user runs them: a process, its output, its exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent / "modiste"


def run(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(BIN), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=os.environ | {"COLUMNS": "200"})


def test_help_comes_at_once_and_imports_nothing_of_weight():
    heavy = "numpy polars onnxruntime sqlalchemy"
    code = f"import sys, modiste.cli; print([m for m in {heavy.split()} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    shown = run("--help")
    assert "recommend" in shown.stdout
    assert "Example" in run("recommend", "--help").stdout


def test_an_error_is_one_line_without_a_traceback(tmp_path):
    shown = run("embed", tmp_path / "nothing")
    assert shown.returncode == 2
    assert "modiste new" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_shop_from_photos_to_recommendations(tmp_path):
    from PIL import Image

    for kind, colour in (("Denim", "navy"), ("Denim", "blue"), ("Dresses", "red"), ("Dresses", "darkred")):
        (tmp_path / "photos" / kind).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 90), colour).save(tmp_path / "photos" / kind / f"{colour}.jpg")
    (tmp_path / "photos" / "Denim" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert run("new", "shop", cwd=tmp_path).returncode == 0
    strict = run("add", "items", "shop", "photos", "--strict", cwd=tmp_path)
    assert strict.returncode == 1
    assert "broken.jpg" in strict.stderr
    assert "4 added" in strict.stdout
    assert "4 unchanged" in run("add", "items", "shop", "photos", cwd=tmp_path).stdout
    assert "embedded 4" in run("embed", "shop", "--masking", "none", cwd=tmp_path).stdout
    assert run("simulate", "shop", "--shoppers", 5, "--seed", 1, cwd=tmp_path).returncode == 0
    found = run("recommend", "shop", "--item", "Denim/navy", "--top", 2, "--json", cwd=tmp_path)
    assert len(json.loads(found.stdout)) == 2
    told = run("recommend", "shop", "--shopper", 1, "--html", "page.html", cwd=tmp_path)
    assert "because of" in told.stdout
    assert "<img" in (tmp_path / "page.html").read_text()
    refused = run("recommend", "shop", "--shopper", 1, "--penalty", 3, cwd=tmp_path)
    assert refused.returncode == 2
    assert "even" in refused.stderr


def test_masks_that_the_parser_writes_go_in_again_as_given_masks(tmp_path):
    from modiste.demo import unpack

    book = unpack(tmp_path / "book", 2)
    photos = sorted(book.photos.iterdir())
    shown = run("parse", *photos, "--out", "masks", cwd=tmp_path)
    assert "wrote 4 masks" in shown.stdout
    run("new", "shop", cwd=tmp_path)
    assert "4 added" in run("add", "items", "shop", book.photos, "--masks", "masks", "--strict", cwd=tmp_path).stdout
    given = run("embed", "shop", "--masks", "given", "--strict", cwd=tmp_path)
    assert "embedded 4" in given.stdout
    parsed = run("embed", "shop", "--masks", "parser", "--strict", cwd=tmp_path)
    assert "embedded 4" in parsed.stdout
    from modiste import Shop

    with Shop.open(tmp_path / "shop") as shop:
        one, other = (shop.vectors(space)[1] for space in shop.spaces())
    assert float((one * other).sum(1).min()) > 0.999


def test_doctor_finds_every_shipped_model_whole():
    shown = run("doctor")
    assert shown.returncode == 0, shown.stdout
    assert "efficientnet_lite0: ok" in shown.stdout


@pytest.mark.data
def test_the_street_photos_go_all_the_way(shared_data, tmp_path):
    run("new", "street", cwd=tmp_path)
    assert "700 added" in run("add", "items", "street", shared_data / "street" / "items.csv", cwd=tmp_path).stdout
    assert "embedded 700" in run("embed", "street", "--masks", "given", cwd=tmp_path).stdout
    run("simulate", "street", cwd=tmp_path)
    found = json.loads(run("recommend", "street", "--shopper", 1, "--json", cwd=tmp_path).stdout)
    assert len(found) == 5
    for one in found:
        total = one["visual"] + one["popularity"] + one["category"]
        assert abs(total - one["relevance"]) < 1e-6
    assert run("masks", "street", "--out", "sheet.png", "--count", 3, cwd=tmp_path).returncode == 0
    assert run("evaluate", "street", "all", "--out", "tables", cwd=tmp_path).returncode == 0
    assert (tmp_path / "tables" / "table1.csv").is_file()
