"""
What became of each event that a lane read: counted in the lane's own state, so the counts are exact.

Every usage-event record is in exactly one of `applied`, `duplicates`, `too_late`, `non_production`, `dead_lettered` and
`deferred`; the other counts go beside these. Records that are no event at all (undecodable) are the engine's.
"""

from __future__ import annotations

import msgspec


class LedgerCounters(msgspec.Struct):
    """The counts of one lane since its log began."""

    applied: int = 0
    duplicates: int = 0
    too_late: int = 0
    """Happened more than 238 days before log time, or before what the lane remembers; dead-lettered."""
    non_production: int = 0
    dead_lettered: int = 0
    """For any other reason than being too late."""
    deferred: int = 0
    """Live events that came while a driver moved this lane's clock; whoever ends the drive sends them again."""
    late_applied: int = 0
    """Of the applied: counted for a day that was closed already."""
    ahead: int = 0
    """Of the applied: claimed to have happened on a later day than their own record."""
    over_cap: int = 0
    """Of the dead-lettered: would have made one account too many."""
    fields_rejected: int = 0
    """Traits and planned absences of applied events that were left out; each is on the dead letters."""
    people_dropped: int = 0
    """Events whose person, or whose person's role, was left out because the account has too many."""
    cases_dropped: int = 0
    """Openings and closings of a case that was left out because the account has too many open ones."""
    answers_dropped: int = 0
    """Answers that were forgotten before their time because more people answered a survey than are kept."""
    ticks: int = 0
    clocks: int = 0
    fleets: int = 0
    controls_ignored: int = 0
    steps_refused: int = 0
    """Records whose time lies more than seven days ahead, and that did not move log time."""
    days_overtaken: int = 0
    """Days that were not evaluated, because the next one ended before their factor or the end of the grace came."""
    links_deferred: int = 0
    """Live links of people that came while a driver moved this lane's clock; they are sent again like events."""
    people_merged: int = 0
    """People of accounts who turned out to be another person of the same account."""
    forgotten: int = 0
    """Accounts that are remembered no more."""
    quarantined: int = 0
    """How often an account was quarantined."""
    snapshots: int = 0
    evaluations: int = 0

    @property
    def received(self) -> int:
        """All usage-event records that were read."""
        return self.applied + self.duplicates + self.too_late + self.non_production + self.dead_lettered + self.deferred
