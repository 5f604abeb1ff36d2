"""From the photos of a shop's items to vectors that can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa
from PIL import Image

from modiste.catalog.items import Rejected
from modiste.errors import MaskError, PhotoError, SourceError, UnknownIdError
from modiste.shop import database as db
from modiste.shop.people import People
from modiste.shop.records import Catalogue, Progress, present
from modiste.vision.backbones import BackboneSpec, Encoder, get_backbone, list_backbones
from modiste.vision.embedding import Embedder, PhotoJob, VectorSpace, embed_photos, labels_of
from modiste.vision.masks import garment_pixels
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo
from modiste.vision.reduction import Reduction, fit_reduction
from modiste.vision.sheets import Row, contact_sheet

DEFAULT_BACKBONE = "modiste_s"

DEFAULT_MASKING = "own"

DEFAULT_PARSER = "garment_parser"

REDUCED_DIM = 128
"""Dimensions that vectors of a space are reduced to (centring and PCA, fitted once on the catalogue)."""

REDUCED_FROM = 4 * REDUCED_DIM
"""A catalogue with fewer photos than this is not enough to fit a reduction on; its vectors stay whole."""


@dataclass(frozen=True)
class EmbedReport:
    """What came of embedding: photos embedded now, present before, set aside with a reason, and
    remarks on photos that were embedded all the same (a mask with pixels off the palette)."""

    space: VectorSpace
    embedded: int
    present: int
    failures: list[Rejected]
    remarks: list[Rejected]
    seconds: float


class Embeddings(People):
    """A shop's vector spaces and what lies in them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._spaces_cache: tuple[str, list[VectorSpace]] = ("", [])
        self._vectors_cache: dict[str, tuple[str, list[str], np.ndarray[Any, np.dtype[np.float32]]]] = {}
        self._aligned_cache: dict[str, tuple[Catalogue, str, np.ndarray[Any, Any], np.ndarray[Any, Any]]] = {}
        self._reductions: dict[str, Reduction] = {}
        self._embedders: dict[str, Embedder] = {}
        self._embedders_lock = Lock()
        self._labeller: Parser | None = None

    # Photos

    def embed(
        self,
        backbone: str = DEFAULT_BACKBONE,
        masking: str = DEFAULT_MASKING,
        crop: str | None = None,
        masks: str = "auto",
        *,
        parser: str = DEFAULT_PARSER,
        fill: tuple[int, int, int] = (0, 0, 0),
        progress: Progress | None = None,
    ) -> EmbedReport:
        """Embed every photo that has no vector in this vector space yet.

        Each batch is a transaction, so an interrupted run loses at most one batch and the next goes on. A photo that
        can't be embedded is set aside with its reason, and tried again only when the photo changes.

        ``masking``: ``paper``, ``clothes``, ``own`` or ``none``. ``masks``: ``given`` uses the catalogue's masks
        (photos without one are embedded whole), ``parser`` the garment parser, ``auto`` the parser where none is given.
        ``parser`` is the name of the network that parses. ``fill`` is the colour of removed pixels.
        """
        began = perf_counter()
        spec = get_backbone(backbone)
        reader = self._parser(masking, masks, parser)
        space = VectorSpace.of(spec, masking, crop or spec.crop, masks, reader.spec if reader else None, fill)
        self._register(space)
        done = sa.select(db.vectors.c.item_id).where(db.vectors.c.space == space.key)
        aside = sa.select(db.failures.c.item_id).where(db.failures.c.space == space.key)
        with_photo = sa.select(db.items).where(db.items.c.image.is_not(None)).order_by(db.items.c.item_id)
        missing = self._rows(with_photo.where(db.items.c.item_id.not_in(done), db.items.c.item_id.not_in(aside)))
        present = len(self._rows(done))
        jobs = [self._job(row, masks) for row in missing]
        embedded = handled = 0
        remarks: list[Rejected] = []
        if jobs:
            for batch in embed_photos(jobs, Encoder(spec), masking, space.crop, reader, fill=fill):
                self._store_batch(space, batch.item_ids, batch.vectors, batch.failures)
                embedded += len(batch.item_ids)
                handled += len(batch.item_ids) + len(batch.failures)
                remarks += [Rejected(item_id, None, said) for item_id, said in batch.remarks]
                if progress:
                    progress(handled, len(jobs))
        self._finish(space)
        return EmbedReport(space, embedded, present, self.failures(space), remarks, perf_counter() - began)

    def _job(self, row: Any, masks: str) -> PhotoJob:
        return PhotoJob(
            row["item_id"],
            str(self._full_path(row["image"])),
            self._full_path(row["mask"]) if masks != "parser" else None,
            self.taxonomy.labels(row["category"]),
        )

    def _parser(self, masking: str, masks: str, name: str = DEFAULT_PARSER) -> Parser | None:
        """The parser, if this way of masking can need it; one thread, since photos are parsed side by side."""
        return None if masking == "none" or masks == "given" else Parser(get_backbone(name), threads=1)

    def _embed_one(self, item_id: str) -> str | None:
        """Embed one item in the default vector space, made with the defaults if there is none; why not, or None."""
        spaces = self.spaces()
        if not spaces:
            spec, parser = get_backbone(DEFAULT_BACKBONE), get_backbone(DEFAULT_PARSER)
            spaces = [VectorSpace.of(spec, DEFAULT_MASKING, spec.crop, "auto", parser)]
            self._register(spaces[0])
        space = spaces[0]
        row = self._row(sa.select(db.items).where(db.items.c.item_id == item_id))
        there = sa.select(db.vectors.c.item_id).where(db.vectors.c.space == space.key, db.vectors.c.item_id == item_id)
        if row is None or self._row(there) is not None:
            return None
        embedder, job = self._embedder(space), self._job(row, space.masks)
        parser_ = embedder.parser if space.masks != "given" else None
        for batch in embed_photos([job], embedder.encoder, space.masking, space.crop, parser_, fill=space.fill):
            self._store_batch(space, batch.item_ids, batch.vectors, batch.failures)
            return batch.failures[0][1] if batch.failures else None
        return None

    def _embedder(self, space: VectorSpace) -> Embedder:
        """The space's networks, loaded once. A space of given masks parses photos without one all the same."""
        with self._embedders_lock:
            if space.key not in self._embedders:
                parser = _parser_of(space) if space.masking != "none" else None
                self._embedders[space.key] = Embedder(space, get_backbone(space.backbone), parser)
            return self._embedders[space.key]

    def labels(self, item_id: str) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
        """What the item's photo shows, as palette labels uint8 (h, w): its given mask, else the parser's.

        None without a photo. Raises UnknownIdError, PhotoError, MaskError.
        """
        item = self.item(item_id)
        if item["image"] is None:
            return None
        with self._embedders_lock:
            if self._labeller is None and item["mask"] is None:
                self._labeller = Parser(get_backbone(DEFAULT_PARSER))
        return labels_of(open_photo(Path(item["image"])), item["mask"], self._labeller)

    def contact_sheet(
        self, masking: str = DEFAULT_MASKING, count: int = 12, progress: Progress | None = None
    ) -> tuple[Image.Image, list[Rejected]]:
        """Photo, mask and what is left of ``count`` items spread over the catalogue (the paper's figure 2).

        Photos without a given mask show the parser's. Also returns the items that could not be drawn, with reasons.
        """
        with_photo = self.items().filter(pl.col("image").is_not_null())
        if with_photo.is_empty():
            raise SourceError(
                f"{self.path.name} has no photos; add some with: modiste add items {self.path.name} SOURCE"
            )
        chosen = np.unique(np.linspace(0, len(with_photo) - 1, min(count, len(with_photo))).round().astype(int))
        parser = self._parser(masking, "auto" if with_photo["mask"].gather(chosen).null_count() else "given")
        drawn: list[Row] = []
        rejected: list[Rejected] = []
        for done, number in enumerate(chosen.tolist(), 1):
            item = with_photo.row(number, named=True)
            try:
                photo = open_photo(Path(item["image"]))
                labels = labels_of(photo, item["mask"], parser)
                own = self.taxonomy.labels(item["category"])
                keep = None if labels is None else garment_pixels(labels, masking, own)
                drawn.append((photo, labels, keep, f"{item['item_id']}  {item['category'] or ''}"))
            except (PhotoError, MaskError) as error:
                rejected.append(Rejected(item["image"], None, str(error)))
            if progress:
                progress(done, len(chosen))
        return contact_sheet(drawn), rejected

    def failures(self, space: VectorSpace | None = None) -> list[Rejected]:
        """The photos that were set aside in a vector space, each with its reason."""
        space = self._space(space)
        table = db.failures.c
        wanted = sa.select(table.item_id, table.reason, db.items.c.image).join(db.items)
        return [
            Rejected(row["image"], None, row["reason"])
            for row in self._rows(wanted.where(table.space == space.key).order_by(table.item_id))
        ]

    # Vectors

    def spaces(self) -> list[VectorSpace]:
        """The vector spaces that photos were embedded into, the latest (the default) first."""
        version = self._setting("vectors_version")
        if self._spaces_cache[0] != version:
            rows = self._rows(sa.select(db.spaces.c.settings).order_by(db.spaces.c.used.desc()))
            self._spaces_cache = (version, [VectorSpace.from_json(row["settings"]) for row in rows])
        return list(self._spaces_cache[1])

    def vectors(self, space: VectorSpace | None = None) -> tuple[list[str], np.ndarray[Any, np.dtype[np.float32]]]:
        """Item ids and their vectors, float32 (n, dim) with unit rows, reduced if the space has a reduction."""
        space = self._space(space)
        item_ids, vectors = self._stored_vectors(space)
        reduction = self._reduction(space)
        return item_ids, reduction.apply(vectors) if reduction is not None and len(vectors) else vectors

    def _stored_vectors(self, space: VectorSpace) -> tuple[list[str], np.ndarray[Any, np.dtype[np.float32]]]:
        table = db.vectors.c
        wanted = sa.select(table.item_id, table.vector).where(table.space == space.key).order_by(table.item_id)
        rows = self._rows(wanted)
        joined = b"".join(row["vector"] for row in rows)
        halves = np.frombuffer(joined, dtype="<f2").reshape(len(rows), -1 if rows else space.dim)
        return [row["item_id"] for row in rows], halves.astype(np.float32)

    def _aligned_vectors(
        self, space: VectorSpace | None, catalogue: Catalogue
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The vectors of the catalogue's items, float32 (n, dim), zeros without one, and which have one, bool (n,)."""
        if space is None:
            return np.zeros((len(catalogue.row), 1), np.float32), np.zeros(len(catalogue.row), bool)
        version = self._setting("vectors_version")
        cached = self._aligned_cache.get(space.key)
        if cached is not None and cached[0] is catalogue and cached[1] == version:
            return cached[2], cached[3]
        with self._memory:
            version = self._setting("vectors_version")
            known = self._vectors_cache.get(space.key)
            if known is None or known[0] != version:
                known = self._vectors_cache[space.key] = (version, *self.vectors(space))
            _, item_ids, vectors = known
            there = [number for number, one in enumerate(item_ids) if one in catalogue.row]
            rows = [catalogue.row[item_ids[number]] for number in there]
            aligned = np.zeros((len(catalogue.row), vectors.shape[1]), np.float32)
            aligned[rows] = vectors[there]
            has_vector = np.zeros(len(catalogue.row), bool)
            has_vector[rows] = True
            self._aligned_cache[space.key] = (catalogue, version, aligned, has_vector)
            return aligned, has_vector

    def _register(self, space: VectorSpace) -> None:
        with self._writing("vectors_version") as connection:
            now = datetime.now(UTC).replace(tzinfo=None)
            chosen = db.spaces.update().where(db.spaces.c.key == space.key).values(used=now)
            if connection.execute(chosen).rowcount == 0:
                connection.execute(db.spaces.insert().values(key=space.key, settings=space.to_json(), used=now))

    def _store_batch(
        self, space: VectorSpace, item_ids: Sequence[str], vectors: Any, failures: Sequence[tuple[str, str]]
    ) -> None:
        with self._writing("vectors_version") as connection:
            there = present(connection, db.items.c.item_id, [*item_ids, *(one for one, _ in failures)])
            for table, rows in (
                (
                    db.vectors,
                    {
                        one: {"vector": vector.astype("<f2").tobytes()}
                        for one, vector in zip(item_ids, vectors, strict=True)
                    },
                ),
                (db.failures, {one: {"reason": reason} for one, reason in failures}),
            ):
                chosen = sa.select(table.c.item_id).where(table.c.space == space.key, table.c.item_id.in_(list(rows)))
                free = there.difference(connection.execute(chosen).scalars())  # another process may embed the same
                if new := [{"space": space.key, "item_id": one, **row} for one, row in rows.items() if one in free]:
                    connection.execute(table.insert(), new)

    def _finish(self, space: VectorSpace) -> None:
        """Fit the space's reduction once, when the catalogue is large enough; every later photo goes through it."""
        if self._reduction(space) is not None:
            return
        _, vectors = self._stored_vectors(space)
        if len(vectors) >= REDUCED_FROM and vectors.shape[1] > REDUCED_DIM:
            fitted = fit_reduction(vectors, REDUCED_DIM)
            with self._writing("vectors_version") as connection:
                connection.execute(
                    db.spaces.update().where(db.spaces.c.key == space.key).values(reduction=fitted.to_bytes())
                )

    def _reduction(self, space: VectorSpace) -> Reduction | None:
        """The space's reduction; once fitted it never changes."""
        if space.key not in self._reductions:
            row = self._row(sa.select(db.spaces.c.reduction).where(db.spaces.c.key == space.key))
            if row is None or row["reduction"] is None:
                return None
            self._reductions[space.key] = Reduction.from_bytes(row["reduction"])
        return self._reductions[space.key]

    def _space(self, space: VectorSpace | str | None) -> VectorSpace:
        if isinstance(space, VectorSpace):
            return space
        known = self.spaces()
        if not known:
            raise UnknownIdError(f"{self.path.name} has no vectors yet; make them with: modiste embed {self.path.name}")
        if space is None:
            return known[0]
        for one in known:
            if space in (one.key, one.backbone):
                return one
        raise UnknownIdError(f"no vector space {space!r} here; there are: {', '.join(one.key for one in known)}")


def _parser_of(space: VectorSpace) -> BackboneSpec:
    """The installed parser that the space was made with; the default one where it used none."""
    for spec in list_backbones(kind="parser"):
        if spec.sha256 == space.parser:
            return spec
    return get_backbone(DEFAULT_PARSER)
