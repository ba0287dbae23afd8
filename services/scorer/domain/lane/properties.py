"""What an event says beside its name: the traits of a group or a person, the id of a case, the score of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from services.scorer.domain.accounts.absences import MAX_AHEAD, MAX_DAYS, WITHDRAWN
from services.scorer.domain.accounts.kinds import Scale
from services.scorer.domain.lane.meanings import Meaning
from services.shared.tracking_plan.dates import read_day
from services.shared.tracking_plan.state_names import (
    ABSENCE_FROM,
    ABSENCE_SCOPE,
    ABSENCE_TO,
    ABSENCE_WITHDRAWN,
    SCOPES,
)

_MAX_CASE_ID = 128
_MAX_SCORE_TEXT = 20
"""Blanks included; int() of endless digits is slow, then refused."""
_json = msgspec.json.Decoder().decode


class Wrong(NamedTuple):
    """Why an event cannot be applied, as its dead letter says it."""

    reason: str
    field: str
    detail: str


def properties_of(event: Mapping[str, Any]) -> Mapping[str, Any] | Wrong:
    """Return the properties or traits of an event."""
    try:
        properties = _json(event["properties"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Wrong("bad_properties", "properties", f"not JSON: {error}")
    if not isinstance(properties, dict):
        return Wrong("bad_properties", "properties", "send a JSON object")
    return properties


def case_id(properties: Mapping[str, Any], meaning: Meaning) -> str | Wrong:
    """Return the id of the case that an event opens or closes."""
    case = properties.get(meaning.field)
    if isinstance(case, bool) or not isinstance(case, (str, int)) or case == "" or len(str(case)) > _MAX_CASE_ID:
        detail = f"send the id of what opens or closes, text of 1 to {_MAX_CASE_ID} characters or a whole number"
        return Wrong("bad_case", f"properties.{meaning.field}", detail)
    return str(case)


class PlannedAbsence(NamedTuple):
    """An absence as an event says it. Days are days since 1970 UTC."""

    first_day: int
    last_day: int
    """WITHDRAWN: it was taken back."""
    of_account: bool
    """Of the whole account, else of the event's person."""


def absence_of(properties: Mapping[str, Any], user: str, today: int) -> PlannedAbsence | Wrong:
    """Return the absence that an event plans; `today` is the lane's day."""
    scope = properties.get(ABSENCE_SCOPE)
    if scope not in SCOPES:
        return _bad_absence(ABSENCE_SCOPE, "send account where all are away, or person where the event's user is")
    if scope == SCOPES[1] and not user:
        return _bad_absence(ABSENCE_SCOPE, "an absence of a person needs a user: send userId")
    days = []
    withdrawn = properties.get(ABSENCE_WITHDRAWN) is True
    for name in (ABSENCE_FROM,) if withdrawn else (ABSENCE_FROM, ABSENCE_TO):
        try:
            days.append(read_day(properties.get(name)))
        except (TypeError, ValueError, OverflowError):
            return _bad_absence(name, "send a date such as 2027-03-31; both days are part of the absence")
    if withdrawn:
        return PlannedAbsence(days[0], WITHDRAWN, scope == SCOPES[0])
    first, last = days
    if last < first:
        return _bad_absence(ABSENCE_TO, "send a day that is not before that of from")
    if last - first >= MAX_DAYS:
        return _bad_absence(ABSENCE_TO, f"an absence has {MAX_DAYS} days at most; plan another one for those after")
    if first > today + MAX_AHEAD:
        return _bad_absence(ABSENCE_FROM, f"send a day that is at most {MAX_AHEAD} days ahead")
    return PlannedAbsence(first, last, scope == SCOPES[0])


def _bad_absence(name: str, detail: str) -> Wrong:
    return Wrong("bad_absence", f"properties.{name}", detail)


def score_of(properties: Mapping[str, Any], meaning: Meaning, scale: Scale) -> int | Wrong:
    """Return the score of an answer."""
    low, high = scale
    score = properties.get(meaning.field)
    if isinstance(score, str) and score.strip().isdecimal():  # not isdigit: int() takes no superscript two
        score = int(score) if len(score) <= _MAX_SCORE_TEXT else -1
    if (
        isinstance(score, bool)
        or not isinstance(score, (int, float))
        or score != int(score)
        or not low <= score <= high
    ):
        detail = f"send a whole number from {low} to {high}"
        return Wrong("bad_score", f"properties.{meaning.field}", detail)
    return int(score)
