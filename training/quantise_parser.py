"""Let a parser compute in integers of eight bits, which takes 0.6 of the time (https://arxiv.org/abs/1712.05877).

From the repository root:

    python training/quantise_parser.py --data ../shared/data --model DIR/garment_parser.onnx --out quick.onnx

The ranges of what the layers give are taken from photos of the training part. Weights have seven bits, since
processors without VNNI add up products of eight and eight in too few. Prints the file's SHA-256 for the TOML entry,
and of both files, on the street photos of the test part at their own size, how well clothes are found, each label's
intersection over union, and the network's processor time on one thread.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
from garment_masks import is_test
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

from modiste.vision.backbones import BackboneSpec, get_backbone
from modiste.vision.masks import LABELS, decode_mask, garment_pixels
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo
from modiste.vision.preparing import normalise

EVERY = 12
"""Every so many photos of the training part are looked at."""


class Photos(CalibrationDataReader):
    """Photos as the network reads them, one at a time."""

    def __init__(self, files: list[Path], spec: BackboneSpec) -> None:
        self.photos = self.read(files, spec)

    @staticmethod
    def read(files: list[Path], spec: BackboneSpec) -> Iterator[dict[str, np.ndarray]]:
        """As the parser reads them."""
        for file in files:
            small = open_photo(file).resize((spec.width, spec.height), Image.Resampling.BILINEAR)
            yield {spec.input: normalise(np.asarray(small)[None], spec)}

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next one."""
        return next(self.photos, None)


def judged(model: Path, photos: list[Path]) -> tuple[float, float, float]:
    """Of clothes the intersection over union, the mean of that over the labels there are, and the network's ms."""
    shipped = get_backbone("garment_parser")
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    about = {"folder": model.resolve().parent, "file": model.name, "sha256": sha256}
    parser = Parser(shipped.model_copy(update=about), threads=1)
    total, spent = np.zeros((len(LABELS), len(LABELS)), np.int64), 0.0
    for file in photos:
        photo, mask = open_photo(file), file.parent.parent / "masks" / f"{file.stem}_segm.png"
        began = process_time()
        found = parser.parse(photo)
        spent += process_time() - began
        truth = decode_mask(mask).labels.astype(np.int64)
        total += np.bincount((truth * len(LABELS) + found).ravel(), minlength=total.size).reshape(total.shape)
    clothes = garment_pixels(np.arange(len(LABELS), dtype=np.uint8), "clothes")
    both = total[np.ix_(clothes, clothes)].sum()
    either = total[clothes].sum() + total[:, clothes].sum() - both
    overlap, union = np.diag(total), total.sum(0) + total.sum(1) - np.diag(total)
    there = (total.sum(0) > 0) & (total.sum(1) > 0)
    return both / either, (overlap[there] / union[there]).mean(), 1000 * spent / len(photos)


def main() -> None:
    """Quantise and say what came of it."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path, default=Path("../shared/data"))
    asked.add_argument("--model", type=Path, required=True)
    asked.add_argument("--out", type=Path, required=True)
    given = asked.parse_args()
    street = sorted((given.data / "street/photos").glob("*.jpg"))
    files = [file for file in street if not is_test(file.stem, 0.20)][::EVERY]
    with (given.data / "garments/items.csv").open(newline="") as file:
        garments = [row for row in csv.DictReader(file) if not is_test(row["photographer"])]
    files += [given.data / "garments" / row["image"] for row in garments[:: 10 * EVERY]]
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        quant_pre_process(given.model, plain, skip_symbolic_shape=True)  # weights as they are computed with
        quantize_static(
            plain,
            given.out,
            Photos(files, get_backbone("garment_parser")),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Add", "Clip", "Relu"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    content = given.out.read_bytes()
    test = [file for file in street if is_test(file.stem)]
    print("| file | clothes, IoU | mean IoU of labels | ms a photo |\n| --- | --- | --- | --- |")
    for file in (given.model, given.out):
        print(f"| {file.name} | {' | '.join(f'{one:.3f}' for one in judged(file, test))} |")
    print(f"{len(files)} photos, {len(content) / 1e6:.1f} MB, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
