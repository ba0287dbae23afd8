"""Ingest over the log in memory, on one port: it can be stopped, started again, and made to push back."""

from __future__ import annotations

import base64
import contextlib
import gzip
import re
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from schemas import codec
from services.ingest.__main__ import application, server_options
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from services.ingest.write_keys.keys import WriteKey, WriteKeys
from services.shared.http.server import serving
from services.shared.kafka.embedded.free_ports import free_port

_WRITE_KEY = re.compile(rb'"writeKey":"([^"]+)"')
_MESSAGE_ID = re.compile(rb'"messageId":\s*"([^"]+)"')


class Answer(NamedTuple):
    """The answer to one request."""

    at: float
    """By the monotonic clock."""
    write_key: str
    status: int
    first_id: str
    """Message id of its first event: that of a request sent again is the same."""


class MemoryIngest:
    """A server; what it acknowledged outlives a restart. Each write key is also the source of its events."""

    def __init__(self, write_keys: Iterable[str]) -> None:
        self.port = free_port()
        self.log = MemoryEventLog()
        self.unavailable = False
        """Whether each request is answered with 503, as by a proxy whose upstream is away."""
        self.answers: list[Answer] = []
        """What POST requests were answered, in order."""
        self._settings = IngestSettings()
        self._keys = {key: WriteKey("", key, client="server") for key in write_keys}
        self._server = contextlib.AsyncExitStack()

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Accept connections."""
        metrics = IngestMetrics(CollectorRegistry())
        app = application(self.log, WriteKeys(self._keys, metrics), metrics, self._settings)

        async def observed(scope: Any, receive: Any, send: Any) -> None:
            parts: list[bytes] = []

            async def receiving() -> Any:
                message = await receive()
                parts.append(message.get("body", b""))
                return message

            async def sending(message: Any) -> None:
                if message["type"] == "http.response.start" and scope["method"] == "POST":
                    self.answers.append(_answer(scope["headers"], b"".join(parts), message["status"]))
                await send(message)

            if self.unavailable and scope["type"] == "http" and scope["method"] == "POST":
                while (await receiving()).get("more_body"):
                    pass
                await sending({"type": "http.response.start", "status": 503, "headers": []})
                await send({"type": "http.response.body", "body": b""})
            else:
                await app(scope, receiving, sending)

        await self._server.enter_async_context(
            serving(observed, "127.0.0.1", self.port, **server_options(self._settings))
        )

    async def stop(self) -> None:
        """Answer what it has, and refuse connections."""
        await self._server.aclose()

    def events(self, source: str) -> list[dict[str, Any]]:
        """Return the events of a source that it accepted."""
        return self._records("usage_event", source)

    def rejected(self, source: str) -> list[dict[str, Any]]:
        """Return the dead letters of a source."""
        return self._records("dead_letter", source)

    def _records(self, kind: str, source: str) -> list[dict[str, Any]]:
        records = (codec.decode(record.value) for topic in self.log.records.values() for record in topic)
        return [record for name, record in records if name == kind and record["source"] == source]


def _answer(headers: Iterable[tuple[bytes, bytes]], body: bytes, status: int) -> Answer:
    plain = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
    given = dict(headers).get(b"authorization", b"").removeprefix(b"Basic ")
    key = base64.b64decode(given).partition(b":")[0] or _first(_WRITE_KEY, plain)
    return Answer(time.monotonic(), key.decode(), status, _first(_MESSAGE_ID, plain).decode())


def _first(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    found = pattern.search(text)
    return found[1] if found else b""
