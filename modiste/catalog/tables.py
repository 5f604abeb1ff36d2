"""The one reader of tables: CSV in its dialects, JSON lines and lists, Parquet, each of them gzipped or not.

A table is numbered rows of texts by column. A row that can't be read is a reason, not the end.
"""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar

import polars as pl
import polars.selectors as cs

from modiste.catalog.items import Rejected
from modiste.catalog.values import text
from modiste.errors import SettingError, SourceError

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet")
"""Endings (in any case, with or without .gz) of the files that are taken for tables."""

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LONGEST_CELL = 1 << 24  # characters; a longer one is a quote that nobody closed
_TIME = "%Y-%m-%d %H:%M:%S%.f"
_NO_TEXT = re.compile(r"[\0\ud800-\udfff]")  # what no database stores
_NO_OBJECT = 'is no JSON object; write each row as {"item_id": "0002", "price": 12.50}'

_Made = TypeVar("_Made")
_Lines = Iterator[tuple[int, Sequence[str] | str]]  # numbered cells, the header first, or what is wrong with a row


@dataclass(frozen=True)
class Rows:
    """A table. ``rows``, to be read once, has of each row its number (the header is row 1) and its stripped texts by
    column, or what is wrong with it."""

    file: Path
    columns: tuple[str, ...]
    rows: Iterator[tuple[int, dict[str, str] | str]]

    def parse(self, make: Callable[[dict[str, str]], _Made]) -> tuple[list[tuple[int, _Made]], list[Rejected]]:
        """What ``make`` makes of each row, with the row's number, and all rows for which it raises SettingError.

        Raises SourceError if there are no rows, or the file can't be read to its end.
        """
        taken: list[tuple[int, _Made]] = []
        rejected: list[Rejected] = []
        for number, row in self.rows:
            try:
                if isinstance(row, str):
                    raise SettingError(row)
                taken.append((number, make(row)))
            except SettingError as error:
                rejected.append(Rejected(str(self.file), number, str(error)))
        if not taken and not rejected:
            raise SourceError(f"{self.file} has no rows; write some below the names of the columns")
        return taken, rejected


def read_rows(file: Path, what: str, required: Sequence[str], words: Mapping[str, Sequence[str]]) -> Rows:
    """Open the table of ``what``, such as "orders".

    ``words`` has the names of the columns that mean something, found in any case, each with other words for it: the
    first there is stands for a name that isn't there. All other columns keep their names.
    Raises SourceError if the file is no table, has a column twice or lacks one that is ``required``.
    """
    known = {word for name, others in words.items() for word in (name, *others)}
    lines = _lines(file, known)
    header = [name.strip() for name in next(lines)[1]]
    columns = [name.casefold() if name.casefold() in known else name for name in header]
    for name, count in Counter(columns).items():
        if name and count > 1:
            raise SourceError(f"{file} has {count} columns named {name!r}; rename or remove all but one")
    for name, others in words.items():
        if name not in columns and (there := [other for other in others if other in columns]):
            columns[columns.index(there[0])] = name
    if missing := ", ".join(name for name in required if name not in columns):
        has, needed = ", ".join(header)[:400] or "none", ", ".join(required)
        raise SourceError(f"{file} has no column {missing} (it has {has}); {what} need {needed}")
    return Rows(file, tuple(columns), _named(columns, lines))


def _named(columns: Sequence[str], lines: _Lines) -> Iterator[tuple[int, dict[str, str] | str]]:
    for number, cells in lines:
        if isinstance(cells, str):
            yield number, cells
        elif _NO_TEXT.search("".join(cells)):
            yield number, "holds what is no character (NUL, or half of one); take it out"
        else:
            yield number, dict(zip(columns, map(str.strip, cells), strict=True))


def _lines(file: Path, known: Collection[str]) -> _Lines:
    suffix = (file.with_suffix("") if file.suffix.lower() == ".gz" else file).suffix.lower()
    if not file.exists():
        raise SourceError(f"{file} doesn't exist")
    if suffix not in SUFFIXES:
        raise SourceError(f"{file} is no table that can be read; give a {', '.join(SUFFIXES)} file")
    try:
        content = file.read_bytes()
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        if suffix == ".parquet":
            yield from _parquet(content)
        elif suffix in (".csv", ".tsv", ".txt"):
            yield from _csv(file, content, known)
        else:
            yield from _json(content)
    except UnicodeDecodeError as error:
        raise SourceError(f"{file} is not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{file} can't be read: {getattr(error, 'strerror', None) or error}") from error
    except (ValueError, RecursionError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        kind = "Parquet" if suffix == ".parquet" else "JSON"
        raise SourceError(f"{file} can't be read as {kind}: {error}") from error


def _stream(content: bytes, newline: str | None = None) -> io.TextIOWrapper:
    """Text in UTF-16 where a mark says so, else in UTF-8, else in Windows-1252.

    Raises UnicodeDecodeError where some letters are UTF-8 and some are not: the wrong guess would change the good ones.
    """
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-16" or not content[: error.start].isascii():
            raise
        encoding = "cp1252"
    return io.TextIOWrapper(io.BytesIO(content), encoding, newline=newline)


def _csv(file: Path, content: bytes, known: Collection[str]) -> _Lines:
    stream = _stream(content, newline="")
    sample = stream.read(1 << 16)
    stream.seek(0)

    def fit(separator: str) -> tuple[int, int]:
        header = _header(csv.reader(io.StringIO(sample, newline=""), delimiter=separator, skipinitialspace=True))
        return sum(name.strip().casefold() in known for name in header), len(header)

    separator = max(_SEPARATORS, key=fit)
    records = _records(file, stream, separator)
    header = _header(records)
    yield 1, header
    for number, cells in enumerate(records, 2):
        if isinstance(cells, str) or len(cells) == len(header):
            yield number, cells
        elif len(cells) > 1 or "".join(cells).strip():
            advice = "mend its quotes" if "\n" in "".join(cells) else f"quote cells with {_SEPARATORS[separator]}"
            yield number, f"has {len(cells)} cells where the header has {len(header)}; {advice}"


def _header(records: Iterator[list[str] | str]) -> Sequence[str]:
    """The first line but for blank ones and Excel's ``sep=;``, which says no more than the header does."""
    texts = (cells for cells in records if any(map(str.strip, cells)))
    return next((cells for cells in texts if not cells[0].lower().startswith("sep=")), [])


def _records(file: Path, stream: TextIO, separator: str) -> Iterator[list[str] | str]:
    """Lists of cells. A line that is wrong in itself is a reason; one whose quotes swallow others ends the table."""
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    lines = csv.reader(stream, delimiter=separator, skipinitialspace=True, strict=True)
    while True:
        first = lines.line_num + 1
        try:
            yield next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            if first == 1 or lines.line_num > first:
                raise SourceError(f"{file}, line {first}: {error}; mend the quotes there") from error
            yield f"{error}; mend the quotes there"


def _json(content: bytes) -> _Lines:
    names = dict.fromkeys(name for _, row in _values(content) if isinstance(row, dict) for name in row)
    yield 1, list(names)
    for number, row in _values(content):
        yield number, [text(row.get(name)) for name in names] if isinstance(row, dict) else _NO_OBJECT


def _values(content: bytes) -> Iterable[tuple[int, Any]]:
    """What a list holds, or each line; numbered as rows. Raises ValueError if it is a list that is no JSON."""
    stream = _stream(content)
    listed = stream.read(1 << 12).lstrip().startswith("[")
    stream.seek(0)
    if listed:
        return enumerate(json.load(stream), 2)
    return ((number, _value(line)) for number, line in enumerate(stream, 2) if line.strip())


def _value(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _parquet(content: bytes) -> _Lines:
    frame = pl.read_parquet(content)
    yield 1, frame.columns
    dates = (  # Python's end with the year 9999
        cs.date().cast(pl.String),
        cs.datetime(time_zone=None).dt.to_string(_TIME),
        cs.datetime(time_zone="*").dt.to_string(_TIME + "%:z"),
    )
    for number, cells in enumerate(frame.with_columns(*dates).iter_rows(), 2):
        yield number, [text(cell) for cell in cells]
