"""One lane of usage-events as a back-test drives it: the scorer's fold, and the active user-days of its accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.alerter.domain.closing import ForgottenAccount
from services.backtest.domain.history import Event
from services.backtest.driving.snapshots import Snapshots
from services.scorer.domain.accounts.actors import actor_of
from services.scorer.domain.lane.meanings import PLAIN
from services.scorer.domain.lane.outcome import Forgotten, Partial, Rejection, Snapshot
from services.scorer.domain.lane.usage_fold import UsageFold
from services.shared.tracking_plan.actors import SYMBOLS, UNSAID
from services.shared.tracking_plan.traffic import TrafficPlan
from services.shared.units import DAY_MS

EPOCH = 1
_PAGES = frozenset({"PAGE", "SCREEN"})
_json = msgspec.json.Encoder().encode


class Span(NamedTuple):
    """The days of a history, days since 1970 UTC."""

    first_day: int
    end_day: int
    """The first day that is not known any more."""


class _Activity:
    """Counts active user-days: of each actor of an account one a day, for events that are use of the product."""

    def __init__(self, span: Span, fold: UsageFold) -> None:
        self._span = span
        self._meanings = fold.meanings
        self.rows: dict[str, NDArray[np.uint16]] = {}
        self._today = -1
        self._seen: set[tuple[str, int]] = set()

    def add(self, event: Event, actor: str, *, internal: bool) -> None:
        """Count one event, in which this actor acts, unless it is internal; events come in time order."""
        row = self.rows.get(event.account)
        if row is None:
            days = self._span.end_day - self._span.first_day
            row = self.rows[event.account] = np.zeros(days, np.uint16)
        number = actor_of(event.user, event.source, actor)
        if number is None or internal or not self._is_use(event):
            return
        day = event.at_ms // DAY_MS
        if day != self._today:
            self._today, self._seen = day, set()
        active = (event.account, number)
        if active not in self._seen:
            self._seen.add(active)
            row[day - self._span.first_day] += 1

    def _is_use(self, event: Event) -> bool:
        if event.kind == "TRACK":
            return PLAIN <= self._meanings.number(event.name) <= self._meanings.last_use
        return event.kind in _PAGES and PLAIN <= self._meanings.page_number(event.name) <= self._meanings.last_use


class FoldedLane:
    """One lane of usage-events."""

    def __init__(self, fold: UsageFold, plan: TrafficPlan, span: Span, snapshots: Snapshots) -> None:
        """Let this fold judge; the plan says who acts where an event does not, and whose activity does not count."""
        self._fold = fold
        self._plan = plan
        self._snapshots = snapshots
        self._offset = 0
        self._partials: list[Mapping[str, Any]] = []
        self.activity = _Activity(span, fold)
        self.rejected: Counter[str] = Counter()

    def begin(self, start_ms: int) -> None:
        """Take the lane's clock, as a driver does."""
        self._take(self._fold.controls.clock({"mode": "DRIVEN", "epoch": EPOCH, "at": start_ms}, start_ms, 0, 0))

    def event(self, event: Event, number: int) -> None:
        """Fold one event, which has this number."""
        actor = event.actor
        if actor == UNSAID:
            actor = SYMBOLS[self._plan.actor_of(event.kind, event.name, event.user)]
        internal = event.internal or self._plan.leaves_out(event.user)
        self.activity.add(event, actor, internal=internal)
        at = event.at_ms
        value = {
            "event_id": event.event_id or str(number),
            "id_source": "CLIENT",
            "source": event.source,
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
            "internal": internal,
            "via": "EVENT",
            "forwards": 0,
            "actor": actor,
            "accepted_by": "",
        }
        self._offset += 1
        self._take(self._fold.event(value, at, self._offset, None, 0))

    def tick(self, at_ms: int) -> None:
        """Move the clock; at midnight the day closes."""
        self._offset += 1
        self._take(self._fold.controls.tick({"at": at_ms, "epoch": EPOCH}, at_ms, self._offset, 0))
        for _ in self._fold.state.ids.take_changes():  # what a log would be given
            pass

    def partials(self) -> list[Mapping[str, Any]]:
        """Return and forget what the lane has told the fleet."""
        partials, self._partials = self._partials, []
        return partials

    def fleet(self, decision: Mapping[str, Any]) -> None:
        """Take the fleet's factor of a day: its accounts are evaluated."""
        self._offset += 1
        self._take(self._fold.controls.fleet(decision, 0))

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
                self._snapshots.add(ForgottenAccount(*outcome))
            elif isinstance(outcome, Rejection):
                self.rejected[outcome.reason] += 1
