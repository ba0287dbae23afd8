"""What an event says beside its name: the traits of a group or a person, the id of a case, the score of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from services.scorer.domain.accounts.kinds import Scale
from services.scorer.domain.lane.meanings import Meaning

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
