"""What the README tells to type, as a newcomer types it, over her own folder."""

import csv
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from .garments import drawn
from .running import ONCE, serving, typed

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SERVE = "modiste serve street"


def commands(text: str) -> list[str]:
    """The commands of the first indented block of ``text``, without their comments."""
    block = re.search(r"(?:^ {4}.*\n)+", text, re.M)
    assert block is not None
    return [re.sub(r"\s+#.*", "", line).strip() for line in block[0].splitlines()]


def section(heading: str) -> str:
    return README.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def run(line: str, folder: Path) -> str:
    """The output of a command that succeeds."""
    ran = typed(*shlex.split(line)[1:], folder=folder)
    assert ran.code == 0, f"{line}: {ran.out}{ran.err}"
    return ran.out


def python(heading: str) -> str:
    return section(heading).partition("```python\n")[2].partition("```")[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Her folder, with the shop that the first four of the five commands make."""
    folder = tmp_path_factory.mktemp("newcomer")
    photos = folder / "photos"
    photos.mkdir()
    for number, colour in enumerate(("red", "blue", "red")):
        (photos / f"{number}.jpg").write_bytes(drawn("Dresses", colour, slimmer=4 * number, form="JPEG"))
    with (photos / "items.csv").open("w", newline="") as file:
        rows = [[f"000{number}", f"{number}.jpg", "Dresses"] for number in range(3)]
        csv.writer(file).writerows([["item_id", "image", "category"], *rows])
    install, *others, serve = commands(section("Your own shop, in five commands"))
    assert len(others) + 2 <= 5
    assert install == "pip install '.[server]'"  # as `make test` has done, with the other extras
    assert serve == SERVE
    for line in others:
        run(line, folder)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Where the fifth command serves."""
    with serving(*shlex.split(SERVE)[2:], logs=folder, cwd=folder) as served:
        yield served.url


def test_five_commands_lead_from_the_install_to_the_page(address: str) -> None:
    page = ONCE.get(f"{address}/items").raise_for_status().text
    assert all(f"/v1/items/000{number}/thumbnail" in page for number in range(3))


def test_what_comes_after_them_works_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (without_page,) = re.findall(r"`(modiste recommend street --item[^`]*)`", README)
    run(without_page, folder)
    assert "<img" in (folder / "page.html").read_text(encoding="utf-8")
    (folder / "orders.csv").write_text("shopper_id,item_id,date\n4711,0000,2025-03-31\n")
    with_orders = README.partition("With orders, recommend to shoppers:")[2]
    for line in commands(with_orders):
        shown = run(line, folder)
    assert "because of 0000" in " ".join(shown.split())
    monkeypatch.chdir(folder)
    exec(compile(python("From Python"), "README.md", "exec"), {})


def test_without_orders_a_year_is_simulated_and_the_tables_worked_out(folder: Path, tmp_path: Path) -> None:
    for line in ("modiste new street", f"modiste add items street {folder}/photos/items.csv"):
        run(line, tmp_path)
    run("modiste embed street --masking none", tmp_path)
    lines = commands(README.partition("Without orders, simulate")[2])
    for line in lines:
        run(line, tmp_path)
    assert (tmp_path / "tables" / "tables.md").is_file()


def test_the_client_talks_to_the_service(address: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "dress.jpg").write_bytes((folder / "photos" / "0.jpg").read_bytes())
    block = python("As a service").replace("http://127.0.0.1:8000", address).replace("…", "any")
    exec(compile(block, "README.md", "exec"), {})
    assert ONCE.get(f"{address}/v1/items/0099").json()["category"] == "Dresses"
