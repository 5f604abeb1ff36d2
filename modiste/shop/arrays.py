"""Arrays and texts that grow while others read them, in memory or in files that processes share."""

import mmap
import os
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from modiste.arrays import Array, Ints, Singles


class Texts(Sequence[str]):
    """Many texts in one buffer, which may be a file that processes share; read one at a time.

    ``ends``: int64 (n,), where each text ends in ``data``, UTF-8.
    """

    def __init__(self, ends: Ints, data: Any) -> None:
        self.ends, self.data = ends, data

    @classmethod
    def of(cls, ends: Ints, file: BinaryIO) -> "Texts":
        """What ``file`` holds, mapped. Raises ValueError where it ends before the texts do."""
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if len(ends) and ends[-1] else b""
        if len(ends) and ends[-1] > len(data):
            raise ValueError("the file was cut short")
        return cls(ends, data)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: Any) -> Any:  # of one row: nobody wants a slice
        start = int(self.ends[row - 1]) if row else 0
        return bytes(self.data[start : int(self.ends[row])]).decode()


class Ids(Sequence[str]):
    """The items' ids by row: those of the base, then those that came since (a list that only grows)."""

    def __init__(self, base: Sequence[str], more: list[str], rows: int) -> None:
        self.base, self.more, self.rows = base, more, rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: Any) -> Any:
        if row >= self.rows:  # what came later
            raise IndexError(row)
        return self.base[row] if row < len(self.base) else self.more[row - len(self.base)]


def written(array: Array, used: int, rows: Ints, values: Any) -> Array:
    """``array``, of which others read the first ``used`` places, with ``values`` at ``rows``.

    In place where that is behind ``used`` and there is room, else in a copy; the very same where nothing changes.
    """
    if not len(rows):
        return array
    values, inside, needed = np.asarray(values, array.dtype), rows < used, int(rows.max()) + 1
    if needed > len(array):
        grown = np.zeros((needed + max(1024, needed // 8), *array.shape[1:]), array.dtype)
        grown[:used] = array[:used]
        array = grown
    elif not np.array_equal(array[rows[inside]], values[inside], equal_nan=array.dtype.kind == "f"):
        array = array.copy()
    array[rows] = values
    return array


class Writer:
    """Writes texts one after another: into memory, or into a file in ``folder`` that goes when nobody reads it."""

    def __init__(self, folder: Path | None, count: int) -> None:
        self._ends = np.zeros(count, np.int64)
        self._file: BinaryIO = BytesIO() if folder is None else tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._written, self._end = 0, 0

    def write(self, text: str) -> None:
        """Add one text; more than ``count`` raise IndexError."""
        self._end += self._file.write(text.encode())
        self._ends[self._written] = self._end
        self._written += 1

    def texts(self) -> Texts:
        """All that was written."""
        ends = self._ends[: self._written]
        with self._file:  # a map of it stays open
            if isinstance(self._file, BytesIO):
                return Texts(ends, self._file.getvalue())
            self._file.flush()
            return Texts.of(ends, self._file)


def mapped(file: Path, rows: int, dim: int) -> Singles:
    """The file as float32 (rows, dim): shared with every process but for what is written, which stays private."""
    if file.stat().st_size < 4 * rows * dim:
        with file.open("r+b") as opened:
            opened.truncate(4 * rows * dim)
    return np.asarray(np.memmap(file, np.float32, "c", shape=(rows, dim)).view(np.ndarray))


def mapped_for_writing(file: Path, rows: int, dim: int) -> Singles:
    """A new file of float32 (rows, dim), zeros, in which what is written lies."""
    with file.open("wb") as opened:
        try:
            opened.truncate(4 * rows * dim)
            if rows * dim and hasattr(os, "posix_fallocate"):  # to write into a map that finds no room is to be killed
                os.posix_fallocate(opened.fileno(), 0, 4 * rows * dim)
        except OSError:
            file.unlink(missing_ok=True)
            raise
    return np.asarray(np.memmap(file, np.float32, "r+", shape=(rows, dim)).view(np.ndarray))
