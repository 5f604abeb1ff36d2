"""Train the house embedding `modiste_s`: EfficientNet-lite0 and lite2 with a learnt projection, and a colour code.

From the repository root:

    python training/train_embedding.py --data ../shared/data --parser modiste/vision/models/garment_parser.onnx \
        --out DIR

Photos of `garments/` are masked by the parser, garments of `street/` by their given masks, and each is cropped to its
box on black, as the package does it. The encoders' last blocks and convolution are fine-tuned together with the
projection, which starts at a PCA: by a supervised contrastive loss over category, one over views of the same photo, and
a term that keeps the similarities of the ImageNet vectors; the weights shipped lie on the way from where they started
to what they learnt. What all blocks before them answer never changes, and is computed once. Everything is measured on
photographers, and street photos, that were left out.

DIR gets modiste_s.onnx, modiste_s.toml, embedding.log and embedding.pt, the weights before and after the training;
garments.npz and street.npz there are caches.
"""

from __future__ import annotations

import argparse
import copy
import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from embedding_network import COLOURS, SHAPE, ColourCode, Features, Head, HouseEmbedding, Trunk, colour_centres, joined
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
BATCH = 64
"""Garments of each domain, in two views each, that a step of the training sees."""
ENCODER_RATE = 5e-4
"""The learning rate of the encoders' last layers; the projection's is 1e-3."""
BLEND = 0.7
"""How far the weights shipped lie from where they started to what they learnt. Less than all the way keeps nearly all
that was gained on the kinds that were taught, and more of what ImageNet knew of others (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models", arXiv 2109.01903)."""
BLENDS = (0.3, 0.5, 0.7, 1.0)
"""All that are measured."""
FOLDS = 5
RARE = ("Skirt", "Hat")
"""The categories that are left out of a training, to see what it does to garments that it was never taught."""
STREET_AT_LEAST = 0.01
"""Garments that cover less of a street photo are left out."""


@dataclass(frozen=True)
class Garments:
    """Garments seen: the trunk's maps float16 (n, views, 400, 7, 7), the features float32 (n, views, 2560) that
    ImageNet's weights make of them, every fourth pixel of each view (n, views, 56, 56, 3), and each one's kind and
    source, the photographer or photo whose garments are no neighbours of each other (n,)."""

    maps: np.ndarray
    features: np.ndarray
    small: np.ndarray
    kind: np.ndarray
    source: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Garments:
        return Garments(*(getattr(self, field.name)[chosen] for field in fields(self)))


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
        trunk, usual = Trunk().to(memory_format=torch.channels_last), Features().to(memory_format=torch.channels_last)
        rng = np.random.default_rng(0)
        found = []
        for photo, keep, kind, source in garments:
            views = views_of(photo, keep, rng)
            x = torch.from_numpy(views).permute(0, 3, 1, 2).float()
            with torch.inference_mode():
                maps = trunk((x / 255 - MEAN) / STD)
                found.append((maps.half().numpy(), usual(maps).numpy(), views[:, ::4, ::4], kind, source))
        names = [field.name for field in fields(Garments)]
        np.savez(cache, **{name: np.stack(part) for name, part in zip(names, zip(*found, strict=True), strict=True)})
    with np.load(cache) as kept:
        return Garments(**kept)


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


def train_head(domains: list[Garments], steps: int, keep: float, seed: int) -> tuple[Head, Head]:
    """A head as it starts, and trained on the garments of all domains; those of two are never compared with each other.

    The head starts with ImageNet's weights and a PCA of their features.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    plain = np.concatenate([domain.features[:, 0] for domain in domains])
    head = Head(*pca(unit(plain), SHAPE)).to(memory_format=torch.channels_last).train()
    start = copy.deepcopy(head).eval()
    middle = torch.from_numpy(unit(plain).mean(0))
    maps = [torch.from_numpy(domain.maps[:, :2]) for domain in domains]
    features = [torch.from_numpy(domain.features[:, :2]) for domain in domains]
    kinds = [np.unique(domain.kind, return_inverse=True)[1] for domain in domains]
    shares = [np.bincount(kind)[kind] ** -0.5 for kind in kinds]
    groups = [
        {"params": head.linear.parameters(), "lr": 1e-3},
        {"params": head.features.parameters(), "lr": ENCODER_RATE},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    alike = SupConLoss(temperature=0.1)
    for step in range(steps):
        losses = []
        for seen, usual, kind, share in zip(maps, features, kinds, shares, strict=True):
            chosen = rng.choice(len(seen), BATCH, replace=False, p=share / share.sum())
            x = seen[chosen].transpose(0, 1).flatten(0, 1).float().contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                found = head(x)
            before = usual[chosen].transpose(0, 1).flatten(0, 1)
            before = functional.normalize(functional.normalize(before) - middle)
            drift = (found @ found.T - before @ before.T).square().mean()
            by_kind = alike(found, torch.from_numpy(kind[chosen]).repeat(2))
            by_photo = alike(found, torch.arange(len(chosen)).repeat(2))
            losses.append(by_kind + 0.3 * by_photo + keep * drift)
        loss = torch.stack(losses).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 49:
            print(f"step {step + 1} of {steps}, loss {loss.item():.3f}", flush=True)
    return start, head.eval()


def blended(heads: tuple[Head, Head], share: float) -> Head:
    """A head that lies `share` of the way from the first to the second."""
    between = copy.deepcopy(heads[0])
    with torch.no_grad():
        for weight, learnt in zip(between.parameters(), heads[1].parameters(), strict=True):
            weight.lerp_(learnt, share)
    return between


def embed(head: Head, colours: ColourCode, garments: Garments) -> np.ndarray:
    """modiste_s's vectors of all views (n, views, SHAPE + COLOURS)."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(garments.kind), 200):
            part = slice(start, start + 200)
            small = torch.from_numpy(garments.small[part]).flatten(0, 1).permute(0, 3, 1, 2).float()
            shape = head(torch.from_numpy(garments.maps[part]).flatten(0, 1).float())
            found.append(joined(shape, colours((small / 255 - MEAN) / STD)))
    return torch.cat(found).reshape(len(garments.kind), len(VIEWS), -1).numpy()


def compare(train: Garments, test: Garments) -> dict[str, np.ndarray]:
    """What modiste_s is compared with -> the vectors of the test garments, (n, views, dim)."""
    lite0 = test.features[..., :1280]
    learnt, flat = unit(train.features[:, 0, :1280]), unit(lite0.reshape(-1, 1280))
    found = {"efficientnet_lite0": lite0}
    for name, (centre, axes) in {
        "PCA to 128": pca(learnt, 128),
        "linear discriminant": discriminant(learnt, train.kind),
    }.items():
        found[name] = ((flat - centre) @ axes).reshape(len(test.kind), len(VIEWS), -1)
    found["lite0 and lite2"] = test.features
    return found


def folds(single: Garments, worn: Garments, colours: ColourCode, steps: int, keep: float, seed: int) -> Iterator[str]:
    """Train on four fifths of the photographers, five times, with all kinds of garment and without two; say how the
    rest was told apart."""
    names, photographers = np.unique(single.source, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(names))[photographers] % FOLDS
    bare = worn[~np.isin(worn.kind, ["skirt", "headwear"])]
    taught: dict[str, list[np.ndarray]] = defaultdict(list)
    never_taught: dict[str, list[np.ndarray]] = defaultdict(list)
    for k in range(FOLDS):
        train, rest = single[fold != k], single[fold == k]
        among, held = train[~np.isin(train.kind, RARE)], np.isin(rest.kind, RARE)
        heads = train_head([train, worn], steps, keep, seed)
        found = compare(train, rest)
        for share in BLENDS:
            found[f"modiste_s, blend {share}"] = embed(blended(heads, share), colours, rest)
        for name, y in found.items():
            p5 = precision_at_5(y[:, 0], rest.kind, rest.source)
            taught[name].append(np.array([p5.sum(), *(len(y) * np.array(identity(y)))]))
            print(f"fold {k}: {name} {taught[name][-1] / len(rest.kind)}", flush=True)
        heads = train_head([among, bare], steps, keep, seed)
        found = {"efficientnet_lite0": rest.features[..., :1280]}
        for share in BLENDS:
            found[f"modiste_s, blend {share}"] = embed(blended(heads, share), colours, rest)
        for name, y in found.items():
            never_taught[name].append(precision_at_5(y[:, 0], rest.kind, rest.source)[held])
            print(f"fold {k}, never taught {RARE}: {name} {never_taught[name][-1].mean():.3f}", flush=True)
    for name, parts in taught.items():
        p5, crop, hue = np.sum(parts, axis=0) / len(fold)
        yield f"{name}: p@5 {p5:.3f}, same photo: flipped crop {crop:.3f}, recoloured {hue:.3f}"
    yield f"{' and '.join(RARE)} left out of the training, p@5 of their photos among all of the test folds:"
    for name, parts in never_taught.items():
        yield f"{name}: {np.concatenate(parts).mean():.3f} ({sum(map(len, parts))} photos)"


def main() -> None:
    """Train and export, then measure on what was left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the test data")
    parser.add_argument("--parser", type=Path, required=True, help="ONNX file of the garment parser")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=200)
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

    heads = train_head([single[~test], worn], args.steps, args.keep, args.seed)
    torch.save([part.state_dict() for part in heads], args.out / "embedding.pt")
    head = blended(heads, BLEND)
    export(head, colours, args.out)
    say(
        f"{len(single.kind)} photos of single garments and {len(worn.kind)} garments of street photos, steps "
        f"{args.steps}, keep {args.keep}, seed {args.seed}, blend {BLEND}"
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

    for line in folds(single, worn, colours, args.steps, args.keep, args.seed):
        say(line)


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
        "origin": "EfficientNet-lite0 and lite2 (ImageNet-1K), their last layers fine-tuned with a projection, and a "
        "colour code, by training/train_embedding.py on CC0 garment photos and Clothing Co-Parsing masks",
    }
    write_entry(folder / "modiste_s.toml", entry)


if __name__ == "__main__":
    main()
