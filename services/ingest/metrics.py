"""
What ingest counts. The one place where its metrics are defined.

Labels come from closed sets: endpoints, HTTP statuses, verdicts, codes, names of the tracking plan, and the sources of
the write keys file; never a key, an account or a path that a client made up.
"""

from __future__ import annotations

import contextlib

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.ingest.errors import OF_A_BODY, OF_AN_EVENT, Code
from services.ingest.judged import VERDICTS
from services.ingest.plain_counts import PlainCounts
from services.ingest.ports import WRITES

_LABELLED_EVENTS = 200


class IngestMetrics:
    """The metrics of one ingest process, on a registry of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._counts = PlainCounts(registry)
        self.requests = Counter(
            "tidemark_ingest_requests_total",
            "HTTP requests answered, by endpoint and status (499: the client left before the answer).",
            ["endpoint", "status"],
            registry=registry,
        )
        self._answered: dict[tuple[str, int], Counter] = {}
        self.verdicts = Counter(
            "tidemark_ingest_events_total",
            "Events judged, by verdict and source; counted once Kafka has them. Events that are replayed and rejected again are not counted.",
            ["verdict", "source"],
            registry=registry,
        )
        self._judged: dict[tuple[str, str], Counter] = {}
        self.rejections = Counter(
            "tidemark_ingest_rejections_total",
            "Events and whole requests refused, by code and source. What is replayed and refused again is not counted.",
            ["code", "source"],
            registry=registry,
        )
        self._plan_violations = Counter(
            "tidemark_ingest_plan_violations_total",
            "Violations of the tracking plan in events that were taken, by event as the plan calls it and code. Beyond 200 events the rest are `(others)`; an event that the plan does not name is `(unknown)`.",
            ["event", "code"],
            registry=registry,
        )
        self._events_labelled: set[str] = set()
        self.ack_seconds = Histogram(
            "tidemark_ingest_ack_seconds",
            "Time from a request's records being ready until all in-sync replicas acknowledged them.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        self.skew_seconds = Histogram(
            "tidemark_ingest_client_skew_seconds",
            "Difference between a client's clock (sentAt) and this machine's, in either direction; once per request.",
            buckets=(0.1, 1, 10, 60, 600, 3600, 86400, 864000),
            registry=registry,
        )
        self.batch_events = Histogram(
            "tidemark_ingest_batch_events",
            "Events per batch request.",
            buckets=(1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500),
            registry=registry,
        )
        self.body_bytes = Counter(
            "tidemark_ingest_body_bytes_total", "Bytes of request bodies, as received.", registry=registry
        )
        self.in_flight_bytes = Gauge(
            "tidemark_ingest_in_flight_bytes",
            "Bytes of records that wait for Kafka's acknowledgement.",
            registry=registry,
        )
        self.in_flight_requests = Gauge(
            "tidemark_ingest_in_flight_requests", "Requests being received, or waiting for Kafka.", registry=registry
        )
        self.requests_in_flight = 0
        """What the gauge shows."""
        self.in_flight_requests.set_function(lambda: self.requests_in_flight)
        self.connections_closed = Counter(
            "tidemark_ingest_connections_closed_total",
            "Connections closed because of a limit: full, timeout, unread (the client does not read its answer), headers, url, chunks, pipelined; or malformed requests.",
            ["why"],
            registry=registry,
        )
        for why in ("full", "timeout", "unread", "headers", "url", "chunks", "pipelined", "malformed"):
            self.connections_closed.labels(why)
        self.crowded = Counter(
            "tidemark_ingest_crowded_total",
            "Requests cut off while they arrived, by source, and connections turned away (no source), at the limit of connections.",
            ["source"],
            registry=registry,
        )
        self.producer_restarts = Counter(
            "tidemark_ingest_producer_restarts_total", "Kafka producers replaced after a failure.", registry=registry
        )
        self.slow_partitions = Gauge(
            "tidemark_ingest_slow_partitions",
            "Partitions that do not acknowledge and whose events are put off, by topic.",
            ["topic"],
            registry=registry,
        )
        for topic in WRITES:
            self.slow_partitions.labels(topic)
        self.clock_apart_seconds = Gauge(
            "tidemark_ingest_clock_apart_seconds",
            "Least time by which this machine's clock is ahead of a broker's; negative if it is behind.",
            ["broker"],
            registry=registry,
        )
        self.pseudonym_key = Gauge(
            "tidemark_ingest_pseudonym_key_info",
            "1, with the fingerprint of the pseudonym key as a label; it must be the same for all processes.",
            ["fingerprint"],
            registry=registry,
        )
        self.plan = Gauge(
            "tidemark_ingest_plan_info",
            "1, with the fingerprint of the tracking plan as a label; ingest and scorer must have the same one.",
            ["fingerprint"],
            registry=registry,
        )
        self.accounts = Gauge(
            "tidemark_ingest_accounts_info",
            "1, with the fingerprint of the accounts file as a label; it must be the same for all processes.",
            ["fingerprint"],
            registry=registry,
        )
        self.write_keys = Gauge("tidemark_ingest_write_keys", "Write keys known.", registry=registry)
        self.write_key_used = Gauge(
            "tidemark_ingest_write_key_last_used_timestamp_seconds",
            "When a write key was last used, 0 if not since the start; a key that is quiet can be revoked.",
            ["source", "key_id"],
            registry=registry,
        )
        self.write_key_not_after = Gauge(
            "tidemark_ingest_write_key_not_after_timestamp_seconds",
            "When a write key that has an end ceases to be valid.",
            ["source", "key_id"],
            registry=registry,
        )
        self.rate_limited = Counter(
            "tidemark_ingest_rate_limited_total",
            "Requests put off because their write key is over its rate of events or bytes.",
            ["source", "budget"],
            registry=registry,
        )
        file_unreadable = Gauge(
            "tidemark_ingest_file_unreadable",
            "1 while the file of write keys or of webhooks cannot be reloaded; what was known before stays valid.",
            ["file"],
            registry=registry,
        )
        self.write_keys_unreadable = file_unreadable.labels("write_keys")
        self.webhooks_unreadable = file_unreadable.labels("webhooks")
        self.webhooks = Gauge("tidemark_ingest_webhook_endpoints", "Webhook endpoints known.", registry=registry)
        self.webhook_requests = Counter(
            "tidemark_ingest_webhooks_total",
            "Webhooks of vendors, by endpoint and outcome: accepted, unattributed, ignored (of a type that is not used), "
            "rejected (on usage-rejected), refused (not the vendor), put_off (it will be sent again).",
            ["endpoint", "outcome"],
            registry=registry,
        )
        self.webhook_secrets = Counter(
            "tidemark_ingest_webhook_secrets_total",
            "Webhooks by the position of the secret that they were signed with: remove the old one once it is not counted any more.",
            ["endpoint", "position"],
            registry=registry,
        )

    def answered(self, endpoint: str, status: int) -> None:
        """Count an answered request."""
        counter = self._answered.get((endpoint, status))
        if counter is None:
            counter = self._answered[endpoint, status] = self.requests.labels(endpoint, str(status))
        self._counts.add(counter)

    def received(self, size: int) -> None:
        """Count the bytes of a body."""
        self._counts.add(self.body_bytes, size)

    def judged(self, verdict: str, source: str, count: int) -> None:
        """Count events that the log has."""
        counter = self._judged.get((verdict, source))
        if counter is None:
            counter = self._judged[verdict, source] = self.verdicts.labels(verdict, source)
        self._counts.add(counter, count)

    def begin(self, source: str) -> None:
        """Begin the counts of a source at zero, so that its first events are an increase."""
        for verdict in VERDICTS:
            self.verdicts.labels(verdict, source)
        for code in (*OF_AN_EVENT, *OF_A_BODY, Code.ORIGIN_NOT_ALLOWED):
            self.rejections.labels(code, source)

    def broke_plan(self, event: str, codes: list[str]) -> None:
        """Count what breaks the tracking plan in one event; empty: the plan does not name it."""
        label = event or "(unknown)"
        if label not in self._events_labelled:
            if len(self._events_labelled) < _LABELLED_EVENTS:
                self._events_labelled.add(label)
            else:
                label = "(others)"
        for code in codes:
            self._plan_violations.labels(label, code).inc()

    def forget_write_key(self, source: str, key_id: str) -> None:
        """Drop when a key was used that is not in the file any more, or is of another source."""
        with contextlib.suppress(KeyError):
            self.write_key_used.remove(source, key_id)
