"""``shop.check``: whether what the shop derived is of what it was derived from, and whether what it names is there."""

import json
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import sqlalchemy as sa

from modiste.errors import ModisteError
from modiste.shop import schema
from modiste.shop.items import FETCHED
from modiste.shop.storage import UPLOADS, chunks, count_of
from modiste.vision.colour import COLOUR_DIM
from modiste.vision.embedding import VectorSpace
from modiste.vision.masks import FORM
from modiste.vision.reduction import Reduction

if TYPE_CHECKING:
    from modiste.shop.shop import Shop

KINDS = ("rows", "spaces", "vectors", "counts", "photos", "missing", "cache", "leftovers")
"""What a check looks at."""

Mend = Literal["nothing", "derived", "all"]

LEFT_S, FETCHED_S = 3600.0, 86_400.0
"""A file that nothing names may still be being made for so many seconds; one that was fetched, until its item comes."""

_SHOWN = 5  # names in a sentence
_OURS = re.compile(r"[0-9a-f]{32}\.\w+|\.?tmp\w+")  # a catalogue of the shop's own may lie there as well
_UNIT = 1e-2  # what float16 may make of a length of 1

_Cure = Callable[[], None] | None


@dataclass(frozen=True)
class Finding:
    """Something that isn't as it should be, one of KINDS, and ``said`` in a sentence with what is to be done.

    ``derived``: the shop can make it anew from what it was given, in little time; ``mended``: it has.
    """

    kind: str
    count: int
    said: str
    derived: bool = True
    mended: bool = False


def check(
    shop: "Shop", mend: Mend = "nothing", *, thorough: bool = True, stop: Callable[[], bool] = lambda: False
) -> list[Finding]:
    """As :meth:`Shop.check <modiste.shop.shop.Shop.check>`, until ``stop``, which is asked now and then."""
    findings = []
    for look in (_rows, _spaces, _vectors, _counts, _photos, _cache, _leftovers):
        if stop():
            break
        for finding, cure in look(shop, thorough):
            if cure is not None and (mend == "all" or (mend == "derived" and finding.derived)):
                cure()
                finding = replace(finding, mended=True)
            findings.append(finding)
    return findings


_Found = Iterator[tuple[Finding, _Cure]]


def _rows(shop: "Shop", _: bool) -> _Found:
    """Rows of items, shoppers or spaces that are gone: left where a database was changed by other hands."""
    for table in schema.metadata.sorted_tables:
        for key in table.foreign_key_constraints:
            there = key.referred_table
            orphan = sa.not_(sa.exists().where(*(one.column == one.parent for one in key.elements)))
            with shop.storage.reading() as connection:
                count = count_of(connection, table, orphan)
            if count:
                said = (
                    f"{_many(count, 'row')} of {table.name} {_are(count)} of {there.name} that are gone; to be deleted"
                )
                yield Finding("rows", count, said, table is not schema.events), partial(_delete, shop, table, orphan)


def _delete(shop: "Shop", table: sa.Table, wrong: sa.ColumnElement[bool]) -> None:
    with shop.storage.writing() as writing:
        writing.execute(table.delete().where(wrong))
    shop.moments.read_anew()


def _spaces(shop: "Shop", _: bool) -> _Found:
    """Vector spaces that nothing can be compared in."""
    older: list[str] = []
    for row in shop.storage.rows(sa.select(schema.spaces)):
        broken = fault = None
        try:
            space = VectorSpace.from_json(row["settings"])
            if {space.form, row["form"]} != {FORM}:
                older.append(row["key"])
                continue
            if space.key != row["key"]:
                broken = "is not what its settings say"
            elif row["reduction"] is not None:
                reduction = Reduction.from_bytes(row["reduction"])
                if reduction.components.shape[1] != space.dim or not np.isfinite(reduction.components).all():
                    fault = "reduction"
        except (ValueError, TypeError, KeyError):
            broken = "can't be read"
        column = schema.spaces.c.key == row["key"]
        if broken:
            said = f"the vector space {row['key']!r} {broken}; to be deleted: embed the photos again"
            yield Finding("spaces", 1, said), partial(_delete, shop, schema.spaces, column)
        elif fault:
            said = (
                f"the reduction of the vector space {row['key']!r} is of another; to be fitted anew by: modiste embed"
            )
            yield Finding("spaces", 1, said), partial(_forget_reduction, shop, column)
    if older:
        said = f"vectors that another Modiste made are not used: {_listed(older)}"
        said += f"; embed the photos again with: modiste embed {shop.name}"
        yield Finding("spaces", len(older), said, derived=False), partial(_embed_all, shop)


def _embed_all(shop: "Shop") -> None:
    """Embed all photos as the latest space has them; the older ones go."""
    if (latest := shop.vectors.latest()) is not None:
        shop.vectors.embed_again(latest)


def _forget_reduction(shop: "Shop", which: sa.ColumnElement[bool]) -> None:
    with shop.storage.writing() as writing:
        writing.execute(schema.spaces.update().where(which).values(reduction=None, calibration=None))
    shop.moments.read_anew()


def _vectors(shop: "Shop", _: bool) -> _Found:
    """Vectors that are of another photo, mask or category than their item has, or are no vectors of their space."""
    table, items = schema.vectors.c, schema.items.c
    here = schema.vectors.join(schema.items).join(schema.spaces)
    other = schema.COMPARABLE & (table.made_of != items.stamp + " " + sa.func.coalesce(items.category, ""))
    with shop.storage.reading() as connection:
        stale = _pairs(connection, sa.select(table.space, table.item_id).select_from(here).where(other))
        bad, worn = _bad(connection, schema.vectors), _bad(connection, schema.worn)
    if stale:
        said = f"{_many(len(stale), 'vector')} {_are(len(stale))} of another photo, mask or category than the item has"
        yield (
            Finding("vectors", len(stale), f"{said}: {_named(stale)}; to be made again"),
            partial(_embed_anew, shop, stale),
        )
    if bad:
        said = (
            f"{_many(len(bad), 'vector')} {_are(len(bad))} not finite, not of unit length or not of its space's length"
        )
        yield Finding("vectors", len(bad), f"{said}: {_named(bad)}; to be made again"), partial(_embed_anew, shop, bad)
    if worn:
        said = f"of {_many(len(worn), 'item')} what is worn on the photos is no vectors of their space: {_named(worn)}"
        those = sa.tuple_(schema.worn.c.space, schema.worn.c.item_id).in_(worn)
        again = f"; to be deleted, and made again by: modiste embed {shop.name} --outfits"
        yield Finding("vectors", len(worn), said + again), partial(_delete, shop, schema.worn, those)


def _bad(connection: sa.Connection, table: sa.Table) -> list[tuple[str, str]]:
    """The space and item of vectors that can't be."""
    bad = list[tuple[str, str]]()
    spaces = sa.select(schema.spaces.c.key, schema.spaces.c.settings).where(schema.COMPARABLE)
    for key, settings in connection.execute(spaces).all():
        try:
            dim = VectorSpace.from_json(settings).dim
        except (ValueError, TypeError, KeyError):
            continue  # told already
        wanted = sa.select(table.c.item_id, table.c.vector, table.c.colour)
        wanted = wanted.where(table.c.space == key, table.c.vector.is_not(None))
        with connection.execute(wanted, execution_options={"yield_per": 20_000}) as rows:
            for some in rows.partitions():
                bad += [(key, item_id) for item_id in _no_vectors([tuple(one) for one in some], dim)]
    return bad


def _no_vectors(rows: Sequence[tuple[str, bytes, bytes | None]], dim: int) -> list[str]:
    """The ids of vectors and colours that can't be."""
    whole, ids = list[tuple[str, bytes, bytes | None]](), set[str]()
    for one in rows:
        if len(one[1]) == 2 * dim and (one[2] is None or len(one[2]) == 2 * COLOUR_DIM):
            whole.append(one)
        else:
            ids.add(one[0])
    for place, length in ((1, dim), (2, COLOUR_DIM)):
        there = [one for one in whole if one[place] is not None]
        numbers = np.frombuffer(b"".join(one[place] for one in there), "<f2").reshape(len(there), length)  # type: ignore[misc]
        lengths = np.linalg.norm(numbers.astype(np.float32), axis=1)
        ids.update(one[0] for one, size in zip(there, lengths.tolist(), strict=True) if not abs(size - 1) < _UNIT)
    return sorted(ids)


def _pairs(connection: sa.Connection, wanted: sa.Select[Any]) -> list[tuple[str, str]]:
    return [(one[0], one[1]) for one in connection.execute(wanted)]


def _embed_anew(shop: "Shop", pairs: Sequence[tuple[str, str]]) -> None:
    """Delete the vectors of spaces and items, let every snapshot learn of it, and make them again."""
    by_space, vectors, items = defaultdict(list), schema.vectors, schema.items
    for key, item_id in pairs:
        by_space[key].append(item_id)
    with shop.storage.writing() as writing:
        for key, item_ids in by_space.items():
            for some in chunks(item_ids):
                writing.execute(vectors.delete().where(vectors.c.space == key, vectors.c.item_id.in_(some)))
                writing.execute(items.update().where(items.c.item_id.in_(some)).values(revision=writing.revision))
    _embed_again(shop, pairs)


def _embed_again(shop: "Shop", pairs: Sequence[tuple[str, str]]) -> None:
    spaces = {space.key: space for space in shop.vectors.spaces()}
    for key, item_id in pairs:
        if key in spaces:
            try:
                shop.vectors.embed_item(item_id, spaces[key])
            except ModisteError:  # other networks are installed; the next embedding says so
                del spaces[key]


def _counts(shop: "Shop", _: bool) -> _Found:
    """What is counted as events are recorded, against the events."""
    with shop.storage.reading() as connection:
        wrong = {of: count for of, count in shop.purchases.miscounted(connection).items() if count}
    if wrong:
        told = ", ".join(f"{count} of {of}" for of, count in wrong.items())
        said = f"counts are not what the events say ({told}); all are to be counted anew"
        yield Finding("counts", sum(wrong.values()), said), shop.purchases.recount


def _photos(shop: "Shop", thorough: bool) -> _Found:
    """Photos and masks that items name and that aren't there, and those that are others than were read."""
    items, storage = schema.items.c, shop.storage
    wanted = sa.select(items.item_id, items.image, items.mask, items.photos, items.stamp)
    rows = storage.rows(
        wanted.where(sa.or_(items.image.is_not(None), items.photos.is_not(None))).order_by(items.item_id)
    )

    def look(row: Any) -> tuple[list[str], bool]:
        named = [one for one in (row["image"], row["mask"], *json.loads(row["photos"] or "[]")) if one]
        gone = [one for one in named if not (storage.path / one).is_file()]
        if gone or not thorough or row["image"] is None:
            return gone, False
        try:
            return gone, shop.items.stamp_of(row["image"], row["mask"], row["photos"]) != row["stamp"]
        except (OSError, ModisteError):
            return [row["image"]], False

    with ThreadPoolExecutor(4) as pool:
        looked = list(pool.map(look, rows))
    missing = [one for gone, _ in looked for one in gone]
    changed = [row["item_id"] for row, (_, other) in zip(rows, looked, strict=True) if other]
    if changed:
        said = f"{_many(len(changed), 'photo')} or masks changed since they were read, of: {_listed(changed)}"
        yield (
            Finding("photos", len(changed), f"{said}; to be read and embedded again"),
            partial(_read_again, shop, changed),
        )
    if missing:
        said = (
            f"{_many(len(missing), 'photo or mask')} that items name {_are(len(missing))} not there: {_listed(missing)}"
        )
        yield Finding("missing", len(missing), f"{said}; put them back, or add the items again", False), None


def _read_again(shop: "Shop", item_ids: Sequence[str]) -> None:
    table, pairs = schema.vectors.c, list[tuple[str, str]]()
    with shop.storage.reading() as connection:
        for some in chunks(item_ids):
            pairs += _pairs(connection, sa.select(table.space, table.item_id).where(table.item_id.in_(some)))
    shop.items.stamp(item_ids)
    _embed_again(shop, pairs)


def _cache(shop: "Shop", thorough: bool) -> _Found:
    """The files in ``cache``, and what is in memory, against the tables."""
    if shop.moments.foreign_files():
        said = "the files in cache are not of these tables, or not whole; to be made anew"
        yield Finding("cache", 1, said), shop.moments.read_anew
    elif thorough and (wrong := shop.moments.differing(*shop.vectors.spaces())):
        said = f"{wrong} entries of the files in cache, or of what is in memory, are not what the tables say"
        yield Finding("cache", wrong, f"{said}; to be made anew"), shop.moments.read_anew


def _leftovers(shop: "Shop", _: bool) -> _Found:
    """Files that the shop made and nothing names: what a crash left, photos of items that are gone."""
    now, folder = time.time(), shop.path

    def unnamed(writing: sa.Connection) -> list[Path]:
        found = [*shop.moments.files.strangers(LEFT_S)]
        ours = [*folder.glob("*.unfinished"), *folder.glob(".tmp*")]
        found += [one for one in ours if now - one.stat().st_mtime > LEFT_S]
        for name, age in ((UPLOADS, LEFT_S), (FETCHED, FETCHED_S)):
            ours = [one for one in (folder / name).glob("*") if _OURS.fullmatch(one.name) and one.is_file()]
            old = [one for one in ours if now - one.stat().st_mtime > age]
            named = _names_in(writing, name) if old else set()
            found += [one for one in old if f"{name}/{one.name}" not in named]
        return sorted(found)

    def cure() -> None:
        with shop.storage.writing() as writing:  # photos are kept, and named, by writers
            for one in unnamed(writing.connection):
                if one.is_dir():
                    shutil.rmtree(one, ignore_errors=True)
                else:
                    one.unlink(missing_ok=True)

    with shop.storage.reading() as connection:
        left = unnamed(connection)
    if left:
        told = _listed([one.relative_to(folder).as_posix() for one in left])
        said = f"nothing names {_many(len(left), 'file')} in the shop's folder: {told}; to be deleted"
        yield Finding("leftovers", len(left), said, False), cure


def _names_in(connection: sa.Connection, folder: str) -> set[str]:
    """The photos and masks in one of the shop's folders that items name."""
    items, found = schema.items.c, set[str]()
    for column in (items.image, items.mask, items.photos):
        for (said,) in connection.execute(sa.select(column).where(column.contains(f"{folder}/", autoescape=True))):
            found.update(json.loads(said) if column is items.photos else [said])
    return found


# Words


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" + "s" * (count != 1)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _named(pairs: Sequence[tuple[str, str]]) -> str:
    return _listed(sorted({item_id for _, item_id in pairs}))
