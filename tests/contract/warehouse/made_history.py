"""A history through the engine's own fold: eight months of six accounts as events, and the snapshots that they lead to."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any, NamedTuple

from schemas import codec
from services.warehouse.domain.rows import Place, Row, row
from tests.support.scorer import UsageLane, at, event

DAYS = 240
FEATURES = ("Report Shared", "Report Viewed", "Export Started")
STARTS = {"acme": 0, "globex": 12, "initech": 45, "umbrella": 100, "hooli": 200, "soylent": 236}
STOPS = {"globex": 150}


class History(NamedTuple):
    """What happened, as Avro records and as rows."""

    events: list[dict[str, Any]]
    snapshots: list[dict[str, Any]]
    rows: dict[str, list[Row]]


class _Maker:
    """Makes events, and folds each as it makes it."""

    def __init__(self) -> None:
        self.dice = Random("a history of eight months")
        self.lane = UsageLane()
        self.events: list[dict[str, Any]] = []

    def happen(self, day: int, account: str, user: str, name: str, **changes: Any) -> None:
        when = at(day, 9 + self.dice.random() * 8)
        id_ = f"e{len(self.events)}"
        self.events.append(event(id_, account, user, when, name=name, **changes))
        self.lane.event(id_, account, user, when, name=name, **changes)

    def start(self, day: int, account: str) -> None:
        traits = {"name": account.title(), "owner": "olga", "revenue": 1000.0 * (day + 1), "plan": "team"}
        self.happen(day, account, "u_admin", "", kind="GROUP", properties=traits)

    def day(self, day: int, account: str) -> None:
        dice = self.dice
        for person in range(4):
            if dice.random() < (0.6 if day % 7 < 5 else 0.1):
                self.happen(day, account, f"u_{account}_{person}", FEATURES[1])
                if dice.random() < 0.05 and account != "umbrella":
                    self.happen(day, account, f"u_{account}_{person}", FEATURES[0])
        if dice.random() < 0.03:
            self.happen(day, account, "u_admin", "Ticket Opened", properties={"ticket_id": f"t{day}"})
            if dice.random() < 0.5:
                self.happen(day, account, "u_admin", "Ticket Closed", properties={"ticket_id": f"t{day}"})
        if day % 9 == 0 and account == "initech":
            self.happen(day, account, f"u_{account}_agent", FEATURES[2], actor="AGENT")


@cache
def history() -> History:
    """Make it: the same each time."""
    maker = _Maker()
    for day in range(DAYS):
        for account, start in STARTS.items():
            if day == start:
                maker.start(day, account)
            if start <= day < STOPS.get(account, DAYS):
                maker.day(day, account)
        if day == 60:
            maker.happen(day, "acme", "u_acme_0", FEATURES[2])
            maker.happen(day, "acme", "u_staff", FEATURES[2], internal=True)
            maker.happen(day, "acme", "u_test", FEATURES[2], environment="staging")
        if day == STOPS["globex"]:
            maker.happen(day, "globex", "", "Account Lost", properties={"date": "2026-05-01", "reason": "price"})
        if day % 30 == 10:  # what billing and people record is no use, of one who is there or who is not any more
            maker.happen(day, "globex", "u_customer", "Invoice Paid")
            maker.happen(day, "acme", "", "Goal Set", properties={"goal": "Weekly reports"})
        maker.lane.close(day)
    snapshots = maker.lane.snapshots()
    return History(maker.events, snapshots, _rows(maker.events, snapshots))


def _rows(events: list[dict[str, Any]], snapshots: list[dict[str, Any]]) -> dict[str, list[Row]]:
    return {
        "events": as_rows("usage-events", "usage_event", [*events, *events[:50]]),  # some are repeated by their senders
        "account_health": as_rows("account-health", "account_health", snapshots),
    }


def as_rows(topic: str, record: str, values: list[dict[str, Any]]) -> list[Row]:
    """Return what the warehouse stores of records of a topic, the first at offset 0."""
    encode, made = codec.encoder(record), []
    for offset, value in enumerate(values):
        found = row(Place(topic, 0, offset, at(DAYS)), record, codec.decode(encode(value))[1])
        assert found is not None
        made.append(found)
    return made
