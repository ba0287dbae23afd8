"""Contacts with customers that people record: the event of the default tracking plan, and what it says."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from services.shared.tracking_plan.values import MAX_RECORD_TEXT

CONTACT = "Customer Contacted"
"""The event."""


class RecordedContact(NamedTuple):
    """How somebody was in touch with a customer, and who; empty where the event does not say it, and cut at MAX_RECORD_TEXT."""

    channel: str
    author: str


def contact_of(properties: str) -> RecordedContact:
    """Return what the properties of such an event say, a JSON text."""
    try:
        said = msgspec.json.decode(properties, type=dict[str, Any])
    except msgspec.MsgspecError:
        said = {}
    return RecordedContact(*(str(said.get(name) or "")[:MAX_RECORD_TEXT] for name in RecordedContact._fields))
