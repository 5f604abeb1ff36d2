"""Train the house embedding `modiste_s`: EfficientNet-lite0 and lite2 with a learnt projection, and a colour code.

From the repository root:

    python training/train_embedding.py --data ../shared/data --parser modiste/vision/models/garment_parser.onnx \
        --out DIR

Photos of `garments/` are masked by the parser, garments of `street/` by their given masks, and each is cropped to its
box on black, as the package does it. The encoders keep their ImageNet weights; the projection starts at a PCA and
learns from a supervised contrastive loss over category, one over views of the same photo, and a term that keeps the
similarities of the ImageNet vectors. Everything is measured on photographers, and street photos, that were left out.
DIR gets modiste_s.onnx, modiste_s.toml and embedding.log; garments.npz and street.npz there are caches.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from embedding_network import COLOURS, SHAPE, ColourCode, Features, Head, HouseEmbedding, colour_centres, joined
from evaluate_parser import Model
from garment_masks import is_test, read_photo
from lite import MEAN, STD, export_onnx, write_entry
from parser_data import read_street, street_names
from parser_network import BODY, LABELS
from pytorch_metric_learning.losses import SupConLoss
from torch.nn import functional

SIDE = 224
MARGIN = 0.06
"""How much wider than the garment's box its crop is on each side, as in `modiste.vision.preparing`."""
VIEWS = ("plain", "crop", "hue")
"""What is embedded of each photo: itself; flipped, closer and a little darker; with other hues."""
FOLDS = 5
STREET_AT_LEAST = 0.01
"""Garments that cover less of a street photo are left out."""


@dataclass(frozen=True)
class Garments:
    """Garments seen: features float32 (n, views, m), every fourth pixel of each view (n, views, 56, 56, 3), and each
    one's kind and source, the photographer or photo whose garments are no neighbours of each other (n,)."""

    features: np.ndarray
    small: np.ndarray
    kind: np.ndarray
    source: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Garments:
        return Garments(self.features[chosen], self.small[chosen], self.kind[chosen], self.source[chosen])


def crop_to(photo: np.ndarray, keep: np.ndarray, closer: float = 1.0) -> np.ndarray:
    """The kept pixels' box on black, uint8 (SIDE, SIDE, 3); `closer` above 1 cuts into the box."""
    rows, columns = np.flatnonzero(keep.any(1)), np.flatnonzero(keep.any(0))
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    scale = SIDE * closer / (max(right - left, bottom - top) * (1 + 2 * MARGIN))
    shift = [SIDE / 2 - scale * (left + right) / 2, SIDE / 2 - scale * (top + bottom) / 2]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return cv2.warpAffine(photo * keep[..., None], matrix, (SIDE, SIDE), None, cv2.INTER_LINEAR)


def views_of(photo: np.ndarray, keep: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The three views of one photo, uint8 (3, SIDE, SIDE, 3)."""
    plain = crop_to(photo, keep)
    closer = crop_to(photo, keep, rng.uniform(1.1, 1.35))[:, ::-1]
    closer = np.clip(closer * rng.uniform(0.8, 1.15), 0, 255).astype(np.uint8)
    hsv = cv2.cvtColor(plain, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + rng.integers(40, 140)) % 180
    return np.stack([plain, closer, cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)])


def single_garments(data: Path, parser: Path) -> Iterator[tuple[np.ndarray, np.ndarray, str, str]]:
    """Photo, kept pixels, category and photographer of every photo of `garments/`, masked by the parser."""
    model = Model(parser, torch.get_num_threads())
    worn = np.array([label not in BODY for label in LABELS])
    with (data / "garments/items.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        photo = read_photo(data / "garments" / row["image"], 400)
        keep = worn[model.parse(photo)]
        yield photo, keep if keep.any() else np.ones_like(keep), row["category"], row["photographer"]
        if number % 200 == 0:
            print(f"{number} of {len(rows)} garment photos", flush=True)


def worn_garments(data: Path) -> Iterator[tuple[np.ndarray, np.ndarray, str, str]]:
    """Photo, kept pixels, label and photo's name of every garment of `street/`, masked as given."""
    for part in ("train", "check", "test"):
        for name in street_names(data, part):
            sample = read_street(data, name)
            for label in range(len(LABELS)):
                keep = sample.labels == label
                if LABELS[label] not in BODY and keep.mean() > STREET_AT_LEAST:
                    yield sample.photo, keep, LABELS[label], name


def see(garments: Iterator[tuple[np.ndarray, np.ndarray, str, str]], cache: Path) -> Garments:
    """Crop and embed every garment in three views, or read what an earlier run kept in `cache`."""
    if not cache.exists():
        network, rng = Features().to(memory_format=torch.channels_last), np.random.default_rng(0)
        features, small, kinds, sources = [], [], [], []
        for photo, keep, kind, source in garments:
            views = views_of(photo, keep, rng)
            x = torch.from_numpy(views).permute(0, 3, 1, 2).float()
            with torch.inference_mode():
                features.append(network((x / 255 - MEAN) / STD).numpy())
            small.append(views[:, ::4, ::4])
            kinds.append(kind)
            sources.append(source)
        np.savez(cache, features=np.stack(features), small=np.stack(small), kind=kinds, source=sources)
    with np.load(cache) as kept:
        return Garments(kept["features"], kept["small"], kept["kind"], kept["source"])


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def pca(x: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre (m,) and projection (m, dim), without whitening, of rows of length one."""
    centre = x.mean(0)
    return centre, np.linalg.eigh(np.cov((x - centre).T))[1][:, : -dim - 1 : -1].astype(np.float32)


def discriminant(x: np.ndarray, classes: np.ndarray, shrink: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Centre and projection of a linear discriminant analysis with shrinkage, on all its (classes - 1) axes."""
    centre, names = x.mean(0), np.unique(classes)
    means = np.stack([x[classes == name].mean(0) for name in names])
    within = np.cov((x - means[np.searchsorted(names, classes)]).T)
    within = (1 - shrink) * within + shrink * np.trace(within) / len(within) * np.eye(len(within))
    half = np.linalg.inv(np.linalg.cholesky(within))
    axes = np.linalg.svd((means - centre) @ half.T, full_matrices=False)[2][: len(names) - 1]
    return centre, half.T @ axes.T


def precision_at_5(x: np.ndarray, kind: np.ndarray, source: np.ndarray) -> np.ndarray:
    """For every garment (n,), the share of its five nearest of another source that are of its kind."""
    similarity = unit(x) @ unit(x).T
    similarity[source[:, None] == source[None]] = -np.inf
    nearest = np.argsort(-similarity, axis=1)[:, :5]
    return (kind[nearest] == kind[:, None]).mean(1)


def identity(x: np.ndarray) -> tuple[float, float]:
    """Of views (n, 3, dim): how often a flipped crop's, and a recoloured copy's, nearest photo is its own."""
    plain = unit(x[:, 0])
    right = [(unit(x[:, view]) @ plain.T).argmax(1) == np.arange(len(x)) for view in (1, 2)]
    return float(right[0].mean()), float(right[1].mean())


def train_head(domains: list[Garments], steps: int, keep: float, seed: int) -> Head:
    """A head trained on the garments of all domains; those of two domains are never compared with each other."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    plain = np.concatenate([domain.features[:, 0] for domain in domains])
    head = Head(*pca(unit(plain), SHAPE))
    middle = torch.from_numpy(unit(plain).mean(0))
    features = [torch.from_numpy(domain.features[:, :2]) for domain in domains]
    kinds = [np.unique(domain.kind, return_inverse=True)[1] for domain in domains]
    shares = [np.bincount(kind)[kind] ** -0.5 for kind in kinds]
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    alike = SupConLoss(temperature=0.1)
    for _ in range(steps):
        losses = []
        for seen, kind, share in zip(features, kinds, shares, strict=True):
            chosen = rng.choice(len(seen), 160, replace=False, p=share / share.sum())
            x = seen[chosen].transpose(0, 1).flatten(0, 1)
            found = head(functional.dropout(x, 0.3))
            before = functional.normalize(functional.normalize(x) - middle)
            drift = (found @ found.T - before @ before.T).square().mean()
            by_kind = alike(found, torch.from_numpy(kind[chosen]).repeat(2))
            by_photo = alike(found, torch.arange(len(chosen)).repeat(2))
            losses.append(by_kind + 0.3 * by_photo + keep * drift)
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()
        optimiser.step()
        schedule.step()
    return head.eval()


def embed(head: Head, colours: ColourCode, garments: Garments) -> np.ndarray:
    """modiste_s's vectors of all views (n, views, SHAPE + COLOURS)."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(garments.kind), 200):
            part = slice(start, start + 200)
            small = torch.from_numpy(garments.small[part]).flatten(0, 1).permute(0, 3, 1, 2).float()
            shape = head(torch.from_numpy(garments.features[part]).flatten(0, 1))
            found.append(joined(shape, colours((small / 255 - MEAN) / STD)))
    return torch.cat(found).reshape(len(garments.kind), len(VIEWS), -1).numpy()


def compare(train: Garments, test: Garments, ours: np.ndarray) -> dict[str, np.ndarray]:
    """Method -> sums of p@5 and of the two identity measures over the test garments; `ours` are modiste_s's vectors."""
    lite0 = test.features[..., :1280]
    learnt, flat = unit(train.features[:, 0, :1280]), unit(lite0.reshape(-1, 1280))
    found = {"efficientnet_lite0": lite0}
    for name, (centre, axes) in {
        "PCA to 128": pca(learnt, 128),
        "linear discriminant": discriminant(learnt, train.kind),
    }.items():
        found[name] = ((flat - centre) @ axes).reshape(len(test.kind), len(VIEWS), -1)
    found["lite0 and lite2"] = test.features
    found["modiste_s"] = ours
    return {
        name: np.array([precision_at_5(y[:, 0], test.kind, test.source).sum(), *(len(y) * np.array(identity(y)))])
        for name, y in found.items()
    }


def main() -> None:
    """Compare on what was left out, then train and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the test data")
    parser.add_argument("--parser", type=Path, required=True, help="ONNX file of the garment parser")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--keep", type=float, default=4.0, help="weight of the term that keeps ImageNet's similarities")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    single = see(single_garments(args.data, args.parser), args.out / "garments.npz")
    street = see(worn_garments(args.data), args.out / "street.npz")
    test = np.array([is_test(name) for name in single.source])
    seen_street = np.isin(street.source, street_names(args.data, "train"))
    worn = street[seen_street]
    colours = ColourCode(colour_centres(np.concatenate([single[~test].small[:, 0], worn.small[:, 0]]), args.seed))

    log = (args.out / "embedding.log").open("a")

    def say(text: str) -> None:
        print(text, flush=True)
        print(text, file=log, flush=True)

    def vectors(train: Garments, of: Garments) -> np.ndarray:
        return embed(train_head([train, worn], args.steps, args.keep, args.seed), colours, of)

    head = train_head([single[~test], worn], args.steps, args.keep, args.seed)
    export(head, colours, args.out)
    say(
        f"{len(single.kind)} photos of single garments and {len(worn.kind)} garments of street photos, steps "
        f"{args.steps}, keep {args.keep}, seed {args.seed}"
    )
    for name, rest in (("single garments", single[test]), ("street garments", street[~seen_street])):
        scores = [
            precision_at_5(y[:, 0], rest.kind, rest.source).mean()
            for y in (rest.features[..., :1280], rest.features, embed(head, colours, rest))
        ]
        say(
            f"shipped head on {len(rest.kind)} {name} it never saw: p@5 {scores[2]:.3f}, efficientnet_lite0 "
            f"{scores[0]:.3f}, lite0 and lite2 {scores[1]:.3f}"
        )

    names, photographers = np.unique(single.source, return_inverse=True)
    fold = np.random.default_rng(args.seed).permutation(len(names))[photographers] % FOLDS
    parts = [(single[fold != k], single[fold == k]) for k in range(FOLDS)]
    sums = [compare(train, rest, vectors(train, rest)) for train, rest in parts]
    for name in sums[0]:
        p5, crop, hue = np.sum([part[name] for part in sums], axis=0) / len(fold)
        say(f"{name}: p@5 {p5:.3f}, same photo: flipped crop {crop:.3f}, recoloured {hue:.3f}")

    say("two classes (Skirt, Hat) left out of the training, p@5 of their photos among all of the test folds:")
    rare = ["Skirt", "Hat"]
    each: dict[str, list[np.ndarray]] = {"efficientnet_lite0": [], "modiste_s": []}
    bare = worn[~np.isin(worn.kind, ["skirt", "headwear"])]
    for train, rest in parts:
        head = train_head([train[~np.isin(train.kind, rare)], bare], args.steps, args.keep, args.seed)
        for name, y in (("efficientnet_lite0", rest.features[..., :1280]), ("modiste_s", embed(head, colours, rest))):
            each[name].append(precision_at_5(y[:, 0], rest.kind, rest.source)[np.isin(rest.kind, rare)])
    say(", ".join(f"{name} {np.concatenate(values).mean():.3f}" for name, values in each.items()))


def export(head: Head, colours: ColourCode, folder: Path) -> None:
    """Write modiste_s.onnx and modiste_s.toml into `folder`."""
    path = folder / "modiste_s.onnx"
    digest = export_onnx(HouseEmbedding(head, colours).eval(), path, SIDE, SIDE, "embedding")
    entry = {
        "kind": "backbone",
        "file": path.name,
        "sha256": digest,
        "input": "photo",
        "output": "embedding",
        "width": SIDE,
        "height": SIDE,
        "resize": 256,
        "crop": "garment",
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
        "dim": SHAPE + COLOURS,
        "licence": "Apache-2.0",
        "origin": "EfficientNet-lite0 and lite2 (ImageNet-1K) with a projection and a colour code trained by "
        "training/train_embedding.py on CC0 garment photos and Clothing Co-Parsing masks",
    }
    write_entry(folder / "modiste_s.toml", entry)


if __name__ == "__main__":
    main()
