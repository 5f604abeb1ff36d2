"""The lists of all, in one file: each is what recommend says, whoever asks how, and an interrupted run goes on."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modiste import Item
from modiste.catalog.tables import open_table
from modiste.errors import SettingError
from modiste.shop.lists import recommend_all
from modiste.shop.recommendations import TERMS
from modiste.shop.shop import Shop

from ..running import typed


@pytest.fixture
def busy(shop: Shop) -> Shop:
    """With 20 simulated shoppers with positions, and two of whom no purchase is known."""
    shop.simulate(shoppers=20, purchases=4, seed=3)
    shop.shoppers.put("guest-1")
    shop.shoppers.put("guest-2", latitude=48.86, longitude=2.35)
    return shop


def written(file: Path) -> pl.DataFrame:
    read = {".parquet": pl.read_parquet, ".csv": pl.read_csv, ".jsonl": pl.read_ndjson}
    return read[file.suffix](file)


def same(shop: Shop, lists: pl.DataFrame, who: str, **asked: Any) -> None:
    found = lists.partition_by(who, as_dict=True, maintain_order=True)
    for (name,), one in found.items():
        expected = shop.recommend(**{"shopper" if who == "shopper_id" else "item": str(name)}, **asked)
        assert one["rank"].to_list() == list(range(1, len(expected) + 1))
        assert one["item_id"].to_list() == [each.item_id for each in expected]
        assert one["because"].to_list() == [each.because for each in expected]
        assert one["why"].to_list() == [each.why for each in expected]
        assert one["relevance"].to_list() == pytest.approx([each.relevance for each in expected], abs=1e-9)
        for term in TERMS:
            assert one[term].to_list() == pytest.approx([each.terms[term] for each in expected], abs=1e-9)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"top": 12, "preset": "paper", "gender": "any"},
        {"distance": 0.5},
        {"near": "48.85,2.34", "distance": 0.5, "trendiness": 0.2},
        {"categories": ["Dresses"], "exclude": ["Dresses-red-women-0"], "half_life": 10, "gender": "women"},
    ],
    ids=["default", "paper", "near her", "near a place", "filtered"],
)
def test_every_list_is_what_recommend_says(busy: Shop, tmp_path: Path, asked: dict[str, Any]) -> None:
    assert recommend_all(busy, tmp_path / "l.parquet", block=7, **asked) == 22
    lists = written(tmp_path / "l.parquet")
    assert set(lists["shopper_id"]) <= set(busy.shoppers.frame()["shopper_id"])
    assert lists["shopper_id"].is_sorted()
    assert lists["shopper_id"].n_unique() == 22 or asked
    same(busy, lists, "shopper_id", **asked)
    assert recommend_all(busy, tmp_path / "i.parquet", "items", block=11, **asked) == 24
    same(busy, written(tmp_path / "i.parquet"), "for_item", **asked)


def test_without_a_place_a_shopper_has_nothing_near_her_and_the_others_have_their_lists(
    busy: Shop, tmp_path: Path
) -> None:
    out = tmp_path / "l.parquet"
    assert recommend_all(busy, out, within=20_000) == 21, "guest-1 has no position"
    lists = written(out)
    assert "guest-2" in lists["shopper_id"]
    assert "guest-1" not in lists["shopper_id"]
    same(busy, lists, "shopper_id", within=20_000)
    said = typed("recommend-all", busy.path, "--out", out, "--within", 20_000)
    assert "1 shoppers have no position" in said.out + said.err
    with pytest.raises(SettingError, match="within needs a position"):
        recommend_all(busy, tmp_path / "i.parquet", "items", within=5)


def test_an_interrupted_run_goes_on(busy: Shop, tmp_path: Path) -> None:
    out = tmp_path / "lists.csv"

    def interrupted(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recommend_all(busy, out, block=5, progress=interrupted)
    assert not out.exists()
    parts = sorted((tmp_path / "lists.csv.parts").glob("*.parquet"))
    kept = [part.stat().st_mtime_ns for part in parts]
    told: list[tuple[int, int]] = []

    def then(done: int, total: int) -> None:
        assert [part.stat().st_mtime_ns for part in parts] == kept
        told.append((done, total))

    assert recommend_all(busy, out, block=5, progress=then) == 22
    assert told[-1] == (22, 22)
    assert not (tmp_path / "lists.csv.parts").exists()
    recommend_all(busy, tmp_path / "whole.csv", block=100)
    assert out.read_text() == (tmp_path / "whole.csv").read_text()


def test_another_question_begins_anew(busy: Shop, tmp_path: Path) -> None:
    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for top in (3, 4):
        with pytest.raises(KeyboardInterrupt):
            recommend_all(busy, tmp_path / "l.jsonl", block=5, progress=interrupted, top=top)
    recommend_all(busy, tmp_path / "l.jsonl", block=5, top=4)
    assert written(tmp_path / "l.jsonl")["rank"].max() == 4


def test_all_forms_say_the_same(busy: Shop, tmp_path: Path) -> None:
    for ending in ("parquet", "csv", "jsonl"):
        said = typed("recommend-all", busy.path, "--out", tmp_path / f"l.{ending}", "--top", 2)
        assert "lists of 22 shoppers" in said.out
    first, *others = (written(tmp_path / f"l.{ending}") for ending in ("parquet", "csv", "jsonl"))
    for other in others:
        assert first.equals(other.cast(first.schema))
    line = json.loads((tmp_path / "l.jsonl").read_text().splitlines()[0])
    assert line["relevance"] == pytest.approx(sum(line[term] for term in TERMS))


def test_no_text_of_a_csv_is_a_formula_and_it_is_read_as_it_was(small: Shop, tmp_path: Path) -> None:
    small.items.put(Item("-2+3", "Denim", popularity=9.0))
    small.shoppers.put("=cmd|'/c'!A1")
    for ending in ("csv", "parquet"):
        recommend_all(small, tmp_path / f"l.{ending}", top=9)
    first = written(tmp_path / "l.csv").row(0, named=True)
    assert (first["shopper_id"], first["item_id"]) == ("'=cmd|'/c'!A1", "'-2+3")
    table = open_table(tmp_path / "l.csv", ("itemid", "shopperid"))
    exact = written(tmp_path / "l.parquet").select("shopper_id", "item_id").rows()
    place = [table.header.index(name) for name in ("shopper_id", "item_id")]
    assert [tuple(cells[one] for one in place) for _, cells in table.lines] == exact


def test_an_empty_shop_has_an_empty_table_and_an_unknown_form_none(tmp_path: Path) -> None:
    with Shop.create(tmp_path / "s") as shop:
        assert recommend_all(shop, tmp_path / "l.parquet") == 0
        assert written(tmp_path / "l.parquet").is_empty()
        for bad in ({"out": "l.xls"}, {"out": "l.csv", "of": "stores"}, {"out": "l.csv", "categories": ["Frocky"]}):
            with pytest.raises(SettingError):
                recommend_all(shop, **{**bad, "out": tmp_path / bad["out"]})
        assert not list(tmp_path.glob("*.parts"))


def test_a_feed_has_a_list_a_line_that_can_be_reported(busy: Shop, tmp_path: Path) -> None:
    busy.scenarios.put("e-mail", {"top": 3})
    assert recommend_all(busy, tmp_path / "l.feed", block=7, scenario="e-mail") == 22
    lines = [json.loads(line) for line in (tmp_path / "l.feed").read_text().splitlines()]
    assert len(lines) == 22
    one = next(line for line in lines if line["shopper_id"] == "1")
    assert [each["item_id"] for each in one["recommendations"]] == [
        each.item_id for each in busy.recommend("1", scenario="e-mail")
    ]  # fmt: skip
    assert one["recommendations"][0]["photo"].startswith("/v1/items/")
    served = busy.storefront.read(one["list_id"])
    assert (served.who, served.placement, served.scenario, len(served.items)) == ("1", "e-mail", "e-mail", 3)
    recommend_all(busy, tmp_path / "items.feed", of="items", top=2)
    about = json.loads((tmp_path / "items.feed").read_text().splitlines()[0])
    assert busy.storefront.read(about["list_id"]).who is None
    assert len(about["recommendations"]) == 2
