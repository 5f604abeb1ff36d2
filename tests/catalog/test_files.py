"""Whatever lies where a file should be: only a regular file of a bounded size is read, to a bounded depth."""

import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.catalog.columns import Layout
from modiste.catalog.files import MAX_DEPTH, MAX_TOML, as_toml, open_regular, read, read_toml
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import SourceError
from modiste.scenario import Scenario
from modiste.shop.shop import Shop
from modiste.shop.sync import FILE, Sources
from modiste.vision.backbones import broken_entries, get_backbone, list_backbones, read_entry

from ..odd_files import ODD

WHO: dict[str, Callable[[Path], object]] = {
    "a taxonomy": Taxonomy.load,
    "a mapping": Layout.load,
    "a network's entry": read_entry,
    "a table": lambda path: _shop(path).items.add(path),
    "a scenario": Scenario.load,
    "a scenario in JSON": Scenario.load,
    "sources": lambda path: Sources.of(path.parent),
    "where a shop lies": lambda path: Shop.open(path.parent),
}
NAMES = {"sources": FILE, "where a shop lies": "shop.toml", "a table": "odd.csv", "a scenario in JSON": "odd.json"}


def _shop(path: Path) -> Shop:
    return Shop.create(path.with_name("street"))


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("who", WHO)
def test_no_odd_file_stops_or_fills_anything(tmp_path: Path, who: str, odd: str) -> None:
    path = tmp_path / NAMES.get(who, "odd.toml")
    ODD[odd](path)
    began = time.monotonic()
    if who == "sources" and odd == "dangling":
        assert Sources.of(tmp_path) is None
        return
    with pytest.raises(SourceError) as told:
        WHO[who](path)
    assert str(tmp_path) in str(told.value)
    assert time.monotonic() - began < 10


def test_links_in_a_circle_are_no_shop_and_no_photo(tmp_path: Path) -> None:
    ODD["circle"](tmp_path / "street")
    ODD["circle"](tmp_path / "a.png")
    with pytest.raises((SourceError, OSError), match="street"):
        Shop.create(tmp_path / "street")
    with pytest.raises(SourceError, match="street"):
        Shop.open(tmp_path / "street")
    (tmp_path / "items.csv").write_text("item_id,image\na,a.png\nb,\n")
    with Shop.create(tmp_path / "other") as shop:
        report = shop.items.add(tmp_path / "items.csv")
        assert "a.png" in "".join(map(str, report.rejected + report.photos))
        with pytest.raises((SourceError, OSError), match="street"):
            shop.backup(tmp_path / "street")


def test_what_says_no_size_is_read_to_the_bound() -> None:
    if not Path("/proc/self/smaps").exists():
        pytest.skip("nothing like /proc here")
    assert read(Path("/proc/self/status"), 100_000)
    with pytest.raises(OSError, match="more than"):
        read(Path("/proc/self/smaps"), 100)


def test_a_regular_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("#" * MAX_TOML)
    assert read_toml(path) == {}
    path.write_text("#" * (MAX_TOML + 1))
    with pytest.raises(OSError, match="at most 1 are read"):
        open_regular(path, MAX_TOML)
    path.write_text(f"{'a.' * (MAX_DEPTH - 3)}a = ['{'.' * 1000}']")
    assert read_toml(path)
    path.write_text(f"{'a.' * MAX_DEPTH}a = 1")
    with pytest.raises(ValueError, match="nested deeper"):
        read_toml(path)


def test_junk_among_the_networks_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODISTE_CACHE", str(tmp_path))
    shipped = [one.name for one in list_backbones()]
    for odd, make in ODD.items():
        make(tmp_path / f"{odd}.toml")
    assert [one.name for one in list_backbones()] == shipped
    assert get_backbone(shipped[0]).name == shipped[0]
    assert sorted(told.partition(".toml")[0] for told in broken_entries()) == sorted(str(tmp_path / odd) for odd in ODD)
    with pytest.raises(SourceError, match=r"fifo\.toml can't be read as TOML: .*pipe"):
        get_backbone("fifo")


@given(st.text(), st.lists(st.text()))
def test_what_is_written_as_toml_is_read_again(text: str, texts: list[str]) -> None:
    assert tomllib.loads(as_toml({"database": text, "maps": texts, "n": 3, "yes": True})) == {
        "database": text, "maps": texts, "n": 3, "yes": True,
    }  # fmt: skip
