"""Losses that people record: the event of the default tracking plan, and what it says."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

import msgspec

LOSS = "Account Lost"
"""The event."""
_EPOCH = date(1970, 1, 1)


class RecordedLoss(NamedTuple):
    """When an account was lost, or will be, and why."""

    day: int
    """Days since 1970 UTC."""
    reason: str


def loss_of(properties: str) -> RecordedLoss | None:
    """Return what the properties of such an event say, a JSON text; None where they name no day."""
    try:
        said = msgspec.json.decode(properties, type=dict[str, Any])
        day = date.fromisoformat(str(said.get("date"))[:10])
    except (msgspec.MsgspecError, ValueError):
        return None
    return RecordedLoss((day - _EPOCH).days, str(said.get("reason") or ""))
