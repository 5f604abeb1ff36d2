"""Logs, one line a request, and the web server's errors beside them: JSON for programs, words on a terminal.

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


class PlainFormatter(logging.Formatter):
    """A record as a person at a terminal reads it: the time here, and what was asked, answered and took how long."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; a traceback stands below it."""
        asked = getattr(record, "fields", {})
        said = record.getMessage()
        if {"method", "route", "status", "ms"} <= asked.keys():
            said = f"{asked['method']} {asked['route']} {asked['status']} {asked['ms']:.0f} ms"
        elif record.levelno >= logging.WARNING:
            said = f"{record.levelname.lower()}: {said}"
        line = f"{datetime.fromtimestamp(record.created):%H:%M:%S} {said}"
        return f"{line}\n{_places(record.exc_info[1])}" if record.exc_info else line


class Interesting(logging.Filter):
    """Lets pass what a person wants to see as it happens: not each picture, file and probe that was answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        asked = getattr(record, "fields", {})
        route, status = str(asked.get("route", "")), asked.get("status", 0)
        quiet = route.endswith(("/thumbnail", "/photo", "/mask")) or route in ("none", "/health", "/metrics")
        return not (quiet and 200 <= status < 400)


def config(people: bool) -> dict[str, Any]:
    """For logging.config.dictConfig: everything to standard output, as JSON or for ``people``."""
    handler = {
        "class": "logging.StreamHandler", "formatter": "plain" if people else "json", "stream": "ext://sys.stdout",
        "filters": ["of_interest"] if people else [],
    }  # fmt: skip
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"of_interest": {"()": "modiste.server.logs.Interesting"}},
        "formatters": {
            "json": {"()": "modiste.server.logs.JsonFormatter"},
            "plain": {"()": "modiste.server.logs.PlainFormatter"},
        },
        "handlers": {"out": handler},
        "root": {"handlers": ["out"], "level": "WARNING"},
        "loggers": {
            "modiste": {"handlers": ["out"], "level": "INFO", "propagate": False},
            "uvicorn": {"handlers": ["out"], "level": "WARNING" if people else "INFO", "propagate": False},
        },
    }
