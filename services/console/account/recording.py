"""What a form records: its fields checked, and the calls in Segment's format that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import msgspec
from xxhash import xxh3_64_hexdigest

from services.console.account.records import KINDS
from services.shared.tracking_plan.judgements import VERDICTS
from services.shared.tracking_plan.losses import EARLIEST
from services.shared.tracking_plan.state_values import MAX_ABSENT_DAYS, MAX_DAYS_AHEAD
from services.shared.units import read_date

LONGEST_TEXT = 4_000
LONGEST_LINE = 200
CHANNELS = ("call", "email", "meeting", "chat")
REASONS = ("price", "missing_feature", "competitor", "no_value", "champion_left", "merger", "closed_down", "other")
MOST_AHEAD_DAYS = 366


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form."""

    name: str
    kind: str
    """`line`, `text`, `date`, or `choice`."""
    required: bool = True
    choices: tuple[str, ...] = ()


FORMS: Mapping[str, tuple[Field, ...]] = {
    "contact": (
        Field("channel", "choice", choices=CHANNELS),
        Field("with", "line", required=False),
        Field("on", "date"),
        Field("text", "text"),
    ),
    "note": (Field("text", "text"),),
    "goal": (Field("goal", "line"), Field("due", "date", required=False)),
    "reached": (Field("goal_id", "text"), Field("goal", "text")),
    "handoff": (Field("to_owner", "line"), Field("text", "text", required=False)),
    "absence": (Field("from", "date"), Field("to", "date"), Field("text", "line", required=False)),
    "churn": (
        Field("date", "date"),
        Field("reason", "choice", choices=REASONS),
        Field("text", "text", required=False),
    ),
    "judged": (
        Field("episode_id", "text"),
        Field("rule", "line"),
        Field("severity", "line"),
        Field("verdict", "choice", choices=VERDICTS),
        Field("text", "line", required=False),
    ),
}
"""The fields of each kind of record."""
SAID_BESIDE = frozenset({"reached", "judged"})
"""Kinds that are said of a goal or a signal, beside it."""


class BadField(Exception):
    """A field cannot be recorded as it is; `problem` is the key of the sentence that says why."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field, self.problem = field, problem


def calls(
    kind: str, given: Mapping[str, str], *, account: str, author: str, record_id: str, today: date, owner: str | None
) -> list[dict[str, Any]]:
    """
    Return the calls that record what a form says.

    Args:
        kind: One of FORMS.
        given: The form's fields as they were sent.
        account: The account that it is about.
        author: Who records.
        record_id: The same for each time that the same form is sent. What it says is part of the call's id: sent again
            unchanged it is recorded once, and changed it is a record of its own.
        today: The day, UTC.
        owner: Who looks after the account until now.

    Raises:
        BadField: a field is missing or not valid.
    """
    values = {field.name: _checked(field, given.get(field.name, "")) for field in FORMS[kind]}
    _bounds(kind, values, today)
    record_id = f"{record_id}-{xxh3_64_hexdigest(msgspec.json.encode([account, kind, values], order='sorted'))}"
    properties = {name: value for name, value in values.items() if value and name != "on"}
    context = {"groupId": account, "library": {"name": "tidemark-console"}}
    if kind == "absence":
        properties["scope"] = "account"
    if kind == "handoff" and owner:
        properties["from_owner"] = owner
    made: dict[str, Any] = {
        "type": "track",
        "event": KINDS[kind],
        "messageId": record_id,
        "context": context,
        "properties": {**properties, "author": author},
    }
    if values.get("on") and values["on"] != today.isoformat():
        made["timestamp"] = f"{values['on']}T12:00:00Z"
    if kind != "handoff":
        return [made]
    new_owner = {"type": "group", "groupId": account, "messageId": f"{record_id}-owner", "context": context}
    return [made, {**new_owner, "traits": {"owner": values["to_owner"]}}]


def _checked(field: Field, given: str) -> str:
    value = given.replace("\r\n", "\n").strip()
    if not value:
        if field.required:
            raise BadField(field.name, "missing")
        return ""
    if len(value) > (LONGEST_TEXT if field.kind == "text" else LONGEST_LINE):
        raise BadField(field.name, "too_long")
    if field.kind == "choice" and value not in field.choices:
        raise BadField(field.name, "no_choice")
    if field.kind == "date":
        try:
            day = read_date(value)
        except ValueError:
            raise BadField(field.name, "no_date") from None
        if day < EARLIEST:
            raise BadField(field.name, "too_early")
        return day.isoformat()
    return value


def _bounds(kind: str, values: Mapping[str, str], today: date) -> None:
    if kind == "contact" and date.fromisoformat(values["on"]) > today:
        raise BadField("on", "in_future")
    if kind == "churn" and date.fromisoformat(values["date"]) > today + timedelta(days=MOST_AHEAD_DAYS):
        raise BadField("date", "too_far")
    if kind != "absence":
        return
    first, last = date.fromisoformat(values["from"]), date.fromisoformat(values["to"])
    if last < first:
        raise BadField("to", "before_first")
    if (last - first).days >= MAX_ABSENT_DAYS:
        raise BadField("to", "too_long_away")
    if (last - today).days > MAX_DAYS_AHEAD:
        raise BadField("to", "too_far")
