"""What operators and readers ask is answered however many connections say nothing, and whatever one of them says."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from services.shared.http.connections import bounded
from services.shared.http.server import serving
from tests.support.waiting import until

HOST = "127.0.0.1"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_STREAMS: set[object] = set()
"""The answers without end that are being given."""


async def echoed(request: Request) -> Response:
    """Say how long the body was."""
    return PlainTextResponse(str(len(await request.body())))


async def streamed(_: Request) -> Response:
    """Begin an answer that does not end."""

    async def parts() -> AsyncIterator[bytes]:
        token = object()
        _STREAMS.add(token)
        try:
            yield b"begun"
            await asyncio.Event().wait()
        finally:
            _STREAMS.discard(token)

    return StreamingResponse(parts())


async def filled(_: Request) -> Response:
    """Send far more than a connection holds."""
    return PlainTextResponse(b"x" * (64 << 20))


async def named(request: Request) -> Response:
    """Say whom a header names."""
    return PlainTextResponse(request.headers.get("x-user", "nobody"))


APP = Starlette(
    routes=[
        Route("/", echoed, methods=["GET", "POST"]),
        Route("/stream", streamed),
        Route("/filled", filled),
        Route("/who", named, methods=["POST"]),
    ]
)


@asynccontextmanager
async def server(**options: Any) -> AsyncIterator[int]:
    """Serve for a test; what is open at its end is not waited for."""
    async with serving(APP, HOST, 0, timeout_graceful_shutdown=0, **options) as port:
        yield port


async def ask(port: int) -> str:
    """Ask over a connection of its own."""
    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://{HOST}:{port}/")).text


async def said(port: int, text: bytes, limit: int = 1 << 16) -> Connection:
    """Open a connection and say something; not much more than `limit` of the answer is read before it is asked for."""
    reader, writer = await asyncio.open_connection(HOST, port, limit=limit)
    writer.write(text)
    await writer.drain()
    return reader, writer


async def ends(connection: Connection, within_s: float = 20) -> bytes:
    """Return what a connection still says until the server ends it."""
    said = b""
    async with asyncio.timeout(within_s):
        with suppress(ConnectionError):
            while part := await connection[0].read(1 << 20):
                said += part
    return said


async def test_connections_that_say_nothing_keep_nobody_out() -> None:
    async with server(http=bounded(most=4)) as port:
        silent = [await said(port, b"") for _ in range(12)]

        assert await ask(port) == "0"
        assert [await ends(connection) for connection in silent[:8]] == [b""] * 8


async def test_each_of_many_that_come_at_once_costs_another_its_place() -> None:
    """They are taken in one turn of the loop, before any connection that gives way is told of its end."""
    async with server(http=bounded(most=4)) as port:
        with ExitStack() as held:
            at_once = [held.enter_context(socket.create_connection((HOST, port))) for _ in range(40)]
            for connection in at_once:
                connection.setblocking(False)

            def open_still() -> int:
                return sum(not _ended(connection) for connection in at_once)

            await until(lambda: open_still() <= 4, 20, lambda: f"{open_still()} are open")


def _ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


async def test_half_a_request_gives_way_to_a_whole_one() -> None:
    async with server(http=bounded(most=4)) as port:
        half = [await said(port, b"GET / HTTP/1.1\r\nHost: x\r\n") for _ in range(12)]

        assert await ask(port) == "0"
        assert await ends(half[0]) == b""


async def test_answers_that_are_under_way_are_not_cut_off_for_newcomers() -> None:
    async with server(http=bounded(most=2)) as port:
        streams = [await said(port, b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(2)]
        for reader, _ in streams:
            await reader.readuntil(b"begun")

        assert await ends(await said(port, b"")) == b""
        with pytest.raises(TimeoutError):
            await ends(streams[0], within_s=0.1)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n", id="headers"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", id="a body"),
    ],
)
async def test_a_request_that_does_not_arrive_in_time_is_cut_off(part: bytes) -> None:
    async with server(http=bounded(within_s=0.2)) as port:
        assert await ends(await said(port, part)) == b""


async def test_a_second_request_has_to_arrive_in_time_too() -> None:
    async with server(http=bounded(within_s=0.2)) as port:
        both = await said(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT")

        assert (await ends(both)).count(b"HTTP/1.1 200") == 1


async def test_a_long_answer_may_take_longer_than_a_request() -> None:
    async with server(http=bounded(within_s=0.2)) as port:
        stream = await said(port, b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n\r\n")
        await stream[0].readuntil(b"begun")

        with pytest.raises(TimeoutError):
            await ends(stream, within_s=0.6)


async def test_an_answer_that_nobody_reads_does_not_keep_its_connection() -> None:
    async def answers() -> bool:
        with suppress(httpx.TransportError):
            return await ask(port) == "0"
        return False

    async with server(http=bounded(most=1, within_s=0.2)) as port:
        unread = await said(port, b"GET /filled HTTP/1.1\r\nHost: x\r\n\r\n", limit=1)

        await until(answers, within_s=20)
        assert len(await ends(unread)) < 64 << 20


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"X-A: " + b"a" * 1000 + b"\r\n", id="many headers"),
        pytest.param(b"a" * 1000, id="one long header"),
    ],
)
async def test_headers_without_end_are_cut_off(endless: bytes) -> None:
    async with server() as port:
        await _feed(await said(port, b"GET / HTTP/1.1\r\nHost: x\r\nX-B: "), endless)


async def test_trailers_without_end_are_cut_off() -> None:
    async with server() as port:
        ended = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"

        await _feed(await said(port, ended), b"X-A: " + b"a" * 1000 + b"\r\n")


async def test_requests_in_a_row_without_end_are_cut_off() -> None:
    """Uvicorn reads on with each answer that it gives, so what waits would take memory without end."""
    async with server() as port:
        await _feed(await said(port, b""), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 40)


async def test_some_requests_in_a_row_are_answered() -> None:
    async with server() as port:
        several = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 15 + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

        assert (await ends(await said(port, several))).count(b"HTTP/1.1 200") == 16


async def test_an_answer_ends_with_its_connection_though_another_request_waits_behind_it() -> None:
    waits = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    async with server() as port:
        reader, writer = await said(port, b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n" + waits)
        await reader.readuntil(b"begun")
        assert _STREAMS

        writer.close()

        await until(lambda: not _STREAMS, within_s=20)


async def test_a_trailer_is_no_header() -> None:
    """RFC 9110, section 6.5.1: what a proxy has taken out of the headers must not come in behind the body."""
    async with server() as port:
        request = (
            b"POST /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
        )

        answer = await ends(await said(port, request + b"X-User: boss\r\n\r\n"))

        assert answer.endswith(b"nobody")


async def _feed(connection: Connection, endless: bytes) -> None:
    """Say the same again and again until the server ends it, after 10 MB at the latest."""
    ended = asyncio.create_task(ends(connection))
    with suppress(ConnectionError):
        for _ in range(10_000):
            if ended.done():
                break
            connection[1].write(endless)
            await connection[1].drain()
        else:
            raise AssertionError("10 MB were taken")
    await ended


async def test_headers_that_are_too_large_are_told_the_limit() -> None:
    async with server() as port:
        answer = await ends(await said(port, b"GET / HTTP/1.1\r\nHost: x\r\nX-B: " + b"b" * 70_000))

    assert b" 431 " in answer
    assert b"at most 64 KB" in answer


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"\x16\x03\x01\x02\r\n\r\n", id="no HTTP"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n", id="an upgrade"
        ),
    ],
)
async def test_whoever_speaks_something_else_fills_no_log(text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with server() as port:
        for _ in range(3):
            await ends(await said(port, text))

        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_large_bodies_are_taken_whole_and_in_chunks() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4_000):
            yield b"x" * 1_000

    async with server() as port, httpx.AsyncClient() as client:
        address = f"http://{HOST}:{port}/"
        whole = await client.post(address, content=b"x" * 4_000_000)
        in_chunks = await client.post(address, content=chunks())

    assert whole.text == in_chunks.text == "4000000"
