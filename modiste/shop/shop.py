"""The shop: items, shoppers, purchases and vectors in one folder, and the recommendations they lead to.

Photos travel catalogue → vision → vectors here; the formula itself is in :mod:`modiste.ranking.relevance`.
"""

import json
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np
import polars as pl
import sqlalchemy as sa
from PIL import Image

from modiste.behaviour.popularity import decayed_counts, normalise, popularity_at_purchase
from modiste.behaviour.simulation import Simulation, simulate
from modiste.behaviour.stores import BOX, assign_items, distances_km, make_stores, read_stores
from modiste.behaviour.trendiness import estimate_trendiness
from modiste.catalog.items import GENDERS, Item, Rejected
from modiste.catalog.readers import read_source
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import MaskError, PhotoError, SettingError, SourceError, UnknownIdError
from modiste.ranking.relevance import Weights, preset, sentence
from modiste.ranking.topk import Candidates, Queries, Ranking, merge, rank
from modiste.shop import database as db
from modiste.shop.orders import Purchase, read_orders
from modiste.shop.recommendations import Recommendation, Recommendations
from modiste.vision.backbones import Encoder, get_backbone
from modiste.vision.embedding import PhotoJob, VectorSpace, embed_photos, labels_of
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
class _Catalogue:
    """The items in memory, in the order of their ids, as the ranking wants them; a cache of the database."""

    version: str
    frame: pl.DataFrame
    row: dict[str, int]
    category: np.ndarray[Any, np.dtype[np.int64]]
    similarity: np.ndarray[Any, np.dtype[np.float64]]
    gender: np.ndarray[Any, np.dtype[np.int8]]
    product: np.ndarray[Any, np.dtype[np.int64]]


class Shop:
    """One shop in one folder. Open it with :meth:`open`, make it with :meth:`create`; close it or use ``with``.

    Example::

        with Shop.open("street") as shop:
            shop.embed()
            for found in shop.recommend(shopper="1", top=5):
                print(found.item_id, found.relevance, found.terms, found.because)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = db.connect(path / "shop.db")
        categories = path / "categories.toml"
        self.taxonomy = Taxonomy.load(categories if categories.is_file() else None)
        self._catalogue_cache: _Catalogue | None = None
        self._vectors_cache: dict[str, tuple[str, np.ndarray[Any, Any], np.ndarray[Any, Any]]] = {}
        self._counts_cache: tuple[str, float | None, np.ndarray[Any, Any]] | None = None

    # Making, opening, closing

    @classmethod
    def create(cls, path: str | Path, *, categories: Path | None = None) -> Self:
        """Make an empty shop in the folder ``path``, with its own taxonomy if ``categories`` names a TOML file.

        Raises SourceError if there is a shop already, or the taxonomy is not valid.
        """
        folder = Path(path).resolve()
        if (folder / "shop.db").exists():
            raise SourceError(f"{folder} is a shop already; open it, or choose another folder")
        if categories is not None:
            Taxonomy.load(categories)  # refuse a bad file before anything is written
        folder.mkdir(parents=True, exist_ok=True)
        if categories is not None:
            shutil.copyfile(categories, folder / "categories.toml")
        shop = cls(folder)
        db.metadata.create_all(shop.engine)
        with shop._writing() as connection:
            connection.execute(
                db.settings.insert(),
                [
                    {"name": "schema", "value": str(db.SCHEMA_VERSION)},
                    {"name": "items_version", "value": "0"},
                    {"name": "purchases_version", "value": "0"},
                    {"name": "vectors_version", "value": "0"},
                ],
            )
        return shop

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the shop in the folder ``path``. Raises SourceError if there is none, or a newer program's."""
        folder = Path(path).resolve()
        if not (folder / "shop.db").is_file():
            raise SourceError(f"there is no shop in {folder}; make one with: modiste new {path}")
        shop = cls(folder)
        try:
            schema = int(shop._setting("schema"))
        except (sa.exc.DatabaseError, TypeError, ValueError) as error:
            shop.close()
            raise SourceError(f"{folder / 'shop.db'} is not a Modiste database") from error
        if schema > db.SCHEMA_VERSION:
            shop.close()
            raise SourceError(
                f"{folder} was made by a newer Modiste (schema {schema}, this one knows {db.SCHEMA_VERSION}); "
                "upgrade with: pip install -U modiste"
            )
        return shop

    def close(self) -> None:
        """Let go of the database's files."""
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

    def remove_item(self, item_id: str) -> None:
        """Forget an item with its vectors and purchases. Raises UnknownIdError."""
        with self._writing("items_version", "purchases_version", "vectors_version") as connection:
            if connection.execute(db.items.delete().where(db.items.c.item_id == item_id)).rowcount == 0:
                raise UnknownIdError(f"no item {item_id!r} in {self.path.name}")

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
        table = db.purchases.c
        wanted = sa.select(table.shopper_id, table.item_id, table.at, table.order_id, table.simulated)
        return self._frame(wanted.order_by(table.at, table.purchase_id))

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
        with self._writing("purchases_version") as connection:
            for table in (db.purchases, db.shoppers):
                connection.execute(table.delete().where(table.c.simulated))
            connection.execute(
                db.shoppers.insert(),
                people.select("shopper_id", "trendiness", "latitude", "longitude", "simulated").to_dicts(),
            )
            connection.execute(db.purchases.insert(), bought.to_dicts())
        return made

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
        cached = self._counts_cache
        if at is None and cached and cached[:2] == (version, half_life):
            return cached[2]
        catalogue = self._catalogue()
        start = catalogue.frame["popularity"].fill_null(0.0).to_numpy().astype(float)
        index = pl.DataFrame({"item_id": catalogue.frame["item_id"]}).with_row_index("row")
        bought = self.purchases().join(index, on="item_id")
        if at is not None:
            bought = bought.filter(pl.col("at") <= at)
        now = pl.lit(at, pl.Datetime) if at else pl.col("at").max()
        ages = bought.select(age=(now - pl.col("at")).dt.total_seconds() / 86_400)["age"].to_numpy()
        counts = decayed_counts(bought["row"].to_numpy().astype(np.int64), ages, half_life, start)
        if at is None:
            self._counts_cache = (version, half_life, counts)
        return counts

    def trendiness(self, shopper_id: str) -> float:
        """The shopper's τ in [0, 1]: as given, else estimated from her purchases, else the population's mean."""
        row = self._row(sa.select(db.shoppers).where(db.shoppers.c.shopper_id == shopper_id))
        if row is None:
            raise UnknownIdError(f"no shopper {shopper_id!r} in {self.path.name}")
        if row["trendiness"] is not None:
            return float(row["trendiness"])
        estimates = self.estimated_trendiness().filter(pl.col("shopper_id") == shopper_id)
        return float(estimates["trendiness"][0]) if estimates.height else 0.5

    def estimated_trendiness(self) -> pl.DataFrame:
        """Columns shopper_id, trendiness (estimated from purchases alone, shrunk towards the mean), purchases (n)."""
        catalogue, bought = self._catalogue(), self.purchases()
        rows = np.array([catalogue.row[one] for one in bought["item_id"]], dtype=np.int64)
        start = catalogue.frame["popularity"].fill_null(0.0).to_numpy().astype(float)
        return estimate_trendiness(bought["shopper_id"].to_list(), popularity_at_purchase(rows, start))

    # Embedding

    def embed(
        self,
        backbone: str = DEFAULT_BACKBONE,
        masking: str = DEFAULT_MASKING,
        crop: str | None = None,
        masks: str = "auto",
        *,
        fill: tuple[int, int, int] = (0, 0, 0),
        progress: Progress | None = None,
    ) -> EmbedReport:
        """Embed every photo that has no vector in this vector space yet.

        Each batch is a transaction, so an interrupted run loses at most one batch and the next goes on. A photo that
        can't be embedded is set aside with its reason, and tried again only when the photo changes.

        ``masking``: ``paper``, ``clothes``, ``own`` or ``none``. ``masks``: ``given`` uses the catalogue's masks
        (photos without one are embedded whole), ``parser`` the garment parser, ``auto`` the parser where none is given.
        ``fill`` is the colour of removed pixels.
        """
        began = perf_counter()
        spec = get_backbone(backbone)
        parser = self._parser(masking, masks)
        space = VectorSpace.of(spec, masking, crop or spec.crop, masks, parser.spec if parser else None, fill)
        self._register(space)
        done = sa.select(db.vectors.c.item_id).where(db.vectors.c.space == space.key)
        aside = sa.select(db.failures.c.item_id).where(db.failures.c.space == space.key)
        with_photo = sa.select(db.items).where(db.items.c.image.is_not(None)).order_by(db.items.c.item_id)
        missing = self._rows(with_photo.where(db.items.c.item_id.not_in(done), db.items.c.item_id.not_in(aside)))
        present = len(self._rows(done))
        jobs = [
            PhotoJob(
                row["item_id"],
                str(self._full_path(row["image"])),
                self._full_path(row["mask"]) if masks != "parser" else None,
                self.taxonomy.labels(row["category"]),
            )
            for row in missing
        ]
        embedded = handled = 0
        remarks: list[Rejected] = []
        if jobs:
            for batch in embed_photos(jobs, Encoder(spec), masking, space.crop, parser, fill=fill):
                self._store_batch(space, batch.item_ids, batch.vectors, batch.failures)
                embedded += len(batch.item_ids)
                handled += len(batch.item_ids) + len(batch.failures)
                remarks += [Rejected(item_id, None, said) for item_id, said in batch.remarks]
                if progress:
                    progress(handled, len(jobs))
        self._fit_reduction(space)
        return EmbedReport(space, embedded, present, self.failures(space), remarks, perf_counter() - began)

    def _parser(self, masking: str, masks: str) -> Parser | None:
        """The parser, if this way of masking can need it; one thread, since photos are parsed side by side."""
        return None if masking == "none" or masks == "given" else Parser(get_backbone(DEFAULT_PARSER), threads=1)

    def _register(self, space: VectorSpace) -> None:
        with self._writing("vectors_version") as connection:
            chosen = db.spaces.update().where(db.spaces.c.key == space.key).values(used=datetime.now())
            if connection.execute(chosen).rowcount == 0:
                connection.execute(
                    db.spaces.insert().values(key=space.key, settings=space.to_json(), used=datetime.now())
                )

    def _store_batch(
        self, space: VectorSpace, item_ids: Sequence[str], vectors: Any, failures: Sequence[tuple[str, str]]
    ) -> None:
        with self._writing("vectors_version") as connection:
            if len(item_ids):
                connection.execute(
                    db.vectors.insert(),
                    [
                        {"space": space.key, "item_id": one, "vector": vector.astype("<f2").tobytes()}
                        for one, vector in zip(item_ids, vectors, strict=True)
                    ],
                )
            if failures:
                connection.execute(
                    db.failures.insert(),
                    [{"space": space.key, "item_id": one, "reason": reason} for one, reason in failures],
                )

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
        row = self._row(sa.select(db.spaces.c.reduction).where(db.spaces.c.key == space.key))
        return Reduction.from_bytes(row["reduction"]) if row is not None and row["reduction"] is not None else None

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
        self,
        shopper: str | None = None,
        item: str | None = None,
        *,
        top: int = 5,
        weights: str | Weights = "balanced",
        trendiness: float | None = None,
        any_gender: bool = False,
        near: tuple[float, float] | None = None,
        within_km: float | None = None,
        space: VectorSpace | str | None = None,
        allowed: Collection[str] | None = None,
        exclude: Collection[str] = (),
        half_life: float | None = None,
    ) -> Recommendations:
        """The Top-K for a shopper, merged over her purchases without repeats, or for someone looking at ``item``.

        Without purchases of hers the list is ranked by popularity alone, as her trendiness likes it. ``near`` is
        (latitude, longitude), by default the shopper's own place; ``within_km`` keeps only items in stores so near.
        With ``half_life`` (days) old purchases count less in the popularity.
        Raises UnknownIdError and SettingError.
        """
        asked = self._ask(
            shopper, item, top, weights, trendiness, any_gender, near, within_km, space, allowed, exclude, half_life
        )
        ranking = rank(asked.candidates, asked.queries, asked.weights, top)
        return Recommendations(asked.told(ranking, int(query), int(place)) for query, place in merge(ranking, top))

    def recommend_each(self, shopper: str, *, top: int = 5, **options: Any) -> list[tuple[str, Recommendations]]:
        """The Top-K of each of the shopper's purchases, in the order she made them: the paper's way.

        Takes the options of :meth:`recommend`.
        """
        defaults: dict[str, Any] = {
            "weights": "balanced", "trendiness": None, "any_gender": False, "near": None, "within_km": None,
            "space": None, "allowed": None, "exclude": (), "half_life": None,
        }  # fmt: skip
        asked = self._ask(shopper, None, top, **(defaults | options))
        ranking = rank(asked.candidates, asked.queries, asked.weights, top)
        lists = []
        for query, row in enumerate(asked.queries.item):
            places = [place for place in range(top) if ranking.items[query, place] >= 0]
            found = Recommendations(asked.told(ranking, query, place) for place in places)
            lists.append((asked.candidates.item_ids[row] if row >= 0 else "", found))
        return lists

    def _ask(
        self,
        shopper: str | None,
        item: str | None,
        top: int,
        weights: str | Weights,
        trendiness: float | None,
        any_gender: bool,
        near: tuple[float, float] | None,
        within_km: float | None,
        space: VectorSpace | str | None,
        allowed: Collection[str] | None,
        exclude: Collection[str],
        half_life: float | None,
    ) -> "_Asked":
        if (shopper is None) == (item is None):
            raise SettingError("name a shopper or an item, one of the two")
        if top < 1:
            raise SettingError(f"top must be at least 1, not {top}")
        if trendiness is not None and not 0 <= trendiness <= 1:
            raise SettingError(f"trendiness must be between 0 and 1, not {trendiness}")
        catalogue = self._catalogue()
        rows = [self._item_row(catalogue, item)] if item is not None else self._bought(catalogue, shopper)
        tau = trendiness
        if tau is None:
            tau = (
                self.trendiness(shopper) if shopper is not None else float(normalise(self._counts(half_life))[rows[0]])
            )
        near = near or self._home(shopper)
        candidates = self.candidates(space if self.spaces() else None, half_life)
        distances = self._distances(catalogue, near)
        keep = np.ones(len(catalogue.row), dtype=bool)
        if allowed is not None:
            keep &= np.fromiter((one in allowed for one in catalogue.row), dtype=bool, count=len(keep))
        if within_km is not None:
            if distances is None:
                raise SettingError("within needs a place: give near as latitude and longitude, and add stores")
            keep &= np.nan_to_num(distances, nan=np.inf) <= within_km
        candidates = candidates.updated(distance_km=distances, allowed=keep)
        owned = np.array(sorted({*rows, *(self._item_row(catalogue, one) for one in exclude)}), dtype=np.int64)
        queried = rows or [-1]
        genders = np.zeros(len(queried), np.int8) if any_gender or not rows else catalogue.gender[queried]
        queries = Queries(
            item=np.array(queried, dtype=np.int64),
            vectors=None,
            trendiness=np.full(len(queried), tau),
            gender=genders,
            excluded=[owned] * len(queried),
        )
        chosen = weights if isinstance(weights, Weights) else preset(weights)
        verb = "you bought" if shopper is not None else "you look at"
        return _Asked(candidates, queries, chosen, catalogue.frame, distances, verb)

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


@dataclass(frozen=True)
class _Asked:
    """A question put to the ranking, with what is needed to tell the answer."""

    candidates: Candidates
    queries: Queries
    weights: Weights
    frame: pl.DataFrame
    distances: np.ndarray[Any, Any] | None
    verb: str

    def told(self, ranking: Ranking, query: int, place: int) -> Recommendation:
        row, cause = int(ranking.items[query, place]), int(self.queries.item[query])
        item = self.frame.row(row, named=True)
        terms = {
            name: float(getattr(ranking, name)[query, place])
            for name in ("visual", "popularity", "category", "distance")
        }
        km = None if self.distances is None or np.isnan(self.distances[row]) else float(self.distances[row])
        return Recommendation(
            item_id=item["item_id"],
            relevance=float(ranking.relevance[query, place]),
            **terms,
            because=self.candidates.item_ids[cause] if cause >= 0 else None,
            store_id=item["store_id"],
            distance_km=km,
            image=item["image"],
            kind=item["category"],
            why=sentence(
                self.weights,
                **terms,
                trendiness=float(self.queries.trendiness[query]),
                distance_km=km,
                cause=self._cause(cause),
            ),
        )

    def _cause(self, row: int) -> str:
        kind = self.frame["category"][row] if row >= 0 else None
        return f"the {kind.replace('_', ' ').lower()} {self.verb}" if kind else f"what {self.verb}"


def _stamp(item: Item) -> str:
    """A fingerprint of the photo's and the mask's bytes, empty without a photo."""
    if item.image is None:
        return ""
    digest = blake2b(digest_size=16)
    for path in (item.image, item.mask):
        digest.update(Path(path).read_bytes() if path else b"\0")
    return digest.hexdigest()
