"""The state of one lane: its accounts and what they share, what of it changed, and how it comes back."""

from __future__ import annotations

from collections.abc import Iterator

from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.kinds import Kinds
from services.scorer.domain.counters import LEDGER_KEY, decode_counters, encode_counters
from services.scorer.domain.fleet import FleetTally, FleetYear
from services.scorer.domain.health.measuring import dimensions_of
from services.scorer.domain.health.snapshot import EvaluationContext
from services.scorer.domain.lane.account_format import (
    COLD,
    HOT,
    ROLES,
    decode_cold,
    decode_hot,
    decode_roles,
    encode_cold,
    encode_hot,
    encode_roles,
)
from services.scorer.domain.lane.clock import CLOSING, LaneClock
from services.scorer.domain.lane.duplicates import DuplicateWindow
from services.scorer.domain.lane.ledger import LedgerCounters
from services.scorer.domain.lane.outcome import Outcome
from services.scorer.domain.lane.quarantine import QUARANTINE, Quarantine, decode_quarantine, encode_quarantine
from services.scorer.domain.lane.state_format import (
    CLOCK_KEY,
    DEFAULT,
    FLEET_KEY,
    decode_clock,
    decode_fleet,
    encode_clock,
    encode_fleet,
)
from services.scorer.domain.lane.sweep import SweepOrder, slice_of

RESTORED_AT_ONCE = 500
"""Accounts between two steps of the end of a restore."""


class UsageState:
    """Everything that the records of one lane have led to. The fold moves it; this keeps track of what moved."""

    def __init__(self, duplicate_ids: int, kinds: Kinds, written: int = DEFAULT) -> None:
        """Start empty; the duplicate window holds at most `duplicate_ids` identities. `written`: the format of records."""
        self._written = written
        self.kinds = kinds
        """What there is to remember of each account."""
        self._measurable = dimensions_of(kinds.state)
        self.accounts: dict[str, Account] = {}
        self.clock = LaneClock()
        self.ids = DuplicateWindow(duplicate_ids)
        self.fleet = FleetYear()
        self.own_connected: frozenset[str] = frozenset()
        self.tally = FleetTally()
        self.ledger = LedgerCounters()
        self.quarantined: dict[str, Quarantine] = {}
        """Accounts that are not evaluated, because working on them raised; until somebody releases them."""
        self.order = SweepOrder()
        self.queue: set[str] = set()
        """Accounts to be evaluated on the next tick."""
        self.outcomes: list[Outcome] = []
        self.hot: set[str] = set()
        self.cold: set[str] = set()
        self.roles: set[str] = set()
        self.moved = False
        """Clock or ledger changed."""
        self.fleet_moved = False
        self.context: EvaluationContext | None = None
        """Cached; dropped whenever something in it moves."""
        self._forgotten: set[str] = set()
        self._quarantine_moved: set[str] = set()
        self._hot_records: dict[str, bytes] = {}
        self._role_records: dict[str, bytes] = {}
        self._ids_stood: tuple[int, tuple[int, int], int] = (0, (0, 0), 0)

    @property
    def held(self) -> bool:
        """
        Whether touched accounts have to wait, since the fleet's factors of more than one day are missing.

        A scorer that was away closes the days of its absence before it learns their factors, and a holiday judged
        without its factor looks like the end of many accounts.
        """
        pending, fleet = self.clock.pending, self.fleet
        return pending >= 0 and fleet.decided and not (fleet.known(pending) or fleet.known(pending - 1))

    def new_account(self, name: str) -> Account:
        """Make an account that is named for the first time."""
        account = self.accounts[name] = Account(name, self.clock.today, self.kinds)
        self.order.add(name)
        self.cold.add(name)
        return account

    def forget(self, account: Account) -> None:
        """Remember an account no more."""
        name = account.name
        del self.accounts[name]
        self.order.remove(name)
        for names in (self.queue, self.hot, self.cold):
            names.discard(name)
        self._forgotten.add(name)
        if account.roles is not None:
            self.roles.add(name)
        self.ledger.forgotten += 1

    def quarantine(self, account: Account, detail: str, *, frozen: bool = False) -> None:
        """Set an account apart: nobody judges it. Frozen, its day is not closed either, so that it takes no more events."""
        if frozen:
            account.behind = True
            account.touch_closed_day = account.open_day
        frozen_day = account.open_day if frozen else -1
        self.quarantined[account.name] = Quarantine(detail, self.clock.now, frozen_day)
        self._quarantine_moved.add(account.name)
        account.queued = False
        self.queue.discard(account.name)
        self.hot.add(account.name)
        self.ledger.quarantined += 1
        self.moved = True

    def frozen(self, name: str) -> bool:
        """Return whether an account cannot even be closed, so that its events have nowhere to go."""
        found = self.quarantined.get(name)
        return found is not None and found.frozen_day >= 0

    def release(self, account: Account) -> None:
        """Let an account out of its quarantine."""
        del self.quarantined[account.name]
        self._quarantine_moved.add(account.name)

    @property
    def connected(self) -> frozenset[str]:
        """Return the dimensions for which this lane or the fleet has ever received data, as far as the plan has them still."""
        return (self.own_connected | self.fleet.connected) & self._measurable

    def connect(self, dimension: str) -> None:
        """Note that there is data for a dimension."""
        if dimension not in self.own_connected:
            self.own_connected |= {dimension}
            self.fleet_moved = True
            self.context = None

    def take_changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Return and forget the state records that changed, in a fixed order."""
        written = self._written
        for name in sorted(self._forgotten):
            if name not in self.accounts:
                yield HOT + name.encode(), None
                yield COLD + name.encode(), None
        for name in sorted(self.cold):
            self.hot.add(name)  # today's bits in the hot record go by the order of people in the cold one
            yield COLD + name.encode(), encode_cold(self.accounts[name], written)
        for name in sorted(self.hot):
            yield HOT + name.encode(), encode_hot(self.accounts[name], written)
        for name in sorted(self.roles):
            account = self.accounts.get(name)
            roles = account.roles if account else None
            yield ROLES + name.encode(), encode_roles(roles, self.kinds, written) if roles else None
        for name in sorted(self._quarantine_moved):
            found = self.quarantined.get(name)
            yield QUARANTINE + name.encode(), encode_quarantine(found, written) if found else None
        if self.moved:
            yield CLOCK_KEY, encode_clock(self.clock, self.tally, self.ids, written)
            yield LEDGER_KEY, encode_counters(self.ledger)
        if self.fleet_moved:
            yield FLEET_KEY, encode_fleet(self.fleet, sorted(self.own_connected), written)
        self.cold, self.hot, self.roles, self._forgotten, self._quarantine_moved = set(), set(), set(), set(), set()
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
        elif key.startswith(ROLES):
            self._role_records[key[len(ROLES) :].decode()] = value
        elif key.startswith(QUARANTINE):
            self.quarantined[key[len(QUARANTINE) :].decode()] = decode_quarantine(value)
        elif key == CLOCK_KEY:
            self.clock, self.tally, self._ids_stood = decode_clock(value)
        elif key == FLEET_KEY:
            self.fleet, self.own_connected = decode_fleet(value)
        elif key == LEDGER_KEY:
            self.ledger = decode_counters(value, LedgerCounters)

    def restoring(self) -> Iterator[None]:
        """Finish after the last record of both stores, in steps that each take a few milliseconds."""
        clock = self.clock
        done = (slice_of(clock.cursor), clock.cursor) if clock.cursor else (-1, "")
        for n, (name, value) in enumerate(self._hot_records.items()):
            if n % RESTORED_AT_ONCE == RESTORED_AT_ONCE - 1:
                yield
            account = self._account(name)
            decode_hot(account, value)
            if account.queued:
                self.queue.add(name)
            if account.behind:
                account.open_day = account.touch_closed_day
                continue
            # a sweep writes only the accounts that it changes: its cursor says how far the others are closed
            closed = clock.phase != CLOSING or account.touch_closed_day == clock.today or (slice_of(name), name) <= done
            account.open_day = clock.today if closed else clock.today - 1
        self._hot_records = {}
        for name, value in self._role_records.items():
            if name in self.accounts and self.kinds.roles:
                self.accounts[name].roles = decode_roles(value, self.kinds)
            else:  # the plan declares no roles any more
                self.roles.add(name)
        self._role_records = {}
        yield from self.ids.loading(*self._ids_stood)

    def _account(self, name: str) -> Account:
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = Account(name, self.clock.today, self.kinds)
            self.order.add(name)
        return account
