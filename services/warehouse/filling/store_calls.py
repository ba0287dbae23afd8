"""Calls of the store that block: each in a thread of its own, and repeated until the store answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from services.shared.errors import Retryable
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import why

log = logging.getLogger(__name__)

T = TypeVar("T")


class StoreCalls:
    """Repeats what fails, until `stop` is set."""

    def __init__(self, metrics: WarehouseMetrics, stop: asyncio.Event) -> None:
        """Count in `metrics` what fails."""
        self._metrics = metrics
        self._stop = stop
        self.waits_for: str | None = None
        """Why the call that is being made has to be repeated, in words; None while calls are answered."""

    async def __call__(self, call: Callable[[], T]) -> T:
        """
        Call until it answers.

        Raises:
            Retryable: it did not answer before it was told to stop. What is unstored will be read again.
        """
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Retryable),
            wait=wait_exponential_jitter(multiplier=0.1, max=10.0),
            stop=lambda _: self._stop.is_set(),
            sleep=self.pause,
            before_sleep=self._failed,
            reraise=True,
        ):
            with attempt:
                result = await asyncio.to_thread(call)
        self.waits_for = None
        return result

    async def pause(self, seconds: float) -> None:
        """Sleep, but not past the word to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    def _failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.waits_for = why(error)
        self._metrics.failures.inc()
        log.warning("store_failed", extra={"error": str(error), "attempt": state.attempt_number})
