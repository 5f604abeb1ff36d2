"""Odd things that may lie where a file should be, each made at a path by its name."""

import gzip
import io
import os
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _deep(head: str) -> str:
    return head + "".join(f"k{number} = 1\n" for number in range(40_000))


@cache
def _packed() -> bytes:
    """6 GB of one cell, in 6 MB."""
    return gzip.compress(b"item_id\n" + b"a" * (1 << 26)) * 96


@cache
def _workbook() -> bytes:
    """A gigabyte of one row, in 5 MB."""
    made, row = io.BytesIO(), b'<row><c t="inlineStr"><is><t>item_id</t></is></c></row>' * 100_000
    with ZipFile(made, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            for _ in range(200):
                sheet.write(row)
    return made.getvalue()


def _laughs() -> str:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    return f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "ha">{entities}]><a><b>&a11;</b></a>'


ODD: dict[str, Callable[[Path], object]] = {
    "fifo": lambda path: os.mkfifo(path),
    "sparse": _sparse,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "circle": lambda path: path.symlink_to(path.name),
    "folder": lambda path: path.mkdir(),
    "deep_lists": lambda path: path.write_text(f"a = {'[' * 100_000}{']' * 100_000}"),
    "deep_tables": lambda path: path.write_text(f"{'a.' * 100_000}a = 1"),
    "deep_header": lambda path: path.write_text(_deep(f"[{'a.' * 100_000}a]\n")),
    "deep_quoted": lambda path: path.write_text(_deep(f"""["=".{"'a'." * 50_000}a]\n""")),
    "deep_json": lambda path: path.write_text(f'{{"rules": {"[" * 100_000}{"]" * 100_000}}}'),
    "latin": lambda path: path.write_bytes(b"name = '\xff\xfe'"),
    "nul": lambda path: path.write_bytes(b"\0" * 100),
}
"""What no reader takes for a file of its own."""

KINDS = ODD | {
    "full": lambda path: path.symlink_to("/dev/full"),
    "empty": lambda path: path.touch(),
    "junk": lambda path: path.write_bytes(random.Random(0).randbytes(3000)),
    "wide": lambda path: path.write_text(f"{','.join(map(str, range(100_000)))}\n{'x' * 3_000_000}\n"),
    "laughs": lambda path: path.write_text(_laughs()),
    "deep_xml": lambda path: path.write_text("<a>" * 200_000),
    "packed": lambda path: path.write_bytes(_packed()),
    "workbook": lambda path: path.write_bytes(_workbook()),
}
"""All of them; some readers take some of these."""
