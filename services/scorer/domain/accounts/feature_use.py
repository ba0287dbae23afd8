"""
Who used which feature last: two bytes a person and feature, made only where the tracking plan declares features.

It follows the order of the people of one account (active_users.py): in `days` that of the people known, in `today` that
of the bits of today.
"""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

from services.scorer.domain.accounts.bits import drop, pack, unpack

NEVER_USED = 0
LAST_DAY = 0xFFFF
"""A day that is counted in two bytes; that is one in the year 2149."""


class FeatureUse:
    """The last day on which each person of one account used each feature."""

    __slots__ = ("days", "today")

    def __init__(self, features: int) -> None:
        """Start with no use of so many features."""
        self.days: list[array[int] | None] = [None] * features
        """By place, days since 1970 UTC of each known person; `NEVER_USED`: none within memory."""
        self.today: list[int] = [0] * features
        """By place, a bit per person."""

    def mark(self, feature: int, index: int) -> None:
        """Note that the person of a bit uses a feature today."""
        self.today[feature] |= 1 << index

    def mark_past(self, feature: int, index: int, people: int, day: int) -> None:
        """Note that the known person at an index, one of so many, used a feature on a closed day."""
        days = self._days(feature, people)
        days[index] = max(days[index], min(day, LAST_DAY))

    def close(self, people: int, day: int) -> None:
        """Make the use of today that of `day`; all people are known."""
        for feature, mask in enumerate(self.today):
            if mask:
                days = np.frombuffer(self._days(feature, people), np.uint16)
                days[unpack(mask, people) > 0] = min(day, LAST_DAY)
                self.today[feature] = 0

    def reorder(self, order: npt.NDArray[np.intp]) -> None:
        """Follow people that are sorted: `order` names the former position of each, new people behind the known."""
        for feature, days in enumerate(self.days):
            self.today[feature] = pack(unpack(self.today[feature], len(order))[order])
            if days is not None:
                longer = np.zeros(len(order), np.uint16)
                longer[: len(days)] = days
                self.days[feature] = array("H", longer[order].tobytes())

    def insert(self, index: int, people: int) -> None:
        """Follow one person more among so many."""
        for feature, days in enumerate(self.days):
            self.today[feature] = pack(np.insert(unpack(self.today[feature], people), index, 0))
            if days is not None:
                days.insert(index, NEVER_USED)

    def merge(self, index: int, into: int) -> None:
        """Follow two people who are one: the first goes."""
        for feature, mask in enumerate(self.today):
            self.today[feature] = drop(mask | (mask >> index & 1) << into, index)
        for days in self.days:
            if days is not None:
                days[into] = max(days[into], days[index])
                days.pop(index)

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Follow people that are forgotten, after today's use is closed."""
        for feature, days in enumerate(self.days):
            if days is not None:
                self.days[feature] = array("H", np.frombuffer(days, np.uint16)[kept].tobytes())

    def _days(self, feature: int, people: int) -> array[int]:
        days = self.days[feature]
        if days is None:
            days = self.days[feature] = array("H", bytes(2 * people))
        return days
