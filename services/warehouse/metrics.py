"""What the warehouse measures. Labels are topics, tables and partitions of our own, never data."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_DELAY = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


class WarehouseMetrics:
    """The instruments of one warehouse process, on an injected registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every instrument."""
        self.rows = Counter("tidemark_warehouse_rows_total", "Rows written, by table.", ["table"], registry=registry)
        self.batches = Counter("tidemark_warehouse_batches_total", "Batches written.", registry=registry)
        self.skipped = Counter(
            "tidemark_warehouse_skipped_total",
            "Records that make no row, by reason: control (ticks, fleet factors), unreadable or misplaced (see the log).",
            ["topic", "reason"],
            registry=registry,
        )
        self.failures = Counter(
            "tidemark_warehouse_failures_total",
            "Failed attempts to open the store, or to write a batch; they are repeated.",
            registry=registry,
        )
        self.insert = Histogram(
            "tidemark_warehouse_insert_seconds",
            "Time to write one batch to all tables.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.delay = Histogram(
            "tidemark_warehouse_delay_seconds",
            "Time from append to storage, of the oldest record of each partition in a batch.",
            ["topic"],
            buckets=_DELAY,
            registry=registry,
        )
        self.position = Gauge(
            "tidemark_warehouse_position", "Next offset to store.", ["topic", "partition"], registry=registry
        )
        self.lag = Gauge(
            "tidemark_warehouse_lag_records",
            "Committed records of the topic that are not stored yet.",
            ["topic", "partition"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "tidemark_warehouse_lag_seconds",
            "How long records may have waited: age of the newest stored one, or time since all were stored, or since the start.",
            ["topic", "partition"],
            registry=registry,
        )
        self.stopped = Gauge(
            "tidemark_warehouse_stopped",
            "1 if nothing more of a partition is stored: this version does not know a record of it, or a batch of it is damaged.",
            ["topic", "partition"],
            registry=registry,
        )
        self.expired = Counter(
            "tidemark_warehouse_expired_total",
            "Records that retention deleted from the topic before they were stored.",
            ["topic"],
            registry=registry,
        )
        self._lost_parts = Gauge(
            "tidemark_warehouse_lost_parts",
            "Parts of tables of the embedded store that were found broken at the start, and whose rows no start brings back.",
            ["table"],
            registry=registry,
        )
        self.erasures = Counter(
            "tidemark_warehouse_erasures_total",
            "Erasures that were carried out, of a person or an account.",
            ["what"],
            registry=registry,
        )
        self.queries = Histogram(
            "tidemark_warehouse_query_seconds",
            "Time of one query to the API, by route.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.refused = Counter(
            "tidemark_warehouse_queries_refused_total",
            "Requests to the query API that were refused before anything was asked, by code.",
            ["code"],
            registry=registry,
        )
        self.tokens_unreadable = Gauge(
            "tidemark_warehouse_file_unreadable",
            "1 while the file of query tokens cannot be reloaded; what was known before stays valid.",
            ["file"],
            registry=registry,
        ).labels("query_tokens")
        self.listeners = Gauge(
            "tidemark_warehouse_stream_listeners", "Open streams of the query API.", registry=registry
        )

    def lost(self, tables: Iterable[str]) -> None:
        """Show of which tables parts are lost, one for each."""
        self._lost_parts.clear()
        for table in tables:
            self._lost_parts.labels(table).inc()
