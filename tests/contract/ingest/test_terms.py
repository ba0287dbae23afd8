"""What a write key may do: from which pages, how much, and until when; over real HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.ingest.write_keys.budgets import Budgets
from services.shared.credentials import digest, id_of
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRACK = {"type": "track", "event": "Opened", "userId": "ann", "messageId": "m1", "context": {"groupId": "acme"}}
OURS, OTHER = "https://app.example", "https://evil.example"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(ingest: Any) -> Clock:
    """The time by which rates are counted; it stands still unless a test moves it."""
    made = Clock()
    ingest.app.intake.budgets = Budgets(ingest.app.intake.keys, ingest.metrics, clock=made)
    return made


def limited(ingest: Any, source: str, budget: str) -> float:
    return float(ingest.metrics.rate_limited.labels(source, budget)._value.get())


@pytest.mark.parametrize("place", ["basic", "query", "body"])
async def test_a_page_of_another_origin_may_not_use_a_key_that_lists_its_own(
    ingest: Any, anyone: Any, place: str
) -> None:
    body = {"batch": [TRACK], **({"writeKey": "page"} if place == "body" else {})}
    places: dict[str, dict[str, Any]] = {"basic": {"auth": ("page", "")}, "query": {"params": {"writeKey": "page"}}}
    how = places.get(place, {})

    refused = await anyone.post("/v1/batch", content=json.dumps(body), headers={"Origin": OTHER}, **how)
    taken = await anyone.post("/v1/batch", content=json.dumps(body), headers={"Origin": OURS}, **how)
    server = await anyone.post("/v1/batch", content=json.dumps(body), **how)

    assert (refused.status_code, refused.json()["code"]) == (403, "origin_not_allowed")
    assert refused.headers["access-control-allow-origin"] == OTHER  # so that the page can read why
    assert taken.json()["accepted"] == server.json()["accepted"] == 1
    assert len(ingest.events()) == 2
    assert ingest.metrics.rejections.labels("origin_not_allowed", "site")._value.get() == 1


@pytest.mark.parametrize(
    "origin", ["null", "https://app.example.evil.example", "http://app.example", "https://APP.example"]
)
async def test_an_origin_is_compared_whole(anyone: Any, origin: str) -> None:
    answer = await anyone.post("/v1/batch", json={"batch": []}, headers={"Origin": origin}, auth=("page", ""))

    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/batch?writeKey=page", "/v1/projects/page/settings", "/v1/t"])
async def test_preflight_lets_only_pages_in_that_some_browser_key_lists(anyone: Any, path: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    ours = await anyone.options(path, headers={"Origin": OURS, **asked})
    other = await anyone.options(path, headers={"Origin": OTHER, **asked})

    assert ours.headers["access-control-allow-origin"] == OURS
    assert other.status_code == 204
    assert not [name for name in other.headers if name.startswith("access-control")]
    assert other.headers["vary"] == "Origin"


async def test_a_cache_keeps_the_settings_of_each_origin_apart(anyone: Any) -> None:
    """Else it would give a page those of a request without an origin, which have no CORS headers."""
    answer = await anyone.get("/v1/projects/page/settings")

    assert (answer.status_code, answer.headers["vary"]) == (200, "Origin")


async def test_settings_are_not_for_other_pages(anyone: Any) -> None:
    settings = await anyone.get("/v1/projects/page/settings", headers={"Origin": OTHER})
    config = await anyone.get("/sourceConfig", params={"writeKey": "page"}, headers={"Origin": OTHER})

    assert settings.status_code == config.status_code == 403


async def test_a_key_over_its_events_is_told_when_to_come_again(ingest: Any, clock: Clock) -> None:
    async def send(count: int) -> httpx.Response:
        return await ingest.client.post("/v1/batch", json={"batch": [TRACK] * count}, auth=("slow", ""))  # type: ignore[no-any-return]

    first = await send(15)
    second = await send(15)
    small = await send(4)

    assert first.status_code == small.status_code == 200
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("20", "5")
    assert (second.status_code, second.json()["code"]) == (429, "rate_limited")
    # 4 are left besides the one that the request itself counts for, and 14 are needed.
    assert second.headers["retry-after"] == second.headers["x-ratelimit-reset"] == "1"
    assert second.headers["x-ratelimit-limit"] == "20"
    assert len(ingest.events()) == 19
    assert not ingest.letters()
    assert limited(ingest, "slow", "events") == 1

    clock.now += 1
    assert (await send(10)).status_code == 200


async def test_every_answer_says_once_how_much_may_still_be_sent(ingest: Any, clock: Clock) -> None:
    bad = await ingest.client.post("/v1/batch", content=b"[", auth=("slow", ""))
    large = await ingest.client.post("/v1/batch", content=b"x" * 5_000_000, auth=("slow", ""))
    good = await ingest.client.post("/v1/batch", json={"batch": [TRACK] * 3}, auth=("slow", ""))

    assert (bad.status_code, large.status_code, good.status_code) == (400, 413, 200)
    left = [each.headers.get_list("x-ratelimit-remaining") for each in (bad, large, good)]
    assert left == [["19"], ["18"], ["15"]]


async def test_the_time_to_come_again_is_honest(ingest: Any, clock: Clock) -> None:
    whole = {"batch": [TRACK] * 50}  # more than the bucket holds: taken once it is full, and owed
    first = await ingest.client.post("/v1/batch", json=whole, auth=("slow", ""))
    again = await ingest.client.post("/v1/batch", json=whole, auth=("slow", ""))
    wait = int(again.headers["retry-after"])
    clock.now += wait - 1
    early = await ingest.client.post("/v1/track", json=TRACK, auth=("slow", ""))
    clock.now += 1
    due = await ingest.client.post("/v1/track", json=TRACK, auth=("slow", ""))

    assert (first.status_code, again.status_code) == (200, 429)
    assert again.headers["x-ratelimit-remaining"] == "0"
    assert (early.status_code, due.status_code, wait) == (429, 200, 4)


async def test_a_key_over_its_bytes_is_refused_before_its_body_is_read(ingest: Any, clock: Clock) -> None:
    event = json.dumps({**TRACK, "properties": {"a": "x" * 600}})
    first = await ingest.client.post("/v1/track", content=event, auth=("thin", ""))
    before = ingest.metrics.registry.get_sample_value("tidemark_ingest_body_bytes_total")
    second = await ingest.client.post("/v1/track", content=event, auth=("thin", ""))

    assert (first.status_code, second.status_code) == (200, 429)
    assert ingest.metrics.registry.get_sample_value("tidemark_ingest_body_bytes_total") == before
    assert limited(ingest, "thin", "bytes") == 1
    clock.now += 1
    assert (await ingest.client.post("/v1/track", content=event, auth=("thin", ""))).status_code == 200


@pytest.mark.parametrize("announced", [900, 9_000_000_000_000_000_000])
async def test_what_is_announced_and_does_not_come_costs_nothing(ingest: Any, clock: Clock, announced: int) -> None:
    """Anybody can read a browser's key: one header must not silence it."""
    _, writer = await asyncio.open_connection("127.0.0.1", ingest.port)
    writer.write(
        f"POST /v1/batch HTTP/1.1\r\nHost: x\r\nX-Write-Key: thin\r\nContent-Length: {announced}\r\n\r\n".encode()
    )
    await until(lambda: ingest.metrics.requests_in_flight == 1)
    meanwhile = await ingest.client.post("/v1/track", json=TRACK, auth=("thin", ""))
    writer.close()

    assert meanwhile.status_code == 200


@pytest.mark.parametrize("place", ["header", "body"])
async def test_bytes_are_counted_as_they_are_when_decompressed(
    ingest: Any, anyone: Any, clock: Clock, place: str
) -> None:
    body = json.dumps({"batch": [{**TRACK, "properties": {"a": "x" * 5_000}}], "writeKey": "thin"}).encode()
    # Without compressing anything, gzip leaves the key readable.
    packed = gzip.compress(body) if place == "header" else gzip.compress(body, 0)
    auth = ("thin", "") if place == "header" else None

    first = await anyone.post("/v1/batch", content=packed, auth=auth)
    clock.now += 3
    second = await anyone.post("/v1/batch", content=packed, auth=auth)
    clock.now += 4
    third = await anyone.post("/v1/batch", content=packed, auth=("thin", ""))

    assert (first.status_code, second.status_code, third.status_code) == (200, 429, 200)


async def test_a_body_that_holds_too_much_costs_what_was_decompressed_of_it(ingest: Any, clock: Clock) -> None:
    most = ingest.app.intake.reception.max_body_bytes
    bomb = await ingest.client.post("/v1/batch", content=gzip.compress(b" " * (most + 1)), auth=("thin", ""))
    after = await ingest.client.post("/v1/track", json=TRACK, auth=("thin", ""))

    assert (bomb.status_code, after.status_code) == (413, 429)
    assert int(after.headers["retry-after"]) > most / 1_000 - 10


async def test_of_bodies_that_arrive_at_the_same_time_no_more_are_taken_than_leave_a_debt(
    ingest: Any, clock: Clock
) -> None:
    """Each of them began while there was enough for it."""
    body = json.dumps({**TRACK, "properties": {"a": "x" * 700}}).encode()
    head = f"POST /v1/track HTTP/1.1\r\nHost: x\r\nX-Write-Key: thin\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    streams = [await asyncio.open_connection("127.0.0.1", ingest.port) for _ in range(5)]
    for _, writer in streams:
        writer.write(head)
    await until(lambda: ingest.metrics.requests_in_flight == 5)
    for _, writer in streams:
        writer.write(body)
    statuses = sorted([int((await reader.readline()).split()[1]) for reader, _ in streams])
    for _, writer in streams:
        writer.close()

    assert statuses == [200, 200, 429, 429, 429]


async def test_bytes_that_were_not_announced_are_owed(ingest: Any, clock: Clock) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield json.dumps({**TRACK, "properties": {"a": "x" * 5_000}}).encode()

    first = await ingest.client.post("/v1/track", content=chunks(), auth=("thin", ""))
    clock.now += 4
    second = await ingest.client.post("/v1/track", json=TRACK, auth=("thin", ""))

    assert (first.status_code, second.status_code) == (200, 429)


async def test_a_key_in_the_body_has_the_same_rates(ingest: Any, anyone: Any, clock: Clock) -> None:
    body = json.dumps({"batch": [TRACK] * 20, "writeKey": "slow"})
    first = await anyone.post("/v1/batch", content=body)
    second = await anyone.post("/v1/batch", content=body)

    assert (first.status_code, second.status_code) == (200, 429)
    assert second.headers["retry-after"].isdigit()
    assert (await ingest.batch(TRACK)).status_code == 200  # others are not touched


async def test_a_pixel_has_the_same_rates(anyone: Any, clock: Clock) -> None:
    statuses = [
        (await anyone.get("/v1/pixel/page?writeKey=slow&userId=ann&context.groupId=acme")).status_code
        for _ in range(21)
    ]

    assert statuses == [200] * 20 + [429]


async def test_a_pixel_is_counted_in_bytes_too(anyone: Any, clock: Clock) -> None:
    pixel = "/v1/pixel/page?writeKey=thin&userId=ann&context.groupId=acme&name=" + "x" * 1_000
    statuses = [(await anyone.get(pixel)).status_code for _ in range(2)]

    assert statuses == [200, 429]


async def test_an_expired_key_is_refused_and_says_so(ingest: Any, anyone: Any) -> None:
    header = await anyone.post("/v1/batch", json={"batch": [TRACK]}, auth=("old", ""))
    body = await anyone.post("/v1/batch", json={"batch": [TRACK], "writeKey": "old"})

    for answer in (header, body):
        assert (answer.status_code, answer.json()["code"]) == (401, "expired_write_key")
        assert "2026-01-01" in answer.json()["message"]
    assert not ingest.log.records


async def test_the_last_use_of_each_key_of_a_source_is_seen(ingest: Any) -> None:
    await ingest.batch(TRACK)
    text = (await ingest.client.get("/metrics")).text
    lines = {
        key: next(
            line for line in text.splitlines() if "last_used" in line and f'key_id="{id_of(digest(key))}"' in line
        )
        for key in ("wk", "old")
    }

    assert float(lines["wk"].split()[-1]) > 1e9
    assert float(lines["old"].split()[-1]) == 0
    assert all('source="web"' in line for line in lines.values())
    assert "write_key_not_after" in text
