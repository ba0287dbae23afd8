"""What clients do to a connection beyond one request and its answer, over real sockets, on both event loops."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from tests.support.clients import curl
from tests.support.waiting import until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture:pytest.PytestDeprecationWarning"),
]


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


GOOD = {"type": "track", "event": "Opened", "userId": "ann", "groupId": "acme", "messageId": "1"}
BODY = json.dumps(GOOD).encode()
KNOWN = b"Authorization: Basic d2s6\r\n"
POST = b"POST /v1/track HTTP/1.1\r\nHost: x\r\n" + KNOWN + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
UPGRADING = POST.replace(b"Host: x\r\n", b"Host: x\r\n" + UPGRADE)
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE_HEADERS = b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n"
LONG_URL = b"GET /healthz?" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"


async def answers(port: int, *parts: bytes, eof: bool = False) -> bytes:
    """Write bytes, each part in a packet of its own, then read until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(0.01)
    if eof:
        writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def statuses(data: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1[.]1 ([0-9]{3}) ", data)]


@pytest.mark.parametrize("size", [1, 37, 10_000])
async def test_an_offered_upgrade_is_declined_and_the_body_is_taken(ingest: Any, size: int) -> None:
    whole = UPGRADING + POST.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")
    answer = await _sent_in_pieces(ingest.port, whole, size)

    assert statuses(answer) == [200, 200], answer
    assert len(ingest.events()) == 2


async def _sent_in_pieces(port: int, data: bytes, size: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for start in range(0, len(data), size):
        writer.write(data[start : start + size])
        await writer.drain()
        await asyncio.sleep(0)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def test_an_upgrade_without_a_body_or_with_chunks_is_answered(ingest: Any) -> None:
    get = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n"
    chunked = b"POST /v1/track HTTP/1.1\r\nHost: x\r\n" + UPGRADE + KNOWN + b"Transfer-Encoding: chunked\r\n\r\n"
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    websocket = HEALTH.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n")

    assert statuses(await answers(ingest.port, get, chunked, chunks, websocket)) == [200, 200, 200]


async def test_a_tunnel_is_refused(ingest: Any) -> None:
    answer = await answers(ingest.port, b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n")

    assert statuses(answer) == [405]


async def test_curl_offering_http_2_is_served(ingest: Any) -> None:
    command = (curl(), "-s", "--http2", "-u", "wk:", "-d", "@-", f"http://127.0.0.1:{ingest.port}/v1/track")
    running = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(running.communicate(BODY), 10)

    assert json.loads(out)["accepted"] == 1


async def test_a_flood_of_pipelined_requests_gets_answers_and_an_orderly_end(ingest: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ingest.port)

    async def send() -> None:
        for _ in range(100):  # 240 KB, and on, while we answer
            writer.write(HEALTH * 70)
            await writer.drain()

    sending = asyncio.create_task(send())
    answer = await asyncio.wait_for(reader.read(), 10)
    await asyncio.gather(sending, return_exceptions=True)
    writer.close()

    assert statuses(answer) == [200] * 17
    assert answer.count(b"connection: close") == 1


@pytest.mark.parametrize("size", [30_000, 40_000])
async def test_bodies_that_wait_behind_another_request_take_little_memory(
    ingest: Any, slow_log: asyncio.Event, size: int
) -> None:
    """Nothing counts them before their turn, and there may be thousands of connections."""
    large = json.dumps({"batch": [GOOD], "padding": "x" * (size - 500)}).encode()
    batch = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + KNOWN
    answering = asyncio.create_task(
        answers(ingest.port, POST + batch + b"Content-Length: %d\r\n\r\n" % len(large) + large)
    )
    await until(lambda: ingest.metrics.requests_in_flight == 1)
    slow_log.set()

    answer = await answering

    assert statuses(answer) == [200, 200 if size < 32_768 else 429]
    assert size < 32_768 or b"retry-after: 1" in answer


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (LARGE_HEADERS, 431),
        (LONG_URL, 414),
        (b"NO SUCH THING\r\n\r\n", 400),
        (b"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ],
    ids=["headers", "URL", "no HTTP", "two lengths"],
)
async def test_what_came_before_a_bad_request_is_answered_first(
    ingest: Any, slow_log: asyncio.Event, bad: bytes, status: int
) -> None:
    answer = asyncio.create_task(answers(ingest.port, POST + bad + HEALTH * 1_000))
    await until(lambda: ingest.metrics.requests_in_flight == 1)
    slow_log.set()

    assert statuses(await answer) == [200, status]
    assert len(ingest.events()) == 1


async def test_a_bad_request_gets_json_with_a_code(ingest: Any) -> None:
    answer = await answers(ingest.port, b"NO SUCH THING\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert json.loads(body)["code"] == "malformed_request"
    assert b"content-type: application/json" in head


async def test_a_request_of_http_1_1_names_its_host_and_one_of_1_0_need_not(ingest: Any) -> None:
    """RFC 9112, section 3.2."""
    without = POST.replace(b"Host: x\r\n", b"")

    answer = await answers(ingest.port, POST + without + POST)
    old = await answers(ingest.port, without.replace(b"HTTP/1.1", b"HTTP/1.0"))

    assert statuses(answer) == [200, 400]
    assert b"has the header Host" in answer
    assert statuses(old) == [200]
    assert len(ingest.events()) == 2


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_request_that_names_two_hosts_is_refused(ingest: Any, version: bytes) -> None:
    """RFC 9112, section 3.2: a proxy may believe the one, and we the other."""
    two = POST.replace(b"Host: x\r\n", b"Host: x\r\nHost: y\r\n").replace(b"HTTP/1.1", b"HTTP/" + version)

    assert statuses(await answers(ingest.port, two)) == [400]
    assert ingest.events() == []


async def test_a_trailer_is_no_header(ingest: Any) -> None:
    """RFC 9110, section 6.5.1."""
    chunked = b"POST /v1/track HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n"

    answer = await answers(ingest.port, chunked % (len(BODY), BODY) + KNOWN + b"\r\n")

    assert statuses(answer) == [401]
    assert ingest.events() == []


@pytest.mark.parametrize("data", [LARGE_HEADERS, LONG_URL], ids=["headers", "URL"])
async def test_who_goes_on_sending_reads_the_answer_all_the_same(ingest: Any, data: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ingest.port)
    writer.write(data)
    await writer.drain()
    for _ in range(30):
        writer.write(b"y" * 32_768)
        await writer.drain()
        await asyncio.sleep(0.002)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert statuses(answer)[0] in (414, 431)


async def test_a_refusal_can_be_read_by_a_page(ingest: Any) -> None:
    data = LARGE_HEADERS.replace(
        b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\n"
    )

    assert b"access-control-allow-origin: https://app.example\r\n" in await answers(ingest.port, data)


@pytest.mark.parametrize(
    ("rest", "expected"),
    [(b"", [200]), (POST, [200, 200]), (POST[:-10], [200]), (b"GET /heal", [200])],
    ids=["one request", "two requests", "and half a body", "and half a head"],
)
async def test_who_closes_its_side_gets_the_answer_to_what_was_complete(
    ingest: Any, slow_log: asyncio.Event, rest: bytes, expected: list[int]
) -> None:
    answer = asyncio.create_task(answers(ingest.port, POST + rest, eof=True))
    await until(lambda: ingest.metrics.requests_in_flight == 1)
    done, _ = await asyncio.wait([answer], timeout=0.1)
    assert not done
    slow_log.set()

    data = await asyncio.wait_for(answer, 5)
    assert statuses(data) == expected
    assert data.count(b"connection: close") == 1


async def test_who_closes_its_side_half_way_is_let_go(ingest: Any) -> None:
    assert await answers(ingest.port, POST[:-10], eof=True) == b""
    await until(lambda: ingest.app.intake.reception.room.held == 0)


@pytest.fixture(autouse=True)
def _no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert not [record for record in caplog.records if record.exc_info], caplog.text
