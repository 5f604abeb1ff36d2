"""The demo's look book, unpacked: photos that ``lookbook/`` drew, their masks, and the table of what was drawn."""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile

from modiste.errors import SettingError, SourceError

ARCHIVE: Final = Path(__file__).with_name("demo.zip")
"""What ``python -m lookbook.archive`` wrote."""

PRODUCTS: Final = 160
"""How many products are in it, each seen from two views."""

_NAMES = {
    "image": re.compile(r"photos/[A-Z]+-[A-Za-z_]+-id_\d+-\d+_\d_[a-z]+\.webp"),
    "mask": re.compile(r"masks/[A-Z]+-[A-Za-z_]+-id_\d+-\d+_\d_[a-z]+_segm\.png"),
}


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the look book lies: folders ``photos`` and ``masks``, the CSV ``table``, and how many photos there are."""

    photos: Path
    masks: Path
    table: Path
    items: int


def unpack(folder: Path, products: int = PRODUCTS, progress: Callable[[int, int], None] | None = None) -> Demo:
    """Unpack the first ``products`` (1 to 160) into ``folder``/photos, ``folder``/masks and ``folder``/looks.csv.

    Photos are RGB, masks palette PNG in the colours of ``modiste.catalog.palette``, both 256 × 384; their names are
    DeepFashion's. Two views a product; 23 products show every category of each gender. Nothing but what the table
    names is written. ``progress`` is called with (photos done, photos in all).

    Raises SettingError for fewer products than 1 or more than there are, SourceError for a damaged archive.
    """
    if not 1 <= products <= PRODUCTS:
        raise SettingError(f"the demo has 1 to {PRODUCTS} products, not {products}")
    try:
        with ZipFile(ARCHIVE) as archive:
            return _unpack(archive, folder, products, progress)
    except (BadZipFile, KeyError, FileNotFoundError) as error:
        raise SourceError(f"{ARCHIVE} is damaged ({error}); install modiste again") from error


def _unpack(archive: ZipFile, folder: Path, products: int, progress: Callable[[int, int], None] | None = None) -> Demo:
    rows = list(csv.DictReader(StringIO(archive.read("looks.csv").decode())))
    shown = set(list(dict.fromkeys(row["product"] for row in rows))[:products])
    rows = [row for row in rows if row["product"] in shown]
    demo = Demo(folder / "photos", folder / "masks", folder / "looks.csv", len(rows))
    demo.photos.mkdir(parents=True, exist_ok=True)
    demo.masks.mkdir(exist_ok=True)
    for done, row in enumerate(rows, start=1):
        for column, name in _NAMES.items():
            if not name.fullmatch(row[column]):
                raise BadZipFile(f"no name of the look book's: {row[column]!r}")
            (folder / row[column]).write_bytes(archive.read(row[column]))
        if progress is not None:
            progress(done, len(rows))
    with demo.table.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return demo
