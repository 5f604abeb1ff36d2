"""The shop: items, stores, shoppers, purchases and vectors in one folder, and the recommendations they lead to.

A photo goes catalogue → vision → vectors; a question goes :class:`~modiste.ask.Ask` → :class:`Snapshot` →
:class:`Question` → recommendations. The formula itself is in :mod:`modiste.ranking.relevance`.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Self

import numpy as np
import polars as pl
import polars.selectors as cs
import sqlalchemy as sa
from PIL import Image

from modiste.ask import Ask, OutfitAsk, SearchAsk
from modiste.behaviour.choice import LAST
from modiste.behaviour.simulation import Simulation, simulate
from modiste.behaviour.stores import BOX
from modiste.catalog.files import read, resolved
from modiste.catalog.taxonomy import PAPER, Taxonomy
from modiste.errors import SettingError, SourceError, StorageError, UnknownIdError
from modiste.shop import schema
from modiste.shop.ab import AB
from modiste.shop.audit import Audit
from modiste.shop.checking import Finding, Mend, check
from modiste.shop.items import FETCHED, Items
from modiste.shop.keys import Keys
from modiste.shop.moments import Moments
from modiste.shop.outfits import Evidence, GoesWith, goes_with
from modiste.shop.preview import preview
from modiste.shop.purchases import Purchases
from modiste.shop.question import Garment, Question, SearchResult
from modiste.shop.recommendations import Recommendations, glance
from modiste.shop.scenarios import Scenarios
from modiste.shop.shoppers import Shopper, Shoppers, mean_trendiness
from modiste.shop.snapshot import Snapshot
from modiste.shop.status import Coverage, Status, coverage_of, status_of
from modiste.shop.storage import UPLOADS, Storage, setting
from modiste.shop.storefront import Storefront
from modiste.shop.stores import Stores
from modiste.shop.taste import Taste, taste_of, tastes_of, usual
from modiste.shop.tuning import Tunings
from modiste.shop.users import Users
from modiste.shop.vectors import Vectors
from modiste.vision.colour import colour_words
from modiste.vision.embedding import EmbeddedPhoto, VectorSpace
from modiste.vision.photos import MAX_PIXELS, open_photo

_LOG = logging.getLogger(__name__)

START_COUNTS = 100
"""Simulated catalogues without a popularity of their own start at a uniform count between 0 and this (the paper)."""

MOST_TOLD = 500_000
"""So many purchases are read to tell all shoppers' tastes."""

MOST_SEARCHED = 1 << 31
"""Bytes of the largest file in the shop's folder that is searched for the name of somebody to be forgotten."""

SPARING = 20.0
"""What needs all shoppers, or all lists that were seen, is worked out at most for a twentieth of the time."""


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
        self.tunings = Tunings(storage, self.moments)
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
        folder = resolved(path)
        if categories is not None:
            categories = PAPER if str(categories) == "paper" else Path(categories)
            Taxonomy.load(categories)  # refuse a bad file before anything is written
        return cls(Storage.create(folder, database, categories))

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the shop in the folder ``path``, wherever its tables lie; an older program's are brought forward.

        That its photos were embedded by a Modiste that masks or tells colours otherwise is a warning in the log: until
        they are embedded again nothing looks alike. Raises SourceError if there is none, its database can't be used, or
        a newer program made it.
        """
        shop = cls(Storage.open(resolved(path)))
        with suppress(StorageError):  # who asks something next is told
            if shop.vectors.outdated:
                _LOG.warning(
                    "the photos of %s were embedded by another Modiste, as is not done now; nothing looks alike until "
                    "this has run: modiste embed %s", shop.name, shop.name,
                )  # fmt: skip
        return shop

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

    def __repr__(self) -> str:
        return f"<Shop {self.path}>"

    def _repr_html_(self) -> str:
        """The shop in a notebook: what it has, what sells best, and what is to be done."""
        status = self.status()
        have = status.coverage
        words = f"{have.items:,} items, {have.vectors:,} photos embedded, {have.shoppers:,} shoppers, "
        words += f"{have.purchases:,} purchases"
        steps = "".join(f" · {step.said}" for step in status.steps(self.name))
        return glance(self.name, words + steps, self.items.browse(sort="popularity", limit=8).items.to_dicts())

    def check(self, mend: Mend = "nothing", *, thorough: bool = True) -> list[Finding]:
        """Find what is stale, missing, foreign or orphaned: what isn't as it should be, each with a sentence.

        Vectors are compared with what they were made of, counts with the events, the files in ``cache`` with the
        tables, and photos with what items name; a photo that was never embedded is no finding, ``status`` tells of it.
        ``mend``: ``derived`` makes anew what can be made anew from what was given, ``all`` deletes files and events of
        nothing as well, and embeds the photos again where vectors are of another form. What was given and is lost can't
        be mended. Unless ``thorough``, photos are not read, nor the files in ``cache``. Others may go on writing.
        """
        return check(self, mend, thorough=thorough)

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
        with self.moments.last(*spaces) as (snapshot, _):
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
        if shopper is None:
            with self.moments.last(asked.space) as (snapshot, reading):
                return Question.for_nobody(snapshot, asked, _mean(snapshot, reading)).spread()
        with self.moments.now(asked.space) as (snapshot, connection):
            known = self.shoppers.read(connection, shopper)
        return Question.for_nobody(snapshot, asked, known.trendiness, known).spread()

    def search(self, photo: bytes | Path | Image.Image, *, max_pixels: int = MAX_PIXELS, **ask: Any) -> SearchResult:
        """What looks like the garment on a photo that is in no catalogue; by default by looks alone ("visual").

        Where somebody is on the photo, there is a list for each garment that she wears too, of the kinds that can be
        one. ``ask``: the fields of :class:`~modiste.ask.SearchAsk`; ``category`` tells which of several garments is
        meant, where the space masks all but an item's own, and is then the only one. Raises PhotoError, SettingError,
        and UnknownIdError where nothing is embedded yet.
        """
        asked = self.scenarios.asked(SearchAsk.of(**ask))
        upright = photo if isinstance(photo, Image.Image) else open_photo(photo, max_pixels=max_pixels)
        snapshot = self.snapshot(*[asked.space] if asked.space else [])
        if asked.category is not None:
            self.taxonomy.chosen([asked.category], snapshot.categories)  # refuses what nobody knows
        space = snapshot.space(asked.space)
        whole = self.vectors.embed_photo(upright, space, asked.category)
        question = Question.for_photo(snapshot, asked, whole.vector, whole.colour)
        worn = {} if asked.category else self.vectors.embed_garments(upright, whole, space)
        garments = [self._garment(question, asked, label, one) for label, one in worn.items()]
        return SearchResult(upright, whole.labels, whole.keep, question.merged(), question.whose, tuple(garments))

    def _garment(self, whole: Question, ask: SearchAsk, label: str, worn: EmbeddedPhoto) -> Garment:
        """What looks like a garment that somebody wears, of the kinds that can be one."""
        snapshot = whole.snapshot
        wanted = self.taxonomy.chosen(ask.categories or snapshot.categories, snapshot.categories)
        kinds = [name for name in snapshot.categories if name in wanted and label in self.taxonomy.labels(name)]
        ask = ask.model_copy(update={"categories": kinds, "match": "all"})
        found = Recommendations()
        if kinds:
            found = Question.for_photo(snapshot, ask, worn.vector, worn.colour, whole).merged()
        assert worn.keep is not None  # a garment has pixels
        return Garment(label, colour_words(worn.colour), worn.keep, tuple(kinds), found)

    def goes_with(self, item: str, **ask: Any) -> list[GoesWith]:
        """What is worn with an item: a list for each other part of an outfit, tops, shoes, bags and so on.

        By its colour, by what is worn with its like on photos (where :meth:`Vectors.embed_worn
        <modiste.shop.vectors.Vectors.embed_worn>` looked), by what sells and is bought with it. ``ask``: the fields of
        :class:`~modiste.ask.OutfitAsk`. No list for an item that isn't worn with others, or of which nobody knows what
        it is. Raises UnknownIdError and SettingError.
        """
        asked = self.scenarios.asked(OutfitAsk.of(**ask))
        with self.moments.last(asked.space) as (snapshot, reading):
            bought = reading is not None and asked.together != 0
            companions = self.purchases.companions(reading, "", [item]) if reading is not None and bought else {}
            evidence = Evidence.of(snapshot, asked.space, reading)
            return goes_with(snapshot, asked, item, companions, evidence)

    def _question(self, shopper: str | None, item: str | None, items: Sequence[str] | None, ask: Ask) -> Question:
        """About each purchase of ``shopper`` (without any, about nothing), or about items; all of one moment."""
        if (shopper is not None) + (item is not None) + (items is not None) != 1:
            raise SettingError("name a shopper, an item, or the items of a guest, one of the three")
        ask = self.scenarios.asked(ask)
        if shopper is None:
            with self.moments.last(ask.space) as (snapshot, reading):
                if items is not None:
                    return Question.for_guest(snapshot, ask, items, _mean(snapshot, reading))
                return Question.for_item(snapshot, ask, str(item))
        with self.moments.now(ask.space) as (snapshot, connection):
            return self.question_of(snapshot, connection, shopper, ask)

    def taste(self, shopper: str) -> Taste:
        """How far a shopper follows the crowd, as her purchases tell, with its uncertainty. Raises UnknownIdError."""
        with self.moments.now() as (snapshot, connection):
            who = self.shoppers.read(connection, shopper).shopper_id
            return taste_of(snapshot, self.purchases.bought(connection, [who])[who])

    def tastes(self) -> pl.DataFrame:
        """All shoppers by id, with their tastes.

        Columns shopper_id, purchases (how many), given (the trendiness, null: not), theta, sd, told (from how many
        purchases; null: none). What was worked out holds for SPARING times as long as that took, though more
        was sold. In a shop of more than MOST_TOLD purchases theta, sd and told are null; :meth:`taste` tells of one.
        """
        with self.moments.now() as (snapshot, connection):
            began = monotonic()
            known: tuple[int, float, pl.DataFrame] | None = snapshot.kept.get("tastes")
            if known is None or (known[0] != snapshot.revision and known[1] < began):
                few = setting(connection, "purchases") <= MOST_TOLD
                tastes = tastes_of(snapshot, self.purchases.read(connection, None if few else 0))
                until = monotonic() + SPARING * (monotonic() - began)
                known = snapshot.kept["tastes"] = (snapshot.revision, until, tastes)
        everyone = self.shoppers.frame().select("shopper_id", "purchases", "given")
        return everyone.join(known[2], on="shopper_id", how="left", maintain_order="left")

    def question_of(self, snapshot: Snapshot, connection: sa.Connection, shopper: str, ask: Ask) -> Question:
        """What suits a shopper, in one moment: about each of her purchases or, without any, about nothing."""
        known = self.shoppers.read(connection, shopper)
        return self.questions_of(snapshot, connection, {known.shopper_id: known}, [ask])[0][known.shopper_id]

    def questions_of(
        self, snapshot: Snapshot, connection: sa.Connection, people: Mapping[str, Shopper], asks: Sequence[Ask]
    ) -> list[dict[str, Question]]:
        """The same of many shoppers, by their ids, for each of several ways to ask; what is known of them is read at
        once."""
        bought = self.purchases.bought(connection, people)
        together = any(ask.weights.together for ask in asks)
        questions: list[dict[str, Question]] = [{} for _ in asks]
        for who, known in people.items():
            latest = list(dict.fromkeys(item_id for item_id, _ in bought[who]))[-LAST:]
            others = self.purchases.companions(connection, who, latest) if together else {}
            for ask, those in zip(asks, questions, strict=True):
                if bought[who]:
                    carried = others if ask.weights.together else {}
                    those[who] = Question.for_shopper(snapshot, ask, known, bought[who], carried)
                else:
                    those[who] = Question.for_nobody(snapshot, ask, known.trendiness, known)
        return questions

    def coverage(self) -> Coverage:
        """How many items, photos, vectors, shoppers and purchases there are; vectors are those of the default space."""
        return coverage_of(self.storage)

    def status(self) -> Status:
        """What is there, what is missing and what to do next."""
        return status_of(self.storage)

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
        large shop, and reports, pages and lists in the folder that name her are deleted; returns these. PostgreSQL
        writes its tables anew too; its log of changes and its catalogue of statistics keep her id until they are
        written over, as copies of a shop keep all. Where ``modiste sync`` brings orders, she comes back with them
        until she is gone there.

        The files may not find room to be written anew, or others may hold on to them: she is forgotten then, and the
        error says what is left; to forget her again removes it. Raises SourceError then, and where a file in the folder
        can't be searched for her, UnknownIdError of one who isn't known, where
        nothing was left of anybody.
        """
        table, left = schema.shoppers, False
        with self.storage.writing() as writing:
            names = self.storefront.names(writing.connection, shopper)
            for name in names:
                self.purchases.forget(writing, name)
            known = self.storefront.forget(writing, names)
            known |= bool(writing.execute(table.delete().where(table.c.shopper_id.in_(names))).rowcount)
            left = self.storage.deleted(writing.connection, known)
        named, unread = [], []
        for one in sorted(self.path.rglob("*")):
            try:
                if one.is_file() and any(_names(one, self.path, name) for name in names):
                    one.unlink()
                    named.append(one)
            except OSError as error:
                unread.append(f"{one} ({error.strerror})")
        if known or left:
            self.storage.erase()
        if unread:
            raise SourceError(f"look yourself whether these name her, and delete them: {', '.join(unread)}")
        if not known and not named and not left:
            raise UnknownIdError(f"no shopper {shopper!r} in {self.name}")
        return named

    # Simulating

    def simulate(
        self, shoppers: int = 50, purchases: int = 5, year: int = 2025, seed: int = 42, model: str = "paper"
    ) -> Simulation:
        """Simulate a year of purchases (paper, section on behaviour), replacing an earlier simulation.

        A catalogue without any popularity first gets random counts 0 to 100, one without stores gets five.
        Raises SettingError in a shop with real purchases, with which simulated ones would mix, and as
        :func:`modiste.behaviour.simulation.simulate`.
        """
        with self.storage.reading() as connection:
            self.purchases.refuse_real(connection)
        frame = self.items.frame()
        if frame.is_empty():
            raise SourceError(f"{self.name} has no items; add some with: modiste add items {self.name} SOURCE")
        rng, counts = np.random.default_rng(seed), None
        if frame["popularity"].null_count() == len(frame):
            counts = rng.integers(0, START_COUNTS, len(frame), endpoint=True).astype(float)
            frame = frame.with_columns(popularity=counts)
        made = simulate(
            frame.select("item_id", "gender", "category", pl.col("popularity").fill_null(0.0)),
            shoppers,
            purchases,
            year,
            seed,
            model,
        )
        if self.stores.frame().is_empty():
            self.stores.make(seed=seed)
        if counts is not None:
            self.items.set_popularity(dict(zip(frame["item_id"], counts.tolist(), strict=True)))
        people = made.shoppers.with_columns(
            latitude=rng.uniform(BOX[0], BOX[1], made.shoppers.height),
            longitude=rng.uniform(BOX[2], BOX[3], made.shoppers.height),
        )
        self.purchases.replace_simulated(people, made.purchases)
        return made


def _names(file: Path, folder: Path, shopper: str) -> bool:
    """Whether a report, page or list in a shop's folder names a shopper."""
    if file.relative_to(folder).parts[0] in ("cache", FETCHED, UPLOADS):
        return False
    if file.suffix not in (".txt", ".html", ".csv", ".json", ".jsonl", ".feed", ".new", ".parquet"):
        return False
    content, own = read(file, MOST_SEARCHED), re.escape(shopper.encode())
    if file.suffix == ".parquet":
        try:
            texts = pl.read_parquet(content).select(cs.string())
        except pl.exceptions.PolarsError:  # half a list, of a run that was interrupted: whose it is nobody can read
            return True
        return any((column == shopper).any() for column in texts.iter_columns())
    if file.suffix in (".json", ".jsonl", ".feed", ".new"):  # as text: numbers are not ids
        own = (
            re.escape(json.dumps(shopper, ensure_ascii=False).encode()) + b"|" + re.escape(json.dumps(shopper).encode())
        )
        return re.search(own, content) is not None
    if file.suffix == ".csv" and b"shopper_id" not in content.partition(b"\n")[0]:
        return False
    return re.search(rb"(?<![\w-])" + own + rb"(?![\w-])", content) is not None


def _mean(snapshot: Snapshot, connection: sa.Connection | None) -> float:
    """The trendiness of somebody of whom nothing is known."""
    return usual(snapshot) if connection is None else mean_trendiness(connection)
