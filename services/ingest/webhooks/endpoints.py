"""
The endpoints that vendors' webhooks are sent to: what is recorded as their source, and the secrets that they sign with.

The file is a YAML list, as docs/webhooks.md describes it. A change is taken over while running, in the same way as one of
the write keys: a file that cannot be read, or has an error, changes nothing, and is logged and counted.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from services.ingest.domain.webhooks.vendors import problems_of
from services.ingest.metrics import IngestMetrics
from services.ingest.write_keys.keys import WriteKey
from services.shared.files.entry_fields import read_entry
from services.shared.files.entry_list import read_entries
from services.shared.files.watched_file import WatchedFile

log = logging.getLogger(__name__)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SECRETS = 2
_SHORTEST_SECRET = 16
OUTCOMES = ("accepted", "unattributed", "ignored", "rejected", "refused", "put_off")
"""What becomes of a webhook, as it is counted."""


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    vendor: Literal["stripe", "zendesk", "delighted"]
    name: str
    source: str
    account: str
    secrets: list[str]
    environment: str = "production"
    user: str = ""


_BLANK = _Entry("", "", "", "", [])  # type: ignore[arg-type]  # no vendor at all
"""In place of what an entry does not say, or not as it has to be."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint, `POST /v1/webhooks/VENDOR/NAME`."""

    vendor: str
    name: str
    source: str
    environment: str
    account: str
    """Where its payloads have the account, in the words of the vendor's module."""
    user: str
    """Where they have the person; empty: where the vendor's module looks by itself."""
    secrets: tuple[bytes, ...] = field(repr=False)
    """One, or two while one takes the place of the other."""

    @property
    def path(self) -> str:
        """What comes after `/v1/webhooks/`."""
        return f"{self.vendor}/{self.name}"

    def key(self, *, test: bool) -> WriteKey:
        """Return what admission takes it for; what the vendor calls a test is of no environment that scores."""
        environment = "test" if test and self.environment == "production" else self.environment
        return WriteKey("", self.source, environment, client="server")


def read(path: Path | None) -> dict[str, Endpoint]:
    """
    Return the endpoints of a file by their path; none where there is no file to read.

    Raises:
        ConfigurationError: with everything that is wrong with it.
    """
    return {} if path is None else read_entries(path, "TIDEMARK_WEBHOOKS_FILE", "endpoint", _read)


def _read(given: Any, where: str, problems: list[str]) -> tuple[str, Endpoint]:
    """Return an endpoint by its path, and add all that is wrong to the problems."""
    hint = "is no endpoint; write fields such as vendor and name"
    entry, found = read_entry(given, _BLANK, where, hint, problems)
    # What is missing or of a wrong shape is told already.
    problems += [f"{where}: {problem}" for field, problem in _problems(entry) if field in found]
    secrets = tuple(secret.encode() for secret in entry.secrets)
    endpoint = Endpoint(
        entry.vendor, entry.name, entry.source, entry.environment, entry.account, entry.user, secrets=secrets
    )
    return endpoint.path if {"vendor", "name"} <= found else "", endpoint


def _problems(entry: _Entry) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the values of an entry, each with its field."""
    if not _NAME.fullmatch(entry.name):
        yield "name", "name must be small letters, digits, '-' and '_', 64 at most: it is the end of a URL"
    if not entry.source or not entry.source.isprintable() or len(entry.source) > 256:
        yield "source", "source must be 1 to 256 printable characters"
    if not entry.environment:
        yield "environment", "environment must not be empty"
    if not 1 <= len(entry.secrets) <= _SECRETS:
        yield "secrets", f"secrets must be a list of one, or of {_SECRETS} while one takes the place of the other"
    if len(set(entry.secrets)) < len(entry.secrets):
        yield "secrets", "secrets has the same one twice"
    for position, secret in enumerate(entry.secrets, 1):
        if len(secret) < _SHORTEST_SECRET or not secret.isascii() or not secret.isprintable() or " " in secret:
            yield (
                "secrets",
                f"secret {position} must be the vendor's, at least {_SHORTEST_SECRET} characters without spaces",
            )
    if entry.vendor:
        yield from problems_of(entry.vendor, entry.account, entry.user)


class Endpoints:
    """The endpoints that there are now."""

    def __init__(
        self, endpoints: dict[str, Endpoint], path: Path | None = None, metrics: IngestMetrics | None = None
    ) -> None:
        self._metrics = metrics
        self._file = WatchedFile(path)
        if metrics is not None:
            metrics.webhooks_unreadable.set_function(lambda: len(self.unreadable))
        self._endpoints: dict[str, Endpoint] = {}
        self._take(endpoints)

    @classmethod
    def from_file(cls, path: Path | None, metrics: IngestMetrics) -> Endpoints:
        """
        Read the file for the first time.

        Raises:
            ConfigurationError: with everything that is wrong with it.
        """
        found = cls({}, path, metrics)  # first, so that what changes while it is read is read again
        found._take(read(path))
        return found

    def find(self, path: str) -> Endpoint | None:
        """Return the endpoint at a path, `VENDOR/NAME`; None where there is none."""
        return self._endpoints.get(path)

    @property
    def unreadable(self) -> list[str]:
        """The path of the file, while what is there now cannot be taken over."""
        return self._file.unreadable

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        endpoints = self._file.renewed(read, "webhooks")
        if endpoints is None:
            return
        self._take(endpoints)
        log.info("webhooks_reloaded", extra={"endpoints": len(self._endpoints)})

    def _take(self, endpoints: dict[str, Endpoint]) -> None:
        self._endpoints = endpoints
        if self._metrics is None:
            return
        self._metrics.webhooks.set(len(endpoints))
        for path in endpoints:
            for outcome in OUTCOMES:  # from 0 on, or an alert would not see the first of them
                self._metrics.webhook_requests.labels(path, outcome)
