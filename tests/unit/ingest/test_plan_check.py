"""An event that breaks the tracking plan is refused, taken with a warning, or not looked at, by its write key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.ingest.domain.admission import Admitted, admit
from services.ingest.domain.plan_check import PlanMode, checked
from services.ingest.domain.request import Request
from services.ingest.errors import Code
from services.ingest.write_keys import keys
from services.shared.errors import ConfigurationError, Rejected
from services.shared.tracking_plan.event_check import Beside
from services.shared.tracking_plan.reading import read_plan
from services.shared.tracking_plan.traffic import TrafficPlan
from tests.support.ingest import rules
from tests.support.scorer import UsageLane

RULES = rules(
    {
        "events": {"Exported": {"properties": {f"p{n}": {"type": "number", "required": True} for n in range(8)}}},
        "unknown_events": "reject",
    }
)
GOOD: dict[str, Any] = {f"p{n}": n for n in range(8)}


def admitted(mode: PlanMode, event: str, properties: dict[str, Any]) -> Admitted:
    sent = {"type": "track", "event": event, "userId": "ann", "properties": properties}
    request = Request("web", "production", 1_800_000_000_000, plan_mode=mode)
    return admit(json.dumps(sent).encode(), request, RULES, lambda: "assigned-1")


@pytest.mark.parametrize("mode", ["reject", "observe", "off"])
def test_an_event_that_keeps_the_plan_is_taken_in_every_mode(mode: PlanMode) -> None:
    assert admitted(mode, "exported", GOOD).violations is None


def test_reject_refuses_with_the_first_violation_and_names_the_others() -> None:
    with pytest.raises(Rejected) as refused:
        admitted("reject", "Exported", {**GOOD, "p1": "x", "p2": None})

    assert (refused.value.code, refused.value.field) == (Code.PLAN_WRONG_TYPE, "properties.p1")
    assert refused.value.detail == (
        "send a number, not text; properties.p2: p2 is missing; the tracking plan requires it"
    )


def test_the_detail_names_a_bounded_number_of_violations() -> None:
    with pytest.raises(Rejected) as refused:
        admitted("reject", "Exported", {})

    assert refused.value.code == Code.PLAN_MISSING_PROPERTY
    assert refused.value.detail.endswith("; and 3 more")
    assert "properties.p4" in refused.value.detail
    assert "properties.p5" not in refused.value.detail


def test_reject_refuses_an_event_that_the_plan_does_not_name_if_the_plan_says_so() -> None:
    with pytest.raises(Rejected) as refused:
        admitted("reject", "Imported", {})

    assert (refused.value.code, refused.value.field) == (Code.PLAN_UNKNOWN_EVENT, "event")


def test_observe_takes_the_event_and_tells_all() -> None:
    found = admitted("observe", "Exported", {**GOOD, "p1": "x", "p2": None}).violations

    assert found is not None
    assert [(each.code, each.field) for each in found] == [
        ("plan_wrong_type", "properties.p1"),
        ("plan_missing_property", "properties.p2"),
    ]


def test_off_looks_at_nothing() -> None:
    assert admitted("off", "Imported", {}).violations is None
    assert checked(RULES.plan, "off", "TRACK", "Exported", {}, Beside()) is None


NOW = 1_800_000_000_000
"""A day of January 2027."""
DEFAULT = rules()
UNREADABLE: list[tuple[str, dict[str, Any], str, Code]] = [
    ("NPS Submitted", {"score": 11}, "score", Code.PLAN_WRONG_VALUE),
    ("NPS Submitted", {"score": -1}, "score", Code.PLAN_WRONG_VALUE),
    ("Planned Absence", {"from": "2027-02-01", "scope": "account"}, "to", Code.PLAN_MISSING_PROPERTY),
    ("Planned Absence", {"from": "2027-02-02", "to": "2027-02-01", "scope": "account"}, "to", Code.PLAN_WRONG_VALUE),
    ("Planned Absence", {"from": "2027-02-01", "to": "2027-09-01", "scope": "account"}, "to", Code.PLAN_WRONG_VALUE),
    ("Planned Absence", {"from": "2028-03-01", "to": "2028-03-02", "scope": "account"}, "from", Code.PLAN_WRONG_VALUE),
    ("Planned Absence", {"from": "0001-01-01", "to": "2027-02-01", "scope": "account"}, "from", Code.PLAN_WRONG_VALUE),
    ("Planned Absence", {"from": "2027-02-01", "to": "2027-02-02", "scope": "person"}, "scope", Code.PLAN_WRONG_VALUE),
]
"""What has the types that the plan gives, and cannot be read as what the event means; it has an account and no user."""


@pytest.mark.parametrize(("event", "properties", "name", "code"), UNREADABLE)
def test_what_the_scorer_would_dead_letter_breaks_the_plan(
    event: str, properties: dict[str, Any], name: str, code: Code
) -> None:
    sent = {"type": "track", "event": event, "context": {"groupId": "acme"}, "properties": properties}
    raw = json.dumps(sent).encode()
    with pytest.raises(Rejected) as refused:
        admit(raw, Request("web", "production", NOW, plan_mode="reject"), DEFAULT, lambda: "assigned-1")
    warned = admit(raw, Request("web", "production", NOW), DEFAULT, lambda: "assigned-1").violations
    lane = UsageLane(start=NOW)
    lane.event("e", account="acme", user="", name=event, properties=properties, when=NOW)

    assert (refused.value.code, refused.value.field) == (code, f"properties.{name}")
    assert [(each.code, each.field, each.detail) for each in warned or ()] == [
        (code, f"properties.{name}", refused.value.detail)
    ]
    assert [(each.field, each.detail) for each in lane.rejections()] == [(f"properties.{name}", refused.value.detail)]


def test_how_far_ahead_an_absence_lies_is_counted_from_its_receipt() -> None:
    absence = {"from": "2020-03-01", "to": "2020-03-02", "scope": "account"}
    sent = {
        "type": "track", "event": "Planned Absence", "groupId": "acme", "properties": absence,
        "timestamp": "2019-02-01T00:00:00Z",
    }  # fmt: skip
    request = Request("web", "production", NOW, backfill=True, epoch=1)

    found = admit(json.dumps(sent).encode(), request, DEFAULT, lambda: "assigned-1")
    late = admit(json.dumps(sent).encode(), Request("web", "production", NOW), DEFAULT, lambda: "assigned-1")

    assert [each.field for each in found.violations or ()] == ["properties.from"]
    assert late.violations is None


def test_every_code_of_a_violation_is_a_code_of_ingest() -> None:
    plan = TrafficPlan(
        read_plan(
            {
                "events": {
                    "A": {"properties": {"x": {"required": True}, "y": {"type": "text"}, "z": {"one_of": [1]}}},
                    "C": {"client": "server"},
                },
                "unknown_events": "reject",
            }
        )
    )
    found = [*plan.violations("TRACK", "A", {"y": 1, "z": 2}), *plan.violations("TRACK", "B", {})]
    found += [held] if (held := plan.server_only("TRACK", "C", {})) else []

    assert sorted(Code(each.code) for each in found) == sorted(code for code in Code if code.startswith("plan_"))


def test_the_mode_is_that_of_the_write_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    given, default = "a" * 64, "b" * 64
    file.write_text(
        f"- {{key_sha256: {given}, source: web, client: server, plan: reject}}\n- {{key_sha256: {default}, source: web, client: server}}\n",
        "utf-8",
    )
    assert {key: each.plan for key, each in keys.read(file).items()} == {given: "reject", default: "observe"}

    file.write_text(f"- {{key_sha256: {given}, source: web, client: server, plan: refuse}}\n", "utf-8")
    with pytest.raises(ConfigurationError, match="plan"):
        keys.read(file)
