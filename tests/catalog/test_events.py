"""Orders come from a shop's own table; what can't be understood is reported by row."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from modiste.catalog.events import Event, read_events
from modiste.errors import SourceError


def test_orders_are_read_and_bad_rows_reported(tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text(
        "user_id,item_id,date,order_id\n1,a,2025-03-31,x\n,a,2025-03-31,y\n2,sock,2025-03-31,z\n3,a,31 June 2025,w\n"
        "4,a,2025-03-31T14:05:00+02:00,v\n"
    )
    found = read_events(file, {"a"})
    orders, rejected = found.events, found.rejected
    assert [(order.shopper_id, order.order_id) for order in orders] == [("1", "x"), ("4", "v")]
    assert orders[1].at.isoformat() == "2025-03-31T12:05:00"
    assert [one.row for one in rejected] == [3, 4, 5]
    assert "no shopper_id" in rejected[0].reason
    assert "'sock'" in rejected[1].reason
    assert "2025-03-31" in rejected[2].reason


def test_an_order_of_no_possible_day_is_rejected(tmp_path):
    now = datetime.now(UTC)
    days = [
        "1969-12-31T23:59:59",
        "1970-01-01",
        "1970-01-01T00:30:00+01:00",  # an hour earlier in UTC
        (now + timedelta(hours=23)).isoformat(),
        (now + timedelta(hours=25)).isoformat(),
        "9999-12-31T23:00:00-05:00",
        "2205-03-31",
    ]
    file = tmp_path / "orders.csv"
    file.write_text("shopper_id,item_id,date\n" + "".join(f"1,a,{day}\n" for day in days))
    found = read_events(file, {"a"})
    orders, rejected = found.events, found.rejected
    assert [order.at for order in orders] == [datetime(1970, 1, 1), (now + timedelta(hours=23)).replace(tzinfo=None)]
    assert [one.row for one in rejected] == [2, 4, 6, 7, 8]
    assert "1969-12-31 is before 1970-01-01" in rejected[0].reason
    assert "2205-03-31 is in the future" in rejected[4].reason


def test_a_login_stands_in_for_a_customer_number_that_is_empty(tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text(
        "User_ID,shopper_id,item_id,date,at,order_id\n17,ann,a,2025-03-01,web,\n18,,a,2025-03-02,shop,\n,,a,2025-03-03,,\n"
    )
    found = read_events(file, {"a"})
    orders, rejected = found.events, found.rejected
    assert orders == [Event("ann", "a", datetime(2025, 3, 1)), Event("18", "a", datetime(2025, 3, 2))]
    assert [(one.row, one.reason) for one in rejected] == [(4, "no shopper_id")]


def test_an_order_number_that_is_empty_is_none(tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text('"shopper_id","item_id","at","order_id"\n"ann","a","2025-03-01",""\n"ann","a","2025-03-01"," A1"\n')
    found = read_events(file, {"a"})
    orders = found.events
    assert [order.order_id for order in orders] == [None, "A1"]


def test_ids_that_pandas_made_numbers_are_read_as_they_were(tmp_path):
    frame = pl.DataFrame(
        {
            "shopper_id": [4711.0, None, 4711.0],
            "item_id": [1001.0, 1001.0, None],
            "date": [datetime(2025, 3, 1, 14, 5)] * 3,
            "order_id": [9001.0, 9002.0, 9003.0],
        }
    )
    frame.write_parquet(tmp_path / "orders.parquet")
    found = read_events(tmp_path / "orders.parquet", {"1001"})
    orders, rejected = found.events, found.rejected
    assert orders == [Event("4711", "1001", datetime(2025, 3, 1, 14, 5), order_id="9001")]
    assert [(one.row, one.reason) for one in rejected] == [
        (3, "no shopper_id"),
        (4, "no item '' in the shop; add it first"),
    ]


def test_ids_that_no_database_takes_are_reported(tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text(f'shopper_id,item_id,date,order_id\n"a\nb",a,2025-03-01,\nann,a,2025-03-01,{"9" * 201}\n')
    found = read_events(file, {"a"})
    orders, rejected = found.events, found.rejected
    assert not orders
    assert [one.row for one in rejected] == [2, 3]
    assert "control characters" in rejected[0].reason
    assert "201 characters; give at most 200" in rejected[1].reason


def test_a_table_without_the_columns_is_refused(tmp_path):
    (tmp_path / "orders.csv").write_text("who,what\n1,2\n")
    with pytest.raises(SourceError, match="shopper_id, item_id, date"):
        read_events(tmp_path / "orders.csv", set())
    (tmp_path / "orders.csv").write_text("shopper_id,item_id,date\n")
    with pytest.raises(SourceError, match="has no rows"):
        read_events(tmp_path / "orders.csv", set())
    with pytest.raises(SourceError, match="doesn't exist"):
        read_events(tmp_path / "nothing.csv", set())


@pytest.mark.data
def test_real_rentals_are_orders(shared_data, tmp_path):
    rentals = pl.read_parquet(shared_data / "rentals" / "rentals.parquet").head(2000)
    rentals.write_parquet(tmp_path / "orders.parquet")
    found = read_events(tmp_path / "orders.parquet", set(rentals["item_id"].cast(pl.String)))
    orders, rejected = found.events, found.rejected
    assert len(orders) == 2000
    assert not rejected
