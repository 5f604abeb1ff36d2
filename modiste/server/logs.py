"""Logs, one line a request, and the web server's errors beside them: JSON for programs, words on a terminal."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

REQUESTS = logging.getLogger("modiste.requests")
"""One line a request; what belongs to it stands in the record's ``fields``."""


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, logger, message, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; a traceback is one of its fields."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


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
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


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
        "loggers": {
            "modiste": {"handlers": ["out"], "level": "INFO", "propagate": False},
            "uvicorn": {"handlers": ["out"], "level": "WARNING" if people else "INFO", "propagate": False},
        },
    }
