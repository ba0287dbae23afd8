"""
The commits of a lane: when one is due, one at a time, and folding goes on meanwhile.

After a transaction that failed nothing more is written: it stays under way for ever, and the process ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from services.shared.engine.errors import FailStop
from services.shared.engine.fold.runner import LaneRunner
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.lane.ownership import Ownership
from services.shared.engine.lane.ports import LaneHost
from services.shared.engine.position import Position
from services.shared.engine.spec import AppendOrder


class Commits:
    """What makes durable what one lane has folded."""

    def __init__(
        self,
        ownership: Ownership,
        host: LaneHost,
        metrics: LaneMetrics,
        *,
        moved: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        """Call `moved` when a transaction has been committed, and `wake` when there may be something to do."""
        self.durable = Position(0)
        """The first record, and the step within it, that is not durable yet."""
        self._ownership = ownership
        self._host = host
        self._settings = host.settings
        self._metrics = metrics
        self._moved = moved
        self._wake = wake
        self._committing: asyncio.Task[None] | None = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def under_way(self) -> bool:
        """Whether a transaction has been begun and not committed."""
        return self._committing is not None

    def restart(self, durable: Position) -> None:
        """Go on from a restored position, with nothing folded."""
        self.durable = durable
        self._deadline = None

    def due(self, runner: LaneRunner) -> bool:
        """Return whether what is folded has to be committed now."""
        if self._deadline is None:
            return False
        return time.monotonic() >= self._deadline or (runner.pending and (runner.urgent or self.full(runner)))

    def full(self, runner: LaneRunner) -> bool:
        """Return whether a transaction takes no more."""
        transaction, settings = runner.transaction, self._settings
        return transaction.records >= settings.transaction_records or transaction.size >= settings.transaction_bytes

    def start_clock(self, wait: float | None = None) -> None:
        """Commit after so many seconds at the latest; by default those of a transaction with records."""
        if wait is None:
            wait = self._settings.transaction_ms / 1000
        deadline = time.monotonic() + wait
        if self._deadline is not None and self._deadline <= deadline:
            return
        self._deadline = deadline
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait, self._ring, deadline)

    def _ring(self, deadline: float) -> None:
        # uvloop counts from the time at which it last looked, so a timer may come before its deadline.
        if self._deadline == deadline:
            self._deadline = 0.0
        self._wake()

    def begin(self, runner: LaneRunner) -> None:
        """
        Cut what is folded and commit it in the background; no other may be under way.

        Raises:
            FoldRaised: the processor cannot give its changes.
        """
        transaction = runner.take_transaction()
        self._deadline = None
        if transaction is not None:
            self._committing = asyncio.create_task(self._write(transaction, runner.spec.appends))

    async def _write(self, transaction: Transaction, order: AppendOrder) -> None:
        try:
            if transaction.appends and order is AppendOrder.BEFORE_COMMIT:
                await self._host.append(transaction.appends)
            began = time.monotonic()
            await self._ownership.write(transaction)
            self.durable = transaction.position
            self._metrics.committed(transaction, time.monotonic() - began)
            if transaction.appends and order is AppendOrder.AFTER_COMMIT:
                await self._host.append(transaction.appends)
        except Exception as error:  # noqa: BLE001 - the task stays where it is: nothing more can be committed
            self._host.fail(error)
            return
        self._committing = None
        self._moved()
        self._wake()

    async def settle(self) -> None:
        """Wait until the transaction under way has been committed, or has failed."""
        if self._committing is not None:
            await asyncio.wait([self._committing])

    async def flush(self, runner: LaneRunner) -> None:
        """
        Make everything folded durable.

        Raises:
            FailStop: a former transaction has failed.
            FoldRaised: the processor cannot give its changes.
        """
        await self.settle()
        if self._committing is not None:
            raise FailStop("a former transaction of the lane has failed")
        self.begin(runner)
        await self.settle()

    async def close(self) -> None:
        """Wait for what is under way; begin nothing more."""
        await self.settle()
        if self._timer is not None:
            self._timer.cancel()
