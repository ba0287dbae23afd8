"""
Run the same processors over a log in memory: for replay tests, rule tests and back-tests.

Lanes open from their changelogs, fold, and write transactions that are all or nothing. The same input with the same
cuts gives the same log, and whatever the cuts and crashes, the same outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.shared.engine.errors import FoldRaised, LaneStopped, Unanswered
from services.shared.engine.fold.failure_policy import Patience
from services.shared.engine.fold.raises import Raises
from services.shared.engine.fold.restore import restore
from services.shared.engine.fold.runner import LaneRunner
from services.shared.engine.fold.start import check, check_id, start
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.position import POSITION_KEY
from services.shared.engine.processor import Append, Asks, Processor
from services.shared.engine.spec import AppendOrder, LaneSpec
from services.shared.kafka.partition import TopicPartition

MAX_RESTORES_RECORDS = 10_000
"""Folded records within which the restores of a lane are bounded: a log in memory has no clock."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where chunks and transactions end, and where everything crashes."""

    chunk: Sequence[int] = (1000,)
    """Records per chunk, taken in turn."""
    transaction: int = 1
    """Chunks per transaction; a step of a long fold counts as one."""
    crashes: Collection[int] = ()
    """Points at which all lanes lose their memory. A point is passed after each record or step, before and after
    each commit, and between it and its appends; they are numbered from 1 over the runner's life."""


@dataclass(slots=True)
class MemoryLane:
    """
    One lane: its runner, unless it stopped while it opened.

    `uncut` counts chunks and steps since the last transaction, `records` all records that the lane has been given.
    """

    raises: Raises
    runner: LaneRunner | None = None
    uncut: int = 0
    records: int = 0
    stopped: LaneStopped | None = None


class _Crash(Exception):
    pass


class MemoryRunner:
    """Drive the lanes of some specs over a MemoryLog until nothing is left to fold."""

    def __init__(
        self,
        log: MemoryLog,
        specs: Iterable[LaneSpec],
        cuts: Cuts | None = None,
        *,
        limits: Mapping[str, int] | None = None,
        max_raises: int = 5,
        max_restores: int = 20,
    ) -> None:
        """Take the specs in the order in which their topics get their turns."""
        self.log = log
        self.specs = list(specs)
        self.cuts = cuts or Cuts()
        self.limits = limits or {}
        self.max_raises = max_raises
        self.max_restores = max_restores
        self.points = 0
        self.dead_letters = 0
        self._chunks = 0
        self._lanes: dict[TopicPartition, MemoryLane] = {}

    def run(self) -> None:
        """Fold everything on the log, and what that puts on the log, until all lanes are at their ends."""
        while self._each(self._transaction) or self._each(self._commit_covered):
            pass

    def processor(self, topic: str, partition: int = 0) -> Processor:
        """
        Return the processor of one lane, opening the lane if it is not open.

        Raises:
            LaneStopped: the lane could not be opened.
        """
        lane = self._lane(self._spec(topic), partition)
        if lane.runner is None:
            raise lane.stopped or RuntimeError("a lane without a fold")
        return lane.runner.processor

    def stopped(self, topic: str, partition: int = 0) -> LaneStopped | None:
        """Return why a lane stopped, None if it runs."""
        return self._lane(self._spec(topic), partition).stopped

    def crash(self) -> None:
        """Lose all memory; each lane is restored from its changelogs at its next turn."""
        self._lanes.clear()

    def _spec(self, topic: str) -> LaneSpec:
        return next(s for s in self.specs if s.topic == topic)

    def _each(self, work: Callable[[LaneSpec, int, MemoryLane], bool]) -> bool:
        """Give each lane a turn; return whether any had something to do."""
        busy = False
        for spec in self.specs:
            for partition in range(self.log.count(spec.topic)):
                lane = self._lane(spec, partition)
                try:
                    busy |= self._until_stopped(work, spec, partition, lane)
                except FoldRaised as raised:
                    self._reopen(spec, partition, lane, raised)
                    busy = True
                except _Crash:
                    self.crash()
                    busy = True
        return busy

    def _until_stopped(
        self, work: Callable[[LaneSpec, int, MemoryLane], bool], spec: LaneSpec, partition: int, lane: MemoryLane
    ) -> bool:
        """Work on a lane; where it stops, commit what was folded before."""
        if isinstance(lane.stopped, Unanswered):
            self._hear(spec, partition, lane)
        if lane.stopped is not None or lane.runner is None:
            return False
        try:
            return work(spec, partition, lane)
        except LaneStopped as stopped:
            if stopped.clean:
                self._commit(lane)
            lane.stopped = stopped
            return True

    def _hear(self, spec: LaneSpec, partition: int, lane: MemoryLane) -> None:
        """Look ahead for the answer to the record at which a lane stands still."""
        runner = lane.runner
        if runner is None or not isinstance(runner.processor, Asks):
            return
        for record in self.log.read(spec.topic, partition, runner.offset + 1):
            if runner.processor.is_answer(record):
                runner.processor.answered(record)
                lane.stopped = None
                return

    def _transaction(self, spec: LaneSpec, partition: int, lane: MemoryLane) -> bool:
        """Fold and commit as many chunks as one transaction spans; return whether there were any."""
        busy = False
        while lane.uncut < self.cuts.transaction and self._chunk(spec, partition, lane):
            busy = True
        if lane.runner is not None and lane.runner.pending:
            self._commit(lane)
        lane.uncut = 0
        return busy

    def _commit_covered(self, _spec: LaneSpec, _partition: int, lane: MemoryLane) -> bool:
        """Commit a position that only markers have moved, once nothing else is left; return whether there was one."""
        if lane.runner is None or lane.runner.position == lane.runner.transaction.position:
            return False
        self._commit(lane)
        return True

    def _chunk(self, spec: LaneSpec, partition: int, lane: MemoryLane) -> bool:
        runner = lane.runner
        if runner is None:
            return False
        bounds = self.log.bounds(spec.topic, partition)
        check_id(spec.topic, partition, runner.topic_id, bounds.topic_id)
        check(spec.topic, partition, runner.offset, bounds)
        size = self.cuts.chunk[self._chunks % len(self.cuts.chunk)]
        records, end = self.log.fetch(spec.topic, partition, runner.offset, size)
        if end <= runner.offset:
            return False
        if records:
            self._chunks += 1
        steps = runner.step
        for _ in runner.apply(records, yield_every=1):
            self._point()
            if runner.step not in (0, steps):
                lane.uncut += 1
                if lane.uncut >= self.cuts.transaction:
                    self._commit(lane)
            steps = runner.step
        lane.records += len(records)
        runner.cover(end)
        if records:
            lane.uncut += 1
            if runner.urgent:
                self._commit(lane)
        return True

    def _commit(self, lane: MemoryLane) -> None:
        lane.uncut = 0
        transaction = lane.runner.take_transaction() if lane.runner is not None else None
        if lane.runner is None or transaction is None:
            return
        self._point()
        if lane.runner.spec.appends is AppendOrder.BEFORE_COMMIT:
            self._append(transaction.appends)
            self._point()
            self._write(lane.runner, transaction)
        else:
            self._write(lane.runner, transaction)
            self._point()
            self._append(transaction.appends)
        self._point()

    def _write(self, runner: LaneRunner, transaction: Transaction) -> None:
        stores, partition = runner.spec.stores, runner.partition
        touched = set()
        positions = dict.fromkeys(((store, POSITION_KEY) for store in stores), transaction.encoded_position())
        for (store, key), value in (transaction.changes | positions).items():
            touched.add((stores[store], self.log.append(stores[store], key, value, partition).partition))
        for output in transaction.outputs:
            touched.add((output.topic, self.log.append(*output).partition))
        for topic, at in sorted(touched):
            self.log.mark(topic, at)
        self.dead_letters += transaction.dead_letters

    def _append(self, appends: Iterable[Append]) -> None:
        for append in appends:
            self.log.append(append.topic, append.key, append.value, append.partition)

    def _lane(self, spec: LaneSpec, partition: int) -> MemoryLane:
        lane = self._lanes.get((spec.topic, partition))
        if lane is None:
            patience = Patience(self.max_raises, self.max_restores, MAX_RESTORES_RECORDS)
            lane = self._lanes[spec.topic, partition] = MemoryLane(Raises(f"{spec.topic}/{partition}", patience))
            self._open(spec, partition, lane)
        return lane

    def _open(self, spec: LaneSpec, partition: int, lane: MemoryLane) -> None:
        lane.runner, lane.uncut = None, 0
        stores = {store: self.log.latest(topic, partition) for store, topic in spec.stores.items()}
        bounds = self.log.bounds(spec.topic, partition)
        restoring = restore(spec, partition, stores)
        try:
            while True:
                try:
                    next(restoring)
                except StopIteration as done:
                    processor, held, appends = done.value
                    break
            position = start(spec.topic, partition, held, bounds)
        except LaneStopped as stopped:
            lane.stopped = stopped
            return
        self._append(appends)
        lane.raises.restored(position.offset)
        lane.runner = LaneRunner(
            spec,
            partition,
            processor,
            position,
            raises=lane.raises,
            topic_id=bounds.topic_id,
            limits=self.limits,
        )

    def _reopen(self, spec: LaneSpec, partition: int, lane: MemoryLane, error: FoldRaised) -> None:
        if lane.runner is None:
            raise error
        try:
            lane.runner.blame(error, lane.records)
        except LaneStopped as stopped:
            lane.stopped = stopped
        self._open(spec, partition, lane)

    def _point(self) -> None:
        self.points += 1
        if self.points in self.cuts.crashes:
            raise _Crash
