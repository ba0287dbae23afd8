"""
The simulated past of sixty accounts as rows of the warehouse, in seconds and without Kafka.

The folds of scorer, fleet and alerter are production's, driven as the back-test drives them. What lies between them, the
log and the encoding of records, is left out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.alerter.domain.folding import fold_snapshot
from services.alerter.rule_files import load_rules
from services.backfill.plan import Send, Tick, steps
from services.backtest.domain.history import Event
from services.backtest.driving.lane import FoldedLane, Span
from services.backtest.driving.lanes import Aggregator
from services.scorer.domain.lane.usage_fold import UsageFold
from services.scorer.settings import ScorerSettings, load_scoring
from services.shared.tracking_plan.actors import UNSAID
from services.shared.tracking_plan.traffic import TrafficPlan
from services.shared.units import DAY_MS
from services.simulator import History
from services.simulator.history import TimedEvent
from services.warehouse.domain.rows import Place, Row, row

_TICK_MS = DAY_MS


@dataclass
class Past:
    """Rows by table, in the order of the log."""

    tables: dict[str, list[Row]] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)

    def add(self, topic: str, table: str, record: str, value: Mapping[str, Any], at_ms: int) -> None:
        """Store one record of a topic."""
        offset = self.offsets.get(topic, 0)
        self.offsets[topic] = offset + 1
        made = row(Place(topic, 0, offset, at_ms), record, value)
        if made is not None:
            self.tables.setdefault(table, []).append(made)


class _Alerter:
    """Takes snapshots as `Snapshots` does, and stores them with the signals that they lead to."""

    def __init__(self, past: Past, live_from_ms: int) -> None:
        self._past = past
        self._live_from_ms = live_from_ms
        self._rules = load_rules()
        self._states: dict[str, bytes | None] = {}

    def add(self, said: dict[str, Any] | str) -> None:
        """Judge and store one snapshot."""
        if isinstance(said, str):
            return
        said["historical"] = said["at"] < self._live_from_ms
        self._past.add("account-health", "account_health", "account_health", said, said["at"])
        folded = fold_snapshot(self._rules, self._states.get(said["account"]), said)
        self._states[said["account"]] = folded.state
        for signal in folded.signals:
            topic = "risk-signals" if signal["category"] == "RISK" else "expansion-signals"
            self._past.add(topic, "signals", "signal", signal, signal["at"])


def simulated(until_ms: int, seed: int = 7, weeks: int = 35, every: int = 1) -> Past:
    """
    Return what the warehouse would hold after a simulated past.

    Args:
        until_ms: When it ends, milliseconds since 1970 UTC.
        seed: Of the simulation.
        weeks: How long it is.
        every: Only each so many-th account.
    """
    history = History(seed, until_ms, weeks, every)
    first_day = history.last_day - weeks * 7 + 1
    past = Past()
    plan, model = load_scoring(ScorerSettings())
    traffic = TrafficPlan(plan)
    span = Span(first_day, history.last_day + 1)
    alerter: Any = _Alerter(past, until_ms - 14 * DAY_MS)
    lane = FoldedLane(UsageFold(0, 1, plan, model, 1_000_000), traffic, span, alerter)
    fleet = Aggregator()
    lane.begin(first_day * DAY_MS)
    number = 0
    for step in steps(_events(history.events(), past, traffic), first_day * DAY_MS, until_ms, _TICK_MS):
        if isinstance(step, Send):
            for event in step.calls:
                number += 1
                lane.event(event, number)
        elif isinstance(step, Tick):
            lane.tick(step.at_ms)
            if partials := lane.partials():
                lane.fleet(fleet(partials))
    return past


def _events(timed: Iterator[TimedEvent], past: Past, plan: TrafficPlan) -> Iterator[Event]:
    for at_ms, call in timed:
        kind = call["type"].upper()
        properties = call.get("traits") if kind in {"GROUP", "IDENTIFY"} else call.get("properties", {})
        name = call.get("event") or call.get("name", "")
        account = call["context"]["groupId"]
        user = f"u_{zlib.crc32(call['userId'].encode()):08x}" if "userId" in call else ""
        actor = call["context"].get("actor", UNSAID).upper()
        event = Event(account, user, at_ms, name, properties or {}, kind, call["messageId"], actor, "demo")
        _store(event, call, past, plan)
        yield event


def _store(event: Event, call: Mapping[str, Any], past: Past, plan: TrafficPlan) -> None:
    common = {
        "event_id": event.event_id,
        "source": "demo",
        "environment": "production",
        "account": event.account,
        "user": event.user,
        "occurred_at": event.at_ms,
        "received_at": event.at_ms,
        "epoch": 1,
        "properties": msgspec.json.encode(dict(event.properties)).decode(),
    }
    told = {**common, "id_source": "CLIENT", "identified": True, "internal": False, "via": "EVENT", "kind": event.kind}
    told |= {"actor": event.actor, "name": event.name, "skew_ms": 0, "historical": False}
    told["use"] = plan.is_use(event.kind, event.name)
    past.add("usage-events", "events", "usage_event", told, event.at_ms)
    details = {**common, "user_id": call.get("userId", ""), "anonymous_id": "", "properties": "{}", "extra": "{}"}
    past.add("usage-details", "event_details", "event_details", details, event.at_ms)


def now_ms() -> int:
    """Return the present, milliseconds since 1970 UTC."""
    return int(datetime.now(UTC).timestamp() * 1000)
