"""``modiste sync``: what the shop's own systems say of items, photos, stock and orders, brought in again and again.

The shop remembers its sources in ``sync.toml``. Items that a source brought and has no more are retired, never deleted:
they are not available until the source has them again.
"""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from modiste.catalog.columns import Layout, Understood
from modiste.catalog.events import read_events
from modiste.catalog.fetching import download
from modiste.catalog.files import as_toml, read_toml, resolved
from modiste.catalog.items import Rejected
from modiste.catalog.products import is_address
from modiste.catalog.readers import Reading, read_source
from modiste.catalog.tables import open_table
from modiste.catalog.values import utc_now
from modiste.errors import SettingError, SourceError
from modiste.shop import schema
from modiste.shop.reports import Progress
from modiste.shop.shop import Shop
from modiste.shop.storage import Writing, chunks, present

FILE = "sync.toml"
"""Where, in the shop's folder, its sources are remembered."""

LEFT_AT_LEAST = 0.5
"""A source that has less than this share of the items it had is refused until somebody confirms it."""

_FEW = 4  # a source of fewer items is never suddenly half empty


@dataclass(frozen=True)
class Sources:
    """Where a shop's items and orders come from: files, folders or addresses, and how their columns are called.

    ``maps`` and ``order_maps`` are said as ``field=column``, ``mapping`` and ``order_mapping`` are TOML files of it;
    ``day_first`` says what 03/04 means. ``private``: addresses of this machine and its network may be asked.
    """

    items: str | None = None
    orders: str | None = None
    maps: tuple[str, ...] = ()
    order_maps: tuple[str, ...] = ()
    mapping: str | None = None
    order_mapping: str | None = None
    masks: str | None = None
    day_first: bool | None = None
    private: bool = False

    @classmethod
    def of(cls, folder: Path) -> "Sources | None":
        """Those of the shop in ``folder``; None where none are remembered. Raises SourceError for a broken file."""
        file = folder / FILE
        try:
            known: dict[str, Any] = read_toml(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SourceError(f"{file} can't be read: {error}; mend it, or say the sources again") from error
        unknown = ", ".join(sorted(known.keys() - cls.__dataclass_fields__))
        if unknown:
            raise SourceError(f"{file} has {unknown}, which says nothing here; take it out")
        said: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in known.items()}
        return cls(**said)

    def remember(self, folder: Path) -> None:
        """Write them down for the shop in ``folder``."""
        said = {name: value for name, value in asdict(self).items() if value not in (None, (), False)}
        unfinished = folder / f"{FILE}.unfinished"
        unfinished.write_text(as_toml(said), "utf-8")
        unfinished.replace(folder / FILE)


@dataclass(frozen=True)
class SyncReport:
    """What came of a sync: items added, updated, unchanged, retired and restored; photos embedded; orders added.

    ``rejected`` were not taken, each with its reason; ``photos`` could not be had, their items were taken;
    ``remarks`` are sentences on what was not understood.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    retired: int = 0
    restored: int = 0
    embedded: int = 0
    orders: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    photos: list[Rejected] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """The numbers, with how many were rejected and how many photos could not be had."""
        return {name: value if isinstance(value, int) else len(value) for name, value in vars(self).items()}


def sync(
    shop: Shop,
    sources: Sources | None = None,
    *,
    confirm: bool = False,
    progress: Progress | None = None,
) -> SyncReport:
    """Bring the shop up to date with its sources, those that are given, which it remembers, or those it remembers.

    It is safe to run every hour, and to interrupt.

    Changed items are updated, those that vanished retired, those that return restored; only new photos are embedded,
    in the vector space that was used last; orders that are there already are skipped. What came of it is kept in the
    table ``syncs``.

    Raises SettingError where no source is remembered, SourceError where one can't be read, or has lost so many items
    that somebody should ``confirm`` it; then its items are as they were.
    """
    began = utc_now()
    given, sources = sources, sources or Sources.of(shop.path)
    if sources is None or sources.items is sources.orders is None:
        raise SettingError(
            f"{shop.name} has no sources yet; say them once: modiste sync {shop.path} --items FILE-OR-URL"
        )
    report = SyncReport()
    with TemporaryDirectory() as folder:
        if sources.items is not None:
            report = _items(shop, sources, Path(folder), confirm, progress)
            report = replace(report, embedded=_embedded(shop, progress))
        if sources.orders is not None:
            report = _orders(shop, sources, Path(folder), report)
    if given is not None:
        given.remember(shop.path)
    with shop.storage.writing() as writing:
        writing.execute(schema.syncs.insert().values(at=began, report=json.dumps(report.counts())))
    return report


def _there(source: str, private: bool, folder: Path) -> Path:
    """A source as a file or folder; what lies at an address is downloaded into ``folder``."""
    if not is_address(source):
        return Path(source)
    file = folder / (Path(urlsplit(source).path).name or "source")
    file.write_bytes(download(source, private))
    return file


def _items(shop: Shop, sources: Sources, folder: Path, confirm: bool, progress: Progress | None) -> SyncReport:
    file = _there(str(sources.items), sources.private, folder)
    masks = None if sources.masks is None else Path(sources.masks)
    with _unchanging(file):
        reading = read_source(file, shop.taxonomy, masks, Layout.said(sources.maps, sources.mapping))
        ours: list[Rejected] = []
        if is_address(str(sources.items)):
            reading, ours = _without_files(reading, masks)
        ids = {item.item_id for item in reading.items}
        unread = _written(file) - ids if reading.rejected and file.is_file() else set()
    table = schema.synced.c
    shown = sa.func.coalesce(schema.items.c.available, sa.true())
    rows = shop.storage.rows(sa.select(table.item_id, table.retired, shown.label("shown")).join(schema.items))
    known = {row["item_id"]: row["retired"] for row in rows}
    there = {row["item_id"] for row in rows if row["retired"] is None or row["shown"]}  # put by hand since, too
    gone = there - ids - unread
    left = len(there) - len(gone)
    if not confirm and len(there) >= _FEW and left < LEFT_AT_LEAST * len(there):
        raise SourceError(
            f"{sources.items} has {left} of the {len(there)} items it had; nothing was changed. If that is right, "
            f"run: modiste sync {shop.path} --confirm"
        )
    taken = shop.items.take(reading, progress, private=sources.private, fresh=0.0)
    back = [item_id for item_id, retired in known.items() if retired is not None and item_id in ids]
    with shop.storage.writing() as writing:
        _mark(writing, ids, gone, back)
    return SyncReport(
        added=taken.added,
        updated=taken.updated,
        unchanged=taken.unchanged,
        retired=len(gone),
        restored=len(back),
        rejected=taken.rejected,
        photos=[*ours, *taken.photos],
        remarks=_remarks(taken.understood),
    )


def _without_files(reading: Reading, masks: Path | None) -> tuple[Reading, list[Rejected]]:
    """A table from elsewhere without the files of this machine that it names, which aren't its to show; and these."""
    items, left = [], list[Rejected]()
    for item in reading.items:
        photos = [one for one in (item.image, *item.photos) if one is not None]
        there = [one for one in photos if is_address(one)]
        mask = item.mask if masks and item.mask and resolved(item.mask).is_relative_to(resolved(masks)) else None
        reason = f"lies on this machine, and the table elsewhere; item {item.item_id!r} goes without"
        left += [Rejected(one, None, reason) for one in photos if not is_address(one)]
        items.append(replace(item, image=there[0] if there else None, photos=tuple(there[1:]), mask=mask))
    return replace(reading, items=items), left


def _written(file: Path) -> set[str]:
    """All that stands in the cells of a file, in rows that were not taken too."""
    rows = (cells for _, cells in open_table(file, ()).lines if not isinstance(cells, str))
    return {cell.strip() for cells in rows for cell in cells}


def _mark(writing: Writing, here: Collection[str], gone: Collection[str], back: Collection[str]) -> None:
    """Remember what the source has, and retire what it has no more."""
    items, synced = schema.items, schema.synced
    stored = present(writing.connection, items.c.item_id, sorted(here))
    new = stored - present(writing.connection, synced.c.item_id, sorted(stored))
    if new:
        writing.execute(synced.insert(), [{"item_id": item_id, "retired": None} for item_id in sorted(new)])
    now = utc_now()
    for some in chunks(sorted(gone)):
        retired = {"available": False, "revision": writing.revision}
        writing.execute(items.update().where(items.c.item_id.in_(some)).values(retired))
        writing.execute(synced.update().where(synced.c.item_id.in_(some)).values(retired=now))
    for some in chunks(sorted(back)):
        writing.execute(synced.update().where(synced.c.item_id.in_(some)).values(retired=None))


def _remarks(understood: Understood) -> list[str]:
    unknown = [
        f"words for {name} that are not known: {', '.join(f'{word} ({count})' for word, count in words.items())}"
        for name, words in understood.unknown.items()
        if words
    ]
    unread = ", ".join(understood.unread)
    what = "kept as attributes" if understood.kept else "not read"
    return [*understood.remarks, *unknown, *([f"columns {what}: {unread}"] if unread else [])]


def _embedded(shop: Shop, progress: Progress | None) -> int:
    """Embed the photos that have no vector in the space that was used last; returns how many."""
    vectors, space = shop.vectors, shop.vectors.latest()
    report = vectors.embed(progress=progress) if space is None else vectors.embed_again(space, progress)
    return report.embedded


def _orders(shop: Shop, sources: Sources, folder: Path, report: SyncReport) -> SyncReport:
    file = _there(str(sources.orders), sources.private, folder)
    table = open_table(file, ())
    if any(table.header) and next(table.lines, None) is None:  # nobody ordered anything
        return replace(report, remarks=[*report.remarks, f"{sources.orders} has no orders"])
    layout = Layout.said(sources.order_maps, sources.order_mapping)
    ids = {row["item_id"] for row in shop.storage.rows(sa.select(schema.items.c.item_id))}
    with _unchanging(file):
        found = read_events(file, ids, layout, sources.day_first)
    if any(one.kind == "purchase" and one.order_id is None for one in found.events):
        raise SourceError(
            f"{sources.orders} has orders without a number: at the next sync they would count again; name the column "
            "of the order's number: --order-map order_id=COLUMN"
        )
    added = shop.purchases.take(found)
    rejected, remarks = [*report.rejected, *added.rejected], [*report.remarks, *_remarks(found.understood)]
    return replace(report, orders=added.added, rejected=rejected, remarks=remarks)


@contextmanager
def _unchanging(file: Path) -> Iterator[None]:
    """Raises SourceError where a file has become another while it was read: half of it may be missing."""
    before = file.stat() if file.is_file() else None
    yield
    after = file.stat() if file.is_file() else None
    if before and (after is None or (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size)):
        raise SourceError(f"{file} changed while it was read; nothing of it was taken; run the same again")
