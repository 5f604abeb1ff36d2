"""The one reader of tables: CSV in its dialects, JSON, XLSX, Parquet, XML, packed or not, told by their content.

A table is a header and numbered rows of cells, in Unicode's form NFC. A row that can't be read is a reason, not the
end. What we write as CSV is :func:`as_cells`, and read as it was.
"""

import codecs
import csv
import io
import json
import re
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from gzip import GzipFile
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar
from xml.parsers import expat

import polars as pl
import polars.selectors as cs

from modiste.catalog.files import read
from modiste.catalog.values import composed, plain, text
from modiste.errors import MissingExtraError, SourceError

KINDS = ("CSV", "JSON", "XLSX", "Parquet", "XML")
"""What a table may be; gzip and zip may be around it."""

MOST_COLUMNS = 2000
"""Of a table: each one's name is compared with all that are known."""

LARGEST = 1 << 32
"""Bytes of the largest file that is read, unpacked."""

MOST_PACKED, SOON = 100, 1 << 28
"""A table is at most so many times as large as what it was packed into, unless it has less than so many bytes."""

_TEXTS = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".xml"}
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LONGEST_CELL = 1 << 24  # characters; a longer one is a quote that nobody closed
_MOST_TITLES = 5  # lines between a table's title and its columns' names
_MOST_LINES = 500  # of one row
_TIME = "%Y-%m-%d %H:%M:%S%.f"
_FORMULA = r"^'*[=+\-@＝＋－＠\t\r\n\x00]"  # what spreadsheets take for a program; OWASP's list
_NO_TEXT = re.compile(r"[\0\ud800-\udfff]")  # what no database stores
_NO_OBJECT = 'is no JSON object; write each row as {"item_id": "0002", "price": 12.50}'
INNER = ("variants", "line_items", "lineItems", "order_items", "order_lines", "lines", "items", "products")
"""What a record in JSON may list, so that each of it is a row with what the record says: the first that it has."""

_VALUES = ("option", "options", "value", "values")  # of what is named in a list
_ROWS = ("item", "entry", "product", "offer", "row", "record", "order", "store")  # elements of XML

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)
Cells = Sequence[str]
Lines = Iterator[tuple[int, Cells | str]]
"""Rows with their numbers (the header is row 1): cells as many as the header's, or what is wrong with the row."""


@dataclass(frozen=True)
class Table:
    """A table. ``lines`` are to be read once."""

    file: Path
    header: tuple[str, ...]
    lines: Lines


def as_cells(frame: Frame) -> Frame:
    """A frame to be written as CSV, in which no text is a formula: one that begins like one begins with an apostrophe.

    Reading takes it away again, from CSV and XLSX. Numbers stay numbers, below 0 too.
    """
    return frame.with_columns(cs.string().str.replace(_FORMULA, "'$0"))


def as_cell(text: str) -> str:
    """As :func:`as_cells`, of one text."""
    return f"'{text}" if re.match(_FORMULA, text) else text


def open_table(file: Path, known: Collection[str]) -> Table:
    """Open a table. ``known`` are plain words for columns (:func:`~modiste.catalog.values.plain`): of the dialects that
    a CSV could be in, it is in the one whose header says most of them.

    Raises SourceError if the file is no table, here or as ``lines`` are read.
    """
    lines = _lines(file, known)
    _, header = next(lines)
    if isinstance(header, str):
        raise SourceError(f"{file}, row 1, {header}")
    names = tuple(name.strip() for name in header)
    if len(names) > MOST_COLUMNS:
        raise SourceError(f"{file} has {len(names):,} columns; give a table of at most {MOST_COLUMNS:,}")
    return Table(file, names, lines)


def _lines(file: Path, known: Collection[str]) -> Lines:
    kind = "CSV"
    try:
        content = unpacked(file)
        kind = _kind(file, content)
        yield from _checked(_READERS[kind](content, known), kind in ("CSV", "XLSX"))
    except UnicodeDecodeError as error:
        raise SourceError(f"{file} is not text in UTF-16 ({error.reason}); save it as UTF-8") from error
    except (ValueError, RecursionError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise SourceError(f"{file} can't be read as {kind}: {error}") from error
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise SourceError(f"{file} can't be read: {getattr(error, 'strerror', None) or error}") from error


def _checked(lines: Lines, marked: bool) -> Lines:
    for number, cells in lines:
        whole = "" if isinstance(cells, str) else "".join(cells)
        if _NO_TEXT.search(whole):
            yield number, "holds what is no character in its encoding (or NUL, or half of one); save the file as UTF-8"
            continue
        if marked and "'" in whole:
            cells = [one[1:] if one[:1] == "'" and re.match(_FORMULA, one) else one for one in cells]
        yield number, cells if whole.isascii() else [composed(one) for one in cells]


# What the file is


def unpacked(file: Path) -> bytes:
    """What is in a file, or in the gzip or the one table in a zip that it is.

    Raises SourceError if it is no regular file, if it is larger than LARGEST, and for a zip with several tables.
    """
    if not file.exists():
        raise SourceError(f"{file} doesn't exist")
    if not file.is_file():
        raise SourceError(f"{file} is no regular file; give a table ({', '.join(KINDS)})")
    content = read(file, LARGEST)
    if content.startswith(b"\x1f\x8b"):
        content = _bounded(file, GzipFile(fileobj=io.BytesIO(content)), len(content))
    if content.startswith(b"PK\3\4"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [one for one in archive.infolist() if not one.is_dir() and not _hidden(one.filename)]
            if sum(one.file_size for one in members) > _most(len(content)):
                raise SourceError(_large(file, len(content)))
            if _is_workbook(member.filename for member in members):
                return content
            if len(members) != 1:
                named = ", ".join(one.filename for one in members)[:200] or "nothing"
                raise SourceError(f"{file} holds {named}; pack one table, or unpack it")
            with archive.open(members[0]) as opened_member:
                content = _bounded(file, opened_member, len(content))
    return content


def _bounded(file: Path, opened: Any, packed: int) -> bytes:
    content: bytes = opened.read(_most(packed) + 1)
    if len(content) > _most(packed):
        raise SourceError(_large(file, packed))
    return content


def _most(packed: int) -> int:
    """Bytes that may come of so many packed ones."""
    return min(LARGEST, max(SOON, MOST_PACKED * packed))


def _large(file: Path, packed: int) -> str:
    if _most(packed) == LARGEST:
        return f"{file} holds more than {LARGEST >> 30} GiB; split it"
    return f"{file} holds more than {MOST_PACKED} times its size, as no table does; unpack it if it is one"


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _is_workbook(names: Iterable[str]) -> bool:
    return not {"[Content_Types].xml", "mimetype"}.isdisjoint(names)


def _kind(file: Path, content: bytes) -> str:
    """One of KINDS. Raises SourceError for a file that holds no text and isn't any."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if content.startswith(b"PAR1") or ".parquet" in suffixes:
        return "Parquet"
    if content.startswith((b"PK\3\4", b"\xd0\xcf\x11\xe0")) or suffixes[-1:] in ([".xlsx"], [".xls"], [".ods"]):
        return "XLSX"
    start = content[:4096]
    control = sum(start.count(byte) for byte in range(32) if byte not in b"\t\n\v\f\r\x1b")
    if control > len(start) / 10 and not _utf16(start) and not _TEXTS & {*suffixes}:
        raise SourceError(f"{file} is no table that can be read; give {', '.join(KINDS)}, gzipped or zipped or not")
    said = start.decode(_utf16(start) or "utf-8-sig", "replace").lstrip("\ufeff \t\r\n")
    if ".xml" in suffixes or re.match(r"<\?xml|<(rss|feed)\b", said):
        return "XML"
    if {".json", ".jsonl", ".ndjson"} & set(suffixes) or re.match(r"\{\s*[\"}]|\[\s*[{\]]", said):
        return "JSON"
    return "CSV"


# Text


def _utf16(start: bytes) -> str | None:
    """The UTF-16 or UTF-32 that text begins in, with or without a mark; None for other text."""
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd, half = start[0::2].count(0), start[1::2].count(0), len(start) / 4
    if start and odd > half and not even:
        return "utf-16-le"
    return "utf-16-be" if start and even > half and not odd else None


def _stream(content: bytes, newline: str | None = None) -> io.TextIOWrapper:
    """Text in UTF-16 where it says so, else in UTF-8, else in Windows-1252, with surrogates for what isn't either.

    It is UTF-8 if the first letters beyond ASCII are: the wrong guess would change them.
    """
    encoding, errors = _utf16(content[:4096]), "strict"
    if encoding is None:
        encoding, errors = "utf-8-sig", "surrogateescape"
        try:
            content.decode(encoding)
        except UnicodeDecodeError as error:
            encoding = "cp1252" if content[: error.start].isascii() else encoding
    return io.TextIOWrapper(io.BytesIO(content), encoding, errors, newline=newline)


# CSV


@dataclass(frozen=True)
class _Dialect:
    separator: str
    quote: str
    escape: str | None

    def reader(self, lines: Iterable[str], strict: bool) -> Any:
        escaped = self.escape is not None
        return csv.reader(
            lines, delimiter=self.separator, quotechar=self.quote, escapechar=self.escape, doublequote=not escaped,
            skipinitialspace=self.separator not in " \t", strict=strict,
        )  # fmt: skip


def _csv(content: bytes, known: Collection[str]) -> Lines:
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    stream = _stream(content, newline="")
    dialect = _dialect(stream.read(1 << 16), known)
    stream.seek(0)
    records = _Records(stream, dialect)
    header, lines = _header(iter(records), known)
    if isinstance(header, str):
        raise ValueError(f"line 1: {header}")
    yield 1, header
    marks = _SEPARATORS.get(dialect.separator, repr(dialect.separator))
    for number, cells in enumerate(lines, 2):
        if isinstance(cells, str) or len(cells) == len(header):
            yield number, cells
        elif len(cells) > len(header) and not any(map(str.strip, cells[len(header) :])):
            yield number, cells[: len(header)]
        elif len(cells) > 1 or "".join(cells).strip():
            swallowed = "\n" in "".join(cells) and records.gives_back(len(header))
            advice = "mend its quotes" if swallowed or "\n" in "".join(cells) else f"quote cells with {marks}"
            yield number, f"has {len(cells)} cells where the header has {len(header)}; {advice}"


def _header(lines: Iterator[Cells | str], known: Collection[str]) -> tuple[Cells | str, Iterator[Cells | str]]:
    """The names of the columns, and the lines below them; above them may stand the table's title, a cell to a line."""
    first = next((cells for cells in lines if isinstance(cells, str) or _is_header(cells)), [])
    if isinstance(first, str) or len([*filter(str.strip, first)]) != 1 or plain("".join(first)) in known:
        return first, lines
    ahead = [*islice(lines, _MOST_TITLES)]
    for place, cells in enumerate(ahead):
        if not isinstance(cells, str) and sum(plain(name) in known for name in cells) > 1:
            return cells, chain(ahead[place + 1 :], lines)
    return first, chain(ahead, lines)


def _is_header(cells: Cells) -> bool:
    """Whether a line is neither blank nor Excel's ``sep=;``."""
    return any(map(str.strip, cells)) and not cells[0].lower().startswith("sep=")


def _dialect(sample: str, known: Collection[str]) -> _Dialect:
    """The dialect in which the header has the most known names, then the most cells."""
    lines = [line for line in sample.splitlines() if line.strip()]
    first = lines[0] if lines else ""
    said = re.match(r"[\"']?sep=(.)", first, re.I)
    others = {mark for mark in first if not mark.isalnum() and mark not in "\"' _-.()#&?"} if not said else said[1]
    escape = "\\" if re.search(r'[^\\\n]\\"[^,;|\t\r\n]', sample) and '""' not in sample else None

    def fit(dialect: _Dialect) -> tuple[int, int]:
        header: Cells | str = []
        with suppress(csv.Error):
            header, _ = _header(dialect.reader(io.StringIO(sample, newline=""), strict=False), known)
        marked = dialect.quote == "'" or not any(name.startswith("'") for name in header)
        return marked * sum(plain(name) in known for name in header), len(header)

    separators = [said[1]] if said else [*_SEPARATORS, *sorted(others - _SEPARATORS.keys())]
    quotes = ['"', "'"] if lines[bool(said) :] and lines[bool(said)].startswith("'") else ['"']
    return max((_Dialect(one, quote, escape) for one in separators for quote in quotes), key=fit)


class _Records:
    """Lists of cells, and what is wrong with a line; a line whose quotes would swallow others is wrong by itself."""

    def __init__(self, stream: Iterable[str], dialect: _Dialect) -> None:
        self._stream, self._dialect = iter(stream), dialect
        self._waiting = deque[str]()  # lines to be read again
        self._taken: list[str] = []  # the lines of the last record
        self._reader = dialect.reader(self._lines(), strict=True)

    def _lines(self) -> Iterator[str]:
        while (line := self._waiting.popleft() if self._waiting else next(self._stream, None)) is not None:
            self._taken.append(line)
            yield line
            if len(self._taken) > _MOST_LINES:
                raise csv.Error(f"a quote is open for {_MOST_LINES} lines")

    def __iter__(self) -> Iterator[list[str] | str]:
        while True:
            self._taken.clear()
            try:
                record = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                self._give_back()
                yield f"{error}; mend the quotes there"
            else:
                yield record

    def _give_back(self) -> None:
        """Have all lines of the last record but the first read again."""
        if len(self._taken) > 1:
            self._waiting.extendleft(reversed(self._taken[1:]))
            self._reader = self._dialect.reader(self._lines(), strict=True)

    def gives_back(self, cells: int) -> bool:
        """Whether one of the last record's later lines is a row of so many cells; if so, they are read again."""
        alone = self._dialect.reader(self._taken[1:], strict=False)
        if found := any(len(record) == cells for record in alone):
            self._give_back()
        return found


# JSON, Parquet, XLSX, XML


def _json(content: bytes, known: Collection[str]) -> Lines:
    """A row for each record, or for each of the things that it lists (INNER); what is in objects has columns named as
    the path to it, ``customer email``, and what a thing in a list says that its record says too ``variant id``."""
    outer: dict[str, None] = {}
    inner: dict[tuple[str, str], None] = {}
    for _, record in _values(content, known):
        if isinstance(record, dict):
            above, below = _levels(record)
            outer |= dict.fromkeys(above)
            for one in below:
                inner |= dict.fromkeys(one or ())
    named = {one: one[1] if one[1] not in outer else " ".join(one) for one in inner}
    names = [*outer, *dict.fromkeys(named.values())]
    yield 1, names
    for number, record in _values(content, known):
        if not isinstance(record, dict):
            yield number, _NO_OBJECT
            continue
        above, below = _levels(record)
        if not below:
            yield number, [text(above.get(name)) for name in names]
        for one in below:
            cells = None if one is None else above | {named[place]: value for place, value in one.items()}
            yield number, _NO_OBJECT if cells is None else [text(cells.get(name)) for name in names]


def _levels(record: dict[str, Any]) -> tuple[dict[str, Any], list[dict[tuple[str, str], Any] | None]]:
    """A record's own cells, and those of the things that it lists, each by the list's name in the singular and its own
    name; None for a thing that is no object."""
    if not any(isinstance(one, list | dict) for one in record.values()):
        return record, []
    listed = next((name for name in INNER if isinstance(one := record.get(name), list) and _has_object(one)), None)
    above = _flat({name: value for name, value in record.items() if name != listed})
    below: list[dict[tuple[str, str], Any] | None] = []
    for one in record[listed] if listed else []:
        if not isinstance(one, dict):
            below.append(None)
            continue
        for name, value in [*one.items()]:  # image_id: 7 is the object of the record's images that has the id 7
            others = record.get(f"{name.removesuffix('_id')}s") if name.endswith("_id") and value else None
            for other in others if isinstance(others, list) else ():
                if isinstance(other, dict) and other.get("id") == value:
                    one = {**one, name.removesuffix("_id"): other}
        below.append({(str(listed).removesuffix("s"), name): value for name, value in _flat(one).items()})
    return above, below


def _flat(record: dict[str, Any], depth: int = 4) -> dict[str, Any]:
    """The cells of a record: those in its objects by the path to them, names in a list side by side."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict) and value and depth:
            flat |= {f"{name} {below}": one for below, one in _flat(value, depth - 1).items()}
        elif not (isinstance(value, list) and value):
            flat[name] = value
        elif all(isinstance(one, dict) and "name" in one for one in value) and not _shows(value):
            values = [{key: one[key] for key in _VALUES if key in one} for one in value]
            if any(values):
                for number, (one, said) in enumerate(zip(value, values, strict=True), 1):
                    flat[f"{name} {number} name"] = one["name"]
                    flat |= {f"{name} {number} {key}": _only(said[key]) for key in said}
            else:
                flat[name] = ", ".join(text(one["name"]) for one in value)
        else:
            flat[name] = _only(value)
    return flat


def _shows(listed: Iterable[dict[str, Any]]) -> bool:
    return any("src" in one or "url" in one for one in listed)


def _only(value: Any) -> Any:
    """What stands in a list alone; several stay a list."""
    return value[0] if isinstance(value, list) and len(value) == 1 and not isinstance(value[0], dict | list) else value


def _has_object(listed: Iterable[Any]) -> bool:
    return any(isinstance(one, dict) for one in listed)


def _values(content: bytes, known: Collection[str]) -> Iterable[tuple[int, Any]]:
    """What a list holds, or the one list in an object, or each line; numbered as rows. Raises ValueError."""
    stream = _stream(content)
    lines = (line for line in stream if line.strip("\ufeff \t\r\n"))
    first, second = next(lines, ""), next(lines, None)
    stream.seek(0)
    if first.lstrip("\ufeff \t").startswith("["):
        return enumerate(_pages(json.load(stream)), 2)
    if second is None or json_in(first) is None:
        whole = json_in(stream.read())
        if isinstance(whole, dict):
            return enumerate(_under(whole, known) or [whole], 2)
    stream = _stream(content)
    numbered = ((number, json_in(line)) for number, line in enumerate(stream, 2) if line.strip())
    return ((number, one) for number, value in numbered for one in _pages([value]))


def _pages(records: Iterable[Any]) -> Iterator[Any]:
    """Records, also those on the pages ``{"products": [...]}`` that an API gave one after the other."""
    for one in records:
        alone = next(iter(one.values())) if isinstance(one, dict) and len(one) == 1 else None
        yield from alone if isinstance(alone, list) and _has_object(alone) else [one]


def _under(whole: dict[str, Any], known: Collection[str]) -> list[Any] | None:
    """The one list of objects in an object, or in the objects in it, that says nothing of a record itself."""
    if any(plain(name) in known for name, value in whole.items() if not isinstance(value, list | dict)):
        return None
    lists = [one for one in whole.values() if isinstance(one, list) and _has_object(one)]
    lists = lists or [one for value in whole.values() if isinstance(value, dict) and (one := _under(value, known))]
    return lists[0] if len(lists) == 1 else None


def json_in(text: str) -> Any:
    """What a text says in JSON; None for any other."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _parquet(content: bytes, _: Collection[str]) -> Lines:
    frame = pl.read_parquet(content)
    yield 1, frame.columns
    dates = (  # Python's end with the year 9999
        cs.date().cast(pl.String),
        cs.datetime(time_zone=None).dt.to_string(_TIME),
        cs.datetime(time_zone="*").dt.to_string(_TIME + "%:z"),
    )
    for number, cells in enumerate(frame.with_columns(*dates).iter_rows(), 2):
        yield number, [text(cell) for cell in cells]


def _xlsx(content: bytes, known: Collection[str]) -> Lines:
    """The first sheet that has rows; formulas are what they were when the file was saved."""
    try:
        import python_calamine
    except ModuleNotFoundError as error:
        raise MissingExtraError("formats", "reading spreadsheets") from error
    try:
        workbook = python_calamine.load_workbook(io.BytesIO(content))
        sheets = (workbook.get_sheet_by_name(name) for name in workbook.sheet_names)
        sheet = next((sheet for sheet in sheets if sheet.total_height), None)
        rows = iter(sheet.to_python(skip_empty_area=False)) if sheet else iter(())
    except (python_calamine.CalamineError, python_calamine.ZipError) as error:
        raise ValueError(error) from error
    filled = ((number, [text(cell) for cell in row]) for number, row in enumerate(rows, 1))
    numbered = [(number, cells) for number, cells in filled if any(cells)]
    header, below = _header((cells for _, cells in numbered), known)
    yield 1, header
    left = len([*below])
    yield from numbered[len(numbered) - left :]


def _xml(content: bytes, _: Collection[str]) -> Lines:
    """The elements of a feed that stand for rows; a column each for their children, by their names without a prefix."""
    rows = _elements(content)
    names = dict.fromkeys(name for row in rows for name in row)
    yield 1, list(names)
    for number, row in enumerate(rows, 2):
        cells = [row.get(name, []) for name in names]
        yield number, [text(cell[0] if len(cell) == 1 else cell or None) for cell in cells]


def _elements(content: bytes) -> list[dict[str, list[str]]]:
    parser = expat.ParserCreate(namespace_separator=" ")
    rows: list[dict[str, list[str]]] = []
    path: list[str] = []
    inside = 0  # how deep the row lies that is being read
    said: list[str] = []
    leaf = False  # whether nothing has ended in the element that began last

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal inside, leaf
        leaf = True
        path.append(name.rpartition(" ")[2])
        said.clear()
        if not inside and path[-1].casefold() in _ROWS:
            inside = len(path)
            rows.append({})

    def end(name: str) -> None:
        nonlocal inside, leaf
        written = "".join(said).strip()
        if inside and len(path) > inside and (leaf or written):
            rows[-1].setdefault(" ".join(path[inside:]), []).extend([written] if written else [])
        leaf = False
        said.clear()
        path.pop()
        if len(path) < inside:
            inside = 0

    def refuse(*_: Any) -> None:
        raise ValueError("it declares entities; write the texts themselves")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = said.append
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(error) from error
    return rows


_READERS: dict[str, Callable[[bytes, Collection[str]], Lines]] = {
    "CSV": _csv, "JSON": _json, "Parquet": _parquet, "XLSX": _xlsx, "XML": _xml,
}  # fmt: skip
