"""What embedding costs beside its parts, and what a second item on the same photo costs.

    python benchmarks/embedding.py --data ../shared/data [--photos 96] [--runs 5]

Street photos without masks, as ``modiste embed`` takes them. Medians of interleaved runs on one machine, in photos per
second: decoding alone, the parser alone, the backbone alone (each one after another, with the threads it has in the
pipeline), the pipeline, the pipeline over the same photos with two items each (what she wears above, what below), and
over packshots, studio photos that are seen at first sight to have nobody on them. Beside them stands what two cores
would do that had nothing else to do, by the seconds of processor time. The pipeline beside the parts done one after
another tells what overlapping them gains, and beside the backbone alone what all but the model costs.
"""

import argparse
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
from PIL import Image

from modiste.shop.vectors import DEFAULT_BACKBONE, DEFAULT_PARSER
from modiste.vision.backbones import Encoder, get_backbone
from modiste.vision.embedding import PhotoJob, embed_photos
from modiste.vision.ground import look
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo

ABOVE = frozenset({"top", "outer", "dress", "rompers"})
BELOW = frozenset({"pants", "leggings", "skirt", "footwear"})
BATCH = 16


def decode(files: list[Path]) -> None:
    """Open every photo."""
    for file in files:
        open_photo(file)


def parse(photos: list[Image.Image], parser: Parser) -> None:
    """Parse photos that are decoded."""
    for photo in photos:
        parser.parse(photo)


def encode(count: int, encoder: Encoder) -> None:
    """Embed inputs that are prepared."""
    batch = np.zeros((BATCH, 3, encoder.spec.height, encoder.spec.width), np.float32)
    for _ in range(0, count, BATCH):
        encoder.embed(batch)


def pipeline(jobs: list[PhotoJob], encoder: Encoder, parser: Parser) -> None:
    """All of it, as ``modiste embed`` does it."""
    for batch in embed_photos(jobs, encoder, "own", encoder.spec.crop, parser):
        if batch.failures:
            raise SystemExit(f"not embedded: {batch.failures}")


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path, default=Path("../shared/data"))
    asked.add_argument("--photos", type=int, default=96)
    asked.add_argument("--runs", type=int, default=5)
    given = asked.parse_args()
    files = sorted((given.data / "street/photos").glob("*.jpg"))[: given.photos]
    photos = [open_photo(file) for file in files]
    encoder, parser = Encoder(get_backbone(DEFAULT_BACKBONE)), Parser(get_backbone(DEFAULT_PARSER), threads=1)
    once = [PhotoJob(file.stem, str(file), own=ABOVE) for file in files]
    twice = [*once, *(PhotoJob(f"{file.stem} below", str(file), own=BELOW) for file in files)]
    shots = []
    for file in sorted((given.data / "studio/photos").glob("m_*.jpg")):
        if len(shots) < len(files) and look(open_photo(file)).nobody:
            shots.append(PhotoJob(file.stem, str(file)))
    work = {
        "decoding": partial(decode, files),
        "parser": partial(parse, photos, parser),
        "backbone": partial(encode, len(files), encoder),
        "pipeline": partial(pipeline, once, encoder, parser),
        "two items a photo": partial(pipeline, twice, encoder, parser),
        "packshots": partial(pipeline, shots, encoder, parser),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    worked: dict[str, list[float]] = {name: [] for name in work}
    for run in range(-1, given.runs):  # the first warms up
        for name, do in work.items():
            began, idle = perf_counter(), process_time()
            do()
            if run >= 0:
                times[name].append(perf_counter() - began)
                worked[name].append(process_time() - idle)
    medians = {name: median(seconds) for name, seconds in times.items()}
    counts = dict.fromkeys(work, len(files)) | {"packshots": len(shots)}
    rates = {name: 2 * counts[name] / median(seconds) for name, seconds in worked.items()}
    for name, seconds in medians.items():
        print(f"{name}: {counts[name] / seconds:.1f} photos/s; two idle cores: {rates[name]:.1f}")
    for name in ("pipeline", "packshots"):
        print(f"{name} / backbone alone, by processor time: {rates['backbone'] / rates[name]:.2f}")
    parts = sum(medians[name] for name in ("decoding", "parser", "backbone"))
    print(f"parts one after another / pipeline: {parts / medians['pipeline']:.2f}")
    print(f"two items a photo / one: {medians['two items a photo'] / medians['pipeline']:.2f}")


if __name__ == "__main__":
    main()
