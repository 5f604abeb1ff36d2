"""Train the house embedding `modiste_s`: EfficientNet-lite0 with a learnt linear projection to 128 dimensions.

From the repository root:

    python training/train_embedding.py --data ../shared/data --parser modiste/vision/models/garment_parser.onnx \
        --out DIR

Photos of `garments/` are masked by the parser and cropped to the garment's box, as the package does it. The encoder
keeps its ImageNet weights; the projection starts at a PCA and learns from a supervised contrastive loss over category,
one over views of the same photo, and a term that keeps the similarities of the ImageNet vectors. Everything is
measured on photographers that were left out. DIR gets modiste_s.onnx, modiste_s.toml and embedding.log; features.npz
there is a cache.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from evaluate_parser import Model
from garment_masks import is_test, read_photo
from lite import MEAN, STD, Pooled, export_onnx, fold_batch_norms, load_lite, write_entry
from parser_network import BODY, LABELS
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor, nn
from torch.nn import functional

SIDE = 224
DIM = 128
MARGIN = 0.06
"""How much wider than the garment's box its crop is on each side, as in `modiste.vision.preparing`."""
VIEWS = ("plain", "crop", "hue")
"""What is embedded of each photo: itself; flipped, closer and a little darker; with other hues."""
FOLDS = 5


@dataclass(frozen=True)
class Features:
    """ImageNet vectors (photos, views, 1280) with each photo's category and photographer (photos,)."""

    vectors: np.ndarray
    category: np.ndarray
    photographer: np.ndarray


def crop_to(photo: np.ndarray, keep: np.ndarray, closer: float = 1.0) -> np.ndarray:
    """The kept pixels' box on black, uint8 (SIDE, SIDE, 3); `closer` above 1 cuts into the box."""
    rows, columns = np.flatnonzero(keep.any(1)), np.flatnonzero(keep.any(0))
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    scale = SIDE * closer / (max(right - left, bottom - top) * (1 + 2 * MARGIN))
    shift = [SIDE / 2 - scale * (left + right) / 2, SIDE / 2 - scale * (top + bottom) / 2]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return cv2.warpAffine(photo * keep[..., None], matrix, (SIDE, SIDE), None, cv2.INTER_LINEAR)


def views_of(photo: np.ndarray, keep: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """The three views of one photo, uint8 (SIDE, SIDE, 3) each."""
    plain = crop_to(photo, keep)
    closer = crop_to(photo, keep, rng.uniform(1.1, 1.35))[:, ::-1]
    closer = np.clip(closer * rng.uniform(0.8, 1.15), 0, 255).astype(np.uint8)
    hsv = cv2.cvtColor(plain, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + rng.integers(40, 140)) % 180
    return [plain, closer, cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)]


def read_features(data: Path, parser: Path, cache: Path) -> Features:
    """Parse, crop and embed every photo of `garments/`, or read what an earlier run kept in `cache`."""
    if not cache.exists():
        model, rng = Model(parser, torch.get_num_threads()), np.random.default_rng(0)
        encoder = fold_batch_norms(Pooled(load_lite(0)).eval()).to(memory_format=torch.channels_last)
        worn = np.array([label not in BODY for label in LABELS])
        vectors, categories, photographers = [], [], []
        with (data / "garments/items.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        for number, row in enumerate(rows):
            photo = read_photo(data / "garments" / row["image"], 400)
            keep = worn[model.parse(photo)]
            keep = keep if keep.any() else np.ones_like(keep)
            x = torch.from_numpy(np.stack(views_of(photo, keep, rng))).permute(0, 3, 1, 2).float()
            with torch.inference_mode():
                vectors.append(encoder((x / 255 - MEAN) / STD).numpy())
            categories.append(row["category"])
            photographers.append(int(row["photographer"]))
            if number % 200 == 0:
                print(f"embedded {number} of {len(rows)}", flush=True)
        np.savez(cache, vectors=np.stack(vectors), category=categories, photographer=photographers)
    with np.load(cache) as kept:
        return Features(kept["vectors"], kept["category"], kept["photographer"])


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def pca(x: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre (1280,) and projection (1280, dim), without whitening, of rows of length one."""
    centre = x.mean(0)
    return centre, np.linalg.svd(x - centre, full_matrices=False)[2][:dim].T


def discriminant(x: np.ndarray, classes: np.ndarray, shrink: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Centre and projection of a linear discriminant analysis with shrinkage, on all its (classes - 1) axes."""
    centre, names = x.mean(0), np.unique(classes)
    means = np.stack([x[classes == name].mean(0) for name in names])
    within = np.cov((x - means[np.searchsorted(names, classes)]).T)
    within = (1 - shrink) * within + shrink * np.trace(within) / len(within) * np.eye(len(within))
    half = np.linalg.inv(np.linalg.cholesky(within))
    axes = np.linalg.svd((means - centre) @ half.T, full_matrices=False)[2][: len(names) - 1]
    return centre, half.T @ axes.T


def precision_at_5(x: np.ndarray, category: np.ndarray, photographer: np.ndarray) -> np.ndarray:
    """For every photo (n,), the share of its five nearest by other photographers that have its category."""
    similarity = unit(x) @ unit(x).T
    similarity[photographer[:, None] == photographer[None]] = -np.inf
    nearest = np.argsort(-similarity, axis=1)[:, :5]
    return (category[nearest] == category[:, None]).mean(1)


def identity(x: np.ndarray) -> tuple[float, float]:
    """Of views (n, 3, dim): how often a flipped crop's, and a recoloured copy's, nearest photo is its own."""
    plain = unit(x[:, 0])
    right = [(unit(x[:, view]) @ plain.T).argmax(1) == np.arange(len(x)) for view in (1, 2)]
    return float(right[0].mean()), float(right[1].mean())


class Head(nn.Module):
    """Vectors (n, 1280) of any length, to unit vectors (n, DIM)."""

    def __init__(self, centre: np.ndarray, projection: np.ndarray) -> None:
        super().__init__()
        self.linear = nn.Linear(*projection.shape)
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(projection.T))
            self.linear.bias.copy_(torch.from_numpy(-centre @ projection))

    def forward(self, x: Tensor) -> Tensor:
        """Project."""
        return functional.normalize(self.linear(functional.normalize(x)))


def train_head(features: Features, train: np.ndarray, steps: int, keep: float, seed: int) -> Head:
    """A head trained on the photos that `train` (photos,) bool marks."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    vectors = torch.from_numpy(features.vectors[train])
    category = np.unique(features.category[train], return_inverse=True)[1]
    share = np.bincount(category)[category] ** -0.5
    head = Head(*pca(unit(features.vectors[train][:, 0]), DIM))
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    by_category, by_photo = SupConLoss(temperature=0.1), SupConLoss(temperature=0.1)
    for _ in range(steps):
        chosen = rng.choice(len(vectors), 192, replace=False, p=share / share.sum())
        x = torch.cat([vectors[chosen, 0], vectors[chosen, 1]])
        found = head(functional.dropout(x, 0.3))
        photo = torch.arange(len(chosen)).repeat(2)
        target = torch.from_numpy(category[chosen]).repeat(2)
        before = functional.normalize(functional.normalize(x) - functional.normalize(vectors[:, 0]).mean(0))
        drift = (found @ found.T - before @ before.T).square().mean()
        loss = by_category(found, target) + 0.3 * by_photo(found, photo) + keep * drift
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return head.eval()


def embed(head: Head, vectors: np.ndarray) -> np.ndarray:
    """The head's vectors of (n, views, 1280)."""
    with torch.inference_mode():
        return head(torch.from_numpy(vectors).flatten(0, 1)).reshape(*vectors.shape[:2], -1).numpy()


def compare(
    features: Features, train: np.ndarray, test: np.ndarray, args: argparse.Namespace
) -> dict[str, list[float]]:
    """Method -> sum of p@5, of the two identity measures, over the test photos."""
    x, category, photographer = features.vectors, features.category, features.photographer
    learnt = unit(x[train][:, 0])
    found = {"efficientnet_lite0": x[test]}
    flat = unit(x[test].reshape(-1, x.shape[2]))
    for name, (centre, axes) in {
        "PCA to 128": pca(learnt, DIM),
        "linear discriminant": discriminant(learnt, category[train]),
    }.items():
        found[name] = ((flat - centre) @ axes).reshape(test.sum(), len(VIEWS), -1)
    found["modiste_s"] = embed(train_head(features, train, args.steps, args.keep, args.seed), x[test])
    return {
        name: [
            float(precision_at_5(y[:, 0], category[test], photographer[test]).sum()),
            *(len(y) * np.array(identity(y))),
        ]
        for name, y in found.items()
    }


def main() -> None:
    """Compare on photographers that were left out, then train and export."""
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
    features = read_features(args.data, args.parser, args.out / "features.npz")

    log = (args.out / "embedding.log").open("a")

    def say(text: str) -> None:
        print(text, flush=True)
        print(text, file=log, flush=True)

    say(f"{len(features.category)} photos, steps {args.steps}, keep {args.keep}, seed {args.seed}")
    names, photographers = np.unique(features.photographer, return_inverse=True)
    fold = np.random.default_rng(args.seed).permutation(len(names))[photographers] % FOLDS
    scores = [compare(features, fold != k, fold == k, args) for k in range(FOLDS)]
    for name in scores[0]:
        p5, crop, hue = np.sum([score[name] for score in scores], axis=0) / len(fold)
        say(f"{name}: p@5 {p5:.3f}, same photo: flipped crop {crop:.3f}, recoloured {hue:.3f}")

    unseen = np.isin(features.category, ["Skirt", "Hat"])
    say("two classes (Skirt, Hat) left out of the training, p@5 of their photos among all of the test folds:")
    sums: dict[str, float] = {"efficientnet_lite0": 0.0, "modiste_s": 0.0}
    for k in range(FOLDS):
        test = fold == k
        head = train_head(features, (fold != k) & ~unseen, args.steps, args.keep, args.seed)
        for name, y in {
            "efficientnet_lite0": features.vectors[test],
            "modiste_s": embed(head, features.vectors[test]),
        }.items():
            each = precision_at_5(y[:, 0], features.category[test], features.photographer[test])
            sums[name] += each[unseen[test]].sum()
    say(", ".join(f"{name} {total / unseen.sum():.3f}" for name, total in sums.items()))

    test = np.array([is_test(str(number)) for number in features.photographer])
    head = train_head(features, ~test, args.steps, args.keep, args.seed)
    export(head, args.out)
    found = embed(head, features.vectors[test])[:, 0]
    p5 = precision_at_5(found, features.category[test], features.photographer[test]).mean()
    raw = precision_at_5(features.vectors[test][:, 0], features.category[test], features.photographer[test]).mean()
    say(f"shipped head on its {test.sum()} photos of the test part: p@5 {p5:.3f}, efficientnet_lite0 {raw:.3f}")


def export(head: Head, folder: Path) -> None:
    """Write modiste_s.onnx and modiste_s.toml into `folder`."""
    network = nn.Sequential(fold_batch_norms(Pooled(load_lite(0)).eval()), head).eval()
    path = folder / "modiste_s.onnx"
    digest = export_onnx(network, path, SIDE, SIDE, "embedding")
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
        "dim": DIM,
        "licence": "Apache-2.0",
        "origin": "EfficientNet-lite0 (ImageNet-1K) with a projection trained by training/train_embedding.py "
        "on CC0 garment photos",
    }
    write_entry(folder / "modiste_s.toml", entry)


if __name__ == "__main__":
    main()
