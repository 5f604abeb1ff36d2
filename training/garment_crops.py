"""Cut out the garments that the embedding learns from and is judged by, with Modiste installed.

From the repository root:

    python training/garment_crops.py --data ../shared/data --out DIR

Photos are cropped as the package's default does it, with the shipped parser, garments of `street/` by given masks. DIR
gets crops.npz: of every crop its JPEG (`photos`, one after the other, each up to its `ends`), its `domain`, `kind`,
`product`, `colour` and `gender` where they are known, its `source` (the product, photographer or street photo, whose
garments are no neighbours of each other) and its `item`.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from modiste.catalog.taxonomy import Taxonomy
from modiste.shop.vectors import DEFAULT_BACKBONE, DEFAULT_FILL, DEFAULT_MASKING, DEFAULT_PARSER
from modiste.vision.backbones import get_backbone
from modiste.vision.embedding import see
from modiste.vision.masks import LABELS, decode_mask
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo
from modiste.vision.preparing import prepare

STREET_AT_LEAST = 0.01
"""Garments that cover less of a street photo are left out."""
BODY = ("background", "hair", "face", "skin")
QUALITY = 88  # of the JPEG
SPEC = get_backbone(DEFAULT_BACKBONE)
FIELDS = ("domain", "kind", "product", "colour", "gender", "source", "item")

Crop = tuple[np.ndarray, tuple[str, ...]]


def rows_of(folder: Path) -> list[dict[str, str]]:
    """A folder's items, with the absolute paths of their files."""
    with (folder / "items.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row | {name: str(folder / row[name]) for name in ("image", "mask") if name in row} for row in rows]


def garment(row: dict[str, str], parser: Parser, taxonomy: Taxonomy) -> list[Crop]:
    """The item's own garment, as the default crops it."""
    photo = open_photo(Path(row["image"]))
    seen = see(photo, None, parser)
    keep, _ = seen.keep(DEFAULT_MASKING, taxonomy.labels(taxonomy.canonical(row["category"])))
    crop = prepare(photo, keep, SPEC, SPEC.crop, DEFAULT_FILL, seen.cut(DEFAULT_MASKING))
    domain, product = row.get("shop", "garments"), row.get("product", "")
    known = (row["category"], product, row.get("colour", ""), row.get("gender", ""))
    return [(crop, (domain, *known, product or row["photographer"], row["item_id"]))]


def worn(row: dict[str, str]) -> list[Crop]:
    """Every garment of a street photo, cut out by its given mask."""
    photo, labels = open_photo(Path(row["image"])), decode_mask(Path(row["mask"])).labels
    found = []
    for number, label in enumerate(LABELS):
        keep = labels == number
        if label not in BODY and keep.mean() > STREET_AT_LEAST:
            crop = prepare(photo, keep, SPEC, SPEC.crop, DEFAULT_FILL)
            found.append((crop, ("worn", label, "", "", "", row["item_id"], row["item_id"])))
    return found


def crops(data: Path) -> Iterator[Crop]:
    """All of them, in the order of the rows."""
    parser, taxonomy = Parser(get_backbone(DEFAULT_PARSER), threads=1), Taxonomy.load()
    rows = [*rows_of(data / "studio"), *rows_of(data / "garments"), *rows_of(data / "street")]
    with ThreadPoolExecutor(2) as pool:
        each = pool.map(lambda row: worn(row) if "mask" in row else garment(row, parser, taxonomy), rows)
        for found in tqdm(each, total=len(rows), unit="photos"):
            yield from found


def main() -> None:
    """Write crops.npz."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder of the test data")
    arguments.add_argument("--out", type=Path, required=True)
    given = arguments.parse_args()
    photos, known = zip(*crops(given.data), strict=True)
    packed = []
    for photo in photos:
        file = BytesIO()
        Image.fromarray(photo).save(file, "JPEG", quality=QUALITY)
        packed.append(np.frombuffer(file.getvalue(), np.uint8))
    given.out.mkdir(parents=True, exist_ok=True)
    np.savez(
        given.out / "crops.npz",
        photos=np.concatenate(packed),
        ends=np.cumsum([len(photo) for photo in packed]),
        **dict(zip(FIELDS, map(np.array, zip(*known, strict=True)), strict=True)),
    )


if __name__ == "__main__":
    main()
