"""``shop.vectors``: from the photos of a shop's items to vectors that can be compared."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from PIL import Image

from modiste.arrays import Ints, Singles
from modiste.catalog.items import GENDERS, Rejected
from modiste.catalog.taxonomy import Taxonomy
from modiste.catalog.values import utc_now
from modiste.errors import MaskError, PhotoError, SettingError, SourceError, UnknownIdError
from modiste.shop import schema
from modiste.shop.moments import Moments
from modiste.shop.proposals import SURE, by_name, proposals, told
from modiste.shop.reports import EmbedReport, Progress
from modiste.shop.snapshot import Snapshot
from modiste.shop.storage import Storage, chunks
from modiste.vision.agreeing import agreed
from modiste.vision.backbones import BackboneSpec, Encoder, get_backbone, list_backbones
from modiste.vision.embedding import (
    EmbeddedBatch,
    EmbeddedPhoto,
    Embedder,
    PhotoJob,
    VectorSpace,
    embed_photos,
    see,
)
from modiste.vision.masks import named
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo
from modiste.vision.reduction import Reduction, fit_reduction
from modiste.vision.sheets import Row, contact_sheet

DEFAULT_BACKBONE = "modiste_s"

DEFAULT_MASKING = "own"

DEFAULT_FILL = (255, 255, 255)

DEFAULT_PARSER = "garment_parser"

REDUCED_DIM = 128
"""Dimensions that vectors of a space are reduced to (centring and PCA, fitted once on the catalogue)."""

REDUCED_FROM = 4 * REDUCED_DIM
"""A catalogue with fewer photos than this is not enough to fit a reduction on; its vectors stay whole."""

CALIBRATION = {"look": (0.25, 0.78), "colour": (0.21, 0.8)}
"""Mean similarity of two strangers and of two photos of one product (of one colour), where a shop's own photos can't
say. Measured with the default network on studio photos that it was not taught with, Madison Island's; colour: Luma's.
"""

_PAIRS = 30  # of photos of one product, or of strangers, from which a shop's own mean counts
_SAMPLE = 4000  # photos that a calibration looks at

_BATCH = 16  # items whose outfits are looked at between two transactions
_ROUNDS = 3  # of embedding what was changed while it was being embedded
_SOURCE = ("image", "mask", "photos", "stamp", "category")  # of a vector


class Vectors:
    """A shop's vector spaces and what lies in them."""

    def __init__(self, storage: Storage, moments: Moments, taxonomy: Taxonomy) -> None:
        self._storage, self._moments, self._taxonomy = storage, moments, taxonomy
        self._embedders: dict[str, Embedder] = {}
        self._labeller: Parser | None = None
        self._loading = Lock()

    # Embedding

    def embed(
        self,
        backbone: str = DEFAULT_BACKBONE,
        masking: str = DEFAULT_MASKING,
        crop: str | None = None,
        masks: str = "auto",
        *,
        parser: str = DEFAULT_PARSER,
        fill: tuple[int, int, int] = DEFAULT_FILL,
        progress: Progress | None = None,
    ) -> EmbedReport:
        """Embed every item with photos that has no vector in this vector space yet; then spaces of another form, which
        nothing reads any more, are deleted.

        Several photos of an item make one vector, of those that agree (:func:`~modiste.vision.agreeing.agreed`); one
        that was left out is a remark. Each batch is a transaction, so an interrupted run loses at most one batch and
        the next goes on. An item none of whose photos can be embedded is set aside with its reason, and tried again
        only when its photos change. What changes while it is being embedded is embedded again.

        ``masking``: ``paper``, ``clothes``, ``own`` or ``none``. ``masks``: ``given`` uses the catalogue's masks
        (photos without one are embedded whole), ``parser`` the garment parser, ``auto`` the parser where none is given.
        ``parser`` is the name of the network that parses. ``fill`` is the colour of removed pixels.
        """
        began = perf_counter()
        spec = get_backbone(backbone)
        reader = self._parser(masking, masks, parser)
        space = VectorSpace.of(spec, masking, crop or spec.crop, masks, reader.spec if reader else None, fill)
        self._register(space)
        vectors, failures = schema.vectors.c, schema.failures.c
        done = sa.select(vectors.item_id).where(vectors.space == space.key)
        aside = sa.select(failures.item_id).where(failures.space == space.key)
        here = len(self._storage.rows(done))
        encoder: Encoder | None = None
        embedded = handled = 0
        remarks: list[Rejected] = []
        for _ in range(_ROUNDS):
            missing = self._with_photo(schema.items.c.item_id.not_in(done), schema.items.c.item_id.not_in(aside))
            if not missing:
                break
            encoder = encoder or Encoder(spec)
            by_id = {row["item_id"]: row for row in missing}
            photos = handled + sum(1 + len(_further(row)) for row in missing)
            for some in self._embedded(missing, space, encoder, reader):
                embedded += self._store(space, by_id, some.batch, some.shown)
                handled += some.photos
                remarks += [Rejected(item_id, None, said) for item_id, said in some.batch.remarks]
                if progress:
                    progress(handled, photos)
        self._reduce(space)
        self._calibrate(space)
        self._propose(space)
        with self._storage.writing() as writing:
            writing.execute(schema.spaces.delete().where(~schema.COMPARABLE))
        return EmbedReport(space, embedded, here, self.failures(space), remarks, perf_counter() - began)

    def embed_again(self, space: VectorSpace, progress: Progress | None = None) -> EmbedReport:
        """As :meth:`embed`, with the settings of a vector space, and the networks and the form of now."""
        settings = (space.backbone, space.masking, space.crop, space.masks)
        return self.embed(*settings, parser=_parser_of(space).name, fill=space.fill, progress=progress)

    def embed_item(self, item_id: str, space: VectorSpace | None = None) -> str | None:
        """Embed one item in a vector space, by default the latest, made with the defaults if there is none; why not, or
        None. Raises SettingError where the space has other networks or another form than there is now."""
        space = space or self.latest()
        if space is None:
            spec, parser = get_backbone(DEFAULT_BACKBONE), get_backbone(DEFAULT_PARSER)
            space = VectorSpace.of(spec, DEFAULT_MASKING, spec.crop, "auto", parser, DEFAULT_FILL)
            self._register(space)
        vectors = schema.vectors.c
        there = sa.select(vectors.item_id).where(vectors.space == space.key, vectors.item_id == item_id)
        for _ in range(_ROUNDS):  # another put may change the item meanwhile
            if self._storage.row(there) is not None:
                self._propose(space, item_id)
                return None
            rows = self._with_photo(schema.items.c.item_id == item_id)
            if not rows:
                return "it was removed again, or lost its photo"
            embedder = self._embedder(space)
            parser_ = embedder.parser if space.masks != "given" else None
            for some in self._embedded(rows, space, embedder.encoder, parser_):
                self._store(space, {item_id: rows[0]}, some.batch, some.shown)
                if some.batch.failures and self._with_photo(schema.items.c.item_id == item_id) == rows:
                    return some.batch.failures[0][1]
        self._propose(space, item_id)
        return None if self._storage.row(there) else "it was changed again while it was being embedded"

    def embed_worn(self, space: VectorSpace | str | None = None, progress: Progress | None = None) -> tuple[int, int]:
        """Embed the garments that somebody wears on items' photos, for what goes with what; of how many items photos
        were looked at now, and how many items show two garments or more.

        An item tells as much as the first of its photos with two garments on it. Items without a vector in the space
        (by default the latest) wait for it, and what is known of an item goes with its vector. Each batch is a
        transaction; the next run goes on. Raises UnknownIdError, and SettingError where the networks are others, or no
        garment is cut out of photos.
        """
        space = self.space(space)
        if space.masking == "none":
            raise SettingError(f"{space.key} compares whole photos; for outfits embed garments, with --masking own")
        worn, vectors = schema.worn.c, schema.vectors.c
        looked = sa.select(worn.item_id).where(worn.space == space.key)
        items = schema.items.c.item_id
        ready = sa.select(vectors.item_id).where(vectors.space == space.key)
        missing, now = self._with_photo(items.in_(ready), items.not_in(looked)), 0
        with ThreadPoolExecutor(2, thread_name_prefix="photos") as pool:
            for start in range(0, len(missing), _BATCH):
                some = {row["item_id"]: row for row in missing[start : start + _BATCH]}
                found = dict(zip(some, pool.map(self._worn, [space] * len(some), some.values()), strict=True))
                with self._storage.writing() as writing:
                    there = set(writing.execute(ready.where(vectors.item_id.in_(some))).scalars())
                    rows = {item_id: one for item_id, one in found.items() if item_id in there}
                    now += len({*self._insert(writing, schema.worn, space, some, rows, revision=writing.revision)})
                if progress:
                    progress(start + len(some), len(missing))
        shown = sa.select(sa.func.count(worn.item_id.distinct()).label("n"))
        [count] = self._storage.rows(shown.where(worn.space == space.key, worn.vector.is_not(None)))
        return now, count["n"]

    def _worn(self, space: VectorSpace, row: Any) -> list[dict[str, Any]]:
        """The garments on an item's photos, as the table has them."""
        embedder = self._embedder(space)
        for number, image in enumerate([row["image"], *_further(row)]):
            with suppress(PhotoError, MaskError):  # said when it was embedded
                photo = open_photo(self._storage.path / image)
                mask = self._storage.absolute(row["mask"]) if not number and space.masks != "parser" else None
                labels = see(photo, mask, embedder.parser if space.masks != "given" else None).labels
                if len(garments := embedder.garments(photo, labels)) > 1:
                    return [
                        {"label": label, "vector": _halves(one.vector), "colour": _halves(one.colour)}
                        for label, one in garments.items()
                    ]
        return [{"label": "", "vector": None, "colour": None}]

    def _with_photo(self, *conditions: sa.ColumnElement[bool]) -> list[Any]:
        items = schema.items.c
        return self._storage.rows(
            sa.select(schema.items).where(items.image.is_not(None), *conditions).order_by(items.item_id)
        )

    def _embedded(
        self, rows: Sequence[Any], space: VectorSpace, encoder: Encoder, parser: Parser | None
    ) -> Iterator["_Some"]:
        """Items, embedded as all of their photos are; a photo's job is known by its number."""
        jobs: list[PhotoJob] = []
        of: list[tuple[_Photos, int]] = []
        for row in rows:
            photos, own = _Photos(row, [row["image"], *_further(row)]), self._taxonomy.labels(row["category"])
            for number, image in enumerate(photos.images):
                mask = self._storage.absolute(row["mask"]) if not number and space.masks != "parser" else None
                jobs.append(PhotoJob(str(len(jobs)), str(self._storage.absolute(image)), mask, own))
                of.append((photos, number))
        for batch in embed_photos(jobs, encoder, space.masking, space.crop, parser, fill=space.fill):
            remarks = dict(batch.remarks)
            for job, look, colour in zip(batch.item_ids, batch.vectors, batch.colours, strict=True):
                photos, number = of[int(job)]
                photos.found[number] = look, colour, remarks.get(job, "")
            for job, reason in batch.failures:
                photos, number = of[int(job)]
                photos.failed[number] = reason
            done = [of[int(job)][0] for job in (*batch.item_ids, *(job for job, _ in batch.failures))]
            yield _Some.of([one for one in dict.fromkeys(done) if one.complete], len(done))

    def _parser(self, masking: str, masks: str, name: str = DEFAULT_PARSER) -> Parser | None:
        """The parser, if this way of masking can need it; one thread, since photos are parsed side by side."""
        return None if masking == "none" or masks == "given" else Parser(get_backbone(name), threads=1)

    def _embedder(self, space: VectorSpace) -> Embedder:
        """The space's networks, loaded once. A space of given masks parses photos without one all the same."""
        with self._loading:
            if space.key not in self._embedders:
                parser = _parser_of(space) if space.masking != "none" else None
                self._embedders[space.key] = Embedder(space, get_backbone(space.backbone), parser)
            return self._embedders[space.key]

    def embed_photo(self, photo: Image.Image, space: VectorSpace, category: str | None = None) -> EmbeddedPhoto:
        """An RGB photo parsed and embedded as the space does; ``category`` tells which of several garments is meant."""
        return self._embedder(space).embed(photo, self._taxonomy.labels(category))

    def embed_garments(self, photo: Image.Image, whole: EmbeddedPhoto, space: VectorSpace) -> dict[str, EmbeddedPhoto]:
        """Each garment that somebody wears on a photo, by its label, as :meth:`embed_photo` embedded the ``whole``."""
        return self._embedder(space).garments(photo, whole.labels, whole.cut)

    def _register(self, space: VectorSpace) -> None:
        spaces = schema.spaces
        with self._storage.writing() as writing:
            now = utc_now()
            if writing.execute(spaces.update().where(spaces.c.key == space.key).values(used=now)).rowcount == 0:
                writing.execute(spaces.insert().values(used=now, **space.row))

    def _store(
        self,
        space: VectorSpace,
        made_of: Mapping[str, Any],
        batch: EmbeddedBatch,
        shown: Mapping[str, str | None] | None = None,
    ) -> int:
        """Store what was made of items, unless they have changed since or another process was quicker; how many.
        ``shown`` are the further photos that show an item instead of its first."""
        made = {
            item_id: [
                {
                    "vector": _halves(vector),
                    "colour": _halves(colour),
                    "made_of": f"{made_of[item_id]['stamp']} {made_of[item_id]['category'] or ''}",
                }
            ]
            for item_id, vector, colour in zip(batch.item_ids, batch.vectors, batch.colours, strict=True)
        }
        with self._storage.writing() as writing:
            stored = self._insert(writing, schema.vectors, space, made_of, made, revision=writing.revision)
            items = schema.items
            for item_id in stored:
                if shown is not None and shown.get(item_id) != made_of[item_id]["shown"]:
                    new = {"shown": shown.get(item_id), "revision": writing.revision}
                    writing.execute(items.update().where(items.c.item_id == item_id).values(new))
            failed = schema.failures
            for some in chunks(made):  # a photo that could not be read before
                writing.execute(failed.delete().where(failed.c.space == space.key, failed.c.item_id.in_(some)))
            reasons = {one: [{"reason": why}] for one, why in batch.failures}
            self._insert(writing, schema.failures, space, made_of, reasons)
        return len(stored)

    def _insert(
        self,
        writing: Any,
        table: sa.Table,
        space: VectorSpace,
        made_of: Mapping[str, Any],
        rows: Mapping[str, Sequence[Mapping[str, Any]]],
        **more: Any,
    ) -> list[str]:
        new = []
        for some in chunks(rows):
            there = sa.select(table.c.item_id).where(table.c.space == space.key, table.c.item_id.in_(some))
            stored = set(writing.execute(there).scalars())
            items = schema.items.c
            now = writing.execute(
                sa.select(items.item_id, *(items[name] for name in _SOURCE)).where(items.item_id.in_(some))
            )
            new += [
                {"space": space.key, "item_id": row["item_id"], **one, **more}
                for row in now.mappings()
                for one in rows[row["item_id"]]
                if row["item_id"] not in stored and all(row[name] == made_of[row["item_id"]][name] for name in _SOURCE)
            ]
        if new:
            writing.execute(table.insert(), new)
        return [row["item_id"] for row in new]

    def _reduce(self, space: VectorSpace) -> None:
        """Fit the space's reduction once, when the catalogue is large enough; every later photo goes through it."""
        spaces, vectors = schema.spaces, schema.vectors.c
        if space.dim <= REDUCED_DIM:
            return
        if self._storage.row(sa.select(spaces.c.reduction).where(spaces.c.key == space.key))["reduction"] is not None:
            return
        stored = sa.select(vectors.vector).where(vectors.space == space.key).order_by(vectors.item_id)
        found = [row["vector"] for row in self._storage.rows(stored)]
        if len(found) >= REDUCED_FROM:
            whole = np.frombuffer(b"".join(found), "<f2").reshape(len(found), -1).astype(np.float32)
            fitted = fit_reduction(whole, REDUCED_DIM).to_bytes()
            with self._storage.writing() as writing:
                writing.execute(spaces.update().where(spaces.c.key == space.key).values(reduction=fitted))

    def _calibrate(self, space: VectorSpace) -> None:
        """Measure what two strangers and two photos of one product have in common in a space, by the shop's own photos.

        Of large shops some thousand products are looked at. A product may come in several colours: the colour of two
        photos of one and the same is not measured.
        """
        vectors, items = schema.vectors.c, schema.items.c
        rows = self._storage.rows(
            sa.select(vectors.vector, vectors.colour, items.product)
            .join(schema.items, items.item_id == vectors.item_id)
            .where(vectors.space == space.key, vectors.colour.is_not(None))
            .order_by(items.product, items.item_id)
            .limit(_SAMPLE)
        )
        if not rows:
            return
        settings = self._storage.row(sa.select(schema.spaces.c.reduction).where(schema.spaces.c.key == space.key))
        looks, colours = (
            np.frombuffer(b"".join(row[name] for row in rows), "<f2").reshape(len(rows), -1).astype(np.float32)
            for name in ("vector", "colour")
        )
        if settings["reduction"] is not None:
            looks = Reduction.from_bytes(settings["reduction"]).apply(looks)
        product = np.unique([row["product"] for row in rows], return_inverse=True)[1]
        found = {"look": calibrated(looks, product, "look"), "colour": calibrated(colours, product, "colour")}
        with self._storage.writing() as writing:
            spaces = schema.spaces
            writing.execute(spaces.update().where(spaces.c.key == space.key).values(calibration=json.dumps(found)))

    def _propose(self, space: VectorSpace, item_id: str | None = None) -> None:
        """Propose what the shop doesn't say of items, or of one of them, by those of which it does."""
        items = schema.items
        unsaid = {name: items.c[name].is_(None) for name in schema.PROPOSED}
        without = sa.select(items.c.item_id).where(sa.or_(*unsaid.values())).limit(1)
        if self._storage.row(without if item_id is None else without.where(items.c.item_id == item_id)) is None:
            return
        with self._moments.now(space) as (snapshot, _):
            gallery, alive = snapshot.candidates(space, formula="choice"), snapshot.column("alive")
        changes: dict[str, list[dict[str, Any]]] = {}
        for name, (proposed, of) in schema.PROPOSED.items():
            values = snapshot.said(name)
            rows = np.flatnonzero(alive & (values < 0))
            if item_id is not None:
                rows = rows[rows == snapshot.find(item_id)]
            names, named = snapshot.categories, np.full(len(values), -1)
            if name == "gender":
                names, named = GENDERS, self._named(snapshot, values, rows, item_id is not None)
                values = told(snapshot.column("category"), values, named)
            seen = gallery.has_vector[rows] & (named[rows] < 0)
            found, shares = named[rows], np.full(len(rows), np.nan)
            found[seen], shares[seen] = proposals(gallery, gallery.vectors[rows[seen]], values)
            for row, number, share in zip(rows.tolist(), found.tolist(), shares.tolist(), strict=True):
                item = snapshot.item(row)
                new = (names[number], round(share, 2)) if share >= SURE else (None, None)
                if named[row] >= 0:
                    new = names[number], None
                if new != (item[proposed], item[of]):
                    one = {"one": item["item_id"], "new": new[0], "share": new[1]}
                    changes.setdefault(name, []).append(one)
        if changes:
            with self._storage.writing() as writing:
                for name, some in changes.items():
                    changed = items.update().where(items.c.item_id == sa.bindparam("one"), unsaid[name])
                    proposed, of = schema.PROPOSED[name]
                    values_ = {proposed: sa.bindparam("new"), of: sa.bindparam("share"), "revision": writing.revision}
                    writing.execute(changed.values(values_), some)

    def _named(self, snapshot: Snapshot, said: Ints, rows: Ints, stored: bool) -> Ints:
        """The gender that the names of ``rows`` say, int64 (all rows,), -1: none; of others as it is ``stored``."""
        named = np.full(len(said), -1)
        if stored:
            items = schema.items.c
            wanted = items.proposed_gender.is_not(None) & items.proposed_gender_share.is_(None)
            for row in self._storage.rows(sa.select(items.item_id, items.proposed_gender).where(wanted)):
                if (place := snapshot.find(row["item_id"])) >= 0:  # it may have come since
                    named[place] = GENDERS.index(row["proposed_gender"])
        known = np.unique([said[snapshot.column("alive")], named[snapshot.column("alive")]])
        sold = {GENDERS[one] for one in known.tolist() if one >= 0}
        found = by_name(self._taxonomy, [snapshot.item(row) for row in rows.tolist()], sold)
        named[rows] = [-1 if one is None else GENDERS.index(one) for one in found]
        return named

    # Reading

    def spaces(self) -> list[VectorSpace]:
        """The vector spaces that photos were embedded into, the latest (the default) first; those of another form are
        left out."""
        spaces = schema.spaces.c
        rows = self._storage.rows(sa.select(spaces.settings).where(schema.COMPARABLE).order_by(spaces.used.desc()))
        return [VectorSpace.from_json(row["settings"]) for row in rows]

    def latest(self) -> VectorSpace | None:
        """The default vector space; where all are of another form, the latest of those."""
        wanted = sa.select(schema.spaces.c.settings).order_by(schema.COMPARABLE.desc(), schema.spaces.c.used.desc())
        row = self._storage.row(wanted.limit(1))
        return None if row is None else VectorSpace.from_json(row["settings"])

    @property
    def outdated(self) -> bool:
        """Whether photos were embedded, but all in another form than that of now."""
        ours = [row["ours"] for row in self._storage.rows(sa.select(schema.COMPARABLE.label("ours")))]
        return bool(ours) and not any(ours)

    def calibration(self, space: VectorSpace | str | None = None) -> dict[str, list[float]]:
        """The mean similarity of two strangers and of two photos of one product in a space, [low, high], of its looks
        and of its colours."""
        spaces = schema.spaces.c
        row = self._storage.row(sa.select(spaces.calibration).where(spaces.key == self.space(space).key))
        found: dict[str, list[float]] = {term: list(pair) for term, pair in CALIBRATION.items()}
        found.update(json.loads(row["calibration"] or "{}"))
        return found

    def space(self, wanted: VectorSpace | str | None = None) -> VectorSpace:
        """A vector space by its key or backbone, by default the latest. Raises UnknownIdError."""
        with self._moments.now() as (snapshot, _):
            return snapshot.space(wanted)

    def matrix(self, space: VectorSpace | str | None = None) -> tuple[list[str], Singles]:
        """Item ids and their vectors, float32 (n, dim) with unit rows, by id; reduced if the space has a reduction."""
        with self._moments.now(space) as (snapshot, _):
            matrix = snapshot.matrix(space)
        has = matrix.has[: snapshot.rows] & snapshot.column("alive")
        ids = {snapshot.item_ids[row]: row for row in np.flatnonzero(has).tolist()}
        return sorted(ids), matrix.looks[[ids[one] for one in sorted(ids)]]

    def waiting(self) -> list[str]:
        """The items whose photos have no vector in the default vector space, and were not set aside there; by id."""
        items = schema.items.c
        wanted = sa.select(items.item_id).where(items.image.is_not(None)).order_by(items.item_id)
        for table in (schema.vectors.c, schema.failures.c):
            there = sa.select(table.item_id).where(table.space == schema.LATEST_SPACE)
            wanted = wanted.where(items.item_id.not_in(there))
        return [row["item_id"] for row in self._storage.rows(wanted)]

    def failures(self, space: VectorSpace | str | None = None) -> list[Rejected]:
        """The photos that were set aside in a vector space, each with its reason."""
        table = schema.failures.c
        wanted = sa.select(table.item_id, table.reason, schema.items.c.image).join(schema.items)
        return [
            Rejected(str(self._storage.absolute(row["image"])), None, row["reason"])
            for row in self._storage.rows(wanted.where(table.space == self.space(space).key).order_by(table.item_id))
        ]

    def labels(self, item_id: str) -> NDArray[np.uint8] | None:
        """What the item's photo (the one to show) has on it, as palette labels uint8 (h, w): its given mask, else the
        parser's. A single thing has the label of its category; ``top`` where that has several, or nobody knows it.

        None without a photo. Raises UnknownIdError, PhotoError, MaskError.
        """
        row = self._storage.row(sa.select(schema.items).where(schema.items.c.item_id == item_id))
        if row is None:
            raise UnknownIdError(f"no item {item_id!r} in {self._storage.path.name}")
        if row["image"] is None:
            return None
        mask = None if row["shown"] else row["mask"]
        with self._loading:
            if self._labeller is None and mask is None:
                self._labeller = Parser(get_backbone(DEFAULT_PARSER))
        photo = open_photo(self._storage.path / (row["shown"] or row["image"]))
        found = see(photo, self._storage.absolute(mask), self._labeller).labels
        return self._shown(found, row)

    def _shown(self, labels: NDArray[np.uint8] | None, row: Any) -> NDArray[np.uint8] | None:
        """An item's labels as they are shown."""
        shown = None if labels is None else named(labels, self._taxonomy.labels(row["category"]))
        return labels if shown is None else shown

    def contact_sheet(
        self, masking: str = DEFAULT_MASKING, count: int = 12, progress: Progress | None = None
    ) -> tuple[Image.Image, list[Rejected]]:
        """Photo, mask and what is left of ``count`` items spread over the catalogue (the paper's figure 2).

        Photos without a given mask show the parser's. Also returns the items that could not be drawn, with reasons.
        """
        with_photo = self._with_photo()
        if not with_photo:
            name = self._storage.path.name
            raise SourceError(f"{name} has no photos; add some with: modiste add items {name} SOURCE")
        numbers = np.unique(np.linspace(0, len(with_photo) - 1, min(count, len(with_photo))).round().astype(int))
        chosen = [with_photo[number] for number in numbers.tolist()]
        parser = self._parser(masking, "given" if all(row["mask"] for row in chosen) else "auto")
        drawn: list[Row] = []
        rejected: list[Rejected] = []
        for done, row in enumerate(chosen, 1):
            image = self._storage.path / row["image"]
            try:
                photo = open_photo(image)
                seen = see(photo, self._storage.absolute(row["mask"]), parser)
                keep, _ = seen.keep(masking, self._taxonomy.labels(row["category"]))
                caption = f"{row['item_id']}  {row['category'] or ''}"
                drawn.append((photo, self._shown(seen.labels, row), keep, caption))
            except (PhotoError, MaskError) as error:
                rejected.append(Rejected(str(image), None, str(error)))
            if progress:
                progress(done, len(chosen))
        return contact_sheet(drawn), rejected


def _halves(vector: Singles) -> bytes:
    """As the tables keep it."""
    return vector.astype("<f2").tobytes()


def _further(row: Any) -> list[str]:
    """An item's photos beside ``image``, without those it names twice."""
    photos: list[str] = json.loads(row["photos"] or "[]")
    return [one for one in dict.fromkeys(photos) if one != row["image"]]


@dataclass(eq=False)
class _Photos:
    """An item's photos on their way in, by number: look, colour and remark of those embedded, why of the others."""

    row: Any
    images: list[str]
    found: dict[int, tuple[Singles, Singles, str]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return len(self.found) + len(self.failed) == len(self.images)


@dataclass(frozen=True)
class _Some:
    """A batch of items, which further photos show them, and how many photos had been handled for it."""

    batch: EmbeddedBatch
    shown: dict[str, str | None]
    photos: int

    @classmethod
    def of(cls, complete: Sequence[_Photos], photos: int) -> "_Some":
        ids, looks, colours, shown = list[str](), list[Singles](), list[Singles](), dict[str, str | None]()
        failures, remarks = list[tuple[str, str]](), list[tuple[str, str]]()
        for one in complete:
            item_id, numbers = one.row["item_id"], sorted(one.found)
            if not numbers:
                failures.append((item_id, one.failed[0]))
                continue
            found = [one.found[number] for number in numbers]
            made = agreed(
                np.stack([look for look, _, _ in found]), np.stack([colour for _, colour, _ in found]), CALIBRATION
            )
            best = numbers[made.best]
            ids.append(item_id)
            looks.append(made.look)
            colours.append(made.colour)
            shown[item_id] = one.images[best] if best else None
            said = [remark for (_, _, remark), kept in zip(found, made.kept, strict=True) if remark and kept]
            said += [f"photo {Path(one.images[number]).name}: {why}" for number, why in sorted(one.failed.items())]
            for number, kept in zip(numbers, made.kept, strict=True):
                if not kept:
                    name = Path(one.images[number]).name
                    said.append(f"photo {name} doesn't show what the others do; it was left out")
            remarks += [(item_id, remark) for remark in said]
        shape = (len(ids), -1) if ids else (0, 0)
        batch = EmbeddedBatch(
            ids,
            np.array(looks, np.float32).reshape(shape),
            np.array(colours, np.float32).reshape(shape),
            failures,
            remarks,
        )
        return cls(batch, shown, photos)


def calibrated(vectors: Singles, product: NDArray[np.intp], term: str) -> list[float]:
    """The mean cosines of strangers and, for looks, of two photos of one product, [low, high], low < high.

    ``vectors`` float32 (n, d) of unit length, ``product`` int (n,) in ascending order. Where under 30 pairs can be had,
    it is ``CALIBRATION``'s.
    """
    low, high = CALIBRATION[term]
    if len(vectors) < 2:
        return [low, high]
    one, other = np.random.default_rng(0).integers(0, len(vectors), (2, 20_000))
    strangers = product[one] != product[other]
    if len(vectors) >= _PAIRS and strangers.sum() >= _PAIRS:
        low = float(np.einsum("ij,ij->i", vectors[one[strangers]], vectors[other[strangers]]).mean())
    alike: list[Singles] = []
    starts = np.flatnonzero(np.diff(product, prepend=-1))
    for group in np.split(vectors, starts[1:]):
        if len(group) > 1 and term == "look":
            cosine = group @ group.T
            alike.append(cosine[np.triu_indices(len(group), 1)])
    pairs = np.concatenate(alike) if alike else np.zeros(0, np.float32)
    if len(pairs) >= _PAIRS:
        high = float(pairs.mean())
    return [round(low, 4), round(max(high, low + 0.05), 4)]


def _parser_of(space: VectorSpace) -> BackboneSpec:
    """The installed parser that the space was made with; the default one where it used none."""
    for spec in list_backbones(kind="parser"):
        if spec.sha256 == space.parser:
            return spec
    return get_backbone(DEFAULT_PARSER)
