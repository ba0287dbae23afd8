"""
Write keys: who may send, and what is recorded as the source of what they send.

The file is a YAML list of `{write_key, source, environment, backfill}`. A change is taken over while running. A file
that cannot be read, or has an error, changes nothing: the keys known before stay valid, and it is logged and counted.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from services.ingest.metrics import IngestMetrics
from services.shared.errors import ConfigurationError

log = logging.getLogger(__name__)


class WriteKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One write key. Only `source` and `environment` reach the log; the key itself is a secret."""

    write_key: str
    source: str
    environment: str = "production"
    """What is not `production` is stored, and never scores."""
    backfill: bool = False
    """Whether it may send the backfill headers, which set the time of events."""


def read(path: Path) -> dict[str, WriteKey]:
    """
    Return the write keys of a file.

    Raises:
        ConfigurationError: with everything that is wrong with it.
    """
    try:
        entries = msgspec.yaml.decode(path.read_bytes(), type=list[WriteKey] | None) or []
    except OSError as error:
        raise ConfigurationError([f"TIDEMARK_WRITE_KEYS_FILE: {path} cannot be read ({error.strerror})"]) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise ConfigurationError([f"TIDEMARK_WRITE_KEYS_FILE: {path}: {error}"]) from error
    problems = []
    keys: dict[str, WriteKey] = {}
    for number, entry in enumerate(entries, 1):
        where = f"TIDEMARK_WRITE_KEYS_FILE: {path}: entry {number}"
        if not entry.write_key or not entry.write_key.isprintable() or ":" in entry.write_key:
            problems.append(f"{where}: write_key must be printable text without ':'")
        if not entry.source or not entry.source.isprintable() or len(entry.source) > 256:
            problems.append(f"{where}: source must be 1 to 256 printable characters")
        if not entry.environment:
            problems.append(f"{where}: environment must not be empty")
        if entry.write_key in keys:
            problems.append(f"{where}: this write_key is there twice")
        keys[entry.write_key] = entry
    if problems:
        raise ConfigurationError(problems)
    return keys


class WriteKeys:
    """The keys that are valid now."""

    def __init__(
        self, keys: dict[str, WriteKey], path: Path | None = None, metrics: IngestMetrics | None = None
    ) -> None:
        self._keys = keys
        self._path = path
        self._metrics = metrics
        self._seen = _stamp(path)
        self.version = 0
        """Goes up with each change, for those who remember what they looked up."""
        if metrics:
            metrics.write_keys.set(len(keys))

    @classmethod
    def from_file(cls, path: Path, metrics: IngestMetrics) -> WriteKeys:
        """
        Read the file for the first time.

        Raises:
            ConfigurationError: with everything that is wrong with it.
        """
        return cls(read(path), path, metrics)

    def find(self, key: str) -> WriteKey | None:
        """Return what a write key stands for, None where it is not known."""
        return self._keys.get(key)

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        stamp = _stamp(self._path)
        if self._path is None or stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._keys = read(self._path)
        except ConfigurationError as error:
            log.error("write_keys_unreadable", extra={"problems": error.problems})  # noqa: TRY400  the text says it
            if self._metrics:
                self._metrics.write_keys_errors.inc()
            return
        self.version += 1
        if self._metrics:
            self._metrics.write_keys.set(len(self._keys))
        log.info("write_keys_reloaded", extra={"keys": len(self._keys)})


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
