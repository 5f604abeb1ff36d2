"""The files in which a large shop's snapshot lies, so that every process maps and shares them.

They lie in the shop's folder under ``cache``: a folder for each snapshot that was saved, the matrices beside it, and
``manifest.json``, which names the ones that count and is replaced when all of them are whole. They are derived: they
may be deleted at any time, and are used only where the database has gone on from the revision they were made at.

A matrix goes on from one snapshot to the next: new vectors are written behind those that other processes read, or
where there was none. Other processes may see them there early, and look at none of them.
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import polars as pl

from modiste.arrays import Array, Ints
from modiste.catalog.files import read
from modiste.catalog.taxonomy import Taxonomy
from modiste.shop.arrays import Ids, Texts, mapped, mapped_for_writing
from modiste.shop.snapshot import DTYPES, FIELDS, Matrix, Sales, Snapshot, record
from modiste.vision.colour import COLOUR_DIM

try:
    import fcntl
except ImportError:  # Windows, where one process serves a shop
    fcntl = None  # type: ignore[assignment]

FORMAT = 5
"""Of the files; others are made anew."""

_MANIFEST = "manifest.json"
_MOST_MANIFEST = 10_000_000  # bytes


class Files:
    """The saved snapshots under ``root``; ``saved`` are the matrices of the last one that was opened.

    ``database`` says of which database they are: a folder's may be another one tomorrow. Its tables may be put back
    to an older state; the mark of a snapshot's revision tells whether they have gone on from there. Safe to use from
    several processes.
    """

    def __init__(self, root: Path, database: str) -> None:
        self.root, self.database = root, database
        self.saved: set[Path | None] = set()

    @property
    def there(self) -> bool:
        """Whether a snapshot was saved."""
        return (self.root / _MANIFEST).is_file()

    def matrix_file(self) -> Path:
        """The path of a matrix that is to be made."""
        return self.root / f"vectors-{uuid4().hex[:12]}.f32"

    def load(self, shop: Path, taxonomy: Taxonomy) -> Snapshot | None:
        """The snapshot that was saved last, without the shop's stores and spaces; None where none is whole."""
        for _ in range(3):  # another process may replace it meanwhile
            with suppress(OSError, ValueError, KeyError, TypeError, EOFError):
                manifest = self._manifest()
                ours = (manifest["format"], manifest["database"]) == (FORMAT, self.database)
                return self._load(manifest, shop, taxonomy) if ours else None
        return None

    def _load(self, manifest: Mapping[str, Any], shop: Path, taxonomy: Taxonomy) -> Snapshot:
        folder, rows = self.root / str(manifest["folder"]), int(manifest["rows"])
        if folder.parent != self.root:
            raise ValueError("the manifest names a folder elsewhere")

        def array(name: str, mode: Any = None) -> Any:
            return np.load(folder / f"{name}.npy", mmap_mode=mode, allow_pickle=False)

        texts = {}
        for name in ("ids", "records"):
            with (folder / f"{name}.txt").open("rb") as file:
                texts[name] = Texts.of(array(f"{name}-ends", "r"), file)
        columns: dict[str, Array] = {}
        for name, dtype in DTYPES.items():
            columns[name] = np.zeros(rows + rows // 8 + 1024, dtype)
            columns[name][:rows] = array(name)
        matrices = {}
        for number, (key, about) in enumerate(manifest["matrices"].items()):
            matrix_file, capacity = self.root / Path(about["file"]).name, int(about["capacity"])
            if matrix_file.stat().st_size < 4 * capacity * int(about["dim"]):
                raise ValueError(f"{matrix_file} was cut short")
            has = np.concatenate([array(f"has-{number}"), np.zeros(capacity - rows, bool)])
            vectors = mapped(matrix_file, capacity, int(about["dim"]))
            matrices[key] = Matrix(vectors, has, None, matrix_file, colour_dim=COLOUR_DIM)
        self.saved = {matrix.file for matrix in matrices.values()}
        categories = tuple(manifest["categories"])
        return Snapshot(
            revision=int(manifest["revision"]),
            mark=str(manifest["mark"]),
            name=shop.name,
            folder=shop.absolute(),
            taxonomy=taxonomy,
            rows=rows,
            item_ids=Ids(texts["ids"], [], rows),
            records=texts["records"],
            changed={},
            order=array("order", "r"),
            moved={},
            columns=columns,
            categories=categories,
            similarity=taxonomy.matrix(categories),
            store_ids=tuple(manifest["store_ids"]),
            stores=pl.DataFrame(),
            spaces=(),
            matrices=matrices,
            sales=Sales(array("sales-keys", "r"), array("sales-bought", "r"), int(manifest["day"])),
            source=folder.name,
        )

    def save(self, snapshot: Snapshot) -> Snapshot:
        """Write ``snapshot`` and let others open it; returns it as it lies in the files.

        Where another process has saved since ``snapshot`` was opened, that one's stays. Raises OSError.
        """
        with self._locked():
            current = self._current()
            if current and snapshot.source != current and snapshot.source:
                return self._reopened(snapshot)
            folder = self.root / f"items-{uuid4().hex[:12]}"
            folder.mkdir()
            try:
                manifest = self._write(snapshot, folder) | {"previous": current}
                new = folder / _MANIFEST
                new.write_text(json.dumps(manifest), encoding="utf-8")
                new.replace(self.root / _MANIFEST)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self._remove_others({folder.name, current, *(one["file"] for one in manifest["matrices"].values())})
            return self._reopened(snapshot)

    def _reopened(self, snapshot: Snapshot) -> Snapshot:
        """What lies in the files, with what the files don't have."""
        loaded = self.load(snapshot.folder, snapshot.taxonomy)
        if loaded is None:
            return snapshot
        matrices = {
            key: replace(matrix, reduction=snapshot.matrices[key].reduction, scales=snapshot.matrices[key].scales)
            for key, matrix in loaded.matrices.items()
            if key in snapshot.matrices and matrix.vectors.shape[1] == snapshot.matrices[key].vectors.shape[1]
        }
        return replace(loaded, stores=snapshot.stores, spaces=snapshot.spaces, matrices=matrices)

    def _write(self, snapshot: Snapshot, folder: Path) -> dict[str, Any]:
        rows, base = snapshot.rows, snapshot.item_ids.base
        _write_texts(folder / "ids", base, dict(enumerate(snapshot.item_ids.more[: rows - len(base)], len(base))), rows)
        records = {row: record(item[name] for name in FIELDS) for row, item in snapshot.changed.items()}
        for row in range(len(base), rows):
            records.setdefault(row, "")  # came and went since
        _write_texts(folder / "records", snapshot.records, records, rows)
        keys, bought = snapshot.sales.all()
        arrays = {name: snapshot.column(name) for name in DTYPES}
        arrays |= {"order": _order(snapshot), "sales-keys": keys[bought > 0], "sales-bought": bought[bought > 0]}
        matrices = {}
        for number, (key, matrix) in enumerate(snapshot.matrices.items()):
            arrays[f"has-{number}"] = matrix.has[:rows]
            matrices[key] = self._write_matrix(matrix, rows)
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        return {
            "format": FORMAT, "database": self.database,
            "revision": snapshot.revision, "mark": snapshot.mark, "folder": folder.name, "rows": rows,
            "categories": snapshot.categories, "store_ids": snapshot.store_ids, "day": snapshot.sales.day,
            "matrices": matrices,
        }  # fmt: skip

    def _write_matrix(self, matrix: Matrix, rows: int) -> dict[str, Any]:
        """Append to the matrix's file where no vector in it has changed, else write another."""
        file, dim = matrix.file, matrix.vectors.shape[1]
        if file is None or matrix.overwritten or not file.exists():
            file, capacity = self.matrix_file(), rows + rows // 8 + 1
            mapped_for_writing(file, capacity, dim)[:rows] = matrix.vectors[:rows]
        else:
            capacity = len(matrix.vectors)
            with file.open("r+b") as opened:
                for row, vector in sorted(matrix.fresh.items()):
                    opened.seek(4 * row * dim)
                    opened.write(vector.astype("<f4").tobytes())
        return {"file": file.name, "dim": dim, "capacity": capacity}

    def strangers(self, older_than: float) -> list[Path]:
        """What nobody will open: neither what the manifest names nor what may still be being made."""
        try:
            manifest = self._manifest()
            named = {manifest["folder"], manifest["previous"], *(one["file"] for one in manifest["matrices"].values())}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            named = set()
        found = [*self.root.glob("items-*"), *self.root.glob("vectors-*")]
        return sorted(one for one in found if one.name not in named and time.time() - one.stat().st_mtime > older_than)

    def clear(self) -> None:
        """Let the files be made anew."""
        with self._locked():
            (self.root / _MANIFEST).unlink(missing_ok=True)
            self._remove_others(set())

    def _manifest(self) -> dict[str, Any]:
        """What counts. Raises OSError and ValueError."""
        try:
            found: dict[str, Any] = json.loads(read(self.root / _MANIFEST, _MOST_MANIFEST))
        except RecursionError as error:
            raise ValueError("the manifest is nested too deep") from error
        return found

    def _current(self) -> str:
        """The folder that the manifest names, empty where there is none."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(self._manifest()["folder"])
        return ""

    def _remove_others(self, wanted: set[str]) -> None:
        """Remove what no process will open any more; those that have it open keep it."""
        for old in self.root.iterdir():
            if old.name not in wanted and old.name.startswith("items-"):
                shutil.rmtree(old, ignore_errors=True)
            elif old.name not in wanted and old.name.startswith("vectors-"):
                old.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time; the lock goes with the process."""
        self.root.mkdir(exist_ok=True)
        with (self.root / "lock").open("w") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _write_texts(path: Path, base: Any, replaced: Mapping[int, str], rows: int) -> None:
    """``base`` with other texts in some rows and behind them, and where each ends."""
    lengths = np.zeros(rows, np.int64)
    lengths[: len(base)] = np.diff(base.ends, prepend=0)
    with path.with_suffix(".txt").open("wb") as file:
        copied = 0  # rows of the base
        for row in sorted(replaced):
            if row < len(base):
                file.write(_run(base, copied, row))
                copied = row + 1
            else:
                file.write(_run(base, copied, len(base)))
                copied = len(base)
            lengths[row] = file.write(replaced[row].encode())
        file.write(_run(base, copied, len(base)))
    np.save(path.with_name(f"{path.name}-ends.npy"), np.cumsum(lengths), allow_pickle=False)


def _run(base: Texts, start: int, end: int) -> bytes:
    """The bytes of the rows from ``start`` to before ``end``."""
    if start >= end:
        return b""
    return bytes(base.data[int(base.ends[start - 1]) if start else 0 : int(base.ends[end - 1])])


def _order(snapshot: Snapshot) -> Ints | Any:
    """The rows of all items, sorted by id."""
    if not snapshot.moved:
        return snapshot.order
    alive = snapshot.column("alive")
    order = snapshot.order[alive[snapshot.order]]
    known = set(order[np.isin(order, list(snapshot.moved.values()))].tolist())
    new = sorted((item_id, row) for item_id, row in snapshot.moved.items() if row >= 0 and row not in known)
    places = [replace(snapshot, order=order).place(item_id) for item_id, _ in new]
    return np.insert(order, np.array(places, np.int64), np.array([row for _, row in new], np.int32))
