"""What an event says beside its name: the traits of a group or a person, the id of a case, the score of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from services.scorer.domain.accounts.kinds import Scale
from services.scorer.domain.lane.meanings import Meaning
from services.shared.tracking_plan import state_values
from services.shared.tracking_plan.state_values import Fault, PlannedAbsence

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
    found = state_values.case_id(properties, meaning.field)
    return _wrong("bad_case", found) if isinstance(found, Fault) else found


def absence_of(properties: Mapping[str, Any], user: str, today: int) -> PlannedAbsence | Wrong:
    """Return the absence that an event plans; `today` is the lane's day."""
    found = state_values.planned_absence(properties, has_user=bool(user), today=today)
    return _wrong("bad_absence", found[0]) if isinstance(found, list) else found


def score_of(properties: Mapping[str, Any], meaning: Meaning, scale: Scale) -> int | Wrong:
    """Return the score of an answer."""
    found = state_values.score(properties, meaning.field, scale)
    return _wrong("bad_score", found) if isinstance(found, Fault) else found


def _wrong(reason: str, fault: Fault) -> Wrong:
    return Wrong(reason, f"properties.{fault.name}", fault.detail)
