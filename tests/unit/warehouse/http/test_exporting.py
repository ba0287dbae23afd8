"""Exports over HTTP: one at a time, none for a HEAD, and none for longer than somebody reads it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from services.shared.errors import Rejected, Retryable
from services.shared.http.server import serving
from services.warehouse.domain.exports import Selection, export_of
from services.warehouse.http import exporting
from services.warehouse.http.exporting import exporting_routes
from services.warehouse.views import VIEWS
from tests.support.waiting import until

PATH = f"/v1/export/{next(iter(VIEWS))}?format=csv"


class Endless:
    """Exports for ever the first time, and two pieces afterwards; it counts what was begun and what is open."""

    def __init__(self) -> None:
        self.begun = self.open = 0

    def export(self, wanted: Selection) -> Iterator[bytes]:
        del wanted
        self.begun += 1
        self.open += 1
        try:
            for _ in iter(int, 1) if self.begun == 1 else range(2):
                yield b"x" * 262_144
        finally:
            self.open -= 1


async def test_an_export_that_nobody_reads_is_ended_and_lets_the_next_one_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "UNREAD_S", 0.2)
    store = Endless()
    async with serving(Starlette(routes=exporting_routes(lambda: store)), "127.0.0.1", 0) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
        writer.write(f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await until(lambda: store.begun == 1)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            busy = await client.get(PATH)
            await until(lambda: store.open == 0)
            after = await client.get(PATH)
        writer.close()

    assert (busy.status_code, busy.json()["code"]) == (503, "busy")
    assert (after.status_code, len(after.content)) == (200, 2 * 262_144)


async def test_an_export_that_is_read_without_end_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes a little of it now and then keeps everybody else from one."""
    monkeypatch.setattr(exporting, "WHOLE_S", 0.2)
    store = Endless()
    async with (
        serving(Starlette(routes=exporting_routes(lambda: store)), "127.0.0.1", 0, timeout_graceful_shutdown=0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        asyncio.timeout(20),
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await _read(client)
        after = await client.get(PATH)

    assert (after.status_code, store.open) == (200, 0)


async def _read(client: httpx.AsyncClient) -> None:
    """Read an export to its end, and keep nothing of it."""
    async with client.stream("GET", PATH) as answer:
        async for _ in answer.aiter_bytes():
            pass


class Empty:
    def export(self, wanted: Selection) -> Iterator[bytes]:
        del wanted
        return iter(())


async def test_a_parameter_that_is_given_twice_is_refused() -> None:
    transport = httpx.ASGITransport(Starlette(routes=exporting_routes(Empty)))
    async with httpx.AsyncClient(transport=transport, base_url="http://warehouse") as client:
        answer = await client.get("/v1/export/health_by_day?from=2026-01-01&from=2026-02-01")

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "bad_parameter", "from")


class BreakingOff:
    """Yields one piece, and is away then."""

    def export(self, wanted: Selection) -> Iterator[bytes]:
        del wanted
        yield b"acme,"
        raise Retryable("ClickHouse: connection broken")


async def test_an_export_that_breaks_off_ends_before_its_end_and_is_logged_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        serving(Starlette(routes=exporting_routes(BreakingOff)), "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(PATH)

    (line,) = [record for record in caplog.records if record.name == exporting.__name__]
    assert (line.message, line.__dict__["reason"]) == ("export_broke_off", "ClickHouse: connection broken")
    assert not any(record.exc_info for record in caplog.records)


async def test_who_has_the_whole_of_an_export_may_ask_for_the_next_one_at_once() -> None:
    store = Endless()
    store.begun = 1
    app = Starlette(routes=exporting_routes(lambda: store))
    at_the_end: list[int] = []

    async def asking(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if scope["method"] == "GET" and message["type"] == "http.response.body" and not message["more_body"]:
                at_the_end.append((await client.head(PATH)).status_code)
            await send(message)

        await app(scope, receive, sending)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(asking), base_url="http://x") as client:
        await client.get(PATH)

    assert (at_the_end, store.open) == ([200], 0)


async def test_a_head_exports_nothing() -> None:
    store = Endless()
    app = Starlette(routes=exporting_routes(lambda: store))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        answers = [await client.head(PATH) for _ in range(2)]

    assert [(answer.status_code, answer.headers["content-type"]) for answer in answers] == [
        (200, "text/csv; charset=utf-8")
    ] * 2
    assert store.begun == 0


def test_a_day_that_is_not_written_as_year_month_and_day_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        export_of("health_by_day", {"from": "2025-W10-1"})

    assert refused.value.field == "from"
