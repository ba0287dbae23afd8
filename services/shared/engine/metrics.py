"""What the engine tells about itself: one definition of each metric, labelled by source topic and partition."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LANE = ("topic", "partition")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 10, 50, 100, 250, 500, 1000, 2000, 5000)


class EngineMetrics:
    """The engine's metrics in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register all of them."""
        self.lag_records = Gauge(
            "tidemark_engine_lag_records",
            "Records of the source that the lane has not yet folded.",
            _LANE,
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "tidemark_engine_lag_seconds",
            "How long records may have waited: age of the last folded one, or time since none was waiting.",
            _LANE,
            registry=registry,
        )
        self.queued = Gauge(
            "tidemark_engine_queued_records",
            "Records delivered to the lane and not yet folded.",
            _LANE,
            registry=registry,
        )
        self.records = Counter(
            "tidemark_engine_records_total",
            "Records folded or dead-lettered; counted once that is durable.",
            _LANE,
            registry=registry,
        )
        self.chunks = Counter("tidemark_engine_chunks_total", "Chunks delivered to lanes.", _LANE, registry=registry)
        self.chunk_records = Histogram(
            "tidemark_engine_chunk_records", "Records per chunk.", ("topic",), buckets=_SIZES, registry=registry
        )
        self.transactions = Counter(
            "tidemark_engine_transactions_total", "Transactions committed.", _LANE, registry=registry
        )
        self.transaction_seconds = Histogram(
            "tidemark_engine_transaction_seconds",
            "Time from begin to commit.",
            ("topic",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.dead_letters = Counter(
            "tidemark_engine_dead_letters_total",
            "Records dead-lettered; counted once that is durable.",
            _LANE,
            registry=registry,
        )
        self.gaps = Counter(
            "tidemark_engine_gaps_total", "Gaps in the source that were accepted.", _LANE, registry=registry
        )
        self.torn = Counter(
            "tidemark_engine_torn_transactions_total",
            "Lanes that opened where the group's offset and the changelogs, written in one transaction, did not agree.",
            _LANE,
            registry=registry,
        )
        self.missed = Counter(
            "tidemark_engine_missed_total", "Chunks that did not follow on from the previous one and were read again.", _LANE,
            registry=registry,
        )  # fmt: skip
        self.lane_opens = Counter(
            "tidemark_engine_lane_opens_total", "Lanes opened, not counting reopenings.", _LANE, registry=registry
        )
        self.reopenings = Counter(
            "tidemark_engine_reopenings_total", "Lanes restored because a fold failed.", _LANE, registry=registry
        )
        self.load_seconds = Histogram(
            "tidemark_engine_load_seconds", "Time from the start of an opening until the lane runs.", ("topic",), buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.loaded_records = Counter(
            "tidemark_engine_loaded_records_total", "Changelog records read.", _LANE, registry=registry
        )
        self.lanes = Gauge(
            "tidemark_engine_lanes", "Lanes of this worker, by state.", ("topic", "state"), registry=registry
        )
        self.stopped = Gauge(
            "tidemark_engine_lane_stopped", "1 if a lane has stopped and waits for an operator, by reason.", (*_LANE, "reason"),
            registry=registry,
        )  # fmt: skip
        self.stalled = Gauge(
            "tidemark_engine_lane_stalled",
            "1 if a lane has work and does not move, or if that cannot be determined.",
            _LANE,
            registry=registry,
        )
        self.topic_changed = Gauge(
            "tidemark_engine_topic_changed",
            "1 if a topic of the lanes has changed to do harm: its cleanup policy, retention or timestamps, or a changelog as a whole.",
            ("topic", "what"),
            registry=registry,
        )
        self.rebalances = Counter("tidemark_engine_rebalances_total", "Rebalances completed.", registry=registry)
        self.loop_lag_seconds = Gauge(
            "tidemark_engine_loop_lag_seconds", "How late the event loop woke in the last second.", registry=registry
        )
