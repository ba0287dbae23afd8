"""The scorer's metrics: what an on-call person asks first."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.scorer.domain.fleet import PPM
from services.scorer.domain.lane.ledger import LedgerCounters
from services.scorer.domain.lane.outcome import Outcome, Rejection, Snapshot
from services.scorer.domain.lane.usage_state import UsageState
from services.shared.units import HOUR_MS

_OUTCOMES = {
    "applied": "applied",
    "duplicates": "duplicate",
    "too_late": "too_late",
    "dead_lettered": "dead_lettered",
    "non_production": "non_production",
}
_COMPARED_SECONDS = 300.0
_LIVE_SECONDS = 3600.0
"""A snapshot caused by an event older than this is one of a replay or a backlog and says nothing of the live path."""


class ScorerMetrics:
    """All metrics of a scorer process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register with `registry`."""
        self.events = Counter("tidemark_scorer_events", "Usage events, by outcome.", ["outcome"], registry=registry)
        self.late = Counter(
            "tidemark_scorer_events_late", "Applied events that belonged to a closed day.", registry=registry
        )
        self.rejected = Counter(
            "tidemark_scorer_rejected",
            "Events and single fields dead-lettered, by reason.",
            ["reason"],
            registry=registry,
        )
        self.snapshots = Counter(
            "tidemark_scorer_snapshots", "Snapshots published, by reason.", ["reason"], registry=registry
        )
        self.evaluations = Counter("tidemark_scorer_evaluations", "Evaluations of accounts.", registry=registry)
        self.ignored = Counter(
            "tidemark_scorer_clock_ignored",
            "Control records and steps of the clock that were ignored, by reason.",
            ["reason"],
            registry=registry,
        )
        self.dropped = Counter(
            "tidemark_scorer_caps_dropped",
            "How often a person, a case or a survey answer was left out of an account because of a cap.",
            ["what"],
            registry=registry,
        )
        self.accounts = Gauge("tidemark_scorer_accounts", "Accounts of a lane.", ["partition"], registry=registry)
        self.accounts_cap = Gauge(
            "tidemark_scorer_accounts_cap",
            "Accounts that a lane may have (TIDEMARK_SCORER_ACCOUNTS).",
            registry=registry,
        )
        self.accounts_quarantined = Gauge(
            "tidemark_scorer_accounts_quarantined",
            "Accounts of a lane that are quarantined until they are released.",
            ["partition"],
            registry=registry,
        )
        self.accounts_forgotten = Counter(
            "tidemark_scorer_accounts_forgotten",
            "Accounts forgotten because nothing had come from them for 256 days.",
            registry=registry,
        )
        self.over_cap = Counter(
            "tidemark_scorer_events_over_cap",
            "Events dead-lettered because the lane already had as many accounts as it may.",
            registry=registry,
        )
        self.queued = Gauge(
            "tidemark_scorer_accounts_queued",
            "Accounts that wait for an evaluation on the next tick.",
            ["partition"],
            registry=registry,
        )
        self.model = Gauge(
            "tidemark_scorer_model_info",
            "1, with the version of the model in force as a label; it must be the same for all scorers.",
            ["version"],
            registry=registry,
        )
        self.plan = Gauge(
            "tidemark_scorer_plan_info",
            "1, with the fingerprint of the tracking plan as a label; ingest and scorer must have the same one.",
            ["fingerprint"],
            registry=registry,
        )
        self.log_time = Gauge(
            "tidemark_scorer_log_time_seconds",
            "Log time of a lane, in seconds since 1970.",
            ["partition"],
            registry=registry,
        )
        self.ids = Gauge("tidemark_scorer_ids", "Event ids in the duplicate window.", ["partition"], registry=registry)
        self.ids_bytes = Gauge(
            "tidemark_scorer_ids_bytes", "Memory of the duplicate window, in bytes.", ["partition"], registry=registry
        )
        self.id_window = Gauge(
            "tidemark_scorer_id_window_seconds",
            "How far back duplicates are recognised.",
            ["partition"],
            registry=registry,
        )
        self.id_window_shortened = Gauge(
            "tidemark_scorer_id_window_shortened",
            "How often ids left the duplicate window before their 24 hours.",
            ["partition"],
            registry=registry,
        )
        self.fleet_factor = Gauge(
            "tidemark_scorer_fleet_factor", "Fleet factor of the last closed day.", ["partition"], registry=registry
        )
        self.day_close = Histogram(
            "tidemark_scorer_day_close_seconds", "Wall time from the record that passes midnight to the last snapshot of the day.",
            buckets=(0.01, 0.05, 0.2, 1, 5, 15, 30, 60, 120, 300, 900, 3600, 7200), registry=registry,
        )  # fmt: skip
        self.event_to_health = Histogram(
            "tidemark_scorer_event_to_health_seconds", "Time from the acceptance of an event to the snapshot that it caused.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 2.5, 3, 5, 10, 30, 60, 300), registry=registry,
        )  # fmt: skip
        self.ticks = Counter("tidemark_scorer_ticks_sent", "Ticks appended by the live ticker.", registry=registry)
        self.ticks_failed = Counter(
            "tidemark_scorer_ticks_failed", "Ticks that the broker did not acknowledge in time.", registry=registry
        )
        self.clock_apart = Gauge(
            "tidemark_scorer_clock_apart_seconds",
            "Least time by which this machine's clock is ahead of a broker's; negative if it is behind.",
            ["broker"],
            registry=registry,
        )
        self.clock_waiting = Gauge(
            "tidemark_scorer_clock_waiting",
            "1 if the lane waits for an operator to accept or refuse a step of more than seven days.",
            ["partition"],
            registry=registry,
        )
        self.lane_driven = Gauge(
            "tidemark_scorer_lane_driven",
            "1 if a backfill drives the clock of the lane.",
            ["partition"],
            registry=registry,
        )
        self._compared: dict[str, float] = {}

    def clocks_compared(self, broker: str, apart_s: float, now_s: float) -> None:
        """Show how far the clocks are apart; forget brokers that were not heard of for five minutes of `now_s`."""
        self._compared[broker] = now_s
        self.clock_apart.labels(broker).set(apart_s)
        for gone in [known for known, heard_s in self._compared.items() if now_s - heard_s > _COMPARED_SECONDS]:
            del self._compared[gone]
            self.clock_apart.remove(gone)

    def lane_looked_at(self, partition: int, *, driven: bool, waiting: bool) -> None:
        """Show who moves the clock of a lane, and whether it waits."""
        self.lane_driven.labels(str(partition)).set(driven)
        self.clock_waiting.labels(str(partition)).set(waiting)

    def lane_left(self, partition: int) -> None:
        """Forget what `lane_looked_at` said: the lane is not open here."""
        for gauge in (self.lane_driven, self.clock_waiting):
            with suppress(KeyError):
                gauge.remove(str(partition))

    def lane(self, partition: int) -> UsageMetrics:
        """Return the metrics of one lane."""
        return UsageMetrics(self, str(partition))

    def forget(self, partition: int) -> None:
        """Take the gauges of a lane away that has left this process: another tells them now."""
        lane = {"partition": str(partition)}
        for gauge in vars(self).values():
            if isinstance(gauge, Gauge) and any(s.labels == lane for m in gauge.collect() for s in m.samples):
                gauge.remove(*lane.values())


class UsageMetrics:
    """Carry one lane's counts over to the process's metrics, once a transaction."""

    def __init__(self, metrics: ScorerMetrics, partition: str) -> None:
        """Label gauges with `partition`."""
        self._metrics = metrics
        self._partition = partition
        self._known = LedgerCounters()
        self._closing_since = 0.0

    def opened(self, state: UsageState) -> None:
        """Take the restored counts as known."""
        self._known = _copy(state.ledger)

    def put_out(self, outcomes: Iterable[Outcome]) -> None:
        """Count what goes out."""
        now = time.time()
        for outcome in outcomes:
            if isinstance(outcome, Rejection):
                self._metrics.rejected.labels(outcome.reason).inc()
            elif isinstance(outcome, Snapshot):
                self._metrics.snapshots.labels(outcome.value["reason"]).inc()
                trigger = outcome.value["trigger_received_at"]
                if trigger and not outcome.value["historical"] and 0 <= now - trigger / 1000 < _LIVE_SECONDS:
                    self._metrics.event_to_health.observe(now - trigger / 1000)

    def committed(self, state: UsageState) -> None:
        """Carry over the lane's counts and sizes."""
        metrics, known, now = self._metrics, self._known, state.ledger
        for field, outcome in _OUTCOMES.items():
            metrics.events.labels(outcome).inc(max(0, getattr(now, field) - getattr(known, field)))
        metrics.late.inc(max(0, now.late_applied - known.late_applied))
        metrics.evaluations.inc(max(0, now.evaluations - known.evaluations))
        metrics.ignored.labels("step").inc(max(0, now.steps_refused - known.steps_refused))
        metrics.ignored.labels("control").inc(max(0, now.controls_ignored - known.controls_ignored))
        metrics.dropped.labels("people").inc(max(0, now.people_dropped - known.people_dropped))
        metrics.dropped.labels("cases").inc(max(0, now.cases_dropped - known.cases_dropped))
        metrics.dropped.labels("answers").inc(max(0, now.answers_dropped - known.answers_dropped))
        metrics.accounts_forgotten.inc(max(0, now.forgotten - known.forgotten))
        metrics.over_cap.inc(max(0, now.over_cap - known.over_cap))
        self._known = _copy(now)
        clock, ids, label = state.clock, state.ids, self._partition
        metrics.accounts.labels(label).set(len(state.accounts))
        metrics.accounts_quarantined.labels(label).set(len(state.quarantined))
        metrics.queued.labels(label).set(len(state.queue))
        metrics.log_time.labels(label).set(clock.now / 1000)
        metrics.fleet_factor.labels(label).set(state.fleet.factor_ppm(clock.closed_day) / PPM)
        metrics.ids.labels(label).set(len(ids))
        metrics.ids_bytes.labels(label).set(ids.memory_bytes())
        metrics.id_window.labels(label).set(max(0.0, clock.now / 1000 - ids.oldest[0] * HOUR_MS / 1000))
        metrics.id_window_shortened.labels(label).set(ids.shortened)
        if clock.phase and not self._closing_since:
            self._closing_since = time.time()
        elif self._closing_since and not clock.phase and clock.pending < 0:
            metrics.day_close.observe(time.time() - self._closing_since)
            self._closing_since = 0.0


def _copy(counters: LedgerCounters) -> LedgerCounters:
    copied = LedgerCounters()
    for field in counters.__struct_fields__:
        setattr(copied, field, getattr(counters, field))
    return copied
