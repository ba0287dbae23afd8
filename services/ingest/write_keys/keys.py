"""
Write keys: who may send, what is recorded as the source of what they send, and how much that may be.

The file is a YAML list (docs/ingest.md). It holds the hashes of the keys, never a key. A change is taken over while
running. A file that cannot be read, or has an error, changes nothing: the keys known before stay valid, and it is
logged and counted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from services.ingest.domain.plan_check import PlanMode
from services.ingest.errors import Code
from services.ingest.metrics import IngestMetrics
from services.shared.credentials import DIGEST, LONGEST, dated, digest, id_of
from services.shared.errors import Rejected
from services.shared.files.entry_fields import read_entry
from services.shared.files.entry_list import Hashes, read_entries
from services.shared.files.watched_file import WatchedFile
from services.shared.http.addresses import ORIGIN
from services.shared.tracking_plan.actors import Actor

log = logging.getLogger(__name__)

_TELL_EVERY_S = 1.0
_digest = lru_cache(maxsize=4_096)(digest)
"""Remembers the digests of keys that were named lately, known or not: 2 MB at the most."""
_HASHES = Hashes("key_sha256", never="write_key", right="send", command="tidemark keys create")


class WriteKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One write key. Only `source` and `environment` reach the log; the key itself is a secret."""

    key_sha256: str
    """Hash of the key (`services.shared.credentials.digest`); empty for a source that has none, such as a webhook."""
    source: str
    environment: str = "production"
    """What is not `production` is stored, and never scores."""
    backfill: bool = False
    """Whether it may send the backfill headers, which set the time of events."""
    client: Literal["server", "browser"] = "browser"
    """
    Who holds it: a server, which can be believed about memberships, or browsers, where anybody can read it.

    An entry of the file has to say it; a key that is made without a file is believed the less.
    """
    origins: tuple[str, ...] = ()
    """Origins of the pages that may use it, `https://app.example.com`; none: any."""
    events_per_s: float | None = None
    bytes_per_s: float | None = None
    burst_s: float = 10.0
    """Seconds of its rates that may come at once."""
    actor: Actor | None = None
    """Who acts in what is sent with it, where neither the event nor the tracking plan says it; None: people."""
    plan: PlanMode = "observe"
    """What comes of events that break the tracking plan: `reject`, `observe` (taken, counted and told), `off`."""
    not_after: datetime | None = None
    """From then on it is not taken any more."""

    @property
    def id(self) -> str:
        """Its name in metrics and lists."""
        return id_of(self.key_sha256)

    def admits(self, origin: bytes) -> bool:
        """Return whether a page of this origin may use it; a request without one comes from no page."""
        return not origin or not self.origins or origin.decode("latin-1") in self.origins

    def expired(self, now: float) -> bool:
        """Return whether it is not taken any more, at a time in seconds since 1970."""
        return self.not_after is not None and now >= self.not_after.timestamp()


def read(path: Path) -> dict[str, WriteKey]:
    """
    Return the write keys of a file by their hashes.

    Raises:
        ConfigurationError: with everything that is wrong with it.
    """
    return read_entries(path, "TIDEMARK_WRITE_KEYS_FILE", "key", _read, _HASHES)


def _read(given: Any, where: str, problems: list[str]) -> tuple[str, WriteKey]:
    """Return an entry with what is right of it, by its hash, and add all that is wrong to the problems."""
    hint = "is no key; write fields such as key_sha256 and source"
    entry, found = read_entry(dated(given), WriteKey("", ""), where, hint, problems)
    if not isinstance(given, dict):
        return "", entry
    # What is missing or no text is told already.
    problems += [f"{where}: {each}" for each in _problems(entry, found)]
    if "client" not in given:
        problems.append(
            f"{where}: client is missing from the key {entry.id or 'without key_sha256'} of source"
            f" {entry.source!r}: write `client: server` if only servers hold it, `client: browser` if pages or apps do"
        )
    return entry.key_sha256, entry


def _problems(entry: WriteKey, given: Collection[str]) -> list[str]:
    problems = []
    if "key_sha256" in given and not DIGEST.fullmatch(entry.key_sha256):
        problems.append("key_sha256 must be 64 hexadecimal digits, in lower case")
    if "source" in given and not (entry.source and entry.source.isprintable() and len(entry.source) <= 256):
        problems.append("source must be 1 to 256 printable characters")
    if not entry.environment:
        problems.append("environment must not be empty")
    problems += [
        f"origin {origin!r} must be as browsers send it: https://app.example.com, in lower case, without a path"
        for origin in entry.origins
        if not ORIGIN.fullmatch(origin)
    ]
    if entry.backfill and entry.client == "browser":
        problems.append(
            "a key with client: browser cannot have backfill: true, since anybody can read it and set times"
        )
    for name in ("events_per_s", "bytes_per_s", "burst_s"):
        value = getattr(entry, name)
        if value is not None and not 0 < value < 1e12:
            problems.append(f"{name} must be more than 0")
    return problems


class WriteKeys:
    """The keys that are valid now."""

    def __init__(
        self,
        keys: Mapping[str, WriteKey],
        metrics: IngestMetrics | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take keys by their text: for tests, and for trying requests out. Their hashes are set here."""
        self._metrics = metrics
        self._clock = clock
        self._file = WatchedFile(None)
        self.version = 0
        """Goes up with each change, for those who remember something of a key."""
        self._keys: dict[str, WriteKey] = {}
        self._told: dict[str, float] = {}
        """When the use of each key was told last."""
        self._any_origin, self._origins = True, frozenset[str]()
        self._take({digest(text): msgspec.structs.replace(key, key_sha256=digest(text)) for text, key in keys.items()})

    @classmethod
    def from_file(cls, path: Path, metrics: IngestMetrics) -> WriteKeys:
        """
        Read the file for the first time.

        Raises:
            ConfigurationError: with everything that is wrong with it.
        """
        keys = cls({}, metrics)
        keys._file = WatchedFile(path)
        metrics.write_keys_unreadable.set_function(lambda: len(keys.unreadable))
        keys._take(read(path))
        return keys

    def named(self, key: str) -> WriteKey:
        """
        Return what a write key stands for.

        Raises:
            Rejected: it is not known, or not valid any more.
        """
        found = self._keys.get(_digest(key)) if len(key) <= LONGEST else None
        if found is None:
            raise Rejected(
                Code.UNKNOWN_WRITE_KEY,
                "writeKey",
                "this write key is not known here; make one with `tidemark keys create`",
            )
        if found.not_after is not None and found.expired(self._clock()):
            raise Rejected(
                Code.EXPIRED_WRITE_KEY,
                "writeKey",
                f"this write key was valid until {found.not_after}; use its successor",
            )
        return found

    def find(self, key: str) -> WriteKey | None:
        """Return what a write key stands for; None where it is not known, or not valid any more."""
        try:
            return self.named(key)
        except Rejected:
            return None

    def has(self, key: WriteKey) -> bool:
        """Return whether a key is still there, as it was."""
        return self._keys.get(key.key_sha256) == key

    def used(self, key: WriteKey) -> None:
        """Note that a key was used just now; told at most once a second."""
        if self._metrics is None or not key.key_sha256:
            return
        now = self._clock()
        # A clock that was ahead and is set right has told the future: that is put right at once.
        if not 0 <= now - self._told.get(key.key_sha256, 0.0) < _TELL_EVERY_S:
            self._told[key.key_sha256] = now
            self._metrics.write_key_used.labels(key.source, key.id).set(now)

    def welcomes(self, origin: bytes) -> bool:
        """
        Return whether pages of an origin may use any key; asked before a browser has named one.

        Where some key is for browsers, only those count.
        """
        return self._any_origin or origin.decode("latin-1") in self._origins

    @property
    def unreadable(self) -> list[str]:
        """The path of the file, while what is there now cannot be taken over."""
        return self._file.unreadable

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        keys = self._file.renewed(read, "write_keys")
        if keys is None:
            return
        self._take(keys)
        self.version += 1
        log.info("write_keys_reloaded", extra={"keys": len(self._keys)})

    def _take(self, keys: dict[str, WriteKey]) -> None:
        gone = [key for hashed, key in self._keys.items() if hashed not in keys or keys[hashed].source != key.source]
        self._keys = keys
        self._told = {}
        browsers = [key for key in keys.values() if key.client == "browser"] or list(keys.values())
        self._any_origin = any(not key.origins for key in browsers)
        self._origins = frozenset(origin for key in browsers for origin in key.origins)
        if self._metrics is None:
            return
        self._metrics.write_keys.set(len(keys))
        self._metrics.write_key_not_after.clear()  # a key may have no end any more
        for key in gone:
            self._metrics.forget_write_key(key.source, key.id)
        for key in keys.values():
            self._metrics.begin(key.source)
            self._metrics.write_key_used.labels(key.source, key.id)
            if key.not_after is not None:
                self._metrics.write_key_not_after.labels(key.source, key.id).set(key.not_after.timestamp())
