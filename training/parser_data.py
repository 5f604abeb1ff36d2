"""Photos and label maps for the parser: reading, splitting, and the stream of altered samples it is trained on."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from garment_masks import is_test, read_photo
from parser_network import BODY, LABELS, MERGED

IGNORED = 255
"""Label of pixels that teach nothing: the rim of an approximate mask, and palette labels too rare to learn."""
STREET_SIZE = (384, 576)
"""(width, height) at which street photos are kept in memory."""

GARMENT_LABEL = {
    "Dress": "dress",
    "Hat": "headwear",
    "Longsleeve": "top",
    "Outwear": "outer",
    "Pants": "pants",
    "Shirt": "top",
    "Shoes": "footwear",
    "Shorts": "pants",
    "Skirt": "skirt",
    "T-Shirt": "top",
}
"""Category of `garments/` -> the parser's label."""


@dataclass(frozen=True)
class Sample:
    """A photo, RGB uint8 (h, w, 3), and its label map, uint8 (h, w): an index into LABELS or IGNORED."""

    name: str
    photo: np.ndarray
    labels: np.ndarray


def palette_lookup(data: Path) -> np.ndarray:
    """(n, 4) int: red, green, blue of each colour of the palette, and the parser's label (or IGNORED)."""
    rows = []
    with (data / "deepfashion-multimodal-palette.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            label = MERGED.get(row["name"], row["name"])
            index = LABELS.index(label) if label in LABELS else IGNORED
            rows.append([int(row["red"]), int(row["green"]), int(row["blue"]), index])
    return np.array(rows)


def decode_mask(path: Path, palette: np.ndarray) -> np.ndarray:
    """The palette PNG at `path` as a label map (h, w) uint8; colours off the palette are IGNORED."""
    colours = cv2.imread(str(path))[:, :, ::-1].astype(np.int64)
    code = colours[:, :, 0] << 16 | colours[:, :, 1] << 8 | colours[:, :, 2]
    labels = np.full(code.shape, IGNORED, np.uint8)
    for red, green, blue, index in palette:
        labels[code == (red << 16 | green << 8 | blue)] = index
    return labels


def street_names(data: Path, part: str) -> list[str]:
    """The ids of a part of the street photos: "test" (15%, by a hash of the id), "check" (5%) or "train" (the rest)."""
    with (data / "street/items.csv").open(newline="") as file:
        names = [row["item_id"] for row in csv.DictReader(file)]
    if part == "test":
        return [name for name in names if is_test(name, 0.15)]
    check = {name for name in names if is_test(name, 0.20)} - {name for name in names if is_test(name, 0.15)}
    if part == "check":
        return sorted(check)
    return [name for name in names if not is_test(name, 0.20)]


def read_street(data: Path, name: str, size: tuple[int, int] | None = STREET_SIZE) -> Sample:
    """A street photo with its given mask, resized to `size` (width, height); None keeps its own size."""
    photo = cv2.imread(str(data / f"street/photos/{name}.jpg"))[:, :, ::-1]
    labels = decode_mask(data / f"street/masks/{name}_segm.png", palette_lookup(data))
    if size is not None:
        photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    return Sample(name, np.ascontiguousarray(photo), labels)


def read_garments(data: Path, masks: Path) -> list[Sample]:
    """The garment photos whose approximate mask lies in `masks`; a rim around the mask's edge is IGNORED."""
    samples = []
    with (data / "garments/items.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        path = masks / f"{row['item_id']}.png"
        if not path.exists():
            continue
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) // 255
        inner = cv2.erode(mask, np.ones((5, 5), np.uint8))
        outer = cv2.dilate(mask, np.ones((11, 11), np.uint8))
        labels = np.where(outer == 1, IGNORED, 0).astype(np.uint8)
        labels[inner == 1] = LABELS.index(GARMENT_LABEL[row["category"]])
        samples.append(Sample(row["item_id"], read_photo(data / "garments" / row["image"]), labels))
    return samples


def empty_strip(sample: Sample) -> np.ndarray | None:
    """The largest full-width or full-height strip of the photo that is only background; None if it is narrow."""
    full = sample.labels != 0
    best: np.ndarray | None = None
    for axis in (0, 1):
        free = ~full.any(axis=axis)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], free.astype(np.int8), [0]])))
        for start, stop in edges.reshape(-1, 2):
            strip = sample.photo[:, start:stop] if axis == 0 else sample.photo[start:stop]
            if min(strip.shape[:2]) >= 24 and (best is None or strip.size > best.size):
                best = strip
    return best


def tinted(photo: np.ndarray, where: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """The photo with the pixels of `where`, bool (h, w), multiplied by `factor` (3,): a tone of skin or a garment's
    colour must not decide."""
    alpha = cv2.GaussianBlur(where.astype(np.float32), (0, 0), 1.5)[..., None]
    return np.clip(photo * (1 + alpha * (factor - 1)), 0, 255).astype(np.uint8)


class Stream:
    """Altered samples without end, for photos of (height, width) pixels."""

    def __init__(self, street: list[Sample], garments: list[Sample], garment_share: float, seed: int) -> None:
        self.street, self.garments, self.garment_share = street, garments, garment_share
        self.rng = np.random.default_rng(seed)
        strips = [empty_strip(sample) for sample in [*street, *garments]]
        self.strips = [strip for strip in strips if strip is not None]
        self.order: list[int] = []
        self.garment_order: list[int] = []

    def batches(self, size: int) -> Iterator[list[Sample]]:
        """Batches of `size` samples as they lie in memory; each street photo comes once before any comes twice."""
        while True:
            batch = []
            for _ in range(size):
                if self.rng.random() < self.garment_share:
                    self.garment_order = self.garment_order or list(self.rng.permutation(len(self.garments)))
                    batch.append(self.garments[self.garment_order.pop()])
                else:
                    self.order = self.order or list(self.rng.permutation(len(self.street)))
                    batch.append(self.street[self.order.pop()])
            yield batch

    def alter(self, sample: Sample, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """One altered copy: photo uint8 (height, width, 3) and label map uint8 (height, width)."""
        rng = self.rng
        if sample.labels.shape[::-1] == STREET_SIZE and rng.random() < 0.08:
            sample = self.single_garment(sample) or sample
            alone = True
        else:
            alone = False
        is_street = sample.labels.shape[::-1] == STREET_SIZE and not alone
        photo, labels = self.warp(sample, height, width, is_street)
        if is_street and rng.random() < 0.3:
            factor = np.exp(rng.uniform(np.log(0.35), np.log(1.25))) * np.exp(rng.normal(0, 0.05, 3))
            photo = tinted(photo, labels == LABELS.index("skin"), factor)
        worn = np.setdiff1d(labels, [LABELS.index(name) for name in BODY] + [IGNORED])
        if is_street and len(worn) and rng.random() < 0.4:
            factor = np.exp(rng.uniform(np.log(0.45), np.log(1.6))) * np.exp(rng.normal(0, 0.25, 3))
            photo = tinted(photo, labels == rng.choice(worn), factor)
        if alone or rng.random() < (0.25 if is_street else 0.45):
            photo, labels = self.change_background(photo, labels)
        return self.change_light(photo), labels

    def warp(self, sample: Sample, height: int, width: int, is_street: bool) -> tuple[np.ndarray, np.ndarray]:
        """Flip, turn, scale, stretch and shift."""
        rng = self.rng
        h, w = sample.labels.shape
        scale = np.exp(rng.uniform(np.log(0.7), np.log(1.45))) if is_street else np.exp(rng.uniform(-0.35, 0.2))
        stretch = np.exp(rng.uniform(-0.15, 0.15))
        scale_x, scale_y = width / w * scale * stretch, height / h * scale / stretch
        angle = rng.normal(0, 7 if is_street else 20) * np.pi / 180
        flip = -1 if rng.random() < 0.5 else 1
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([scale_x * flip, scale_y])
        shift = rng.uniform(-0.5, 0.5, 2) * np.abs([1 - scale, 1 - scale]) * [width, height]
        shift += rng.uniform(-0.04, 0.04, 2) * [width, height]
        centre = np.array([width / 2, height / 2]) + shift - turn @ [w / 2, h / 2]
        matrix = np.column_stack([turn, centre])
        photo = cv2.warpAffine(sample.photo, matrix, (width, height), None, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        labels = cv2.warpAffine(sample.labels, matrix, (width, height), None, cv2.INTER_NEAREST, cv2.BORDER_REPLICATE)
        return photo, labels

    def single_garment(self, sample: Sample) -> Sample | None:
        """One garment of a street photo by itself, enlarged; everything else becomes background, to be painted over."""
        counts = np.bincount(sample.labels.ravel(), minlength=256)[: len(LABELS)]
        counts[[LABELS.index(label) for label in ("background", "hair", "skin")]] = 0
        large = np.flatnonzero(counts > 0.015 * sample.labels.size)
        if not len(large):
            return None
        label = self.rng.choice(large)
        rows, columns = np.nonzero(sample.labels == label)
        top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        pad_y, pad_x = (bottom - top) // 6 + 4, (right - left) // 6 + 4
        window = (slice(max(top - pad_y, 0), bottom + pad_y), slice(max(left - pad_x, 0), right + pad_x))
        labels = np.where(sample.labels[window] == label, label, 0).astype(np.uint8)
        return Sample(sample.name, sample.photo[window], labels)

    def change_background(self, photo: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is background becomes another; the ignored rim goes with it, so that the pasted edge is exact."""
        rng = self.rng
        height, width = labels.shape
        if rng.random() < 0.7:
            strip = self.strips[rng.integers(len(self.strips))]
            side = min(strip.shape[:2])
            crop_h = min(strip.shape[0], int(side * rng.uniform(1, 2)))
            crop_w = min(strip.shape[1], int(side * rng.uniform(1, 2)))
            y, x = rng.integers(strip.shape[0] - crop_h + 1), rng.integers(strip.shape[1] - crop_w + 1)
            crop = strip[y : y + crop_h, x : x + crop_w]
            back = cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        else:
            corners = rng.uniform(0, 255, 3) + rng.normal(0, 25, (2, 2, 3)) * (rng.random() < 0.7)
            if rng.random() < 0.4:
                corners = np.full((2, 2, 3), rng.uniform(225, 255)) + rng.normal(0, 4, (2, 2, 3))
            back = cv2.resize(corners.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        back += rng.normal(0, rng.uniform(0, 8), (height, width, 1)).astype(np.float32)
        front = ((labels != 0) & (labels != IGNORED)).astype(np.float32)
        alpha = cv2.GaussianBlur(front, (0, 0), 0.8)[..., None]
        if rng.random() < 0.5:
            shadow = cv2.GaussianBlur(np.roll(front, rng.integers(-8, 9, 2), (0, 1)), (0, 0), rng.uniform(3, 10))
            back *= 1 - rng.uniform(0.1, 0.5) * shadow[..., None]
        mixed = np.clip(photo * alpha + back * (1 - alpha), 0, 255).astype(np.uint8)
        return mixed, np.where(front > 0, labels, 0).astype(np.uint8)

    def change_light(self, photo: np.ndarray) -> np.ndarray:
        """Brightness, contrast, white balance, saturation and hue; now and then blur."""
        rng = self.rng
        if rng.random() < 0.5:
            hsv = cv2.cvtColor(photo, cv2.COLOR_RGB2HSV)
            if rng.random() < 0.3:
                hsv[..., 0] = (hsv[..., 0].astype(np.int16) + rng.integers(0, 180)) % 180
            hsv[..., 1] = cv2.LUT(hsv[..., 1], np.clip(np.arange(256) * rng.uniform(0.4, 1.4), 0, 255).astype(np.uint8))
            photo = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        gamma = np.exp(rng.normal(0, 0.25))
        levels = np.linspace(0, 1, 256)[:, None] ** gamma
        levels = (levels - 0.5) * np.exp(rng.normal(0, 0.15)) + 0.5 + rng.normal(0, 0.05)
        levels = np.clip(levels * np.exp(rng.normal(0, 0.07, 3)) * 255, 0, 255).astype(np.uint8)
        photo = cv2.LUT(photo, levels.reshape(1, 256, 3))
        if rng.random() < 0.15:
            photo = cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.5, 1.5))
        return photo
