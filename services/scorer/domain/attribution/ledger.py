"""
What became of each event that a lane of attribution read: counted in the lane's own state, so the counts are exact.

Every event record is in exactly one of the counts of `received`, or waits. Links and control records are counted beside.
"""

from __future__ import annotations

import msgspec


class AttributionCounters(msgspec.Struct):
    """The counts of one lane since its log began."""

    forwarded_user: int = 0
    """Forwarded to the account that calls of the user have told."""
    forwarded_domain: int = 0
    forwarded_operator: int = 0
    moved: int = 0
    """Forwarded to the lane of the user whom the sender is known as."""
    waiting_identified: int = 0
    """Waiting now."""
    waiting_anonymous: int = 0
    expired_identified: int = 0
    """Waited for long enough, and dead-lettered."""
    expired_anonymous: int = 0
    """Waited for long enough, and left as they are in the log."""
    evicted_identified: int = 0
    """Had to go for newer ones, and dead-lettered."""
    evicted_anonymous: int = 0
    too_many_forwards: int = 0
    """Moved from user to user too often, and dead-lettered."""
    duplicates: int = 0
    non_production: int = 0
    links: int = 0
    links_ignored: int = 0
    """Because something of a higher authority is known, or because they are of another environment."""
    links_moved: int = 0
    """Forwarded to the lane of the user whom theirs is known as."""
    links_lost: int = 0
    """Moved from user to user too often."""
    merges: int = 0
    """Accounts that were told that two of their people are one."""
    users_evicted_anonymous: int = 0
    users_evicted_identified: int = 0
    users_evicted_certain: int = 0
    ticks: int = 0
    clocks: int = 0
    aliases: int = 0
    controls_ignored: int = 0
    steps_refused: int = 0

    @property
    def forwarded(self) -> int:
        """Events that were given an account."""
        return self.forwarded_user + self.forwarded_domain + self.forwarded_operator

    @property
    def waiting(self) -> int:
        """Events that wait now."""
        return self.waiting_identified + self.waiting_anonymous

    @property
    def dead_lettered(self) -> int:
        """Events whose dead letters can be resolved by an operator."""
        return self.expired_identified + self.evicted_identified + self.too_many_forwards

    @property
    def dropped(self) -> int:
        """Events of anonymous visitors that nobody was ever known to be."""
        return self.expired_anonymous + self.evicted_anonymous

    @property
    def received(self) -> int:
        """All event records that were read."""
        return (
            self.forwarded
            + self.moved
            + self.waiting
            + self.dead_lettered
            + self.dropped
            + self.duplicates
            + self.non_production
        )
