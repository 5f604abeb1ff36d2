"""The documents say what is true: what they tell to type works, what they name is there, and no name is missing."""

import ast
import csv
import doctest
import io
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, chdir
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from docs import check_links, reference
from modiste import Shop
from modiste.ask import Ask
from modiste.demo import unpack
from modiste.ranking.topk import Queries
from modiste.server.api import post_purchases
from modiste.vision.backbones import BackboneSpec
from modiste.wire import PurchaseIn

from .running import serving, typed

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ADDRESS = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```(\w+) ?(.*?)\n(.*?)^```", re.M | re.S)
TYPED = [
    page for page in (DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))) if "```sh" in page.read_text()
]
DOCUMENTS = sorted({ROOT / "README.md", *DOCS.rglob("*.md")})


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# What they tell to type


class Terminal:
    """Types what a page tells to, in the folder it is in; what it tells to serve is served until it is closed."""

    def __init__(self) -> None:
        self.open, self.address = ExitStack(), ADDRESS
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def type(self, line: str) -> str:
        """The output of one line; whatever doesn't end with 0 is an error."""
        line = line.replace(ADDRESS, self.address)
        if line.startswith("modiste serve "):
            words = shlex.split(line)[2:]
            self.address = self.open.enter_context(serving(*words, logs=Path.cwd(), cwd=Path.cwd())).url
            return ""
        if line.startswith("modiste "):
            return self.run(line)
        ran = subprocess.run(["bash", "-euo", "pipefail", "-c", line], capture_output=True, text=True)
        assert ran.returncode == 0, f"{line}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def run(self, line: str) -> str:
        ran = typed(*shlex.split(line, comments=True)[1:])
        assert ran.code == 0, f"{line}: {ran.out}{ran.err}"
        return ran.out + ran.err

    def ask(self, page: Path, text: str) -> None:
        """A session of Python's prompt, which must answer as the page says; its names are there for the next."""
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
        session = doctest.DocTestParser().get_doctest(
            text.replace(ADDRESS, self.address), self.names, name(page), str(page), 0
        )
        told = io.StringIO()
        failed = doctest.DocTestRunner(optionflags=flags).run(session, out=told.write, clear_globs=False).failed
        self.names.update(session.globs)
        assert not failed, told.getvalue()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    typing = Terminal()
    with typing.open:
        yield typing


@pytest.fixture(scope="module")
def belongings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the how-tos go on from: photos with their table, stores, and an embedded shop of them, ``street``."""
    folder = tmp_path_factory.mktemp("belongings")
    photos = folder / "photos"
    photos.mkdir()
    drawn = unpack(folder / "drawn", products=8)
    with drawn.table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (photos / "items.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["item_id", "image", "category", "gender", "product", "price", "store_id"])
        for number, row in enumerate(rows, 1):
            photo = f"{number:04d}{Path(row['image']).suffix}"
            shutil.copyfile(folder / "drawn" / row["image"], photos / photo)
            kept = (row[column] for column in ("category", "gender", "product", "price"))
            table.writerow([f"{number:04d}", photo, *kept, ("centre", "north")[number % 2]])
    shutil.rmtree(folder / "drawn")
    (folder / "stores.csv").write_text("store_id,latitude,longitude\ncentre,48.856,2.352\nnorth,48.886,2.343\n")
    with chdir(folder):
        for words in ("new street", "add items street photos/items.csv", "add stores street stores.csv"):
            Terminal().run(f"modiste {words}")
        Terminal().run("modiste embed street --masking none")
    return folder


@pytest.mark.parametrize("page", TYPED, ids=name)
def test_what_a_page_tells_to_type_works(
    page: Path, terminal: Terminal, belongings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page.read_text(encoding="utf-8")
    if "\ncurl " in text and shutil.which("curl") is None:
        pytest.skip("needs curl")
    monkeypatch.chdir(tmp_path)
    if page.parent.name == "how-to":
        shutil.copytree(belongings, tmp_path, dirs_exist_ok=True)
        if page.name != "evaluate.md":  # which simulates
            (tmp_path / "orders.csv").write_text(
                "shopper_id,item_id,date\n4711,0001,2025-03-31\n4711,0003,2025-03-31\n"
            )
            terminal.run("modiste add purchases street orders.csv")
    for language, title, block in BLOCK.findall(text):
        if language == "sh":
            for line in block.splitlines():
                terminal.type(line)
        elif language == "pycon":
            terminal.ask(page, block)
        elif language == "python":
            exec(compile(block, str(page), "exec"), terminal.names)
        elif title:
            Path(title).write_text(block, encoding="utf-8")


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_python_in_the_documents_compiles(page: Path) -> None:
    for language, _, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python" and page.parent.name != "reference":  # which shows calls with their types
            compile(text, str(page), "exec")


def test_examples_in_docstrings_answer_as_they_say() -> None:
    for file in sorted((ROOT / "modiste").rglob("*.py")):
        if ">>> " in file.read_text(encoding="utf-8"):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            assert doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS).failed == 0, module


def test_an_entry_of_a_network_has_the_fields_that_the_page_shows() -> None:
    for language, _, text in BLOCK.findall((DOCS / "how-to" / "extend.md").read_text(encoding="utf-8")):
        if language == "toml":
            assert set(tomllib.loads(text)) <= set(BackboneSpec.model_fields)


def test_the_baseline_that_the_page_shows_recommends_what_it_says(belongings: Path) -> None:
    names: dict[str, Any] = {}
    blocks = BLOCK.findall((DOCS / "how-to" / "extend.md").read_text(encoding="utf-8"))
    (shown,) = [text for language, _, text in blocks if language == "python"]
    exec(shown, names)
    with Shop.open(belongings / "street") as shop:
        candidates = shop.snapshot().candidates()
    candidates = candidates.updated(normpop=np.linspace(0, 1, len(candidates)))
    queries = Queries(np.array([5, 9]), None, np.full(2, 0.5), np.zeros(2, np.int8))
    found = names["slow_sellers"](candidates, queries, 2, 0)
    assert found.tolist() == [[0, 2], [0, 2]]  # 1 shows what 0 does, from another side


# What they name


def documented() -> dict[str, set[str]]:
    """The options of each command."""
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", page, flags=re.M)[1:]
    return {one.split("\n")[0]: {"--help", *re.findall(r"(?<=`)--[\w-]+", one)} for one in sections}


def test_every_command_that_a_document_names_is_one() -> None:
    known = documented()
    for page in DOCUMENTS:
        text = page.read_text(encoding="utf-8")
        lines = re.findall(r"^(?:\$ | {4,})?(?:[A-Z_]+=\S+ )?(modiste [a-z].*)$", text, re.M)
        lines += re.findall(r"`(modiste [^`]+)`", text)
        for line in lines:
            for part in re.split(r" (?:&&|\|) ", line.partition("#")[0].replace("\n", " ")):
                words = part.split()
                found = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in known), None)
                groups = {one.rpartition(" ")[0] for one in known}
                assert found or " ".join(words[:2]) in groups, f"{name(page)}: {line}"
                options = {word.partition("=")[0] for word in words if word.startswith("--")}
                assert not found or options <= known[found], f"{name(page)}: {line}"


def test_every_link_leads_somewhere() -> None:
    assert check_links.broken_links() == []


def test_installs_are_from_a_checkout_since_no_index_has_modiste() -> None:
    for page in DOCUMENTS:
        assert "modiste[" not in page.read_text(encoding="utf-8"), name(page)


def defined(file: Path) -> set[str]:
    """The functions and classes of a file, methods as ``Class.method``."""
    found = set()
    for one in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(one, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(one.name)
            found |= {f"{one.name}.{inner.name}" for inner in ast.walk(one) if isinstance(inner, ast.FunctionDef)}
    return found


def test_every_file_and_function_that_the_architecture_names_is_there() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "modiste"
    everything = set().union(*(defined(file) for file in package.rglob("*.py")))
    for file in re.findall(r"`([\w/]+\.py)`", text):
        assert (package / file).is_file(), file
    for word in re.findall(r"`([A-Z]\w+(?:\.\w+)?)`", text):
        assert word in everything, word
    located = re.findall(r"`([\w.]+)` in `([\w/]+\.py)`", text)
    for functions, file in re.findall(r"^\|(?: \d \|)? ((?:`[\w.]+`(?:, )?)+) \| `([\w/]+\.py)` \|", text, re.M):
        located += [(function, file) for function in re.findall(r"`([\w.]+)`", functions)]
    assert len(located) > 25
    for function, file in located:
        assert function in defined(package / file), f"{function} in {file}"


def test_a_purchase_changes_the_list_through_the_six_functions_that_the_architecture_names(tmp_path: Path) -> None:
    path = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## The path of a purchase")[2]
    path = path.partition("## ")[0]
    steps = re.findall(r"^\| \d \| `([\w.]+)` \|", path, re.M)
    called: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(ROOT / "modiste")):
            called.setdefault(frame.f_code.co_qualname)

    (tmp_path / "items.csv").write_text("item_id,category\na,Denim\nb,Denim\n")
    with Shop.create(tmp_path / "shop") as shop:
        shop.items.add(tmp_path / "items.csv")
        shop.recommend(item="a")
        sys.setprofile(note)
        try:
            post_purchases(shop, PurchaseIn(shopper_id="ann", item_id="a"))
            [found] = shop.recommend("ann")
        finally:
            sys.setprofile(None)
    assert (found.item_id, found.because) == ("b", "a")
    assert set(re.findall(r"`(_?[a-z]\w+|[A-Z]\w+\.\w+)`", path)) <= called.keys()
    assert [one for one in called if one in steps] == steps
    assert len(steps) <= 6


# What they list


@pytest.mark.parametrize("page", ["python", "commands"])
def test_the_reference_is_what_docstrings_and_help_say(page: str) -> None:
    written = (DOCS / "reference" / f"{page}.md").read_text(encoding="utf-8")
    assert written == getattr(reference, page)(), "write it anew with: python docs/reference.py"


def test_every_field_of_a_question_is_in_the_reference_and_in_an_option() -> None:
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    for field in Ask.model_fields:
        assert f"| `{field}` |" in page
        assert f"--{field.replace('_', '-')}" in documented()["modiste recommend"]


def test_every_page_is_in_the_index() -> None:
    linked = set(check_links.LINK.findall((DOCS / "index.md").read_text(encoding="utf-8")))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")} - {"index.md"}
    assert pages <= linked
