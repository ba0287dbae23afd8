"""
How much the changed accounts of a lane would take in a transaction, before anything is encoded.

States differ a thousandfold: hundreds of bytes for most accounts, hundreds of kilobytes for one with 20,000 people. So
large records are known by their account, from the restore and from each writing; the rest counts at its mean.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

LARGE = 4 << 10
"""Bytes from which on a record is known by its account."""


class RecordSizes:
    """The sizes of one kind of state record of one lane."""

    def __init__(self) -> None:
        """Know nothing."""
        self._sizes: dict[str, int] = {}
        self._large: set[str] = set()
        self._small = 0
        self._small_bytes = 0

    def note(self, account: str, size: int) -> None:
        """Take the size of an account's record as it was restored or written."""
        if size >= LARGE:
            self._sizes[account] = size
            self._large.add(account)
            return
        if account in self._large:
            self._large.discard(account)
            del self._sizes[account]
        self._small += 1
        self._small_bytes += size

    def of(self, changed: AbstractSet[str]) -> int:
        """Return about how many bytes the records of some accounts take; its cost goes with how many of them are large."""
        large = self._large & changed
        mean = self._small_bytes // self._small if self._small else 0
        return sum(self._sizes[account] for account in large) + mean * (len(changed) - len(large))
