"""Draw the demo's look book and write it as the one archive that the package ships, ``modiste/demo.zip``.

    python -m lookbook.archive

Photos are lossless WebP of colours rounded to multiples of 3 (green) and 5 (red, blue), which halves the archive and
moves no level by more than ``ERROR``; masks are palette PNG, exact. The same libraries write the same bytes.
"""

import csv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO, StringIO
from pathlib import Path
from typing import Final
from zipfile import ZipFile, ZipInfo

import numpy as np
from PIL import Image
from rich.progress import Progress

from lookbook.book import COLUMNS, Look, draw, plan
from modiste.demo import ARCHIVE, PRODUCTS

VIEWS: Final = 2
SEED: Final = 42

ERROR: Final = (2, 1, 2)
"""How far red, green and blue of an archived photo may be from what was drawn, in levels of 255."""


def near(photo: Image.Image) -> Image.Image:
    """The photo in fewer colours: each level the nearest multiple of 5, or of 3 in green, both of which divide 255."""
    steps = 2 * np.array(ERROR) + 1
    return Image.fromarray(((np.asarray(photo) + np.array(ERROR)) // steps * steps).astype(np.uint8))


def write_archive(file: Path, products: int = PRODUCTS, progress: Callable[[int, int], None] | None = None) -> None:
    """Draw ``products`` products and write photos, masks and looks.csv to ``file``, a ZIP without compression.

    Entries carry no time, so that the same arguments write the same bytes. ``progress`` is called with (photos done,
    photos in all).
    """
    looks = list(plan(products, VIEWS, SEED))
    text, written = StringIO(), BytesIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    with ThreadPoolExecutor(max_workers=2) as pool, ZipFile(written, "w") as archive:
        for done, (row, photo, mask) in enumerate(pool.map(_coded, looks), start=1):
            table.writerow(row)
            archive.writestr(_entry(row["image"]), photo)
            archive.writestr(_entry(row["mask"]), mask)
            if progress is not None:
                progress(done, len(looks))
        archive.writestr(_entry("looks.csv"), text.getvalue())
    file.write_bytes(written.getvalue())  # at once: half an archive would be a broken package


def _coded(look: Look) -> tuple[dict[str, str], bytes, bytes]:
    photo, mask, row = draw(look)
    coded, exact = BytesIO(), BytesIO()
    near(photo).save(coded, "WEBP", lossless=True, method=6, quality=90)
    mask.save(exact, "PNG", optimize=True)
    return row | {"image": f"photos/{look.stem}.webp"}, coded.getvalue(), exact.getvalue()


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name)  # of 1980, the earliest there is
    entry.create_system, entry.external_attr = 3, 0o644 << 16
    return entry


def main() -> None:
    """Write the package's archive and say how large it is."""
    with Progress() as bar:
        task = bar.add_task("drawing the look book", total=None)
        write_archive(ARCHIVE, progress=lambda done, total: bar.update(task, completed=done, total=total))
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
