"""
Structured logs on standard error: an event name and its fields, one line each, as text or JSON.

    log = logging.getLogger(__name__)
    log.info("batch_accepted", extra={"events": 12})

Event names are constants and fields are values, never payloads or secrets. TIDEMARK_LOG_LEVEL and
TIDEMARK_LOG_FORMAT (text or json) say how much and how.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from services.shared.kafka.log_throttle import RepeatFilter
from services.shared.settings import Settings, load

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogSettings(Settings):
    """How much is logged, and in which form."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="TIDEMARK_LOG_LEVEL")
    """DEBUG, INFO, WARNING or ERROR."""
    format: Literal["text", "json"] = Field("text", validation_alias="TIDEMARK_LOG_FORMAT")
    """text or json."""


def setup(service: str, settings: LogSettings | None = None) -> None:
    """
    Send the logs of this process to standard error, in the form that the settings ask for.

    Raises:
        ConfigurationError: the settings are wrong.
    """
    settings = settings or load(LogSettings)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RepeatFilter())
    handler.setFormatter(JsonLines(service) if settings.format == "json" else TextLines(service))
    logging.basicConfig(level=settings.level, handlers=[handler], force=True)
    # These tell of every reconnection at INFO, and of every commit.
    for chatty in ("aiokafka", "faust", "mode", "asyncio", "uvicorn", "kafka"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(settings.level)))


def flush() -> None:
    """Write out what was logged, as far as that can be done: a full disk or a closed pipe keeps no process from leaving."""
    for handler in logging.getLogger().handlers:
        with contextlib.suppress(OSError, ValueError):
            handler.flush()


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given as `extra` to a log call."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class TextLines(logging.Formatter):
    """`2031-05-01T10:00:00.123Z INFO ingest batch_accepted events=12`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the traceback below where there is one."""
        parts = [_instant(record), record.levelname, self._service, record.getMessage()]
        parts += [f"{name}={_value(value)}" for name, value in fields(record).items()]
        if record.exc_info:
            parts.append("\n" + self.formatException(record.exc_info))
        return " ".join(parts)


class JsonLines(TextLines):
    """The same as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object; a traceback is its member `exception`."""
        line = {
            "at": _instant(record), "level": record.levelname, "service": self._service,
            "logger": record.name, "event": record.getMessage(), **fields(record),
        }  # fmt: skip
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _instant(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _value(value: object) -> str:
    """Return a value such that it ends where the next field begins, and that no terminal acts on it."""
    text = str(value)
    return json.dumps(text) if not text or not text.isprintable() or any(c in text for c in ' "=') else text
