"""The shop: items, shoppers, purchases and vectors in one folder, and the recommendations they lead to.

Photos travel catalogue → vision → vectors here; the formula itself is in :mod:`modiste.ranking.relevance`.
"""

import json
import logging
import math
import os
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Lock, Thread
from time import perf_counter
from typing import Any, Self, Unpack

import numpy as np
import polars as pl
import sqlalchemy as sa
from PIL import Image

from modiste.behaviour.popularity import decayed_counts, normalise, popularity_at_purchase
from modiste.behaviour.simulation import Simulation, simulate
from modiste.behaviour.stores import BOX, assign_items, distances_km, make_stores, read_stores
from modiste.behaviour.trendiness import estimate_trendiness
from modiste.behaviour.trends import bought_lately, popularity_over_time
from modiste.catalog.items import GENDERS, Item, Rejected
from modiste.catalog.readers import read_source
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import MaskError, PhotoError, SettingError, SourceError, UnknownIdError
from modiste.ranking.relevance import Weights, preset
from modiste.ranking.topk import Candidates, Queries, Ranking, merge, rank
from modiste.shop import database as db
from modiste.shop import migrations
from modiste.shop.asking import Asked, Found, Options, checked_place, checked_trendiness, gender_code, spread
from modiste.shop.filters import Filter
from modiste.shop.orders import Purchase, read_orders
from modiste.shop.points import PointIndex
from modiste.shop.recommendations import Recommendations
from modiste.vision.backbones import BackboneSpec, Encoder, get_backbone, list_backbones
from modiste.vision.embedding import Embedder, PhotoJob, VectorSpace, embed_photos, labels_of
from modiste.vision.masks import garment_pixels
from modiste.vision.parsing import Parser
from modiste.vision.photos import check_photo, open_photo
from modiste.vision.reduction import Reduction, fit_reduction
from modiste.vision.sheets import Row, contact_sheet

DEFAULT_BACKBONE = "efficientnet_lite0"
DEFAULT_MASKING = "own"
DEFAULT_PARSER = "garment_parser"
REDUCED_DIM = 128
"""Dimensions that vectors of a space are reduced to (centring and PCA, fitted once on the catalogue)."""

REDUCED_FROM = 4 * REDUCED_DIM
"""A catalogue with fewer photos than this is not enough to fit a reduction on; its vectors stay whole."""

START_COUNTS = 100
"""Simulated catalogues without a popularity of their own start at a uniform count between 0 and this (the paper)."""

NEWS_HALF_LIFE = 30.0
"""Days after which a purchase counts half in what is shown to a shopper nobody knows."""

INDEXED_FROM = 200_000
"""Items from which on pgvector proposes and the formula decides, where the shop lies in PostgreSQL."""

POOL = 200
"""How many candidates pgvector proposes for each query."""

KEPT_HALF_LIVES = 8
"""For how many half-lives the popularity is kept in memory."""

UPLOADS = "uploads"
"""The folder, inside the shop's, of photos that came without a catalogue; named by their content."""

_LOG = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (done, total) as long work goes on."""


@dataclass(frozen=True)
class AddReport:
    """What came of adding items or orders: counts, and every row or file that was not taken with its reason."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    unknown_categories: dict[str, int] = field(default_factory=dict)


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


@dataclass(frozen=True)
class _Catalogue:
    """The items in memory, in the order of their ids, as the ranking wants them; a cache of the database."""

    version: str
    frame: pl.DataFrame
    row: dict[str, int]
    category: np.ndarray[Any, np.dtype[np.int64]]
    similarity: np.ndarray[Any, np.dtype[np.float64]]
    gender: np.ndarray[Any, np.dtype[np.int8]]
    product: np.ndarray[Any, np.dtype[np.int64]]
    kinds: tuple[str, ...]


class Shop:
    """One shop in one folder. Open it with :meth:`open`, make it with :meth:`create`; close it or use ``with``.

    Example::

        with Shop.open("street") as shop:
            shop.embed()
            for found in shop.recommend(shopper="1", top=5):
                print(found.item_id, found.relevance, found.terms, found.because)
    """

    indexed_from: int = INDEXED_FROM

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = db.connect(path)
        categories = path / "categories.toml"
        self.taxonomy = Taxonomy.load(categories if categories.is_file() else None)
        self._catalogue_cache: _Catalogue | None = None
        self._vectors_cache: dict[str, tuple[str, np.ndarray[Any, Any], np.ndarray[Any, Any]]] = {}
        self._purchases_cache: tuple[str, str, pl.DataFrame] | None = None
        self._trendiness_cache: tuple[str, pl.DataFrame] | None = None
        self._points_cache: dict[str, tuple[tuple[str, ...], PointIndex]] = {}
        self._renewing: Thread | None = None
        self._reductions: dict[str, Reduction] = {}
        self._embedders: dict[str, Embedder] = {}
        self._labeller: Parser | None = None
        self._embedders_lock = Lock()
        self._counts_cache: dict[float | None, tuple[str, np.ndarray[Any, Any]]] = {}

    # Making, opening, closing

    @classmethod
    def create(cls, path: str | Path, *, categories: Path | None = None, database: str | None = None) -> Self:
        """Make an empty shop in the folder ``path``, with its own taxonomy if ``categories`` names a TOML file.

        Its tables lie in the folder, or in PostgreSQL with pgvector where ``database`` is a URL such as
        ``postgresql://user@host/db?schema=street`` (the schema is made if need be; without one, the user's default).
        The folder remembers the URL; the environment variable ``MODISTE_DATABASE`` is used in its place.
        Raises SourceError if there is a shop already, the taxonomy is not valid or the database can't be used,
        SettingError for another kind of URL, MissingExtraError without the extra ``postgres``.
        """
        folder = Path(path).resolve()
        if db.is_shop(folder):
            raise SourceError(f"{folder} is a shop already; open it, or choose another folder")
        if categories is not None:
            Taxonomy.load(categories)  # refuse a bad file before anything is written
        if database is not None:
            db.postgres(database).dispose()  # and a bad URL
        folder.mkdir(parents=True, exist_ok=True)
        if categories is not None:
            shutil.copyfile(categories, folder / "categories.toml")
        if database is not None:
            db.remember(folder, database)
        shop = cls(folder)
        try:
            migrations.create(shop.engine)
        except BaseException:
            shop.close()
            if database is not None:
                (folder / "shop.toml").unlink()
            raise
        return shop

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the shop in the folder ``path``, wherever its tables lie; an older program's are brought forward.

        Raises SourceError if there is none, its database can't be used, or a newer program made it.
        """
        folder = Path(path).resolve()
        if not db.is_shop(folder):
            raise SourceError(f"there is no shop in {folder}; make one with: modiste new {path}")
        shop = cls(folder)
        try:
            migrations.upgrade(shop.engine)
        except BaseException:
            shop.close()
            raise
        return shop

    def backup(self, to: str | Path) -> Path:
        """Copy the shop into the new folder ``to``, as it is at one moment, while others go on writing.

        The copy is a shop itself: opening it, or moving it to the old one's place, restores it. Photos outside the
        shop's folder are not copied. Raises SettingError for tables in PostgreSQL, which pg_dump copies, and
        SourceError if ``to`` exists already.
        """
        if self.engine.dialect.name != "sqlite":
            raise SettingError(
                f"the tables of {self.path} lie in PostgreSQL; copy them with: pg_dump (see docs/deploy.md)"
            )
        folder = Path(to).resolve()
        if folder.exists():
            raise SourceError(f"{folder} exists already; choose a new folder for the copy")
        folder.mkdir(parents=True)
        with (
            closing(sqlite3.connect(self.path / "shop.db")) as ours,
            closing(sqlite3.connect(folder / "shop.db")) as copy,
        ):
            ours.backup(copy)
        for name in ("categories.toml", UPLOADS):
            if (self.path / name).is_dir():
                shutil.copytree(self.path / name, folder / name)
            elif (self.path / name).exists():
                shutil.copy2(self.path / name, folder / name)
        return folder

    def close(self) -> None:
        """Let go of the database."""
        if self._renewing is not None:
            self._renewing.join()
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Items

    def add_items(self, source: str | Path, masks: Path | None = None, progress: Progress | None = None) -> AddReport:
        """Add the items of a DeepFashion folder, a CSV or Parquet table, or a folder of folders.

        Adding again is idempotent: unchanged items are skipped, changed ones updated and embedded anew. Photos are
        opened to see that they are whole; what is broken stands in the report and stops nothing.
        Raises SourceError if the source as a whole can't be read.
        """
        reading = read_source(Path(source), self.taxonomy, masks)
        known = {row["item_id"]: row for row in self._rows(sa.select(db.items))}
        rejected = list(reading.rejected)
        rows: list[dict[str, Any]] = []
        with ThreadPoolExecutor() as pool:
            checked = pool.map(lambda item: self._checked(item, known.get(item.item_id)), reading.items)
            for done, (item, outcome) in enumerate(zip(reading.items, checked, strict=True), 1):
                if isinstance(outcome, PhotoError):
                    rejected.append(Rejected(item.image or item.item_id, None, str(outcome)))
                else:
                    rows.append(outcome)
                if progress:
                    progress(done, len(reading.items))
        new = [row for row in rows if row["item_id"] not in known]
        changed = [row for row in rows if row["item_id"] in known and row != dict(known[row["item_id"]])]
        if new or changed:
            with self._writing("items_version", "vectors_version") as connection:
                self._store_items(connection, new, changed, known)
        return AddReport(
            len(new), len(changed), len(rows) - len(new) - len(changed), rejected, reading.unknown_categories
        )

    def _checked(self, item: Item, known: Any) -> dict[str, Any] | PhotoError:
        row = asdict(item) | {"attributes": json.dumps(dict(item.attributes), sort_keys=True, ensure_ascii=False)}
        row["image"], row["mask"] = self._kept_path(item.image), self._kept_path(item.mask)
        try:
            row["stamp"] = _stamp(item)
            if item.image is not None and (known is None or known["stamp"] != row["stamp"]):
                check_photo(Path(item.image))
        except PhotoError as error:
            return error
        except OSError as error:
            return PhotoError(f"can't be read: {error.strerror}")
        return row

    def _store_items(
        self, connection: sa.Connection, new: list[dict[str, Any]], changed: list[dict[str, Any]], known: Any
    ) -> None:
        if new:
            connection.execute(db.items.insert(), new)
        if changed:
            table = db.items.c
            values: dict[str, Any] = {
                column.name: sa.bindparam(f"new_{column.name}") for column in table if column.name != "item_id"
            }
            connection.execute(
                db.items.update().where(table.item_id == sa.bindparam("new_item_id")).values(values),
                [{f"new_{name}": value for name, value in row.items()} for row in changed],
            )
        stale = [
            {"stale": row["item_id"]}
            for row in changed
            if any(row[name] != known[row["item_id"]][name] for name in ("stamp", "category", "mask"))
        ]
        if stale:  # the category chooses which pixels are the item's own
            for table_ in (db.vectors, db.failures):
                connection.execute(table_.delete().where(table_.c.item_id == sa.bindparam("stale")), stale)

    def put_item(self, item: Item, photo: bytes | None = None) -> PutReport:
        """Make one item or replace what is known of it, recommendable at once.

        ``photo``, an encoded picture, is kept in the shop's folder under its content's hash and embedded now, in the
        default vector space (made with the defaults where there is none). Without it the item keeps the photo it has;
        the item's own ``image`` and ``mask`` play no part. Raises SourceError for a gender, price or popularity that
        can't be, and PhotoError for a broken photo; then nothing is changed.
        """
        _check_item(item)
        known = self._row(sa.select(db.items).where(db.items.c.item_id == item.item_id))
        if photo is not None:
            item = replace(item, image=str(self._keep_photo(photo)), mask=None)
        elif known is not None:
            image, mask = self._full_path(known["image"]), self._full_path(known["mask"])
            item = replace(item, image=image, mask=mask)
        else:
            item = replace(item, image=None, mask=None)
        row = self._checked(replace(item, category=self.taxonomy.canonical(item.category)), known)
        if isinstance(row, PhotoError):
            raise row
        with self._writing("items_version", "vectors_version") as connection:
            wanted = sa.select(db.items).where(db.items.c.item_id == item.item_id)
            known = connection.execute(wanted).mappings().one_or_none()
            new, changed = ([row], []) if known is None else ([], [row])
            self._store_items(connection, new, changed, {} if known is None else {item.item_id: known})
        if known is not None and known["image"] != row["image"]:
            self._drop_upload(known["image"])
        failed = self._embed_one(item.item_id) if row["image"] is not None else "it has no photo"
        return PutReport(known is None, failed is None, failed)

    def _keep_photo(self, photo: bytes) -> Path:
        """Write an encoded photo, found whole, into the uploads under its hash; there already, it stays."""
        check_photo(photo)
        with Image.open(BytesIO(photo)) as opened:
            suffix = (opened.format or "bin").lower()
        file = self.path / UPLOADS / f"{blake2b(photo, digest_size=16).hexdigest()}.{suffix}"
        file.parent.mkdir(exist_ok=True)
        if not file.exists():
            with NamedTemporaryFile(dir=file.parent, delete=False) as written:
                written.write(photo)
                written.flush()
                os.fsync(written.fileno())
            Path(written.name).replace(file)
        return file

    def _drop_upload(self, image: str | None) -> None:
        """Delete an uploaded photo that no item shows any more."""
        if image is None or not image.startswith(UPLOADS + "/"):
            return
        if self._row(sa.select(db.items.c.item_id).where(db.items.c.image == image)) is None:
            (self.path / image).unlink(missing_ok=True)

    def remove_item(self, item_id: str) -> None:
        """Forget an item with its vectors and purchases, and its photo if it was uploaded. Raises UnknownIdError."""
        row = self._row(sa.select(db.items.c.image).where(db.items.c.item_id == item_id))
        with self._writing("items_version", "purchases_version", "vectors_version") as connection:
            if connection.execute(db.items.delete().where(db.items.c.item_id == item_id)).rowcount == 0:
                raise UnknownIdError(f"no item {item_id!r} in {self.path.name}")
        self._drop_upload(row["image"] if row else None)

    def item(self, item_id: str) -> dict[str, Any]:
        """One row of :meth:`items`. Raises UnknownIdError."""
        catalogue = self._catalogue()
        return catalogue.frame.row(self._item_row(catalogue, item_id), named=True)

    def items(self) -> pl.DataFrame:
        """All items in the order of their ids, with absolute paths; ``attributes`` is a JSON object."""
        return self._catalogue().frame

    def _kept_path(self, path: str | None) -> str | None:
        """Relative to the shop's folder when inside it, so that the folder can be moved."""
        if path is None:
            return None
        inside = Path(path).resolve()
        return inside.relative_to(self.path).as_posix() if inside.is_relative_to(self.path) else str(inside)

    # Stores, shoppers, purchases

    def make_stores(self, n: int = 5, box: tuple[float, float, float, float] = BOX, seed: int = 42) -> pl.DataFrame:
        """Replace the stores by ``n`` at random places and spread the items evenly over them per category."""
        made = make_stores(n, box, seed)
        self._replace_stores(made)
        catalogue = self.items()
        places = assign_items(catalogue["category"].to_list(), made["store_id"].to_list(), seed)
        with self._writing("items_version") as connection:
            if places:
                connection.execute(
                    db.items.update()
                    .where(db.items.c.item_id == sa.bindparam("one"))
                    .values(store_id=sa.bindparam("place")),
                    [{"one": one, "place": place} for one, place in zip(catalogue["item_id"], places, strict=True)],
                )
        return made

    def add_stores(self, file: str | Path) -> AddReport:
        """Add or update real stores (store_id, latitude, longitude, optional name) from a CSV or Parquet file."""
        known = set(self.stores()["store_id"])
        found, rejected = read_stores(Path(file))
        self._replace_stores(found, keep=True)
        updated = sum(store in known for store in found["store_id"])
        return AddReport(len(found) - updated, updated, 0, rejected)

    def _replace_stores(self, frame: pl.DataFrame, keep: bool = False) -> None:
        with self._writing("items_version") as connection:
            gone = db.stores.delete()
            connection.execute(gone.where(db.stores.c.store_id.in_(frame["store_id"].to_list())) if keep else gone)
            if len(frame):
                connection.execute(
                    db.stores.insert(), frame.select("store_id", "name", "latitude", "longitude").to_dicts()
                )

    def stores(self) -> pl.DataFrame:
        """Columns store_id, name, latitude, longitude (degrees)."""
        return self._frame(sa.select(db.stores).order_by(db.stores.c.store_id))

    def shoppers(self) -> pl.DataFrame:
        """Columns shopper_id, trendiness in [0, 1] (null: estimated on demand), latitude, longitude, simulated."""
        return self._frame(sa.select(db.shoppers).order_by(db.shoppers.c.shopper_id))

    def purchases(self) -> pl.DataFrame:
        """All purchases in the order in which they were made: shopper_id, item_id, at, order_id, simulated."""
        return self._all_purchases().sort("at", "purchase_id").drop("purchase_id")

    def _all_purchases(self) -> pl.DataFrame:
        """All purchases in the order in which they were recorded, from memory but for those that came since."""
        items, version = self._setting("items_version"), self._setting("purchases_version")
        cached = self._purchases_cache
        if cached is not None and cached[:2] == (items, version):
            return cached[2]
        table = db.purchases.c
        wanted = sa.select(
            table.purchase_id, table.shopper_id, table.item_id, table.at, table.order_id, table.simulated
        ).order_by(table.purchase_id)
        if cached is None or cached[0] != items:  # whatever deletes purchases changes the items' version
            frame = self._frame(wanted)
        else:
            last = cached[2]["purchase_id"].max() if len(cached[2]) else 0
            frame = pl.concat([cached[2], self._frame(wanted.where(table.purchase_id > last))])
        self._purchases_cache = (items, version, frame)
        return frame

    def knows(self, shopper_id: str) -> bool:
        """Whether there is such a shopper."""
        wanted = sa.select(db.shoppers.c.shopper_id).where(db.shoppers.c.shopper_id == shopper_id)
        return self._row(wanted) is not None

    def shopper(self, shopper_id: str) -> dict[str, Any]:
        """One row of :meth:`shoppers`. Raises UnknownIdError."""
        row = self._row(sa.select(db.shoppers).where(db.shoppers.c.shopper_id == shopper_id))
        if row is None:
            raise UnknownIdError(f"no shopper {shopper_id!r} in {self.path.name}")
        return dict(row)

    def set_shopper(
        self,
        shopper_id: str,
        trendiness: float | None = None,
        latitude: float | None = None,
        longitude: float | None = None,
    ) -> None:
        """Make a shopper or change one. ``trendiness`` in [0, 1]; None leaves it to be estimated from purchases."""
        if trendiness is not None and not 0 <= trendiness <= 1:
            raise SettingError(f"trendiness must be between 0 and 1, not {trendiness}")
        values = {"trendiness": trendiness, "latitude": latitude, "longitude": longitude}
        with self._writing("purchases_version") as connection:
            chosen = db.shoppers.update().where(db.shoppers.c.shopper_id == shopper_id)
            if connection.execute(chosen.values(**values)).rowcount == 0:
                connection.execute(db.shoppers.insert().values(shopper_id=shopper_id, simulated=False, **values))

    def add_purchases(self, file: str | Path) -> AddReport:
        """Add orders from a CSV or Parquet file: shopper_id, item_id, date, optional order_id.

        Rows of items or dates that the shop can't make sense of are reported; an order_id seen before is skipped.
        """
        orders, rejected = read_orders(Path(file), set(self._catalogue().row))
        added = self.record(orders)
        return AddReport(added, 0, len(orders) - added, rejected)

    def record(self, orders: Sequence[Purchase]) -> int:
        """Record purchases durably; returns how many were new (an ``order_id`` seen before is not recorded again).

        Raises UnknownIdError for an item the shop doesn't have; then nothing is recorded.
        """
        with self._writing("purchases_version") as connection:
            have = _present(connection, db.items.c.item_id, [order.item_id for order in orders])
            for order in orders:
                if order.item_id not in have:
                    raise UnknownIdError(f"no item {order.item_id!r} in {self.path.name}; nothing was recorded")
            known = _present(connection, db.shoppers.c.shopper_id, [order.shopper_id for order in orders])
            numbers = [order.order_id for order in orders if order.order_id is not None]
            seen = _present(connection, db.purchases.c.order_id, numbers)
            fresh: list[Purchase] = []
            for order in orders:
                if order.order_id is None or order.order_id not in seen:
                    fresh.append(order)
                    if order.order_id is not None:
                        seen.add(order.order_id)
            if missing := sorted({order.shopper_id for order in fresh} - known):
                connection.execute(db.shoppers.insert(), [{"shopper_id": one, "simulated": False} for one in missing])
            if fresh:
                connection.execute(db.purchases.insert(), [asdict(order) | {"simulated": False} for order in fresh])
        return len(fresh)

    def simulate(
        self, shoppers: int = 50, purchases: int = 5, year: int = 2025, seed: int = 42, model: str = "paper"
    ) -> Simulation:
        """Simulate a year of purchases (paper, section on behaviour), replacing an earlier simulation.

        A catalogue without any popularity first gets random counts 0 to 100, one without stores gets five.
        Raises SettingError in a shop with real purchases: simulated ones would mix with them.
        """
        if self.purchases().filter(~pl.col("simulated")).height:
            raise SettingError(f"{self.path.name} has real purchases; simulate in a shop of its own")
        if self.stores().is_empty():
            self.make_stores(seed=seed)
        frame = self.items()
        if frame.is_empty():
            raise SourceError(
                f"{self.path.name} has no items; add some with: modiste add items {self.path.name} SOURCE"
            )
        rng = np.random.default_rng(seed)
        if frame["popularity"].null_count() == len(frame):
            counts = rng.integers(0, START_COUNTS, len(frame), endpoint=True).astype(float)
            frame = frame.with_columns(popularity=counts)
            with self._writing("items_version") as connection:
                connection.execute(
                    db.items.update()
                    .where(db.items.c.item_id == sa.bindparam("one"))
                    .values(popularity=sa.bindparam("count")),
                    [{"one": one, "count": float(n)} for one, n in zip(frame["item_id"], counts, strict=True)],
                )
        made = simulate(
            frame.select("item_id", "gender", "category", pl.col("popularity").fill_null(0.0)),
            shoppers,
            purchases,
            year,
            seed,
            model,
        )
        people = made.shoppers.with_columns(
            latitude=rng.uniform(BOX[0], BOX[1], made.shoppers.height),
            longitude=rng.uniform(BOX[2], BOX[3], made.shoppers.height),
            simulated=True,
        )
        bought = made.purchases.select("shopper_id", "item_id", at=pl.col("date").cast(pl.Datetime), simulated=True)
        with self._writing("items_version", "purchases_version") as connection:
            for table in (db.purchases, db.shoppers):
                connection.execute(table.delete().where(table.c.simulated))
            connection.execute(
                db.shoppers.insert(),
                people.select("shopper_id", "trendiness", "latitude", "longitude", "simulated").to_dicts(),
            )
            connection.execute(db.purchases.insert(), bought.to_dicts())
        return made

    def trending(
        self, window_days: float = 30.0, *, top: int = 10, categories: Collection[str] = (), at: datetime | None = None
    ) -> pl.DataFrame:
        """What is bought now, the most bought first; ties by popularity, then by id.

        Columns item_id, category, popularity (count), normpop in [0, 1], bought (purchases in the ``window_days`` up
        to ``at``, by default the last purchase), before (in as many days before those) and change (bought − before).
        """
        where = Filter(frozenset(categories))
        items = self.items().select("item_id", "category", "price")
        items = items.filter(pl.Series(where.keeps(items, self.taxonomy), dtype=pl.Boolean)).drop("price")
        bought = self._all_purchases()
        moment = at or bought["at"].max() or datetime(1970, 1, 1)
        lately = bought_lately(bought, window_days, moment)  # type: ignore[arg-type]
        return (
            items.join(self.popularity(at=at), on="item_id")
            .join(lately, on="item_id", how="left")
            .with_columns(pl.col("bought", "before").fill_null(0))
            .with_columns(change=pl.col("bought") - pl.col("before"))
            .sort("bought", "popularity", "item_id", descending=[True, True, False])
            .head(top)
        )

    def history(self, item_id: str, days: float = 7.0) -> pl.DataFrame:
        """One item's popularity over time: columns at (begin of each period of ``days``), bought, popularity (its count
        at the end). Raises UnknownIdError."""
        start = self.item(item_id)["popularity"] or 0.0
        bought = self._all_purchases().filter(pl.col("item_id") == item_id)
        return popularity_over_time(bought["at"], start, days)

    def popularity(self, half_life: float | None = None, at: datetime | None = None) -> pl.DataFrame:
        """Columns item_id, popularity (count) and normpop in [0, 1] (min-max over the catalogue), by item id.

        With ``half_life`` (days) each purchase counts 2^(−age / half-life) at the time ``at`` (default: the last one).
        """
        counts = self._counts(half_life, at)
        return pl.DataFrame(
            {"item_id": self.items()["item_id"], "popularity": counts, "normpop": normalise(counts)},
            schema={"item_id": pl.String, "popularity": pl.Float64, "normpop": pl.Float64},
        )

    def _counts(self, half_life: float | None = None, at: datetime | None = None) -> np.ndarray[Any, Any]:
        version = self._setting("items_version") + "/" + self._setting("purchases_version")
        cached = self._counts_cache.get(half_life)
        if at is None and cached and cached[0] == version:
            return cached[1]
        catalogue = self._catalogue()
        start = catalogue.frame["popularity"].fill_null(0.0).to_numpy().astype(float)
        index = pl.DataFrame({"item_id": catalogue.frame["item_id"]}).with_row_index("row")
        bought = self._all_purchases().join(index, on="item_id")
        if at is not None:
            bought = bought.filter(pl.col("at") <= at)
        now = pl.lit(at, pl.Datetime) if at else pl.col("at").max()
        ages = bought.select(age=(now - pl.col("at")).dt.total_seconds() / 86_400)["age"].to_numpy()
        counts = decayed_counts(bought["row"].to_numpy().astype(np.int64), ages, half_life, start)
        if at is None:
            if len(self._counts_cache) >= KEPT_HALF_LIVES:
                self._counts_cache.clear()
            self._counts_cache[half_life] = (version, counts)
        return counts

    def trendiness(self, shopper_id: str) -> float:
        """The shopper's τ in [0, 1]: as given, else estimated from her purchases, else the population's mean."""
        given = self.shopper(shopper_id)["trendiness"]
        if given is not None:
            return float(given)
        estimates = self.estimated_trendiness().filter(pl.col("shopper_id") == shopper_id)
        return float(estimates["trendiness"][0]) if estimates.height else 0.5

    def estimated_trendiness(self) -> pl.DataFrame:
        """Columns shopper_id, trendiness (estimated from purchases alone, shrunk towards the mean), purchases (n)."""
        version = self._setting("items_version") + "/" + self._setting("purchases_version")
        if self._trendiness_cache is None or self._trendiness_cache[0] != version:
            catalogue, bought = self._catalogue(), self.purchases()
            rows = np.array([catalogue.row[one] for one in bought["item_id"]], dtype=np.int64)
            start = catalogue.frame["popularity"].fill_null(0.0).to_numpy().astype(float)
            estimated = estimate_trendiness(bought["shopper_id"].to_list(), popularity_at_purchase(rows, start))
            self._trendiness_cache = (version, estimated)
        return self._trendiness_cache[1]

    def _mean_trendiness(self) -> float:
        """The mean over all shoppers, as given or else as estimated; 0.5 without any."""
        known = self.shoppers().select("shopper_id", "trendiness")
        joined = known.join(self.estimated_trendiness(), on="shopper_id", how="left")
        mean = joined.select(pl.coalesce("trendiness", "trendiness_right").mean()).item()
        return 0.5 if mean is None else float(mean)

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

    # Embedding

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
        self._fit_reduction(space)
        if (points := self._points(space)) is not None:
            points.refresh(self.candidates(space))
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
            there = _present(connection, db.items.c.item_id, [*item_ids, *(one for one, _ in failures)])
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

    def _fit_reduction(self, space: VectorSpace) -> None:
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

    def spaces(self) -> list[VectorSpace]:
        """The vector spaces that photos were embedded into, the latest (the default) first."""
        rows = self._rows(sa.select(db.spaces.c.settings).order_by(db.spaces.c.used.desc()))
        return [VectorSpace.from_json(row["settings"]) for row in rows]

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

    # Recommending

    def candidates(self, space: VectorSpace | str | None = None, half_life: float | None = None) -> Candidates:
        """All items as the ranking takes them, in the order of :meth:`items`; popularity is the current one."""
        catalogue = self._catalogue()
        vectors, has_vector = self._aligned_vectors(space, catalogue)
        return Candidates(
            vectors=vectors,
            has_vector=has_vector,
            normpop=normalise(self._counts(half_life)),
            category=catalogue.category,
            similarity=catalogue.similarity,
            gender=catalogue.gender,
            product=catalogue.product,
            item_ids=tuple(catalogue.row),
            distance_km=None,
            allowed=None,
        )

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
        asked = self._ask([-1], None, tau, "you like", self._home(shopper), top, fresh)
        ranking = self._rank(asked, max(20 * top, 200))
        places = spread(ranking, asked.candidates.category, top)
        return Recommendations(asked.told(ranking, 0, place) for place in places)

    def search(
        self,
        photo: bytes | Path | Image.Image,
        *,
        top: int = 12,
        category: str | None = None,
        **options: Unpack[Options],
    ) -> Found:
        """What looks like the garment on a photo that is in no catalogue; by default by looks alone ("visual").

        ``category`` tells which of several garments is meant, where the space masks all but an item's own.
        Raises PhotoError, SettingError, and UnknownIdError where nothing is embedded yet.
        """
        upright = photo if isinstance(photo, Image.Image) else open_photo(photo)
        space = self._space(options.get("space"))
        seen = self._embedder(space).see(upright, self.taxonomy.labels(category))
        vector = seen.vector[None]
        if (reduction := self._reduction(space)) is not None:
            vector = reduction.apply(vector)
        tau = options.get("trendiness")
        asked = self._ask([-1], vector, 0.5 if tau is None else tau, "you look at", None, top, options, "visual")
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
            return self._ask(rows, None, tau, "you bought", self._home(shopper), top, options)
        if tau is None:
            tau = float(normalise(self._counts(options.get("half_life")))[rows[0]])
        return self._ask(rows, None, tau, "you look at", None, top, options)

    def _ask(
        self,
        rows: list[int],
        vectors: np.ndarray[Any, np.dtype[np.float32]] | None,
        tau: float,
        verb: str,
        home: tuple[float, float] | None,
        top: int,
        options: Options,
        weights: str = "balanced",
    ) -> Asked:
        """One query for each of ``rows`` (-1: no item, then ``vectors`` may have a photo's)."""
        if top < 1:
            raise SettingError(f"top must be at least 1, not {top}")
        checked_trendiness(tau)
        catalogue = self._catalogue()
        candidates = self.candidates(options.get("space"), options.get("half_life"))
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
            self._space(options.get("space")) if self.spaces() else None,
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

    def _bought(self, catalogue: _Catalogue, shopper: str | None) -> list[int]:
        table = db.purchases.c
        mine = sa.select(table.item_id).where(table.shopper_id == shopper).order_by(table.at, table.purchase_id)
        return list(dict.fromkeys(catalogue.row[row["item_id"]] for row in self._rows(mine)))

    def _item_row(self, catalogue: _Catalogue, item_id: str | None) -> int:
        if item_id is None or item_id not in catalogue.row:
            raise UnknownIdError(f"no item {item_id!r} in {self.path.name}")
        return catalogue.row[item_id]

    def _home(self, shopper: str | None) -> tuple[float, float] | None:
        row = self._row(sa.select(db.shoppers).where(db.shoppers.c.shopper_id == shopper)) if shopper else None
        if row is None or row["latitude"] is None or row["longitude"] is None:
            return None
        return float(row["latitude"]), float(row["longitude"])

    def _distances(self, catalogue: _Catalogue, near: tuple[float, float] | None) -> np.ndarray[Any, Any] | None:
        stores = self.stores()
        if near is None or stores.is_empty():
            return None
        away = stores.select(
            "store_id", km=pl.Series(distances_km(near, stores.select("latitude", "longitude").to_numpy()))
        )
        joined = catalogue.frame.select("store_id").join(away, on="store_id", how="left", maintain_order="left")
        return joined["km"].cast(pl.Float64).fill_null(float("nan")).to_numpy()

    # The database, in memory

    def _catalogue(self) -> _Catalogue:
        version = self._setting("items_version")
        if self._catalogue_cache is None or self._catalogue_cache.version != version:
            self._catalogue_cache = self._load_catalogue(version)
        return self._catalogue_cache

    def _load_catalogue(self, version: str) -> _Catalogue:
        frame = self._frame(sa.select(db.items).order_by(db.items.c.item_id)).with_columns(
            pl.col("image", "mask").map_elements(self._full_path, return_dtype=pl.String)
        )
        names = sorted({name for name in frame["category"] if name is not None})
        code = {name: number for number, name in enumerate(names)}
        similarity = np.zeros((len(names) + 1, len(names) + 1))  # the last row: items of no known kind
        similarity[: len(names), : len(names)] = self.taxonomy.matrix(names)
        products: dict[str, int] = {}
        return _Catalogue(
            version,
            frame,
            {one: number for number, one in enumerate(frame["item_id"])},
            np.array([code.get(name, len(names)) for name in frame["category"]], dtype=np.int64),
            similarity,
            np.array([GENDERS.index(g) + 1 if g in GENDERS else 0 for g in frame["gender"]], dtype=np.int8),
            np.array([products.setdefault(one, len(products)) for one in frame["product"]], dtype=np.int64),
            tuple(names),
        )

    def _aligned_vectors(
        self, space: VectorSpace | str | None, catalogue: _Catalogue
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        if not self.spaces():
            return np.zeros((len(catalogue.row), 1), np.float32), np.zeros(len(catalogue.row), bool)
        chosen = self._space(space)
        version = catalogue.version + "/" + self._setting("vectors_version")
        cached = self._vectors_cache.get(chosen.key)
        if cached is None or cached[0] != version:
            item_ids, vectors = self.vectors(chosen)
            aligned = np.zeros((len(catalogue.row), vectors.shape[1]), np.float32)
            rows = [catalogue.row[one] for one in item_ids]
            aligned[rows] = vectors
            has_vector = np.zeros(len(catalogue.row), bool)
            has_vector[rows] = True
            cached = self._vectors_cache[chosen.key] = (version, aligned, has_vector)
        return cached[1], cached[2]

    def _full_path(self, path: str | None) -> str | None:
        return None if path is None else str(self.path / path)

    @contextmanager
    def _writing(self, *versions: str) -> Iterator[sa.Connection]:
        """A write transaction, taken at once so that writers queue; ``versions`` tell every reader what changed."""
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection
            for name in versions:
                connection.execute(
                    db.settings.update()
                    .where(db.settings.c.name == name)
                    .values(value=sa.cast(sa.cast(db.settings.c.value, sa.Integer) + 1, sa.String))
                )

    def _setting(self, name: str) -> str:
        row = self._row(sa.select(db.settings.c.value).where(db.settings.c.name == name))
        return "" if row is None else str(row["value"])

    def _rows(self, wanted: sa.Select[Any]) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(wanted).mappings())

    def _row(self, wanted: sa.Select[Any]) -> Any:
        return next(iter(self._rows(wanted)), None)

    def _frame(self, wanted: sa.Select[Any]) -> pl.DataFrame:
        with self.engine.connect() as connection:
            found = connection.execute(wanted).all()
        types = {
            column.name: _POLARS_TYPES[type(column.type)]
            for column in wanted.selected_columns
            if column.name is not None
        }
        return pl.DataFrame([tuple(row) for row in found], schema=types, orient="row")


def _present(connection: sa.Connection, column: sa.Column[Any], values: Sequence[str], chunk: int = 500) -> set[str]:
    """Those of ``values`` that stand in ``column``, asked for in chunks that any database takes."""
    wanted = list(dict.fromkeys(values))
    found: set[str] = set()
    for start in range(0, len(wanted), chunk):
        found.update(connection.execute(sa.select(column).where(column.in_(wanted[start : start + chunk]))).scalars())
    return found


_POLARS_TYPES: dict[type[Any], Any] = {
    sa.String: pl.String,
    sa.Text: pl.String,
    sa.Float: pl.Float64,
    sa.Integer: pl.Int64,
    sa.Boolean: pl.Boolean,
    sa.DateTime: pl.Datetime,
}


def _stamp(item: Item) -> str:
    """A fingerprint of the photo's and the mask's bytes, empty without a photo."""
    if item.image is None:
        return ""
    digest = blake2b(digest_size=16)
    for path in (item.image, item.mask):
        digest.update(Path(path).read_bytes() if path else b"\0")
    return digest.hexdigest()


def _parser_of(space: VectorSpace) -> BackboneSpec:
    """The installed parser that the space was made with; the default one where it used none."""
    for spec in list_backbones(kind="parser"):
        if spec.sha256 == space.parser:
            return spec
    return get_backbone(DEFAULT_PARSER)


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
