"""
What people record of an account, as events of the default tracking plan: their names, and what each shows.

Only track calls are records: the plan keeps their names for servers, while a page of any name may come from anybody who has
read the write key of a browser.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from services.shared.tracking_plan.judgements import JUDGEMENT
from services.shared.tracking_plan.losses import loss_of
from services.shared.tracking_plan.state_values import WITHDRAWN, planned_absence
from services.shared.units import date_of, day_number, read_date

KINDS: Mapping[str, str] = {
    "contact": "Customer Contacted",
    "note": "Note Added",
    "goal": "Goal Set",
    "reached": "Goal Reached",
    "handoff": "Account Handed Over",
    "absence": "Planned Absence",
    "churn": "Account Lost",
    "judged": JUDGEMENT,
}
"""Kinds of records, and the events that they are on the log."""
CALL = "TRACK"
"""What these events are."""
_NAMES = frozenset(KINDS.values())
_DAY_OF = {
    "contact": "",
    "note": "",
    "goal": "due",
    "reached": "",
    "handoff": "",
    "absence": "",
    "churn": "date",
    "judged": "",
}
_SHOWN = {
    "contact": ("channel", "with", "text"),
    "note": ("text",),
    "goal": ("goal",),
    "reached": ("goal",),
    "handoff": ("from_owner", "to_owner", "text"),
    "absence": ("text",),
    "churn": ("reason", "text"),
    "judged": ("rule", "verdict", "text"),
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One record."""

    kind: str
    on: date
    """The day of which it speaks: of a goal when it is due, of an absence its first, else when it was."""
    until: date | None
    """The last day of an absence; None: it was taken back."""
    said: date
    """The day on which it was recorded, or happened."""
    author: str
    properties: Mapping[str, Any]
    id: str = ""
    """Of the event."""
    reached: Recorded | None = None
    """Of a goal: the record that says that it was reached."""
    names_day: bool = False
    """Of a loss: whether it says when, as a back-test reads it."""

    @property
    def texts(self) -> list[str]:
        """Return what was written, in the order in which it is read."""
        told = {name: str(self.properties[name]) for name in _SHOWN[self.kind] if self.properties.get(name)}
        if "from_owner" in told and "to_owner" in told:
            told["from_owner"] += f" → {told.pop('to_owner')}"
        return list(told.values())


def recorded(events: Iterable[Mapping[str, Any]], known_until: date | None = None) -> list[Recorded]:
    """
    Return what was recorded, the newest first; what cannot be read is left out, and so are absences that were withdrawn.

    Other events of these names are no records. Goals have the record that says that they were reached, which is in the list as well.

    Args:
        events: As the API lists them, those of the same moment with the latest first.
        known_until: Leave out what became known after this day.
    """
    kinds = {name: kind for kind, name in KINDS.items()}
    found: list[tuple[str, Recorded]] = []
    for event in sorted(events, key=lambda each: str(each["occurred_at"]), reverse=True):
        if known_until is not None and event["received_at"][:10] > known_until.isoformat():
            continue
        made = _one(kinds[event["name"]], event) if is_record(event) else None
        if made is not None:
            found.append((str(event["occurred_at"]), made))
    return _with_ends(_standing(found))


def is_record(event: Mapping[str, Any]) -> bool:
    """
    Return whether an event, as the API lists it, is what somebody recorded; Today and back-tests take no other either.

    Of users that the tracking plan leaves out that are absences alone: the scorer takes those of the whole account from anybody.
    """
    return (
        event["name"] in _NAMES  # the API also finds events that have the whole list of names as theirs
        and event["kind"] == CALL
        and event["environment"] == "production"
        and (not event["internal"] or event["name"] == KINDS["absence"])
    )


def _one(kind: str, event: Mapping[str, Any]) -> Recorded | None:
    try:
        properties = msgspec.json.decode(event["properties"], type=dict[str, Any])
    except msgspec.MsgspecError:
        return None
    said = datetime.fromisoformat(event["occurred_at"]).astimezone(UTC).date()
    on = day_of(properties.get(_DAY_OF[kind])) if _DAY_OF[kind] else said
    loss = loss_of(event["properties"]) if kind == "churn" else None
    if loss:
        on = date_of(loss.day)
    until = None
    if kind == "absence":
        # As the scorer reads it: what it refused holds no signal back, so nobody shall think that it does.
        received = day_number(datetime.fromisoformat(event["received_at"]).astimezone(UTC).date())
        planned = planned_absence(properties, has_user=False, today=received)
        if isinstance(planned, list) or not planned.of_account:
            return None
        on = date_of(planned.first_day)
        until = None if planned.last_day == WITHDRAWN else date_of(planned.last_day)
    author = str(properties.get("author") or event.get("user_id") or "")
    return Recorded(kind, on or said, until, said, author, properties, event["event_id"], names_day=loss is not None)


def day_of(given: object) -> date | None:
    """Return a day, given as `2026-03-31` with or without a time; None where it is none."""
    try:
        return read_date(str(given)[:10]) if given else None
    except ValueError:
        return None


def _standing(newest_first: list[tuple[str, Recorded]]) -> list[Recorded]:
    """
    Leave out absences that a newer event of the same first day replaced or took back.

    Of two of one moment the longer one stands, as for the scorer.
    """
    standing: dict[date, tuple[tuple[str, date], Recorded]] = {}
    for at, each in newest_first:
        if each.kind == "absence":
            rank = at, each.until or date.min
            if each.on not in standing or rank > standing[each.on][0]:
                standing[each.on] = rank, each
    return [
        each
        for _, each in newest_first
        if each.kind != "absence" or (each.until is not None and standing[each.on][1] is each)
    ]


def _with_ends(newest_first: list[Recorded]) -> list[Recorded]:
    """Give goals the first record that says that they were reached."""
    ends = {str(each.properties.get("goal_id")): each for each in newest_first if each.kind == "reached"}
    return [replace(each, reached=ends.get(each.id)) if each.kind == "goal" else each for each in newest_first]
