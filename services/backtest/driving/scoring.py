"""
The scorer's folds over a history, without a log between them: events in, snapshots and active user-days out.

One lane and its fleet, in the order in which a driven backfill does things: a tick after each interval that had events,
midnight, the fleet's factor of the day. Each fold is the one that production runs; what is left out is what lies between
them, the encoding of records and of state. tests/integration/backtest/test_same_as_the_engine.py holds both against
each other.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.backfill.plan import Send, Tick, steps, tick_hours_for
from services.backtest.domain.history import Event, History
from services.scorer.domain.fleet import decide
from services.scorer.domain.health.model import Model
from services.scorer.domain.lane.meanings import PLAIN
from services.scorer.domain.lane.outcome import Forgotten, Partial, Rejection, Snapshot
from services.scorer.domain.lane.usage_fold import UsageFold
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.units import DAY_MS, HOUR_MS

EPOCH = 1
DUPLICATE_IDS = 1_000_000
_PAGES = frozenset({"PAGE", "SCREEN"})
_json = msgspec.json.Encoder().encode

Said = Callable[[dict[str, Any] | str], None]
"""Is given each snapshot, or the id of an account that the scorer has forgotten, in the order of the log."""


class EmptyHistoryError(ValueError):
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


class _Activity:
    """Counts active user-days: of each person of an account one a day, for events that are use of the product."""

    def __init__(self, span: Span, fold: UsageFold) -> None:
        self._span = span
        self._meanings = fold.meanings
        self._rows: dict[str, NDArray[np.uint16]] = {}
        self._today = -1
        self._seen: set[tuple[str, str]] = set()

    def add(self, event: Event) -> None:
        """Count one event; events come in time order."""
        row = self._rows.get(event.account)
        if row is None:
            days = self._span.end_day - self._span.first_day
            row = self._rows[event.account] = np.zeros(days, np.uint16)
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
            return self._meanings.number(event.name) >= PLAIN
        return event.kind in _PAGES and self._meanings.page_number(event.name) >= PLAIN

    def result(self) -> tuple[list[str], NDArray[np.uint16]]:
        """Return the accounts in order of name, and their rows."""
        accounts = sorted(self._rows)
        if not accounts:
            return [], np.zeros((0, self._span.end_day - self._span.first_day), np.uint16)
        return accounts, np.stack([self._rows[account] for account in accounts])


def score(
    history: History, plan: TrackingPlan, model: Model, said: Said, progress: Callable[[int], None] | None = None
) -> Scored:
    """
    Drive a history through the scorer.

    Args:
        history: What happened.
        plan: What its events mean.
        model: How they become a score.
        said: Is given what comes out.
        progress: Is told the number of events so far, after each day that had any.

    Raises:
        EmptyHistoryError: the history has no events.
        KeyFault: the day of an account cannot be closed, which is a defect.
    """
    span = span_of(history)
    start_ms, until_ms = span.first_day * DAY_MS, span.end_day * DAY_MS
    tick_ms = tick_hours_for(start_ms, until_ms) * HOUR_MS
    fold = UsageFold(0, 1, plan, model, DUPLICATE_IDS)
    activity = _Activity(span, fold)
    lane = _Lane(fold, said)
    lane.take(fold.clock({"mode": "DRIVEN", "epoch": EPOCH, "at": start_ms}, start_ms, 0, 0))
    count = 0
    for step in steps(_with_facts(history, start_ms), start_ms, until_ms, tick_ms):
        if isinstance(step, Send):
            for event in step.calls:
                activity.add(event)
                count += 1
                lane.event(event, count)
            if progress is not None:
                progress(count)
        elif isinstance(step, Tick):
            lane.tick(step.at_ms)
    accounts, matrix = activity.result()
    return Scored(span, accounts, matrix, dict(lane.rejected), count)


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


def _with_facts(history: History, start_ms: int) -> Iterable[Event]:
    if not history.facts:
        return history.read()
    facts = sorted(history.facts, key=lambda fact: fact.at_ms)
    groups = (Event(f.account, "", max(f.at_ms, start_ms), "", f.traits, "GROUP") for f in facts)
    return heapq.merge(groups, history.read(), key=lambda event: event.at_ms)


class _Lane:
    """One lane of usage-events and the aggregator of its fleet."""

    def __init__(self, fold: UsageFold, said: Said) -> None:
        self._fold = fold
        self._said = said
        self._offset = 0
        self._connected: list[str] = []
        self.rejected: Counter[str] = Counter()

    def event(self, event: Event, number: int) -> None:
        """Fold one event, which has this number."""
        at = event.at_ms
        value = {
            "event_id": str(number),
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
            "properties": _json(event.properties).decode() if event.properties else "{}",
            "identified": True,
            "internal": False,
            "via": "EVENT",
            "forwards": 0,
            "accepted_by": "",
        }
        self._offset += 1
        self.take(self._fold.event(value, at, self._offset, None, 0))

    def tick(self, at_ms: int) -> None:
        """Move the clock; at midnight the day closes, and its fleet's factor comes back at once."""
        self._offset += 1
        self.take(self._fold.tick({"at": at_ms, "epoch": EPOCH}, at_ms, self._offset, 0))
        for _ in self._fold.state.ids.take_changes():  # what a log would be given
            pass

    def take(self, work: Iterator[None] | None) -> None:
        """Finish what a record began, and pass on what came out."""
        if work is not None:
            for _ in work:
                pass
        state = self._fold.state
        outcomes, state.outcomes = state.outcomes, []
        for outcome in outcomes:
            if isinstance(outcome, Snapshot):
                self._said(outcome.value)
            elif isinstance(outcome, Partial):
                decision = decide([outcome.value], self._connected)
                self._connected = decision["connected"]
                self.take(self._fold.fleet(decision, 0))
            elif isinstance(outcome, Forgotten):
                self._said(outcome.account)
            elif isinstance(outcome, Rejection):
                self.rejected[outcome.reason] += 1
