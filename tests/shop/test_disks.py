"""A full disk, a read-only one, one that was taken away: it is said, leaves nothing behind, and is over in the end."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from modiste.catalog.events import Event
from modiste.catalog.items import Item
from modiste.errors import StorageError
from modiste.shop.database import AS_IT_LIES_S
from modiste.shop.shop import Shop
from modiste.shop.storage import ASK_AGAIN_S

from ..disks import Disk, mounted
from ..garments import drawn
from ..running import Typed, typed


def order(shopper: str, item: str = "a") -> Event:
    return Event(shopper, item, datetime(2026, 1, 1))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk") as made:
        yield made


@pytest.fixture
def path(disk: Disk) -> Path:
    """A shop with an item that was bought, on a disk."""
    with Shop.create(disk.path / "street") as shop:
        shop.items.put(Item("a", "Dresses", "women"))
        shop.purchases.record([order("ann")])
    return disk.path / "street"


def told(ran: Typed) -> str:
    """The one sentence that a command said as it failed."""
    assert ran.code == 1, ran.err
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    return ran.err


@pytest.mark.parametrize("left", [0, 40_000])
def test_a_shop_that_finds_no_room_is_not_half_made(disk: Disk, left: int) -> None:
    disk.fill(left)
    assert "the disk is full" in told(typed("new", disk.path / "shops" / "street"))
    with pytest.raises(StorageError, match="full"):
        Shop.create(disk.path / "street", categories="paper")
    assert [one.name for one in disk.path.iterdir()] == ["filler"]
    disk.make_room()
    Shop.create(disk.path / "street", categories="paper").close()


def test_a_place_where_no_folder_can_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "street"):
        assert str(tmp_path / "file") in told(typed("new", place))


def test_a_full_disk_is_said_changes_nothing_and_is_over_once_there_is_room(disk: Disk, path: Path) -> None:
    with Shop.open(path) as shop:
        disk.fill()
        with pytest.raises((StorageError, OSError), match=r"full|No space"):
            shop.items.put(Item("b", "Denim", "men"), drawn())
        with pytest.raises(StorageError, match="the disk is full"):
            shop.purchases.record([order(f"b{number}") for number in range(1000)])
        assert [*(path / "uploads").glob("*")] == []
        assert (len(shop.items), len(shop.purchases)) == (1, 1)
        assert [one.item_id for one in shop.introduce(top=3)] == ["a"]
        disk.make_room()
        shop.items.put(Item("b", "Denim", "men"), drawn())
        shop.purchases.record([order("bea", "b")])
        assert (len(shop.items), len(shop.purchases)) == (2, 2)


def test_a_photo_that_the_tables_had_no_room_for_is_not_kept(disk: Disk, path: Path) -> None:
    with Shop.open(path) as shop:
        photo = drawn(size=(40, 60))
        (path / "uploads").mkdir()
        disk.fill(8192 + len(photo))
        try:
            shop.items.put(Item("b", "Denim", "men"), photo)
        except (StorageError, OSError):
            assert [*(path / "uploads").glob("*")] == []
        else:
            pytest.skip("there was room for both")


def test_a_read_only_shop_can_be_asked_and_says_that_it_cannot_be_changed(disk: Disk, path: Path) -> None:
    disk.remount("ro")
    with Shop.open(path) as shop:
        assert [one.item_id for one in shop.introduce(top=3)] == ["a"]
        assert len(shop.purchases) == 1
        with pytest.raises(StorageError, match="readonly"):
            shop.purchases.record([order("bea")])
        assert typed("status", path).code == 0
        assert "readonly" in told(typed("forget", path, "--shopper", "ann"))
        assert "read-only" in told(typed("new", disk.path / "other"))
        disk.remount("rw")
    with Shop.open(path) as shop:
        shop.purchases.record([order("bea")])


def test_a_shop_that_nobody_has_open_is_read_on_a_disk_without_a_byte_of_room(disk: Disk, path: Path) -> None:
    disk.fill()
    assert not [*path.glob("shop.db-*")]
    with Shop.open(path) as shop:
        assert [one.item_id for one in shop.introduce(top=3)] == ["a"]
        assert shop.purchases.of("ann").height == 1
        with pytest.raises(StorageError, match="the disk is full"):
            shop.purchases.record([order("bea")])
        assert typed("status", path).code == 0
        assert "the disk is full" in told(typed("forget", path, "--shopper", "ann"))
        disk.make_room()
        time.sleep(AS_IT_LIES_S)
        shop.purchases.record([order("bea")])
        assert len(shop.purchases) == 2


def test_who_is_forgotten_on_a_full_disk_is_out_of_its_files_once_there_is_room(disk: Disk, path: Path) -> None:
    with Shop.open(path) as shop:
        shop.purchases.record([order("nobody-but-me")])
        disk.fill(200_000)
        with pytest.raises(StorageError, match="the disk is full"):
            shop.forget("nobody-but-me")
        disk.make_room()
    assert typed("forget", path, "--shopper", "nobody-but-me").out.startswith("forgotten: ")
    assert "no shopper" in typed("forget", path, "--shopper", "nobody-but-me").err
    assert not [one for one in path.glob("shop.db*") if b"nobody-but-me" in one.read_bytes()]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full here")
def test_a_full_disk_elsewhere_is_said_too(tmp_path: Path) -> None:
    with Shop.create(tmp_path / "street") as shop:
        for name in "ab":
            shop.items.put(Item(name, "Dresses", "women"))
    said = told(typed("recommend", tmp_path / "street", "--item", "a", "--html", "/dev/full"))
    assert said.startswith("error: the disk is full")


def test_a_database_that_was_taken_away_is_not_written_to_nor_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "street"
    with Shop.create(folder) as shop:
        shop.items.put(Item("a", "Dresses", "women"))
        folder.rename(tmp_path / "elsewhere")
        with pytest.raises(StorageError, match="gone"):
            shop.purchases.record([order("ann")])
        folder.mkdir()
        with pytest.raises(StorageError):
            shop.purchases.record([order("ann")])
        assert [*folder.iterdir()] == []
        folder.rmdir()
        (tmp_path / "elsewhere").rename(folder)
        time.sleep(ASK_AGAIN_S)
        shop.purchases.record([order("ann")])
        assert len(shop.purchases) == 1


@pytest.fixture
def nobody() -> Callable[[], AbstractContextManager[None]]:
    """Makes this process somebody who owns nothing; the test is skipped where that can't be."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can become nobody")

    @contextmanager
    def became() -> Iterator[None]:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)

    return became


def test_who_has_no_leave_is_told_so(nobody: Callable[[], AbstractContextManager[None]]) -> None:
    with TemporaryDirectory() as folder:  # pytest's own is closed to nobody
        Path(folder).chmod(0o755)
        path = Path(folder) / "street"
        with Shop.create(path) as shop:
            shop.items.put(Item("a", "Dresses", "women"))
            shop.introduce()
        with nobody():
            with Shop.open(path) as shop:
                assert [one.item_id for one in shop.introduce(top=3)] == ["a"]
                with pytest.raises(StorageError) as told:
                    shop.purchases.record([order("ann")])
                assert told.value.kind == "closed"
            with pytest.raises(StorageError, match="permission denied"):
                Shop.create(Path(folder) / "other" / "street")
        path.chmod(0o700)
        with nobody(), pytest.raises((StorageError, PermissionError)):
            Shop.open(path)
        path.chmod(0o755)
        with Shop.open(path) as shop:
            shop.purchases.record([order("ann")])
        assert [one.name for one in Path(folder).iterdir()] == ["street"]
