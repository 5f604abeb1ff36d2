"""What masks, crops and backbones are worth on real photos: the tables of docs/results.md.

    python benchmarks/retrieval.py --data ../shared/data [--only street|garments|demo] [--held-out]

``street``: dressed people with given masks. For each photo the Top-5 of the others by cosine; category similarity is
the paper's (mean over the five, %), colour and pattern agreement compare the item's own garment pixels, whatever the
masking under test saw. ``garments``: single garments, neighbours by the same photographer left out; p@5 is the share
of the five of the query's category. Intervals are 95% bootstraps over photos (street) or photographers (garments).
``demo``: the demo shop's drawn photos; how often the nearest photo of another product agrees in category and colour.
``--held-out`` keeps to the photos that no shipped model was trained on.
"""

import argparse
import csv
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modiste.arrays import Floats
from modiste.catalog.taxonomy import Taxonomy
from modiste.demo import unpack
from modiste.shop.vectors import DEFAULT_FILL
from modiste.vision.backbones import Encoder, get_backbone, list_backbones
from modiste.vision.embedding import PhotoJob, embed_photos
from modiste.vision.masks import decode_mask, encode_mask, garment_pixels
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo
from modiste.vision.reduction import fit_reduction

TOP = 5


def vectors_of(jobs: list[PhotoJob], backbone: str, masking: str, crop: str) -> NDArray[np.float32]:
    """float32 (n, dim) in the order of the jobs; every photo must embed. Without a mask a photo is embedded whole."""
    found: dict[str, NDArray[np.float32]] = {}
    for batch in embed_photos(jobs, Encoder(get_backbone(backbone)), masking, crop, fill=DEFAULT_FILL):
        if batch.failures:
            raise SystemExit(f"not embedded: {batch.failures}")
        found.update(zip(batch.item_ids, batch.vectors, strict=True))
    return np.stack([found[job.item_id] for job in jobs])


def parsed(jobs: list[PhotoJob], folder: Path) -> list[PhotoJob]:
    """The jobs with the parser's masks, written into ``folder``: each photo is parsed once for all that follows."""
    parser = Parser(get_backbone("garment_parser"))
    masked = []
    for number, job in enumerate(jobs):
        labels = parser.parse(open_photo(Path(str(job.image))))
        mask = folder / f"{number}.png"
        encode_mask(labels).save(mask)
        masked.append(replace(job, mask=str(mask) if labels.any() else None))
    return masked


def neighbours(vectors: NDArray[np.float32], apart: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 (n, 5): each row's nearest rows by cosine among those of another ``apart`` group."""
    cosine = vectors @ vectors.T
    cosine[apart[:, None] == apart[None]] = -np.inf
    return np.argsort(-cosine, axis=1, kind="stable")[:, :TOP]


def interval(values: Floats, group: NDArray[np.int64], scale: float = 100) -> str:
    """Mean and half the width of a 95% bootstrap interval over groups."""
    rng = np.random.default_rng(0)
    index = np.unique(group, return_inverse=True)[1]
    total, count = np.bincount(index, values), np.bincount(index)
    draws = rng.integers(len(total), size=(2000, len(total)))
    low, high = np.percentile(total[draws].sum(1) / count[draws].sum(1), [2.5, 97.5])
    return f"{scale * values.mean():.1f} ± {scale * (high - low) / 2:.1f}"


def appearance(photo: Path, mask: Path, own: frozenset[str]) -> tuple[Floats, Floats]:
    """Histograms of the own garment's colours (4×6×6 in HSV, 144) and of its gradients' strength (8), each of sum 1."""
    small = Image.open(photo).convert("RGB")
    keep = garment_pixels(decode_mask(mask).labels, "own", own)
    hsv = np.asarray(small.convert("HSV"))[keep].astype(int)
    bins = (hsv * [6, 4, 6] // 256) @ [24, 6, 1]
    colour = np.bincount(bins, minlength=144) / len(bins)
    grey = np.asarray(small.convert("L"), dtype=float)
    strength = np.hypot(*np.gradient(grey))[keep]
    pattern = np.histogram(np.log2(1 + strength), bins=8, range=(0, 7))[0] / len(bins)
    return colour, pattern


def agreement(histograms: Floats, near: NDArray[np.int64]) -> Floats:
    """float64 (n,): the mean intersection of each row's histogram with those of its neighbours, in [0, 1]."""
    return np.minimum(histograms[:, None], histograms[near]).sum(2).mean(1)


def street(data: Path, held_out: bool) -> None:
    """Print the table of maskings, crops and reductions on the street photos."""
    taxonomy = Taxonomy.load()
    with (data / "street" / "items.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if not held_out or is_held_out(row["item_id"])]
    own = [taxonomy.labels(row["category"]) for row in rows]
    kinds = taxonomy.matrix([row["category"] for row in rows])
    looks = [
        appearance(data / "street" / row["image"], data / "street" / row["mask"], labels)
        for row, labels in zip(rows, own, strict=True)
    ]
    colours, patterns = (np.stack(column) for column in zip(*looks, strict=True))
    each = np.arange(len(rows))
    print("| backbone | masks | masking | crop | dims | category similarity, % | colour, % | pattern, % |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")

    def line(name: str, near: NDArray[np.int64]) -> None:
        similarity = kinds[each[:, None], near].mean(1)
        cells = [interval(values, each) for values in (similarity, agreement(colours, near), agreement(patterns, near))]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)

    rng = np.random.default_rng(0)
    line("chance | – | – | – | –", np.stack([rng.choice(np.delete(each, i), TOP, replace=False) for i in each]))
    given = [
        PhotoJob(row["item_id"], str(data / "street" / row["image"]), str(data / "street" / row["mask"]), labels)
        for row, labels in zip(rows, own, strict=True)
    ]
    with TemporaryDirectory() as folder:
        jobs = {"given": given, "parser": parsed(given, Path(folder))}
        for backbone, source, masking, crop in settings():
            vectors = vectors_of(jobs[source], backbone, masking, crop)
            line(f"{backbone} | {source} | {masking} | {crop} | {vectors.shape[1]}", neighbours(vectors, each))
            if vectors.shape[1] > 128 and len(vectors) > 128:
                reduced = fit_reduction(vectors, 128).apply(vectors)
                line(f"{backbone} | {source} | {masking} | {crop} | 128 (PCA)", neighbours(reduced, each))


def settings() -> Iterator[tuple[str, str, str, str]]:
    """Every masking of the default backbone with given masks, the best ones with the parser's and other backbones."""
    for masking in ("none", "paper", "clothes", "own"):
        for crop in ("centre", "garment") if masking != "none" else ("centre",):
            yield "efficientnet_lite0", "given", masking, crop
    for masking in ("paper", "clothes", "own"):
        yield "efficientnet_lite0", "parser", masking, "centre"
    yield "efficientnet_lite0", "parser", "own", "garment"
    for spec in list_backbones("backbone"):
        if spec.name != "efficientnet_lite0":
            yield spec.name, "given", "none", "centre"
            for source in ("given", "parser"):
                yield spec.name, source, "own", spec.crop


def is_held_out(name: str) -> bool:
    """Whether no shipped model was trained on this street photo, or on the photos of this photographer, as
    training/garment_masks.py decides it."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 1000 < 150


def garments(data: Path, held_out: bool) -> None:
    """Print the table of backbones, with and without the parser's masks, on the photos of single garments."""
    taxonomy = Taxonomy.load()
    with (data / "garments" / "items.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if not held_out or is_held_out(row["photographer"])]
    kind = np.unique([row["category"] for row in rows], return_inverse=True)[1]
    photographer = np.unique([row["photographer"] for row in rows], return_inverse=True)[1]
    jobs = [
        PhotoJob(
            row["item_id"],
            str(data / "garments" / row["image"]),
            None,
            taxonomy.labels(taxonomy.canonical(row["category"])),
        )
        for row in rows
    ]
    print("| backbone | masking | crop | dims | p@5, % |")
    print("| --- | --- | --- | --- | --- |")
    found: dict[tuple[str, str, str], Floats] = {}
    with TemporaryDirectory() as folder:
        masked = parsed(jobs, Path(folder))
        for spec in list_backbones("backbone"):
            centre = [("clothes", "centre")] if spec.name == "efficientnet_lite0" else []
            for masking, crop in [("none", "centre"), *centre, ("clothes", "garment"), ("own", "garment")]:
                vectors = vectors_of(masked, spec.name, masking, crop)
                reduced = [("128 (PCA)", fit_reduction(vectors, 128).apply(vectors))] if spec.dim > 128 else []
                for name, shown in ((str(spec.dim), vectors), *reduced):
                    near = neighbours(shown, photographer)
                    hits = (kind[near] == kind[:, None]).mean(1)
                    found.setdefault((spec.name, masking, crop), hits)
                    print(f"| {spec.name} | {masking} | {crop} | {name} | {interval(hits, photographer)} |", flush=True)
    whole = found["efficientnet_lite0", "none", "centre"]
    for (name, masking, crop), hits in found.items():
        gain = interval(hits - whole, photographer)
        print(f"{len(rows)} photos, {name}, {masking}, {crop}, against lite0 without masks: {gain} points")


def demo() -> None:
    """Print the table of backbones with and without the given masks on the demo shop."""
    taxonomy = Taxonomy.load()
    with TemporaryDirectory() as folder:
        book = unpack(Path(folder))
        with book.table.open(newline="") as file:
            rows = list(csv.DictReader(file))
        jobs = [
            PhotoJob(
                row["item_id"],
                str(book.table.parent / row["image"]),
                str(book.table.parent / row["mask"]),
                taxonomy.labels(row["category"]),
            )
            for row in rows
        ]
        product = np.unique([row["product"] for row in rows], return_inverse=True)[1]
        print("| backbone | masking | crop | category | colour |")
        print("| --- | --- | --- | --- | --- |")
        for spec in list_backbones("backbone"):
            for masking, crop in [("none", "centre"), ("own", spec.crop)]:
                near = neighbours(vectors_of(jobs, spec.name, masking, crop), product)[:, 0]
                cells = []
                for name in ("category", "colour"):
                    words = np.array([row[name] for row in rows])
                    cells.append(f"{(words[near] == words).mean():.3f}")
                print(f"| {spec.name} | {masking} | {crop} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    parser_ = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser_.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser_.add_argument("--only", choices=["street", "garments", "demo"])
    parser_.add_argument("--held-out", action="store_true", help="only photos no shipped model was trained on")
    chosen = parser_.parse_args()
    if chosen.only in (None, "street"):
        street(chosen.data, chosen.held_out)
    if chosen.only in (None, "garments"):
        garments(chosen.data, chosen.held_out)
    if chosen.only in (None, "demo"):
        demo()
