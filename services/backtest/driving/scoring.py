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
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.backfill.plan import Send, Tick, steps
from services.backtest.domain.history import BacktestHistory, Event, Fact
from services.backtest.driving.lane import FoldedLane, Span
from services.backtest.driving.snapshots import Snapshots, shard_of
from services.scorer.domain.health.model import Model
from services.scorer.domain.lane.usage_fold import UsageFold
from services.shared.errors import Fatal, TidemarkError
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.tracking_plan.traffic import TrafficPlan
from services.shared.units import DAY_MS

LANES = 2
"""Always as many, so that the number of processes changes nothing. A divisor of SHARDS."""
DUPLICATE_IDS = 1_000_000
MOST_DAYS = 40 * 365
"""Of a history: memory grows with days times accounts, and one wrong year would fill it."""
NO_ACCOUNT = "no_account"
"""Why events are not counted that only attribution could place."""

Decide = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]
"""Takes the partials of a day of the lanes that are walked here, and returns the fleet's decision of that day."""


class EmptyHistoryError(TidemarkError):
    """A history without any event."""


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
    rejected: Counter[str]
    events: int


def lane_of(account: str) -> int:
    """Return the lane of an account."""
    return shard_of(account) % LANES


def span_of(history: BacktestHistory) -> Span:
    """
    Return the days of a history.

    Raises:
        EmptyHistoryError: it has no events.
        Fatal: it spans more than MOST_DAYS.
    """
    first = last = -1
    for event in history.read():
        first = event.at_ms if first < 0 else first
        last = event.at_ms
    if first < 0:
        raise EmptyHistoryError(f"{history.name} has no events")
    span = Span(first // DAY_MS, max(history.until_day or 0, last // DAY_MS + 1))
    if span.end_day - span.first_day > MOST_DAYS:
        raise Fatal(
            f"{history.name} spans {(span.end_day - span.first_day) / 365:.0f} years, more than {MOST_DAYS // 365}: are "
            "the times of its first and last events right?"
        )
    return span


def walk(
    history: BacktestHistory,
    span: Span,
    lanes: Sequence[int],
    scoring: tuple[TrackingPlan, Model],
    decide: Decide,
    progress: Callable[[int], None],
    snapshots: Snapshots,
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
        snapshots: Takes what the scorer says.

    Raises:
        KeyFault: the day of an account cannot be closed, which is a defect.
    """
    plan, model = scoring
    start_ms, until_ms = span.first_day * DAY_MS, span.end_day * DAY_MS
    traffic = TrafficPlan(plan)
    folds = {
        lane: FoldedLane(UsageFold(lane, LANES, plan, model, DUPLICATE_IDS), traffic, span, snapshots) for lane in lanes
    }
    for lane in folds.values():
        lane.begin(start_ms)
    count = nameless = 0
    places: dict[str, FoldedLane | None] = {"": None}
    for step in steps(_with_facts(history, start_ms, until_ms), start_ms, until_ms, DAY_MS):
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
    return Walked(rows, rejected, count)


def together(span: Span, parts: Sequence[Walked]) -> Scored:
    """Put lanes together that were walked apart."""
    rows = {account: row for part in parts for account, row in part.rows.items()}
    accounts = sorted(rows)
    activity = np.zeros((len(accounts), span.end_day - span.first_day), np.uint16)
    for place, account in enumerate(accounts):
        activity[place] = rows[account]
    rejected = dict(sum((part.rejected for part in parts), Counter[str]()))
    return Scored(span, accounts, activity, rejected, parts[0].events)


def _with_facts(history: BacktestHistory, start_ms: int, until_ms: int) -> Iterable[Event]:
    facts = [fact for fact in history.facts if fact.at_ms < until_ms]
    if not facts:
        return history.read()
    groups = (_group(fact, start_ms) for fact in sorted(facts, key=lambda fact: fact.at_ms))
    return heapq.merge(groups, history.read(), key=lambda event: event.at_ms)


def _group(fact: Fact, start_ms: int) -> Event:
    return Event(fact.account, "", max(fact.at_ms, start_ms), "", fact.traits, "GROUP")
