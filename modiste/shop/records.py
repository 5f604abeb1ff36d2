"""What a shop remembers: its folder, its database, its items and its stores."""

import json
import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from threading import RLock
from typing import Any, Self

import numpy as np
import polars as pl
import sqlalchemy as sa

from modiste.behaviour.stores import BOX, assign_items, make_stores
from modiste.catalog.items import GENDERS, Item, Rejected
from modiste.catalog.readers import read_source
from modiste.catalog.stores import read_stores
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import PhotoError, SettingError, SourceError, UnknownIdError
from modiste.shop import database as db
from modiste.shop import migrations
from modiste.vision.photos import check_photo

UPLOADS = "uploads"
"""The folder, inside the shop's, of photos that came without a catalogue; named by their content."""

_UNFINISHED = "shop.db.unfinished"  # the tables of a copy that is being made
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


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The items in memory, in the order of their ids, as the ranking wants them; a cache of the database."""

    version: str
    frame: pl.DataFrame
    row: dict[str, int]
    category: np.ndarray[Any, np.dtype[np.int64]]
    similarity: np.ndarray[Any, np.dtype[np.float64]]
    gender: np.ndarray[Any, np.dtype[np.int8]]
    product: np.ndarray[Any, np.dtype[np.int64]]
    kinds: tuple[str, ...]
    item_ids: tuple[str, ...]
    start: np.ndarray[Any, np.dtype[np.float64]]


class Records:
    """A shop's folder and database, its items and stores; what :class:`~modiste.shop.shop.Shop` is built on."""

    # Making, opening, closing

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = db.connect(path)
        categories = path / "categories.toml"
        self.taxonomy = Taxonomy.load(categories if categories.is_file() else None)
        self._catalogue_cache: Catalogue | None = None
        self._memory = RLock()  # one thread reads what is new, the others wait for it

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

        The copy is a shop itself: opening it, or moving it to the old one's place, restores it. It has the tables, the
        taxonomy, and every photo and mask of an item that lies in the shop's folder. Those that lie elsewhere stay
        there, and the copy names them; other files of the folder, such as reports, are not copied. A photo that the
        shop itself has lost is a warning in the log. Raises SettingError for tables in PostgreSQL, which pg_dump
        copies, and SourceError if ``to`` exists already, a path leads out of the folder, or the disk refuses; then
        nothing of the copy is left.
        """
        if self.engine.dialect.name != "sqlite":
            raise SettingError(
                f"the tables of {self.path} lie in PostgreSQL; copy them with: pg_dump (see docs/deploy.md)"
            )
        folder = Path(to).resolve()
        if folder.exists():
            raise SourceError(f"{folder} exists already; choose a new folder for the copy")
        folder.mkdir(parents=True)
        try:
            if (self.path / "categories.toml").is_file():
                shutil.copy2(self.path / "categories.toml", folder / "categories.toml")
            gone = self._copy(folder)
            if gone:  # replaced meanwhile, most likely; while nobody can write, what is missing is lost
                with self._writing():
                    gone = self._copy(folder)
            (folder / _UNFINISHED).rename(folder / "shop.db")  # half a copy is no shop
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, (OSError, sqlite3.Error)):
                raise SourceError(f"can't copy {self.path} to {folder}: {error}; make room or mend it") from error
            raise
        if gone:
            more = f" and {len(gone) - 5} more" if len(gone) > 5 else ""
            _LOG.warning("the copy lacks photos that %s itself has lost: %s%s", self.path, ", ".join(gone[:5]), more)
        return folder

    def _copy(self, folder: Path) -> list[str]:
        """Copy the tables, then the photos and masks they name, into ``folder``; returns those that aren't there.

        What an earlier call copied stays, unless the tables don't name it any more. Raises SourceError for a path that
        leads out of the shop's folder.
        """
        with (
            closing(sqlite3.connect(self.path / "shop.db")) as ours,
            closing(sqlite3.connect(folder / _UNFINISHED)) as copy,
        ):
            ours.backup(copy)
            found = copy.execute("SELECT image FROM items UNION SELECT mask FROM items").fetchall()
        names = sorted(name for (name,) in found if name and not Path(name).is_absolute())
        for name in names:
            if ".." in Path(name).parts or not (self.path / name).resolve().is_relative_to(self.path.resolve()):
                raise SourceError(f"{name!r} leads out of {self.path}; add its item again from where the photo lies")
        wanted = {folder / name for name in names} | {folder / "categories.toml"}
        for file in folder.rglob("*"):
            if file.is_file() and file not in wanted and not file.name.startswith(_UNFINISHED):
                file.unlink()
        gone = []
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                if not (folder / name).exists():
                    shutil.copy2(self.path / name, folder / name)
            except FileNotFoundError:
                gone.append(name)
        return gone

    def close(self) -> None:
        """Let go of the database."""
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
            with self._writing("items_version") as connection:
                self._store_items(connection, new, changed, known)
        return AddReport(
            len(new), len(changed), len(rows) - len(new) - len(changed), rejected, reading.unknown_categories
        )

    def _checked(self, item: Item, known: Any) -> dict[str, Any] | PhotoError:
        try:
            row = record_of(item)
            row["image"], row["mask"] = self._kept_path(item.image), self._kept_path(item.mask)
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
            _raise(connection, "vectors_version")

    def remove_item(self, item_id: str) -> None:
        """Forget an item with its vectors and purchases, and its photo if it was uploaded. Raises UnknownIdError."""
        row = self._row(sa.select(db.items.c.image).where(db.items.c.item_id == item_id))
        changed = ("items_version", "purchases_version", "purchases_removed", "vectors_version")
        with self._writing(*changed) as connection:
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

    def _item_row(self, catalogue: Catalogue, item_id: str | None) -> int:
        if item_id is None or item_id not in catalogue.row:
            raise UnknownIdError(f"no item {item_id!r} in {self.path.name}")
        return catalogue.row[item_id]

    def _drop_upload(self, image: str | None) -> None:
        """Delete an uploaded photo that no item shows any more; under the writers' lock, as photos are kept."""
        if image is None or not image.startswith(UPLOADS + "/"):
            return
        with self._writing() as connection:
            if connection.execute(sa.select(db.items.c.item_id).where(db.items.c.image == image)).first() is None:
                (self.path / image).unlink(missing_ok=True)

    # Stores

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

    # The database

    def _catalogue(self) -> Catalogue:
        """The items as they are now. A question takes it once and keeps to it: the next may have other rows."""
        cached = self._catalogue_cache
        if cached is not None and cached.version == self._setting("items_version"):
            return cached
        with self._memory:
            version = self._setting("items_version")
            if self._catalogue_cache is None or self._catalogue_cache.version != version:
                self._catalogue_cache = self._load_catalogue(version)
            return self._catalogue_cache

    def _load_catalogue(self, version: str) -> Catalogue:
        frame = self._frame(sa.select(db.items).order_by(db.items.c.item_id)).with_columns(
            pl.col("image", "mask").map_elements(self._full_path, return_dtype=pl.String)
        )
        names = sorted({name for name in frame["category"] if name is not None})
        code = {name: number for number, name in enumerate(names)}
        similarity = np.zeros((len(names) + 1, len(names) + 1))  # the last row: items of no known kind
        similarity[: len(names), : len(names)] = self.taxonomy.matrix(names)
        products: dict[str, int] = {}
        item_ids, known = tuple(frame["item_id"]), self._catalogue_cache
        if known is not None and known.item_ids == item_ids:
            item_ids = known.item_ids  # the very same, by which others see at once that the items are
        return Catalogue(
            version,
            frame,
            {one: number for number, one in enumerate(frame["item_id"])},
            np.array([code.get(name, len(names)) for name in frame["category"]], dtype=np.int64),
            similarity,
            np.array([GENDERS.index(g) + 1 if g in GENDERS else 0 for g in frame["gender"]], dtype=np.int8),
            np.array([products.setdefault(one, len(products)) for one in frame["product"]], dtype=np.int64),
            tuple(names),
            item_ids,
            frame["popularity"].fill_null(0.0).to_numpy().astype(float),
        )

    def _kept_path(self, path: str | None) -> str | None:
        """Relative to the shop's folder when inside it, so that the folder can be moved."""
        if path is None:
            return None
        inside = Path(path).resolve()
        return inside.relative_to(self.path).as_posix() if inside.is_relative_to(self.path) else str(inside)

    def _full_path(self, path: str | None) -> str | None:
        return None if path is None else str(self.path / path)

    @contextmanager
    def _writing(self, *versions: str) -> Iterator[sa.Connection]:
        """A write transaction, taken at once so that writers queue; ``versions`` tell every reader what changed."""
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection
            _raise(connection, *versions)

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


def _raise(connection: sa.Connection, *versions: str) -> None:
    """Count a change, so that whoever remembers what it concerns reads it anew."""
    for name in versions:
        raised = sa.cast(sa.cast(db.settings.c.value, sa.Integer) + 1, sa.String)
        known = db.settings.update().where(db.settings.c.name == name).values(value=raised)
        if connection.execute(known).rowcount == 0:
            connection.execute(db.settings.insert().values(name=name, value="1"))


def present(connection: sa.Connection, column: sa.Column[Any], values: Sequence[str], chunk: int = 500) -> set[str]:
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


def record_of(item: Item) -> dict[str, Any]:
    """The item as the database keeps it, but for its absolute paths. Raises OSError where its photo can't be read."""
    attributes = json.dumps(dict(item.attributes), sort_keys=True, ensure_ascii=False)
    return asdict(item) | {"attributes": attributes, "stamp": _stamp(item)}


def _stamp(item: Item) -> str:
    """A fingerprint of the photo's and the mask's bytes, empty without a photo."""
    if item.image is None:
        return ""
    digest = blake2b(digest_size=16)
    for path in (item.image, item.mask):
        digest.update(Path(path).read_bytes() if path else b"\0")
    return digest.hexdigest()
