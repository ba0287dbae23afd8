"""What is wrong with a request costs what is wrong, and nothing else: each kind of bad input, over real HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from services.ingest.domain.limits import Limits
from services.shared.units import DAY_MS

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUEST_TIMEOUT_S = 0.4
KEPT_OF_A_BODY = 64 * 1024

GOOD = {"type": "track", "event": "Opened", "userId": "ann", "messageId": "good", "context": {"groupId": "acme"}}


def with_(**members: Any) -> dict[str, Any]:
    return {**GOOD, "messageId": "bad", **members}


def text(members: bytes) -> bytes:
    return b'{"type":"track","event":"Opened","userId":"ann","messageId":"bad",' + members + b"}"


EVENTS: list[tuple[str, Any, str, str]] = [
    ("event is a number", 42, "wrong_type", ""),
    ("event is a list", [GOOD], "wrong_type", ""),
    ("event is null", None, "wrong_type", ""),
    ("broken literal", text(b'"x":tru'), "malformed_json", ""),
    ("properties is a list", with_(properties=[1]), "wrong_type", "properties"),
    ("properties is text", with_(properties="a"), "wrong_type", "properties"),
    ("context is text", with_(context="a"), "wrong_type", "context"),
    ("userId is an object", with_(userId={"id": 1}), "wrong_type", "userId"),
    ("userId is true", with_(userId=True), "wrong_type", "userId"),
    ("userId is a fraction", with_(userId=1.5), "wrong_type", "userId"),
    ("messageId is a list", with_(messageId=["a"]), "wrong_type", "messageId"),
    ("event name is a number", with_(event=7), "wrong_type", "event"),
    ("type is a number", with_(type=7), "wrong_type", "type"),
    ("group id is an object", with_(context={"groupId": {}}), "wrong_type", "context.groupId"),
    ("account property is a list", with_(context=None, properties={"account_id": []}), "wrong_type", "account_id"),
    ("NaN", text(b'"properties":{"a":[1,{"b":NaN}]}'), "number_not_finite", "properties.a[1].b"),
    ("Infinity", text(b'"properties":{"a":Infinity}'), "number_out_of_range", "properties.a"),
    ("minus Infinity", text(b'"properties":{"a":-Infinity}'), "number_out_of_range", "properties.a"),
    ("a huge fraction", text(b'"properties":{"a":1e999}'), "number_out_of_range", "properties.a"),
    ("a huge integer", text(b'"properties":{"a":' + b"9" * 40 + b"}"), "number_out_of_range", "properties.a"),
    ("an endless integer", text(b'"properties":{"a":' + b"9" * 9000 + b"}"), "number_out_of_range", ""),
    (
        "a huge integer in the context",
        with_(context={"groupId": "acme", "n": 2**65}),
        "number_out_of_range",
        "context.n",
    ),
    ("no user", with_(userId=None, context=None), "missing_identity", "userId"),
    ("an empty user", with_(userId="", context=None), "missing_identity", "userId"),
    ("a blank user", with_(userId="  ", context=None), "missing_identity", "userId"),
    ("no event name", with_(event=None), "missing_field", "event"),
    ("no type", with_(type=None), "missing_field", "type"),
    ("group without group", with_(type="group", context=None), "missing_field", "groupId"),
    ("alias without the previous id", with_(type="alias"), "missing_field", "previousId"),
    ("alias without the new id", with_(type="alias", previousId="a", userId=None), "missing_field", "userId"),
    ("identify of nobody", with_(type="identify", userId=None), "missing_identity", "userId"),
    ("a message id of 10 KB", with_(messageId="m" * 10_240), "too_long", "messageId"),
    ("a user id of 10 KB", with_(userId="u" * 10_240), "too_long", "userId"),
    ("an account id of 10 KB", with_(context={"groupId": "g" * 10_240}), "too_long", "context.groupId"),
    ("an event name of 10 KB", with_(event="e" * 10_240), "too_long", "event"),
    ("control characters in the message id", with_(messageId="a\x00b"), "control_characters", "messageId"),
    ("control characters in the user id", with_(userId="a\nb"), "control_characters", "userId"),
    (
        "control characters in the account",
        with_(context={"groupId": "a\x1bb"}),
        "control_characters",
        "context.groupId",
    ),
    ("control characters in the name", with_(event="a\x7fb"), "control_characters", "event"),
    ("unescaped control characters", text(b'"properties":{"a":"x\x01y"}'), "malformed_json", ""),
    ("bytes that are no UTF-8", text(b'"properties":{"a":"x\xff\xfey"}'), "invalid_text", ""),
    ("half a surrogate pair", text(b'"properties":{"a":"\\ud800"}'), "invalid_text", "properties.a"),
    ("half a surrogate pair as a name", text(b'"properties":{"\\ud800":1}'), "invalid_text", "properties"),
    ("a time in 2100", with_(timestamp="2100-01-01T00:00:00Z"), "timestamp_in_future", "timestamp"),
    ("a time before 1970", with_(timestamp="1969-12-31T23:59:59Z"), "timestamp_out_of_range", "timestamp"),
    ("a time in words", with_(timestamp="yesterday"), "invalid_timestamp", "timestamp"),
    ("a 13th month", with_(timestamp="2026-13-01T00:00:00Z"), "invalid_timestamp", "timestamp"),
    ("seconds since 1970", with_(timestamp=1_700_000_000), "invalid_timestamp", "timestamp"),
    ("a time that is an object", with_(timestamp={}), "invalid_timestamp", "timestamp"),
    ("the end of time", with_(timestamp="9999-12-31T23:59:59-23:59"), "timestamp_in_future", "timestamp"),
    ("an unknown type", with_(type="purchase"), "unknown_type", "type"),
    ("an event of 33 KB", with_(properties={"a": "x" * 33_000}), "event_too_large", ""),
    ("nesting of 40", with_(properties=json.loads('{"a":' * 40 + "1" + "}" * 40)), "too_deep", ""),
    ("nesting without end", text(b'"properties":' + b"[" * 12_000 + b"]" * 12_000), "too_deep", ""),
]


@pytest.mark.parametrize(("event", "code", "field"), [case[1:] for case in EVENTS], ids=[case[0] for case in EVENTS])
async def test_a_bad_event_is_named_and_costs_only_itself(ingest: Any, event: Any, code: str, field: str) -> None:
    answer = await ingest.batch(GOOD, event, {**GOOD, "messageId": "after"})

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["success"], body["accepted"], body["rejected"]) == (False, 2, 1)
    (verdict,) = body["results"]
    assert (verdict["index"], verdict["verdict"], verdict["code"], verdict.get("field", "")) == (
        1,
        "rejected",
        code,
        field,
    )
    assert verdict["detail"]
    assert [stored["event_id"] for stored in ingest.events()] == ["good", "after"]
    (letter,) = ingest.letters()
    sent = event if isinstance(event, bytes) else json.dumps(event).encode()
    assert (letter["reason"], letter["field"], letter["source"]) == (code, field, "web")
    assert letter["original"] == sent


BODIES: list[tuple[str, bytes | Callable[[], bytes], dict[str, str], int, str]] = [
    ("nothing", b"", {}, 400, "truncated_body"),
    ("cut short", json.dumps({"batch": [GOOD]}).encode()[:-20], {}, 400, "truncated_body"),
    ("cut short within gzip", gzip.compress(json.dumps({"batch": [GOOD]}).encode())[:-15], {}, 400, "truncated_body"),
    ("damaged gzip", b"\x1f\x8b" + b"\x00" * 40, {}, 400, "malformed_body"),
    ("a web page", b"<html></html>", {}, 400, "malformed_body"),
    ("a form", b"batch=[]&more={}", {}, 400, "malformed_body"),
    ("JSON and more", b'{"batch":[]} {"batch":[]}', {}, 400, "malformed_body"),
    ("a list", b"[]", {}, 400, "invalid_body"),
    ("no batch", b'{"events":[]}', {}, 400, "invalid_body"),
    ("batch is an object", b'{"batch":{}}', {}, 400, "invalid_body"),
    ("batch context is a list", b'{"batch":[],"context":[1]}', {}, 400, "invalid_body"),
    ("batch context of 9 KB", b'{"batch":[],"context":{"a":"' + b"x" * 9000 + b'"}}', {}, 400, "invalid_body"),
    ("2,501 events", b'{"batch":[' + b",".join([b"{}"] * 2501) + b"]}", {}, 413, "batch_too_long"),
    ("over 4 MB", b'{"batch":["' + b"x" * (4 << 20) + b'"]}', {}, 413, "body_too_large"),
    ("a gzip bomb", lambda: gzip.compress(b"\x00" * (64 << 20), 9), {}, 413, "decompressed_too_large"),
    ("a bomb of many gzip members", gzip.compress(b" " * (1 << 20), 9) * 60, {}, 413, "decompressed_too_large"),
    ("a deflate bomb", lambda: zlib.compress(b"\x00" * (64 << 20), 9), {"Content-Encoding": "deflate"}, 413, "decompressed_too_large"),
    ("an unknown encoding", b"x", {"Content-Encoding": "br"}, 415, "unsupported_encoding"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "headers", "status", "code"), [case[1:] for case in BODIES], ids=[c[0] for c in BODIES]
)
async def test_a_bad_body_is_refused_with_advice_and_kept(
    ingest: Any, given: bytes | Callable[[], bytes], headers: dict[str, str], status: int, code: str
) -> None:
    body = given if isinstance(given, bytes) else given()  # bombs take a second to make
    answer = await ingest.client.post("/v1/batch", content=body, headers={"Origin": "https://app.example", **headers})

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.json()["message"]
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    (letter,) = ingest.letters()
    assert letter["reason"] == code
    assert body.startswith(letter["original"])
    assert len(letter["original"]) == min(len(body), KEPT_OF_A_BODY)
    assert (await ingest.batch(GOOD)).json()["accepted"] == 1


@pytest.mark.parametrize("kind", ["track", "t"])
async def test_a_single_event_that_is_refused_gets_a_400_that_names_the_field(ingest: Any, kind: str) -> None:
    answer = await ingest.client.post(f"/v1/{kind}", json={"userId": "ann"})

    body = answer.json()
    assert (answer.status_code, body["code"], body["field"], body["rejected"]) == (400, "missing_field", "event", 1)
    assert len(ingest.letters()) == 1


async def test_an_unknown_write_key_is_refused(ingest: Any) -> None:
    for request in (
        {"auth": ("nobody", ""), "json": {"batch": [GOOD]}},
        {"auth": None, "json": {"batch": [GOOD], "writeKey": "nobody"}},
        {"auth": None, "json": {"batch": [{**GOOD, "properties": {"writeKey": "nobody"}}]}},
        {"auth": None, "headers": {"X-Write-Key": "nobody"}, "json": {"batch": [GOOD]}},
        {"auth": None, "headers": {"Authorization": "Basic ???"}, "json": {"batch": [GOOD]}},
    ):
        async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
            answer = await client.post("/v1/batch", **request)
        assert (answer.status_code, answer.json()["code"]) == (401, "unknown_write_key")
    assert not ingest.log.records


async def test_a_missing_write_key_is_refused(ingest: Any) -> None:
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
        answer = await client.post("/v1/batch", json={"batch": [GOOD]})

    assert (answer.status_code, answer.json()["code"]) == (401, "missing_write_key")


async def test_a_time_of_1970_is_accepted_for_the_scorer_to_judge(ingest: Any) -> None:
    answer = await ingest.batch(with_(timestamp="1970-01-01T00:00:00Z"))

    assert answer.json()["accepted"] == 1
    assert ingest.events()[0]["occurred_at"] == 0


@pytest.mark.parametrize("days", [-1, 1, 400])
async def test_a_clock_that_is_days_off_is_corrected(ingest: Any, days: int) -> None:
    from datetime import UTC, datetime, timedelta

    sent = datetime.now(UTC) + timedelta(days=days)
    happened = sent - timedelta(seconds=90)

    answer = await ingest.batch(with_(timestamp=happened.isoformat()), sentAt=sent.isoformat())

    assert answer.json()["accepted"] == 1
    (event,) = ingest.events()
    assert event["occurred_at"] == event["received_at"] - 90_000
    assert abs(event["skew_ms"] + days * DAY_MS) < 10_000


async def test_a_sent_time_that_makes_no_sense_is_harmless(ingest: Any) -> None:
    senseless: tuple[object, ...] = ("never", {}, 5, "1970-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59")
    for sent_at in senseless:
        answer = await ingest.batch(with_(timestamp="2026-01-01T00:00:00Z"), sentAt=sent_at)
        assert answer.json()["accepted"] == 1
    assert all(0 <= event["occurred_at"] <= event["received_at"] for event in ingest.events())


async def test_unknown_fields_are_kept(ingest: Any) -> None:
    answer = await ingest.batch(with_(colour="blue", channel={"a": [1, None]}, anonymousId="anon-1"))

    assert answer.json()["accepted"] == 1
    assert json.loads(ingest.details()[0]["extra"]) == {
        "colour": "blue",
        "channel": {"a": [1, None]},
        "context": {"groupId": "acme"},
    }


async def raw(port: int, data: bytes, *, until: float = 5.0) -> bytes:
    """Write bytes, then read until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), until)
    finally:
        writer.close()


HALF = [
    ("says nothing", b"", b"408"),
    ("stops in the headers", b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nAuthoriz", b"408"),
    ("stops in the body", b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{", b"408"),
    ("stops in a chunk", b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n90\r\n{", b"408"),
    (
        "sends headers without end",
        b"GET /healthz HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(9000)),
        b"",
    ),
    ("is no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"400"),
]


@pytest.mark.parametrize(("data", "status"), [case[1:] for case in HALF], ids=[case[0] for case in HALF])
async def test_a_connection_that_never_finishes_is_closed(ingest: Any, data: bytes, status: bytes) -> None:
    answer = await raw(ingest.port, data)

    assert status in answer.partition(b"\r\n")[0]
    assert (await ingest.batch(GOOD)).json()["accepted"] == 1


async def test_a_connection_that_stalls_on_its_second_request_is_closed(ingest: Any) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

    answer = await raw(ingest.port, request + b"POST /v1/batch HTTP/1.1\r\n")

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer


async def test_a_client_that_leaves_half_way_leaves_nothing_behind(ingest: Any) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", ingest.port)
    writer.write(b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Basic d2s6\r\nContent-Length: 90000\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    def left() -> float:
        return float(
            ingest.metrics.registry.get_sample_value(
                "tidemark_ingest_requests_total", {"endpoint": "batch", "status": "499"}
            )
            or 0
        )

    for _ in range(500):
        if left():
            break
        await asyncio.sleep(0.01)
    assert left() == 1
    assert not ingest.log.records


async def test_limits_are_met_exactly(ingest: Any) -> None:
    limits = Limits()
    full = [{**GOOD, "messageId": str(number)} for number in range(limits.batch_events)]
    widest = with_(properties={"a": ""})
    widest["properties"]["a"] = "x" * (limits.event_bytes - len(json.dumps(widest)))

    assert (await ingest.batch(*full)).json()["accepted"] == limits.batch_events
    assert (await ingest.batch(widest)).json()["accepted"] == 1
    assert (await ingest.batch(with_(userId="ü" * limits.id_chars))).json()["accepted"] == 1
