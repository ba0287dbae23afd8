"""
One lane on Kafka: it opens, takes chunks, folds them, and commits what they did, in a task of its own.

Promises: what it has committed is exactly what the records before its position do, once. It never commits after an
error whose outcome is not known. Failure is of three kinds: a record (put aside, the lane is restored where its state
is in doubt), the lane (`LaneStopped`: it waits for an operator), the process (everything else: fail-stop).
"""

from __future__ import annotations

import asyncio
import logging
import time
from enum import Enum

from services.shared.engine.chunks import Chunk
from services.shared.engine.commits import Commits
from services.shared.engine.core import Core, Quarantines, SourceRecord
from services.shared.engine.draft import Draft
from services.shared.engine.errors import FoldRaised, LaneStopped, SourceGap, Unanswered
from services.shared.engine.fold import LaneFold
from services.shared.engine.hearing import hear
from services.shared.engine.intake import Intake
from services.shared.engine.lane_metrics import LaneMetrics
from services.shared.engine.opening import accept, open_fold
from services.shared.engine.ownership import Ownership
from services.shared.engine.position import Position
from services.shared.engine.raises import Raises
from services.shared.engine.spec import LaneSpec
from services.shared.engine.start import check, check_id
from services.shared.engine.surroundings import Surroundings

log = logging.getLogger(__name__)

_BREATH = 500
"""Records folded before the other tasks of the loop get a turn."""
RESTORES_WITHIN_S = 600.0
"""The time in which the restores of a lane are bounded."""
_COVERED_WITHIN_S = 60.0
"""A position that only markers have moved is committed with the next records, or after this time without any."""


class LaneState(Enum):
    """Where a lane is in its life."""

    OPENING = "opening"
    RUNNING = "running"
    STOPPED = "stopped"
    CLOSED = "closed"


class _Anothers(Exception):
    """Another owner has opened the lane while this one stood still."""


class Lane:
    """One partition of one source topic; made by the worker when it gets the partition."""

    def __init__(
        self, spec: LaneSpec, partition: int, generation: int, around: Surroundings, metrics: LaneMetrics
    ) -> None:
        """Take the group generation in which the partition came; `start` makes it run."""
        self.spec = spec
        self.topic = spec.topic
        self.partition = partition
        self._name = {"topic": spec.topic, "partition": partition}
        self.generation = generation
        self.state = LaneState.OPENING
        self.stopped: LaneStopped | None = None
        self.moved_at = time.monotonic()
        self.behind = 0
        """Records between here and the end of the source, as last observed."""
        self._around = around
        self._settings = settings = around.settings
        self._metrics = metrics
        self._fold: LaneFold | None = None
        self._held = False
        self._doubted = False
        self._quiet = asyncio.Event()
        self._wake = asyncio.Event()
        where = f"{spec.topic}/{partition}"
        self._raises = Raises(where, settings.max_raises, settings.max_restores, RESTORES_WITHIN_S)
        self._intake = Intake(spec.topic, partition, around)
        self._ownership = Ownership(lambda: around.writer(spec, partition))
        self._commits = Commits(self._ownership, around, metrics, self._raises, moved=self._moved, wake=self._wake.set)
        self._task: asyncio.Task[None] | None = None

    # what others see

    @property
    def ready(self) -> bool:
        """Whether the lane folds what it gets."""
        return self.state is LaneState.RUNNING

    @property
    def core(self) -> Core | None:
        """The core as it is now; another object after a reopening, None while there is none. Only to be read."""
        return self._fold.core if self._fold is not None else None

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
        return self._fold.position if self._fold is not None else self.durable

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
        if self.state in (LaneState.STOPPED, LaneState.CLOSED):
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
        if self.state is LaneState.RUNNING and self._task is not None:
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
        if self.state is LaneState.OPENING:
            self._intake.clear()
        self._wake.set()

    def doubt(self) -> None:
        """Make sure that nobody has had the lane meanwhile before anything more is folded; open it anew if so."""
        self._doubted = True

    def abandon(self) -> None:
        """Start nothing more from now on; `close` waits for what is under way."""
        self.state = LaneState.CLOSED
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
        self._fold = None

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
            self._around.fail(error)

    async def _open(self) -> None:
        began = time.monotonic()
        async with self._around.openings:
            elsewhere = await self._restore()
        if elsewhere and not self._intake.reaches(self.received):
            # Without the group's offset Faust reads from the beginning: that may be 400 days to skip.
            await self._intake.read_from(self.received)
        self._intake.compared()
        self.state = LaneState.RUNNING
        self._moved()
        self._metrics.opened(time.monotonic() - began)
        offset, step = self.durable
        log.info("lane_opened", extra={**self._name, "offset": offset, "step": step})

    async def _restore(self) -> bool:
        """
        Build a new core from the changelogs and take the queue up where it ends; return whether it must be sought.

        A new writer comes first, also when the lane was ours before: starting it fences a former owner, and returns
        only when the end of the last transaction has reached every partition. A commit that has been acknowledged
        may not yet be visible in the changelogs.
        """
        self._intake.received = -1
        await self._ownership.claim(self._until_resumed)
        self._fold, elsewhere = await open_fold(self.spec, self.partition, self._around, self._metrics, self._raises)
        self._commits.restart(self._fold.position)
        self._intake.received = self._fold.offset
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
            fold, commits = self._must_fold(), self._commits
            if commits.due(fold) and not commits.under_way:
                commits.begin(fold)
            elif self._intake and not commits.full(fold):
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
        if not await self._ownership.holds(Draft(self.durable, self._must_fold().topic_id)):
            raise _Anothers

    async def _open_anew(self) -> None:
        """Throw away what is in memory: another owner has folded on."""
        log.warning("lane_was_anothers", extra=self._name)
        self.state = LaneState.OPENING
        self._quiet.set()
        self._fold = None
        self._intake.clear()
        await self._open()
        self._quiet.clear()

    async def _stand_still(self) -> None:
        await self._commits.flush(self._must_fold())
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
        fold, topic, partition, commits = self._must_fold(), self.topic, self.partition, self._commits
        if chunk.records:
            commits.start_clock()
        # By the tuple's own constructor, which takes half as long: this is done for each record of the log.
        new = tuple.__new__
        records = (new(SourceRecord, (topic, partition, r.offset, r.key, r.value, r.timestamp)) for r in chunk.records)
        gaps = fold.gaps
        for _ in fold.apply(records, _BREATH):
            if self._held:
                await self._stand_still()
            if self._doubted:
                await self._make_sure()
            if commits.due(fold):
                if commits.under_way and commits.full(fold):
                    await commits.settle()
                if not commits.under_way:
                    commits.begin(fold)
            commits.start_clock()
            await asyncio.sleep(0)
        self._raises.folded(fold.folded)
        fold.cover(chunk.end)
        if not fold.pending and fold.position != fold.draft.position:
            commits.start_clock(_COVERED_WITHIN_S)
        if fold.gaps > gaps:
            self._metrics.gap(fold.gaps - gaps)
        self._moved()

    async def _read_again(self) -> None:
        """What came does not meet what was there: read from there again, unless the log itself has lost it."""
        self._metrics.missed()
        bounds = await self._around.bounds(self.topic, self.partition)
        fold = self._must_fold()
        check_id(self.topic, self.partition, fold.topic_id, bounds.topic_id)
        try:
            check(self.topic, self.partition, self.received, bounds)
        except SourceGap as gap:
            await self._commits.flush(fold)
            fold.offset, fold.step = accept(gap, self._settings, self._metrics)
            self._intake.received = fold.offset
        await self._intake.read_from(self.received)

    async def _reopen(self, error: FoldRaised) -> None:
        """Throw the core away and restore it; put the record aside that made it raise."""
        await self._commits.settle()
        self.state = LaneState.OPENING
        self._quiet.set()
        fold = self._must_fold()
        reached, keys = fold.offset, isinstance(fold.core, Quarantines)
        self._fold = None  # in an unknown state: whatever happens next, nothing of it may be committed
        where = {**self._name, "offset": error.offset, "step": error.step}
        log.error("fold_raised", extra=where, exc_info=error.cause)
        self._raises.blame(error, time.monotonic(), keys=keys)
        self._metrics.reopened()
        await self._restore()
        if error.offset is None:
            self._must_fold().careful_until = reached
        self.state = LaneState.RUNNING
        self._quiet.clear()
        await self._intake.read_from(self.received)

    async def _hear(self) -> None:
        """Wait for the answer to the record at which the lane stands still, and go on there."""
        fold = self._must_fold()
        answer = await hear(fold, self._around)
        log.info("lane_goes_on", extra={**self._name, "offset": fold.offset, "answered_at": answer.offset})
        self._metrics.goes_on()
        self.stopped = None
        self.state = LaneState.RUNNING
        self._quiet.clear()
        self._moved()
        await self._intake.read_from(fold.offset)

    async def _stop(self, stopped: LaneStopped) -> None:
        """Keep what was folded before, take nothing more."""
        log.critical("lane_stopped", extra={**self._name, "reason": stopped.reason, "detail": str(stopped)})
        self.stopped = stopped
        self.state = LaneState.STOPPED
        self._metrics.stopped(stopped.reason)
        if self._fold is not None and stopped.clean:
            try:
                await self._commits.flush(self._fold)
            except FoldRaised as raised:
                log.error("fold_raised", exc_info=raised.cause)  # noqa: TRY400 - the cause, not its wrapping
        self._intake.clear()

    def _must_fold(self) -> LaneFold:
        if self._fold is None:
            raise RuntimeError(f"lane {self.topic}/{self.partition} is not open")
        return self._fold

    def _moved(self) -> None:
        self.moved_at = time.monotonic()
