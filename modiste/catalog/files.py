"""Opening files that others made: regular ones only, of a bounded size, judged before a byte is read."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


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
