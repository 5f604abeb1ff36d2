"""How a shop's photos and tables become items: a DeepFashion folder, a table, a folder of folders.

Nothing is dropped in silence: what is not taken stands in :attr:`Reading.rejected` with its file, row and reason.
Photos are not opened here; that they exist is all a reader promises.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modiste.catalog.items import Item, Rejected
from modiste.catalog.tables import read_rows
from modiste.catalog.taxonomy import Taxonomy
from modiste.catalog.values import gender, identifier, price
from modiste.errors import SettingError, SourceError

PHOTO_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif"),
    *(".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"),
)
"""Endings (in any case) of the files that are taken for photos."""

MASK_ENDING = "_segm.png"
"""A photo ``<stem>.jpg`` has its mask in ``<stem>_segm.png``."""

_COLUMNS = ("item_id", "image", "mask", "category", "gender", "product", "price", "store_id", "popularity")
_DEEPFASHION = re.compile(
    r"(?P<gender>MEN|WOMEN)-(?P<category>[A-Za-z_]+)-(?P<item>(?P<product>id_\d+-\d+)_\d+)_(?P<view>[A-Za-z]+)"
)
_URL = re.compile(r"(?i)data:|[a-z][a-z0-9+.-]+://")


@dataclass(frozen=True)
class Reading:
    """What a source holds: items in the order of the source, what was not taken, and words for unknown categories.

    ``unknown_categories`` counts, for each category word the taxonomy doesn't know, the items that have it.
    """

    items: list[Item]
    rejected: list[Rejected]
    unknown_categories: dict[str, int]


@dataclass(frozen=True)
class _Found:
    """An item and where it stood."""

    item: Item
    file: str
    row: int | None

    def rejected(self, reason: str) -> Rejected:
        return Rejected(self.file, self.row, reason)


def read_source(source: Path, taxonomy: Taxonomy, masks: Path | None = None) -> Reading:
    """Read a catalogue; which of the three kinds it is shows from the source itself.

    - A file is a table. Column item_id is required; image, mask, category, gender, product, price (≥ 0), store_id and
      popularity (a count ≥ 0) are optional, others become the item's attributes as text. Paths count from the table's
      folder and must exist.
    - A folder in which at least half of the photos have names such as
      ``MEN-Denim-id_00000080-01_7_additional.jpg`` (gender, category, item ``id_00000080-01_7`` of product
      ``id_00000080-01``, view) is DeepFashion's, at any depth. A short id that stands for several genders or
      categories becomes ``MEN-Denim-id_00000080-01_7``; a product of both genders becomes one for each.
    - Any other folder holds ``category/photo.jpg``; the item's id is ``category/photo``.

    A photo's mask is what the table's column says, else ``<stem>_segm.png`` in ``masks/<the photo's folder>``, in
    ``masks`` or beside the photo, the first there is; photos that would share one are rejected. Hidden files are
    ignored. An id that stands twice is taken once where the data agree and never where they differ; both are reported.

    Raises SourceError if the source, or ``masks``, is missing, empty or not of a kind that can be read.
    """
    if masks is not None and not masks.is_dir():
        raise SourceError(f"{masks} is not a folder; give the folder of the masks, <photo's stem>{MASK_ENDING}")
    rejected: list[Rejected] = []
    if source.is_dir():
        found = _read_folder(source.resolve(), rejected)
    elif source.is_file():
        found = _read_table(source.parent.resolve() / source.name, rejected)
    else:
        raise SourceError(f"{source} doesn't exist; give a folder of photos, or a CSV or Parquet table")
    masked = _with_masks(found, masks and masks.resolve(), rejected)
    mapped = [replace(one, item=replace(one.item, category=taxonomy.canonical(one.item.category))) for one in masked]
    items = _once_each(mapped, rejected)
    words = Counter(item.category for item in items if item.category is not None and not taxonomy.knows(item.category))
    return Reading(items, rejected, dict(words))


def _with_masks(found: Sequence[_Found], masks: Path | None, rejected: list[Rejected]) -> list[_Found]:
    """Give each photo without a mask its own; where two photos would share one, neither is taken."""
    sharers: defaultdict[str, list[_Found]] = defaultdict(list)
    complete = []
    for one in found:
        if one.item.image and not one.item.mask and (mask := _mask_of(Path(one.item.image), masks)):
            one = replace(one, item=replace(one.item, mask=mask))
            sharers[mask].append(one)
        complete.append(one)
    refused: set[int] = set()
    for mask, them in sharers.items():
        if len({one.item.image for one in them}) > 1:
            reason = f"mask {mask} would be that of {_places(them)}; put masks into folders as the photos are"
            rejected.extend(one.rejected(reason) for one in them)
            refused.update(map(id, them))
    return [one for one in complete if id(one) not in refused]


def _mask_of(photo: Path, masks: Path | None) -> str | None:
    name = photo.stem + MASK_ENDING
    folders = (photo.parent,) if masks is None else (masks / photo.parent.name, masks, photo.parent)
    return next((str(folder / name) for folder in folders if (folder / name).is_file()), None)


def _once_each(found: Iterable[_Found], rejected: list[Rejected]) -> list[Item]:
    """The items whose id means one thing; the others are added to ``rejected``."""
    by_id: defaultdict[str, list[_Found]] = defaultdict(list)
    for one in found:
        by_id[one.item.item_id].append(one)
    items = []
    for item_id, standing in by_id.items():
        first, *others = standing
        if all(one.item == first.item for one in others):
            items.append(first.item)
            reason = f"item {item_id!r} stands with the same data in {_places([first])} already; taken once"
            rejected.extend(one.rejected(reason) for one in others)
        else:
            reason = f"item {item_id!r} stands with different data in {_places(standing)}; give each an id of its own"
            rejected.extend(one.rejected(reason) for one in standing)
    return items


def _places(found: Sequence[_Found]) -> str:
    named = " and ".join(one.file if one.row is None else f"row {one.row}" for one in found[:3])
    return named if len(found) <= 3 else f"{named} and {len(found) - 3} more"


# Folders


def _read_folder(source: Path, rejected: list[Rejected]) -> list[_Found]:
    photos, kinds = [], ", ".join(PHOTO_SUFFIXES)
    for path in _files(source, rejected):
        if path.suffix.lower() not in PHOTO_SUFFIXES:
            rejected.append(Rejected(str(path), None, f"is not a photo ({kinds}); convert or remove it"))
        elif not path.name.lower().endswith(MASK_ENDING):
            photos.append(path)
    if not photos:
        raise SourceError(f"{source} has no photo ({kinds}); add some, or give a CSV table")
    named = {path: match for path in photos if (match := _DEEPFASHION.fullmatch(path.stem))}
    if 2 * len(named) >= len(photos):
        example = "MEN-Denim-id_00000080-01_7_additional.jpg"
        reason = f"is not named as DeepFashion's photos are, {example}; rename or move it"
        rejected.extend(Rejected(str(path), None, reason) for path in photos if path not in named)
        return _deepfashion(named)
    return _folder_of_folders(source, photos, rejected)


def _deepfashion(photos: Mapping[Path, re.Match[str]]) -> list[_Found]:
    kinds: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    genders: defaultdict[str, set[str]] = defaultdict(set)
    for name in photos.values():
        kinds[name["item"]].add((name["gender"], name["category"]))
        genders[name["product"]].add(name["gender"])
    found = []
    for path, name in photos.items():
        item_id, product = name["item"], name["product"]
        item = Item(
            item_id=item_id if len(kinds[item_id]) == 1 else f"{name['gender']}-{name['category']}-{item_id}",
            category=name["category"],
            gender=gender(name["gender"]),
            image=str(path),
            product=product if len(genders[product]) == 1 else f"{name['gender']}-{product}",
            view=name["view"],
        )
        found.append(_Found(item, str(path), None))
    return found


def _folder_of_folders(source: Path, photos: Sequence[Path], rejected: list[Rejected]) -> list[_Found]:
    found = []
    for path in photos:
        inside = path.relative_to(source)
        try:
            if len(inside.parts) != 2:
                raise SettingError("lies outside of category/photo; move it into the folder of its category")
            item_id = identifier(inside.with_suffix("").as_posix(), "its name")
            found.append(_Found(Item(item_id, inside.parts[0], image=str(path)), str(path), None))
        except SettingError as error:
            rejected.append(Rejected(str(path), None, str(error)))
    return found


def _files(source: Path, rejected: list[Rejected]) -> Iterator[Path]:
    """Every file below ``source`` that isn't hidden, sorted by folder and name; links are followed, circles are not."""

    def unreadable(error: OSError) -> None:
        rejected.append(Rejected(str(error.filename), None, f"can't be read: {error.strerror}; mend its permissions"))

    entered = set()
    for folder, below, names in os.walk(source, followlinks=True, onerror=unreadable):
        here = Path(folder)
        entered.add(here.resolve())
        below[:] = sorted(n for n in below if not n.startswith(".") and (here / n).resolve() not in entered)
        for name in sorted(names):
            if name.startswith("."):
                continue
            path, shown = here / name, os.fsencode(here / name).decode("utf-8", "backslashreplace")
            if shown != str(path):
                rejected.append(Rejected(shown, None, "has a name that is not UTF-8; rename it"))
            elif trouble := _trouble(path):
                rejected.append(Rejected(shown, None, f"{trouble}; mend or remove it"))
            else:
                yield path


def _trouble(path: Path) -> str | None:
    """Why ``path`` can't be a photo, as far as the file system knows; None if it may be."""
    try:
        return None if path.is_file() else "is no file"
    except OSError as error:
        return f"can't be opened: {error.strerror}"


# Tables


def _read_table(source: Path, rejected: list[Rejected]) -> list[_Found]:
    rows = read_rows(source, "items", ("item_id",), dict.fromkeys(_COLUMNS, ()))
    taken, refused = rows.parse(lambda row: _item(row, source.parent))
    rejected += refused
    return [_Found(item, str(source), number) for number, item in taken]


def _item(row: Mapping[str, str], folder: Path) -> Item:
    """One row as an item. Raises SettingError with the reason why it can't be taken."""
    return Item(
        item_id=identifier(row["item_id"], "item_id"),
        category=row.get("category") or None,
        gender=gender(row.get("gender")),
        image=_path(row, "image", folder),
        mask=_path(row, "mask", folder),
        product=row.get("product", ""),
        price=price(row["price"]) if row.get("price") else None,
        store_id=identifier(row["store_id"], "store_id") if row.get("store_id") else None,
        popularity=price(row["popularity"], "popularity") if row.get("popularity") else None,
        attributes={name: text for name, text in row.items() if name and text and name not in _COLUMNS},
    )


def _path(row: Mapping[str, str], column: str, folder: Path) -> str | None:
    text = row.get(column)
    if not text:
        return None
    if _URL.match(text):
        raise SettingError(f"{column} {text[:80]!r} is an address; download it and give the file's path")
    path = folder / text
    if trouble := _trouble(path):
        raise SettingError(f"{column} {text[:80]!r} {trouble}; paths count from {folder}")
    return str(path)
