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
from enum import Enum

from services.shared.engine.chunk import Chunk
from services.shared.engine.commits import Commits
from services.shared.engine.errors import FoldRaised, LaneStopped, SourceGap, Unanswered
from services.shared.engine.hearing import hear
from services.shared.engine.intake import Intake
from services.shared.engine.lane_metrics import LaneMetrics
from services.shared.engine.ownership import Ownership
from services.shared.engine.ports import LaneHost
from services.shared.engine.position import Position
from services.shared.engine.processor import Processor, Quarantines, SourceRecord
from services.shared.engine.raises import Raises
from services.shared.engine.recovery import accept, recover
from services.shared.engine.runner import LaneRunner
from services.shared.engine.spec import LaneSpec
from services.shared.engine.start import check, check_id
from services.shared.engine.transaction import Transaction

log = logging.getLogger(__name__)

_YIELD_EVERY = 500
"""Records folded before the other tasks of the loop get a turn."""
RESTORES_WITHIN_S = 600.0
"""The time in which the restores of a lane are bounded."""
_COVERED_WITHIN_S = 60.0
"""A position that only markers have moved is committed with the next records, or after this time without any."""


class LanePhase(Enum):
    """Where a lane is in its life."""

    OPENING = "opening"
    RUNNING = "running"
    STOPPED = "stopped"
    CLOSED = "closed"


class _Anothers(Exception):
    """Another owner has opened the lane while this one stood still."""


class Lane:
    """One partition of one source topic; made by the worker when it gets the partition."""

    def __init__(self, spec: LaneSpec, partition: int, generation: int, host: LaneHost, metrics: LaneMetrics) -> None:
        """Take the group generation in which the partition came; `start` makes it run."""
        self.spec = spec
        self.topic = spec.topic
        self.partition = partition
        self._name = {"topic": spec.topic, "partition": partition}
        self.generation = generation
        self.phase = LanePhase.OPENING
        self.stopped: LaneStopped | None = None
        self.moved_at = time.monotonic()
        self.behind = 0
        """Records between here and the end of the source, as last observed."""
        self._host = host
        self._settings = settings = host.settings
        self._metrics = metrics
        self._runner: LaneRunner | None = None
        self._held = False
        self._doubted = False
        self._quiet = asyncio.Event()
        self._wake = asyncio.Event()
        where = f"{spec.topic}/{partition}"
        self._raises = Raises(where, settings.max_raises, settings.max_restores, RESTORES_WITHIN_S)
        self._intake = Intake(spec.topic, partition, host)
        self._ownership = Ownership(lambda: host.writer(spec, partition))
        self._commits = Commits(self._ownership, host, metrics, self._raises, moved=self._moved, wake=self._wake.set)
        self._task: asyncio.Task[None] | None = None

    # what others see

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
        self._wake.set()

    async def hold(self) -> None:
        """
        Commit what is folded and stand still until `resume`; returns when nothing is pending.

        Opening goes on, but fences nobody before `resume`: the partition may be another's by then.
        """
        self._held = True
        self._wake.set()
        if self.phase is LanePhase.RUNNING and self._task is not None:
            quiet = asyncio.create_task(self._quiet.wait())
            await asyncio.wait([quiet, self._task], return_when=asyncio.FIRST_COMPLETED)
            quiet.cancel()
        else:
            await self._ownership.give_way()

    def resume(self) -> None:
        """Go on after `hold`; Faust reads again from the committed offset on, so an opening lane's queue starts anew."""
        self._held = False
        self._intake.compared()
        self._quiet.clear()
        if self.phase is LanePhase.OPENING:
            self._intake.clear()
        self._wake.set()

    def doubt(self) -> None:
        """Make sure that nobody has had the lane meanwhile before anything more is folded; open it anew if so."""
        self._doubted = True

    def abandon(self) -> None:
        """Start nothing more from now on; `close` waits for what is under way."""
        self.phase = LanePhase.CLOSED
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

    # its life

    async def _run(self) -> None:
        try:
            await self._open()
            while True:
                try:
                    await self._turn()
                except FoldRaised as raised:
                    await self._reopen(raised)
                except Unanswered as asked:
                    await self._stop(asked)
                    await self._hear()
                except _Anothers:
                    await self._open_anew()
        except LaneStopped as stopped:
            await self._stop(stopped)
        except Exception as error:  # noqa: BLE001 - an error of unknown effect ends the process
            self._host.fail(error)

    async def _open(self) -> None:
        began = time.monotonic()
        async with self._host.openings:
            elsewhere = await self._restore()
        if elsewhere and not self._intake.reaches(self.received):
            # Without the group's offset Faust reads from the beginning: that may be 400 days to skip.
            await self._intake.read_from(self.received)
        self._intake.compared()
        self.phase = LanePhase.RUNNING
        self._moved()
        self._metrics.opened(time.monotonic() - began)
        offset, step = self.durable
        log.info("lane_opened", extra={**self._name, "offset": offset, "step": step})

    async def _restore(self) -> bool:
        """
        Build a new processor from the changelogs and take the queue up where it ends; return whether it must be sought.

        A new writer comes first, also when the lane was ours before: starting it fences a former owner, and returns
        only when the end of the last transaction has reached every partition. A commit that has been acknowledged
        may not yet be visible in the changelogs.
        """
        self._intake.received = -1
        await self._ownership.claim(self._until_resumed)
        self._runner, elsewhere = await recover(self.spec, self.partition, self._host, self._metrics, self._raises)
        self._commits.restart(self._runner.position)
        self._intake.received = self._runner.offset
        return elsewhere

    async def _until_resumed(self) -> None:
        while self._held:
            self._wake.clear()
            await self._wake.wait()

    async def _turn(self) -> None:
        """Do the next thing there is to do, or wait for it."""
        self._wake.clear()
        if self._held:
            await self._stand_still()
        elif self._doubted:
            await self._make_sure()
        elif self._intake.missed:
            await self._read_again()
        else:
            runner, commits = self._must_run(), self._commits
            if commits.due(runner) and not commits.under_way:
                commits.begin(runner)
            elif self._intake and not commits.full(runner):
                await self._take()
            else:
                await self._wake.wait()

    async def _make_sure(self) -> None:
        """
        Go on only if nobody has had the lane meanwhile. Everything folded is durable here.

        Raises:
            _Anothers: somebody has.
        """
        self._doubted = False
        await self._commits.settle()
        if not await self._ownership.holds(Transaction(self.durable, self._must_run().topic_id)):
            raise _Anothers

    async def _open_anew(self) -> None:
        """Throw away what is in memory: another owner has folded on."""
        log.warning("lane_was_anothers", extra=self._name)
        self.phase = LanePhase.OPENING
        self._quiet.set()
        self._runner = None
        self._intake.clear()
        await self._open()
        self._quiet.clear()

    async def _stand_still(self) -> None:
        await self._commits.flush(self._must_run())
        while self._held:
            self._quiet.set()  # each time round: a `resume` and the next `hold` may both come before this task's turn
            self._wake.clear()
            await self._wake.wait()
        self._moved()

    async def _take(self) -> None:
        chunk = self._intake.take()
        if chunk is None:
            return
        await self._fold_chunk(chunk)
        if chunk.records:
            self._metrics.folded_until(chunk.timestamp / 1000)
        await asyncio.sleep(0)

    async def _fold_chunk(self, chunk: Chunk) -> None:
        runner, topic, partition, commits = self._must_run(), self.topic, self.partition, self._commits
        if chunk.records:
            commits.start_clock()
        # By the tuple's own constructor, which takes half as long: this is done for each record of the log.
        new = tuple.__new__
        records = (new(SourceRecord, (topic, partition, r.offset, r.key, r.value, r.timestamp)) for r in chunk.records)
        gaps = runner.gaps
        for _ in runner.apply(records, _YIELD_EVERY):
            if self._held:
                await self._stand_still()
            if self._doubted:
                await self._make_sure()
            if commits.due(runner):
                if commits.under_way and commits.full(runner):
                    await commits.settle()
                if not commits.under_way:
                    commits.begin(runner)
            commits.start_clock()
            await asyncio.sleep(0)
        self._raises.folded(runner.folded)
        runner.cover(chunk.end)
        if not runner.pending and runner.position != runner.transaction.position:
            commits.start_clock(_COVERED_WITHIN_S)
        if runner.gaps > gaps:
            self._metrics.gap(runner.gaps - gaps)
        self._moved()

    async def _read_again(self) -> None:
        """What came does not meet what was there: read from there again, unless the log itself has lost it."""
        self._metrics.missed()
        bounds = await self._host.bounds(self.topic, self.partition)
        runner = self._must_run()
        check_id(self.topic, self.partition, runner.topic_id, bounds.topic_id)
        try:
            check(self.topic, self.partition, self.received, bounds)
        except SourceGap as gap:
            await self._commits.flush(runner)
            runner.offset, runner.step = accept(gap, self._settings, self._metrics)
            self._intake.received = runner.offset
        await self._intake.read_from(self.received)

    async def _reopen(self, error: FoldRaised) -> None:
        """Throw the processor away and restore it; dead-letter the record that made it raise."""
        await self._commits.settle()
        self.phase = LanePhase.OPENING
        self._quiet.set()
        runner = self._must_run()
        reached, keys = runner.offset, isinstance(runner.processor, Quarantines)
        self._runner = None  # in an unknown state: whatever happens next, nothing of it may be committed
        where = {**self._name, "offset": error.offset, "step": error.step}
        log.error("fold_raised", extra=where, exc_info=error.cause)
        self._raises.blame(error, time.monotonic(), keys=keys)
        self._metrics.reopened()
        await self._restore()
        if error.offset is None:
            self._must_run().careful_until = reached
        self.phase = LanePhase.RUNNING
        self._quiet.clear()
        await self._intake.read_from(self.received)

    async def _hear(self) -> None:
        """Wait for the answer to the record at which the lane stands still, and go on there."""
        runner = self._must_run()
        answer = await hear(runner, self._host)
        log.info("lane_goes_on", extra={**self._name, "offset": runner.offset, "answered_at": answer.offset})
        self._metrics.goes_on()
        self.stopped = None
        self.phase = LanePhase.RUNNING
        self._quiet.clear()
        self._moved()
        await self._intake.read_from(runner.offset)

    async def _stop(self, stopped: LaneStopped) -> None:
        """Keep what was folded before, take nothing more."""
        log.critical("lane_stopped", extra={**self._name, "reason": stopped.reason, "detail": str(stopped)})
        self.stopped = stopped
        self.phase = LanePhase.STOPPED
        self._metrics.stopped(stopped.reason)
        if self._runner is not None and stopped.clean:
            try:
                await self._commits.flush(self._runner)
            except FoldRaised as raised:
                log.error("fold_raised", exc_info=raised.cause)  # noqa: TRY400 - the cause, not its wrapping
        self._intake.clear()

    def _must_run(self) -> LaneRunner:
        if self._runner is None:
            raise RuntimeError(f"lane {self.topic}/{self.partition} is not open")
        return self._runner

    def _moved(self) -> None:
        self.moved_at = time.monotonic()
