"""
The alerter's instruments, all in one place. docs/metrics.md is checked against them.

Label values come from the rules and from closed sets, never from accounts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.alerter.domain.rules import RuleSet

SECONDS = (0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0)


class AlerterMetrics:
    """Count snapshots and signals; measure how old the cause of a signal is when the signal goes out."""

    def __init__(self, registry: CollectorRegistry, now: Callable[[], float] = time.time) -> None:
        """Register with `registry`; `now` gives seconds since 1970 UTC and is used for measuring only."""
        self._now = now
        self._shown: set[str] = set()
        self._evaluated = Counter(
            "tidemark_alerter_snapshots_evaluated_total",
            "Snapshots judged by all rules.",
            registry=registry,
        )
        self._failed = Counter(
            "tidemark_alerter_snapshots_failed_total",
            "Snapshots on which a rule failed, which is a defect. They are on dead-letters.",
            registry=registry,
        )
        self._forgotten = Counter(
            "tidemark_alerter_accounts_forgotten_total",
            "Accounts forgotten because the scorer forgot them.",
            registry=registry,
        )
        self._signals = Counter(
            "tidemark_alerter_signals_total",
            "Signals, by rule and transition; historical ones were caused by a backfill.",
            ["rule", "category", "severity", "transition", "historical"],
            registry=registry,
        )
        self._open = Gauge(
            "tidemark_alerter_open_episodes",
            "Open episodes, by partition of account-health; a sum over all workers counts each once.",
            ["partition"],
            registry=registry,
        )
        self._delay = Histogram(
            "tidemark_alerter_event_to_signal_seconds",
            "Time from the acceptance of an event to handing its signal to Kafka; live signals only.",
            buckets=SECONDS,
            registry=registry,
        )
        self._rules = Gauge(
            "tidemark_alerter_rules_info",
            "1, with the version of the rules in force as a label.",
            ["version"],
            registry=registry,
        )

    def rules_in_force(self, rules: RuleSet) -> None:
        """Show which rules are in force, and begin their counts at zero, so that their first signals are an increase."""
        self._rules.labels(version=rules.version).set(1)
        for rule in rules.ordered:
            if rule.enabled:
                for severity in {rule.severity, *(step.severity for step in rule.escalations)}:
                    category = rule.category.name.lower()
                    self._signals.labels(rule.id, category, severity.name.lower(), "firing", "false")

    def evaluated(self) -> None:
        """Count one snapshot."""
        self._evaluated.inc()

    def failed(self) -> None:
        """Count one snapshot that could not be judged."""
        self._failed.inc()

    def forgotten(self) -> None:
        """Count one account that was forgotten."""
        self._forgotten.inc()

    def open_episodes(self, partition: int, count: int) -> None:
        """Show how many episodes of a partition are open."""
        self._shown.add(str(partition))
        self._open.labels(partition=str(partition)).set(count)

    def keep(self, partitions: Iterable[int]) -> None:
        """Forget all partitions but these: another worker has them now."""
        kept = {str(partition) for partition in partitions}
        for partition in sorted(self._shown - kept):
            self._open.remove(partition)
        self._shown &= kept

    def signal(self, signal: Mapping[str, Any]) -> None:
        """Count one signal, and time it where an event caused it just now."""
        self._signals.labels(
            rule=signal["rule"],
            category=signal["category"].lower(),
            severity=signal["severity"].lower(),
            transition=signal["transition"].lower(),
            historical=str(signal["historical"]).lower(),
        ).inc()
        caused_at = signal["trigger_received_at"]
        if caused_at > 0 and not signal["historical"]:
            self._delay.observe(max(0.0, self._now() - caused_at / 1000))
