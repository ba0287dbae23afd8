"""Files of calls in Segment's format as a history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.measures import named
from services.alerter.domain.closing import ForgottenAccount
from services.backfill.mapping import Mapping
from services.backtest.domain.history import Event
from services.backtest.driving.drive import Scoring, drive
from services.backtest.driving.scoring import NO_ACCOUNT
from services.backtest.histories.event_file import read_event_file
from services.shared.errors import Fatal
from services.shared.tracking_plan.reading import read_plan

AT = "2026-01-05T10:00:00.000Z"
AT_MS = 1_767_607_200_000
CALLS: list[dict[str, Any]] = [
    {"type": "group", "groupId": "acme", "userId": "ann", "timestamp": AT, "traits": {"seats": 5}},
    {"type": "track", "event": "Report Shared", "userId": "ann", "context": {"groupId": "acme"}, "timestamp": AT},
    {"type": "page", "name": "Home", "anonymousId": "x1", "context": {"groupId": "acme"}, "timestamp": AT},
    {"type": "track", "event": "Report Shared", "userId": "bob", "timestamp": AT},
    {
        "type": "track",
        "event": "Tool Called",
        "userId": "ann",
        "context": {"groupId": "acme", "actor": "agent"},
        "timestamp": AT,
    },
    {"type": "alias", "previousId": "x1", "userId": "ann", "context": {"groupId": "acme"}, "timestamp": AT},
]


def calls(tmp_path: Path) -> Path:
    file = tmp_path / "calls.ndjson"
    file.write_text("".join(json.dumps(call) + "\n" for call in CALLS))
    return file


def test_each_kind_of_call_is_an_event_of_its_kind(tmp_path: Path) -> None:
    history = read_event_file(calls(tmp_path), Mapping())

    assert list(history.read()) == [
        Event("acme", "ann", AT_MS, "", {"seats": 5}, "GROUP"),
        Event("acme", "ann", AT_MS, "Report Shared"),
        Event("acme", "x1", AT_MS, "Home", kind="PAGE"),
        Event("", "bob", AT_MS, "Report Shared"),
        Event("acme", "ann", AT_MS, "Tool Called", actor="AGENT"),
        Event("acme", "ann", AT_MS, "", kind="ALIAS"),
    ]
    assert history.name == "calls"


@pytest.mark.parametrize(
    "changes",
    [
        {"context": "acme"},
        {"context": ["acme"]},
        {"context": {"groupId": ["acme"]}},
        {"userId": True},
        {"properties": "x"},
        {"properties": [1]},
    ],
)
def test_calls_that_ingest_would_refuse_are_left_out_and_told(tmp_path: Path, changes: dict[str, object]) -> None:
    file = tmp_path / "calls.ndjson"
    file.write_text("".join(json.dumps(call) + "\n" for call in (CALLS[1], {**CALLS[1], **changes})))

    history = read_event_file(file, Mapping())

    assert list(history.read()) == [Event("acme", "ann", AT_MS, "Report Shared")]
    assert drive(history).rejected == {"malformed_row": 1}


def test_a_call_that_is_there_twice_is_one_event_and_its_context_says_first_whose_it_is(tmp_path: Path) -> None:
    call = {**CALLS[1], "messageId": "m1", "groupId": "globex"}
    file = tmp_path / "calls.ndjson"
    file.write_text((json.dumps(call) + "\n") * 2)

    driven = drive(read_event_file(file, Mapping()))

    assert driven.accounts == ["acme"]
    last = list(driven.snapshots)[-1]
    assert not isinstance(last, ForgottenAccount)
    assert named(last["measures"])["events_28"] == 1


def test_a_group_call_is_of_the_group_that_it_names(tmp_path: Path) -> None:
    file = tmp_path / "calls.ndjson"
    file.write_text(json.dumps({**CALLS[0], "context": {"groupId": "globex"}}) + "\n")

    assert [event.account for event in read_event_file(file, Mapping()).read()] == ["acme"]


def test_ids_of_nought_and_of_blanks_are_what_ingest_takes_them_for(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    call = {"type": "track", "event": "Asked", "timestamp": "2026-01-02T10:00:00Z"}
    given: list[dict[str, Any]] = [
        {**call, "userId": 0, "context": {"groupId": 0}},
        {**call, "userId": " ", "anonymousId": "anon", "context": {"groupId": " "}, "groupId": "acme"},
    ]
    file.write_text("".join(json.dumps(each) + "\n" for each in given))

    events = list(read_event_file(file, Mapping()).read())

    assert [(event.account, event.user) for event in events] == [("0", "0"), ("acme", "anon")]


def test_events_without_an_account_are_told_with_what_to_do(tmp_path: Path) -> None:
    driven = drive(read_event_file(calls(tmp_path), Mapping()))

    assert driven.rejected == {NO_ACCOUNT: 1}
    assert driven.accounts == ["acme"]
    assert driven.activity.tolist() == [[3]]


def test_the_plan_says_who_acts_where_the_events_do_not(tmp_path: Path) -> None:
    plan = read_plan({"agent_users": ["*-bot"], "events": {"Synced": {"actor": "integration"}}})
    file = tmp_path / "events.ndjson"
    days = [f"2026-01-{day:02}T10:00:00Z" for day in range(1, 31)]
    calls: list[dict[str, Any]] = [
        {"type": "track", "event": event, **user, "context": {"groupId": "acme"}, "timestamp": day}
        for day in days
        for event, user in (("Synced", {}), ("Asked", {"userId": "a-bot"}), ("Asked", {}))
    ]
    file.write_text("".join(json.dumps(call) + "\n" for call in calls))

    driven = drive(read_event_file(file, Mapping()), Scoring(plan))

    assert driven.activity.tolist() == [[2] * 30]
    last = list(driven.snapshots)[-1]
    assert not isinstance(last, ForgottenAccount)
    measures = named(last["measures"])
    assert (measures["active_users_28"], measures["agents_28"], measures["integrations_28"]) == (0, 1, 1)


def test_what_people_do_whom_the_plan_leaves_out_is_no_use_and_what_they_say_counts(tmp_path: Path) -> None:
    plan = read_plan(
        {
            "excluded_users": ["*@tidemark.test"],
            "group_traits": {"seats": {"type": "whole_number", "means": "facts.seats"}},
        }
    )
    file = tmp_path / "events.ndjson"
    days = [f"2026-01-{day:02}T10:00:00Z" for day in range(1, 31)]
    calls: list[dict[str, Any]] = [
        {"type": "track", "event": "Asked", "userId": user, "context": {"groupId": "acme"}, "timestamp": day}
        for day in days
        for user in ("ann", "staff@tidemark.test")
    ]
    calls.append(
        {
            "type": "group",
            "userId": "staff@tidemark.test",
            "groupId": "acme",
            "timestamp": days[-1],
            "traits": {"seats": 5},
        }
    )
    file.write_text("".join(json.dumps(call) + "\n" for call in calls))

    driven = drive(read_event_file(file, Mapping()), Scoring(plan))

    assert driven.activity.tolist() == [[1] * 30]
    last = list(driven.snapshots)[-1]
    assert not isinstance(last, ForgottenAccount)
    measures = named(last["measures"])
    assert (measures["active_users_28"], measures["events_28"], measures["seats"]) == (1, 28, 5)


def test_a_history_of_more_than_forty_years_has_a_wrong_time(tmp_path: Path) -> None:
    file = tmp_path / "years.csv"
    file.write_text("account,user,timestamp\nacme,ann,1971-01-01\nacme,ann,2026-01-01\n")

    with pytest.raises(
        Fatal, match="years spans 55 years, more than 40: are the times of its first and last events right"
    ):
        drive(read_event_file(file, Mapping()))
