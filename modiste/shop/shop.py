"""The shop: items, stores, shoppers, purchases and vectors in one folder, and the recommendations they lead to.

A photo goes catalogue → vision → vectors; a question goes :class:`~modiste.ask.Ask` → :class:`Snapshot` →
:class:`Question` → recommendations. The formula itself is in :mod:`modiste.ranking.relevance`.
"""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import sqlalchemy as sa
from PIL import Image

from modiste.ask import Ask, SearchAsk
from modiste.behaviour.simulation import Simulation, simulate
from modiste.behaviour.stores import BOX
from modiste.catalog.taxonomy import PAPER, Taxonomy
from modiste.errors import SettingError, SourceError
from modiste.shop import schema
from modiste.shop.items import Items
from modiste.shop.moments import Moments
from modiste.shop.purchases import Purchases
from modiste.shop.question import Question, SearchResult
from modiste.shop.recommendations import Recommendations
from modiste.shop.reports import Coverage
from modiste.shop.shoppers import Shoppers, mean_trendiness
from modiste.shop.snapshot import Snapshot
from modiste.shop.storage import Storage
from modiste.shop.stores import Stores
from modiste.shop.tuning import Tunings
from modiste.shop.vectors import Vectors
from modiste.vision.embedding import VectorSpace
from modiste.vision.photos import MAX_PIXELS, open_photo

START_COUNTS = 100
"""Simulated catalogues without a popularity of their own start at a uniform count between 0 and this (the paper)."""


class Shop:
    """One shop in one folder. Open it with :meth:`open`, make it with :meth:`create`; close it or use ``with``.

    Its nouns are ``items``, ``stores``, ``shoppers``, ``purchases``, ``vectors`` and ``tunings``.

    Example::

        with Shop.open("street") as shop:
            shop.vectors.embed()
            for found in shop.recommend(shopper="1", top=5):
                print(found.item_id, found.relevance, found.terms, found.because)
    """

    def __init__(self, storage: Storage) -> None:
        categories = storage.path / "categories.toml"
        self.storage = storage
        self.taxonomy = Taxonomy.load(categories if categories.is_file() else None)
        self.moments = Moments(storage, self.taxonomy)
        self.stores = Stores(storage)
        self.shoppers = Shoppers(storage)
        self.purchases = Purchases(storage, self.moments, self.taxonomy)
        self.vectors = Vectors(storage, self.moments, self.taxonomy)
        self.tunings = Tunings(storage, self.vectors)
        self.items = Items(storage, self.taxonomy, self.vectors.embed_item)

    # Making, opening, closing

    @classmethod
    def create(cls, path: str | Path, *, categories: str | Path | None = None, database: str | None = None) -> Self:
        """Make an empty shop in the folder ``path``, whose categories are what shops sell.

        ``categories`` names another taxonomy: ``paper`` the paper's 17 categories alone, or a TOML file.
        Its tables lie in the folder, or in PostgreSQL where ``database`` is a URL such as
        ``postgresql://user@host/db?schema=street`` (the schema is made if need be; without one, the user's default).
        The folder remembers the URL; the environment variable ``MODISTE_DATABASE`` is used in its place.
        Raises SourceError if there is a shop already, the taxonomy is not valid or the database can't be used,
        SettingError for another kind of URL, MissingExtraError without the extra ``postgres``.
        """
        folder = Path(path).resolve()
        if categories is not None:
            categories = PAPER if str(categories) == "paper" else Path(categories)
            Taxonomy.load(categories)  # refuse a bad file before anything is written
        storage = Storage.create(folder, database)
        if categories is not None:
            shutil.copyfile(categories, folder / "categories.toml")
        return cls(storage)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the shop in the folder ``path``, wherever its tables lie; an older program's are brought forward.

        Raises SourceError if there is none, its database can't be used, or a newer program made it.
        """
        return cls(Storage.open(Path(path).resolve()))

    @property
    def path(self) -> Path:
        """The shop's folder."""
        return self.storage.path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    def backup(self, to: str | Path) -> Path:
        """Copy the shop into the new folder ``to``, as it is at one moment, while others go on writing.

        The copy is a shop itself: opening it, or moving it to the old one's place, restores it. It has the tables, the
        taxonomy, and every photo and mask of an item that lies in the shop's folder. Those that lie elsewhere stay
        there, and the copy names them; other files of the folder, such as reports, are not copied. A photo that the
        shop itself has lost is a warning in the log. Raises SettingError for tables in PostgreSQL, which pg_dump
        copies, and SourceError if ``to`` exists already, a path leads out of the folder, or the disk refuses; then
        nothing of the copy is left.
        """
        return self.storage.backup(Path(to))

    def close(self) -> None:
        """Let go of the database, once the files that are being written are."""
        self.moments.close()
        self.storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Asking

    def snapshot(self, *spaces: VectorSpace | str) -> Snapshot:
        """The shop now, read-only, with the vectors of the latest vector space and of ``spaces``."""
        with self.moments.now(*spaces) as (snapshot, _):
            return snapshot

    def recommend(self, shopper: str | None = None, item: str | None = None, **ask: Any) -> Recommendations:
        """The Top-K for a shopper, merged over her purchases without repeats, or for someone looking at ``item``.

        Without purchases of hers the list is that of :meth:`introduce`. ``ask``: the fields of
        :class:`~modiste.ask.Ask`. Raises UnknownIdError and SettingError.
        """
        question = self._question(shopper, item, Ask.of(**ask))
        return question.merged() if question.of_items else question.spread()

    def recommend_each(
        self, shopper: str, *, latest: int | None = None, **ask: Any
    ) -> list[tuple[str, Recommendations]]:
        """The Top-K of each of the shopper's purchases, in the order she made them: the paper's way.

        With ``latest`` only of so many purchases, the last ones. Takes the fields of :meth:`recommend`.
        Raises UnknownIdError and SettingError.
        """
        question = self._question(shopper, None, Ask.of(**ask))
        return question.each(latest) if question.of_items else []

    def introduce(self, shopper: str | None = None, **ask: Any) -> Recommendations:
        """What to show a shopper of whom no purchase is known: by popularity alone, the best of each category first.

        Popularity is as she likes it: her trendiness, the one in ``ask``, or the population's mean. Old purchases
        fade with a half-life of 30 days unless ``ask`` says otherwise; its weights play no part.
        Raises UnknownIdError and SettingError.
        """
        asked = Ask.of(**ask)
        with self.moments.now(asked.space) as (snapshot, connection):
            if shopper is None:
                return Question.for_nobody(snapshot, asked, mean_trendiness(connection)).spread()
            known = self.shoppers.read(connection, shopper)
        return Question.for_nobody(snapshot, asked, known.trendiness, known.position).spread()

    def search(self, photo: bytes | Path | Image.Image, *, max_pixels: int = MAX_PIXELS, **ask: Any) -> SearchResult:
        """What looks like the garment on a photo that is in no catalogue; by default by looks alone ("visual").

        ``ask``: the fields of :class:`~modiste.ask.SearchAsk`; ``category`` tells which of several garments is meant,
        where the space masks all but an item's own. Raises PhotoError, SettingError, and UnknownIdError where nothing
        is embedded yet.
        """
        asked = SearchAsk.of(**ask)
        upright = photo if isinstance(photo, Image.Image) else open_photo(photo, max_pixels=max_pixels)
        snapshot = self.snapshot(*[asked.space] if asked.space else [])
        embedded = self.vectors.embed_photo(upright, snapshot.space(asked.space), asked.category)
        found = Question.for_photo(snapshot, asked, embedded.vector, embedded.colour).merged()
        return SearchResult(upright, embedded.labels, embedded.keep, found)

    def _question(self, shopper: str | None, item: str | None, ask: Ask) -> Question:
        """About each purchase of ``shopper`` (without any, about nothing), or about ``item``; all of one moment."""
        if (shopper is None) == (item is None):
            raise SettingError("name a shopper or an item, one of the two")
        with self.moments.now(ask.space) as (snapshot, connection):
            if shopper is None:
                return Question.for_item(snapshot, ask, str(item))
            known = self.shoppers.read(connection, shopper)
            bought = self.purchases.items_of(connection, shopper)
        if not bought:
            return Question.for_nobody(snapshot, ask, known.trendiness, known.position)
        return Question.for_shopper(snapshot, ask, known, bought)

    def coverage(self) -> Coverage:
        """How many items, photos, vectors, shoppers and purchases there are; vectors are those of the default space."""
        with self.storage.reading() as connection:

            def count(table: sa.Table, *conditions: Any) -> int:
                wanted = sa.select(sa.func.count()).select_from(table).where(*conditions)
                return int(connection.execute(wanted).scalar_one())

            latest = sa.select(schema.spaces.c.key).order_by(schema.spaces.c.used.desc()).limit(1)
            key = connection.execute(latest).scalar() or ""
            photos = count(schema.items, schema.items.c.image.is_not(None))
            vectors, failed = (count(one, one.c.space == key) for one in (schema.vectors, schema.failures))
            last: datetime | None = connection.execute(sa.select(sa.func.max(schema.purchases.c.at))).scalar()
            return Coverage(
                items=count(schema.items),
                photos=photos,
                vectors=vectors,
                missing=photos - vectors - failed,
                failed=failed,
                shoppers=count(schema.shoppers),
                purchases=count(schema.purchases),
                last_purchase=last,
            )

    # Simulating

    def simulate(
        self, shoppers: int = 50, purchases: int = 5, year: int = 2025, seed: int = 42, model: str = "paper"
    ) -> Simulation:
        """Simulate a year of purchases (paper, section on behaviour), replacing an earlier simulation.

        A catalogue without any popularity first gets random counts 0 to 100, one without stores gets five.
        Raises SettingError in a shop with real purchases: simulated ones would mix with them.
        """
        with self.storage.reading() as connection:
            self.purchases.refuse_real(connection)
        if self.stores.frame().is_empty():
            self.stores.make(seed=seed)
        frame = self.items.frame()
        if frame.is_empty():
            raise SourceError(f"{self.name} has no items; add some with: modiste add items {self.name} SOURCE")
        rng = np.random.default_rng(seed)
        if frame["popularity"].null_count() == len(frame):
            counts = rng.integers(0, START_COUNTS, len(frame), endpoint=True).astype(float)
            frame = frame.with_columns(popularity=counts)
            self.items.set_popularity(dict(zip(frame["item_id"], counts.tolist(), strict=True)))
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
        )
        self.purchases.replace_simulated(people, made.purchases)
        return made
