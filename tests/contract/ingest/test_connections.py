"""Connections are counted, and who takes too many or too long makes way for others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.ingest.__main__ import application, server_options
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from services.ingest.write_keys.keys import WriteKey, WriteKeys
from services.shared.http.server import serving
from tests.contract.ingest.raw import GOOD, KNOWN, answers
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

_BODY = json.dumps(GOOD).encode()
WHOLE = b"POST /v1/track HTTP/1.1\r\nHost: x\r\n" + KNOWN + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY
PROBE = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def test_a_new_connection_takes_the_place_of_an_idle_one() -> None:
    settings = IngestSettings(max_connections=20)
    metrics = IngestMetrics(CollectorRegistry())
    app = application(MemoryEventLog(), WriteKeys({"wk": WriteKey("wk", "web")}), metrics, settings)
    async with serving(app, "127.0.0.1", 0, **server_options(settings, metrics)) as port:
        # Somebody known is sending a body, slowly; then come more who say nothing than there may be, and 64 newcomers.
        reader, known = await asyncio.open_connection("127.0.0.1", port)
        body = json.dumps(GOOD).encode()
        known.write(
            b"POST /v1/track HTTP/1.1\r\nHost: x\r\n" + KNOWN + b"Content-Length: %d\r\n\r\n" % len(body) + body[:1]
        )
        await until(lambda: metrics.requests_in_flight == 1)
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        await until(lambda: metrics.connections_closed.labels("full")._value.get() == 17)
        assert await asyncio.wait_for(idle[0][0].read(), 5) == b""

        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/healthz")).status_code == 200
        known.write(body[1:])
        assert (await asyncio.wait_for(reader.readline(), 5))[9:12] == b"200"
        for _, writer in idle:
            writer.close()
        known.close()


async def test_slow_senders_under_one_key_keep_nobody_else_out() -> None:
    """Write keys of browsers are public. Those of another key, new ones and probes come in, and who was slow before stays."""
    settings = IngestSettings(max_connections=20)
    metrics = IngestMetrics(CollectorRegistry())
    keys = WriteKeys({"wk": WriteKey("wk", "web"), "other": WriteKey("other", "other")})
    app = application(MemoryEventLog(), keys, metrics, settings)
    body = json.dumps(GOOD).encode()
    head = b"POST /v1/track HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n"
    async with serving(app, "127.0.0.1", 0, **server_options(settings, metrics)) as port:
        reader, honest = await asyncio.open_connection("127.0.0.1", port)
        honest.write(head % (b"X-Write-Key: other\r\n", len(body)) + body[:1])
        await until(lambda: metrics.requests_in_flight == 1)
        slow: list[asyncio.StreamWriter] = []
        waits: list[float] = []
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
            for number in range(200):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(head % (KNOWN, len(body)) + body[:1])
                slow.append(writer)
                if number % 20 == 19:
                    await until(lambda: metrics.requests_in_flight == 20, 10)
                    began = time.monotonic()
                    sent = await client.post(
                        "/v1/track", json=GOOD, auth=("other", ""), headers={"Connection": "close"}
                    )
                    probed = await client.get("/healthz", headers={"Connection": "close"})
                    waits.append(time.monotonic() - began)
                    assert (sent.status_code, probed.status_code) == (200, 200)
        honest.write(body[1:])

        assert (await asyncio.wait_for(reader.readline(), 5))[9:12] == b"200"
        assert max(waits) < 2
        assert metrics.crowded.labels("web")._value.get() >= 181
        assert metrics.crowded.labels("other")._value.get() == metrics.crowded.labels("")._value.get() == 0
        for writer in [*slow, honest]:
            writer.close()


@contextlib.asynccontextmanager
async def all_at_work(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[int, IngestMetrics]]:
    """A server whose 20 connections all wait for the log; at the end each gets its answer."""
    settings = IngestSettings(max_connections=20)
    metrics = IngestMetrics(CollectorRegistry())
    log = MemoryEventLog()
    acknowledged = asyncio.Event()
    append = log.append

    async def slowly(records: Any) -> None:
        await acknowledged.wait()
        await append(records)

    monkeypatch.setattr(log, "append", slowly)
    app = application(log, WriteKeys({"wk": WriteKey("wk", "web")}), metrics, settings)
    async with serving(app, "127.0.0.1", 0, **server_options(settings, metrics)) as port:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, writer in opened:
            writer.write(WHOLE)
        await until(lambda: metrics.requests_in_flight == 20)
        yield port, metrics
        acknowledged.set()
        for reader, writer in opened:
            assert (await asyncio.wait_for(reader.readline(), 5))[9:12] == b"200"
            writer.close()


async def test_where_all_are_at_work_probes_are_answered_and_others_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with all_at_work(monkeypatch) as (port, metrics):
        probes = [await answers(port, PROBE) for _ in range(100)]
        told = await answers(port, WHOLE)

        assert {each[9:12] for each in probes} == {b"200"}
        assert told.startswith(b"HTTP/1.1 429") and b"too many connections" in told
        assert metrics.crowded.labels("")._value.get() == 1


async def test_who_comes_and_says_nothing_cuts_off_no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    silent: list[asyncio.StreamWriter] = []
    waits: list[float] = []
    async with all_at_work(monkeypatch) as (port, metrics):
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            silent += [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(10)]
            began = time.monotonic()
            writer.write(PROBE)
            assert (await asyncio.wait_for(reader.read(), 5))[9:12] == b"200"
            waits.append(time.monotonic() - began)
            writer.close()

        assert max(waits) < 2
        assert metrics.connections_closed.labels("full")._value.get() >= 200 - 64
        for writer in silent:
            writer.close()


async def test_requests_never_fill_what_is_kept_for_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do those of connections before which another was let in and cut off."""
    opened: list[asyncio.StreamWriter] = []
    async with all_at_work(monkeypatch) as (port, metrics):
        for _ in range(70):
            opened.append((await asyncio.open_connection("127.0.0.1", port))[1])
            assert (await answers(port, WHOLE))[9:12] == b"429"

        assert metrics.requests_in_flight == 20
        assert (await answers(port, PROBE))[9:12] == b"200"
        for writer in opened:
            writer.close()


@pytest.mark.parametrize("known", [True, False])
async def test_who_does_not_read_its_answers_loses_its_place(known: bool) -> None:
    settings = IngestSettings(request_timeout_s=0.5)
    metrics = IngestMetrics(CollectorRegistry())
    app = application(MemoryEventLog(), WriteKeys({"wk": WriteKey("wk", "web")}), metrics, settings)
    body = json.dumps({"batch": [{"messageId": "x" * 256}] * 2_500}).encode()
    batch = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\n" + KNOWN + b"Content-Length: %d\r\n\r\n" % len(body) + body
    request, endpoint = (batch, "batch") if known else (b"GET /t.js HTTP/1.1\r\nHost: x\r\n\r\n", "tracker")
    ok = {"endpoint": endpoint, "status": "200"}
    unread = metrics.connections_closed.labels("unread")._value

    def answered() -> float | None:
        return metrics.registry.get_sample_value("tidemark_ingest_requests_total", ok)

    async with serving(app, "127.0.0.1", 0, **server_options(settings, metrics)) as port:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            deaf.connect(("127.0.0.1", port))
            deaf.setblocking(False)
            sent = 0
            with contextlib.suppress(OSError):
                while not unread.get():
                    await asyncio.get_running_loop().sock_sendall(deaf, request)
                    sent += 1
                    await until(lambda: unread.get() or answered() == sent, 10)  # noqa: B023
            await until(unread.get, 10)
