"""
One lane on Kafka, as its worker sees it: the chunks that it gets, what the group asks of it, and how far it has come.

Promises: what it has committed is the effect of exactly the records before its position, each once. It never commits
after an error whose outcome is unknown. Its own work is in work.py, and runs in a task of its own.
"""

from __future__ import annotations

import asyncio
import time

from services.shared.engine.chunk import Chunk
from services.shared.engine.errors import DamagedSource, LaneStopped
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.lane.ports import LaneHost
from services.shared.engine.lane.states import LaneEvent, LanePhase, LaneState
from services.shared.engine.lane.work import LaneWork
from services.shared.engine.position import UNKNOWN_TOPIC, Position
from services.shared.engine.processor import Processor
from services.shared.engine.spec import LaneSpec

_KEEP_AFTER_S = 86_400.0


class Lane:
    """One partition of one source topic; made by the worker when it gets the partition."""

    def __init__(self, spec: LaneSpec, partition: int, host: LaneHost, metrics: LaneMetrics) -> None:
        """Make a lane that does nothing yet; `start` makes it run."""
        self.spec = spec
        self.topic = spec.topic
        self.partition = partition
        self.behind = 0
        """Records between here and the end of the source, as last observed."""
        self._metrics = metrics
        self._work = LaneWork(spec, partition, host, metrics)
        self._task: asyncio.Task[None] | None = None

    # what others see

    @property
    def phase(self) -> LanePhase:
        """Its phase, for `/readyz` and metrics."""
        return self._work.life.phase

    @property
    def ready(self) -> bool:
        """Whether the lane folds what it gets."""
        return self.phase is LanePhase.RUNNING

    @property
    def processor(self) -> Processor | None:
        """The present processor: another object after each reopening, None while there is none. Do not change it."""
        runner = self._work.runner
        return runner.processor if runner is not None else None

    @property
    def durable(self) -> Position:
        """The first record, and the step within it, that is not durable yet."""
        return self._work.commits.durable

    @property
    def topic_id(self) -> bytes:
        """The id of the topic that it folds; zeros while that is not known."""
        runner = self._work.runner
        return runner.topic_id if runner is not None else UNKNOWN_TOPIC

    @property
    def quiet_until(self) -> int:
        """The offset up to which a lane that is being rebuilt gives nothing out; 0 in any other."""
        runner = self._work.runner
        until = runner.transaction.quiet_until if runner is not None else None
        return until.offset if until is not None else 0

    @property
    def received(self) -> int:
        """How far the log has been delivered to this lane without a hole; -1 while it does not take chunks."""
        return self._work.intake.received

    @property
    def next(self) -> Position:
        """The first record, and the step within it, that is not folded yet."""
        runner = self._work.runner
        return runner.position if runner is not None else self.durable

    @property
    def queued(self) -> int:
        """Records that wait to be folded."""
        return self._work.intake.records

    @property
    def stopped(self) -> LaneStopped | None:
        """Why the lane waits for an operator or an answer; None while it does not."""
        return self._work.stopped

    @property
    def unanswered(self) -> str | None:
        """What the lane needs from Kafka to open and asks for again and again; None while it does not."""
        error = self._work.unanswered
        return self._work.ownership.unanswered if error is None else str(error)

    @property
    def moved_at(self) -> float:
        """When the lane last moved, by the monotonic clock."""
        return self._work.moved_at

    def note_behind(self, records: int) -> None:
        """Take how many records of the source remain; the time without a move counts from when there are some."""
        if not self.behind:
            self._work.moved()
        self.behind = records

    def start(self) -> None:
        """Open the lane in the background and let it run."""
        self._task = asyncio.create_task(self._work.run(), name=f"lane {self.topic}/{self.partition}")

    def receive(self, chunk: Chunk) -> None:
        """Take a chunk from the fetcher. Never waits: when too many chunks are queued, it pauses the fetching."""
        if self.phase in (LanePhase.STOPPED, LanePhase.CLOSED):
            return
        self._work.intake.put(chunk)
        if chunk.records:
            self._metrics.chunk(len(chunk.records))
        self._work.life.wake()

    def compare(self) -> None:
        """Have the source compared with what was delivered: the consumer has moved past it, and no chunk says so."""
        self._work.feeding.compare()
        self._work.life.wake()

    def source_damaged(self, detail: str) -> None:
        """Have the lane stop once it has folded what was delivered: nobody can read what comes next."""
        self._work.feeding.stop_at_end(DamagedSource(self.topic, self.partition, self.received, detail))
        self._work.life.wake()

    # what the group asks for

    async def hold(self) -> None:
        """
        Commit what is folded and stand still until `resume`; return once nothing is pending.

        Opening goes on, but fences nobody before `resume`: the partition may be another's by then.
        """
        self._work.life.move(LaneEvent.HOLD)
        if self._work.life.state is LaneState.HOLDING and self._task is not None:
            holding = asyncio.create_task(self._work.life.while_holding())
            await asyncio.wait([holding, self._task], return_when=asyncio.FIRST_COMPLETED)
            holding.cancel()
        else:
            await self._work.ownership.give_way()

    def resume(self) -> None:
        """Go on after `hold`. Faust reads again from the committed offset, so an opening lane starts with an empty queue."""
        self._work.life.move(LaneEvent.DOUBT if self._work.ownership.doubted else LaneEvent.RESUME)
        self._work.intake.compared()
        if self.phase is LanePhase.OPENING:
            self._work.intake.clear()

    def doubt(self) -> None:
        """Have the next `resume` check whether another worker has had the lane meanwhile; if so it is opened again."""
        self._work.ownership.doubted = True

    def keep(self) -> None:
        """
        Have a lane that has written nothing for a day check whether it is still its own, which writes its position once more.

        Brokers forget whose a transactional id is that is not used for seven days (transactional.id.expiration.ms). The first record
        of a partition after such a time would end the process.
        """
        silent = time.monotonic() - self._work.ownership.spoke_at
        if self._work.life.state is LaneState.RUNNING and silent > _KEEP_AFTER_S:
            self._work.life.move(LaneEvent.DOUBT)

    def abandon(self) -> None:
        """Start nothing more from now on; `close` waits for what is under way."""
        if self.phase is LanePhase.CLOSED:  # cancelled twice, it would not give back the connections that it reads with
            return
        self._work.life.move(LaneEvent.CLOSE)
        self._work.intake.clear()
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """End the lane without another commit; call `hold` first to keep what is folded."""
        self.abandon()
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._work.commits.close()
        await self._work.ownership.close()
        self._work.runner = None
