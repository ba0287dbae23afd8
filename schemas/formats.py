"""
The number of every durable format at each level: what a release writes, and what it reads.

A level is a step that a whole installation takes. Level n names, for each record and each kind of state, the version
that is written at level n. A release reads every version of every level that it knows, and by default writes the level
before its newest, which is the newest of the release before it. So two neighbouring releases always read each other,
whatever the order of an upgrade, and one step back is always possible. TIDEMARK_WRITE_FORMATS chooses another level
(docs/upgrading.md).

A release adds one level at most. A level that was released never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LEVELS: tuple[Mapping[str, int], ...] = (
    {
        # records, as versions of their schemas
        "usage_event": 1, "event_details": 1, "erasure": 1, "user_link": 1, "account_aliases": 1, "tick": 1, "clock": 1, "command": 1,
        "fleet": 1, "fleet_partial": 1, "account_health": 1, "account_forgotten": 1, "signal": 1, "dead_letter": 1, "replayed": 1,
        "backfill_progress": 1, "installation": 1,
        # state
        "lane_position": 1, "scorer_state": 1, "scorer_ledger": 1, "scorer_ids": 1, "fleet_state": 1, "attribution_state": 1, "alerter_state": 2,
    },
    # accepted_by: whose clock an event's time is; the state keeps who moved log time last
    {"usage_event": 2, "scorer_state": 2},
)  # fmt: skip
"""What each level writes anew; all else is as at the level before."""

KNOWN = LEVELS
"""The levels of this release."""

NEWEST = len(KNOWN)
DEFAULT = max(1, NEWEST - 1)
"""The level that is written unless told otherwise: the newest that the release before this one reads."""


def at(level: int) -> Mapping[str, int]:
    """
    Return the number of each format that is written at a level.

    Raises:
        ValueError: this release does not know that level.
    """
    if not 1 <= level <= NEWEST:
        raise ValueError(f"there is no level {level}: this release knows 1 to {NEWEST}")
    merged: dict[str, int] = {}
    for more in KNOWN[:level]:
        merged |= more
    return MappingProxyType(merged)
