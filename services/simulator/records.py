"""
What people of the vendor record of the accounts they look after: contacts, notes, goals, handovers, announced absences.

A few accounts of each storyline have records, so that the time axis of an account tells who did what about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from services.simulator.storylines import Storyline, announced


class Record(NamedTuple):
    """One thing that somebody wrote down. Days are days left; `days` are properties that name a day."""

    left: int
    event: str
    properties: Mapping[str, Any]
    days: Mapping[str, int] = {}


def _contact(left: int, channel: str, text: str) -> Record:
    return Record(left, "Customer Contacted", {"channel": channel, "text": text})


def _note(left: int, text: str) -> Record:
    return Record(left, "Note Added", {"text": text})


def _goal(left: int, goal: str, due: int) -> Record:
    return Record(left, "Goal Set", {"goal": goal}, {"due": due})


_WRITTEN: Mapping[tuple[Storyline, int], tuple[Record, ...]] = {
    (Storyline.STEADY, 0): (
        _goal(170, "Each team shares its report before the Monday meeting", 40),
        _contact(42, "meeting", "The goal is reached. Next quarter they want the same for the finance team."),
    ),
    (Storyline.GROWING, 0): (
        _goal(80, "Bring the second office on board", -20),
        _contact(30, "call", "The second office is live. They asked what more seats would cost."),
    ),
    (Storyline.SLOW_DECAY, 0): (
        _goal(200, "Replace the weekly spreadsheet with shared reports", 90),
        _contact(95, "meeting", "They still keep the spreadsheet beside the reports, because the export lacks two columns."),
        _note(60, "The person who set the reports up has another job now. Nobody asked for her seat."),
        _contact(21, "email", "Offered a value review. No answer yet."),
    ),
    (Storyline.SUDDEN_STOP, 0): (
        _contact(66, "meeting", "Quarterly review. All was well; the sponsor asked about sign-in through their own provider."),
        _contact(8, "call", "Nobody answered. Left a message for the sponsor."),
        _contact(4, "email", "Wrote to the second contact. Her mail comes back: the address does not exist any more."),
        _note(3, "Their website announces a merger. Ask who decides now."),
    ),
    (Storyline.SEAT_LOSS, 0): (
        _note(24, "Two teams were merged. The new lead worked with another tool before."),
        _contact(15, "call", "The new lead agrees to a session with our trainer next week."),
    ),
    (Storyline.SEAT_LOSS, 1): (
        Record(
            70,
            "Account Handed Over",
            {"to_owner": "", "from_owner": "Sofia Brandt", "text": "Sofia is on leave. Their sponsor prefers to be called."},
        ),
    ),
    (Storyline.ONBOARDING_STUCK, 0): (
        _goal(44, "The first shared report within four weeks", 16),
        _contact(31, "call", "The import of their old data fails. Opened a ticket with them."),
        _note(17, "The import works again, but the trial group has gone back to its old tool."),
    ),
    (Storyline.TICKETS_PILE_UP, 0): (
        _contact(10, "chat", "They ask for the third time when the export will work."),
        _note(6, "Support has found the cause. A release is planned for next week."),
    ),
    (Storyline.UNHAPPY_CHAMPION, 0): (
        _contact(12, "call", "She is unhappy with the new editor, and wants the old shortcuts back."),
    ),
    (Storyline.RENEWAL_DRIFT, 0): (
        _contact(33, "meeting", "Procurement compares us with a cheaper tool. A decision is due before the renewal."),
        _goal(33, "Show what the reports save, for the case of the sponsor", -20),
    ),
    (Storyline.MOVED_TO_AGENTS, 0): (
        _note(50, "They build an assistant of their own on our API. Their people are to ask it instead of opening reports."),
        _contact(20, "meeting", "The assistant is live for all. They ask for a service account and for audit logs."),
    ),
}  # fmt: skip


@cache
def records(storyline: Storyline, shift: int, owner: str) -> tuple[Record, ...]:
    """Return what was recorded of an account, each with its author: its owner."""
    found = []
    for record in _WRITTEN.get((storyline, shift), ()):
        properties = {name: value or owner for name, value in record.properties.items()}
        found.append(record._replace(properties={**properties, "author": owner}))
    for absence in announced(storyline, shift):
        properties = {"scope": "account", "author": owner, "text": absence.text}
        found.append(Record(absence.told, "Planned Absence", properties, {"from": absence.first, "to": absence.last}))
    return tuple(found)
