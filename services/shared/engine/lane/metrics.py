"""One lane's view of the engine's metrics, with its labels filled in once."""

from __future__ import annotations

import time

from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.metrics import EngineMetrics


class LaneMetrics:
    """Count what one lane does."""

    def __init__(self, metrics: EngineMetrics, topic: str, partition: int) -> None:
        self._metrics = metrics
        self._topic = topic
        self._labels = (topic, str(partition))
        self._chunks = metrics.chunks.labels(*self._labels)
        self._chunk_records = metrics.chunk_records.labels(topic)
        self._records = metrics.records.labels(*self._labels)
        self._transactions = metrics.transactions.labels(*self._labels)
        self._transaction_seconds = metrics.transaction_seconds.labels(topic)
        self._dead_letters = metrics.dead_letters.labels(*self._labels)
        # At zero from the start: a counter that appears with its first step shows Prometheus no increase.
        self._reopenings = metrics.reopenings.labels(*self._labels)
        self._gaps = metrics.gaps.labels(*self._labels)
        self._torn = metrics.torn.labels(*self._labels)
        self._missed = metrics.missed.labels(*self._labels)
        self._folded_until = time.time()
        self._reason: str | None = None

    def chunk(self, records: int) -> None:
        """Count a delivered chunk."""
        self._chunks.inc()
        self._chunk_records.observe(records)

    def committed(self, transaction: Transaction, seconds: float) -> None:
        """Count a committed transaction."""
        self._transactions.inc()
        self._transaction_seconds.observe(seconds)
        self._records.inc(transaction.records)
        if transaction.dead_letters:
            self._dead_letters.inc(transaction.dead_letters)

    def folded_until(self, appended_at: float) -> None:
        """Note when the last folded record was appended to the log, in seconds since 1970."""
        self._folded_until = appended_at

    def lag(self, records: int, queued: int, now: float) -> None:
        """Set the lag, given the records that remain and the time. Time in which none did is no lag of what comes after it."""
        if not records:
            # Not the later of the two: a clock that was ahead and is set back would hide the lag.
            self._folded_until = now
        self._metrics.lag_records.labels(*self._labels).set(records)
        self._metrics.lag_seconds.labels(*self._labels).set(max(0.0, now - self._folded_until))
        self._metrics.queued.labels(*self._labels).set(queued)

    def stalled(self, stalled: bool) -> None:
        """Set whether the lane has work and does not move."""
        self._metrics.stalled.labels(*self._labels).set(int(stalled))

    def opened(self, seconds: float) -> None:
        """Count an opening."""
        self._metrics.lane_opens.labels(*self._labels).inc()
        self._metrics.load_seconds.labels(self._topic).observe(seconds)
        self._folded_until = time.time()

    def loaded(self, records: int) -> None:
        """Count changelog records."""
        self._metrics.loaded_records.labels(*self._labels).inc(records)

    def reopened(self) -> None:
        """Count a reopening."""
        self._reopenings.inc()

    def gap(self, count: int = 1) -> None:
        """Count accepted gaps."""
        self._gaps.inc(count)

    def torn(self) -> None:
        """Count a transaction that was not committed as one."""
        self._torn.inc()

    def missed(self) -> None:
        """Count a chunk that did not meet the one before."""
        self._missed.inc()

    def stopped(self, reason: str) -> None:
        """Show that the lane waits for an operator or an answer, and why."""
        self._reason = reason
        self._metrics.stopped.labels(*self._labels, reason).set(1)

    def goes_on(self) -> None:
        """Take the alarm back: the answer has come."""
        if self._reason is not None:
            self._metrics.stopped.labels(*self._labels, self._reason).set(0)

    def forget(self) -> None:
        """Take the gauges of a lane away that has left this worker."""
        for gauge in (
            self._metrics.lag_records,
            self._metrics.lag_seconds,
            self._metrics.queued,
            self._metrics.stalled,
        ):
            try:
                gauge.remove(*self._labels)
            except KeyError:
                continue
        if self._reason is not None:
            self._metrics.stopped.remove(*self._labels, self._reason)
            self._reason = None
