"""``shop.items``: the garments, as catalogues and services bring them."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import date
from difflib import get_close_matches
from hashlib import blake2b, file_digest
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa
from PIL import Image

from modiste.catalog.columns import Layout, alike
from modiste.catalog.fetching import FRESH_S, fetch
from modiste.catalog.files import open_regular, write
from modiste.catalog.items import AGE_GROUPS, GENDERS, Item, Rejected
from modiste.catalog.products import is_address
from modiste.catalog.readers import Reading, read_source
from modiste.catalog.taxonomy import Taxonomy
from modiste.catalog.values import composed, identifier, price, utc_now
from modiste.catalog.words import known_gender
from modiste.errors import (
    ChangedError,
    ModisteError,
    PhotoError,
    SettingError,
    SourceError,
    StorageError,
    UnknownIdError,
)
from modiste.shop import schema
from modiste.shop.moments import day_of
from modiste.shop.reports import AddReport, Progress, PutReport
from modiste.shop.shoppers import add_up
from modiste.shop.storage import (
    MOST_REMOVED,
    UPLOADS,
    Storage,
    Writing,
    chunks,
    count_of,
    frame,
    present,
    set_setting,
    setting,
)
from modiste.vision.photos import MAX_BYTES, check_photo

STATES = (
    "on offer", "off", "hidden", "not available", "sold out", "never sold", "no photo", "no vector", "no category",
    "no gender",
)  # fmt: skip
"""What items may be looked for that are in a state; off is what is hidden, not available or sold out, never sold what
is on offer and was bought neither here nor before."""

FACETS = ("brand", "colour", "size", "age_group", "view")
"""Columns that are looked for as attributes are."""

EDITABLE = (
    "title", "category", "gender", "age_group", "brand", "colour", "size", "price", "sale_price", "currency",
    "stock", "url",
)  # fmt: skip
"""What :meth:`Items.edit` changes."""

_LOOKED_AT = 20_000  # items whose attributes tell which there are
_MOST_NAMES, _MOST_VALUES = 16, 30  # of attributes that are offered

PLACEHOLDER = 10
"""A photo that so many products share shows none of them."""

FETCHED = "photos"
"""The folder, inside the shop's, of photos by address."""

_DERIVED_FROM = ("image", "stamp", "mask", "photos", "category")  # a vector; the category chooses the item's pixels
_WEB = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_CURRENCY = re.compile("[A-Z]{3}")
_OURS = ("revision", "hidden", *schema.DERIVED)  # what no catalogue says
_FIELDS = tuple(column.name for column in schema.items.c if column.name not in _OURS)


@dataclass(frozen=True)
class Page:
    """Some of the items that were looked for, with ``count`` and ``normpop`` as columns, and how many there are."""

    total: int
    items: pl.DataFrame


class Items:
    """A shop's items."""

    def __init__(self, storage: Storage, taxonomy: Taxonomy, embed: Callable[[str], str | None]) -> None:
        self._storage, self._taxonomy, self._embed = storage, taxonomy, embed

    # Reading

    def __len__(self) -> int:
        return self._storage.count(schema.items)

    def __contains__(self, item_id: object) -> bool:
        wanted = sa.select(schema.items.c.item_id).where(schema.items.c.item_id == item_id)
        return isinstance(item_id, str) and self._storage.row(wanted) is not None

    def __getitem__(self, item_id: str) -> dict[str, Any]:
        """What is known of an item, as :meth:`frame` has it. Raises UnknownIdError."""
        row = self._storage.row(_selected("hidden", *schema.DERIVED).where(schema.items.c.item_id == item_id))
        if row is None:
            raise UnknownIdError(f"no item {item_id!r} in {self._storage.path.name}")
        paths = {name: self._storage.absolute(row[name]) for name in ("image", "mask", "shown")}
        came = date.fromordinal(row["came"]) if row["came"] else None
        return {**row, **paths, "came": came, "photos": self._photos(row["photos"])}

    def present(self, item_ids: Sequence[str]) -> set[str]:
        """Those of ``item_ids`` that the shop has."""
        with self._storage.reading() as connection:
            return present(connection, schema.items.c.item_id, item_ids)

    def frame(self) -> pl.DataFrame:
        """All items in the order of their ids: ``image``, ``mask``, ``shown`` and the list ``photos`` are absolute
        paths, ``attributes`` is a JSON object, ``came`` a day."""
        wanted = _selected("hidden", *schema.DERIVED).order_by(schema.items.c.item_id)
        return self._absolute(self._storage.frame(wanted))

    def _absolute(self, items: pl.DataFrame) -> pl.DataFrame:
        photos = pl.Series("photos", map(self._photos, items["photos"]), pl.List(pl.String))
        paths = pl.col("image", "mask", "shown").map_elements(self._storage.absolute, return_dtype=pl.String)
        came = (pl.col("came").cast(pl.Int32) - day_of(date(1970, 1, 1))).cast(pl.Date)
        return items.with_columns(paths, photos, came)

    def _photos(self, photos: str | None) -> list[str]:
        return [str(self._storage.path / one) for one in json.loads(photos or "[]")]

    def browse(
        self,
        *,
        categories: Collection[str] = (),
        min_price: float | None = None,
        max_price: float | None = None,
        match: str = "all",
        gender: str | None = None,
        store_id: str | None = None,
        product: str | None = None,
        attributes: Mapping[str, str] | None = None,
        state: str | None = None,
        text: str = "",
        sort: str = "id",
        offset: int = 0,
        limit: int | None = 50,
    ) -> Page:
        """One page of the items that pass, each with ``count``, its popularity, and ``normpop``, that in [0, 1].

        Category and price must both hold, or with ``match`` "any" one of them. ``gender`` shows items of no known
        gender too. ``attributes`` are values by name, of FACETS too; ``state`` is one of STATES. ``text`` is looked for
        in ids, titles, categories and attributes, whatever its case. ``sort``: id, title, popularity, unpopular, cheap,
        dear or stock. ``limit`` None: all.
        Raises SettingError for a category or store that nobody knows, with the nearest that there is.
        """
        items = schema.items.c
        if store_id is not None:
            self._check_store(store_id)
        conditions: list[sa.ColumnElement[bool]] = []
        either: list[sa.ColumnElement[bool]] = []
        if categories:
            either.append(items.category.in_(self.chosen(categories)))
        if min_price is not None or max_price is not None:
            low, high = min_price or 0.0, items.price if max_price is None else max_price
            either.append(sa.and_(items.price.is_not(None), items.price >= low, items.price <= high))
        if either:
            conditions.append(sa.or_(*either) if match == "any" else sa.and_(*either))
        if gender is not None:
            conditions.append(sa.or_(items.gender.is_(None), items.gender == gender))
        for column, value in ((items.store_id, store_id), (items.product, product)):
            if value is not None:
                conditions.append(column == composed(value))
        for name, value in (attributes or {}).items():
            said = f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
            written = items.attributes.contains(said, autoescape=True)
            conditions.append(items[name] == value if name in FACETS else written)
        if state in STATES:
            conditions.append(_in_state(state))
        if text:
            spoken = sa.func.replace(sa.func.coalesce(items.category, ""), "_", " ")
            haystack = items.item_id + " " + sa.func.coalesce(items.title, "") + " " + spoken + " " + items.attributes
            there = sa.func.lower(haystack).contains(composed(text).lower(), autoescape=True)
            exactly = haystack.contains(composed(text), autoescape=True)  # PostgreSQL lowers letters of ASCII alone
            conditions.append(sa.or_(there, exactly))
        orders: dict[str, list[Any]] = {
            "title": [items.title.asc().nulls_last()],
            "popularity": [schema.counts.c.count.desc()],
            "unpopular": [schema.counts.c.count.asc()],
            "cheap": [items.price.asc().nulls_last()],
            "dear": [items.price.desc().nulls_last()],
            "stock": [items.stock.asc().nulls_last()],
        }
        joined = schema.items.join(schema.counts)
        wanted = _selected("hidden", *schema.DERIVED).add_columns(schema.counts.c.count)
        wanted = wanted.select_from(joined).where(*conditions)
        low_high = sa.select(sa.func.min(schema.counts.c.count), sa.func.max(schema.counts.c.count))
        with self._storage.reading() as connection:
            total = count_of(connection, schema.items, *conditions)
            found = frame(connection, wanted.order_by(*orders.get(sort, []), items.item_id).offset(offset).limit(limit))
            low_count, high_count = connection.execute(low_high).one()
        span = (high_count or 0.0) - (low_count or 0.0)
        share = (pl.col("count") - (low_count or 0.0)) / span if span > 0 else pl.lit(0.0)
        return Page(total, self._absolute(found).with_columns(normpop=share))

    def _check_store(self, store_id: str) -> None:
        wanted = (sa.select(schema.stores.c.store_id), sa.select(schema.items.c.store_id).distinct())
        there = sorted({row["store_id"] for one in wanted for row in self._storage.rows(one) if row["store_id"]})
        if store_id not in there:
            near = get_close_matches(store_id, there, 1) or there[:20]
            raise SettingError(f"no store {store_id[:80]!r}; there are: {', '.join(near) or 'none'}")

    def categories(self) -> list[tuple[str, int]]:
        """The categories that items have, by name, with how many."""
        items = schema.items.c
        wanted = sa.select(items.category, sa.func.count().label("n")).where(items.category.is_not(None))
        return sorted((row["category"], row["n"]) for row in self._storage.rows(wanted.group_by(items.category)))

    def chosen(self, words: Collection[str]) -> set[str]:
        """The categories that the words of a filter stand for. Raises SettingError for one that nobody knows."""
        known = all(map(self._taxonomy.knows, words))  # without looking at every item
        return self._taxonomy.chosen(words, [] if known else [name for name, _ in self.categories()])

    def genders(self) -> list[str]:
        """The genders that items have, as GENDERS has them."""
        found = {row["gender"] for row in self._storage.rows(sa.select(schema.items.c.gender).distinct())}
        return [one for one in GENDERS if one in found]

    def attributes(self) -> dict[str, list[tuple[str, int]]]:
        """Which attributes items have, FACETS first: the commonest values of each name, by value, with how many.

        Of a large shop as its first items tell. What is different for almost every item is left out.
        """
        items = schema.items.c
        wanted = sa.select(*(items[name] for name in FACETS), items.attributes).order_by(items.item_id)
        rows = self._storage.rows(wanted.limit(_LOOKED_AT))
        counted: dict[str, Counter[str]] = {name: Counter(row[name] for row in rows if row[name]) for name in FACETS}
        for row in rows:
            for name, value in json.loads(row["attributes"]).items():
                counted.setdefault(name, Counter())[value] += 1
        shared = {name: values for name, values in counted.items() if 1 < len(values) <= max(10, values.total() / 2)}
        first = sorted(shared, key=lambda name: (name not in FACETS, -shared[name].total(), name))[:_MOST_NAMES]
        return {name: sorted(shared[name].most_common(_MOST_VALUES)) for name in first}

    # Writing

    def hide(self, item_id: str, hidden: bool = True) -> None:
        """Take an item out of every list, or let it in again; no source's say changes that. Raises UnknownIdError."""
        items = schema.items
        with self._storage.writing() as writing:
            changed = items.update().where(items.c.item_id == item_id)
            if not writing.execute(changed.values(hidden=hidden, revision=writing.revision)).rowcount:
                raise UnknownIdError(f"no item {item_id!r} in {self._storage.path.name}")

    def edit(
        self, item_id: str, changes: Mapping[str, Any], photo: bytes | None = None, *, match: str | None = None
    ) -> PutReport:
        """Change some of EDITABLE of an item, or its photo; what is not among ``changes`` stays.

        Raises UnknownIdError, SettingError for what can't be changed, and as :meth:`put`.
        """
        if wrong := changes.keys() - set(EDITABLE):
            raise SettingError(f"{min(wrong)} can't be edited; {', '.join(EDITABLE)} can")
        tag, row = self.tag(item_id), self[item_id]
        known = {name: row[name] for name in _FIELDS if name in Item.__slots__}
        known |= {"attributes": json.loads(row["attributes"]), "photos": ()}
        return self.put(Item(**{**known, **changes}), photo, match=match or tag)

    def add(
        self,
        source: str | Path,
        masks: Path | None = None,
        progress: Progress | None = None,
        mapping: Layout | None = None,
        *,
        private: bool = False,
    ) -> AddReport:
        """Add the items of a DeepFashion folder, a table, or a folder of folders.

        Adding again is idempotent: unchanged items are skipped, changed ones updated and embedded anew. Photos by
        address are fetched into the shop's folder, from this machine and its network only if ``private``; one that
        can't be had, or that PLACEHOLDER products share, leaves its item without a photo. Photos are opened to see that
        they are whole; what is broken stands in the report and stops nothing.
        Raises SourceError if the source as a whole can't be read.
        """
        return self.take(read_source(Path(source), self._taxonomy, masks, mapping), progress, private=private)

    def take(
        self, reading: Reading, progress: Progress | None = None, *, private: bool = False, fresh: float = FRESH_S
    ) -> AddReport:
        """As :meth:`add`, of what was read; photos asked for within ``fresh`` seconds are not asked for again."""
        known = {row["item_id"]: row for row in self._storage.rows(_selected())}
        rejected, photos = list(reading.rejected), list[Rejected]()
        items = self._with_files(reading.items, photos, progress, private, fresh)
        rows: list[dict[str, Any]] = []
        with ThreadPoolExecutor() as pool:
            checked = pool.map(lambda item: self._checked(item, known.get(item.item_id)), items)
            for done, (given, item, outcome) in enumerate(zip(reading.items, items, checked, strict=True), 1):
                if not isinstance(outcome, PhotoError):
                    rows.append(outcome)
                elif given.image is not None and is_address(given.image):
                    photos.append(Rejected(given.image, None, f"{outcome}; item {item.item_id!r} goes without"))
                    rows.append(self._row(replace(item, image=None, mask=None), known.get(item.item_id)))
                else:
                    rejected.append(Rejected(item.image or item.item_id, None, str(outcome)))
                if progress:
                    progress(done, len(items))
        rows = self._without_placeholders(rows, photos)
        added = updated = 0
        if any(row != dict(known.get(row["item_id"], {})) for row in rows):
            with self._storage.writing() as writing:
                added, updated = self._store(writing, rows)
        unchanged = len(rows) - added - updated
        remarks = (*reading.understood.remarks, *alike((item.item_id for item in reading.items), known))
        understood = replace(reading.understood, remarks=remarks)
        return AddReport(
            added, updated, unchanged, rejected, reading.unknown_categories, understood,
            photos=photos, merged=reading.merged,
        )  # fmt: skip

    def _with_files(
        self, items: Sequence[Item], photos: list[Rejected], progress: Progress | None, private: bool, fresh: float
    ) -> Sequence[Item]:
        """The items with files in the place of addresses; what can't be had is added to ``photos``."""
        addresses = [one for item in items for one in (item.image, *item.photos) if one and is_address(one)]
        if not addresses:
            return items
        folder = self._storage.path / FETCHED
        found = fetch(addresses, folder, private=private, fresh=fresh, progress=progress)

        def file(item: Item, address: str | None) -> str | None:
            if address is None or not is_address(address):
                return address
            got = found[address]
            if got.problem is not None:
                how = f"item {item.item_id!r} " + ("goes without" if got.file is None else "keeps the one it had")
                photos.append(Rejected(address, None, f"{got.problem}; {how}"))
            return None if got.file is None else str(got.file)

        made = []
        for item in items:
            had = [got for one in (item.image, *item.photos) if (got := file(item, one)) is not None]
            made.append(replace(item, image=had[0] if had else None, photos=tuple(had[1:])))
        return made

    @staticmethod
    def _without_placeholders(rows: list[dict[str, Any]], photos: list[Rejected]) -> list[dict[str, Any]]:
        """The rows without the photos that many products share: what shops show where there is no photo."""
        products: defaultdict[str, set[str]] = defaultdict(set)
        for row in rows:
            if row["image"] is not None and row["mask"] is None:
                products[_first(row["stamp"])].add(row["product"])
        shared = {stamp: len(them) for stamp, them in products.items() if len(them) >= PLACEHOLDER}
        shown = {stamp: row["image"] for row in reversed(rows) if (stamp := _first(row["stamp"])) in shared}
        for stamp, count in shared.items():
            reason = f"is the photo of {count} products; taken for a placeholder, their items go without"
            photos.append(Rejected(shown[stamp], None, reason))
        empty = {"image": None, "mask": None, "stamp": ""}
        return [row | empty if _first(row["stamp"]) in shared else row for row in rows]

    def _checked(self, item: Item, known: Any) -> dict[str, Any] | PhotoError:
        try:
            row = self._row(item, known)
            if item.image is not None and (known is None or known["stamp"] != row["stamp"]):
                check_photo(Path(item.image))
        except PhotoError as error:
            return error
        except OSError as error:
            return PhotoError(f"can't be read: {error.strerror}")
        return row

    def _row(self, item: Item, known: Any = None) -> dict[str, Any]:
        """The item as the database has it; without a day on which it came, with that which is ``known``. Raises OSError
        where its photo can't be read."""
        came = day_of(item.came) if item.came else known["came"] if known else None
        attributes = json.dumps(dict(item.attributes), sort_keys=True, ensure_ascii=False)
        paths = {"image": self._storage.relative(item.image), "mask": self._storage.relative(item.mask)}
        photos = json.dumps([self._storage.relative(one) for one in item.photos]) if item.photos else None
        return asdict(item) | {"attributes": attributes, "stamp": _stamp(item), "photos": photos, "came": came} | paths

    def _store(self, writing: Writing, rows: Sequence[dict[str, Any]]) -> tuple[int, int]:
        """Insert or update items; returns how many of each. What was derived from what has changed goes."""
        items, counts = schema.items, schema.counts
        known = _known(writing, (row["item_id"] for row in rows))
        new = [row for row in rows if row["item_id"] not in known]
        changed = [row for row in rows if row["item_id"] in known and row != dict(known[row["item_id"]])]
        if new:
            today, revision = _came(writing), writing.revision
            writing.execute(items.insert(), [row | {"revision": revision, "came": row["came"] or today} for row in new])
            writing.execute(
                counts.insert(), [{"item_id": row["item_id"], "count": row["popularity"] or 0.0} for row in new]
            )
        writing.update(items, "item_id", changed, revision=writing.revision)
        was = {row["item_id"]: known[row["item_id"]]["popularity"] or 0.0 for row in changed}
        add_counts(writing, {row["item_id"]: (row["popularity"] or 0.0) - was[row["item_id"]] for row in changed})
        said = [{"item_id": row["item_id"]} for row in changed if row["gender"] != known[row["item_id"]]["gender"]]
        if said:
            writing.update(items, "item_id", said, **dict.fromkeys(schema.PROPOSED["gender"]))
        stale = [
            {"stale": row["item_id"]}
            for row in changed
            if any(row[name] != known[row["item_id"]][name] for name in _DERIVED_FROM)
        ]
        if stale:
            for table in (schema.vectors, schema.failures):
                writing.execute(table.delete().where(table.c.item_id == sa.bindparam("stale")), stale)
            none = dict.fromkeys(schema.DERIVED)
            writing.update(items, "item_id", [{"item_id": one["stale"]} for one in stale], **none)
        return len(new), len(changed)

    def set_popularity(self, counts: Mapping[str, float]) -> None:
        """Let items begin with other counts of purchases."""
        with self._storage.writing() as writing:
            known = _known(writing, counts)
            self._store(writing, [{**row, "popularity": counts[item_id]} for item_id, row in known.items()])

    def stamp(self, item_ids: Sequence[str]) -> None:
        """Take the photos and masks of items as they are now; what was derived from others goes."""
        with self._storage.writing() as writing:
            rows: list[dict[str, Any]] = []
            for row in _known(writing, item_ids).values():
                with suppress(OSError, PhotoError):  # gone since
                    rows.append({**row, "stamp": self.stamp_of(row["image"], row["mask"], row["photos"])})
            self._store(writing, rows)

    def stamp_of(self, image: str | None, mask: str | None, photos: str | None) -> str:
        """The fingerprint of a photo, its mask and further photos as the table of items names them, as they are now.

        Raises OSError, PhotoError.
        """
        first, covered = self._storage.absolute(image), self._storage.absolute(mask)
        return _stamp(Item("", image=first, mask=covered, photos=tuple(self._photos(photos))))

    def tag(self, item_id: str) -> str:
        """A fingerprint of all that is known of an item, photo included; of none, empty."""
        return _tag(self._storage.row(_selected().where(schema.items.c.item_id == item_id)))

    def put(
        self,
        item: Item,
        photo: bytes | None = None,
        *,
        further: Sequence[bytes] | None = None,
        match: str | None = None,
    ) -> PutReport:
        """Make one item or replace what is known of it, recommendable at once.

        ``photo``, an encoded picture, is kept in the shop's folder under its content's hash and embedded now, in the
        default vector space (made with the defaults where there is none). Without it the item keeps the photo it has,
        and without ``further``, more photos to be shown, those; the item's own ``image``, ``mask`` and ``photos`` play
        no part. Raises SourceError for a value that
        can't be, PhotoError for a photo that is broken or too large, and ChangedError where ``match``
        is not the item's :meth:`tag`; then nothing is changed.
        """
        item = _checked(item)
        for one in [*([] if photo is None else [photo]), *(further or ())]:
            check_photo(one)
        item = replace(item, category=self._taxonomy.canonical(item.category), image=None, mask=None, photos=())
        kept: list[str] = []
        known: Any = None
        try:
            with self._storage.writing() as writing:  # what is known is read where nobody else can change it
                wanted = _selected().where(schema.items.c.item_id == item.item_id)
                known = writing.execute(wanted).mappings().one_or_none()
                if match is not None and match != _tag(known):
                    raise ChangedError(f"item {item.item_id!r} is not what it was; read it again")
                if photo is not None:
                    kept.append(str(self._keep_photo(photo)))
                    item = replace(item, image=kept[0])
                row = self._row(item, known)
                if known is not None:
                    stay = ("photos",) if photo is not None else ("image", "mask", "photos", "stamp")
                    row |= {name: known[name] for name in stay}
                if further is not None:
                    files = [str(self._keep_photo(one)) for one in further]
                    kept += files
                    names = dict.fromkeys(map(self._storage.relative, files))
                    row["photos"] = json.dumps(list(names)) if files else None
                if further and row["image"] is None:
                    raise SourceError(f"item {item.item_id!r} has no photo that further ones follow; send that too")
                self._store(writing, [row])
        except BaseException:  # it may be stored nevertheless, where only the answer was lost
            with suppress(StorageError):
                self._drop_uploads([*map(self._storage.relative, kept), *_photos_of(known)])
            raise
        self._drop_uploads(_photos_of(known))
        try:
            failed = self._embed(item.item_id) if row["image"] is not None else "it has no photo"
        except ModisteError as error:  # the item is there; other networks are installed than the shop was made with
            failed = str(error)
        return PutReport(known is None, failed is None, self._unknown(item.category) or failed)

    def _unknown(self, category: str | None) -> str | None:
        if category is None or self._taxonomy.knows(category):
            return None
        near = self._taxonomy.nearest(category)
        return f"category {category[:80]!r} is not known; " + (
            f"did you mean {near}?" if near else "it is similar to itself alone"
        )

    def put_many(self, items: Sequence[Item]) -> AddReport:
        """Make items or replace what is known of them, as :meth:`put` without a photo, in one transaction.

        What their photos were embedded for has changed where their category has; they are embedded again. An id that
        comes twice is as it came last. Raises SourceError for a value that can't be; then nothing is changed.
        """
        items = [_checked(item) for item in items]
        with self._storage.writing() as writing:
            known = _known(writing, (item.item_id for item in items))
            rows: dict[str, dict[str, Any]] = {}
            for item in items:
                category = self._taxonomy.canonical(item.category)
                bare = replace(item, category=category, image=None, mask=None, photos=())
                row = self._row(bare, known.get(item.item_id))
                if item.item_id in known:
                    row |= {name: known[item.item_id][name] for name in ("image", "mask", "photos", "stamp")}
                rows[item.item_id] = row
            added, updated = self._store(writing, list(rows.values()))
        for row in rows.values():
            if row["image"] is not None and row["category"] != known[row["item_id"]]["category"]:
                with suppress(ModisteError):  # the next embedding says what is wrong
                    self._embed(row["item_id"])
        unknown = Counter(one for row in rows.values() if (one := row["category"]) and not self._taxonomy.knows(one))
        return AddReport(added, updated, len(rows) - added - updated, unknown_categories=dict(unknown))

    def remove(self, item_id: str) -> None:
        """Forget an item with its vectors and purchases, and its photo if it was uploaded. Raises UnknownIdError."""
        items, events, removed = schema.items, schema.events, schema.removed
        with self._storage.writing() as writing:
            wanted = sa.select(items.c.image, items.c.photos).where(items.c.item_id == item_id)
            row = writing.execute(wanted).mappings().one_or_none()
            if row is None:
                raise UnknownIdError(f"no item {item_id!r} in {self._storage.path.name}")
            bought = writing.execute(
                sa.select(events.c.shopper_id, sa.func.count(), sa.func.sum(events.c.normpop))
                .where(events.c.item_id == item_id, schema.BOUGHT)
                .group_by(events.c.shopper_id)
            ).all()
            add_up(writing, {shopper_id: (-count, -normpop) for shopper_id, count, normpop in bought})
            writing.execute(items.delete().where(items.c.item_id == item_id))
            writing.execute(removed.delete().where(removed.c.item_id == item_id))
            writing.execute(removed.insert().values(item_id=item_id, revision=writing.revision))
            _forget_removed(writing)
        self._drop_uploads(_photos_of(row))

    # Photos that came without a catalogue

    def _keep_photo(self, photo: bytes) -> Path:
        """Write an encoded photo, found whole, into the uploads under its hash; there already, it stays."""
        with Image.open(BytesIO(photo)) as opened:
            suffix = (opened.format or "bin").lower()
        file = self._storage.path / UPLOADS / f"{blake2b(photo, digest_size=16).hexdigest()}.{suffix}"
        file.parent.mkdir(exist_ok=True)
        if not file.exists():
            write(file, photo)
        return file

    def _drop_uploads(self, images: Iterable[str | None]) -> None:
        """Delete uploaded photos that no item shows any more; under the writers' lock, as photos are kept."""
        items = schema.items.c
        for image in images:
            if image is None or not image.startswith(UPLOADS + "/"):
                continue
            with self._storage.aside() as connection:  # nobody else writes meanwhile
                shown = sa.or_(items.image == image, items.photos.contains(json.dumps(image), autoescape=True))
                if connection.execute(sa.select(items.item_id).where(shown).limit(1)).first() is None:
                    with suppress(OSError):  # nothing names it; a check finds it
                        (self._storage.path / image).unlink(missing_ok=True)


def _selected(*derived: str) -> sa.Select[Any]:
    return sa.select(*(schema.items.c[name] for name in (*_FIELDS, *derived)))


def _known(writing: Writing, item_ids: Iterable[str]) -> dict[str, Any]:
    """The rows of those items that there are, by id."""
    wanted = (_selected().where(schema.items.c.item_id.in_(some)) for some in chunks(item_ids))
    return {row["item_id"]: row for one in wanted for row in writing.execute(one).mappings()}


def _came(writing: Writing) -> int | None:
    """The day on which what is added now came; None on the day of the shop's first items, which may be of any age."""
    today, began = day_of(utc_now()), int(setting(writing.connection, "began"))
    if not began:
        set_setting(writing.connection, "began", today)
    return today if 0 < began < today else None


def _in_state(state: str) -> sa.ColumnElement[bool]:
    """The condition for one of STATES."""
    items, vectors = schema.items.c, schema.vectors.c
    here = (vectors.item_id == items.item_id) & (vectors.space == schema.LATEST_SPACE)
    embedded = sa.select(vectors.item_id).where(here).exists()
    counts = schema.counts.c
    sold = sa.exists().where(counts.item_id == items.item_id, counts.count > 0).correlate(schema.items)
    conditions: dict[str, sa.ColumnElement[bool]] = {
        "on offer": schema.ON_OFFER,
        "off": sa.not_(schema.ON_OFFER),
        "hidden": items.hidden.is_(True),
        "not available": items.available.is_(False),
        "sold out": items.stock <= 0,
        "never sold": schema.ON_OFFER & sa.not_(sold),
        "no photo": items.image.is_(None),
        "no vector": items.image.is_not(None) & sa.not_(embedded),
        "no category": items.category.is_(None),
        "no gender": items.gender.is_(None),
    }
    return conditions[state]


def _photos_of(row: Any) -> list[str | None]:
    """All photos that a row names; of none, none."""
    return [] if row is None else [row["image"], *json.loads(row["photos"] or "[]")]


def _tag(row: Any) -> str:
    return "" if row is None else blake2b(json.dumps(dict(row)).encode(), digest_size=16).hexdigest()


def _stamp(item: Item) -> str:
    """A fingerprint of the photo's bytes, with others of the mask's behind a plus and of the further photos' behind a
    dash; empty without a photo. A further photo that can't be read counts as none."""
    if item.image is None:
        return ""
    stamp, further = _digest(item.image), blake2b(digest_size=16)
    for path in item.photos:
        with suppress(OSError, PhotoError), open_regular(Path(path), MAX_BYTES) as file:
            file_digest(file, lambda: further)
    stamp += f"+{_digest(item.mask)}" if item.mask else ""
    return stamp + (f"-{further.hexdigest()}" if item.photos else "")


def _digest(path: str) -> str:
    with open_regular(Path(path), MAX_BYTES) as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()


def _first(stamp: str) -> str:
    """What a stamp says of the first photo and its mask."""
    return stamp.partition("-")[0]


def _checked(item: Item) -> Item:
    """The item, its ids composed. Raises SourceError for what a catalogue's reader would not take."""
    try:
        item_id = identifier(item.item_id, "item_id")
        store_id = None if item.store_id is None else composed(item.store_id)
        known_gender(item.gender)
        if item.age_group not in (None, *AGE_GROUPS):
            raise SettingError(f"no age group {item.age_group!r}; there are: {', '.join(AGE_GROUPS)}")
        if item.url is not None and not _WEB.match(item.url):
            raise SettingError(f"url {item.url[:80]!r} is no address of a page; it begins with https://")
        if item.currency is not None and not _CURRENCY.fullmatch(item.currency):
            raise SettingError(f"currency {item.currency[:80]!r} is none of ISO 4217, such as EUR")
        for name in ("price", "sale_price", "popularity"):
            if (value := getattr(item, name)) is not None:
                price(value, name)
    except SettingError as error:
        raise SourceError(f"item {item.item_id!r}: {error}") from None
    return replace(item, item_id=item_id, product=composed(item.product), store_id=store_id)


def add_counts(writing: Writing, more: Mapping[str, float]) -> None:
    """Add so much to the counts of items, by their ids."""
    counts = schema.counts
    if moved := [{"one": item_id, "more": n} for item_id, n in more.items() if n]:
        changed = counts.update().where(counts.c.item_id == sa.bindparam("one"))
        writing.execute(changed.values(count=counts.c.count + sa.bindparam("more")), moved)


def _forget_removed(writing: Writing) -> None:
    """Keep the last MOST_REMOVED removed items, and remember up to which revision the others went."""
    removed = schema.removed
    oldest = sa.select(removed.c.revision).order_by(removed.c.revision.desc()).offset(MOST_REMOVED).limit(1)
    forgotten = writing.execute(oldest).scalar()
    if forgotten is not None:
        writing.execute(removed.delete().where(removed.c.revision <= forgotten))
        set_setting(writing.connection, "forgotten", forgotten)
