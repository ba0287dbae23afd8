"""What comes of an event that breaks the tracking plan, by the mode of its write key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from services.ingest.errors import Code
from services.shared.errors import Rejected
from services.shared.tracking_plan.event_check import Beside, Violation
from services.shared.tracking_plan.traffic import TrafficPlan

PlanMode = Literal["reject", "observe", "off"]

_TOLD = 5
"""The most violations that the detail of a refused event names."""


def checked(
    plan: TrafficPlan, mode: PlanMode, kind: str, name: str, properties: Mapping[str, Any], beside: Beside
) -> list[Violation] | None:
    """
    Return what breaks the plan in an event that is taken nonetheless, None if nothing does.

    What the plan takes from servers alone is refused of a browser in every mode: its key can be read by anybody.

    Args:
        plan: What events are compared with.
        mode: That of the write key.
        kind: As the event record has it.
        name: Of the event or page.
        properties: Decoded.
        beside: What else is known of the event.

    Raises:
        Rejected: with the first violation as code and field, and all of them in its detail, where the mode is `reject`
            or only a server may send the event.
    """
    if beside.from_browser and (held := plan.server_only(kind, name, properties)):
        raise Rejected(Code(held.code), held.field, held.detail)
    if mode == "off":
        return None
    found = plan.violations(kind, name, properties, beside)
    if not found:
        return None
    if mode == "observe":
        return found
    first, *others = found
    told = [first.detail, *(f"{each.field}: {each.detail}" for each in others[: _TOLD - 1])]
    if len(found) > _TOLD:
        told.append(f"and {len(found) - _TOLD} more")
    raise Rejected(Code(first.code), first.field, "; ".join(told))
