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

from aiokafka.errors import KafkaError

from services.shared.engine.chunks import Chunk
from services.shared.engine.core import Asks, Core, Quarantines, SourceRecord
from services.shared.engine.errors import FailStop, FoldRaised, LaneStopped, SourceGap, Unanswered
from services.shared.engine.fold import Draft, LaneFold
from services.shared.engine.lane_metrics import LaneMetrics
from services.shared.engine.opening import accept, open_fold
from services.shared.engine.position import Position
from services.shared.engine.queue import ChunkQueue
from services.shared.engine.raises import Raises
from services.shared.engine.spec import LaneSpec
from services.shared.engine.start import check, check_id
from services.shared.engine.surroundings import Surroundings, Writer

log = logging.getLogger(__name__)

_BREATH = 500
"""Records folded before the other tasks of the loop get a turn."""
RESTORES_WITHIN_S = 600.0
"""The time in which the restores of a lane are bounded."""
_COVERED_WITHIN_S = 60.0
"""A position that only markers have moved is committed with the next records, or after this time without any."""
_DOUBT_AFTER_S = 10.0
"""After this time nothing from before a seek is on its way: what was delivered before should not come again."""
_LOOK_EVERY_S = 2.0
"""How often a lane that stands still looks for the answer that it waits for."""
_FENCE_WITHIN_S = 5.0
"""How long a rebalance waits for a writer that is just starting, before it gives that up."""


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
        self.durable = Position(0)
        self.received = -1
        """How far the log has been delivered to this lane without a hole; -1 while it does not take chunks."""
        self.moved_at = time.monotonic()
        self.behind = 0
        """Records between here and the end of the source, as last observed."""
        self._around = around
        self._settings = around.settings
        self._metrics = metrics
        self._writer: Writer | None = None
        self._fold: LaneFold | None = None
        self._queue = ChunkQueue(around.settings, lambda hold: around.hold_fetch(spec.topic, partition, hold))
        self._missed = False
        self._asked_at = self.moved_at
        """When the source was last compared with what has been delivered, or was read from elsewhere."""
        settings = self._settings
        where = f"{self.topic}/{partition}"
        self._raises = Raises(where, settings.max_raises, settings.max_restores, RESTORES_WITHIN_S)
        self._fencing: asyncio.Task[None] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._held = False
        self._doubted = False
        self._quiet = asyncio.Event()
        self._wake = asyncio.Event()
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
    def next(self) -> Position:
        """The first record, and the step within it, that is not folded yet."""
        return self._fold.position if self._fold is not None else self.durable

    @property
    def queued(self) -> int:
        """Records that wait to be folded."""
        return self._queue.records

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
        self._queue.put(chunk)
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
        elif self._fencing is not None:
            _, late = await asyncio.wait([self._fencing], timeout=_FENCE_WITHIN_S)
            for task in late:
                task.cancel()

    def resume(self) -> None:
        """Go on after `hold`; Faust reads again from the committed offset on, so an opening lane's queue starts anew."""
        self._held = False
        self._asked_at = time.monotonic()
        self._quiet.clear()
        if self.state is LaneState.OPENING:
            self._queue.clear()
        self._wake.set()

    def doubt(self) -> None:
        """Make sure that nobody has had the lane meanwhile before anything more is folded; open it anew if so."""
        self._doubted = True

    def abandon(self) -> None:
        """Start nothing more from now on; `close` waits for what is under way."""
        self.state = LaneState.CLOSED
        self._queue.clear()
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """End the lane without committing anything more; `hold` before keeps what is folded."""
        self.abandon()
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._committing is not None:
            await asyncio.wait([self._committing])
        if self._timer is not None:
            self._timer.cancel()
        if self._writer is not None:
            await self._writer.close()
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
        if elsewhere and not self._queue.reaches(self.received):
            # Without the group's offset Faust reads from the beginning: that may be 400 days to skip.
            self._queue.clear()
            await self._around.seek(self.topic, self.partition, self.received)
        self._asked_at = time.monotonic()
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
        self.received = -1
        await self._fence()
        self._fold, elsewhere = await open_fold(self.spec, self.partition, self._around, self._metrics, self._raises)
        self.durable = self._fold.position
        self._deadline = None
        self.received = self.durable.offset
        return elsewhere

    async def _fence(self) -> None:
        """
        Start a new writer, never between a revocation and the assignment that follows it.

        A start that was sent late would fence a new owner that has opened already, and end its process. So `hold` waits
        for the one that is under way, or gives it up, before the group may give the partition to another.
        """
        while True:
            if self._writer is not None:
                await self._writer.close()
            while self._held:
                self._wake.clear()
                await self._wake.wait()
            self._writer = self._around.writer(self.spec, self.partition)
            self._fencing = starting = asyncio.create_task(self._writer.start())
            try:
                await asyncio.wait([starting])
            finally:
                self._fencing = None
                starting.cancel()
            if not starting.cancelled():
                starting.result()
                return

    async def _turn(self) -> None:
        """Do the next thing there is to do, or wait for it."""
        self._wake.clear()
        if self._held:
            await self._stand_still()
        elif self._doubted:
            await self._make_sure()
        elif self._missed:
            await self._read_again()
        elif self._due() and self._committing is None:
            self._commit()
        elif self._queue and not self._full():
            await self._take(self._queue.take())
        else:
            await self._wake.wait()

    async def _make_sure(self) -> None:
        """
        Go on only if nobody has had the lane meanwhile. Everything folded is durable here.

        Raises:
            _Anothers: somebody has.
        """
        self._doubted = False
        await self._committed()
        if self._writer is None or not await self._writer.holds(Draft(self.durable, self._must_fold().topic_id)):
            raise _Anothers

    async def _open_anew(self) -> None:
        """Throw away what is in memory: another owner has folded on."""
        log.warning("lane_was_anothers", extra=self._name)
        self.state = LaneState.OPENING
        self._quiet.set()
        self._fold = None
        self._missed = False
        self._queue.clear()
        await self._open()
        self._quiet.clear()

    async def _stand_still(self) -> None:
        await self._flush()
        while self._held:
            self._quiet.set()  # each time round: a `resume` and the next `hold` may both come before this task's turn
            self._wake.clear()
            await self._wake.wait()
        self._moved()

    async def _take(self, chunk: Chunk) -> None:
        if chunk.start < self.received and time.monotonic() - self._asked_at > _DOUBT_AFTER_S:
            self._missed = True  # nobody has asked for this again: another topic of the same name?
            return
        if chunk.end <= self.received:
            return
        if chunk.start > self.received:
            self._missed = True
            return
        self.received = chunk.end
        await self._fold_chunk(chunk)
        if chunk.records:
            self._metrics.folded_until(chunk.timestamp / 1000)
        await asyncio.sleep(0)

    async def _fold_chunk(self, chunk: Chunk) -> None:
        fold, topic, partition = self._must_fold(), self.topic, self.partition
        if chunk.records:
            self._start_clock()
        # By the tuple's own constructor, which takes half as long: this is done for each record of the log.
        new = tuple.__new__
        records = (new(SourceRecord, (topic, partition, r.offset, r.key, r.value, r.timestamp)) for r in chunk.records)
        gaps = fold.gaps
        for _ in fold.apply(records, _BREATH):
            if self._held:
                await self._stand_still()
            if self._doubted:
                await self._make_sure()
            if self._due():
                if self._committing is not None and self._full():
                    await self._committed()
                if self._committing is None:
                    self._commit()
            self._start_clock()
            await asyncio.sleep(0)
        self._raises.folded(fold.folded)
        fold.cover(chunk.end)
        if not fold.pending and fold.position != fold.draft.position:
            self._start_clock(_COVERED_WITHIN_S)
        if fold.gaps > gaps:
            self._metrics.gap(fold.gaps - gaps)
        self._moved()

    async def _read_again(self) -> None:
        """What came does not meet what was there: read from there again, unless the log itself has lost it."""
        self._missed = False
        self._metrics.missed()
        bounds = await self._around.bounds(self.topic, self.partition)
        self._asked_at = time.monotonic()
        fold = self._must_fold()
        check_id(self.topic, self.partition, fold.topic_id, bounds.topic_id)
        try:
            check(self.topic, self.partition, self.received, bounds)
        except SourceGap as gap:
            await self._flush()
            fold.offset, fold.step = accept(gap, self._settings, self._metrics)
            self.received = fold.offset
        self._queue.clear()
        await self._around.seek(self.topic, self.partition, self.received)

    async def _reopen(self, error: FoldRaised) -> None:
        """Throw the core away and restore it; put the record aside that made it raise."""
        await self._committed()
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
        self._missed = False
        self._queue.clear()
        self.state = LaneState.RUNNING
        self._quiet.clear()
        self._asked_at = time.monotonic()
        await self._around.seek(self.topic, self.partition, self.received)

    async def _hear(self) -> None:
        """Wait for the answer to the record at which the lane stands still, and go on there."""
        fold = self._must_fold()
        core = fold.core
        if not isinstance(core, Asks):
            raise TypeError(f"a core that asks must be able to hear: {type(core).__name__}")
        answer, at = None, fold.offset + 1
        while answer is None:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                answer, at = await self._around.look_ahead(self.topic, self.partition, at, core.is_answer)
            except (KafkaError, OSError) as error:
                log.warning("look_ahead_failed", extra={**self._name, "error": repr(error)})
        core.answered(answer)
        log.info("lane_goes_on", extra={**self._name, "offset": fold.offset, "answered_at": answer.offset})
        self._metrics.goes_on()
        self.stopped = None
        self.state = LaneState.RUNNING
        self._quiet.clear()
        self._moved()
        self._queue.clear()
        self.received = fold.offset
        self._asked_at = time.monotonic()
        await self._around.seek(self.topic, self.partition, self.received)

    async def _stop(self, stopped: LaneStopped) -> None:
        """Keep what was folded before, take nothing more."""
        log.critical("lane_stopped", extra={**self._name, "reason": stopped.reason, "detail": str(stopped)})
        self.stopped = stopped
        self.state = LaneState.STOPPED
        self._metrics.stopped(stopped.reason)
        if self._fold is not None and stopped.clean:
            try:
                await self._flush()
            except FoldRaised as raised:
                log.error("fold_raised", exc_info=raised.cause)  # noqa: TRY400 - the cause, not its wrapping
        self._queue.clear()

    # transactions

    def _due(self) -> bool:
        fold = self._must_fold()
        if self._deadline is None or fold.position == fold.draft.position:
            return False
        return time.monotonic() >= self._deadline or (fold.pending and (fold.urgent or self._full()))

    def _full(self) -> bool:
        draft, settings = self._must_fold().draft, self._settings
        return draft.records >= settings.transaction_records or draft.size >= settings.transaction_bytes

    def _start_clock(self, wait: float | None = None) -> None:
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
        self._wake.set()

    def _commit(self) -> None:
        draft = self._must_fold().cut()
        self._deadline = None
        if draft is not None:
            self._committing = asyncio.create_task(self._write(draft))

    async def _write(self, draft: Draft) -> None:
        began = time.monotonic()
        try:
            if self._writer is None:
                raise FailStop("a lane without a writer was asked to commit")
            await self._writer.write(draft)
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
        self._wake.set()

    async def _committed(self) -> None:
        """Wait until no transaction is under way."""
        if self._committing is not None:
            await asyncio.wait([self._committing])

    async def _flush(self) -> None:
        """Make everything folded durable."""
        await self._committed()
        if self._committing is not None:
            raise FailStop("a former transaction of the lane has failed")
        self._commit()
        await self._committed()

    def _must_fold(self) -> LaneFold:
        if self._fold is None:
            raise RuntimeError(f"lane {self.topic}/{self.partition} is not open")
        return self._fold

    def _moved(self) -> None:
        self.moved_at = time.monotonic()
