"""Measure a parser's ONNX file on the street photos it was never trained on.

From the repository root:

    python training/evaluate_parser.py --data ../shared/data --model modiste/vision/models/garment_parser.onnx

Every figure is taken at each photo's own size. `--worst` lists the photos with the lowest garment IoU, `--worst-sheet`
draws them, and `--sheet` draws what the parser makes of photos of single garments by photographers it never saw.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from garment_masks import is_test, read_photo
from lite import MEAN, STD
from parser_data import IGNORED, Sample, palette_lookup, read_street, street_names
from parser_network import BODY, GROUP_OF, GROUPS, LABELS

WIDTH, HEIGHT = 256, 384
ACCESSORIES = {"bag", "eyewear", "jewellery"}
"""What masking `clothes` removes as well."""
SKIN = LABELS.index("skin")


class Model:
    """A parser's ONNX file, run one photo at a time."""

    def __init__(self, path: Path, threads: int = 2) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def parse(self, photo: np.ndarray) -> np.ndarray:
        """The label map, uint8 (h, w), of an RGB uint8 photo (h, w, 3), which is stretched to the network's size."""
        small = cv2.resize(photo, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        x = ((small.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
        (logits,) = self.session.run(["logits"], {"photo": x})
        scores = np.exp(logits[0] - logits[0].max(0))
        scores = (scores / scores.sum(0)).transpose(1, 2, 0)
        return cv2.resize(scores, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR).argmax(2).astype(np.uint8)


def confusion(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(labels, labels) pixel counts, given label by found label."""
    known = truth != IGNORED
    pairs = truth[known].astype(np.int64) * len(LABELS) + found[known]
    return np.bincount(pairs, minlength=len(LABELS) ** 2).reshape(len(LABELS), -1)


def iou_of(total: np.ndarray) -> np.ndarray:
    """The intersection over union of each class of a confusion matrix."""
    inter = np.diag(total)
    return inter / np.maximum(total.sum(0) + total.sum(1) - inter, 1)


def binary_iou(total: np.ndarray, left_out: set[str]) -> float:
    """The IoU of all labels but `left_out`, taken as one class, against the rest."""
    kept = np.array([label not in left_out for label in LABELS])
    both = total[np.ix_(kept, kept)].sum()
    return float(both / (total[kept].sum() + total[:, kept].sum() - both))


def group_iou(total: np.ndarray) -> np.ndarray:
    """The IoU of each of the ten groups."""
    merge = np.eye(len(GROUPS), dtype=np.int64)[GROUP_OF]
    return iou_of(merge.T @ total @ merge)


def with_skin(factor: float) -> Callable[[Sample], Sample]:
    """A change of a photo: its skin pixels made darker or lighter by `factor`."""

    def change(sample: Sample) -> Sample:
        alpha = cv2.GaussianBlur((sample.labels == SKIN).astype(np.float32), (0, 0), 1.5)[..., None]
        photo = np.clip(sample.photo * (1 + alpha * (factor - 1)), 0, 255).astype(np.uint8)
        return Sample(sample.name, photo, sample.labels)

    return change


def with_scale(factor: float) -> Callable[[Sample], Sample]:
    """A change of a photo: the middle enlarged, or the whole made smaller within its own repeated edge."""

    def change(sample: Sample) -> Sample:
        h, w = sample.labels.shape
        matrix = np.array([[factor, 0, w / 2 * (1 - factor)], [0, factor, h / 2 * (1 - factor)]])
        photo = cv2.warpAffine(sample.photo, matrix, (w, h), None, cv2.INTER_AREA, cv2.BORDER_REPLICATE)
        labels = cv2.warpAffine(sample.labels, matrix, (w, h), None, cv2.INTER_NEAREST, cv2.BORDER_REPLICATE)
        return Sample(sample.name, photo, labels)

    return change


def with_background(colour: int) -> Callable[[Sample], Sample]:
    """A change of a photo: all background one grey, 0 to 255."""

    def change(sample: Sample) -> Sample:
        alpha = cv2.GaussianBlur((sample.labels != 0).astype(np.float32), (0, 0), 1.0)[..., None]
        photo = (sample.photo * alpha + colour * (1 - alpha)).astype(np.uint8)
        return Sample(sample.name, photo, sample.labels)

    return change


def draw_sheet(model: Model, data: Path, path: Path, count: int) -> None:
    """Photos of single garments by photographers of the test part, each beside its garment pixels on black."""
    with (data / "garments/items.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if is_test(row["photographer"])]
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:count]]
    cells = []
    for row in rows:
        photo = read_photo(data / "garments" / row["image"])
        found = model.parse(photo)
        kept = np.array([label not in BODY for label in LABELS])[found]
        names = np.bincount(found[kept], minlength=len(LABELS))
        cell = cv2.resize(np.hstack([photo, photo * kept[..., None]]), (200, 150), interpolation=cv2.INTER_AREA)
        text = f"{row['category']}: {LABELS[int(names.argmax())] if kept.any() else 'nothing'}"
        cells.append(cv2.putText(cell.copy(), text, (4, 146), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 0), 1))
    wide = [np.hstack(cells[i : i + 10]) for i in range(0, len(cells) - 9, 10)]
    cv2.imwrite(str(path), np.vstack(wide)[:, :, ::-1])


def draw_worst(model: Model, data: Path, samples: list[Sample], path: Path) -> None:
    """Photos, each beside the given labels and those that the parser finds, in the palette's colours."""
    palette = palette_lookup(data)
    colours = np.array([palette[palette[:, 3] == index][0, :3] for index in range(len(LABELS))], np.uint8)
    cells = []
    for sample in samples:
        given = np.where(sample.labels == IGNORED, 0, sample.labels)
        cell = np.hstack([sample.photo, colours[given], colours[model.parse(sample.photo)]])
        cells.append(cv2.resize(cell, (480, 240), interpolation=cv2.INTER_AREA))
    cells += [np.zeros_like(cells[0])] * (len(cells) % 2)
    pairs = [np.hstack(cells[i : i + 2]) for i in range(0, len(cells), 2)]
    cv2.imwrite(str(path), np.vstack(pairs)[:, :, ::-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the test data")
    parser.add_argument("--model", type=Path, required=True, help="the ONNX file")
    parser.add_argument("--worst", type=int, default=0, help="list so many photos with the lowest garment IoU")
    parser.add_argument("--worst-sheet", type=Path, help="draw those photos and their labels into this PNG file")
    parser.add_argument("--sheet", type=Path, help="draw 60 photos of single garments into this PNG file")
    parser.add_argument("--changes", action="store_true", help="measure other skin, sizes and backgrounds as well")
    args = parser.parse_args()

    model = Model(args.model)
    samples = [read_street(args.data, name, None) for name in street_names(args.data, "test")]
    started = time.perf_counter()
    each = [confusion(sample.labels, model.parse(sample.photo)) for sample in samples]
    spent = (time.perf_counter() - started) / len(samples)
    total = np.sum(each, axis=0)
    print(
        f"{len(samples)} street photos of the test part, {1000 * spent:.0f} ms a photo, "
        f"{args.model.stat().st_size / 1e6:.1f} MB"
    )
    print(f"garment pixels (all but background, hair, skin) IoU {binary_iou(total, BODY):.3f}")
    print(f"clothes only (no bag, eyewear, jewellery) IoU {binary_iou(total, BODY | ACCESSORIES):.3f}")
    groups = group_iou(total)
    print(f"ten groups: mean IoU {groups.mean():.3f}")
    print("  " + ", ".join(f"{name} {value:.3f}" for name, value in zip(GROUPS, groups, strict=True)))
    print("labels: " + ", ".join(f"{name} {value:.3f}" for name, value in zip(LABELS, iou_of(total), strict=True)))
    draws = np.random.default_rng(0).integers(len(each), size=(500, len(each)))
    stack = np.stack(each)
    worn = [binary_iou(stack[draw].sum(0), BODY) for draw in draws]
    means = [group_iou(stack[draw].sum(0)).mean() for draw in draws]
    print(
        f"95% intervals over photos: garment {np.quantile(worn, 0.025):.3f} to {np.quantile(worn, 0.975):.3f}, "
        f"mean {np.quantile(means, 0.025):.3f} to {np.quantile(means, 0.975):.3f}"
    )
    if args.worst:
        single = np.array([binary_iou(matrix, BODY) for matrix in each])
        worst = single.argsort()[: args.worst]
        for i in worst:
            print(f"  {samples[i].name}: garment IoU {single[i]:.3f}")
        if args.worst_sheet:
            draw_worst(model, args.data, [samples[i] for i in worst], args.worst_sheet)
    if args.changes:
        changes = {f"skin x {factor}": with_skin(factor) for factor in (0.4, 0.6, 0.8, 1.2)}
        changes |= {f"scale x {factor}": with_scale(factor) for factor in (0.5, 0.7, 1.4)}
        changes |= {f"background {grey}": with_background(grey) for grey in (0, 128, 255)}
        for name, change in changes.items():
            altered = [change(sample) for sample in samples]
            matrix = np.sum([confusion(sample.labels, model.parse(sample.photo)) for sample in altered], axis=0)
            print(f"  {name}: garment IoU {binary_iou(matrix, BODY):.3f}, mean IoU {group_iou(matrix).mean():.3f}")
    if args.sheet:
        draw_sheet(model, args.data, args.sheet, 60)


if __name__ == "__main__":
    main()
