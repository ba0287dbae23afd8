"""
Calls of the store that block: in threads of the sink alone, and repeated until the store answers.

The event loop has five threads on a machine with one core, and questions, an export and a stream together may have all of
them for as long as a slow question takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
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
_LONG_S = 60.0
"""A server that hangs keeps a call for five minutes before it fails, and is worth a word before."""


class StoreCalls:
    """Repeats what fails, until `stop` is set."""

    def __init__(
        self, metrics: WarehouseMetrics, stop: asyncio.Event, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Count in `metrics` what fails."""
        self._metrics = metrics
        self._stop = stop
        self._threads = ThreadPoolExecutor(_THREADS, "sink")
        self._clock = clock
        self._failed_why: str | None = None
        """Why the call that is being made has to be repeated, in words."""
        self._asked_at: dict[object, float] = {}
        """When each call was made that has no answer yet."""

    @property
    def waits_for(self) -> str | None:
        """What nothing is stored for, in words; None while calls are answered."""
        if self._failed_why is not None or not self._asked_at:
            return self._failed_why
        waited = self._clock() - min(self._asked_at.values())
        return f"the store has not answered for {waited:.0f} s" if waited > _LONG_S else None

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
                result = await self._answer(call)
        self._failed_why = None
        return result

    async def _answer(self, call: Callable[[], T]) -> T:
        asked = object()
        self._asked_at[asked] = self._clock()
        try:
            return await self.in_thread(call)
        finally:
            del self._asked_at[asked]

    async def in_thread(self, call: Callable[[], T]) -> T:
        """Return what a blocking call returns; it is made once."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def pause(self, seconds: float) -> None:
        """Sleep, but not past the word to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    def _failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._failed_why = why(error)
        self._metrics.failures.inc()
        log.warning("store_failed", extra={"error": str(error), "attempt": state.attempt_number})
