"""What one sender may take of us is counted: bytes, headers, chunks, requests in a row."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from services.ingest.http.receiving import KEYLESS_BYTES
from tests.contract.ingest.raw import GOOD, KNOWN, answers
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("key", [b"", b"Authorization: Basic bm9ib2R5Og==\r\n"], ids=["no key", "an unknown key"])
async def test_who_has_no_key_is_answered_before_the_body_is_there(ingest: Any, key: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ingest.port)
    writer.write(b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n" + key + b"\r\n{")

    answer = await asyncio.wait_for(reader.readuntil(b"}"), 5)

    assert answer.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in answer
    # Sent on, the rest goes by, so that the client reads its answer instead of an error of the network.
    writer.write(b"x" * 500_000)
    await writer.drain()
    assert ingest.app.intake.reception.room.most == 0
    writer.close()
    assert (await ingest.batch(GOOD)).json()["accepted"] == 1


async def test_the_rest_of_a_refused_body_is_not_read_for_ever(ingest: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ingest.port)
    writer.write(b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-Write-Key: no\r\n\r\n")
    assert (await asyncio.wait_for(reader.readline(), 5))[9:12] == b"401"
    sent = 0
    with pytest.raises(OSError):  # noqa: PT012 - cut off at some point
        for _ in range(1_000):
            writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await writer.drain()
            sent += 65_536
    assert sent < 60_000_000


async def test_a_key_may_stand_in_a_body_that_is_small_and_plain(ingest: Any) -> None:
    filler = {**GOOD, "properties": {"a": "x" * 20_000}}
    many = {"batch": [filler] * (KEYLESS_BYTES // 20_400), "writeKey": "wk"}
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
        taken = await client.post("/v1/batch", content=json.dumps(many))
        large = await client.post("/v1/batch", content=json.dumps({**many, "batch": [filler] * 40}))
        compressed = await client.post(
            "/v1/batch", content=json.dumps(many).encode(), headers={"Content-Encoding": "gzip"}
        )

    assert taken.status_code == 200
    for refused in (large, compressed):
        assert (refused.status_code, refused.json()["code"]) == (401, "missing_write_key")
        assert "outside of it" in refused.json()["message"]


async def test_a_known_key_within_an_event_opens_nothing(ingest: Any) -> None:
    inside = {"batch": [{**GOOD, "properties": {"writeKey": "wk"}}]}
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
        answer = await client.post("/v1/batch", content=json.dumps(inside))

    assert (answer.status_code, answer.json()["code"]) == (401, "missing_write_key")
    assert not ingest.log.records


async def test_unknown_keys_leave_nothing_behind(ingest: Any) -> None:
    before = ingest.app.intake.budgets._budgets.copy(), (await ingest.client.get("/metrics")).text.count("key_id=")
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
        for number in range(50):
            key = base64.b64encode(b"nobody-%d" % number + b"x" * (number * 200)).decode()
            answer = await client.post("/v1/batch", json={}, headers={"Authorization": f"Basic {key}"})
            assert answer.status_code == 401

    after = ingest.app.intake.budgets._budgets, (await ingest.client.get("/metrics")).text.count("key_id=")
    assert after == before


async def test_all_bodies_together_stay_within_the_bound(ingest: Any) -> None:
    event = {**GOOD, "properties": {"a": "x" * 31_000}}
    body = json.dumps({"batch": [event] * 125}).encode()
    room = ingest.app.intake.reception.room
    room.limit = 5 * len(body)

    sent = (ingest.client.post("/v1/batch", content=body) for _ in range(24))
    statuses = [answer.status_code for answer in await asyncio.gather(*sent)]

    assert set(statuses) == {200, 429}
    assert 0 < room.most <= room.limit
    assert room.held == 0


async def test_bodies_without_a_key_have_an_eighth_of_it(ingest: Any) -> None:
    reception = ingest.app.intake.reception
    half = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + b" " * 400_000
    writers = []
    for _ in range(40):
        _, writer = await asyncio.open_connection("127.0.0.1", ingest.port)
        writer.write(half)
        writers.append(writer)

    await until(lambda: reception.keyless_room.most > reception.keyless_room.limit - 500_000)
    assert (await ingest.batch(GOOD)).json()["accepted"] == 1
    for writer in writers:
        writer.close()
    await until(lambda: reception.room.held == 0)
    assert reception.keyless_room.most <= reception.keyless_room.limit == reception.room.limit // 8


async def test_bodies_without_a_key_that_never_end_keep_no_other_out(ingest: Any) -> None:
    """Sixteen of them fill the room: browsers, which name their key in the body, and vendors come in all the same."""
    reception = ingest.app.intake.reception
    most = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 524288\r\n\r\n" + b" " * 524_287
    opened = []
    for _ in range(16):
        reader, writer = await asyncio.open_connection("127.0.0.1", ingest.port)
        writer.write(most)
        await writer.drain()
        opened.append((reader, writer))
    await until(lambda: reception.keyless_room.held > reception.keyless_room.limit - 500_000)

    event = {"type": "track", "event": "x", "userId": "u", "messageId": "m"}
    body = json.dumps({"batch": [event], "writeKey": "wk"}).encode() + b" " * 100_000
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as anyone:
        answer = await anyone.post("/v1/batch", content=body)

    assert answer.json()["accepted"] == 1
    assert (await opened[0][0].readline()).startswith(b"HTTP/1.1 429")
    for _, writer in opened:
        writer.close()
    await until(lambda: reception.room.held == 0)
    assert reception.keyless_room.most <= reception.keyless_room.limit


async def test_bodies_of_one_source_that_stop_half_way_leave_room_for_others(ingest: Any) -> None:
    room = ingest.app.intake.reception.room
    room.limit = 2_000_000
    half = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\n" + KNOWN + b"Content-Length: 900000\r\n\r\n" + b" " * 600_000
    stalled = []
    for _ in range(8):
        _, writer = await asyncio.open_connection("127.0.0.1", ingest.port)
        writer.write(half)
        stalled.append(writer)
    await until(lambda: room.most > 800_000)
    event = {**GOOD, "properties": {"a": "x" * 30_000}}

    answer = await ingest.client.post("/v1/batch", json={"batch": [event] * 20}, auth=("bf", ""))

    assert answer.json()["accepted"] == 20
    assert room.most <= 1_000_000 + 20 * 31_000
    for writer in stalled:
        writer.close()


async def test_requests_in_one_packet_are_answered_up_to_a_number_and_the_connection_says_so(ingest: Any) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

    answer = await answers(ingest.port, request * 7_000)

    assert 16 <= answer.count(b"HTTP/1.1 200 OK") <= 18
    assert answer.count(b"connection: close") == 1
    assert answer.endswith(b"ok\n")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"x" * 300_000, b"414"),
        (b"GET /healthz?" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
        (b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 50_000, b"431"),
        (b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n", b"431"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
        (
            b"POST /v1/batch HTTP/1.1\r\nHost: x\r\n"
            + KNOWN
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + b"1\r\nx\r\n" * 100_000,
            b"400",
        ),
    ],
    ids=["endless URL", "long URL", "endless headers", "101 headers", "a large header", "a chunk for each byte"],
)
async def test_what_is_too_much_to_take_apart_gets_an_answer(ingest: Any, data: bytes, status: bytes) -> None:
    answer = await answers(ingest.port, data)

    assert answer[9:12] == status
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    assert json.loads(body)["code"] in {"url_too_long", "headers_too_large", "malformed_body"}


async def test_chunks_of_a_common_size_are_taken(ingest: Any) -> None:
    body = json.dumps({"batch": [GOOD] * 2_000}).encode()

    async def chunks() -> Any:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    assert (await ingest.client.post("/v1/batch", content=chunks())).json()["accepted"] == 2_000
