"""The metrics of attribution: what waits for an account, what was forwarded, and what nobody could say the account of."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from services.scorer.domain.attribution.ledger import AttributionCounters
from services.scorer.domain.attribution.state import AttributionState

_USER_KINDS = ("anonymous", "identified", "certain")


class AttributionMetrics:
    """All metrics of attribution in a scorer process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register with `registry`."""
        self.forwarded = Counter(
            "tidemark_attribution_forwarded",
            "Events forwarded: to an account, by how it was found (user, domain, operator), or to the person whom an anonymous id belongs to (person).",
            ["via"],
            registry=registry,
        )
        self.given_up = Counter(
            "tidemark_attribution_given_up",
            "Events that will not be scored: waited too long (expired), made room for newer ones (evicted), or moved from user to user too often (forwards).",
            ["why", "who"],
            registry=registry,
        )
        self.unresolved = Counter(
            "tidemark_attribution_unresolved",
            "Events of identified users that were dead-lettered, by the reason of the dead letter.",
            ["reason"],
            registry=registry,
        )
        for reason in ("no_account", "several_accounts", "too_many_forwards"):
            self.unresolved.labels(reason)  # from the start, so that the first one is an increase
        self.left_out = Counter(
            "tidemark_attribution_left_out",
            "Events that are not attributed: repeats, and those of other environments.",
            ["why"],
            registry=registry,
        )
        self.links = Counter(
            "tidemark_attribution_links",
            "What calls say about users, by what became of it: taken, ignored, moved to another user, lost.",
            ["outcome"],
            registry=registry,
        )
        self.merges = Counter(
            "tidemark_attribution_merges",
            "Times that an account was told that two of its people are one.",
            registry=registry,
        )
        self.waiting = Gauge(
            "tidemark_attribution_waiting",
            "Events of a lane that wait for an account.",
            ["partition", "who"],
            registry=registry,
        )
        self.oldest = Gauge(
            "tidemark_attribution_oldest_waiting_seconds",
            "For how long the oldest of them has waited, in log time.",
            ["partition", "who"],
            registry=registry,
        )
        self.waiting_bytes = Gauge(
            "tidemark_attribution_waiting_bytes", "Bytes of the events that wait.", ["partition"], registry=registry
        )
        self.users = Gauge(
            "tidemark_attribution_users", "Users that a lane knows, by kind.", ["partition", "kind"], registry=registry
        )
        self.users_evicted = Counter(
            "tidemark_attribution_users_evicted",
            "Users forgotten because a lane knew too many, by kind.",
            ["kind"],
            registry=registry,
        )
        self.log_time = Gauge(
            "tidemark_attribution_log_time_seconds",
            "Log time of a lane, in seconds since 1970.",
            ["partition"],
            registry=registry,
        )
        self.settled = Gauge(
            "tidemark_attribution_settled_seconds",
            "Time up to which all lanes are known to have read the log, in seconds since 1970: what expires by then is given up. It moves only when something is due to expire.",
            ["partition"],
            registry=registry,
        )
        self.clock_waiting = Gauge(
            "tidemark_attribution_clock_waiting",
            "1 if the lane waits for an operator to accept or refuse a step of more than seven days; it goes on meanwhile, at its time.",
            ["partition"],
            registry=registry,
        )

    def lane(self, partition: int) -> AttributionLaneMetrics:
        """Return the metrics of one lane."""
        return AttributionLaneMetrics(self, str(partition))

    def forget(self, partition: int) -> None:
        """Take the gauges of a lane away that has left this process: another tells them now."""
        label = str(partition)
        for gauge in (self.waiting_bytes, self.log_time, self.settled, self.clock_waiting):
            with suppress(KeyError):
                gauge.remove(label)
        for gauge, kinds in (
            (self.waiting, _USER_KINDS[:2]),
            (self.oldest, _USER_KINDS[:2]),
            (self.users, _USER_KINDS),
        ):
            for kind in kinds:
                with suppress(KeyError):
                    gauge.remove(label, kind)


class AttributionLaneMetrics:
    """Carry one lane's counts over to the process's metrics, once a transaction."""

    def __init__(self, metrics: AttributionMetrics, partition: str) -> None:
        """Label gauges with `partition`."""
        self._metrics = metrics
        self._partition = partition
        self._known = AttributionCounters()

    def opened(self, state: AttributionState) -> None:
        """Take the restored counts as known."""
        self._known = msgspec.structs.replace(state.counted())
        self._gauges(state)

    def unresolved(self, reason: str) -> None:
        """Count an event that goes to the dead letters."""
        self._metrics.unresolved.labels(reason).inc()

    def committed(self, state: AttributionState) -> None:
        """Carry over the lane's counts and sizes."""
        metrics, known, now = self._metrics, self._known, state.counted()

        def more(count: Callable[[AttributionCounters], int]) -> int:
            return max(0, count(now) - count(known))

        metrics.forwarded.labels("user").inc(more(lambda c: c.forwarded_user))
        metrics.forwarded.labels("domain").inc(more(lambda c: c.forwarded_domain))
        metrics.forwarded.labels("operator").inc(more(lambda c: c.forwarded_operator))
        metrics.forwarded.labels("person").inc(more(lambda c: c.moved))
        metrics.given_up.labels("expired", "identified").inc(more(lambda c: c.expired_identified))
        metrics.given_up.labels("expired", "anonymous").inc(more(lambda c: c.expired_anonymous))
        metrics.given_up.labels("evicted", "identified").inc(more(lambda c: c.evicted_identified))
        metrics.given_up.labels("evicted", "anonymous").inc(more(lambda c: c.evicted_anonymous))
        metrics.given_up.labels("forwards", "identified").inc(more(lambda c: c.too_many_forwards))
        metrics.left_out.labels("duplicate").inc(more(lambda c: c.duplicates))
        metrics.left_out.labels("non_production").inc(more(lambda c: c.non_production))
        metrics.links.labels("ignored").inc(more(lambda c: c.links_ignored))
        metrics.links.labels("moved").inc(more(lambda c: c.links_moved))
        metrics.links.labels("lost").inc(more(lambda c: c.links_lost))
        metrics.links.labels("taken").inc(more(lambda c: c.links) - more(lambda c: c.links_ignored))
        metrics.merges.inc(more(lambda c: c.merges))
        metrics.users_evicted.labels("anonymous").inc(more(lambda c: c.users_evicted_anonymous))
        metrics.users_evicted.labels("identified").inc(more(lambda c: c.users_evicted_identified))
        metrics.users_evicted.labels("certain").inc(more(lambda c: c.users_evicted_certain))
        self._known = msgspec.structs.replace(now)
        self._gauges(state)

    def _gauges(self, state: AttributionState) -> None:
        metrics, label, waiting = self._metrics, self._partition, state.waiting
        for kind, count in (("identified", waiting.identified), ("anonymous", waiting.anonymous)):
            since = waiting.oldest(identified=kind == "identified")
            metrics.waiting.labels(label, kind).set(count)
            metrics.oldest.labels(label, kind).set(0 if since is None else max(0, state.clock.now - since) / 1000)
        metrics.waiting_bytes.labels(label).set(waiting.bytes)
        for kind, count in zip(_USER_KINDS, state.users.counts(), strict=True):
            metrics.users.labels(label, kind).set(count)
        metrics.log_time.labels(label).set(state.clock.now / 1000)
        metrics.settled.labels(label).set(state.clock.settled / 1000)
        metrics.clock_waiting.labels(label).set(state.clock.asked > 0)
