"""
Who was active on which day: one bit per person and day, 256 days.

A person is a number of 64 bits (actors.py), kept in one sorted array; the bits lie beside it in one block of bytes,
32 a person. Agents and integrations are kept like people, behind them in the order of the numbers. No Python object per person exists, so fifty people take two kilobytes. People seen today for the first
time wait apart until the day closes or a late event asks for order. Whoever has no bit left is forgotten.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from services.scorer.domain.accounts.actors import split
from services.scorer.domain.accounts.bits import drop, pack, unpack
from services.scorer.domain.accounts.daily_counts import SPAN
from services.scorer.domain.accounts.feature_use import FeatureUse

MAX_PEOPLE = 10_000
"""Per account, agents and integrations among them. Who comes after that is left out; the ledger counts how often."""
WEEKS = SPAN // 7
"""Whole weeks that the bits reach back."""
_ROW = SPAN // 8


class ActiveUsers:
    """The active people of one account, today's and those of the 256 days up to `through`."""

    __slots__ = ("bits", "features", "known", "new", "through", "today")

    def __init__(self, through: int) -> None:
        """Start with nobody, cleared up to the day `through`."""
        self.through = through
        self.known: array[int] = array("Q")
        self.bits = bytearray()
        self.new: dict[int, int] | None = None
        self.today = 0
        """A bit per person: position in `known`, then order of arrival for the new ones."""
        self.features: FeatureUse | None = None

    def __len__(self) -> int:
        """Return how many people are remembered."""
        return len(self.known) + (len(self.new) if self.new else 0)

    def __contains__(self, person: object) -> bool:
        """Return whether somebody was active on a closed day that is remembered."""
        return isinstance(person, int) and self._known_at(person) is not None

    def mark(self, person: int) -> bool:
        """Note that somebody is active today; return False if the cap leaves them out."""
        known = self.known
        at = bisect_left(known, person)
        if at == len(known) or known[at] != person:
            if self.new is None:
                self.new = {}
            slot = self.new.get(person)
            if slot is None:
                if len(self) >= MAX_PEOPLE:
                    return False
                slot = self.new[person] = len(self)
            at = slot
        self.today |= 1 << at
        return True

    def mark_feature(self, person: int, feature: int, features: int) -> None:
        """Note that somebody who is active today uses one of so many features; whoever the cap leaves out is left out."""
        index = self._known_at(person)
        if index is None:
            index = self.new.get(person) if self.new else None
        if index is not None:
            self.features_of(features).mark(feature, index)

    def mark_past_feature(self, person: int, day: int, feature: int, features: int) -> None:
        """Note the same for a closed day, on which somebody was active."""
        index = self._known_at(person)
        if index is not None:
            self.features_of(features).mark_past(feature, index, len(self.known), day)

    def mark_past(self, person: int, day: int) -> bool | None:
        """Note activity on a closed day; return whether it is news, None if the cap leaves the person out."""
        self.settle()
        at = bisect_left(self.known, person)
        if at == len(self.known) or self.known[at] != person:
            if len(self.known) >= MAX_PEOPLE:
                return None
            self._insert(at, person)
        self.advance(day)
        byte, bit = at * _ROW + ((day & 255) >> 3), 1 << (day & 7)
        if self.bits[byte] & bit:
            return False
        self.bits[byte] |= bit
        return True

    def merge(self, person: int, into: int) -> list[int] | None:
        """
        Make one person of two, known as `into` from now on; return the closed days on which both were active.

        None: the first is nobody's here, and nothing changes.
        """
        if self._known_at(person) is None and (self.new is None or person not in self.new):
            return None
        self.settle()
        to = bisect_left(self.known, into)
        if to == len(self.known) or self.known[to] != into:
            self._insert(to, into)
        at = bisect_left(self.known, person)
        first, second = (int.from_bytes(self.bits[index * _ROW : (index + 1) * _ROW], "little") for index in (at, to))
        self.bits[to * _ROW : (to + 1) * _ROW] = (first | second).to_bytes(_ROW, "little")
        if self.today >> at & 1:
            self.today |= 1 << to
        self.today = drop(self.today, at)
        if self.features is not None:
            self.features.merge(at, to)
        self.known.pop(at)
        del self.bits[at * _ROW : (at + 1) * _ROW]
        both = first & second
        return [day for day in range(self.through - SPAN + 1, self.through + 1) if both >> (day & 255) & 1]

    def close(self, day: int) -> int:
        """Move today's people to the bits of `day`, forget the idle; return how many were active."""
        count = self.today.bit_count()
        self.settle()
        self.advance(day)
        if count:
            active = unpack(self.today, len(self.known))
            self._grid()[:, (day & 255) >> 3] |= active << np.uint8(day & 7)
        self.today = 0
        if self.features is not None:
            self.features.close(len(self.known), day)
        self._forget_idle()
        return count

    def advance(self, day: int) -> None:
        """Clear the bits of the days after `through` up to `day`."""
        gap = day - self.through
        if gap <= 0:
            return
        self.through = day
        if not self.bits:
            return
        keep = np.full(SPAN, 1, np.uint8)
        if gap >= SPAN:
            keep[:] = 0
        else:
            keep[np.arange(day - gap + 1, day + 1) & 255] = 0
        self._grid()[:] &= np.packbits(keep, bitorder="little")

    def settle(self) -> None:
        """Sort those who are new today in among the others, so that the state does not show who came first."""
        if not self.new:
            return
        hashes = np.concatenate((np.frombuffer(self.known, np.uint64), np.fromiter(self.new, np.uint64, len(self.new))))
        order = np.argsort(hashes, kind="stable")
        grid = np.zeros((len(hashes), _ROW), np.uint8)
        grid[: len(self.known)] = self._grid()
        today = unpack(self.today, len(hashes))[order]
        self.known = array("Q", hashes[order].tobytes())
        self.bits = bytearray(grid[order].tobytes())
        self.today = pack(today)
        self.new = None
        if self.features is not None:
            self.features.reorder(order)

    def people(self, end: int) -> npt.NDArray[np.uint8] | None:
        """
        Return 1 for each of the 256 days up to and including `end` on which a person was active: people by days, oldest first.

        People are in the order of `known`; agents and integrations are left out. None: no person is remembered.
        """
        people, _ = split(self.known)
        return self._days(end, slice(0, people)) if people else None

    def others(self, end: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]] | None:
        """
        Return which agents and which integrations were active on each of the 256 days up to `end`, oldest first.

        None: only people were active on these days.
        """
        agents, integrations = split(self.known)
        if agents == len(self.known):
            return None
        days = self._days(end, slice(agents, None))
        if not days.any():  # they are forgotten when a day with activity is closed
            return None
        return days[: integrations - agents], days[integrations - agents :]

    def last_used(self, feature: int) -> npt.NDArray[np.uint16] | None:
        """Return the last closed day on which each of `known` used a feature, 0: none; None: nobody ever did."""
        days = self.features.days[feature] if self.features is not None else None
        return None if days is None else np.frombuffer(days, np.uint16)

    def features_of(self, features: int) -> FeatureUse:
        """Return the use of so many features, to change it."""
        if self.features is None:
            self.features = FeatureUse(features)
        return self.features

    def _days(self, end: int, rows: slice) -> npt.NDArray[np.uint8]:
        """Return for some of `known` 1 for each day, of the 256 up to `end`, on which they were active, oldest first."""
        days = np.unpackbits(self._grid()[rows], axis=1, bitorder="little")
        start = (end + 1) & 255
        ordered = np.concatenate((days[:, start:], days[:, :start]), axis=1)
        ahead = end - self.through
        if ahead > 0:
            ordered[:, max(0, SPAN - ahead) :] = 0
        return ordered

    def _grid(self) -> npt.NDArray[np.uint8]:
        return np.frombuffer(self.bits, np.uint8).reshape(-1, _ROW)

    def _known_at(self, person: int) -> int | None:
        at = bisect_left(self.known, person)
        return at if at < len(self.known) and self.known[at] == person else None

    def _insert(self, at: int, person: int) -> None:
        today = unpack(self.today, len(self.known))
        if self.features is not None:
            self.features.insert(at, len(self.known))
        self.known.insert(at, person)
        self.bits[at * _ROW : at * _ROW] = bytes(_ROW)
        self.today = pack(np.insert(today, at, 0))

    def _forget_idle(self) -> None:
        if not self.bits:
            return
        grid = self._grid()
        alive: npt.NDArray[np.bool_] = np.any(grid, axis=1)
        if alive.all():
            return
        self.known = array("Q", np.frombuffer(self.known, np.uint64)[alive].tobytes())
        self.bits = bytearray(grid[alive].tobytes())
        if self.features is not None:
            self.features.keep(alive)
