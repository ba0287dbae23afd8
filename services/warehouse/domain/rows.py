"""
Records of the log as rows of the tables: which topic goes where, and which column takes what.

The order of each mapping's members is the order of the table's columns in `schemas/clickhouse`. Control records
on usage-events make no row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from schemas.measures import USUAL_RISK, name_of

TABLE_OF_TOPIC: Mapping[str, str] = {
    "usage-events": "events",
    "usage-unattributed": "events",
    "usage-details": "event_details",
    "account-health": "account_health",
    "risk-signals": "signals",
    "expansion-signals": "signals",
}

EARLIEST_MS = -2_208_988_800_000  # 1900-01-01, where ClickHouse's DateTime64 starts
LATEST_MS = 10_413_791_999_999  # 2299-12-31, where it ends

_MOST_DAYS = 1_000_000

Row = tuple[Any, ...]
Value = Mapping[str, Any]


class Place(NamedTuple):
    """Where a record stands on the log, which is the identity of its row."""

    topic: str
    """Without the prefix of the deployment."""
    partition: int
    offset: int
    appended_at: int
    """When Kafka took it, milliseconds since 1970 UTC."""


FORGOTTEN = "FORGOTTEN"
"""As the reason of a row of account_health: the scorer has forgotten the account. No snapshot has this reason."""


class Misplaced(ValueError):
    """The record makes rows of another table than its topic's."""


def row(place: Place, record: str, value: Value) -> Row | None:
    """
    Return the row that a record makes in its topic's table, or None where it makes none.

    Raises:
        Misplaced: it belongs on another topic; its row would not fit the table.
    """
    table, mapping = _MAPPINGS.get(record, ("", None))
    if mapping is None:
        return None
    if table != TABLE_OF_TOPIC[place.topic]:
        raise Misplaced(f"records of {record} do not belong on {place.topic}")
    return mapping(place, value)


def columns(table: str) -> tuple[str, ...]:
    """Return the names of a table's columns in the order of its rows."""
    return _COLUMNS[table]


def instant(milliseconds: int) -> int:
    """Return milliseconds that a DateTime64 can hold: one nonsense time must not stop the batch it is in."""
    if EARLIEST_MS <= milliseconds <= LATEST_MS:  # nearly all are, and a batch has thousands
        return milliseconds
    return min(max(milliseconds, EARLIEST_MS), LATEST_MS)


_PLACE = ("topic", "partition", "offset", "appended_at")

_COLUMNS: dict[str, tuple[str, ...]] = {
    "events": (
        *_PLACE,
        "event_id",
        "id_source",
        "source",
        "environment",
        "account",
        "user",
        "identified",
        "internal",
        "via",
        "actor",
        "kind",
        "name",
        "use",
        "occurred_at",
        "received_at",
        "skew_ms",
        "epoch",
        "historical",
        "properties",
    ),
    "event_details": (
        *_PLACE,
        "event_id",
        "source",
        "environment",
        "account",
        "user",
        "user_id",
        "anonymous_id",
        "occurred_at",
        "received_at",
        "epoch",
        "properties",
        "extra",
    ),
    "account_health": (
        *_PLACE,
        "account",
        "sequence",
        "at",
        "day",
        "reason",
        "historical",
        "stage",
        "band",
        "score_tenths",
        "previous_score_tenths",
        "coverage",
        "risk_thousandths",
        "risk_predicts",
        "last_active_day",
        "silent_days",
        "name",
        "owner",
        "revenue",
        "seats",
        "renewal_day",
        "body",
    ),
    "signals": (
        *_PLACE,
        "signal_id",
        "episode_id",
        "account",
        "rule",
        "category",
        "severity",
        "transition",
        "transition_number",
        "episode_started_at",
        "at",
        "historical",
        "owner",
        "revenue",
        "renewal_day",
        "body",
    ),
}


def _event(place: Place, value: Value) -> Row:
    return (
        *place,
        value["event_id"],
        value["id_source"],
        value["source"],
        value["environment"],
        value["account"],
        value["user"],
        value["identified"],
        value["internal"],
        value["via"],
        value["actor"],
        value["kind"],
        value["name"],
        value["use"],
        instant(value["occurred_at"]),
        instant(value["received_at"]),
        value["skew_ms"],
        value["epoch"],
        value["historical"],
        value["properties"],
    )


def _details(place: Place, value: Value) -> Row:
    return (
        *place,
        value["event_id"],
        value["source"],
        value["environment"],
        value["account"],
        value["user"],
        value["user_id"],
        value["anonymous_id"],
        instant(value["occurred_at"]),
        instant(value["received_at"]),
        value["epoch"],
        value["properties"],
        value["extra"],
    )


def _health(place: Place, value: Value) -> Row:
    facts, measures = value["facts"], _named(value["measures"])
    parts = [{"measure": _name_of(part["number"]), **part} for part in value["parts"]]
    risk = [{"measure": _risk_name_of(part["number"]), **part} for part in value["risk_parts"]]
    return (
        *place,
        value["account"],
        value["sequence"],
        instant(value["at"]),
        value["day"],
        value["reason"],
        value["historical"],
        value["stage"],
        value["band"],
        value["score_tenths"],
        value["previous_score_tenths"],
        value["coverage"],
        value["risk_thousandths"],
        value["risk_predicts"],
        value["dates"].get("last_activity", -1),
        _days(measures.get("silent_days")),
        facts["name"] or "",
        facts["owner"] or "",
        _finite(facts["revenue"]),
        facts["seats"],
        facts["renewal_day"],
        msgspec.json.encode({**value, "measures": measures, "parts": parts, "risk_parts": risk}).decode(),
    )


def _days(value: float | None) -> int:
    """Return whole days, -1 for what is not known or is no number: one nonsense value must not stop a batch."""
    return -1 if value is None or not 0 <= value <= _MOST_DAYS else int(value)


def _finite(value: float | None) -> float | None:
    """Return a number by which lists can be sorted and JSON can be written."""
    return value if value is not None and math.isfinite(value) else None


def _named(measures: Value) -> dict[str, float]:
    pairs = zip(measures["numbers"], measures["values"], strict=False)
    return {_name_of(number): value for number, value in pairs}


def _name_of(number: int) -> str:
    """Return the name of a measure; that of a later version is kept by its number."""
    return name_of(number) or f"measure_{number}"


def _risk_name_of(number: int) -> str:
    return _name_of(number) if number else USUAL_RISK


def _forgotten(place: Place, value: Value) -> Row:
    nothing = ("", "", 0, None, 0.0, None, "", -1, -1, "", "", None, None, None, "")
    return (*place, value["account"], 0, instant(value["at"]), 0, FORGOTTEN, value["historical"], *nothing)


def _signal(place: Place, value: Value) -> Row:
    return (
        *place,
        value["signal_id"],
        value["episode_id"],
        value["account"],
        value["rule"],
        value["category"],
        value["severity"],
        value["transition"],
        value["transition_number"],
        instant(value["episode_started_at"]),
        instant(value["at"]),
        value["historical"],
        value["owner"],
        _finite(value["revenue"]),
        value["renewal_day"],
        msgspec.json.encode(value).decode(),
    )


_MAPPINGS: dict[str, tuple[str, Callable[[Place, Value], Row]]] = {
    "usage_event": ("events", _event),
    "event_details": ("event_details", _details),
    "account_health": ("account_health", _health),
    "account_forgotten": ("account_health", _forgotten),
    "signal": ("signals", _signal),
}
