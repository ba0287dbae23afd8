"""
How much each write key may send: a token bucket for its events and one for its bytes (ADR 94).

A bucket holds some seconds of its rate. What is asked for is taken if it is there, else refused with the time until it
will be. What is larger than the whole bucket is taken from a full one, which then owes the rest: a batch of 2,500
must be possible at any rate, and is paid for afterwards.

Bytes are those of the decompressed body, which is what costs, and are counted as they turn out: what is announced and never
comes costs nothing. So a body may leave its bucket in debt, but only one that began when there was none; the next requests
are refused by their headers until it is paid.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from services.ingest.errors import RateLimited
from services.ingest.metrics import IngestMetrics
from services.ingest.write_keys.keys import WriteKey, WriteKeys


class Bucket:
    """Tokens that come at a rate, up to a size."""

    __slots__ = ("_at", "_clock", "_tokens", "rate", "size")

    def __init__(self, rate: float, burst_s: float, clock: Callable[[], float]) -> None:
        self.rate = rate
        self.size = max(1.0, rate * burst_s)
        self._clock = clock
        self._tokens = self.size
        self._at = clock()

    def left(self) -> float:
        """Return how many tokens there are; below 0 while some are owed."""
        now = self._clock()
        self._tokens = min(self.size, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = now
        return self._tokens

    def take(self, cost: float, already: float = 0.0) -> float:
        """
        Take tokens and return 0; or take none, and return the seconds until there are enough.

        Args:
            cost: How many.
            already: How many the same request has taken before: a full bucket lacks those.
        """
        wait = self.wait(cost, already)
        if not wait:
            self._tokens -= cost
        return wait

    def wait(self, cost: float, already: float = 0.0) -> float:
        """Return the seconds until so many tokens could be taken, as `take` has it; 0 if they can be now."""
        return max(0.0, min(cost, self.size - already) - self.left()) / self.rate

    def owe(self, cost: float) -> None:
        """Take tokens whether they are there or not."""
        self._tokens = self.left() - cost


@dataclass(frozen=True, slots=True)
class _Budget:
    key: WriteKey
    events: Bucket | None
    bytes: Bucket | None


class Budgets:
    """The budgets of all keys in one process."""

    def __init__(
        self, keys: WriteKeys, metrics: IngestMetrics, share: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the `share` of each rate that is this process's: one of the number of workers."""
        self._keys = keys
        self._metrics = metrics
        self._share = share
        self._clock = clock
        self._budgets: dict[str, _Budget] = {}
        self._version = keys.version

    def admit(self, key: WriteKey, announced: int) -> None:
        """
        Let a request begin, of which so many bytes are announced, 0 if that is not known; it counts as one event.

        Raises:
            RateLimited: the key is over its rate.
        """
        budget = self._of(key)
        if budget.bytes is not None and (wait := budget.bytes.wait(max(1, announced))):
            self._refuse(key, "bytes", wait)
        if budget.events is not None and (wait := budget.events.take(1)):
            self._refuse(key, "events", wait)

    def arrived(self, key: WriteKey, size: int) -> None:
        """
        Count a body that has arrived.

        Raises:
            RateLimited: others that arrived at the same time have used the budget up; it is not counted.
        """
        budget = self._of(key)
        if budget.bytes is None:
            return
        if wait := budget.bytes.wait(min(1, size)):
            self._refuse(key, "bytes", wait)
        budget.bytes.owe(size)

    def inflated(self, key: WriteKey, size: int) -> None:
        """Count the bytes that a body has more of since it was decompressed."""
        budget = self._of(key)
        if budget.bytes is not None and size > 0:
            budget.bytes.owe(size)

    def events(self, key: WriteKey, count: int) -> None:
        """
        Let so many events of one request that was admitted be judged.

        Raises:
            RateLimited: the key is over its rate.
        """
        budget = self._of(key)
        if count > 1 and budget.events is not None and (wait := budget.events.take(count - 1, already=1)):
            self._refuse(key, "events", wait)

    def state(self, key: WriteKey) -> tuple[int, int] | None:
        """Return the events (else bytes) that a key may send at once, and how many of them are left; None: any."""
        budget = self._of(key)
        bucket = budget.events or budget.bytes
        return None if bucket is None else (int(bucket.size), max(0, int(bucket.left())))

    def _refuse(self, key: WriteKey, budget: str, wait_s: float) -> None:
        self._metrics.rate_limited.labels(key.source, budget).inc()
        raise RateLimited(f"this write key is over its {budget} per second", wait_s)

    def _of(self, key: WriteKey) -> _Budget:
        if self._version != self._keys.version:
            # What a key has used up outlives a change of the file, unless its rates were changed.
            self._version = self._keys.version
            self._budgets = {h: budget for h, budget in self._budgets.items() if self._keys.has(budget.key)}
        budget = self._budgets.get(key.key_sha256)
        if budget is None:
            budget = self._budgets[key.key_sha256] = _Budget(
                key, self._bucket(key.events_per_s, key), self._bucket(key.bytes_per_s, key)
            )
        return budget

    def _bucket(self, rate: float | None, key: WriteKey) -> Bucket | None:
        return None if rate is None else Bucket(rate * self._share, key.burst_s, self._clock)
