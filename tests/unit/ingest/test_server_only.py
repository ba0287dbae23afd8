"""What the tracking plan takes from servers alone is refused of a key that browsers hold, whatever else the key may do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.ingest.domain.admission import admit
from services.ingest.domain.plan_check import PlanMode
from services.ingest.domain.request import Request
from services.ingest.errors import Code
from services.shared.errors import Rejected
from services.shared.plan_file import default_plan
from tests.support.ingest import rules

NOW = 1_800_000_000_000
PLAN = rules(
    {
        "events": {"Contract Signed": {"client": "server"}, "Viewed": {}},
        "pages": {"billing": {"client": "server", "paths": ["/billing"]}},
        "group_traits": {
            "Revenue": {"type": "number", "means": "facts.revenue", "client": "server"},
            "name": {"type": "text", "means": "facts.name"},
        },
        "identify_traits": {"role": {"means": "role", "client": "server"}},
        "roles": ["admin"],
    }
)
HELD: list[tuple[dict[str, Any], str]] = [
    ({"type": "track", "event": "contract_signed"}, "event"),
    ({"type": "page", "name": "Billing"}, "name"),
    ({"type": "page", "properties": {"path": "/billing"}}, "name"),
    ({"type": "screen", "name": "billing"}, "name"),
    ({"type": "group", "groupId": "acme", "traits": {"name": "Acme", "REVENUE": 9}}, "traits.REVENUE"),
    ({"type": "group", "groupId": "acme", "traits": {"name": "Acme", "revenue": None}}, "traits.revenue"),
    ({"type": "identify", "traits": {"role": "admin"}}, "traits.role"),
    ({"type": "identify", "traits": {"role": None}}, "traits.role"),
]
FREE: list[dict[str, Any]] = [
    {"type": "track", "event": "Viewed"},
    {"type": "track", "event": "Contract Signed Late"},
    {"type": "page", "name": "Contract Signed"},
    {"type": "group", "groupId": "acme", "traits": {"name": None}},
    {"type": "identify", "traits": {"name": "Ann"}},
]


def admit_from(event: dict[str, Any], client: str, mode: PlanMode) -> None:
    sent = json.dumps({"userId": "ann", **event}).encode()
    admit(sent, Request("web", "production", NOW, client=client, plan_mode=mode), PLAN, lambda: "id")


@pytest.mark.parametrize("mode", ["reject", "observe", "off"])
@pytest.mark.parametrize(("event", "field"), HELD)
def test_it_is_refused_of_a_browser_in_every_mode_and_taken_from_a_server(
    event: dict[str, Any], field: str, mode: PlanMode
) -> None:
    with pytest.raises(Rejected) as refused:
        admit_from(event, "browser", mode)

    assert (refused.value.code, refused.value.field) == (Code.PLAN_SERVER_ONLY, field)
    assert "client: server" in refused.value.detail
    admit_from(event, "server", mode)


@pytest.mark.parametrize("event", FREE)
def test_all_else_is_taken_from_a_browser(event: dict[str, Any]) -> None:
    admit_from(event, "browser", "reject")


def test_the_default_plan_takes_what_people_record_and_absences_from_servers_alone() -> None:
    held = {name for name, event in default_plan().events.items() if event.client}

    recorded = {name for name, event in default_plan().events.items() if "author" in event.properties}
    assert held == recorded
    assert {"Planned Absence", "Account Lost", "Signal Judged"} <= held
