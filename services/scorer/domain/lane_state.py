"""The state of one lane: its accounts and what they share, what of it changed, and how it comes back."""

from __future__ import annotations

from collections.abc import Iterator

from services.scorer.domain.account import Account
from services.scorer.domain.clock import LaneClock
from services.scorer.domain.duplicates import DuplicateWindow
from services.scorer.domain.fleet import FleetTally, FleetYear
from services.scorer.domain.ledger import LEDGER_KEY, LedgerCounters, encode_counters, read_counters
from services.scorer.domain.outcome import Outcome
from services.scorer.domain.parked import Parked
from services.scorer.domain.snapshot import Surroundings
from services.scorer.domain.state_format import (
    CLOCK_KEY,
    COLD,
    FLEET_KEY,
    FORMAT_BYTE,
    HOT,
    PARKED,
    body_of,
    decode_clock,
    decode_cold,
    decode_fleet,
    decode_hot,
    encode_clock,
    encode_cold,
    encode_fleet,
    encode_hot,
)

RESTORED_AT_ONCE = 500
"""Accounts between two steps of the end of a restore."""


class LaneState:
    """Everything that the records of one lane have led to. The fold moves it; this keeps track of what moved."""

    def __init__(self, duplicate_ids: int) -> None:
        """Start empty; the duplicate window holds at most `duplicate_ids` identities."""
        self.accounts: dict[str, Account] = {}
        self.clock = LaneClock()
        self.ids = DuplicateWindow(duplicate_ids)
        self.fleet = FleetYear()
        self.own_connected: frozenset[str] = frozenset()
        self.tally = FleetTally()
        self.ledger = LedgerCounters()
        self.parked = Parked()
        self.queue: set[str] = set()
        """Accounts to be evaluated on the next tick."""
        self.outcomes: list[Outcome] = []
        self.hot: set[str] = set()
        self.cold: set[str] = set()
        self.moved = False
        """Clock or ledger changed."""
        self.fleet_moved = False
        self.around: Surroundings | None = None
        """Cached; dropped whenever something in it moves."""
        self._order: list[str] | None = None
        self._hot_records: dict[str, bytes] = {}
        self._parked_records: dict[int, bytes] = {}
        self._ids_stood: tuple[int, tuple[int, int], int] = (0, (0, 0), 0)

    @property
    def order(self) -> list[str]:
        """Return the accounts' names in sorted order: dict order differs after a recovery."""
        if self._order is None or len(self._order) != len(self.accounts):
            self._order = sorted(self.accounts)
        return self._order

    @property
    def connected(self) -> frozenset[str]:
        """Return the dimensions for which this lane or the fleet has ever received data."""
        return self.own_connected | self.fleet.connected

    def connect(self, dimension: str) -> None:
        """Note that there is data for a dimension."""
        if dimension not in self.own_connected:
            self.own_connected |= {dimension}
            self.fleet_moved = True
            self.around = None

    def take_changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Return and forget the state records that changed, in a fixed order."""
        for name in sorted(self.cold):
            self.hot.add(name)  # today's bits in the hot record go by the order of people in the cold one
            yield COLD + name.encode(), encode_cold(self.accounts[name])
        for name in sorted(self.hot):
            yield HOT + name.encode(), encode_hot(self.accounts[name])
        for number, packed in self.parked.take_changes():
            yield PARKED + number.to_bytes(8, "big"), packed if packed is None else FORMAT_BYTE + packed
        if self.moved:
            self.ledger.parked = len(self.parked)
            yield CLOCK_KEY, encode_clock(self.clock, self.tally, self.ids, self.parked)
            yield LEDGER_KEY, encode_counters(self.ledger)
        if self.fleet_moved:
            yield FLEET_KEY, encode_fleet(self.fleet, sorted(self.own_connected))
        self.cold, self.hot = set(), set()
        self.moved = self.fleet_moved = False

    def restore(self, key: bytes, value: bytes) -> None:
        """
        Take back one state record, in any order.

        Raises:
            IncompatibleState: it was written in a newer format.
        """
        if key.startswith(COLD):
            decode_cold(self._account(key[len(COLD) :].decode()), value)
        elif key.startswith(HOT):
            self._hot_records[key[len(HOT) :].decode()] = value
        elif key.startswith(PARKED):
            self._parked_records[int.from_bytes(key[len(PARKED) :], "big")] = body_of(value)
        elif key == CLOCK_KEY:
            self.clock, self.tally, self._ids_stood = decode_clock(value, self.parked)
        elif key == FLEET_KEY:
            self.fleet, self.own_connected = decode_fleet(value)
        else:
            counters = read_counters(key, value)
            if counters is not None:
                self.ledger = counters

    def restored(self) -> None:
        """Finish after the last record of both stores."""
        for _ in self.restoring():
            pass

    def restoring(self) -> Iterator[None]:
        """Do the same in steps that each take a few milliseconds."""
        for n, (name, value) in enumerate(self._hot_records.items()):
            if n % RESTORED_AT_ONCE == RESTORED_AT_ONCE - 1:
                yield
            account = self._account(name)
            decode_hot(account, value)
            if account.queued:
                self.queue.add(name)
        self._hot_records = {}
        for number, packed in sorted(self._parked_records.items()):
            self.parked.load(number, packed)
        self._parked_records = {}
        yield from self.ids.loading(*self._ids_stood)

    def _account(self, name: str) -> Account:
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = Account(name, self.clock.today)
        return account
