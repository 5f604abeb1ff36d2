"""Stores are read from a shop's own table; what is no store is reported by row."""

import polars as pl
import pytest

from modiste.catalog.columns import Layout
from modiste.catalog.stores import read_stores
from modiste.errors import SourceError

GOOD = "store_id,lat,lon,name\nnord,48.9,2.35,Gare du Nord\nsud,48.8,2.33,\n"


def test_stores_are_read_from_csv_and_parquet_with_short_or_long_names(tmp_path):
    (tmp_path / "stores.csv").write_text(GOOD, encoding="utf-8")
    found, rejected, _ = read_stores(tmp_path / "stores.csv")
    assert found.rows() == [("nord", "Gare du Nord", 48.9, 2.35), ("sud", "sud", 48.8, 2.33)]
    assert not rejected
    numbered = pl.DataFrame({"store_id": [0, 1], "latitude": [1.0, 2.0], "longitude": [3.0, 4.0], "lat": [9.0, 9.0]})
    numbered.write_parquet(tmp_path / "stores.parquet")
    found, rejected, _ = read_stores(tmp_path / "stores.parquet")
    assert found.rows() == [("0", "0", 1.0, 3.0), ("1", "1", 2.0, 4.0)]
    assert not rejected


def test_what_a_mapping_says_of_stores_is_heard(tmp_path):
    file = tmp_path / "stores.csv"
    file.write_text("Filiale,lat,Kurz,Lang\nnord,48.9,,Gare du Nord\nsud,48.8,Sud,\nost,48.7,,\n", encoding="utf-8")
    said = Layout(
        columns={"store_id": ["Filiale"], "name": ["Kurz", "Lang"]},
        constants={"longitude": "2.35", "name": "a branch"},
        words={"store_id": {"nord": "N"}},
    )
    found, rejected, understood = read_stores(file, said)
    assert found.rows() == [
        ("N", "Gare du Nord", 48.9, 2.35),
        ("sud", "Sud", 48.8, 2.35),
        ("ost", "a branch", 48.7, 2.35),
    ]
    assert understood.columns["longitude"] == "always 2.35"
    assert not rejected


def test_rows_that_are_no_stores_are_rejected_with_row_and_reason(tmp_path):
    file = tmp_path / "stores.csv"
    file.write_text(GOOD + "nord,1,1,\n,1,1,\neast,91,0,\nwest,north,0,\nvoid,,,\nnone,nan,0,\n", encoding="utf-8")
    found, rejected, _ = read_stores(file)
    assert found["store_id"].to_list() == ["nord", "sud"]
    assert [(one.row, one.reason.split(";")[0]) for one in rejected] == [
        (4, "store_id 'nord' stands twice"),
        (5, "no store_id"),
        (6, "91, 0 is no place: latitude -90 to 90, longitude -180 to 180"),
        (7, "north, 0 is no place: latitude -90 to 90, longitude -180 to 180"),
        (8, "None, None is no place: latitude -90 to 90, longitude -180 to 180"),
        (9, "nan, 0 is no place: latitude -90 to 90, longitude -180 to 180"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("stores.csv", "store_id,lat\na,1\n", "no column longitude"),
        ("stores.csv", "", "no column store_id, latitude, longitude"),
        ("stores.csv", "store_id,lat,lon\n", "has no rows"),
        ("stores.parquet", "not parquet", "can't be read as Parquet"),
        ("elsewhere.csv", None, "doesn't exist"),
    ],
)
def test_a_file_that_holds_no_stores_is_refused(tmp_path, name, text, complaint):
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=complaint):
        read_stores(tmp_path / name)
