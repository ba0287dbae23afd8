"""The original of a dead letter, sent again, makes the event that it would have made at first."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from schemas import codec
from services.cli.rejected.letters import Letter
from services.cli.rejected.runs import Run
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.submission import Submission
from services.shared.replays import HEADER, decode_replay
from tests.support.ingest import rules, submit

DENIED = {"deny": {"drop": ["password"], "hash": ["email"]}}


async def test_a_denied_value_stays_out_and_is_hashed_once() -> None:
    event: dict[str, Any] = {"type": "track", "event": "x", "timestamp": "2026-01-01T00:00:00Z", "messageId": "1"}
    event |= {"properties": {"email": "Ann@Example.com", "password": "p", "workspace": "acme"}}
    context = {"traits": {"email": "ann@example.com"}}
    log = MemoryEventLog()
    await submit(
        rules(DENIED), Submission(json.dumps({"batch": [event], "context": context}).encode(), all_results=True), log
    )
    written = codec.decode(log.records["usage-rejected"][0].value)[1]
    letter = Letter("usage-rejected", 0, 5, 0, written)
    call = Run([letter]).call()

    mended = rules(DENIED, account_fields=("workspace",))
    replay = decode_replay(call.headers[HEADER])
    answer = await submit(mended, Submission(call.body, replay=replay), log, backfill=True)

    assert not letter.cut and b"password" not in letter.original
    assert (answer.accepted, answer.rejected) == (1, 0)
    details = json.dumps(codec.decode(log.records["usage-details"][0].value)[1])
    assert details.count(sha256(b"ann@example.com").hexdigest()) == 2
    assert "Example.com" not in details and "password" not in details
