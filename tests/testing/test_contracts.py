"""The contract suites: what ships keeps every promise, and whatever breaks one is caught."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modiste.arrays import Ints
from modiste.catalog import Item, Reading, Taxonomy, read_source
from modiste.catalog.items import Rejected
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import Weights
from modiste.ranking.topk import rank
from modiste.testing import BackboneContract, Proposer, ProposerContract, ReaderContract
from modiste.vision.backbones import SHIPPED, BackboneSpec, Encoder, get_backbone, list_backbones


def run(suite: Any, tmp_path: Path) -> None:
    """Run a suite's tests in their order, as pytest does."""
    for number, name in enumerate(name for name in dir(suite) if name.startswith("test_")):
        test = getattr(suite, name)
        if "tmp_path" in test.__func__.__code__.co_varnames[: test.__func__.__code__.co_argcount]:
            (tmp_path / str(number)).mkdir()
            test(tmp_path / str(number))
        else:
            test()


# Backbones


class TestModisteS(BackboneContract):
    backbone = "modiste_s"


class TestEfficientNetLite0(BackboneContract):
    backbone = "efficientnet_lite0"


def test_every_shipped_backbone_is_held_to_the_contract() -> None:
    assert {TestModisteS.backbone, TestEfficientNetLite0.backbone} == {
        spec.name for spec in list_backbones("backbone") if spec.folder == SHIPPED
    }


class Changed(Encoder):
    """A backbone whose vectors something happens to."""

    def __init__(self, spec: BackboneSpec, change: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__(spec)
        self.change = change

    def embed(self, batch: np.ndarray) -> np.ndarray:
        return self.change(super().embed(batch))


class Unchecked(Changed):
    """A backbone that runs what is installed, whatever the entry says."""

    def __init__(self, spec: BackboneSpec, change: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__(get_backbone(spec.name), change)


class BrokenBackbone(BackboneContract):
    backbone = "efficientnet_lite0"

    def __init__(self, kind: type[Changed], change: Callable[[np.ndarray], np.ndarray]) -> None:
        self.kind, self.change = kind, change

    def encoder(self, spec: BackboneSpec) -> Encoder:
        return self.kind(spec, self.change)


@pytest.mark.parametrize(
    ("kind", "change", "complaint"),
    [
        (Changed, lambda vectors: vectors * np.float32(1.01), "lengths of"),
        (Changed, lambda vectors: vectors.astype(np.float64), "float64, not float32"),
        (Changed, lambda vectors: vectors[:, 1:], r"\(5, 1279\), its dim is 1280"),
        (Changed, lambda vectors: np.roll(vectors, len(vectors), axis=1), "alone and in a batch"),
        (Changed, lambda vectors: np.eye(1, 1280, dtype=np.float32).repeat(len(vectors), 0), "have one vector"),
        (Unchecked, lambda vectors: vectors, "by a file that isn't there"),
    ],
)
def test_a_broken_backbone_is_caught(
    kind: type[Changed], change: Callable[[np.ndarray], np.ndarray], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        run(BrokenBackbone(kind, change), tmp_path)


def test_a_backbone_whose_file_was_changed_is_caught(tmp_path: Path) -> None:
    spec = get_backbone("efficientnet_lite0").model_copy(update={"sha256": 64 * "0"})
    suite = BackboneContract()
    suite.backbone = spec
    with pytest.raises(AssertionError, match="sha256 differs"):
        suite.test_its_file_is_the_one_of_its_entry_and_no_other_is_run(tmp_path)


# Readers


def deepfashion(folder: Path) -> Path:
    names = (
        "MEN-Denim-id_00000080-01_7_additional.jpg", "MEN-Denim-id_00000080-01_7_additional_segm.png",
        "WOMEN-Dresses-id_00000081-01_1_front.jpg", "WOMEN-Dresses-id_00000081-01_2_side.jpg",
        "MEN-Pants-id_00000082-01_1_front.jpg", "MEN-Pants-id_00000082-01_1_front.png",  # one id twice
        "holiday.jpg", "notes.txt", ".DS_Store",
    )  # fmt: skip
    for name in names:
        (folder / name).touch()
    return folder


def folders(folder: Path) -> Path:
    names = (
        "Denim/1.jpg",
        "Denim/1_segm.png",
        "Denim/notes.txt",
        "T-shirts/2.png",
        "Hats/3.webp",
        "Hats/sizes.pdf",
        f"{'d' * 120}/{'p' * 120}.jpg",
    )
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


ROWS = {
    "item_id": ["1", "2", "2", "3", "3", "", "4", "5"],
    "image": ["photo.jpg", "", "", "", "", "", "nowhere.jpg", ""],
    "category": ["T-shirt", "Hats", "Hats", "Denim", "Dresses", "Denim", "Denim", "Denim"],
    "price": ["12.50", "", "", "", "", "", "", "-1"],
}
"""One and two are taken (two stands twice, the same), three stands twice and differs, the others are faulty."""


def table(folder: Path) -> Path:
    (folder / "photo.jpg").touch()
    pl.DataFrame(ROWS).write_csv(folder / "items.csv")
    return folder / "items.csv"


def parquet(folder: Path) -> Path:
    (folder / "photo.jpg").touch()
    pl.DataFrame(ROWS).write_parquet(folder / "items.parquet")
    return folder / "items.parquet"


class Example(ReaderContract):
    """The contract with an example that is written for each test."""

    write: Callable[[Path], Path]

    @pytest.fixture(autouse=True)
    def written(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.source = self.write(tmp_path_factory.mktemp("source"))


class TestDeepFashion(Example):
    write, rows = staticmethod(deepfashion), 7


class TestFolders(Example):
    write, rows = staticmethod(folders), 6


class TestCsv(Example):
    write, rows = staticmethod(table), 8


class TestParquet(Example):
    write, rows = staticmethod(parquet), 8


def test_the_examples_have_faults_as_well_as_items(tmp_path: Path) -> None:
    for number, write in enumerate((deepfashion, folders, table, parquet)):
        (tmp_path / str(number)).mkdir()
        reading = read_source(write(tmp_path / str(number)), Taxonomy.load())
        assert (len(reading.items) >= 2, len(reading.rejected) >= 3) == (True, True), write.__name__


def every_file(reading: Reading, source: Path) -> Reading:
    hidden = [Rejected(str(path), None, "is hidden") for path in source.parent.rglob(".*")]
    return replace(reading, rejected=[*reading.rejected, *hidden])


def each_item(reading: Reading, **changes: Any) -> Reading:
    return replace(reading, items=[replace(item, **changes) for item in reading.items])


NUMBER = count()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda reading, source: replace(reading, rejected=[]), "8 rows, but 2 taken and 0 reported"),
        (lambda reading, source: each_item(reading, item_id="1"), "ids that stand twice"),
        (lambda reading, source: each_item(reading, gender="ladies"), "another gender"),
        (lambda reading, source: each_item(reading, category="jeans"), "a word for its category"),
        (lambda reading, source: each_item(reading, image="photo.jpg"), "relative path"),
        (lambda reading, source: each_item(reading, mask=str(source.parent / "none.png")), "no file"),
        (lambda reading, source: each_item(reading, product=str(next(NUMBER))), "read again, it is another"),
        (every_file, "hidden files"),
    ],
)
def test_a_broken_reader_is_caught(change: Callable[[Reading, Path], Reading], complaint: str, tmp_path: Path) -> None:
    suite = ReaderContract()
    suite.read = lambda source, taxonomy: change(read_source(source, taxonomy), source)
    (tmp_path / "source").mkdir()
    suite.source, suite.rows = table(tmp_path / "source"), 8
    with pytest.raises(AssertionError, match=complaint):
        run(suite, tmp_path)


def test_a_reader_that_finds_something_where_nothing_is_is_caught(tmp_path: Path) -> None:
    suite = ReaderContract()
    suite.read = lambda source, taxonomy: Reading([Item("1")], [], {})
    (tmp_path / "source").mkdir()
    suite.source, suite.rows = table(tmp_path / "source"), 1
    with pytest.raises(AssertionError, match="a source that isn't there"):
        run(suite, tmp_path)


# Indexes


def spans(candidates: Candidates, queries: Queries) -> list[tuple[float, float]]:
    """The lowest and the highest cosine of each query's admissible candidates."""
    vectors, _ = queries.embedded(candidates)
    found = []
    for row in range(len(queries)):
        admitted = candidates.admits(int(queries.gender[row])) & candidates.has_vector
        admitted[queries.taken(row, candidates)] = False
        cosines = candidates.vectors[admitted] @ vectors[row]
        found.append((float(cosines.min()), float(cosines.max())) if len(cosines) else (0.0, 0.0))
    return found


def best(candidates: Candidates, queries: Queries, weights: Weights, top: int) -> list[Ints]:
    return [items[items >= 0] for items in rank(candidates, queries, weights, top).items]


def nearest(candidates: Candidates, queries: Queries, number: int) -> list[Ints]:
    return list(np.argsort(-(queries.embedded(candidates)[0] @ candidates.vectors.T), axis=1)[:, :number])


class TestExact(ProposerContract):
    """The exact ranking proposes exactly what is best."""

    @staticmethod
    def build(candidates: Candidates) -> Proposer:
        return lambda later, queries, weights, top: (best(later, queries, weights, top), spans(later, queries))


def by_looks(built: Candidates) -> Proposer:
    return lambda later, queries, weights, top: (nearest(later, queries, 100), spans(later, queries))


def as_built(built: Candidates) -> Proposer:
    return lambda later, queries, weights, top: (best(built, queries, weights, 2 * top), spans(later, queries))


def without_spans(built: Candidates) -> Proposer:
    return lambda later, queries, weights, top: (best(later, queries, weights, top), [(0.0, 0.0)] * len(queries))


def next_rows(built: Candidates) -> Proposer:
    return lambda later, queries, weights, top: (
        [np.append(rows, len(later)) for rows in best(later, queries, weights, top)],
        spans(later, queries),
    )


def filter_blind(built: Candidates) -> Proposer:
    """Enough for every preset, if nothing is ruled out."""
    everything = built.updated(allowed=None)

    def propose(later: Candidates, queries: Queries, weights: Weights, top: int) -> tuple[list[Ints], Any]:
        open_to_all = replace(everything, normpop=later.normpop)
        return best(open_to_all, queries, weights, 3 * top), spans(later, queries)

    return propose


def forgetful(built: Candidates) -> Proposer:
    """Heeds filters, but not what she bought, save the item that is asked for."""

    def propose(later: Candidates, queries: Queries, weights: Weights, top: int) -> tuple[list[Ints], Any]:
        return best(later, replace(queries, excluded=None), weights, 3 * top), spans(later, queries)

    return propose


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (by_looks, "paper: .* are missing"),
        (as_built, "paper: .* are missing"),
        (without_spans, "paper: .* err by"),
        (next_rows, "rows that the candidates lack"),
    ],
)
def test_an_index_that_misses_the_best_is_caught(build: Callable[[Candidates], Proposer], complaint: str) -> None:
    suite = ProposerContract()
    suite.build, suite.items, suite.top = build, 1_000, 5
    with pytest.raises(AssertionError, match=complaint):
        suite.test_the_best_of_the_whole_formula_are_proposed_while_popularity_moves()


@pytest.mark.parametrize("build", [filter_blind, forgetful])
def test_an_index_that_heeds_no_filter_or_no_purchase_is_caught(build: Callable[[Candidates], Proposer]) -> None:
    suite = ProposerContract()
    suite.build, suite.items, suite.top = build, 1_000, 5
    suite.test_the_best_of_the_whole_formula_are_proposed_while_popularity_moves()
    with pytest.raises(AssertionError, match="are missing"):
        suite.test_where_a_filter_or_her_purchases_rule_out_what_is_near_others_are_proposed()


def test_the_crowd_has_every_sort_of_item_and_query() -> None:
    candidates, queries = ProposerContract().crowd()
    assert 0 < candidates.has_vector.mean() < 1
    assert set(candidates.gender.tolist()) == set(queries.gender.tolist()) == {0, 1, 2}
    assert np.median(candidates.normpop) < 0.1 < candidates.normpop.max()
    assert (~queries.embedded(candidates)[1]).any()
    cosines = np.sort(queries.embedded(candidates)[0][:50] @ candidates.vectors.T, axis=1)
    assert cosines[:, -100].mean() > cosines[:, -300].mean() + 0.05, "no clusters"


def test_the_contracts_need_no_pytest() -> None:
    code = "import sys, modiste.testing; print('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
