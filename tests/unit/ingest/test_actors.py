"""Who acts in an event: a person, an agent or an integration, by what says it most nearly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas import codec
from schemas.topics import USAGE_EVENTS
from services.ingest.domain.admission import Admitted, admit
from services.ingest.domain.request import Request
from services.ingest.errors import Code
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.submission import Submission
from services.shared.errors import Rejected
from services.shared.tracking_plan.actors import Actor
from tests.support.ingest import rules, submit

NOW = 1_800_000_000_000
REQUEST = Request("web", "production", NOW)
BASE = {"type": "track", "event": "x", "userId": "u"}
ACTORS = rules(
    {
        "events": {"API Called": {"actor": "integration"}, "Bot Configured": {"actor": "person"}},
        "agent_users": ["helper", "*@bots.example"],
    }
)
AGENT_KEY = Request("mcp", "production", NOW, actor="agent")


def admitted(event: dict[str, Any], request: Request = REQUEST) -> Admitted:
    return admit(json.dumps(event).encode(), request, ACTORS, lambda: "assigned-1")


@pytest.mark.parametrize(
    ("changes", "request_", "actor"),
    [
        ({}, REQUEST, "UNKNOWN"),
        ({"userId": "deploy@bots.example"}, REQUEST, "AGENT"),
        ({"userId": "helper"}, REQUEST, "AGENT"),
        ({"anonymousId": "helper", "userId": None}, REQUEST, "UNKNOWN"),
        ({"event": "api_called"}, REQUEST, "INTEGRATION"),
        ({}, AGENT_KEY, "AGENT"),
        # each of these says it more nearly than the next one
        ({"event": "API Called", "userId": "helper"}, AGENT_KEY, "INTEGRATION"),
        ({"event": "Bot Configured", "userId": "helper"}, AGENT_KEY, "PERSON"),
        ({"event": "API Called", "context": {"actor": "person"}}, AGENT_KEY, "PERSON"),
        ({"context": {"actor": "integration"}}, AGENT_KEY, "INTEGRATION"),
        # what is no word for an actor says nothing
        ({"context": {"actor": {"id": 7}}}, REQUEST, "UNKNOWN"),
        ({"context": {"actor": "robot"}}, AGENT_KEY, "AGENT"),
        ({"context": {"actor": None}}, AGENT_KEY, "AGENT"),
    ],
)
def test_a_record_says_who_acts(changes: dict[str, Any], request_: Request, actor: str) -> None:
    assert admitted({**BASE, **changes}, request_).event["actor"] == actor


def test_a_word_for_no_actor_is_told_to_its_sender_and_refused_where_the_plan_must_be_kept() -> None:
    event = {**BASE, "context": {"actor": "robot"}}

    told = admitted(event).violations
    with pytest.raises(Rejected) as refused:
        admitted(event, Request("web", "production", NOW, plan_mode="reject"))

    assert told is not None
    assert [(each.code, each.field) for each in told] == [("plan_wrong_value", "context.actor")]
    assert (refused.value.code, refused.value.field) == (Code.PLAN_WRONG_VALUE, "context.actor")


@pytest.mark.parametrize(("actor", "written"), [(None, "UNKNOWN"), ("integration", "INTEGRATION")])
@pytest.mark.parametrize("careful", [False, True])
async def test_a_key_says_who_acts_in_what_is_sent_with_it(actor: Actor | None, written: str, careful: bool) -> None:
    event = {**BASE, "messageId": "m1", "timestamp": "2027-01-15T07:59:00.000Z", "context": {"groupId": "acme"}}
    log = MemoryEventLog()

    await submit(
        rules(), Submission(json.dumps({"batch": [event | ({"odd": 1} if careful else {})]}).encode()), log, actor=actor
    )

    (record,) = log.records[USAGE_EVENTS]
    assert codec.decode(record.value)[1]["actor"] == written
