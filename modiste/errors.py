"""The errors a person can meet. Each message says what was wrong, where, and what to do about it."""

import errno
from typing import Literal


class ModisteError(Exception):
    """Base of every error that is the input's fault, not the program's; doors print it without a traceback."""


class SourceError(ModisteError):
    """A catalogue, taxonomy or orders file that can't be read as what it should be."""


class StorageError(SourceError):
    """A disk or a database that refuses. Nothing was changed, and the same works once the cause is gone.

    ``kind``: the disk is "full"; the place is "closed" to this user (read-only, no permission); the database is "away"
    (it can't be reached) or "busy" (it kept us waiting).
    """

    def __init__(self, message: str, kind: Literal["full", "closed", "away", "busy"]) -> None:
        super().__init__(message)
        self.kind = kind

    @classmethod
    def of(cls, error: OSError) -> "StorageError | None":
        """What the operating system refused, with the file; None for another kind of error."""
        where = f" ({error.filename})" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return cls(f"the disk is full{where}: nothing was changed; make room, and do it again", "full")
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            why = (error.strerror or "no permission").lower()
            return cls(f"{why}{where}: nothing was changed; give this user leave to write there", "closed")
        if error.errno in (errno.EIO, errno.EMFILE, errno.ENFILE):
            return cls(f"{(error.strerror or '').lower()}{where}: do it again once that is mended", "busy")
        return None


class PhotoError(ModisteError):
    """A photo that can't be decoded safely: truncated, empty, absurdly large, or no image at all."""


class MaskError(ModisteError):
    """A mask that doesn't belong to its photo: another size, empty, or not a label map."""


class SettingError(ModisteError, ValueError):
    """A parameter outside its range: a negative weight, an odd penalty, an unknown preset."""


class ChangedError(ModisteError):
    """Something that is not what it was when it was read; nothing was changed."""


class UnknownIdError(ModisteError, KeyError):
    """An item, shopper, store, backbone or vector space that the shop doesn't have."""

    def __str__(self) -> str:  # KeyError would print the message in quotes
        return str(self.args[0]) if self.args else ""


class MissingExtraError(ModisteError, ImportError):
    """An optional dependency that isn't installed; the message holds the pip command that mends it."""

    def __init__(self, extra: str, why: str) -> None:
        from modiste.extras import install_command

        super().__init__(f"{why} needs the extra {extra}: {install_command(extra)}")


class ServiceError(ModisteError):
    """A service that refused a request, or that can't be reached.

    ``status`` is its HTTP status (None: no answer came), ``request_id`` finds the request in its log, and
    ``retry_after`` says in how many seconds to come back, where it is busy.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
