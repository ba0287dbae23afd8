"""What becomes of a good event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.ingest.domain.admission import Admitted, Request, Rules, admit
from services.shared.tracking_plan.reading import read_plan
from services.shared.tracking_plan.traffic import TrafficPlan
from services.shared.units import HOUR_MS

NOW = 1_800_000_000_000
REQUEST = Request("web", "production", NOW)


def taken(event: dict[str, Any], request: Request = REQUEST, rules: Rules | None = None) -> Admitted:
    return admit(json.dumps(event).encode(), request, rules or Rules(), lambda: "assigned-1")


def test_an_event_becomes_the_record_that_the_log_has() -> None:
    admitted = taken(
        {
            "type": "track",
            "event": "Report Exported",
            "userId": "ann",
            "anonymousId": "anon",
            "messageId": "m1",
            "timestamp": "2027-01-15T07:59:00.000Z",
            "properties": {"rows": 3},
            "context": {"groupId": "acme", "ip": "10.0.0.1"},
            "integrations": {"All": True},
        },
        Request("web", "production", NOW, sent_at=NOW - 5_000, accepted_by="ingest-a-0"),
    )

    assert admitted.event == {
        "event_id": "m1",
        "id_source": "CLIENT",
        "source": "web",
        "environment": "production",
        "account": "acme",
        "user": "ann",
        "kind": "TRACK",
        "name": "Report Exported",
        "occurred_at": NOW - 55_000,
        "received_at": NOW,
        "skew_ms": 5_000,
        "epoch": 0,
        "historical": False,
        "properties": '{"rows":3}',
        "extra": '{"anonymousId":"anon","integrations":{"All":true},"context":{"groupId":"acme","ip":"10.0.0.1"}}',
        "accepted_by": "ingest-a-0",
    }
    assert admitted.key == b"acme"


BASE = {"type": "track", "event": "x", "userId": "u"}
ACCOUNTS: list[tuple[dict[str, Any], str]] = [
    ({"context": {"groupId": "a"}, "groupId": "b", "properties": {"account_id": "c"}}, "a"),
    ({"groupId": "b", "properties": {"account_id": "c"}}, "b"),
    ({"properties": {"company_id": "d", "account_id": "c"}}, "c"),
    ({"properties": {"organizationId": 42}}, "42"),
    ({"properties": {"account_id": None, "company_id": "d"}}, "d"),
    ({"properties": {"account_id": "", "company_id": "d"}}, "d"),
    ({"properties": {"company": {"id": "e"}}}, "e"),
    ({"properties": {"$groups": {"company": "f"}}}, "f"),
    ({"type": "identify", "traits": {"accountId": "g"}}, "g"),
    ({"type": "identify", "properties": {"accountId": "g"}}, ""),
    ({"type": "group", "groupId": "h", "traits": {"account_id": "i"}}, "h"),
    ({"properties": {"company": "a name"}}, ""),
    ({}, ""),
]


@pytest.mark.parametrize(("members", "account"), ACCOUNTS)
def test_the_account_is_found_where_applications_put_it(members: dict[str, Any], account: str) -> None:
    assert taken({**BASE, **members}).event["account"] == account


def test_the_names_of_account_properties_are_configurable() -> None:
    event = {**BASE, "properties": {"account_id": "a", "workspace": "b"}}

    assert taken(event, rules=Rules(account_fields=("workspace",))).event["account"] == "b"


def test_an_event_of_an_account_needs_no_user() -> None:
    admitted = taken({"type": "track", "event": "x", "context": {"groupId": "acme"}})

    assert (admitted.event["account"], admitted.event["user"]) == ("acme", "")


def test_an_event_without_an_account_is_keyed_by_its_user() -> None:
    assert taken(BASE).key == b"u"
    assert taken(BASE).event["account"] == ""


def test_the_content_id_is_the_same_for_each_attempt_and_for_nothing_else() -> None:
    event = {**BASE, "timestamp": "2027-01-01T00:00:00Z", "properties": {"a": 1, "b": 2}}
    again = {"sentAt": "2027-01-01T00:00:09Z", "_metadata": {"retryCount": 1}, **dict(reversed(event.items()))}
    other = {**event, "properties": {"a": 1, "b": 3}}

    assert taken(event).event["event_id"] == taken(again).event["event_id"] != taken(other).event["event_id"]
    assert taken(event).event["id_source"] == "CONTENT"
    assert taken(event).event["event_id"] == "content-692392eeb38e46f9db7cf5b05448d747"


def test_an_event_without_id_and_time_gets_an_id() -> None:
    assert taken(BASE).event["event_id"] == "assigned-1"
    assert taken(BASE).event["id_source"] == "ASSIGNED"


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15T09:00:00.000+01:00", NOW),
        ("2027-01-15T07:59:59.999999999Z", NOW - 1),
        ("2027-01-15T08:00:00", NOW),
        ("2027-01-15", NOW - 8 * HOUR_MS),
        (NOW - 7, NOW - 7),
        ("2027-01-16T07:59:59Z", NOW),  # up to a day ahead: taken as just now
        (None, NOW),
        ("", NOW),
    ],
)
def test_timestamps_are_read_as_sdks_write_them(stamp: Any, expected: int) -> None:
    assert taken({**BASE, "timestamp": stamp}).event["occurred_at"] == expected


def test_the_time_of_rudderstack_is_read_too() -> None:
    assert taken({**BASE, "originalTimestamp": "2027-01-15T07:59:59Z"}).event["occurred_at"] == NOW - 1_000


def test_integers_are_taken_as_ids() -> None:
    admitted = taken({**BASE, "userId": 7, "messageId": 8, "context": {"groupId": 9}})

    assert (admitted.event["user"], admitted.event["event_id"], admitted.event["account"]) == ("7", "8", "9")


def test_types_may_be_letters_and_of_any_case() -> None:
    kinds = [taken({**BASE, "type": kind}).event["kind"] for kind in ("Track", "t", "PAGE", "s")]

    assert kinds == ["TRACK", "TRACK", "PAGE", "SCREEN"]


@pytest.mark.parametrize(
    ("sent", "name", "kept"),
    [
        ({"properties": {"path": "/reports/7"}}, "report", None),
        ({"context": {"page": {"path": "/reports/7?tab=1"}}}, "report", None),
        ({"properties": {"path": "/reports/7"}, "name": "Report 7 of Ann"}, "report", "Report 7 of Ann"),
        ({"properties": {"path": "/other"}, "name": "Other"}, "Other", None),
        ({"properties": {"path": 7}, "context": {"page": "/reports/7"}}, "", None),
        ({"properties": {"path": "/reports/7"}, "type": "screen"}, "", None),
    ],
)
def test_a_page_is_called_as_the_plan_says_and_keeps_its_own_name_beside(
    sent: dict[str, Any], name: str, kept: str | None
) -> None:
    plan = TrafficPlan(read_plan({"pages": {"report": {"paths": ["/reports/*"]}}}))
    event = taken({"type": "page", "userId": "u", **sent}, rules=Rules(plan=plan)).event

    assert event["name"] == name
    assert json.loads(event["extra"]).get("name") == kept
