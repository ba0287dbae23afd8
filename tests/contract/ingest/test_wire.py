"""The dialects of SDKs and browsers over real HTTP."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest

from tests.support.ingest import visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT = {"event": "Opened", "userId": "ann", "messageId": "m1", "context": {"groupId": "acme"}}
TRACK = {"type": "track", **EVENT}


@pytest.mark.parametrize("path", ["/v1/batch", "/batch", "/v1/b", "/b", "/v1/import", "/v1/batch/"])
async def test_a_batch_is_taken_on_each_of_its_paths(ingest: Any, path: str) -> None:
    answer = await ingest.client.post(path, json={"batch": [TRACK]})

    assert (answer.status_code, answer.json()) == (
        200,
        {"success": True, "accepted": 1, "unattributed": 0, "rejected": 0, "results": []},
    )
    (record,) = ingest.log.records["usage-events"]
    assert record.key == b"acme"


@pytest.mark.parametrize("kind", ["track", "identify", "page", "screen", "group", "alias"])
@pytest.mark.parametrize("letter", [False, True])
async def test_the_path_names_the_kind_of_a_single_event(ingest: Any, kind: str, letter: bool) -> None:
    event = {**EVENT, "previousId": "anon", "groupId": "acme"}

    answer = await ingest.client.post(f"/v1/{kind[0] if letter else kind}", json=event)

    assert answer.status_code == 200
    assert ingest.events()[0]["kind"] == kind.upper()


@pytest.mark.parametrize(
    "request_",
    [
        {"auth": ("wk", "")},
        {"auth": ("wk", "ignored")},
        {"headers": {"Authorization": "Basic d2s="}},  # without the colon
        {"headers": {"X-Write-Key": "wk"}},
        {"params": {"writeKey": "wk"}},
        {"key_in_body": True},
    ],
)
async def test_the_write_key_is_found_wherever_sdks_put_it(ingest: Any, request_: dict[str, Any]) -> None:
    body = {"batch": [TRACK], **({"writeKey": "wk"} if request_.pop("key_in_body", False) else {})}
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
        answer = await client.post("/v1/batch", content=json.dumps(body), **request_)

    assert answer.json()["accepted"] == 1
    assert ingest.events()[0]["source"] == "web"
    assert "wk" not in ingest.details()[0]["extra"]


async def test_the_write_key_of_a_single_event_may_be_in_it(ingest: Any) -> None:
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
        answer = await client.post("/v1/t", content=json.dumps({**EVENT, "writeKey": "wk"}))

    assert answer.json()["accepted"] == 1


def _raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("pack", "headers"),
    [
        (gzip.compress, {"Content-Encoding": "gzip"}),
        (gzip.compress, {"Content-Type": "application/x-www-form-urlencoded"}),
        (bytes, {"Content-Encoding": "gzip"}),
        (bytes, {"Content-Type": "text/plain;charset=UTF-8"}),
        (zlib.compress, {"Content-Encoding": "deflate"}),
        (_raw_deflate, {"Content-Encoding": "deflate"}),
        (lambda body: b"\xef\xbb\xbf" + body, {}),
    ],
    ids=["gzip", "gzip unannounced", "gzip announced only", "text/plain", "deflate", "raw deflate", "byte order mark"],
)
async def test_the_body_is_read_whatever_the_headers_say(ingest: Any, pack: Any, headers: dict[str, str]) -> None:
    answer = await ingest.client.post(
        "/v1/batch", content=pack(json.dumps({"batch": [TRACK]}).encode()), headers=headers
    )

    assert answer.json()["accepted"] == 1


async def test_an_event_without_an_account_is_kept_under_its_user(ingest: Any) -> None:
    answer = await ingest.batch({"type": "page", "anonymousId": "anon-1", "messageId": "m1"})

    assert answer.json() == {
        "success": True,
        "accepted": 1,
        "unattributed": 1,
        "rejected": 0,
        "results": [{"index": 0, "message_id": "m1", "verdict": "accepted_unattributed"}],
    }
    (record,) = ingest.log.records["usage-unattributed"]
    assert record.key == visitor("anon-1").encode()


async def test_ids_that_we_make_are_told(ingest: Any) -> None:
    unnamed = {name: value for name, value in TRACK.items() if name != "messageId"}
    dated = {**unnamed, "timestamp": "2026-01-01T00:00:00Z"}

    first = (await ingest.batch(unnamed, dated, sentAt="2026-01-01T00:00:01Z")).json()["results"]
    again = (await ingest.batch(unnamed, dated, sentAt="2026-01-01T00:00:09Z")).json()["results"]

    assert first[0]["message_id"] != again[0]["message_id"]
    assert first[1]["message_id"] == again[1]["message_id"]
    assert [event["id_source"] for event in ingest.events()] == ["ASSIGNED", "CONTENT"] * 2


@pytest.mark.parametrize("asked", [{"params": {"results": "all"}}, {"headers": {"Tidemark-Results": "all"}}])
async def test_every_verdict_is_listed_when_asked_for(ingest: Any, asked: dict[str, Any]) -> None:
    answer = await ingest.client.post("/v1/batch", json={"batch": [TRACK, {"type": "track"}]}, **asked)

    assert [(r["message_id"], r["verdict"]) for r in answer.json()["results"]] == [("m1", "accepted"), ("", "rejected")]


@pytest.mark.parametrize("params", [{"noresults": "all"}, {"results": "allowed"}])
async def test_a_parameter_that_only_looks_like_it_asks_for_nothing(ingest: Any, params: dict[str, str]) -> None:
    answer = await ingest.client.post("/v1/batch", json={"batch": [TRACK]}, params=params)

    assert answer.json()["results"] == []


async def test_a_batch_context_is_merged_into_each_event(ingest: Any) -> None:
    await ingest.batch({"type": "track", "event": "x", "userId": "u"}, TRACK, context={"groupId": "root", "app": "a"})

    assert [event["account"] for event in ingest.events()] == ["root", "acme"]
    assert json.loads(ingest.details()[1]["extra"])["context"] == {"groupId": "acme", "app": "a"}


async def test_what_is_not_production_says_so(ingest: Any) -> None:
    await ingest.client.post("/v1/batch", json={"batch": [TRACK]}, auth=("staging", ""))

    assert ingest.events()[0]["environment"] == "staging"


async def test_a_browser_passes_its_preflight_on_every_path_without_a_key(ingest: Any) -> None:
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
        for path in ("/v1/batch", "/v1/t", "/v1/projects/wk/settings", "/v1/m"):
            answer = await client.options(
                path,
                headers={
                    "Origin": "https://app.example",
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "authorization,content-type,x-retry-count",
                },
            )
            assert answer.status_code == 204
            assert "content-length" not in answer.headers  # RFC 9110, section 8.6
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert answer.headers["vary"] == "Origin"
            allowed = answer.headers["access-control-allow-headers"].split(", ")
            assert {"authorization", "content-type", "content-encoding", "x-retry-count"} <= set(allowed)
            rudderstack = {"sentat", "anonymousid", "rsa-recovered", "rsa-retry-attempt", "rsa-retry-reason"}
            assert rudderstack | {"rsa-since-first-attempt", "rsa-since-last-attempt"} <= set(allowed)
            assert "tidemark-results" in allowed


async def test_a_path_with_a_prefix_is_told_who_has_to_remove_it(ingest: Any) -> None:
    answer = await ingest.client.post("/usage/v1/batch", json={"batch": [TRACK]})

    assert answer.status_code == 404
    assert "a proxy that adds a prefix has to remove it" in answer.json()["message"]


async def test_errors_carry_cross_origin_headers_too(ingest: Any) -> None:
    origin = {"Origin": "https://app.example"}
    ingest.log.refuse("the broker is away")
    answers = [
        await ingest.client.post("/v1/batch", json={"batch": [TRACK]}, headers=origin),
        await ingest.client.post("/v1/batch", content=b"{", headers=origin, auth=("nobody", "")),
        await ingest.client.get("/nowhere", headers=origin),
        await ingest.client.get("/v1/batch", headers=origin),
    ]

    assert [answer.status_code for answer in answers] == [429, 401, 404, 405]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert {"Retry-After", "X-RateLimit-Reset"} <= set(answer.headers["access-control-expose-headers"].split(", "))


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
async def test_no_page_may_read_what_is_for_operators(ingest: Any, path: str) -> None:
    answer = await ingest.client.get(path, headers={"Origin": "https://app.example"})

    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_back_pressure_is_a_429_that_says_when_to_come_back(ingest: Any) -> None:
    ingest.log.refuse("the broker is away")
    for body in (json.dumps({"batch": [TRACK]}), "{no json}", json.dumps({"batch": [{}]})):
        answer = await ingest.client.post("/v1/batch", content=body)
        assert (answer.status_code, answer.json()["code"]) == (429, "log_unavailable")
        assert answer.headers["retry-after"].isdigit()
        assert answer.headers["x-ratelimit-reset"] == answer.headers["retry-after"]
    assert (await ingest.client.get("/readyz")).status_code == 503

    ingest.log.accept()
    assert (await ingest.client.get("/readyz")).status_code == 200
    assert (await ingest.batch(TRACK)).json()["accepted"] == 1


async def test_what_analytics_js_measures_about_itself_is_acknowledged_and_discarded(ingest: Any, anyone: Any) -> None:
    answer = await anyone.post("/v1/m", json={"series": [{"type": "Counter", "metric": "analytics_js.invoke"}]})

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert not any(ingest.log.records.values())


async def test_analytics_js_gets_its_settings(ingest: Any) -> None:
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
        answer = await client.get("/v1/projects/wk/settings", headers={"Origin": "https://app.example"})
        unknown = await client.get("/v1/projects/other/settings")

    segment = answer.json()["integrations"]["Segment.io"]
    assert "`tidemark keys create`" in unknown.json()["message"]
    assert segment == {"apiKey": "wk", "apiHost": f"127.0.0.1:{ingest.port}/v1", "protocol": "http"}
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost@evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1/../evil"},
        {"Host": "[::1].evil.example"},
        {"Host": "10.9.8.7"},
    ],
    ids=lambda headers: headers["Host"],
)
async def test_a_host_that_is_not_ours_is_never_handed_on(ingest: Any, headers: dict[str, str]) -> None:
    answer = await ingest.client.get("/v1/projects/wk/settings", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (421, "public_url_not_set")
    assert "evil" not in answer.text
    assert "TIDEMARK_INGEST_PUBLIC_URL" in answer.json()["message"]


async def test_the_scheme_is_the_one_of_the_connection_whatever_a_header_says(ingest: Any) -> None:
    answer = await ingest.client.get("/v1/projects/wk/settings", headers={"X-Forwarded-Proto": "javascript"})

    assert answer.json()["integrations"]["Segment.io"]["protocol"] == "http"


async def test_the_public_address_is_the_one_that_is_set(ingest: Any) -> None:
    ingest.app.intake.public_url = "https://events.example.com:8443"
    answer = await ingest.client.get("/v1/projects/wk/settings", headers={"Host": "evil.example"})

    segment = answer.json()["integrations"]["Segment.io"]
    assert segment == {"apiKey": "wk", "apiHost": "events.example.com:8443/v1", "protocol": "https"}


async def test_a_refusal_is_logged_once_for_each_sender_and_never_with_the_key(
    ingest: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        await ingest.client.post("/v1/batch", json={}, auth=("a-wrong-key", ""), headers={"User-Agent": "an-sdk/1"})
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
        await client.get("/pixel/v1/page?writeKey=a-wrong-key")
        await client.post("/v1/track", json={})

    lines: list[Any] = [record for record in caplog.records if record.message == "request_refused"]
    assert [(line.code, line.client) for line in lines] == [
        ("unknown_write_key", "127.0.0.1"),
        ("missing_write_key", "127.0.0.1"),
    ]
    assert (lines[0].user_agent, lines[0].endpoint, lines[1].others_not_logged) == ("an-sdk/1", "batch", 20)
    assert "a-wrong-key" not in repr([vars(line) for line in lines])


@pytest.mark.parametrize("place", ["body", "query"])
async def test_a_beacon_on_unload_needs_no_header_of_its_own(ingest: Any, place: str) -> None:
    body = {"batch": [TRACK], **({"writeKey": "wk"} if place == "body" else {})}
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
        answer = await client.post(
            "/v1/batch" + ("?writeKey=wk" if place == "query" else ""),
            content=json.dumps(body),
            headers={"Content-Type": "text/plain;charset=UTF-8", "Origin": "https://app.example", "Cookie": "a=b"},
        )

    assert answer.json()["accepted"] == 1
    assert answer.headers["access-control-allow-credentials"] == "true"


async def test_a_backfill_keeps_its_own_times(ingest: Any) -> None:
    old = {**TRACK, "timestamp": "2011-02-03T04:05:06Z"}
    batch = {"batch": [old], "sentAt": "2026-01-01T00:00:00Z"}
    for headers in ({"Tidemark-Epoch": "9" * 18}, {"Tidemark-Historical": "true"}):
        answer = await ingest.client.post("/v1/batch", json=batch, headers=headers, auth=("bf", ""))
        assert answer.json()["accepted"] == 1

    driven, late = ingest.events()
    assert driven["occurred_at"] == driven["received_at"] == late["occurred_at"] == 1_296_705_906_000
    assert (driven["epoch"], driven["historical"], driven["skew_ms"]) == (10**18 - 1, False, 0)
    assert (late["epoch"], late["historical"]) == (0, True)
    assert late["received_at"] > late["occurred_at"]


async def test_only_a_write_key_for_backfills_may_set_the_time(ingest: Any) -> None:
    for headers in ({"Tidemark-Epoch": "0"}, {"Tidemark-Historical": "true"}):
        answer = await ingest.client.post("/v1/batch", json={"batch": [TRACK]}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "backfill_not_allowed")
    bad = await ingest.client.post(
        "/v1/batch", json={"batch": [TRACK]}, headers={"Tidemark-Epoch": "-1"}, auth=("bf", "")
    )
    undated = await ingest.client.post(
        "/v1/batch", json={"batch": [TRACK]}, headers={"Tidemark-Epoch": "1"}, auth=("bf", "")
    )

    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_header")
    assert undated.json()["results"][0]["code"] == "missing_field"


async def test_metrics_count_requests_and_verdicts(ingest: Any) -> None:
    await ingest.batch(TRACK, {"type": "page", "userId": "u"}, {"type": "nonsense"})

    text = (await ingest.client.get("/metrics")).text

    assert 'tidemark_ingest_requests_total{endpoint="batch",status="200"} 1.0' in text
    for verdict in ("accepted", "accepted_unattributed", "rejected"):
        assert f'tidemark_ingest_events_total{{source="web",verdict="{verdict}"}} 1.0' in text
    assert 'tidemark_ingest_rejections_total{code="unknown_type",source="web"} 1.0' in text
    assert "tidemark_ingest_ack_seconds_count 1.0" in text


async def test_more_bodies_at_a_time_than_memory_is_set_aside_for_are_pushed_back(ingest: Any) -> None:
    body = json.dumps({"batch": [{**TRACK, "properties": {"a": "x" * 1_500}}] * 2_000}).encode()
    taken = await ingest.client.post("/v1/batch", content=body)
    ingest.app.intake.reception.room.limit = 1_000_000
    refused = await ingest.client.post("/v1/batch", content=body)

    assert taken.status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert ingest.app.intake.reception.room.held == 0


async def test_events_of_a_stalled_partition_are_put_off_and_the_others_taken(ingest: Any) -> None:
    ingest.log.stalled_keys.add(b"slow")
    other = {**TRACK, "messageId": "m2", "context": {"groupId": "slow"}}
    unnamed = {name: value for name, value in TRACK.items() if name != "messageId"}
    answer = await ingest.batch(TRACK, other, unnamed, {"type": "track"})

    body = answer.json()
    assert (answer.status_code, body["code"]) == (429, "log_unavailable")
    assert (body["accepted"], body["put_off"], body["rejected"]) == (1, 2, 1)
    # What would not be recognised when the whole request comes again is not written now.
    assert [(r["index"], r["verdict"]) for r in body["results"]] == [(1, "put_off"), (2, "put_off"), (3, "rejected")]
    assert body["results"][0]["message_id"] == "m2"
    assert [event["event_id"] for event in ingest.events()] == ["m1"]
    assert answer.headers["retry-after"] == answer.headers["x-ratelimit-reset"] == "5"

    alone = await ingest.client.post("/v1/track", json=other)
    assert (alone.status_code, alone.json()["code"]) == (429, "log_unavailable")
    ready = await ingest.client.get("/readyz")
    assert (ready.status_code, ready.json()["slow"]) == (200, ["slow"])

    ingest.log.stalled_keys.clear()
    answer = await ingest.batch(TRACK, other, unnamed)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 3)
    assert "put_off" not in answer.json()


async def test_a_slash_at_the_end_makes_no_difference_to_metrics(ingest: Any) -> None:
    """Else it is a redirect to whatever Host says; and on a shared port the metrics of one worker, whichever it is."""
    shared = httpx.ASGITransport(app=ingest.app.among(2, 8090))
    async with httpx.AsyncClient(transport=shared, base_url="http://ingest") as client:
        on_shared = [(await client.get(path)).status_code for path in ("/metrics", "/metrics/", "/readyz/")]

    assert (await ingest.client.get("/metrics/")).status_code == 200
    assert on_shared == [404, 404, 200]
