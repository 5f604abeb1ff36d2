"""Logs as JSON, one object a line: the service's own, one line a request, and everybody else's warnings beside them.

What went wrong is told by where and of what kind, never with the values at hand: they may name a shopper.
"""

import json
import logging
import threading
from datetime import UTC, datetime
from traceback import extract_tb
from typing import Any

REQUESTS = logging.getLogger("modiste.requests")
"""One line a request; what belongs to it stands in the record's ``fields``."""


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, logger, message, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; a traceback is one of its fields, without messages."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = _places(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True, default=str)


def _places(error: BaseException | None) -> str:
    """The kinds of an error and of those that led to it, the first one first, each with the lines it passed."""
    chain: list[str] = []
    while error is not None and len(chain) < 10:
        passed = extract_tb(error.__traceback__)
        lines = [f'  File "{one.filename}", line {one.lineno}, in {one.name}' for one in passed]
        chain.append("\n".join([*lines, f"{type(error).__module__}.{type(error).__qualname__}"]))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\n".join(reversed(chain))


def log_threads() -> None:
    """Have what ends a thread logged, and not written to standard error."""

    def ended(what: threading.ExceptHookArgs) -> None:
        error = what.exc_value or what.exc_type()
        logging.getLogger("modiste").error("a thread ended", exc_info=(what.exc_type, error, what.exc_traceback))

    threading.excepthook = ended
    logging.captureWarnings(True)


CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "modiste.server.logs.JsonFormatter"}},
    "handlers": {"json": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
    "loggers": {
        "modiste": {"handlers": ["json"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["json"], "level": "INFO", "propagate": False},
    },
    "root": {"handlers": ["json"], "level": "WARNING"},
}
"""For logging.config.dictConfig: everything to standard output."""
