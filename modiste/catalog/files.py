"""Files: those that others made are judged before a byte is read, ours are written whole or not at all."""

import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from io import BufferedReader
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

MAX_TOML = 1_000_000
"""Bytes of a TOML file; the largest that we ship, a taxonomy of ten languages, has 63,000."""

MAX_DEPTH = 16
"""Tables within tables of a TOML file, and lists within lists."""

_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')


def open_regular(path: Path, most: int) -> BufferedReader:
    """Open a regular file of at most ``most`` bytes, for reading in binary.

    Raises OSError whose ``strerror`` says what is wrong: a pipe, device or folder (none is waited for), a file that is
    too large, or one that isn't there.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        known = os.fstat(handle)
        if stat.S_ISDIR(known.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(known.st_mode):
            raise OSError(errno.EINVAL, "is a pipe or a device, no regular file")
        if known.st_size > most:
            raise OSError(errno.EFBIG, f"has {known.st_size / 1e6:,.0f} MB, at most {most / 1e6:,.0f} are read")
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read(path: Path, most: int) -> bytes:
    """All of a regular file of at most ``most`` bytes. Raises OSError as :func:`open_regular` does."""
    with open_regular(path, most) as file:
        content = file.read(most + 1)
    if len(content) > most:  # it grew, or is one that doesn't say how much it holds, as those in /proc
        raise OSError(errno.EFBIG, f"has more than {most / 1e6:,.0f} MB, which is the most that is read")
    return content


def resolved(path: str | Path) -> Path:
    """The absolute path without links; as it is where they lead in a circle, of which opening it will tell."""
    return Path(os.path.realpath(path))  # Path.resolve raises RuntimeError there, up to Python 3.12


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file that is there whole or not at all, whatever happens meanwhile. Raises OSError.

    By default another machine's user may serve it.
    """
    with NamedTemporaryFile(dir=path.parent, prefix=".tmp", delete=False) as written:
        unfinished = Path(written.name)
        try:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
            unfinished.chmod(mode)
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file of at most MAX_TOML bytes and MAX_DEPTH.

    Raises OSError as :func:`open_regular` does, and ValueError for what is no TOML, or nested deeper.
    """
    text = read(path, MAX_TOML).decode()
    for number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > MAX_DEPTH and _STRING.sub("", line).partition("=")[0].count(".") > MAX_DEPTH:
            raise ValueError(f"line {number} is nested deeper than {MAX_DEPTH}")  # time grows with depth and size
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH}") from None
    level: list[Any] = [content]
    for _ in range(MAX_DEPTH):
        level = [inner for one in level for inner in _inside(one)]
    if level:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH}")
    return content


def as_toml(fields: Mapping[str, Any]) -> str:
    """The lines that :func:`read_toml` reads as ``fields``: texts, numbers and lists of them."""
    written = {name: json.dumps(value, ensure_ascii=False) for name, value in fields.items()}
    # the one character that JSON leaves as it is and TOML wants escaped
    return "".join(f"{name} = {value}\n" for name, value in written.items()).replace("\x7f", "\\u007f")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
