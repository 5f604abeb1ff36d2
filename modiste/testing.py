"""Contract suites: what every backbone, reader and candidate index promises, as classes for pytest.

A new one is held to the promises by one class in a test file (and ``pip install pytest``):

    from modiste.testing import BackboneContract

    class TestMine(BackboneContract):
        backbone = "mine"

Nothing here imports pytest: the tests are methods, ``tmp_path`` is a folder to write to, and what isn't kept is an
AssertionError that says which promise it was.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import chdir
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from unittest import TestCase

import numpy as np

from modiste.arrays import Ints, Singles
from modiste.catalog.items import GENDERS
from modiste.catalog.products import is_address
from modiste.catalog.readers import Reading, read_source
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import SourceError
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import PRESETS, Weights
from modiste.ranking.topk import rank, rank_among
from modiste.vision.backbones import BackboneSpec, Encoder, get_backbone, verify
from modiste.vision.preparing import normalise

_refused = TestCase().assertRaises


class BackboneContract:
    """A network that photos are embedded with; ``backbone`` is the name it is installed by, or its entry."""

    backbone: str | BackboneSpec
    tolerance = 1e-4  # how far a coordinate of a vector may move when other photos are embedded beside it

    def encoder(self, spec: BackboneSpec) -> Encoder:
        """What embeds; override it for a network that something else runs."""
        return Encoder(spec)

    @property
    def spec(self) -> BackboneSpec:
        """The entry of the backbone."""
        return get_backbone(self.backbone) if isinstance(self.backbone, str) else self.backbone

    def photos(self) -> Singles:
        """Five photos of noise as the network takes them, float32 (5, 3, height, width)."""
        size = (5, self.spec.height, self.spec.width, 3)
        return normalise(np.random.default_rng(0).integers(0, 256, size, np.uint8), self.spec)

    def test_it_gives_unit_vectors_that_tell_photos_apart(self) -> None:
        vectors = self.encoder(self.spec).embed(self.photos())
        assert vectors.shape == (5, self.spec.dim), f"vectors are {vectors.shape}, its dim is {self.spec.dim}"
        assert vectors.dtype == np.float32, f"vectors are {vectors.dtype}, not float32"
        lengths = np.linalg.norm(vectors, axis=1)
        assert np.all(np.abs(lengths - 1) < 1e-5), f"vectors have lengths of {lengths}, not 1"
        assert np.all(np.abs(vectors[1:] - vectors[0]).max(axis=1) > self.tolerance), "different photos have one vector"

    def test_a_photo_has_one_vector_whatever_is_embedded_beside_it(self) -> None:
        encoder, photos = self.encoder(self.spec), self.photos()
        alone = np.concatenate([encoder.embed(photos[row : row + 1]) for row in range(len(photos))])
        apart = float(np.abs(encoder.embed(photos) - alone).max())
        assert apart <= self.tolerance, f"alone and in a batch, a photo's vectors are {apart:.1e} apart"

    def test_its_file_is_the_one_of_its_entry_and_no_other_is_run(self, tmp_path: Path) -> None:
        assert self.spec.licence and self.spec.origin, f"{self.spec.name} has no licence, or no origin"
        assert verify(self.spec) is None, verify(self.spec)
        whole, spec = self.spec.path.read_bytes(), self.spec.model_copy(update={"folder": tmp_path / "other"})
        spec.folder.mkdir()
        with _refused(SourceError, msg="by a file that isn't there"):
            self.encoder(spec)
        spec.path.write_bytes(whole + b"\0")
        with _refused(SourceError, msg="by a file whose SHA-256 is not the entry's"):
            self.encoder(spec)
        spec.path.write_bytes(half := whole[: len(whole) // 2])
        with _refused(SourceError, msg="by a file that was cut short"):
            self.encoder(spec.model_copy(update={"sha256": sha256(half).hexdigest()}))


class ReaderContract:
    """A way to read catalogues, ``read``, held to an example of yours, which had better have faults too.

    ``source`` is the example: a folder, or a file in a folder of its own. ``rows`` is how much it holds: the rows of a
    table, or the files of a folder that are neither hidden nor masks; those that can't be taken count as well.
    """

    read: Callable[[Path, Taxonomy], Reading] = staticmethod(read_source)
    source: Path
    rows: int
    taxonomy = Taxonomy.load()

    def test_nothing_is_lost(self) -> None:
        reading = self.read(self.source, self.taxonomy)
        taken, reported = len(reading.items) + reading.merged, len(reading.rejected)
        assert taken + reported == self.rows, f"{self.rows} rows, but {taken} taken and {reported} reported"
        for one in reading.rejected:
            assert one.file and one.reason and (one.row is None or one.row > 0), f"{one!r} doesn't say where, or why"

    def test_items_have_ids_and_categories_of_their_own_and_absolute_paths_of_files(self) -> None:
        with chdir(self.source.parent):
            items = self.read(Path(self.source.name), self.taxonomy).items
        ids = [item.item_id for item in items]
        assert len(set(ids)) == len(ids), f"ids that stand twice: {sorted({one for one in ids if ids.count(one) > 1})}"
        for item in items:
            assert item.item_id and item.gender in (None, *GENDERS), f"{item} has no id, or another gender"
            assert self.taxonomy.canonical(item.category) == item.category, f"{item} has a word for its category"
        named = (path for item in items for path in (item.image, item.mask, *item.photos) if path)
        for path in (Path(path) for path in named if not is_address(path)):
            assert path.is_absolute() and path.is_file(), f"{path} is a relative path, or no file"

    def test_reading_again_is_the_same_and_hidden_or_missing_files_are_none(self, tmp_path: Path) -> None:
        folder = self.source if self.source.is_dir() else self.source.parent
        source = shutil.copytree(folder, tmp_path / "copy") / self.source.relative_to(folder)
        first = self.read(source, self.taxonomy)
        assert self.read(source, self.taxonomy) == first, "read again, it is another"
        for below in [path for path in (tmp_path / "copy").rglob("*") if path.is_dir()] + [tmp_path / "copy"]:
            for name in (".DS_Store", ".photo.jpg", ".hidden/photo.jpg"):
                (below / name).parent.mkdir(exist_ok=True)
                (below / name).touch()
        assert self.read(source, self.taxonomy) == first, "hidden files are read, or reported"
        with _refused(SourceError, msg="by a source that isn't there"):
            self.read(tmp_path / self.source.name, self.taxonomy)


Proposer = Callable[[Candidates, Queries, Weights, int], tuple[Sequence[Ints], Sequence[tuple[float, float]]]]
"""(candidates, queries, weights, top) → each query's pool of rows that may be its best, and the span of its cosines."""


class ProposerContract:
    """An index that proposes to ``rank_among``: ``build`` makes it once, and popularity and filters move afterwards."""

    build: Callable[[Candidates], Proposer]
    items, top, recall = 6_000, 10, 0.99

    def crowd(self) -> tuple[Candidates, Queries]:
        """Items in clusters with long-tailed popularity, two views a product; purchases and photos to ask for."""
        rng, n, d = np.random.default_rng(7), self.items, 48
        vectors = rng.normal(size=(60, d))[rng.integers(0, 60, n)] * 0.7 + rng.normal(size=(n, d))
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        counts, embedded, similarity = rng.pareto(1.2, n), rng.random(n) < 0.95, 0.3 + 0.7 * np.eye(6)
        normpop, category = np.minimum(counts / np.quantile(counts, 0.999), 1), rng.integers(-1, 6, n)
        gender, ids = rng.choice(3, n, p=[0.1, 0.3, 0.6]).astype(np.int8), [f"{row:07d}" for row in range(n)]
        shown = np.where(embedded[:, None], vectors, np.float32(0))
        candidates = Candidates(shown, embedded, normpop, category, similarity, gender, np.arange(n) // 2, ids)
        item, photos = rng.integers(0, n, 60), vectors[rng.integers(0, n, 60)]
        item[50:], photos[59] = -1, 0  # the last ten are photos, and the very last is none
        bought = [rng.integers(0, n, 3) for _ in item]
        return candidates, Queries(item, photos, rng.random(60), rng.integers(0, 3, 60).astype(np.int8), bought)

    def test_the_best_of_the_whole_formula_are_proposed_while_popularity_moves(self) -> None:
        candidates, queries = self.crowd()
        propose, rng = self.build(candidates), np.random.default_rng(8)
        for _ in range(3):
            self.holds(propose, candidates, queries)
            moved = candidates.normpop + rng.normal(0, 0.05, self.items) + (rng.random(self.items) < 0.02)
            candidates = candidates.updated(normpop=np.clip(moved, 0, 1))

    def test_where_a_filter_or_her_purchases_rule_out_what_is_near_others_are_proposed(self) -> None:
        candidates, queries = self.crowd()
        propose = self.build(candidates)
        for every in (3, 100, 2 * self.items):  # the last admits nothing
            self.holds(propose, candidates.updated(allowed=np.arange(1, self.items + 1) % every == 0), queries)
        near = np.argsort(-(queries.embedded(candidates)[0] @ candidates.vectors.T), axis=1)[:, :400]
        self.holds(propose, candidates, replace(queries, excluded=list(near)))

    def holds(self, propose: Proposer, candidates: Candidates, queries: Queries) -> None:
        """Holds what is proposed to what the exact ranking finds, for each preset."""
        for name, weights in PRESETS.items():
            pools, spans = propose(candidates, queries, weights, self.top)
            rows = np.concatenate([*pools, np.empty(0, np.int64)])
            assert np.all((rows >= 0) & (rows < len(candidates))), "a pool has rows that the candidates lack"
            best = rank(candidates, queries, weights, self.top)
            found = rank_among(candidates, queries, weights, pools, spans, self.top)
            filled, there = best.items >= 0, (best.items[:, :, None] == found.items[:, None, :]).any(axis=2)
            lost = int((filled & ~there).sum())
            assert lost <= (1 - self.recall) * filled.sum(), f"{name}: {lost} of the {filled.sum()} best are missing"
            off = np.abs(found.relevance - best.relevance)[filled & (found.items == best.items)].max(initial=0)
            assert off < 0.01, f"{name}: spans of cosines that are too far off make relevances err by {off:.3f}"
