"""How the rows of a table become items: variants inherit from their product, and photos are found."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from modiste.catalog.columns import (
    NOTHING,
    POINTED,
    Columns,
    Layout,
    Understood,
    known,
    shortened,
    without_point,
    words,
)
from modiste.catalog.items import Item, Rejected
from modiste.catalog.tables import json_in, open_table
from modiste.catalog.taxonomy import Taxonomy
from modiste.catalog.values import (
    arrival,
    availability,
    composed,
    currency_of,
    decimal_mark,
    identifier,
    money,
    numeric_day,
    plain,
    stock,
)
from modiste.catalog.words import gender_and_age, nearest_person
from modiste.errors import SettingError, SourceError

PHOTO_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif"),
    *(".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"),
)
"""Endings (in any case) of the files that are taken for photos."""

_ADDRESS = re.compile(r"(?i)(?:https?:)?//[^\s/]")
_SCHEME = re.compile(r"(?i)data:|[a-z][a-z0-9+.-]+://")
_BETWEEN_ADDRESSES = re.compile(r"(?i)(?:\s*[|;,]\s*|\s+)(?=(?:https?:)?//)")
_PRICES = ("price", "sale_price", "list_price")
_INHERITED = (
    "title",
    "url",
    "brand",
    "category",
    "category_path",
    "gender",
    "age_group",
    "currency",
    "available",
    "came",
)
_SIZE = re.compile(r"x{0,4}[sml]|\d{1,3}|\d?xl|one ?size", re.I)
_ONE_PRODUCT = 60  # items that share a photo, at most; of more it is a placeholder

is_address = _ADDRESS.match
who = lru_cache(maxsize=1 << 14)(gender_and_age)


@dataclass
class Found:
    """An item and where it stood; ``photo`` is its photo, by its path from there, ``repeats``: it may stand again."""

    item: Item
    file: str
    row: int | None
    photo: str = ""
    repeats: bool = False

    def rejected(self, reason: str) -> Rejected:
        """The reason why it was not taken."""
        return Rejected(self.file, self.row, reason)


@dataclass
class _Row:
    """A row's texts by field, and what else it says."""

    number: int
    said: dict[str, str]
    photos: list[str]
    others: dict[str, str]
    parent: bool = False
    made: str = ""
    helpers: Mapping[str, str] = field(default_factory=dict)


def read_items(
    file: Path, taxonomy: Taxonomy, mapping: Layout | None = None
) -> tuple[list[Found], list[Rejected], int, Understood]:
    """Read a table of items: what was found, what was not taken, how many rows tell only of others' items, and how the
    table was understood. Raises SourceError and SettingError as :func:`~modiste.catalog.events.read_events` does.
    """
    table = open_table(file, known("items"))
    columns = Columns.of(file, table.header, "items", mapping)
    return _Table(columns, taxonomy).read(table.lines)


class _Table:
    """A table of items on its way in."""

    def __init__(self, columns: Columns, taxonomy: Taxonomy) -> None:
        self.columns, self.layout, self.knows = columns, columns.layout, lru_cache(maxsize=1 << 14)(taxonomy.knows)
        self.file, self.files = str(columns.file), Files(columns.file.parent)
        self.rejected: list[Rejected] = []
        self.remarks: list[str] = []
        self.unknown: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.merged = 0
        self.decimal: str | None = None
        self.day_first: bool | None = None
        self.later: list[str] = []
        self.helpers = columns.helpers
        self.pairs = [(self.helpers.get(one["name"]), self.helpers.get(one["value"])) for one in self.layout.pairs]
        first = {some[0] for name, some in columns.read.items() if name not in ("photos", "image")}
        first |= {place for name in ("photos", "image", "available") for place in columns.read.get(name, ())}
        first.update(self.helpers.values())
        others = [place for place, name in enumerate(columns.header) if name and place not in first]
        self.others = [] if self.layout.only_these else others

    def read(
        self, lines: Iterator[tuple[int, Sequence[str] | str]]
    ) -> tuple[list[Found], list[Rejected], int, Understood]:
        """Everything, in the order of the rows."""
        rows = []
        for number, cells in lines:
            if isinstance(cells, str):
                self.rejected.append(Rejected(self.file, number, cells))
            else:
                rows.append(self._row(number, cells))
        if not rows and not self.rejected:
            raise SourceError(f"{self.file} has no rows; write some below the names of the columns")
        self.decimal = decimal_mark([one for row in rows for name in _PRICES if (one := row.said.get(name))])
        self.day_first = _day_first([one for row in rows if (one := row.said.get("came"))])
        self._without_points(rows)
        kept = self._variants(rows)
        found = []
        for row in kept:
            try:
                found.append(self._item(row))
            except SettingError as error:
                self.rejected.append(Rejected(self.file, row.number, str(error)))
        _size_variants(found, self.remarks)
        self._photo_remarks(found, rows)
        if self.later:
            self.remarks.append(
                f"{len(self.later)} times an item is said to come later, such as {self.later[0]}: it counts as new "
                "from the day it is added, and is shown unless something says that it isn't available"
            )
        unknown = {name: dict(counted.most_common()) for name, counted in self.unknown.items()}
        self.remarks += shortened("item_id", (row.said.get("item_id", "") for row in rows))
        columns = self.columns
        likely = [
            f"{name} {word!r} is not known; is it {near}?"
            for name in ("gender", "age_group") for word in unknown.get(name, ()) if (near := nearest_person(word))
        ]  # fmt: skip
        understood = Understood(
            columns.layout.name, columns.called(), columns.unread, unknown, (*self.remarks, *likely), bool(self.others)
        )
        return found, self.rejected, self.merged, understood

    # Rows

    def _row(self, number: int, cells: Sequence[str]) -> _Row:
        texts = [one.strip() for one in cells]
        said = dict(self.layout.constants)
        for name, places in self.columns.read.items():
            own = self.layout.words.get(name, {})
            filled = [one for place in places if (one := own.get(texts[place], texts[place])) and not _is_nothing(one)]
            if filled:
                said[name] = self._best(name, filled)
                if name == "category":
                    said["category_path"] = ",".join(filled)
        cells = [one for place in self.columns.read.get("photos", ()) if not _is_nothing(one := texts[place]) and one]
        photos = [one for cell in cells for one in _several(cell)]
        header = self.columns.header
        others = {header[place]: texts[place] for place in self.others if texts[place]}
        helpers = {name: texts[place] for name, place in self.helpers.items()}
        for column, place in self.pairs:
            if column is not None and place is not None and texts[place]:
                others[f"\0{header[column]}"] = texts[place]  # named when its product's first row is known
                helpers[f"\0{header[column]}"] = texts[column]
        if self.layout.packed:
            for one in re.split(r",(?=[\w ]+=)", helpers.get(self.layout.packed, "")):
                name, equals, value = one.partition("=")
                if equals and value:
                    self._named(name.strip(), value.strip(), said, others)
        role = helpers.get(self.layout.parents.get("column", ""), "").casefold()
        made = [helpers.get(name, "") for name in self.layout.made_id]
        return _Row(number, said, photos, others, role in self.layout.parents.get("words", ()), " ".join(made), helpers)

    def _best(self, name: str, filled: Sequence[str]) -> str:
        """Of several columns' texts the first that is understood, else the first; our words for the shop's own."""
        if (len(filled) == 1 and name != "category") or (name == "category" and self.knows(filled[0])):
            return filled[0]
        if name == "available":
            means = [availability(one) for one in filled]
            return filled[means.index(False) if False in means else means.index(True) if True in means else 0]
        if name == "category":
            parts = [part for one in filled for part in (one, *re.split(r"\s*[,|;]\s*", one))]
            return next((part for part in parts if self.knows(part)), filled[0])
        if name == "gender":
            said = next((one for one in filled if who(one)[2]), filled[0])
            return next((one for one in filled if who(one)[0]), said)
        if name == "age_group":
            return next((one for one in filled if who(one)[1]), "" if self.layout.name else filled[0])
        return filled[0]

    def _named(self, name: str, value: str, said: dict[str, str], others: dict[str, str]) -> None:
        """A value whose name stands in a cell: a field's, or an attribute's."""
        fields = [
            one for one in ("colour", "size", "gender", "age_group", "brand") if plain(name) in words("items")[one]
        ]
        if fields and not said.get(fields[0]):
            said[fields[0]] = value
        elif not fields:
            others.setdefault(name, value)

    def _without_points(self, rows: Sequence[_Row]) -> None:
        for name in ("item_id", "product"):
            ids = {one for row in rows if (one := row.said.get(name))}
            if ids and all(without_point(one) != one for one in ids):
                for row in rows:
                    if name in row.said:
                        row.said[name] = without_point(row.said[name])
                self.remarks.append(POINTED.format(name))

    # Products

    def _variants(self, rows: Sequence[_Row]) -> list[_Row]:
        """The rows that are items, with what they inherit; those that tell more of others' items are counted."""
        self._refer(rows)
        heads: dict[str, _Row] = {}
        for row in rows:
            if (product := row.said.get("product")) and (product not in heads or (row.parent > heads[product].parent)):
                heads[product] = row
        for row in rows:
            self._inherit(row, heads.get(row.said.get("product", ""), row))
        sold = Counter(row.said["product"] for row in rows if "product" in row.said and not row.parent)
        named = {row.said["product"] for row in rows if row.said.get("product") and row.said.get("item_id")}
        kept: list[_Row] = []
        further: defaultdict[str, list[str]] = defaultdict(list)
        pooled = bool(self.layout.made_id)
        for row in rows:
            product = row.said.get("product", "")
            if pooled:
                further[product] += row.photos
                row.photos = []
            if row.parent and sold[product]:
                self.merged += 1
            elif "item_id" in row.said or product not in named or not (row.photos or row.said.get("image") or pooled):
                kept.append(row)
            else:
                further[product] += [*([row.said["image"]] if "image" in row.said else []), *row.photos]
                self.merged += 1
        self._share(kept, {product: some for product, some in further.items() if product and some})
        return kept

    def _refer(self, rows: Sequence[_Row]) -> None:
        """Let each variant say its product by the id of its product's row, and have ids where they are made."""
        layout = self.layout
        ids = {row.said["item_id"]: row for row in rows if "item_id" in row.said}
        for row in rows:
            for start, column in layout.parents.get("also_named", {}).items():
                if row.helpers.get(column):
                    ids.setdefault(start + row.helpers[column], row)
        for row in rows:
            if layout.parents and (parent := ids.get(row.said.get("product", ""))):
                row.said["product"] = parent.said.get("item_id", row.said["product"])
            if layout.children and row.parent and "item_id" in row.said:
                for one in re.findall(r"(?:^|[|,])sku=([^,|]+)", row.helpers.get(layout.children, "")):
                    if one in ids:
                        ids[one].said.setdefault("product", row.said["item_id"])
        for row in rows:
            if row.parent and "item_id" in row.said:
                row.said["product"] = row.said["item_id"]
        if layout.made_id:
            titles = {row.said["product"]: row.said["title"] for row in rows if {"product", "title"} <= row.said.keys()}
            for row in rows:
                if "item_id" not in row.said and "price" in row.said and "product" in row.said:
                    values = [row.helpers.get(name, "") for name in layout.made_id[1:]]
                    values = [one for one in values if one and one != "Default Title"]
                    title = row.said.get("title") or titles.get(row.said["product"], row.said["product"])
                    row.said["item_id"] = title + (" - " + " / ".join(values) if values else "")

    def _inherit(self, row: _Row, head: _Row) -> None:
        """What a row leaves open its product's row says; then the values whose names stand in other cells are named."""
        for column in [name for name in row.others if name.startswith("\0")]:
            name, value = row.helpers[column] or head.helpers.get(column, ""), row.others.pop(column)
            if name and value != "Default Title":
                self._named(name, value, row.said, row.others)
        if row is head:
            return
        for name in _INHERITED:
            if name not in row.said and name in head.said:
                row.said[name] = head.said[name]
        if "price" not in row.said:
            row.said |= {name: head.said[name] for name in _PRICES if name in head.said}
        colours = {one.said["colour"] for one in (row, head) if "colour" in one.said and not head.parent}
        if "image" not in row.said and not row.photos and "item_id" in row.said and len(colours) < 2:
            row.photos = [*([head.said["image"]] if "image" in head.said else []), *head.photos]
        if self.layout.name:
            row.others = head.others | row.others

    def _share(self, rows: Sequence[_Row], further: Mapping[str, list[str]]) -> None:
        """Give a product's further photos to its items, if they are of one colour as far as their photos show."""
        members: defaultdict[str, list[_Row]] = defaultdict(list)
        for row in rows:
            if row.said.get("product") in further:
                members[row.said["product"]].append(row)
        left = 0
        for product, photos in further.items():
            own = {row.said["image"] for row in members[product] if "image" in row.said}
            spare = [one for one in dict.fromkeys(photos) if one not in own]
            for row in members[product]:
                if "image" not in row.said:
                    row.said["image"] = photos[0]
                if len(own) < 2:
                    row.photos = [one for one in [*row.photos, *spare] if one != row.said["image"]]
            left += len(spare) if len(own) > 1 else 0
        if left:
            self.remarks.append(f"{left} photos of products in several colours don't say of which they are; left out")

    # Items

    def _item(self, row: _Row) -> Found:
        """One row as an item. Raises SettingError with the reason why it can't be taken."""
        said = row.said
        item_id = identifier(said.get("item_id", ""), "item_id")
        sale, currency = self._money(said, "sale_price")
        full, currency = self._money(said, "price", currency)
        listed, currency = self._money(said, "list_price", currency)
        if listed is not None and (full is None or listed > full):  # what it cost before it was reduced
            full, sale = listed, full if sale is None else sale
        images = self.files.photos(said.get("image", ""), "image")
        further = list(images[1:])
        for one in row.photos:
            try:
                further += self.files.photos(one, "photo")
            except SettingError as error:
                self.remarks.append(f"row {row.number}: {error}; left out")
        if not images and not further:
            further = self.files.first(pattern.format_map({"item_id": item_id}) for pattern in self.layout.image_files)
        photos = [*images[:1], *dict.fromkeys(one for one in further if one not in images[:1])]
        whose, age = self._who(said)
        item = Item(
            item_id=item_id,
            category=said.get("category"),
            gender=whose,
            image=photos[0] if photos else None,
            mask=self.files.find(said["mask"], "mask") if "mask" in said else None,
            product=said.get("product", ""),
            view=said.get("view"),
            price=full,
            store_id=identifier(said["store_id"], "store_id") if "store_id" in said else None,
            popularity=money(said["popularity"], None, "popularity")[0] if "popularity" in said else None,
            title=said.get("title"),
            url=said.get("url"),
            brand=said.get("brand"),
            colour=said.get("colour"),
            size=said.get("size"),
            age_group=age,
            currency=currency,
            sale_price=sale,
            available=self._told("available", said, availability),
            stock=self._told("stock", said, _stock),
            came=self._came(said.get("came", "")),
            photos=tuple(photos[1:]),
            attributes=row.others,
        )
        photo = (item.image or "").removeprefix(f"{self.files.folder}/").partition("?")[0]
        return Found(item, self.file, row.number, photo, self.layout.only_these)

    def _money(
        self, said: Mapping[str, str], name: str, currency: str | None = None
    ) -> tuple[float | None, str | None]:
        """A price, and its currency: what its own column says, or the price's text, or as it was."""
        if name not in said:
            return None, currency
        number, sign = money(said[name], self.decimal, name)
        if "currency" in said:
            sign = currency_of(said["currency"])
            if not sign:
                self.unknown["currency"][said["currency"]] += 1
        return number, sign or currency

    def _came(self, written: str) -> date | None:
        """The day on which it came; None for what is no day, which is counted, and for one that is still to come."""
        if not written.strip("0-/.: T"):  # 0000-00-00
            return None
        try:
            return arrival(written, self.day_first)
        except SettingError as error:
            if "in the future" in str(error):
                self.later.append(written)
            else:
                self.unknown["came"][written] += 1
            return None

    def _who(self, said: Mapping[str, str]) -> tuple[str | None, str | None]:
        """Gender and age group: by their own columns, else by the path of the category."""
        whose, age, understood = who(said.get("gender", ""))
        if not understood:
            self.unknown["gender"][said["gender"]] += 1
        whose_path, age_path, _ = who(said.get("category_path", ""))
        if written := said.get("age_group"):
            _, own, understood = who(written)
            age = own or age
            if not understood:
                self.unknown["age_group"][written] += 1
        return whose if said.get("gender") else whose_path, age or age_path

    def _told(self, name: str, said: Mapping[str, str], means: Any) -> Any:
        """What a word means; a word that nobody knows is counted."""
        if name not in said:
            return None
        if (meaning := means(said[name])) is None:
            self.unknown[name][said[name]] += 1
        return meaning

    def _photo_remarks(self, found: Sequence[Found], rows: Sequence[_Row]) -> None:
        without = sum(one.item.image is None for one in found)
        if not without:
            return
        if {"image", "photos"} & self.columns.read.keys() or self.layout.image_files:
            self.remarks.append(f"{without} of {len(found)} items have no photo")
            return
        holders = [
            name for name in self.columns.unread if any(_photo_like(row.others.get(name, "")) for row in rows[:100])
        ]
        meant = [name for name, near in self.columns.unread.items() if near in ("image", "photos")]
        advice = f': --map image="{one}"' if (one := next(iter([*holders, *meant]), "")) else ", such as image"
        self.remarks.append(f"no column says where the photos are, so that no item has one; name it{advice}")


def _stock(written: str) -> int | None:
    try:
        return stock(written)
    except SettingError:
        return None


def _day_first(written: Sequence[str]) -> bool | None:
    """Whether dates such as 31/03/2025 have the day first, if one of them tells and none the contrary."""
    told = {numbers[0] > 12 for one in written if (numbers := numeric_day(one)) and max(numbers) > 12}
    return told.pop() if len(told) == 1 else None


def _photo_like(written: str) -> bool:
    return _path(written.partition(",")[0]).lower().endswith(PHOTO_SUFFIXES)


def _size_variants(found: Sequence[Found], remarks: list[str]) -> None:
    """Items that name no product and share photo, kind and title but for the size are one product."""
    sharers: defaultdict[Any, list[Found]] = defaultdict(list)
    for one in found:
        item = one.item
        if item.image and item.product == item.item_id:
            sizes = {part.casefold() for part in re.split(r"\W+", f"{item.size or ''} {item.colour or ''}")}
            title = (part for part in re.split(r"\W+", (item.title or "").casefold()) if not _SIZE.fullmatch(part))
            sharers[item.image, item.category, item.gender, frozenset(title) - sizes].append(one)
    for (image, *_), them in sharers.items():
        if 1 < len({one.item.item_id for one in them}) <= _ONE_PRODUCT:
            for one in them:
                one.item = replace(one.item, product=one.photo)
        elif len(them) > _ONE_PRODUCT:
            remarks.append(f"{len(them)} items have the photo {image}; is it a placeholder?")


class Files:
    """The files that a table names, counted from its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._below: dict[Path, dict[str, str]] = {}

    def photos(self, written: str, name: str) -> list[str]:
        """What a cell names: files and addresses, one or several. Raises SettingError for what is neither."""
        if (several := _several(written)) != [written]:
            return [path for one in several for path in self.photos(one, name)]
        if is_address(written):
            parts = [one.strip().replace(" ", "%20") for one in _BETWEEN_ADDRESSES.split(written)]
            addresses = [f"https:{one}" if one.startswith("//") else one for one in parts]
            if wrong := [one for one in addresses if not _path(f"{one}/")]:
                raise SettingError(f"{name} {wrong[0][:80]!r} is no address")
            return addresses
        try:
            return [self.find(written, name)] if written else []
        except SettingError:
            parts = [part for one in re.split(r"[|;,\n]", written) if (part := one.strip())]
            if len(parts) < 2:
                raise
            return [path for one in parts for path in self.photos(one, name)]

    def first(self, candidates: Iterator[str]) -> list[str]:
        """The first of some files that is there, if any."""
        for one in candidates:
            try:
                return [self.find(one, "image")]
            except SettingError:
                continue
        return []

    def find(self, written: str, name: str) -> str:
        """The path of a file, also where letter case, Unicode form, slashes or its ending are written otherwise.

        Raises SettingError if there is none.
        """
        plain_path = _path(written) if written.lower().startswith("file:") else written
        if is_address(plain_path) or _SCHEME.match(plain_path):
            raise SettingError(f"{name} {written[:80]!r} is an address of another kind than http; give that, or a path")
        path = self.folder / plain_path
        if not (trouble := trouble_of(path)):
            return str(path)
        if found := self._otherwise(plain_path.replace("\\", "/")):
            return str(found)
        raise SettingError(f"{name} {written[:80]!r} {trouble}; paths count from {self.folder}")

    def _otherwise(self, written: str) -> Path | None:
        path = Path(written)
        here, parts = (Path(path.anchor), path.parts[1:]) if path.is_absolute() else (self.folder, path.parts)
        for number, part in enumerate(parts, 1):
            if part == ".." or here == Path(path.anchor):
                here = here / part
                continue
            if here not in self._below:
                try:
                    names = sorted(one.name for one in here.iterdir())
                except OSError:
                    names = []
                spoken = {
                    _spoken(Path(one).stem): one for one in reversed(names) if one.lower().endswith(PHOTO_SUFFIXES)
                }
                self._below[here] = spoken | {_spoken(one): one for one in reversed(names)}
            found = self._below[here].get(_spoken(part))
            if found is None:
                return None
            here = here / found
            if number == len(parts):
                return None if trouble_of(here) else here
        return None


def _path(address: str) -> str:
    """The path in an address; what is none has none."""
    try:
        return unquote(urlsplit(address).path)
    except ValueError:
        return ""


def _several(written: str) -> list[str]:
    """What a list in JSON names, addresses in objects too; other text is one."""
    listed = json_in(written) if written.startswith("[") else None
    if not isinstance(listed, list):
        return [written]
    return [str(one.get("src") or one.get("url") or "") if isinstance(one, dict) else str(one) for one in listed]


def _spoken(name: str) -> str:
    return composed(name).casefold()


def trouble_of(path: Path) -> str | None:
    """Why ``path`` can't be a photo, as far as the file system knows; None if it may be."""
    try:
        return None if path.is_file() else "is no file"
    except (OSError, ValueError) as error:
        return f"can't be opened: {getattr(error, 'strerror', None) or error}"


def _is_nothing(written: str) -> bool:
    return len(written) < 6 and written.lower() in NOTHING
