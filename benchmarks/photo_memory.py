"""What a photo costs: the peak of memory and the seconds that opening one takes, beside what its header foretold.

    python benchmarks/photo_memory.py [--only JPEG]
    python benchmarks/photo_memory.py --embed 60 [--data ../shared/data]

Each photo is opened in a process of its own; the peak is Linux's high-water mark less what the process had before.
With ``--embed`` it is the peak of all of ``modiste add items`` and ``modiste embed`` that is told, over so many photos
of people, in the street and in the studio, enlarged to 1 to 12 megapixels, every fourth a progressive JPEG or a PNG.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

MEGAPIXELS = (8, 12, 16, 24, 36, 50, 64)
KINDS: dict[str, tuple[str, str, dict[str, object]]] = {
    "JPEG": ("JPEG", "RGB", {}),
    "JPEG progressive 4:2:0": ("JPEG", "RGB", {"progressive": True}),
    "JPEG progressive 4:4:4": ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
    "JPEG CMYK": ("JPEG", "CMYK", {}),
    "PNG RGB": ("PNG", "RGB", {}),
    "PNG RGBA": ("PNG", "RGBA", {}),
    "PNG 1 bit": ("PNG", "1", {}),
    "PNG palette": ("PNG", "P", {}),
    "PNG 16 bits": ("PNG", "I;16", {}),
    "WebP": ("WEBP", "RGB", {"method": 0}),
    "WebP alpha": ("WEBP", "RGBA", {"method": 0}),
    "GIF": ("GIF", "P", {}),
    "BMP": ("BMP", "RGB", {}),
    "TIFF": ("TIFF", "RGB", {}),
    "TIFF one strip": ("TIFF", "RGB", {"compression": "tiff_lzw", "tiffinfo": {278: 1 << 30}}),
    "TIFF float": ("TIFF", "F", {"compression": "tiff_lzw"}),
    "AVIF": ("AVIF", "RGB", {"speed": 10}),
    "AVIF alpha": ("AVIF", "RGBA", {"speed": 10}),
}

MAKE = """
import ast, sys, numpy as np; from PIL import Image
Image.MAX_IMAGE_PIXELS = None
file, kind, mode, side, options = *sys.argv[1:4], *map(ast.literal_eval, sys.argv[4:6])
tile = Image.fromarray(np.random.default_rng(0).integers(0, 255, (256, 256, 3)).astype(np.uint8)).resize((1024, 1024))
tile = tile.convert("L").convert(mode) if mode != "I;16" else Image.new(mode, (1024, 1024), 40000)
photo = Image.new(mode, (side, side))
for x in range(0, side, 1024):
    for y in range(0, side, 1024):
        photo.paste(tile, (x, y))
photo.save(file, kind, **options)
"""

OPEN = """
import sys, time; from pathlib import Path
from modiste.errors import PhotoError
from modiste.vision import photos
def peak(): return int(next(one for one in open("/proc/self/status") if one.startswith("VmHWM")).split()[1]) * 1024
foretold, before, begun = [], peak(), time.perf_counter()
cost = photos._cost
photos._cost = lambda *given: foretold.append(cost(*given)) or foretold[-1]
try:
    said = "{}×{}".format(*photos.open_photo(Path(sys.argv[1])).size)
except PhotoError as error:
    said = "refused"
print(foretold[0] if foretold else 0, peak() - before, time.perf_counter() - begun, said, sep="\\t")
"""


def cases(only: str, folder: Path) -> Iterator[tuple[str, int, Path]]:
    """Name, megapixels and file of each photo, made as it is asked for."""
    for name, (kind, mode, options) in KINDS.items():
        if only.lower() not in name.lower():
            continue
        for megapixels in MEGAPIXELS:
            file, side = folder / "photo", round((megapixels * 1e6) ** 0.5)
            command = [sys.executable, "-c", MAKE, file, kind, mode, str(side), repr(options)]
            if subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode:  # noqa: S603
                break  # no larger one can be written
            yield name, megapixels, file


COMMAND = """
import sys; from modiste.commands import main
try:
    main()
finally:
    print(int(next(one for one in open("/proc/self/status") if one.startswith("VmHWM")).split()[1]) * 1024)
"""


FORMS: list[tuple[str, dict[str, Any]]] = [
    ("jpg", {"quality": 90}), ("jpg", {"quality": 90}), ("jpg", {"quality": 90, "progressive": True}),
    ("png", {"compress_level": 1}),
]  # fmt: skip


def ordinary(data: Path, many: int, folder: Path) -> Iterator[float]:
    """Make photos as phones and studios do; how many megapixels each has, spread evenly from 1 to 12."""
    found = [sorted((data / name / "photos").glob("*.jpg")) for name in ("street", "studio")]
    for number in range(many):
        megapixels = 1 + 11 * number / max(1, many - 1)
        photo = Image.open(found[number % 2][number * 7 % len(found[number % 2])]).convert("RGB")
        by = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
        photo = photo.resize((round(photo.width * by), round(photo.height * by)), Image.Resampling.BICUBIC)
        kind, options = FORMS[number % len(FORMS)]
        photo.save(folder / f"{number}.{kind}", **options)
        yield megapixels


def embedding(data: Path, many: int) -> None:
    """Print the peaks of the commands that read many photos."""
    with tempfile.TemporaryDirectory() as made:
        photos, shop = Path(made) / "photos", Path(made) / "shop"
        photos.mkdir()
        sizes = list(ordinary(data, many, photos))
        print(f"{many} photos of {min(sizes):.0f} to {max(sizes):.0f} megapixels")
        for words in (["new", shop], ["add", "items", shop, photos], ["embed", shop]):
            begun = time.perf_counter()
            answer = subprocess.run([sys.executable, "-c", COMMAND, *words], check=True, capture_output=True, text=True)  # noqa: S603
            told = " ".join(one for one in words if isinstance(one, str))
            peak = int(answer.stdout.splitlines()[-1]) / 1e6
            print(f"modiste {told}: peak {peak:.0f} MB, {time.perf_counter() - begun:.0f} s", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="part of a kind's name")
    parser.add_argument("--embed", type=int, metavar="PHOTOS", help="measure the commands over so many ordinary photos")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    asked = parser.parse_args()
    if asked.embed:
        embedding(asked.data, asked.embed)
        return
    only = asked.only
    print("| photo | megapixels | file, MB | foretold, MB | peak, MB | s | read as |\n| --- |" + " --- |" * 6)
    with tempfile.TemporaryDirectory() as folder:
        for name, megapixels, file in cases(only, Path(folder)):
            command = [sys.executable, "-c", OPEN, file]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
            foretold, peak, seconds, said = answer.strip().split("\t")
            sizes = [f"{float(one) / 1e6:.1f}" for one in (file.stat().st_size, foretold, peak)]
            print(f"| {name} | {megapixels} | {' | '.join(sizes)} | {float(seconds):.2f} | {said} |", flush=True)


if __name__ == "__main__":
    main()
