"""What ingest makes of the originals of dead letters: the same events as at first, and no second letter."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from schemas import codec
from services.shared.replays import HEADER, decode_facts

pytestmark = pytest.mark.asyncio(loop_scope="module")

RECEIVED = 1_764_550_923_412
TRACK = {"type": "track", "event": "x", "groupId": "acme"}


def replay(**changes: Any) -> dict[str, str]:
    return {HEADER: json.dumps({"partition": 1, "first": 7, "last": 7, "received_at": RECEIVED, **changes})}


async def test_a_letter_keeps_what_its_request_said(ingest: Any) -> None:
    await ingest.batch({"type": "nonsense"}, sentAt="2025-12-01T01:02:03.412Z", context={"a": 1})
    await ingest.client.post("/v1/t", json={"event": 5}, auth=("page", ""))
    await ingest.client.post("/v1/batch", content=b"\x1f\x8bno", headers={"Content-Encoding": "gzip"})
    await ingest.client.post(
        "/v1/batch", json={"batch": [{}]}, headers={"Tidemark-Historical": "true"}, auth=("bf", "")
    )

    batch, single, whole, past = [decode_facts(letter["request"]) for letter in ingest.letters()]

    assert (batch.sent_at, batch.context, batch.kind, batch.environment) == (RECEIVED, {"a": 1}, "", "production")
    assert (single.kind, single.whole, single.client, batch.client) == ("track", False, "browser", "server")
    assert (whole.whole, whole.encoding) == (True, "gzip")
    assert (past.backfill, past.historical) == (True, True)


async def test_times_are_corrected_by_the_first_receipt(ingest: Any) -> None:
    """A client's clock that is an hour ahead, and an event without a time."""
    sent_at = RECEIVED + 3_600_000
    dated = {**TRACK, "messageId": "1", "timestamp": sent_at - 5_000}
    body = {"batch": [dated, TRACK], "sentAt": sent_at}
    answer = await ingest.client.post("/v1/batch", json=body, headers=replay(), auth=("bf", ""))

    first, second = ingest.events()
    assert answer.json()["accepted"] == 2
    assert (first["occurred_at"], second["occurred_at"]) == (RECEIVED - 5_000, RECEIVED)
    assert first["received_at"] > RECEIVED and not first["historical"]


async def test_what_a_browser_said_does_not_become_the_word_of_a_server(ingest: Any) -> None:
    """A replay goes by a key of a server, which is believed about memberships."""
    group = {"type": "group", "userId": "mallory", "groupId": "acme", "messageId": "1"}
    for client in ("browser", "server"):
        headers = replay(client=client)
        await ingest.client.post("/v1/batch", json={"batch": [group]}, headers=headers, auth=("bf", ""))

    written = [codec.decode(record.value) for record in ingest.log.records["usage-unattributed"]]
    links = [value for record, value in written if record == "user_link"]
    assert [link["authority"] for link in links] == ["BROWSER", "SERVER"]


async def test_who_acts_by_the_first_key_acts_in_a_replay(ingest: Any) -> None:
    for actor in ({"actor": "agent"}, {}):
        await ingest.client.post("/v1/batch", json={"batch": [TRACK]}, headers=replay(**actor), auth=("bf", ""))

    assert [event["actor"] for event in ingest.events()] == ["AGENT", "UNKNOWN"]


async def test_an_event_without_an_id_gets_the_same_one_each_time(ingest: Any) -> None:
    batch = {"batch": [TRACK, {**TRACK, "timestamp": RECEIVED}, TRACK]}
    for _ in range(2):
        await ingest.client.post("/v1/batch", json=batch, headers=replay(last=9), auth=("bf", ""))
    await ingest.client.post("/v1/batch", json={"batch": [TRACK]}, headers=replay(first=9, last=9), auth=("bf", ""))

    ids = [event["event_id"] for event in ingest.events()]
    assert ids[:3] == ids[3:6]
    assert len(set(ids)) == 3
    assert ids[6] == ids[2], "the letter alone decides, not its company"
    assert ids[1].startswith("content-")


async def test_what_is_refused_again_is_answered_and_not_written_again(ingest: Any) -> None:
    events = await ingest.client.post(
        "/v1/batch", json={"batch": [TRACK, {"type": "nonsense"}]}, headers=replay(last=8), auth=("bf", "")
    )
    whole = await ingest.client.post("/v1/batch", content=b"{", headers=replay(), auth=("bf", ""))

    assert [result["code"] for result in events.json()["results"] if result["verdict"] == "rejected"] == [
        "unknown_type"
    ]
    assert whole.status_code == 400 and whole.json()["code"] == "truncated_body"
    assert ingest.letters() == []
    text = (await ingest.client.get("/metrics")).text
    assert 'tidemark_ingest_events_total{source="import",verdict="accepted"} 1.0' in text
    assert 'tidemark_ingest_events_total{source="import",verdict="rejected"} 0.0' in text
    counts = re.findall(r"^tidemark_ingest_rejections_total\{.*\} (.*)$", text, re.MULTILINE)
    assert counts and set(counts) == {"0.0"}


@pytest.mark.parametrize(
    ("key", "header", "status", "code"),
    [
        ("wk", replay(), 403, "backfill_not_allowed"),
        ("bf", replay(source="web"), 403, "wrong_source"),
        ("bf", replay(source="import", environment="staging"), 403, "wrong_source"),
        ("bf", replay(first=3, last=5), 400, "invalid_header"),
        ("bf", replay(received_at=0), 400, "invalid_header"),
        ("bf", replay(partition="x"), 400, "invalid_header"),
        ("bf", {HEADER: "now"}, 400, "invalid_header"),
        ("bf", {HEADER: "\xff"}, 400, "invalid_header"),
    ],
)
async def test_who_may_not_replay_is_told_why(
    ingest: Any, key: str, header: dict[str, str], status: int, code: str
) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in header.items()]
    answer = await ingest.client.post("/v1/batch", json={"batch": [TRACK]}, headers=raw, auth=(key, ""))

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ingest.events() == []


@pytest.mark.parametrize(
    ("key", "header", "code"),
    [
        ("bf", {"Tidemark-Epoch": "-1"}, "invalid_header"),
        ("bf", {"Tidemark-Epoch": "9" * 19}, "invalid_header"),  # more than a record can hold
        ("bf", {"Tidemark-Historical": "1"}, "invalid_header"),
        ("wk", {"Tidemark-Epoch": "1"}, "backfill_not_allowed"),
        ("wk", {"Tidemark-Historical": "true"}, "backfill_not_allowed"),
        ("bf", {HEADER: "now"}, "invalid_header"),
    ],
)
@pytest.mark.parametrize("place", ["header", "body"])
async def test_what_is_refused_for_a_header_of_ours_is_kept_for_the_owner_of_the_key(
    ingest: Any, key: str, header: dict[str, str], code: str, place: str
) -> None:
    body = {"batch": [{**TRACK, "timestamp": RECEIVED}], **({"writeKey": key} if place == "body" else {})}
    auth: Any = (key, "") if place == "header" else None
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
        answer = await client.post("/v1/batch", json=body, headers=header, auth=auth)
    [letter] = ingest.letters()
    facts = decode_facts(letter["request"])

    assert answer.json()["code"] == letter["reason"] == code
    assert letter["source"] == {"bf": "import", "wk": "web"}[key]
    assert facts.whole
    assert facts.backfill == (HEADER not in header), "or a replay would take its times for those of live events"
    assert ingest.events() == []


@pytest.mark.parametrize("received_at", [2**62, 10**30, 10**300])
async def test_nothing_is_replayed_that_is_still_to_be_received(ingest: Any, received_at: int) -> None:
    """An event of the year 5000 would be on the log, and past its bound on times ahead."""
    headers = replay(received_at=received_at)
    answer = await ingest.client.post("/v1/batch", json={"batch": [TRACK]}, headers=headers, auth=("bf", ""))

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_header")
    assert not ingest.events()
