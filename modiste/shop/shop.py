"""The shop: items, stores, shoppers, purchases and vectors in one folder, and the recommendations they lead to.

A photo goes catalogue → vision → vectors; a question goes :class:`~modiste.ask.Ask` → :class:`Snapshot` →
:class:`Question` → recommendations. The formula itself is in :mod:`modiste.ranking.relevance`.
"""

import re
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import sqlalchemy as sa
from PIL import Image

from modiste.ask import Ask, SearchAsk
from modiste.behaviour.choice import LAST
from modiste.behaviour.simulation import Simulation, simulate
from modiste.behaviour.stores import BOX
from modiste.catalog.taxonomy import PAPER, Taxonomy
from modiste.errors import SettingError, SourceError, UnknownIdError
from modiste.shop import schema
from modiste.shop.ab import AB
from modiste.shop.audit import Audit
from modiste.shop.items import Items
from modiste.shop.keys import Keys
from modiste.shop.moments import Moments
from modiste.shop.preview import preview
from modiste.shop.purchases import Purchases, last_purchase
from modiste.shop.question import Question, SearchResult
from modiste.shop.recommendations import Recommendations
from modiste.shop.reports import Coverage, Status
from modiste.shop.scenarios import Scenarios
from modiste.shop.shoppers import Shoppers, mean_trendiness
from modiste.shop.snapshot import Snapshot
from modiste.shop.storage import Storage, setting
from modiste.shop.storefront import Storefront
from modiste.shop.stores import Stores
from modiste.shop.taste import Taste, taste_of
from modiste.shop.tuning import Tunings
from modiste.shop.users import Users
from modiste.shop.vectors import Vectors
from modiste.vision.embedding import VectorSpace
from modiste.vision.photos import MAX_PIXELS, open_photo

START_COUNTS = 100
"""Simulated catalogues without a popularity of their own start at a uniform count between 0 and this (the paper)."""


class Shop:
    """One shop in one folder. Open it with :meth:`open`, make it with :meth:`create`; close it or use ``with``.

    Its nouns are ``items``, ``stores``, ``shoppers``, ``purchases``, ``vectors``, ``tunings``, ``scenarios``,
    ``storefront``, ``ab``, ``keys``, ``users`` and ``audit``.

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
        self.scenarios = Scenarios(storage, self.moments, partial(preview, self))
        self.storefront = Storefront(storage)
        self.ab = AB(storage, self.storefront, self.scenarios)
        self.items = Items(storage, self.taxonomy, self.vectors.embed_item)
        self.keys = Keys(storage)
        self.users = Users(storage)
        self.audit = Audit(storage)

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

    def recommend(
        self, shopper: str | None = None, item: str | None = None, *, items: Sequence[str] | None = None, **ask: Any
    ) -> Recommendations:
        """The Top-K for a shopper, merged over her purchases without repeats, or for someone looking at ``item``.

        Or for a guest whose session or cart has ``items``, the newest last, in which ids that the shop doesn't have are
        passed over. Without purchases or items the list is that of :meth:`introduce`. ``ask``: the fields of
        :class:`~modiste.ask.Ask`. Raises UnknownIdError and SettingError.
        """
        question = self._question(shopper, item, items, Ask.of(**ask))
        return question.merged() if question.of_items else question.spread()

    def recommend_each(
        self, shopper: str, *, latest: int | None = None, **ask: Any
    ) -> list[tuple[str, Recommendations]]:
        """The Top-K of each of the shopper's purchases, in the order she made them: the paper's way.

        With ``latest`` only of so many purchases, the last ones. Takes the fields of :meth:`recommend`.
        Raises UnknownIdError and SettingError.
        """
        question = self._question(shopper, None, None, Ask.of(**ask))
        return question.each(latest) if question.of_items else []

    def introduce(self, shopper: str | None = None, **ask: Any) -> Recommendations:
        """What to show a shopper of whom no purchase is known: by popularity alone, the best of each category first.

        Popularity is as she likes it: her trendiness, the one in ``ask``, or the population's mean. Old purchases
        fade with a half-life of 20 days (30 by the paper's formula) unless ``ask`` says otherwise; its weights play no
        part.
        Raises UnknownIdError and SettingError.
        """
        asked = self.scenarios.asked(Ask.of(**ask))
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
        asked = self.scenarios.asked(SearchAsk.of(**ask))
        upright = photo if isinstance(photo, Image.Image) else open_photo(photo, max_pixels=max_pixels)
        snapshot = self.snapshot(*[asked.space] if asked.space else [])
        embedded = self.vectors.embed_photo(upright, snapshot.space(asked.space), asked.category)
        found = Question.for_photo(snapshot, asked, embedded.vector, embedded.colour).merged()
        return SearchResult(upright, embedded.labels, embedded.keep, found)

    def _question(self, shopper: str | None, item: str | None, items: Sequence[str] | None, ask: Ask) -> Question:
        """About each purchase of ``shopper`` (without any, about nothing), or about items; all of one moment."""
        if (shopper is not None) + (item is not None) + (items is not None) != 1:
            raise SettingError("name a shopper, an item, or the items of a guest, one of the three")
        ask = self.scenarios.asked(ask)
        with self.moments.now(ask.space) as (snapshot, connection):
            if items is not None:
                return Question.for_guest(snapshot, ask, items, mean_trendiness(connection))
            if shopper is None:
                return Question.for_item(snapshot, ask, str(item))
            return self.question_of(snapshot, connection, shopper, ask)

    def taste(self, shopper: str) -> Taste:
        """How far a shopper follows the crowd, as her purchases tell, with its uncertainty. Raises UnknownIdError."""
        with self.moments.now() as (snapshot, connection):
            self.shoppers.read(connection, shopper)
            return taste_of(snapshot, self.purchases.bought(connection, shopper))

    def question_of(self, snapshot: Snapshot, connection: sa.Connection, shopper: str, ask: Ask) -> Question:
        """What suits a shopper, in one moment: about each of her purchases or, without any, about nothing."""
        return self.questions_of(snapshot, connection, shopper, [ask])[0]

    def questions_of(
        self, snapshot: Snapshot, connection: sa.Connection, shopper: str, asks: Sequence[Ask]
    ) -> list[Question]:
        """The same in several ways; what is known of her is read once."""
        known = self.shoppers.read(connection, shopper)
        bought = self.purchases.bought(connection, shopper)
        if not bought:
            return [Question.for_nobody(snapshot, ask, known.trendiness, known.position) for ask in asks]
        latest = list(dict.fromkeys(item_id for item_id, _ in bought))[-LAST:]
        together = any(ask.weights.together for ask in asks)
        companions = self.purchases.companions(connection, shopper, latest) if together else {}
        return [
            Question.for_shopper(snapshot, ask, known, bought, companions if ask.weights.together else {})
            for ask in asks
        ]

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
            return Coverage(
                items=count(schema.items),
                photos=photos,
                vectors=vectors,
                missing=photos - vectors - failed,
                failed=failed,
                shoppers=count(schema.shoppers),
                purchases=int(setting(connection, "purchases")),
                last_purchase=last_purchase(connection),
            )

    def status(self) -> Status:
        """What is there, what is missing and what to do next."""
        items, events, coverage = schema.items.c, schema.events.c, self.coverage()
        on_offer = sa.func.coalesce(items.available, sa.true()) & (sa.func.coalesce(items.stock, 1) > 0)
        counts = sa.select(
            sa.func.count(sa.case((on_offer, 1))).label("on_offer"), sa.func.count(items.category).label("categories")
        )
        kinds = sa.select(events.kind, sa.func.count().label("n")).group_by(events.kind)
        waiting = sa.select(sa.func.coalesce(sa.func.sum(events.kept), 0)).where(events.kind.in_(("return", "cancel")))
        with self.storage.reading() as connection:
            found = connection.execute(counts).one()
            by_kind = {one.kind: int(one.n) for one in connection.execute(kinds)}
            loose = int(connection.execute(waiting).scalar_one())
        return Status(coverage, found.on_offer, coverage.items - found.categories, by_kind, loose)

    # Forgetting

    def known_of(self, shopper: str) -> dict[str, Any]:
        """All that the shop knows of a shopper: what was given, what she did, and which lists she saw.

        Raises UnknownIdError.
        """
        table = schema.shoppers.c
        wanted = sa.select(table.shopper_id, table.trendiness, table.latitude, table.longitude)
        row = self.storage.row(wanted.where(table.shopper_id == shopper))
        if row is None:
            raise UnknownIdError(f"no shopper {shopper!r} in {self.name}")
        with self.storage.reading() as connection:
            names = self.storefront.names(connection, shopper)
        events = [one for name in names for one in self.purchases.events_of(name).to_dicts()]
        return {**row, "events": events, "lists": self.storefront.known_of(shopper)}

    def forget(self, shopper: str) -> list[Path]:
        """Forget a shopper: what is known of her, what she did, what was counted of it, and which lists she saw.

        What she did there before she was known is forgotten with it; an anonymous visitor by the name it has for her.

        Nothing of her stays in the files of the shop's folder: SQLite's are written anew, which takes seconds for a
        large shop, and reports and pages in the folder that name her are deleted; returns these. On PostgreSQL the
        server's own log of changes keeps what it keeps, as copies of a shop do. Raises UnknownIdError.
        """
        table = schema.shoppers
        with self.storage.writing() as writing:
            names = self.storefront.names(writing.connection, shopper)
            for name in names:
                self.purchases.forget(writing, name)
            gone = self.storefront.forget(writing, names)
            if not writing.execute(table.delete().where(table.c.shopper_id.in_(names))).rowcount and not gone:
                raise UnknownIdError(f"no shopper {shopper!r} in {self.name}")
        self.storage.erase()
        word = re.compile(rb"(?<![\w-])" + re.escape(shopper.encode()) + rb"(?![\w-])")
        pages = [one for kind in ("*.txt", "*.html") for one in self.path.glob(kind) if word.search(one.read_bytes())]
        for one in pages:
            one.unlink()
        return pages

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
