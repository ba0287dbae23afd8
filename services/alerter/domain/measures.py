"""
The named values that rules may use: what a snapshot of account health carries, and what the alerter knows itself.

A value that is not known (no seats on record, too little history for a score) is not there. A condition on an unknown
value never holds, so that what is missing can neither fire nor clear a signal by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.measures import named

Measures = dict[str, float]
"""Name, as in `schemas/measures`, to value."""

OPEN_MEASURES = frozenset({"open_risks", "open_critical"})
"""Not of the snapshot: what the account's other rules say. Rules that use them are judged after the others."""

_JUDGED = frozenset({"RED", "YELLOW", "GREEN"})


def measures_of(snapshot: Mapping[str, Any]) -> Measures:
    """Return every measure of one snapshot (a decoded AccountHealth) but OPEN_MEASURES."""
    values = named(snapshot["measures"])
    if snapshot["band"] in _JUDGED:
        values["score"] = snapshot["score_tenths"] / 10
    return values
