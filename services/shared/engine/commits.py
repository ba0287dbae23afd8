"""
The commits of a lane: when one is due, one at a time, and folding goes on meanwhile.

After a transaction that failed nothing more is written: it stays under way for ever, and the process ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from services.shared.engine.draft import Draft
from services.shared.engine.errors import FailStop
from services.shared.engine.fold import LaneFold
from services.shared.engine.lane_metrics import LaneMetrics
from services.shared.engine.ownership import Ownership
from services.shared.engine.position import Position
from services.shared.engine.raises import Raises
from services.shared.engine.surroundings import Surroundings


class Commits:
    """What makes durable what one lane has folded."""

    def __init__(
        self,
        ownership: Ownership,
        around: Surroundings,
        metrics: LaneMetrics,
        raises: Raises,
        *,
        moved: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        """Call `moved` when a transaction has been committed, and `wake` when there may be something to do."""
        self.durable = Position(0)
        """The first record, and the step within it, that is not durable yet."""
        self._ownership = ownership
        self._around = around
        self._settings = around.settings
        self._metrics = metrics
        self._raises = raises
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

    def due(self, fold: LaneFold) -> bool:
        """Return whether what is folded has to be committed now."""
        if self._deadline is None or fold.position == fold.draft.position:
            return False
        return time.monotonic() >= self._deadline or (fold.pending and (fold.urgent or self.full(fold)))

    def full(self, fold: LaneFold) -> bool:
        """Return whether a transaction takes no more."""
        draft, settings = fold.draft, self._settings
        return draft.records >= settings.transaction_records or draft.size >= settings.transaction_bytes

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

    def begin(self, fold: LaneFold) -> None:
        """
        Cut what is folded and commit it in the background; no other may be under way.

        Raises:
            FoldRaised: it cannot be cut.
        """
        draft = fold.cut()
        self._deadline = None
        if draft is not None:
            self._committing = asyncio.create_task(self._write(draft))

    async def _write(self, draft: Draft) -> None:
        began = time.monotonic()
        try:
            await self._ownership.write(draft)
            self.durable = draft.position
            self._raises.committed()
            self._metrics.committed(draft, time.monotonic() - began)
            if draft.appends:
                await self._around.append(draft.appends)
        except Exception as error:  # noqa: BLE001 - the task stays where it is: nothing more can be committed
            self._around.fail(error)
            return
        self._committing = None
        self._moved()
        self._wake()

    async def settle(self) -> None:
        """Wait until the transaction under way has been committed, or has failed."""
        if self._committing is not None:
            await asyncio.wait([self._committing])

    async def flush(self, fold: LaneFold) -> None:
        """
        Make everything folded durable.

        Raises:
            FailStop: a former transaction has failed.
            FoldRaised: what is folded cannot be cut.
        """
        await self.settle()
        if self._committing is not None:
            raise FailStop("a former transaction of the lane has failed")
        self.begin(fold)
        await self.settle()

    async def close(self) -> None:
        """Wait for what is under way; begin nothing more."""
        await self.settle()
        if self._timer is not None:
            self._timer.cancel()
