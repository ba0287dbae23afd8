"""
Calls of the store that block: in threads of the sink alone, and repeated until the store answers.

The event loop has five threads on a machine with one core, and questions, an export and a stream together may have all of
them for as long as a slow question takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from services.shared.errors import Retryable
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import why

log = logging.getLogger(__name__)

T = TypeVar("T")

_THREADS = 2
"""One stores a batch while the other decodes the next."""


class StoreCalls:
    """Repeats what fails, until `stop` is set."""

    def __init__(self, metrics: WarehouseMetrics, stop: asyncio.Event) -> None:
        """Count in `metrics` what fails."""
        self._metrics = metrics
        self._stop = stop
        self._threads = ThreadPoolExecutor(_THREADS, "sink")
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
                result = await self.in_thread(call)
        self.waits_for = None
        return result

    async def in_thread(self, call: Callable[[], T]) -> T:
        """Return what a blocking call returns; it is made once."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def pause(self, seconds: float) -> None:
        """Sleep, but not past the word to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    def _failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.waits_for = why(error)
        self._metrics.failures.inc()
        log.warning("store_failed", extra={"error": str(error), "attempt": state.attempt_number})
