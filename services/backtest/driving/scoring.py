"""
The scorer's folds over a history, without a log between them: events in, snapshots and active user-days out.

Lanes and their fleet, in the order in which a backfill of many years does things: the events of a day, midnight, the
fleet's factor of the day. So accounts are judged once a day. Each fold is the one that production runs; what is left out is what lies between
them, the encoding of records and of state. tests/integration/backtest/test_same_as_the_engine.py holds both against
each other.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.backfill.plan import Send, Tick, steps
from services.backtest.domain.history import Event, Fact, History
from services.backtest.driving.snapshots import SHARDS, Snapshots, shard_of
from services.scorer.domain.health.model import Model
from services.scorer.domain.lane.meanings import PLAIN
from services.scorer.domain.lane.outcome import Forgotten, Partial, Rejection, Snapshot
from services.scorer.domain.lane.usage_fold import UsageFold
from services.shared.errors import TidemarkError
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.units import DAY_MS

EPOCH = 1
LANES = 2
"""Always as many, so that the number of processes changes nothing. A divisor of SHARDS."""
DUPLICATE_IDS = 1_000_000
NO_ACCOUNT = "they name no account; `tidemark backfill` finds it from group calls, then test on what the log holds"
"""Why events are not counted that only attribution could place."""
_PAGES = frozenset({"PAGE", "SCREEN"})
_json = msgspec.json.Encoder().encode

Decide = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]
"""Takes the partials of a day of the lanes that are walked here, and returns the fleet's decision of that day."""


class EmptyHistoryError(TidemarkError):
    """A history without any event."""


class Span(NamedTuple):
    """The days of a history, days since 1970 UTC."""

    first_day: int
    end_day: int
    """The first day that is not known any more."""


class Scored(NamedTuple):
    """What a history came to, beside its snapshots."""

    span: Span
    accounts: list[str]
    activity: NDArray[np.uint16]
    """Active user-days, by account and day from the first."""
    rejected: dict[str, int]
    """Events that the scorer could not apply, by reason."""
    events: int


class Walked(NamedTuple):
    """What some lanes came to."""

    rows: dict[str, NDArray[np.uint16]]
    """Active user-days of their accounts."""
    shards: list[list[bytes]]
    rejected: Counter[str]
    events: int


def lane_of(account: str) -> int:
    """Return the lane of an account."""
    return shard_of(account) % LANES


class _Activity:
    """Counts active user-days: of each person of an account one a day, for events that are use of the product."""

    def __init__(self, span: Span, fold: UsageFold) -> None:
        self._span = span
        self._meanings = fold.meanings
        self.rows: dict[str, NDArray[np.uint16]] = {}
        self._today = -1
        self._seen: set[tuple[str, str]] = set()

    def add(self, event: Event) -> None:
        """Count one event; events come in time order."""
        row = self.rows.get(event.account)
        if row is None:
            days = self._span.end_day - self._span.first_day
            row = self.rows[event.account] = np.zeros(days, np.uint16)
        if not event.user or not self._is_use(event):
            return
        day = event.at_ms // DAY_MS
        if day != self._today:
            self._today, self._seen = day, set()
        person = (event.account, event.user)
        if person not in self._seen:
            self._seen.add(person)
            row[day - self._span.first_day] += 1

    def _is_use(self, event: Event) -> bool:
        if event.kind == "TRACK":
            return PLAIN <= self._meanings.number(event.name) <= self._meanings.last_use
        return event.kind in _PAGES and PLAIN <= self._meanings.page_number(event.name) <= self._meanings.last_use


def span_of(history: History) -> Span:
    """
    Return the days of a history.

    Raises:
        EmptyHistoryError: it has no events.
    """
    first = last = -1
    for event in history.read():
        first = event.at_ms if first < 0 else first
        last = event.at_ms
    if first < 0:
        raise EmptyHistoryError(f"{history.name} has no events")
    return Span(first // DAY_MS, history.until_day or last // DAY_MS + 1)


def walk(
    history: History,
    span: Span,
    lanes: Sequence[int],
    scoring: tuple[TrackingPlan, Model],
    decide: Decide,
    progress: Callable[[int], None],
) -> Walked:
    """
    Drive some lanes of a history to its end.

    Args:
        history: What happened; the events of other lanes are passed over.
        span: Its days.
        lanes: Their numbers.
        scoring: What the events mean, and how they become a score.
        decide: Is asked once a day.
        progress: Is told the number of events so far, those of all lanes.

    Raises:
        KeyFault: the day of an account cannot be closed, which is a defect.
    """
    plan, model = scoring
    start_ms, until_ms = span.first_day * DAY_MS, span.end_day * DAY_MS
    snapshots = Snapshots()
    folds = {lane: _Lane(UsageFold(lane, LANES, plan, model, DUPLICATE_IDS), span, snapshots) for lane in lanes}
    for lane in folds.values():
        lane.begin(start_ms)
    count = nameless = 0
    places: dict[str, _Lane | None] = {"": None}
    for step in steps(_with_facts(history, start_ms), start_ms, until_ms, DAY_MS):
        if isinstance(step, Send):
            nameless += sum(not event.account for event in step.calls)
            for event in step.calls:
                count += 1
                account = event.account
                if account not in places:
                    places[account] = folds.get(lane_of(account))
                if (place := places[account]) is not None:
                    place.event(event, count)
            progress(count)
        elif isinstance(step, Tick):
            for lane in folds.values():
                lane.tick(step.at_ms)
            partials = [partial for lane in folds.values() for partial in lane.partials()]
            if partials:
                decision = decide(partials)
                for lane in folds.values():
                    lane.fleet(decision)
    snapshots.seal()
    rows = {account: row for lane in folds.values() for account, row in lane.activity.rows.items()}
    rejected = sum((lane.rejected for lane in folds.values()), Counter[str]())
    if nameless and 0 in folds:  # told once, by whoever walks the first lane
        rejected[NO_ACCOUNT] += nameless
    return Walked(rows, snapshots.shards, rejected, count)


def together(span: Span, parts: Sequence[Walked]) -> tuple[Scored, Snapshots]:
    """Put lanes together that were walked apart."""
    rows = {account: row for part in parts for account, row in part.rows.items()}
    accounts = sorted(rows)
    activity = np.zeros((len(accounts), span.end_day - span.first_day), np.uint16)
    for place, account in enumerate(accounts):
        activity[place] = rows[account]
    rejected = dict(sum((part.rejected for part in parts), Counter[str]()))
    shards = [[frame for part in parts for frame in part.shards[shard]] for shard in range(SHARDS)]
    return Scored(span, accounts, activity, rejected, parts[0].events), Snapshots(shards)


def _with_facts(history: History, start_ms: int) -> Iterable[Event]:
    if not history.facts:
        return history.read()
    groups = (_group(fact, start_ms) for fact in sorted(history.facts, key=lambda fact: fact.at_ms))
    return heapq.merge(groups, history.read(), key=lambda event: event.at_ms)


def _group(fact: Fact, start_ms: int) -> Event:
    return Event(fact.account, "", max(fact.at_ms, start_ms), "", fact.traits, "GROUP")


class _Lane:
    """One lane of usage-events."""

    def __init__(self, fold: UsageFold, span: Span, snapshots: Snapshots) -> None:
        self._fold = fold
        self._snapshots = snapshots
        self._offset = 0
        self._partials: list[Mapping[str, Any]] = []
        self.activity = _Activity(span, fold)
        self.rejected: Counter[str] = Counter()

    def begin(self, start_ms: int) -> None:
        """Take the lane's clock, as a driver does."""
        self._take(self._fold.clock({"mode": "DRIVEN", "epoch": EPOCH, "at": start_ms}, start_ms, 0, 0))

    def event(self, event: Event, number: int) -> None:
        """Fold one event, which has this number."""
        self.activity.add(event)
        at = event.at_ms
        value = {
            "event_id": event.event_id or str(number),
            "id_source": "CLIENT",
            "source": "backtest",
            "environment": "production",
            "account": event.account,
            "user": event.user,
            "kind": event.kind,
            "name": event.name,
            "occurred_at": at,
            "received_at": at,
            "skew_ms": 0,
            "epoch": EPOCH,
            "historical": True,
            "properties": _json(dict(event.properties)).decode() if event.properties else "{}",
            "identified": True,
            "internal": False,
            "via": "EVENT",
            "forwards": 0,
            "accepted_by": "",
        }
        self._offset += 1
        self._take(self._fold.event(value, at, self._offset, None, 0))

    def tick(self, at_ms: int) -> None:
        """Move the clock; at midnight the day closes."""
        self._offset += 1
        self._take(self._fold.tick({"at": at_ms, "epoch": EPOCH}, at_ms, self._offset, 0))
        for _ in self._fold.state.ids.take_changes():  # what a log would be given
            pass

    def partials(self) -> list[Mapping[str, Any]]:
        """Return and forget what the lane has told the fleet."""
        partials, self._partials = self._partials, []
        return partials

    def fleet(self, decision: Mapping[str, Any]) -> None:
        """Take the fleet's factor of a day: its accounts are evaluated."""
        self._offset += 1
        self._take(self._fold.fleet(decision, 0))

    def _take(self, work: Iterator[None] | None) -> None:
        """Finish what a record began, and pass on what came out."""
        if work is not None:
            for _ in work:
                pass
        state = self._fold.state
        if not state.outcomes:
            return
        outcomes, state.outcomes = state.outcomes, []
        for outcome in outcomes:
            if isinstance(outcome, Snapshot):
                self._snapshots.add(outcome.value)
            elif isinstance(outcome, Partial):
                self._partials.append(outcome.value)
            elif isinstance(outcome, Forgotten):
                self._snapshots.add(outcome.account)
            elif isinstance(outcome, Rejection):
                self.rejected[outcome.reason] += 1
