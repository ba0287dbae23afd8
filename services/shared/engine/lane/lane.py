"""
One lane on Kafka: it opens, takes chunks, folds them, and commits what they did, in a task of its own.

Promises: what it has committed is exactly what the records before its position do, once. It never commits after an
error whose outcome is not known. Failure is of three kinds: a record (dead-lettered, the lane is restored where its state
is in doubt), the lane (`LaneStopped`: it waits for an operator), the process (everything else: fail-stop).
"""

from __future__ import annotations

import asyncio
import logging
import time

from services.shared.engine.chunk import Chunk
from services.shared.engine.errors import FoldRaised, LaneStopped, Unanswered
from services.shared.engine.fold.failure_policy import Patience
from services.shared.engine.fold.raises import Raises
from services.shared.engine.fold.runner import LaneRunner
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.lane.commits import Commits
from services.shared.engine.lane.feeding import Feeding
from services.shared.engine.lane.hearing import hear
from services.shared.engine.lane.intake import Intake
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.lane.ownership import Ownership
from services.shared.engine.lane.ports import LaneHost
from services.shared.engine.lane.recovery import Recovery
from services.shared.engine.lane.states import IllegalMove, LaneEvent, LaneLife, LanePhase, LaneState
from services.shared.engine.position import Position
from services.shared.engine.processor import Processor
from services.shared.engine.spec import LaneSpec

log = logging.getLogger(__name__)

RESTORES_WITHIN_S = 600.0
"""The time in which the restores of a lane are bounded."""


class _TakenOver(Exception):
    """Another owner has opened the lane while this one stood still."""


class Lane:
    """One partition of one source topic; made by the worker when it gets the partition."""

    def __init__(self, spec: LaneSpec, partition: int, host: LaneHost, metrics: LaneMetrics) -> None:
        """Begin nothing yet; `start` makes it run."""
        self.spec = spec
        self.topic = spec.topic
        self.partition = partition
        self.stopped: LaneStopped | None = None
        self.moved_at = time.monotonic()
        self.behind = 0
        """Records between here and the end of the source, as last observed."""
        self._host = host
        self._metrics = metrics
        self._name = {"topic": spec.topic, "partition": partition}
        self._life = life = LaneLife()
        self._runner: LaneRunner | None = None
        most = host.settings
        raises = Raises(f"{spec.topic}/{partition}", Patience(most.max_raises, most.max_restores, RESTORES_WITHIN_S))
        self._intake = intake = Intake(spec.topic, partition, host)
        self._ownership = ownership = Ownership(lambda: host.writer(spec, partition))
        self._commits = commits = Commits(ownership, host, metrics, moved=self._moved, wake=life.wake)
        self._feeding = Feeding(life, intake, commits, host, metrics, pause=self._pause, moved=self._moved)
        self._recovery = Recovery(spec, partition, life, ownership, intake, commits, raises, host, metrics)
        self._task: asyncio.Task[None] | None = None

    # what others see

    @property
    def phase(self) -> LanePhase:
        """Where it is in its life, in one word."""
        return self._life.phase

    @property
    def ready(self) -> bool:
        """Whether the lane folds what it gets."""
        return self.phase is LanePhase.RUNNING

    @property
    def processor(self) -> Processor | None:
        """The processor as it is now; another object after a reopening, None while there is none. Only to be read."""
        return self._runner.processor if self._runner is not None else None

    @property
    def durable(self) -> Position:
        """The first record, and the step within it, that is not durable yet."""
        return self._commits.durable

    @property
    def received(self) -> int:
        """How far the log has been delivered to this lane without a hole; -1 while it does not take chunks."""
        return self._intake.received

    @property
    def next(self) -> Position:
        """The first record, and the step within it, that is not folded yet."""
        return self._runner.position if self._runner is not None else self.durable

    @property
    def queued(self) -> int:
        """Records that wait to be folded."""
        return self._intake.records

    def note_behind(self, records: int) -> None:
        """Take how many records of the source remain; the time without a move counts from when there are some."""
        if not self.behind:
            self._moved()
        self.behind = records

    def start(self) -> None:
        """Open the lane in the background and let it run."""
        self._task = asyncio.create_task(self._run(), name=f"lane {self.topic}/{self.partition}")

    def receive(self, chunk: Chunk) -> None:
        """Take a chunk as it comes from the fetcher; never waits, but stops the fetching when too many wait."""
        if self.phase in (LanePhase.STOPPED, LanePhase.CLOSED):
            return
        self._intake.put(chunk)
        if chunk.records:
            self._metrics.chunk(len(chunk.records))
        self._life.wake()

    # what the group asks for

    async def hold(self) -> None:
        """
        Commit what is folded and stand still until `resume`; returns when nothing is pending.

        Opening goes on, but fences nobody before `resume`: the partition may be another's by then.
        """
        self._life.move(LaneEvent.HOLD)
        if self._life.state is LaneState.HOLDING and self._task is not None:
            holding = asyncio.create_task(self._life.while_holding())
            await asyncio.wait([holding, self._task], return_when=asyncio.FIRST_COMPLETED)
            holding.cancel()
        else:
            await self._ownership.give_way()

    def resume(self) -> None:
        """Go on after `hold`; Faust reads again from the committed offset on, so an opening lane's queue starts anew."""
        self._life.move(LaneEvent.DOUBT if self._ownership.doubted else LaneEvent.RESUME)
        self._intake.compared()
        if self.phase is LanePhase.OPENING:
            self._intake.clear()

    def doubt(self) -> None:
        """Let the next `resume` make sure that nobody has had the lane meanwhile; it is opened anew if so."""
        self._ownership.doubted = True

    def abandon(self) -> None:
        """Start nothing more from now on; `close` waits for what is under way."""
        self._life.move(LaneEvent.CLOSE)
        self._intake.clear()
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """End the lane without committing anything more; `hold` before keeps what is folded."""
        self.abandon()
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._commits.close()
        await self._ownership.close()
        self._runner = None

    # what its task does

    async def _run(self) -> None:
        try:
            try:
                await self._open()
                while True:
                    await self._turn()
            except LaneStopped as stopped:
                self._take_nothing(stopped, LaneEvent.STOP)
        except Exception as error:  # noqa: BLE001 - an error of unknown effect ends the process
            if self.phase is not LanePhase.CLOSED:  # there a cancellation got lost, and nothing can be committed
                self._host.fail(error)

    async def _turn(self) -> None:
        """Do the next thing there is to do, whatever the state, or wait for it."""
        try:
            try:
                self._life.look()
                if self._life.state is not LaneState.RUNNING:
                    await self._pause()
                await self._feeding.turn(self._must_run())
            except LaneStopped as stopped:
                if stopped.clean:
                    await self._commits.flush(self._must_run())
                if not isinstance(stopped, Unanswered):
                    raise
                await self._ask(stopped)
        except FoldRaised as raised:
            await self._reopen(raised)
        except _TakenOver:
            await self._open_anew()

    async def _open(self) -> None:
        began = time.monotonic()
        async with self._host.openings:
            self._runner, elsewhere = await self._recovery.run()
        if elsewhere and not self._intake.reaches(self.received):
            # Without the group's offset Faust reads from the beginning: that may be 400 days to skip.
            await self._intake.read_from(self.received)
        self._intake.compared()
        self._life.move(LaneEvent.OPENED)
        self._moved()
        self._metrics.opened(time.monotonic() - began)
        offset, step = self.durable
        log.info("lane_opened", extra={**self._name, "offset": offset, "step": step})

    async def _pause(self) -> None:
        """
        Do what the group has asked for, until the lane is running again.

        Raises:
            _TakenOver: another owner has opened the lane meanwhile.
            FoldRaised: the processor cannot give its changes.
        """
        while (state := self._life.state) is not LaneState.RUNNING:
            if state is LaneState.HOLDING:
                await self._commits.flush(self._must_run())
                if self._life.state is LaneState.HOLDING:
                    self._life.move(LaneEvent.SETTLED)
            elif state is LaneState.HELD:
                self._life.look()
                await self._life.woken()
            elif state is LaneState.CHECKING:
                await self._check()
            else:
                raise IllegalMove(f"a lane that is {state.value} cannot pause")
        self._moved()

    async def _check(self) -> None:
        """Make sure that nobody has had the lane meanwhile. Everything folded is durable here."""
        await self._commits.settle()
        if not await self._ownership.holds(Transaction(self.durable, self._must_run().topic_id)):
            raise _TakenOver
        if self._life.state is LaneState.CHECKING:
            self._life.move(LaneEvent.CHECKED)

    async def _open_anew(self) -> None:
        """Throw away what is in memory: another owner has folded on."""
        log.warning("lane_was_anothers", extra=self._name)
        self._life.move(LaneEvent.TAKEN_OVER)
        self._runner = None
        self._intake.clear()
        await self._open()

    async def _reopen(self, error: FoldRaised) -> None:
        """
        Throw the processor away and restore it, and fold again what is not durable.

        Raises:
            TooManyRaises: a restore would not help.
        """
        await self._commits.settle()
        self._life.move(LaneEvent.RAISED)
        runner, self._runner = self._must_run(), None  # in an unknown state: nothing of it may be committed
        where = {**self._name, "offset": error.offset, "step": error.step}
        log.error("fold_raised", extra=where, exc_info=error.cause)
        runner.blame(error, time.monotonic())
        self._metrics.reopened()
        self._runner, _ = await self._recovery.run()
        self._life.move(LaneEvent.OPENED)
        await self._intake.read_from(self.received)

    async def _ask(self, asked: Unanswered) -> None:
        """Stand still before a record that asks until the answer comes, and go on there."""
        if self._life.state is not LaneState.RUNNING:
            await self._pause()
        runner = self._must_run()
        self._take_nothing(asked, LaneEvent.ASKED)
        answer = await hear(runner, self._host)
        log.info("lane_goes_on", extra={**self._name, "offset": runner.offset, "answered_at": answer.offset})
        self._metrics.goes_on()
        self.stopped = None
        self._life.move(LaneEvent.ANSWERED)
        self._moved()
        await self._intake.read_from(runner.offset)

    def _take_nothing(self, stopped: LaneStopped, event: LaneEvent) -> None:
        log.critical("lane_stopped", extra={**self._name, "reason": stopped.reason, "detail": str(stopped)})
        self.stopped = stopped
        self._life.move(event)
        self._metrics.stopped(stopped.reason)
        self._intake.clear()

    def _must_run(self) -> LaneRunner:
        if self._runner is None:
            raise RuntimeError(f"lane {self.topic}/{self.partition} is not open")
        return self._runner

    def _moved(self) -> None:
        self.moved_at = time.monotonic()
