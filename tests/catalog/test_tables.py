"""Tables come back as they were written, in every dialect; what can't be read is named, and nothing is lost."""

import csv
import gzip
import io
import json
import random
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.catalog import tables
from modiste.catalog.tables import Table, as_cell, as_cells, open_table
from modiste.catalog.values import composed
from modiste.errors import SourceError

KNOWN = ("itemid", "price", "sku")


def opened(file: Path) -> Table:
    return open_table(file, KNOWN)


def rows(table: Table) -> dict[int, Any]:
    """What stands in each row: its texts, or what is wrong with it."""
    return {
        number: cells if isinstance(cells, str) else dict(zip(table.header, map(str.strip, cells), strict=True))
        for number, cells in table.lines
    }


def read(folder: Path, content: str | bytes, name: str = "items.csv") -> dict[int, Any]:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return rows(opened(folder / name))


# What was written comes back


def written(codec: str) -> st.SearchStrategy[str]:
    """Texts that are read as they stand: composed, and without an apostrophe at their start, which may be a mark."""
    letters = st.characters(codec=codec, exclude_characters="\0")
    return st.text(letters, max_size=8).map(composed).filter(lambda one: not one.strip().startswith("'"))


cell, latin = written("utf-8"), written("cp1252")


def stripped(rows: list[list[str]]) -> list[list[str]]:
    return [[one.strip() for one in row] for row in rows]


@given(
    rows=st.lists(st.lists(cell, min_size=3, max_size=3), min_size=1, max_size=5),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    first=st.sampled_from(["", "sep", "\r\n"]),
    packed=st.booleans(),
)
def test_a_csv_of_any_dialect_comes_back(
    rows: list[list[str]], separator: str, quoting: Any, encoding: str, first: str, packed: bool
) -> None:
    out = io.StringIO()
    out.write(f"sep={separator}\r\n" if first == "sep" else first)
    lines = csv.writer(out, delimiter=separator, quoting=quoting)
    lines.writerows([["Item_ID", " title", "größe, in; cm"], *rows])
    content = out.getvalue().encode(encoding)
    with TemporaryDirectory() as folder:
        file = Path(folder) / ("items.csv.gz" if packed else "items.csv")
        file.write_bytes(gzip.compress(content) if packed else content)
        table = opened(file)
        assert table.header == ("Item_ID", "title", "größe, in; cm")
        found = list(table.lines)
    assert [number for number, _ in found] == list(range(2, len(rows) + 2))
    assert stripped([list(cells) for _, cells in found if not isinstance(cells, str)]) == stripped(rows)


@given(st.lists(st.lists(latin, min_size=2, max_size=2), min_size=1, max_size=5))
def test_windows_1252_is_read_where_it_is_no_utf8(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["item_id", "title"], ["1", "é, "], *rows])
    with TemporaryDirectory() as folder:
        found = read(Path(folder), out.getvalue().encode("cp1252"))
    assert [list(row.values()) for row in found.values()] == stripped([["1", "é, "], *rows])


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["item_id", "title", "size"]), st.one_of(cell, st.integers(), st.none())),
        max_size=5,
    ),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_json_comes_back_as_lines_and_as_a_list(rows: list[dict[str, Any]], listed: bool, encoding: str) -> None:
    rows = [{"item_id": "1"}, *rows]
    lines = json.dumps(rows, indent=1) if listed else "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    with TemporaryDirectory() as folder:
        found = read(Path(folder), lines.encode(encoding), "items.json")
    names = dict.fromkeys(name for row in rows for name in row)
    wanted = [{name: str("" if row.get(name) is None else row[name]).strip() for name in names} for row in rows]
    assert list(found.values()) == wanted
    assert list(found) == list(range(2, len(rows) + 2))


@given(st.binary(max_size=60), st.sampled_from([".csv", ".txt", ".json", ".jsonl", ".parquet", ".csv.gz"]))
def test_any_bytes_are_rows_reasons_or_a_sentence(content: bytes, suffix: str) -> None:
    with TemporaryDirectory() as folder:
        for start in (
            b"",
            b'item_id,price\n"a",1\n',
            b"\xff\xfei\0t\0e\0m\0_\0i\0d\0\n\0",
            b'{"item_id": 1}\n',
            b"[{",
            b"\x1f\x8b",
        ):
            file = Path(folder) / f"items{suffix}"
            file.write_bytes(start + content)
            with suppress(SourceError):
                for number, row in opened(file).lines:
                    assert number >= 2
                    assert isinstance(row, str | list | tuple)


def test_parquet_reads_as_the_csv_it_could_have_been(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "Item_ID": [4711.0, None],
            "price": [0.5, float("nan")],
            "day": [date(2025, 3, 31), None],
            "at": [datetime(2025, 3, 31, 14, 5), datetime(2025, 3, 31, 14, 5, 0, 250_000)],
            "zoned": pl.Series([datetime(2025, 3, 31, tzinfo=UTC), None]).dt.convert_time_zone("Europe/Paris"),
            "kind": pl.Series(["Dress", None], dtype=pl.Categorical),
            "tags": [["a", "b"], []],
            "raw": [b"caf\xc3\xa9", None],
        }
    )
    frame.write_parquet(tmp_path / "items.parquet")
    assert list(rows(opened(tmp_path / "items.parquet")).values()) == [
        {
            "Item_ID": "4711",
            "price": "0.5",
            "day": "2025-03-31",
            "at": "2025-03-31 14:05:00",
            "zoned": "2025-03-31 02:00:00+02:00",
            "kind": "Dress",
            "tags": '["a", "b"]',
            "raw": "café",
        },
        dict.fromkeys(["Item_ID", "price", "day", "zoned", "kind", "raw"], "")
        | {"at": "2025-03-31 14:05:00.250", "tags": "[]"},
    ]


def test_parquet_may_hold_years_that_python_has_not(tmp_path: Path) -> None:
    far = pl.Series("date", [253_402_300_800_000]).cast(pl.Datetime("ms"))
    pl.DataFrame({"item_id": ["1"], "date": far, "day": far.cast(pl.Date)}).write_parquet(tmp_path / "items.parquet")
    (row,) = rows(opened(tmp_path / "items.parquet")).values()
    assert (row["date"], row["day"]) == ("+10000-01-01 00:00:00", "+10000-01-01")


# Dialects


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ('item_id,title\n1,30" inseam\n', {"item_id": "1", "title": '30" inseam'}),
        ('item_id,title\nO"Neil,32"\n', {"item_id": 'O"Neil', "title": '32"'}),
        ('item_id,title\n1,"30"" inseam, slim"\n', {"item_id": "1", "title": '30" inseam, slim'}),
        ('item_id, title\n1, "a, b"\n', {"item_id": "1", "title": "a, b"}),
        ('item_id,title\n1,"two\nlines"\n', {"item_id": "1", "title": "two\nlines"}),
        ('"item_id";"a,b,c"\n1;2\n', {"item_id": "1", "a,b,c": "2"}),
        ("item_id|a,b\n1|2\n", {"item_id": "1", "a,b": "2"}),
        ('"sep=;"\nitem_id;title\n1;2\n', {"item_id": "1", "title": "2"}),
        ("item_id,title\r1,2\r", {"item_id": "1", "title": "2"}),
        ("item_id\n1;2\n", {"item_id": "1;2"}),
        ("item_id,title\n1," + "x" * 200_000 + "\n", {"item_id": "1", "title": "x" * 200_000}),
        (",item_id\n0,1\n", {"": "0", "item_id": "1"}),
    ],
)
def test_a_dialect_is_told_by_the_header(tmp_path: Path, content: str, row: dict[str, str]) -> None:
    assert read(tmp_path, content) == {2: row}


def test_what_unpacks_to_far_more_than_a_table_does_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "SOON", 1000)
    content = b"item_id\n" + b"1" * 1_000_000
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content))
    for name, held in (("b.zip", "b.csv"), ("c.xlsx", "[Content_Types].xml")):
        with ZipFile(tmp_path / name, "w", ZIP_DEFLATED) as archive:
            archive.writestr(held, content)
    for file in tmp_path.iterdir():
        with pytest.raises(SourceError, match="holds more than 100 times its size"):
            open_table(file, ())
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(random.Random(0).randbytes(3000).hex().encode()))
    assert open_table(tmp_path / "d.csv.gz", ()).header


def test_gzip_is_told_by_its_content(tmp_path: Path) -> None:
    packed = gzip.compress(b"item_id\n1\n")
    assert read(tmp_path, packed) == read(tmp_path, packed, "items.tsv.GZ") == {2: {"item_id": "1"}}
    assert read(tmp_path, "item_id\n1\n", "items.csv.gz") == {2: {"item_id": "1"}}


# Rows that can't be read


def test_a_bad_row_is_a_reason_and_the_others_are_read(tmp_path: Path) -> None:
    found = read(
        tmp_path, '\nitem_id;title\n1;a\n\n2;b;c\n3\n   \n4;"he said "hi" there"\n5;e\n"6;\n";x;y\n7;\0\n;\n8;"open'
    )
    assert found == {
        2: {"item_id": "1", "title": "a"},
        4: "has 3 cells where the header has 2; quote cells with semicolons",
        5: "has 1 cells where the header has 2; quote cells with semicolons",
        7: "';' expected after '\"'; mend the quotes there",
        8: {"item_id": "5", "title": "e"},
        9: "has 3 cells where the header has 2; mend its quotes",
        10: "holds what is no character in its encoding (or NUL, or half of one); save the file as UTF-8",
        11: {"item_id": "", "title": ""},
        12: "unexpected end of data; mend the quotes there",
    }


def test_a_line_that_is_no_object_is_a_reason(tmp_path: Path) -> None:
    found = read(tmp_path, '{"item_id": 4711.0}\n\n[1]\n{"item_id": \n"x"\n{"item_id": "\\ud800"}\n', "items.jsonl")
    assert found[2] == {"item_id": "4711"}
    assert all("is no JSON object" in found[row] for row in (4, 5, 6))
    assert "no character" in found[7]
    assert read(tmp_path, '[{"item_id": 1}, null, ""]', "items.json")[4].startswith("is no JSON object")


# Files that can't be read


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("items.csv", b'item_id,"ti"tle"\n1,a\n', "items.csv can't be read as CSV: line 1: "),
        ("items.csv", b"\xff\xfei", "is not text in UTF-16"),
        ("items.csv.gz", gzip.compress(b"item_id\n1\n", mtime=0)[:-6], "can't be read: "),
        ("items.json", b'[{"item_id": 1},', "can't be read as JSON: "),
        ("items.json", b"[" * 100_000, "can't be read as JSON: "),
        ("items.parquet", b"PAR1", "can't be read as Parquet: "),
        ("items.xlsx", b"PK", "can't be read as XLSX: "),
        ("items.xml", b"<rss><item>", "can't be read as XML: no element found"),
        ("items.bin", bytes(range(256)), "is no table that can be read; give CSV, JSON, XLSX, Parquet, XML"),
        ("items.zip", b"PK\3\4", "can't be read: File is not a zip file"),
    ],
)
def test_a_file_that_is_no_table_says_what_to_do(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=complaint):
        list(opened(tmp_path / name).lines)


def test_a_folder_or_nothing_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "items.csv").mkdir()
    with pytest.raises(SourceError, match="is no regular file"):
        opened(tmp_path / "items.csv")
    with pytest.raises(SourceError, match="doesn't exist"):
        opened(tmp_path / "none.csv")


MARKS = "=+-@＝＋－＠'\t\n"


odd = st.text(st.sampled_from(MARKS) | st.characters(codec="utf-8", exclude_characters="\0\r"))


@given(st.lists(odd.filter(lambda one: not one.startswith(" ")), min_size=1))
def test_what_we_write_has_no_formula_and_is_read_as_it_was(texts: list[str]) -> None:
    frame = as_cells(pl.DataFrame({"item_id": [f"{number}" for number in range(len(texts))], "title": texts}))
    assert frame["title"].to_list() == [as_cell(one) for one in texts]
    with TemporaryDirectory() as folder:
        frame.write_csv(Path(folder) / "items.csv")
        with (Path(folder) / "items.csv").open(newline="", encoding="utf-8") as file:
            written = [title for _, title in csv.reader(file)][1:]
        assert not [one for one in written if one[:1] and one[0] in MARKS.replace("'", "") + "\r"]
        found = rows(opened(Path(folder) / "items.csv"))
    assert [found[number]["title"] for number in range(2, len(texts) + 2)] == [composed(one).strip() for one in texts]
