"""How well a photo finds the other views of its product, and what else it finds, for every way of embedding it.

    python benchmarks/views.py --data ../shared/data [--only madison|luma|street|garments] [--fills] [--every 1]
        [--masks FOLDER]

``madison`` and ``luma``: the studio photos, several of a product. R@1 and R@5: how often the first, or one of the first
five, is another photo of the same product in the same colour, its other colours left out; "any": of the same product.
Colour and category: the share of the first five of *other* products that agree. ``street``, ``garments``: category of
the first five, as in retrieval.py. A photo that a product has twice
counts once. Lines without masks and a colour histogram stand beside. Intervals are 95%
bootstraps over products (street: photos; garments: photographers). ``--every 3`` takes every third of these,
``--masks`` keeps the masks for the next run.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from retrieval import interval

from modiste.arrays import Bools, Singles
from modiste.catalog.taxonomy import Taxonomy
from modiste.vision.backbones import Encoder, get_backbone, list_backbones
from modiste.vision.embedding import PhotoJob, embed_photos, see
from modiste.vision.masks import encode_mask
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo

KINDS = ("madison", "luma", "street", "garments")
FILLS = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "mean": (124, 116, 104)}
WORDS = {  # the shops' own that the paper's taxonomy lacks
    "Tops": "Tees_Tanks", "Tees": "Tees_Tanks", "Knits": "Sweaters", "bra": "Tees_Tanks", "Polos": "Shirts_Polos",
}  # fmt: skip
TOP = 5


def rows_of(data: Path, kind: str, every: int) -> list[dict[str, str]]:
    """The rows of a kind of photo, each with its absolute ``image`` and ``group``, which intervals are drawn over."""
    folder = data / (kind if kind in ("street", "garments") else "studio")
    with (folder / "items.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("shop", kind) == kind]
    group = {"street": "item_id", "garments": "photographer"}.get(kind, "product")
    taken = set(sorted({row[group] for row in rows})[::every])
    once: dict[tuple[str, bytes], dict[str, str]] = {}
    for row in rows:
        if row[group] in taken:
            with Image.open(folder / row["image"]) as photo:
                small = np.asarray(photo.convert("L").resize((8, 8), Image.Resampling.BOX)) // 16
            once.setdefault(
                (row[group], small.tobytes()), {**row, "image": str(folder / row["image"]), "group": row[group]}
            )
    return list(once.values())


def masked(jobs: list[PhotoJob], folder: Path) -> list[PhotoJob]:
    """The jobs with masks of what is seen on them, written into ``folder``: each photo is parsed once for all."""
    parser, found = Parser(get_backbone("garment_parser")), []
    for job in jobs:
        mask = folder / f"{job.item_id}.png"
        if not mask.exists():
            labels = see(open_photo(Path(str(job.image))), None, parser).labels
            assert labels is not None  # there is a parser
            encode_mask(labels).save(mask)
        found.append(replace(job, mask=str(mask)))
    return found


def embedded(jobs: list[PhotoJob], *how: object, **fill: object) -> tuple[Singles, Singles]:
    """Looks and colours, float32 (n, dim) and (n, COLOUR_DIM), in the order of the jobs; every photo must embed."""
    looks: dict[str, Singles] = {}
    colours: dict[str, Singles] = {}
    for batch in embed_photos(jobs, *how, **fill):  # type: ignore[arg-type]
        if batch.failures:
            raise SystemExit(f"not embedded: {batch.failures}")
        looks.update(zip(batch.item_ids, batch.vectors, strict=True))
        colours.update(zip(batch.item_ids, batch.colours, strict=True))
    return np.stack([looks[job.item_id] for job in jobs]), np.stack([colours[job.item_id] for job in jobs])


def studio_cells(alike: Singles, rows: list[dict[str, str]], pairs: dict[str, Bools]) -> Iterator[str]:
    """R@1 and R@5 of product and colour, R@1 of the product, and how neighbours of other products agree."""
    group = np.unique([row["group"] for row in rows], return_inverse=True)[1]
    product, exact = pairs["product"], pairs["exact"]
    for right, hidden, most in (
        (exact, product & ~exact, 1),
        (exact, product & ~exact, TOP),
        (product, ~product & False, 1),
    ):
        asked = np.flatnonzero(right.any(1))
        near = nearest(np.where(hidden | np.eye(len(rows), dtype=bool), -np.inf, alike)[asked])[:, :most]
        hits = right[asked[:, None], near].any(1).astype(float)
        yield interval(hits, group[asked])
    near = nearest(np.where(product | np.eye(len(rows), dtype=bool), -np.inf, alike))
    for word in ("colour", "category", "gender"):
        words = np.array([row[word] for row in rows])
        known = (words[near] != "") & (words != "")[:, None]
        asked = np.flatnonzero(known.any(1))
        agree = ((words[near] == words[:, None]) & known).sum(1)[asked] / known.sum(1)[asked]
        yield interval(agree, group[asked])


def nearest(alike: Singles) -> NDArray[np.intp]:
    """The first five of each row."""
    return np.argsort(-alike, axis=1, kind="stable")[:, :TOP]


def measure(data: Path, kind: str, fills: bool, every: int, masks: Path | None) -> None:
    """Print the table of one kind of photo."""
    taxonomy, rows = Taxonomy.load(), rows_of(data, kind, every)
    own = [taxonomy.labels(taxonomy.canonical(WORDS.get(row["category"], row["category"]))) for row in rows]
    jobs = [PhotoJob(row["item_id"], row["image"], None, labels) for row, labels in zip(rows, own, strict=True)]
    studio = kind in ("madison", "luma")
    group = np.unique([row["group"] for row in rows], return_inverse=True)[1]
    other = group[:, None] != group
    product = ~other & ~np.eye(len(rows), dtype=bool)
    colour = np.array([row.get("colour", "") for row in rows])
    pairs = {"product": product, "exact": product & (colour[:, None] == colour) & (colour != "")}
    words = np.array([row["category"] for row in rows])

    def line(name: str, alike: Singles) -> None:
        if studio:
            cells = list(studio_cells(alike, rows, pairs))
        else:
            near = nearest(np.where(other, alike, -np.inf))
            cells = [interval((words[near] == words[:, None]).mean(1), group)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)

    print(f"\n{kind}: {len(rows)} photos, {group.max() + 1} groups\n")
    heads = ["exact R@1", "exact R@5", "any R@1", "colour", "category", "gender"] if studio else ["category"]
    print(f"| way | {' | '.join(heads)} |\n| --- |{' --- |' * len(heads)}")
    with TemporaryDirectory() as folder:
        seen = masked(jobs, masks or Path(folder))
        for number, spec in enumerate(list_backbones("backbone")):
            encoder = Encoder(spec)
            ways = [
                ("none", "centre", "black"),
                ("own", "centre", "white"),
                ("own", "garment", "white"),
                ("clothes", "garment", "white"),
            ]
            if fills:
                ways = [(masking, crop, fill) for masking, crop, _ in ways[2:3] for fill in FILLS]
            for masking, crop, fill in ways:
                looks, colours = embedded(seen, encoder, masking, crop, fill=FILLS[fill])
                if masking == "own" and not number and crop == "garment":
                    line("colour alone, own pixels", colours @ colours.T)
                alike = looks @ looks.T
                line(f"{spec.name}, {masking}, {crop}, {fill}", alike)
                if masking == "own":
                    palette = colours @ colours.T
                    line("… and half as much colour", scaled(alike) + 0.5 * scaled(palette))
                    line("… and as much colour", scaled(alike) + scaled(palette))
                elif masking == "none":
                    whole = alike
            if not fills:
                line(f"{spec.name}, none, and half as much colour of own pixels", scaled(whole) + 0.5 * scaled(palette))


def scaled(alike: Singles) -> Singles:
    """Similarities from the mean of strangers at 0 to a photo with itself at 1."""
    low = float(alike.mean())
    return (alike - low) / (1 - low)


if __name__ == "__main__":
    parser_ = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser_.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser_.add_argument("--only", choices=KINDS)
    parser_.add_argument("--fills", action="store_true", help="compare the colours of removed pixels instead")
    parser_.add_argument("--every", type=int, default=1, help="take every so many photos")
    parser_.add_argument("--masks", type=Path, help="a folder that keeps the masks")
    chosen = parser_.parse_args()
    for kind_ in KINDS if chosen.only is None else (chosen.only,):
        measure(chosen.data, kind_, chosen.fills, chosen.every, chosen.masks)
