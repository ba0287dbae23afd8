"""Ingest marks each event: whether the tracking plan that it has counts it as use of the product."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas import codec
from services.ingest.domain.admission import admit
from services.ingest.domain.quick.request import quick_request
from services.ingest.domain.quick.way import QuickWay
from services.ingest.domain.request import Request
from tests.support.ingest import rules

REQUEST = Request("web", "production", 1_800_000_000_000)
PLAN: dict[str, Any] = {
    "events": {
        "Invoice Paid": {"means": "ignored"},
        "Report Shared": {"means": ["counts.value"]},
        "Ticket Opened": {"means": ["cases.tickets.opened"]},
        "Ticket Closed": {"means": ["cases.tickets.closed"]},
    },
    "pages": {
        "status": {"paths": ["/status/*"], "means": "ignored"},
        "report": {"paths": ["/reports/*"]},
    },
    "cases": {"tickets": {"id": "ticket_id"}},
    "excluded_users": ["staff"],
}
TICKET = {"ticket_id": 7}


def marks(sent: dict[str, Any], plan: dict[str, Any]) -> set[bool]:
    """Return the mark of an event, by both ways for what the quick way takes."""
    raw = json.dumps({"messageId": "m1", "timestamp": "2027-01-15T07:59:00Z", "userId": "ann", **sent}).encode()
    by = rules(plan)
    found = [admit(raw, REQUEST, by, lambda: "assigned").event["use"]]
    way = QuickWay(by, 900_000)
    for _ in range(2):  # the second time what is remembered answers
        quick = quick_request(way, REQUEST)
        assert quick is not None
        taken = quick.take(raw)
        assert (taken is not None) == (sent["type"] in {"track", "page", "screen"})
        if taken is not None:
            found.append(codec.decode(taken[2])[1]["use"])
    return set(found)


@pytest.mark.parametrize(
    ("sent", "use"),
    [
        ({"type": "track", "event": "not named"}, True),
        ({"type": "track", "event": "report_shared"}, True),
        ({"type": "track", "event": "report_shared", "userId": "staff"}, True),  # that it does not count, internal says
        ({"type": "track", "event": "INVOICE PAID"}, False),
        ({"type": "track", "event": "Ticket Opened", "properties": TICKET}, False),
        ({"type": "track", "event": "ticket-closed", "properties": TICKET}, False),
        ({"type": "track", "event": "status"}, True),
        ({"type": "page"}, True),
        ({"type": "page", "name": "Home"}, True),
        ({"type": "page", "name": "Invoice Paid"}, True),
        ({"type": "page", "name": "Status"}, False),
        ({"type": "page", "name": "Home", "properties": {"path": "/status/eu"}}, False),
        ({"type": "page", "name": "Status", "properties": {"path": "/reports/7"}}, True),
        ({"type": "page", "context": {"page": {"path": "/status/eu"}}}, False),
        ({"type": "screen", "name": "STATUS"}, False),
        ({"type": "screen", "name": "Home", "properties": {"path": "/status/eu"}}, True),  # paths are of pages
        ({"type": "identify"}, False),
        ({"type": "group", "groupId": "acme"}, False),
        ({"type": "alias", "previousId": "anon"}, False),
    ],
    ids=str,
)
def test_the_mark_is_that_of_the_plan_by_both_ways(sent: dict[str, Any], use: bool) -> None:
    assert marks(sent, PLAN) == {use}


def test_another_plan_marks_otherwise() -> None:
    assert marks({"type": "track", "event": "Invoice Paid"}, {}) == {True}
    assert marks({"type": "page", "name": "Home", "properties": {"path": "/status/eu"}}, {}) == {True}
    assert marks({"type": "track", "event": "not named"}, {"events": {"Not Named": {"means": "ignored"}}}) == {False}
