"""What reads files that strangers wrote, each as a function of a file's bytes; and the fuzzer that looks for more.

    python -m tests.fuzz.readers READER [--seconds 60]

needs atheris (libFuzzer for Python). It starts from ``corpus/READER.zip`` and adds to it as few as reach all that was
reached; what broke a reader is added as ``crash-*``. ``test_readers.py`` reads the corpus again without atheris.
"""

import argparse
import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

CORPUS = Path(__file__).parent / "corpus"
LARGEST = 4096
"""Bytes of an input in the corpus."""

LIMITS = ("-timeout=20", "-rss_limit_mb=3000")
"""Seconds and memory that one input may take."""

try:
    import atheris
except ImportError:  # which `make torture` installs
    atheris = None

if atheris is not None and __name__ == "__main__":
    with atheris.instrument_imports(include=["modiste.catalog", "modiste.vision"]):
        import modiste.catalog.events
        import modiste.catalog.readers
        import modiste.catalog.stores
        import modiste.vision.masks
        import modiste.vision.photos  # noqa: F401

from modiste.catalog.columns import Layout  # noqa: E402
from modiste.catalog.events import read_events  # noqa: E402
from modiste.catalog.readers import read_source  # noqa: E402
from modiste.catalog.stores import read_stores  # noqa: E402
from modiste.catalog.taxonomy import Taxonomy  # noqa: E402
from modiste.errors import ModisteError  # noqa: E402
from modiste.shop.sync import FILE, Sources  # noqa: E402
from modiste.vision.backbones import read_entry  # noqa: E402
from modiste.vision.masks import decode_mask  # noqa: E402
from modiste.vision.photos import check_photo  # noqa: E402

FOLDER = Path(tempfile.mkdtemp(prefix="modiste-fuzz-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
TAXONOMY = Taxonomy.load()


def _file(content: bytes, name: str) -> Path:
    file = FOLDER / name
    file.write_bytes(content)
    return file


def table(content: bytes) -> None:
    """A catalogue: CSV, JSON, XLSX, Parquet or XML, packed or not."""
    read_source(_file(content, "table"), TAXONOMY)


def orders(content: bytes) -> None:
    """A table of orders, returns and views."""
    read_events(_file(content, "table"), {"a", "b-1", "007"})


def stores(content: bytes) -> None:
    """A table of stores."""
    read_stores(_file(content, "table"))


def mask(content: bytes) -> None:
    """A mask."""
    decode_mask(_file(content, "mask.png"))


def photo(content: bytes) -> None:
    """A photo."""
    check_photo(content, max_pixels=1_000_000)


def toml(content: bytes) -> None:
    """A mapping of columns, a taxonomy, a network's entry, a shop's sources."""
    for read in (Layout.load, Taxonomy.load, read_entry):
        with suppress(ModisteError):
            read(_file(content, "any.toml"))
    _file(content, FILE)
    Sources.of(FOLDER)


def names(content: bytes) -> None:
    """Folders and photos of any names, a line each."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        for line in content.split(b"\n")[:20]:
            parts = [os.fsdecode(one) for one in line.split(b"/")[:4] if one not in (b"", b"..")]
            with suppress(OSError, ValueError):  # no name of a file
                Path(folder, *parts).parent.mkdir(parents=True, exist_ok=True)
                Path(folder, *parts).touch()
        read_source(Path(folder), TAXONOMY)


READERS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (table, orders, stores, mask, photo, toml, names)
}


def read(name: str, content: bytes) -> None:
    """Give the bytes to a reader, which may refuse them in words, and nothing else."""
    with warnings.catch_warnings(), suppress(ModisteError):
        warnings.simplefilter("ignore")
        READERS[name](content)


def corpus(name: str) -> dict[str, bytes]:
    """What is kept for a reader, by its name."""
    with ZipFile(CORPUS / f"{name}.zip") as archive:
        return {one: archive.read(one) for one in archive.namelist()}


def fuzz(reader: str, *options: str) -> None:
    """Be the process that libFuzzer ends, or starts again with options of its own."""
    command = f"{sys.executable} -m tests.fuzz.readers {reader} --child"
    atheris.Setup([command, *options], lambda content: read(reader, bytes(content)))
    atheris.Fuzz()


def main() -> int:
    """Fuzz one reader for some time."""
    if "--child" in sys.argv:
        fuzz(sys.argv[1], *sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    if atheris is None:
        sys.exit("needs atheris: pip install atheris")
    with tempfile.TemporaryDirectory() as made:
        found, kept = Path(made, "found"), Path(made, "kept")
        for folder in (found, kept):
            folder.mkdir()
            for name, content in corpus(asked.reader).items():
                (folder / name).write_bytes(content)
        child = [
            sys.executable,
            "-m",
            "tests.fuzz.readers",
            asked.reader,
            "--child",
            "-timeout=20",
            "-rss_limit_mb=3000",
        ]
        options = [f"-max_total_time={asked.seconds}", f"-max_len={LARGEST}", f"-artifact_prefix={found}/"]
        ended = subprocess.run([*child, found, *options], check=False).returncode
        subprocess.run([*child, "-merge=1", kept, found], check=True)
        with ZipFile(CORPUS / f"{asked.reader}.zip", "w", ZIP_DEFLATED, compresslevel=9) as archive:
            for file in sorted([*kept.iterdir(), *found.glob("crash-*")], key=lambda one: one.name):
                if file.stat().st_size <= LARGEST:
                    archive.writestr(ZipInfo(file.name), file.read_bytes(), ZIP_DEFLATED)
    return ended


if __name__ == "__main__":
    sys.exit(main())
