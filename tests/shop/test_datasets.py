"""What was exported for other libraries, read back as they read it, is the shop's."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from modiste import commands
from modiste.catalog.events import Event
from modiste.catalog.items import Item
from modiste.shop.datasets import export_dataset
from modiste.shop.shop import Shop


@pytest.fixture
def odd(small: Shop) -> Shop:
    """With texts that a table without quotes can't hold, and purchases to the microsecond."""
    small.items.put(Item("0007", category="Dresses", price=12.5, title='A "long"\ttitle,\nover two lines; é', stock=3))
    small.purchases.record(
        [
            Event("anna", "0007", datetime(2025, 3, 1, 12, 30, 15, 250_000), order_id="o1"),
            Event("béa 2", "a", datetime(2025, 3, 2)),
            Event("béa 2", "a", datetime(2025, 3, 9)),
        ]
    )
    return small


def atomic(file: Path) -> pl.DataFrame:
    """As RecBole reads its atomic files: split at tabs, types by the header, no quotes."""
    header, *lines = file.read_text("utf-8").split("\n")[:-1]
    columns = [one.rsplit(":", 1) for one in header.split("\t")]
    cells = [line.split("\t") for line in lines]
    assert all(len(one) == len(columns) for one in cells)
    read = {
        "token": str,
        "token_seq": lambda text: " ".join(text.split(" ")),
        "float": lambda text: float(text or "nan"),
    }
    return pl.DataFrame({name: [read[kind](one[n]) for one in cells] for n, (name, kind) in enumerate(columns)})


def test_recbole_reads_the_shop(odd: Shop, tmp_path: Path) -> None:
    files = export_dataset(odd, tmp_path / "street", "recbole")
    assert [file.name for file in files] == ["street.inter", "street.item", "street.user"]
    events, items, users = map(atomic, files)
    bought = odd.purchases.frame()
    assert events["user_id"].to_list() == bought["shopper_id"].to_list()
    assert events["item_id"].to_list() == bought["item_id"].to_list()
    assert [datetime.fromtimestamp(at, UTC).replace(tzinfo=None) for at in events["timestamp"]] == bought[
        "at"
    ].to_list()
    assert items["item_id"].to_list() == ["0007", "a", "b", "c", "d", "e"]
    dress = items.row(0, named=True)
    assert (dress["price"], dress["stock"], dress["category"]) == (12.5, 3, "Dresses")
    assert dress["title"] == 'A "long" title, over two lines; é'
    assert users["user_id"].to_list() == ["anna", "béa 2"]
    assert users["trendiness"].to_list() == odd.shoppers.frame()["trendiness"].to_list()


def test_lenskit_reads_the_shop(odd: Shop, tmp_path: Path) -> None:
    said = CliRunner().invoke(
        commands.app, ["export", str(odd.path), "--form", "lenskit", "--out", str(tmp_path / "out")]
    )
    assert said.exit_code == 0, said.output
    events = pl.read_parquet(tmp_path / "out" / "purchases.parquet")
    assert events.columns == ["user_id", "item_id", "timestamp"]
    assert events.rows() == odd.purchases.frame().select("shopper_id", "item_id", "at").rows()
    pairs = pl.read_parquet(tmp_path / "out" / "interactions.parquet")  # its loader refuses a pair that stands twice
    assert pairs.columns == ["user_id", "item_id", "timestamp", "count"]
    assert pairs.rows()[1:] == [("béa 2", "a", datetime(2025, 3, 9), 2)]
    assert pairs["count"].sum() == events.height == 3
    items = pl.read_parquet(tmp_path / "out" / "items.parquet")
    assert items["item_id"].to_list() == odd.items.frame()["item_id"].to_list()
    assert items.row(0, named=True)["title"] == 'A "long"\ttitle,\nover two lines; é'
    again = Shop.create(tmp_path / "again")  # and so does a shop
    with again:
        assert again.items.add(tmp_path / "out" / "items.parquet").added == 6
        assert again.items["0007"]["price"] == 12.5
