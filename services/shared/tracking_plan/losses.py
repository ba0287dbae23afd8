"""Losses that people record: the event of the default tracking plan, and what it says."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

import msgspec

from services.shared.tracking_plan.dates import read_day
from services.shared.tracking_plan.values import MAX_RECORD_TEXT
from services.shared.units import day_number

LOSS = "Account Lost"
"""The event."""
EARLIEST = date(1990, 1, 1)
"""A loss of before is a wrong year."""
_EARLIEST_DAY = day_number(EARLIEST)


class RecordedLoss(NamedTuple):
    """When an account was lost, or will be, and why; the reason is cut at MAX_RECORD_TEXT."""

    day: int
    """Days since 1970 UTC."""
    reason: str


def loss_of(properties: str) -> RecordedLoss | None:
    """Return what the properties of such an event say, a JSON text; None where they name no day since EARLIEST."""
    try:
        said = msgspec.json.decode(properties, type=dict[str, Any])
        day = read_day(said.get("date"))
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError):
        return None
    return RecordedLoss(day, str(said.get("reason") or "")[:MAX_RECORD_TEXT]) if day >= _EARLIEST_DAY else None
