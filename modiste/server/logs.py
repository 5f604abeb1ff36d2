"""Logs as JSON, one object a line: the service's own, one line a request, and the web server's errors beside them."""

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


CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "modiste.server.logs.JsonFormatter"}},
    "handlers": {"json": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
    "loggers": {
        "modiste": {"handlers": ["json"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["json"], "level": "INFO", "propagate": False},
    },
}
"""For logging.config.dictConfig: everything to standard output."""
