"""The shop: items, shoppers, purchases and vectors in one folder, and the recommendations they lead to.

Photos travel catalogue → vision → vectors here; the formula itself is in :mod:`modiste.ranking.relevance`.
"""

import logging
import math
import os
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Thread
from typing import Any, Unpack

import numpy as np
import polars as pl
import sqlalchemy as sa
from PIL import Image

from modiste.behaviour.popularity import normalise
from modiste.behaviour.stores import distances_km
from modiste.catalog.items import GENDERS, Item
from modiste.errors import ModisteError, SettingError, SourceError
from modiste.ranking.relevance import Weights, preset
from modiste.ranking.topk import Candidates, Queries, Ranking, merge, rank
from modiste.shop import database as db
from modiste.shop.asking import Asked, Found, Options, checked_place, checked_trendiness, gender_code, spread
from modiste.shop.embedding import Embeddings
from modiste.shop.points import PointIndex
from modiste.shop.recommendations import Recommendations
from modiste.shop.records import UPLOADS, Catalogue, record_of
from modiste.vision.embedding import VectorSpace
from modiste.vision.photos import MAX_PIXELS, check_photo, open_photo

NEWS_HALF_LIFE = 30.0
"""Days after which a purchase counts half in what is shown to a shopper nobody knows."""

INDEXED_FROM = 200_000
"""Items from which on pgvector proposes and the formula decides, where the shop lies in PostgreSQL."""

POOL = 200
"""How many candidates pgvector proposes for each query."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class PutReport:
    """What came of putting one item: whether it is new, whether it has a vector now, and if not, why."""

    created: bool
    embedded: bool
    remark: str | None = None


@dataclass(frozen=True)
class Coverage:
    """How far a shop is ready: counts; vectors, missing and failed are photos in the default vector space."""

    items: int
    photos: int
    vectors: int
    missing: int
    failed: int
    shoppers: int
    purchases: int
    last_purchase: datetime | None


class Shop(Embeddings):
    """One shop in one folder. Open it with :meth:`open`, make it with :meth:`create`; close it or use ``with``.

    Example::

        with Shop.open("street") as shop:
            shop.embed()
            for found in shop.recommend(shopper="1", top=5):
                print(found.item_id, found.relevance, found.terms, found.because)
    """

    indexed_from: int = INDEXED_FROM

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._points_cache: dict[str, tuple[tuple[str, ...], PointIndex]] = {}
        self._renewing: Thread | None = None

    def close(self) -> None:
        """Let go of the database, once the points that are being written are."""
        if self._renewing is not None:
            self._renewing.join()
        super().close()

    # Items that come one at a time

    def put_item(self, item: Item, photo: bytes | None = None, *, max_pixels: int = MAX_PIXELS) -> PutReport:
        """Make one item or replace what is known of it, recommendable at once.

        ``photo``, an encoded picture, is kept in the shop's folder under its content's hash and embedded now, in the
        default vector space (made with the defaults where there is none). Without it the item keeps the photo it has;
        the item's own ``image`` and ``mask`` play no part. Raises SourceError for a gender, price or popularity that
        can't be, and PhotoError for a photo that is broken or larger than ``max_pixels``; then nothing is changed.
        """
        _check_item(item)
        if photo is not None:
            check_photo(photo, max_pixels=min(max_pixels, MAX_PIXELS))
        item = replace(item, category=self.taxonomy.canonical(item.category), image=None, mask=None)
        with self._writing("items_version") as connection:  # what is known is read where nobody else can change it
            wanted = sa.select(db.items).where(db.items.c.item_id == item.item_id)
            known = connection.execute(wanted).mappings().one_or_none()
            if photo is not None:
                item = replace(item, image=str(self._keep_photo(photo)))
            row = record_of(item) | {"image": self._kept_path(item.image)}
            if photo is None and known is not None:
                row |= {name: known[name] for name in ("image", "mask", "stamp")}
            new, changed = ([row], []) if known is None else ([], [row])
            self._store_items(connection, new, changed, {} if known is None else {item.item_id: known})
        if known is not None and known["image"] != row["image"]:
            self._drop_upload(known["image"])
        try:
            failed = self._embed_one(item.item_id) if row["image"] is not None else "it has no photo"
        except ModisteError as error:  # the item is there; other networks are installed than the shop was made with
            failed = str(error)
        return PutReport(known is None, failed is None, failed)

    def _keep_photo(self, photo: bytes) -> Path:
        """Write an encoded photo, found whole, into the uploads under its hash; there already, it stays."""
        with Image.open(BytesIO(photo)) as opened:
            suffix = (opened.format or "bin").lower()
        file = self.path / UPLOADS / f"{blake2b(photo, digest_size=16).hexdigest()}.{suffix}"
        file.parent.mkdir(exist_ok=True)
        if not file.exists():
            with NamedTemporaryFile(dir=file.parent, delete=False) as written:
                written.write(photo)
                written.flush()
                os.fsync(written.fileno())
            Path(written.name).chmod(0o644)  # another machine's user may serve it
            Path(written.name).replace(file)
        return file

    def coverage(self) -> Coverage:
        """How many items, photos, vectors, shoppers and purchases there are; vectors are those of the default space."""
        spaces = self.spaces()
        key = spaces[0].key if spaces else ""
        with self.engine.connect() as connection:

            def count(table: sa.Table, *conditions: Any) -> int:
                return int(
                    connection.execute(sa.select(sa.func.count()).select_from(table).where(*conditions)).scalar_one()
                )

            photos = count(db.items, db.items.c.image.is_not(None))
            vectors, failed = (
                count(db.vectors, db.vectors.c.space == key),
                count(db.failures, db.failures.c.space == key),
            )
            last = connection.execute(sa.select(sa.func.max(db.purchases.c.at))).scalar_one()
            return Coverage(
                items=count(db.items),
                photos=photos,
                vectors=vectors,
                missing=photos - vectors - failed,
                failed=failed,
                shoppers=count(db.shoppers),
                purchases=count(db.purchases),
                last_purchase=last,
            )

    # Asking

    def recommend(
        self, shopper: str | None = None, item: str | None = None, *, top: int = 5, **options: Unpack[Options]
    ) -> Recommendations:
        """The Top-K for a shopper, merged over her purchases without repeats, or for someone looking at ``item``.

        Without purchases of hers the list is that of :meth:`introduce`. ``options``: :class:`Options`.
        Raises UnknownIdError and SettingError.
        """
        if (shopper is None) == (item is None):
            raise SettingError("name a shopper or an item, one of the two")
        asked = self._ask_for(shopper, item, top, options)
        if not len(asked.queries):
            return self.introduce(top, shopper=shopper, **options)
        ranking = self._rank(asked, top)
        return Recommendations(asked.told(ranking, int(query), int(place)) for query, place in merge(ranking, top))

    def recommend_each(
        self, shopper: str, *, top: int = 5, latest: int | None = None, **options: Unpack[Options]
    ) -> list[tuple[str, Recommendations]]:
        """The Top-K of each of the shopper's purchases, in the order she made them: the paper's way.

        With ``latest`` only of so many purchases, the last ones. Takes the options of :meth:`recommend`.
        Raises UnknownIdError and SettingError.
        """
        asked = self._ask_for(shopper, None, top, options)
        if latest is not None:
            asked = replace(asked, queries=asked.queries.at(np.arange(len(asked.queries))[-latest:]))
        ranking = self._rank(asked, top)
        lists = []
        for query, row in enumerate(asked.queries.item.tolist()):
            places = [place for place in range(top) if ranking.items[query, place] >= 0]
            found = Recommendations(asked.told(ranking, query, place) for place in places)
            lists.append((asked.candidates.item_ids[row], found))
        return lists

    def introduce(self, top: int = 5, *, shopper: str | None = None, **options: Unpack[Options]) -> Recommendations:
        """What to show a shopper of whom no purchase is known: by popularity alone, the best of each category first.

        Popularity is as she likes it: her trendiness, the one in ``options``, or the population's mean. Old purchases
        fade with a half-life of :data:`NEWS_HALF_LIFE` days unless ``options`` say otherwise; its weights play no part.
        """
        tau = checked_trendiness(options.get("trendiness"))
        if tau is None:
            tau = self.trendiness(shopper) if shopper is not None else self._mean_trendiness()
        fresh = Options(**{**options, "half_life": options.get("half_life") or NEWS_HALF_LIFE})
        fresh["weights"] = Weights(0.0, 1.0, 0.0)
        asked = self._ask(self._catalogue(), [-1], None, tau, "you like", self._home(shopper), top, fresh)
        ranking = self._rank(asked, max(20 * top, 200))
        places = spread(ranking, asked.candidates.category, top)
        return Recommendations(asked.told(ranking, 0, place) for place in places)

    def search(
        self,
        photo: bytes | Path | Image.Image,
        *,
        top: int = 12,
        category: str | None = None,
        max_pixels: int = MAX_PIXELS,
        **options: Unpack[Options],
    ) -> Found:
        """What looks like the garment on a photo that is in no catalogue; by default by looks alone ("visual").

        ``category`` tells which of several garments is meant, where the space masks all but an item's own.
        Raises PhotoError, SettingError, and UnknownIdError where nothing is embedded yet.
        """
        upright = photo if isinstance(photo, Image.Image) else open_photo(photo, max_pixels=max_pixels)
        space = self._space(options.get("space"))
        seen = self._embedder(space).see(upright, self.taxonomy.labels(category))
        tau = options.get("trendiness")
        tau = 0.5 if tau is None else tau
        catalogue = self._catalogue()
        asked = self._ask(catalogue, [-1], seen.vector[None], tau, "you look at", None, top, options, "visual")
        ranking = self._rank(asked, top)
        told = Recommendations(asked.told(ranking, int(query), int(place)) for query, place in merge(ranking, top))
        return Found(upright, seen.labels, seen.keep, told)

    def _ask_for(self, shopper: str | None, item: str | None, top: int, options: Options) -> Asked:
        """The question about each purchase of ``shopper``, or about ``item``."""
        catalogue = self._catalogue()
        rows = [self._item_row(catalogue, item)] if item is not None else self._bought(catalogue, shopper)
        tau = options.get("trendiness")
        if shopper is not None:
            tau = self.trendiness(shopper) if tau is None else tau
            return self._ask(catalogue, rows, None, tau, "you bought", self._home(shopper), top, options)
        if tau is None:
            tau = float(normalise(self._counts(catalogue, options.get("half_life")))[rows[0]])
        return self._ask(catalogue, rows, None, tau, "you look at", None, top, options)

    def _ask(
        self,
        catalogue: Catalogue,
        rows: list[int],
        vectors: np.ndarray[Any, np.dtype[np.float32]] | None,
        tau: float,
        verb: str,
        home: tuple[float, float] | None,
        top: int,
        options: Options,
        weights: str = "balanced",
    ) -> Asked:
        """One query for each of ``rows`` (-1: no item, then ``vectors`` may have a photo's, not reduced)."""
        if top < 1:
            raise SettingError(f"top must be at least 1, not {top}")
        checked_trendiness(tau)
        space = self._space(options.get("space")) if self.spaces() else None
        candidates = self._candidates(catalogue, space, options.get("half_life"))
        if vectors is not None and space is not None and vectors.shape[1] != candidates.vectors.shape[1]:
            reduction = self._reduction(space)
            vectors = vectors if reduction is None else reduction.apply(vectors)
        distances = self._distances(catalogue, checked_place(options.get("near")) or home)
        where = options.get("where")
        keep = np.ones(len(catalogue.row), bool) if where is None else where.keeps(catalogue.frame, self.taxonomy)
        within_km = options.get("within_km")
        if within_km is not None:
            if distances is None:
                raise SettingError("within needs a place: give near as latitude and longitude, and add stores")
            keep &= np.nan_to_num(distances, nan=np.inf) <= within_km
        unwanted = [self._item_row(catalogue, one) for one in options.get("exclude", ())]
        owned = np.array(sorted({*unwanted, *(row for row in rows if row >= 0)}), dtype=np.int64)
        item = np.array(rows, dtype=np.int64)
        gender = options.get("gender")
        if gender is not None:
            genders = np.full(len(rows), gender_code(gender), np.int8)
        elif options.get("any_gender"):
            genders = np.zeros(len(rows), np.int8)
        else:
            genders = np.where(item >= 0, catalogue.gender[item] if len(catalogue.gender) else 0, 0).astype(np.int8)
        queries = Queries(item, vectors, np.full(len(rows), float(tau)), genders, [owned] * len(rows))
        chosen = options.get("weights", weights)
        return Asked(
            candidates.updated(distance_km=distances, allowed=keep),
            queries,
            chosen if isinstance(chosen, Weights) else preset(chosen),
            catalogue.frame,
            distances,
            verb,
            space,
        )

    def _distances(self, catalogue: Catalogue, near: tuple[float, float] | None) -> np.ndarray[Any, Any] | None:
        stores = self.stores()
        if near is None or stores.is_empty():
            return None
        away = stores.select(
            "store_id", km=pl.Series(distances_km(near, stores.select("latitude", "longitude").to_numpy()))
        )
        joined = catalogue.frame.select("store_id").join(away, on="store_id", how="left", maintain_order="left")
        return joined["km"].cast(pl.Float64).fill_null(float("nan")).to_numpy()

    # Ranking

    def candidates(self, space: VectorSpace | str | None = None, half_life: float | None = None) -> Candidates:
        """All items as the ranking takes them, in the order of :meth:`items`; popularity is the current one."""
        chosen = self._space(space) if self.spaces() else None
        return self._candidates(self._catalogue(), chosen, half_life)

    def _candidates(self, catalogue: Catalogue, space: VectorSpace | None, half_life: float | None) -> Candidates:
        vectors, has_vector = self._aligned_vectors(space, catalogue)
        return Candidates(
            vectors=vectors,
            has_vector=has_vector,
            normpop=normalise(self._counts(catalogue, half_life)),
            category=catalogue.category,
            similarity=catalogue.similarity,
            gender=catalogue.gender,
            product=catalogue.product,
            item_ids=catalogue.item_ids,
            distance_km=None,
            allowed=None,
        )

    def _rank(self, asked: Asked, top: int) -> Ranking:
        """The Top-K: exactly, or of a large shop in PostgreSQL among what pgvector proposes."""
        points = self._points(asked.space)
        if points is None or asked.space is None:
            return rank(asked.candidates, asked.queries, asked.weights, top)
        self._renew(points, self.candidates(asked.space))  # with the lasting popularity, whatever was asked for
        return points.rank(asked.candidates, asked.queries, asked.weights, top, max(POOL, 2 * top))

    def _renew(self, points: PointIndex, now: Candidates) -> None:
        """Where some points are out of date, have them written anew in a thread of its own; nobody waits for it."""
        if (self._renewing is not None and self._renewing.is_alive()) or not points.is_stale(now):
            return

        def renew() -> None:
            try:
                points.refresh(now)
            except sa.exc.SQLAlchemyError as error:  # until it succeeds, the old points answer, or the exact way
                _LOG.warning("the points of %s were not renewed: %s", points.name, type(error).__name__)

        self._renewing = Thread(target=renew, daemon=True)
        self._renewing.start()

    def _finish(self, space: VectorSpace) -> None:
        """After embedding: fit the reduction, and make the points that pgvector searches."""
        super()._finish(space)
        if (points := self._points(space)) is not None:
            points.refresh(self.candidates(space))

    def _points(self, space: VectorSpace | None) -> PointIndex | None:
        """The points that pgvector searches, where that is quicker than looking at every item."""
        if self.engine.dialect.name != "postgresql" or space is None:
            return None
        if len(self._catalogue().row) < self.indexed_from:
            return None
        names = self._catalogue().kinds
        found = self._points_cache.get(space.key)
        if found is None or found[0] != names:
            index = PointIndex(self.engine, space.key, self.taxonomy.embedding([*names, None]))
            found = self._points_cache[space.key] = (names, index)
        return found[1]


def _check_item(item: Item) -> None:
    """Raises SourceError for what a catalogue's reader would not take."""
    if not item.item_id.strip():
        raise SourceError("an item needs an id")
    if item.gender is not None and item.gender not in GENDERS:
        raise SourceError(f"item {item.item_id!r}: no gender {item.gender!r}; there are: {', '.join(GENDERS)}")
    for name in ("price", "popularity"):
        value = getattr(item, name)
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise SourceError(f"item {item.item_id!r}: {name} is {value}; it is a finite number of at least 0")
