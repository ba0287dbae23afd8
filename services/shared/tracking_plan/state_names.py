"""
The names of state that hold whatever the plan says: what every account has, and what measures and health records name.

Events mean them as kind and name (`counts.value`); the scorer keeps them under the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

FactType = Literal["text", "number", "whole_number", "date", "country"]
"""A date is kept as its day since 1970 UTC, a country as its ISO 3166 code."""

WELL_KNOWN: Mapping[str, FactType] = {
    "name": "text",
    "owner": "text",
    "revenue": "number",
    "seats": "whole_number",
    "plan": "text",
    "contract_start_day": "date",
    "renewal_day": "date",
    "parent": "text",
}
"""Facts that health records name, with the only type that a plan may give them."""

TYPE_OF_FACT: Mapping[str, FactType] = {**WELL_KNOWN, "country": "country", "go_live_day": "date"}
"""Facts that measures are taken from, with the only type that a plan may give them."""

PLANNED_ABSENCES = "absences.planned"
"""What an event means which says that an account or a person will be away."""
ABSENCE_FROM, ABSENCE_TO, ABSENCE_SCOPE, ABSENCE_WITHDRAWN = "from", "to", "scope", "withdrawn"
"""The properties of such an event."""
ABSENCE_PROPERTIES = (ABSENCE_FROM, ABSENCE_TO, ABSENCE_SCOPE, ABSENCE_WITHDRAWN)
SCOPES = ("account", "person")

COUNTS_OF_ALL = ("events", "active")
"""The daily counts that every account has: activity events and active users."""
FIRST_ACTIVITY = "first_activity"
"""The milestone that every account has."""
LAST_ACTIVITY = "last_activity"
"""Stands beside the milestones in a health record, so no milestone has this name."""
ABSENT_FROM, ABSENT_UNTIL = "absent_from", "absent_until"
"""The same: first and last day of the planned absence that the whole account is in."""
OTHER = "other"
"""The role of people whose role is none of the declared ones."""


def opened(sort: str) -> str:
    """Return the daily count of the openings of a sort of cases."""
    return f"{sort}_opened"


def closed(sort: str) -> str:
    """Return the daily count of the closings of a sort of cases."""
    return f"{sort}_closed"
