"""Approximate masks of `garments/` photos by a classical method, as teachers of the parser.

The photos show one garment on a floor, a bed or a door, with no mask. GrabCut starts from a frame that is background,
and its answer is kept only where it looks like one garment: neither tiny nor the whole photo, in few pieces, hardly
touching the frame. From the repository root:

    python training/garment_masks.py --data ../shared/data --out DIR
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from pathlib import Path

import cv2
import numpy as np

LONGER_SIDE = 320
"""The size, in pixels, at which garment photos are cut out and used for training."""
PER_PHOTOGRAPHER = 24
"""At most this many photos of one photographer: many share one background."""


def is_test(name: str, share: float = 0.15) -> bool:
    """Whether a photo (its item id) or a photographer (the number) is in the test part: a hash of the name decides."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 1000 < share * 1000


def read_photo(path: Path, longer_side: int = LONGER_SIDE) -> np.ndarray:
    """The photo as RGB uint8 (h, w, 3), its longer side `longer_side` pixels."""
    photo = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    scale = longer_side / max(photo.shape[:2])
    size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


def cut_out(photo: np.ndarray) -> np.ndarray | None:
    """The garment of `photo` (h, w, 3) as a bool mask (h, w); None where the answer does not look like one garment."""
    small = cv2.resize(photo, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    margin_x, margin_y = max(3, width // 25), max(3, height // 25)
    frame = (margin_x, margin_y, width - 2 * margin_x, height - 2 * margin_y)
    state = np.zeros((height, width), np.uint8)
    cv2.setRNGSeed(0)
    cv2.grabCut(small, state, frame, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_RECT)
    mask = np.isin(state, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not len(areas):
        return None
    kept = 1 + np.flatnonzero(areas > 0.15 * areas.max())
    mask = np.isin(pieces, kept)
    outline = np.zeros_like(mask)
    outline[margin_y : margin_y + 2] = outline[-margin_y - 2 : -margin_y] = True
    outline[:, margin_x : margin_x + 2] = outline[:, -margin_x - 2 : -margin_x] = True
    hull = cv2.convexHull(np.argwhere(mask)[:, ::-1].astype(np.int32))
    solid = mask.sum() / max(cv2.contourArea(hull), 1)
    if not 0.08 < mask.mean() < 0.7 or mask[outline].mean() > 0.12 or len(kept) > 2 or solid < 0.5:
        return None
    return cv2.resize(mask.astype(np.uint8), photo.shape[1::-1], interpolation=cv2.INTER_NEAREST).astype(bool)


def main() -> None:
    """Cut out the photos of the training part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the test data")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder; the masks go to OUT/garments, one PNG per item"
    )
    args = parser.parse_args()
    folder = args.out / "garments"
    folder.mkdir(parents=True, exist_ok=True)
    seen: dict[str, int] = {}
    tried = 0
    with (args.data / "garments/items.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if not is_test(row["photographer"])]
    for row in rows:
        seen[row["photographer"]] = seen.get(row["photographer"], 0) + 1
        if seen[row["photographer"]] > PER_PHOTOGRAPHER:
            continue
        tried += 1
        mask = cut_out(read_photo(args.data / "garments" / row["image"]))
        if mask is not None:
            cv2.imwrite(str(folder / f"{row['item_id']}.png"), mask.astype(np.uint8) * 255)
    print(f"{len(list(folder.iterdir()))} masks kept of {tried} photos tried, {len(rows)} in the training part")


if __name__ == "__main__":
    main()
