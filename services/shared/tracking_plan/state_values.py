"""
What state is read from in the properties of an event: the id of a case, the score of an answer, a planned absence.

Ingest and `tidemark plan check` tell the sender what is wrong with it, and the scorer dead-letters the event, by the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from services.shared.tracking_plan.dates import read_day
from services.shared.tracking_plan.plan import EventPlan, TrackingPlan, words
from services.shared.tracking_plan.state_names import (
    ABSENCE_FROM,
    ABSENCE_SCOPE,
    ABSENCE_TO,
    ABSENCE_WITHDRAWN,
    PLANNED_ABSENCES,
    SCOPES,
)

WITHDRAWN = -1
"""The last day of an absence that was taken back."""
MAX_ABSENT_DAYS = 92
"""Days of one absence. Who is away for longer says so again; a wrong date must not keep an account quiet for years."""
MAX_DAYS_AHEAD = 366
"""Days that an absence may lie ahead."""
_MAX_CASE_ID = 128
_MAX_SCORE_TEXT = 20
"""Blanks included; int() of endless digits is slow, then refused."""


class Fault(NamedTuple):
    """Why nothing can be read."""

    name: str
    """The name of the property."""
    detail: str
    """What to send."""


Faults = Callable[[Mapping[str, Any], bool, int | None], Sequence[Fault]]
"""What is wrong with the properties of an event; asked with whether it has a user, and with the day of its receipt."""


class PlannedAbsence(NamedTuple):
    """An absence as an event says it. Days are days since 1970 UTC."""

    first_day: int
    last_day: int
    """WITHDRAWN: it was taken back."""
    of_account: bool
    """Whether the whole account is absent, not only the event's person."""


def case_id(properties: Mapping[str, Any], name: str) -> str | Fault:
    """Return the id of the case that an event opens or closes, which the property `name` has."""
    case = properties.get(name)
    if isinstance(case, bool) or not isinstance(case, (str, int)) or case == "" or len(str(case)) > _MAX_CASE_ID:
        return Fault(
            name, f"send the id of what opens or closes, text of 1 to {_MAX_CASE_ID} characters or a whole number"
        )
    return str(case)


def score(properties: Mapping[str, Any], name: str, scale: tuple[int, int]) -> int | Fault:
    """Return the score of an answer, which the property `name` has, from the lowest to the highest of the scale."""
    low, high = scale
    given = properties.get(name)
    if isinstance(given, str) and given.strip().isdecimal():  # not isdigit: int() takes no superscript two
        given = int(given) if len(given) <= _MAX_SCORE_TEXT else -1
    if (
        isinstance(given, bool)
        or not isinstance(given, (int, float))
        or not low <= given <= high
        or given != int(given)
    ):
        return Fault(name, f"send a whole number from {low} to {high}")
    return int(given)


def planned_absence(
    properties: Mapping[str, Any], *, has_user: bool, today: int | None
) -> PlannedAbsence | list[Fault]:
    """
    Return the absence that an event plans, or all that is wrong with it.

    Args:
        properties: Of the event.
        has_user: Whether the event has a user, whose absence it can be.
        today: Days since 1970 UTC; None: not known, and how far ahead the absence lies is not looked at.
    """
    faults = []
    scope = properties.get(ABSENCE_SCOPE)
    if scope not in SCOPES:
        faults.append(Fault(ABSENCE_SCOPE, "send account where all are away, or person where the event's user is"))
    elif scope == SCOPES[1] and not has_user:
        faults.append(Fault(ABSENCE_SCOPE, "an absence of a person needs a user: send userId"))
    first, last = _day(properties, ABSENCE_FROM), WITHDRAWN
    if first is None:
        faults.append(_no_day(ABSENCE_FROM))
    if properties.get(ABSENCE_WITHDRAWN) is not True:
        read = _day(properties, ABSENCE_TO)
        if read is None:
            faults.append(_no_day(ABSENCE_TO))
        elif first is not None:
            last = read
            faults += _span(first, last)
    if first is not None and today is not None and first > today + MAX_DAYS_AHEAD:
        # nor may one be taken back that nobody can have planned: it would be remembered until that day
        faults.append(Fault(ABSENCE_FROM, f"send a day that is at most {MAX_DAYS_AHEAD} days ahead"))
    if faults or first is None:
        return faults
    return PlannedAbsence(first, last, scope == SCOPES[0])


def _span(first: int, last: int) -> list[Fault]:
    faults = []
    if last < first:
        faults.append(Fault(ABSENCE_TO, "send a day that is not before that of from"))
    elif last - first >= MAX_ABSENT_DAYS:
        detail = f"an absence has {MAX_ABSENT_DAYS} days at most; plan another one for those after"
        faults.append(Fault(ABSENCE_TO, detail))
    return faults


def _day(properties: Mapping[str, Any], name: str) -> int | None:
    try:
        return read_day(properties.get(name))
    except (TypeError, ValueError, OverflowError):
        return None


def _no_day(name: str) -> Fault:
    return Fault(name, "send a date such as 2027-03-31; both days are part of the absence")


def faults_of(plan: TrackingPlan, event: EventPlan) -> list[Faults]:
    """Return what says whether the state that an event means can be read from its properties."""
    found: list[Faults] = []
    for word in words(event):
        kind, _, rest = word.partition(".")
        if kind == "cases":
            found.append(_of_case(plan.cases[rest.rpartition(".")[0]].id))
        elif kind == "answers":
            found.append(_of_answer(plan.answers[rest].score, plan.answers[rest].scale))
        elif word == PLANNED_ABSENCES:
            found.append(_of_absence)
    return found


def _of_case(name: str) -> Faults:
    def faults(properties: Mapping[str, Any], _has_user: bool, _day: int | None) -> Sequence[Fault]:
        found = case_id(properties, name)
        return (found,) if isinstance(found, Fault) else ()

    return faults


def _of_answer(name: str, scale: tuple[int, int]) -> Faults:
    def faults(properties: Mapping[str, Any], _has_user: bool, _day: int | None) -> Sequence[Fault]:
        found = score(properties, name, scale)
        return (found,) if isinstance(found, Fault) else ()

    return faults


def _of_absence(properties: Mapping[str, Any], has_user: bool, day: int | None) -> Sequence[Fault]:
    found = planned_absence(properties, has_user=has_user, today=day)
    return found if isinstance(found, list) else ()
