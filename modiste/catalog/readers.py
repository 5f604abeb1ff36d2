"""How a shop's photos and tables become items: a DeepFashion folder, a table, a folder of folders.

Nothing is dropped in silence: what is not taken stands in :attr:`Reading.rejected` with its file, row and reason.
Photos are not opened here; that they exist is all a reader promises.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from unicodedata import normalize

from modiste.catalog.columns import Layout, Understood
from modiste.catalog.files import resolved
from modiste.catalog.folders import MASK_ENDING, read_folder
from modiste.catalog.items import Item, Rejected
from modiste.catalog.products import PHOTO_SUFFIXES, Found, is_address, read_items
from modiste.catalog.taxonomy import Taxonomy
from modiste.catalog.values import composed
from modiste.errors import SourceError

__all__ = ["MASK_ENDING", "PHOTO_SUFFIXES", "Reading", "read_source"]


@dataclass(frozen=True)
class Reading:
    """What a source holds: items in the order of the source, what was not taken, and how it was understood.

    ``merged`` rows tell only of items that other rows are: a product of its variants, a further photo.
    ``unknown_categories`` counts, for each category word the taxonomy doesn't know, the items that have it.
    """

    items: list[Item]
    rejected: list[Rejected]
    unknown_categories: dict[str, int]
    merged: int = 0
    understood: Understood = field(default_factory=Understood)


def read_source(source: Path, taxonomy: Taxonomy, masks: Path | None = None, mapping: Layout | None = None) -> Reading:
    """Read a catalogue; which of the three kinds it is shows from the source itself.

    - A file is a table (:func:`~modiste.catalog.tables.open_table`). A column for item_id is required; others of
      Item's fields are known by many words or from the systems that write such tables, or said by ``mapping``
      (:mod:`~modiste.catalog.columns`); what is left becomes the item's attributes as text. Paths count from the
      table's folder and must exist; http(s) addresses stay what they are. What a row leaves open is as the first row
      of its product, or the product's own row, says. Rows of one item with several photos are one item. Items that
      name no product and share photo, category and gender are sizes of one.
    - A folder in which at least half of the photos have names such as
      ``MEN-Denim-id_00000080-01_7_additional.jpg`` (gender, category, item ``id_00000080-01_7`` of product
      ``id_00000080-01``, view) is DeepFashion's, at any depth. A short id that stands for several genders or
      categories becomes ``MEN-Denim-id_00000080-01_7``; a product of both genders becomes one for each.
    - Any other folder holds photos in folders of genders, categories and products, any of them or none:
      ``women/dresses/LMD/front.jpg``. The item's id is the path without its ending; a folder below that of a category,
      or one with a number in its name where none is, is a product and its photos are views, unless there are more
      than 20.

    A photo's mask is what the table's column says, else ``<stem>_segm.png`` in ``masks/<the photo's folder>``, in
    ``masks`` or beside the photo, the first there is; photos that would share one are rejected. Hidden files are
    ignored. An id that stands twice is taken once where the data agree and never where they differ; both are reported.

    Raises SourceError if the source, or ``masks``, is missing, empty or not of a kind that can be read, and
    SettingError if ``mapping`` names columns that aren't there.
    """
    if masks is not None and not masks.is_dir():
        raise SourceError(f"{masks} is not a folder; give the folder of the masks, <photo's stem>{MASK_ENDING}")
    rejected: list[Rejected] = []
    merged, understood = 0, Understood()
    if source.is_dir():
        found, remarks = read_folder(resolved(source), taxonomy, rejected)
        understood = Understood(remarks=remarks)
    elif source.exists():
        found, rejected, merged, understood = read_items(resolved(source.parent) / source.name, taxonomy, mapping)
    else:
        raise SourceError(
            f"{source} doesn't exist; give a folder of photos, or a table such as CSV, JSON, XLSX or Parquet"
        )
    masked = _with_masks(found, masks and resolved(masks), rejected)
    means = {word: taxonomy.canonical(word) for word in {one.item.category for one in masked}}
    for one in masked:
        if means[one.item.category] != one.item.category:
            one.item = replace(one.item, category=means[one.item.category])
    items, again = _once_each(masked, rejected)
    known = {word for word in means.values() if taxonomy.knows(word)}
    words = Counter(item.category for item in items if item.category is not None and item.category not in known)
    unknown = dict(words.most_common())
    if unknown:
        likely = [
            f"category {word!r} is not known; is it {near}?" for word in unknown if (near := taxonomy.nearest(word))
        ]
        understood = replace(
            understood, unknown={"category": unknown, **understood.unknown}, remarks=(*understood.remarks, *likely)
        )
    return Reading(items, rejected, unknown, merged + again, understood)


def _with_masks(found: Sequence[Found], masks: Path | None, rejected: list[Rejected]) -> list[Found]:
    """Give each photo without a mask its own; where two photos would share one, neither is taken."""
    sharers: defaultdict[str, list[Found]] = defaultdict(list)
    complete = []
    for one in found:
        photo = one.item.image
        if photo and not is_address(photo) and not one.item.mask and (mask := _mask_of(Path(photo), masks)):
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
    names = dict.fromkeys((name, composed(name), normalize("NFD", name)))  # as another file system may write it
    folders = (photo.parent,) if masks is None else (masks / photo.parent.name, masks, photo.parent)
    return next((str(file) for folder in folders for one in names if (file := folder / one).is_file()), None)


def _once_each(found: Iterable[Found], rejected: list[Rejected]) -> tuple[list[Item], int]:
    """The items whose id means one thing, and how many rows add photos to them; others are added to ``rejected``."""
    by_id: defaultdict[str, list[Found]] = defaultdict(list)
    for one in found:
        by_id[one.item.item_id].append(one)
    items, merged = [], 0
    for item_id, standing in by_id.items():
        first, *others = standing
        if all(one.item == first.item for one in others):
            items.append(first.item)
            if first.repeats:
                merged += len(others)
            else:
                reason = f"item {item_id!r} stands with the same data in {_places([first])} already; taken once"
                rejected.extend(one.rejected(reason) for one in others)
        elif first.row is not None and first.item.image and all(_bare(one) == _bare(first) for one in others):
            photos = [photo for one in standing for photo in (one.item.image, *one.item.photos) if photo]
            image, *further = dict.fromkeys(photos)
            mask = next((one.item.mask for one in standing if one.item.image == image), None)
            items.append(replace(first.item, image=image, photos=tuple(further), mask=mask))
            merged += len(others)
        else:
            reason = f"item {item_id!r} stands with different data in {_places(standing)}; give each an id of its own"
            rejected.extend(one.rejected(reason) for one in standing)
    return items, merged


def _bare(one: Found) -> Item:
    """An item without its photos, nor the product that was told from them."""
    product = "" if one.item.product == one.photo else one.item.product
    return replace(one.item, image=None, photos=(), mask=None, product=product)


def _places(found: Sequence[Found]) -> str:
    named = " and ".join(one.file if one.row is None else f"row {one.row}" for one in found[:3])
    return named if len(found) <= 3 else f"{named} and {len(found) - 3} more"
