"""Orders come from a shop's own table; what can't be understood is reported by row."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from modiste.errors import SettingError, SourceError
from modiste.shop.orders import check_date, read_orders


def test_orders_are_read_and_bad_rows_reported(tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text(
        "user_id,item_id,date,order_id\n1,a,2025-03-31,x\n,a,2025-03-31,y\n2,sock,2025-03-31,z\n3,a,31 March,w\n"
        "4,a,2025-03-31T14:05:00+02:00,v\n"
    )
    orders, rejected = read_orders(file, {"a"})
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
    orders, rejected = read_orders(file, {"a"})
    assert [order.at for order in orders] == [datetime(1970, 1, 1), (now + timedelta(hours=23)).replace(tzinfo=None)]
    assert [one.row for one in rejected] == [2, 4, 6, 7, 8]
    assert "1969-12-31 is before 1970-01-01" in rejected[0].reason
    assert "2205-03-31 is in the future" in rejected[4].reason


def test_a_date_that_can_t_be_is_a_bad_setting():
    check_date(datetime(2025, 3, 31))
    for impossible in (datetime.min, datetime(1969, 12, 31), datetime(9000, 1, 1), datetime.max):
        with pytest.raises(SettingError, match="give the day of the order"):
            check_date(impossible)


def test_a_table_without_the_columns_is_refused(tmp_path):
    (tmp_path / "orders.csv").write_text("who,what\n1,2\n")
    with pytest.raises(SourceError, match="shopper_id, item_id, date"):
        read_orders(tmp_path / "orders.csv", set())
    with pytest.raises(SourceError, match="doesn't exist"):
        read_orders(tmp_path / "nothing.csv", set())


@pytest.mark.data
def test_real_rentals_are_orders(shared_data, tmp_path):
    rentals = pl.read_parquet(shared_data / "rentals" / "rentals.parquet").head(2000)
    rentals.write_parquet(tmp_path / "orders.parquet")
    orders, rejected = read_orders(tmp_path / "orders.parquet", set(rentals["item_id"].cast(pl.String)))
    assert len(orders) == 2000
    assert not rejected
