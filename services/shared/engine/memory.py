"""
Run the same cores over a log in memory: for replay tests, rule tests and back-tests.

It keeps what matters of Kafka and leaves out the rest: partitions with offsets, holes where a transaction ended,
changelogs, and transactions that are all or nothing. The same input with the same cuts gives the same log, and
whatever the cuts and crashes, the same outputs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.shared.engine.core import NO_APPEND_TIME, Append, Core, SourceRecord
from services.shared.engine.errors import FoldRaised, LaneStopped, TooManyRaises
from services.shared.engine.fold import Draft, LaneFold, Raised, restore
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.spec import LaneSpec
from services.shared.kafka.partition import partition_for


class MemoryLog:
    """Topics of partitions of records. A None in a partition is a hole, as a transaction's marker leaves it."""

    def __init__(
        self, partitions: int = 4, single: Collection[str] = ("fleet", "fleet-partials", "backfill-progress")
    ) -> None:
        """Take the partition count of every topic except the `single` ones, which have one."""
        self.partitions = partitions
        self.single = frozenset(single)
        self._topics: dict[str, list[list[SourceRecord | None]]] = {}

    def count(self, topic: str) -> int:
        """Return how many partitions a topic has."""
        return 1 if topic in self.single else self.partitions

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        appended_at: int = NO_APPEND_TIME,
    ) -> SourceRecord:
        """Append one record, to the partition of its key's hash unless told; return it as stored."""
        if partition is None:
            if key is None:
                raise ValueError(f"a record of {topic} without a key needs a partition")
            partition = partition_for(key, self.count(topic))
        slots = self._slots(topic, partition)
        record = SourceRecord(topic, partition, len(slots), key, value, appended_at)
        slots.append(record)
        return record

    def mark(self, topic: str, partition: int) -> None:
        """Leave a hole, as the marker of a transaction does."""
        self._slots(topic, partition).append(None)

    def read(self, topic: str, partition: int, start: int = 0, limit: int | None = None) -> list[SourceRecord]:
        """Return the records of one partition from an offset on, at most `limit` of them."""
        slots = self._slots(topic, partition)
        found: list[SourceRecord] = []
        for offset in range(start, len(slots)):
            if limit is not None and len(found) >= limit:
                break
            record = slots[offset]
            if record is not None:
                found.append(record)
        return found

    def records(self, topic: str) -> list[SourceRecord]:
        """Return all records of a topic, by partition and offset."""
        return [r for p in range(self.count(topic)) for r in self.read(topic, p)]

    def values(self, topic: str, key: bytes | None = None) -> list[bytes]:
        """Return the values of a topic by partition and offset, of one key if given, without tombstones."""
        return [r.value for r in self.records(topic) if r.value is not None and (key is None or r.key == key)]

    def latest(self, topic: str, partition: int | None = None) -> dict[bytes, bytes]:
        """Return the last value of each key, as compaction would leave it, of one partition or of all."""
        live: dict[bytes, bytes] = {}
        for record in self.records(topic) if partition is None else self.read(topic, partition):
            if record.key is not None and record.value is not None:
                live[record.key] = record.value
            elif record.key is not None:
                live.pop(record.key, None)
        return live

    def _slots(self, topic: str, partition: int) -> list[SourceRecord | None]:
        if topic not in self._topics:
            self._topics[topic] = [[] for _ in range(self.count(topic))]
        return self._topics[topic][partition]


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where chunks and transactions end, and where everything crashes."""

    chunk: Sequence[int] = (1000,)
    """Records per chunk, taken in turn."""
    transaction: int = 1
    """Chunks per transaction; a step of a long fold counts as one."""
    crashes: Collection[int] = ()
    """Points at which all lanes lose their memory. A point is passed after each record or step, before and after
    each commit, and after its appends; they are numbered from 1 over the runner's life."""


@dataclass(slots=True)
class MemoryLane:
    """One lane: its fold, and how far the log has been handed to it."""

    fold: LaneFold
    uncut: int = 0
    raised: dict[int, Raised] = field(default_factory=dict)
    in_a_row: int = 0
    unnamed: int = 0
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
        accept_gap: bool = False,
        max_raises: int = 5,
    ) -> None:
        """Take the specs in the order in which their topics get their turns."""
        self.log = log
        self.specs = list(specs)
        self.cuts = cuts or Cuts()
        self.limits = limits or {}
        self.accept_gap = accept_gap
        self.max_raises = max_raises
        self.points = 0
        self.dead_letters = 0
        self._chunks = 0
        self._lanes: dict[tuple[str, int], MemoryLane] = {}

    def run(self) -> None:
        """Fold everything on the log, and what that puts on the log, until all lanes are at their ends."""
        while self._turn():
            pass

    def core(self, topic: str, partition: int = 0) -> Core:
        """Return the core of one lane, opening the lane if it is not open."""
        return self._lane(self._spec(topic), partition).fold.core

    def stopped(self, topic: str, partition: int = 0) -> LaneStopped | None:
        """Return why a lane stopped, None if it runs."""
        return self._lane(self._spec(topic), partition).stopped

    def crash(self) -> None:
        """Lose all memory; each lane is restored from its changelogs at its next turn."""
        self._lanes.clear()

    def _spec(self, topic: str) -> LaneSpec:
        return next(s for s in self.specs if s.topic == topic)

    def _turn(self) -> bool:
        """Give each lane one transaction; return whether any had something to do."""
        busy = False
        for spec in self.specs:
            for partition in range(self.log.count(spec.topic)):
                try:
                    busy |= self._transaction(spec, partition, self._lane(spec, partition))
                except FoldRaised as raised:
                    self._raise(spec, partition, raised)
                    busy = True
                except _Crash:
                    self.crash()
                    busy = True
        return busy

    def _transaction(self, spec: LaneSpec, partition: int, lane: MemoryLane) -> bool:
        """Fold and commit as many chunks as one transaction spans; return whether there were any."""
        busy = False
        try:
            while lane.stopped is None and lane.uncut < self.cuts.transaction and self._chunk(spec, partition, lane):
                busy = True
        except LaneStopped as stopped:
            lane.stopped = stopped
        self._commit(lane)
        return busy

    def _chunk(self, spec: LaneSpec, partition: int, lane: MemoryLane) -> bool:
        size = self.cuts.chunk[self._chunks % len(self.cuts.chunk)]
        records = self.log.read(spec.topic, partition, lane.fold.offset, size)
        if not records:
            return False
        self._chunks += 1
        steps = lane.fold.step
        for _ in lane.fold.apply(records, breath=1):
            self._settle(lane)
            self._point()
            if lane.fold.step not in (0, steps):
                lane.uncut += 1
                if lane.uncut >= self.cuts.transaction:
                    self._commit(lane)
            steps = lane.fold.step
        self._settle(lane)
        lane.uncut += 1
        if lane.fold.urgent:
            self._commit(lane)
        return True

    def _settle(self, lane: MemoryLane) -> None:
        if lane.in_a_row and lane.fold.offset > max(lane.raised) + 1:
            lane.in_a_row = 0

    def _commit(self, lane: MemoryLane) -> None:
        lane.uncut = 0
        draft = lane.fold.cut()
        if draft is None:
            return
        lane.unnamed = 0
        self._point()
        self._write(lane.fold, draft)
        self.dead_letters += draft.dead_letters
        self._point()
        self._append(draft.appends)
        self._point()

    def _write(self, fold: LaneFold, draft: Draft) -> None:
        stores, partition = fold.spec.stores, fold.partition
        touched = set()
        position = {(fold.spec.position_store, POSITION_KEY): draft.position.encode()}
        for (store, key), value in (draft.changes | position).items():
            touched.add((stores[store], self.log.append(stores[store], key, value, partition).partition))
        for output in draft.outputs:
            touched.add((output.topic, self.log.append(*output).partition))
        for topic, at in sorted(touched):
            self.log.mark(topic, at)

    def _append(self, appends: Iterable[Append]) -> None:
        for append in appends:
            self.log.append(append.topic, append.key, append.value, append.partition)

    def _lane(self, spec: LaneSpec, partition: int) -> MemoryLane:
        lane = self._lanes.get((spec.topic, partition))
        if lane is None:
            lane = self._lanes[spec.topic, partition] = MemoryLane(self._open(spec, partition, {}))
        return lane

    def _open(self, spec: LaneSpec, partition: int, raised: Mapping[int, Raised]) -> LaneFold:
        core = spec.core(partition)
        stores = {store: self.log.latest(topic, partition) for store, topic in spec.stores.items()}
        restoring = restore(core, stores, spec.position_store)
        while True:
            try:
                next(restoring)
            except StopIteration as done:
                position, appends = done.value
                break
        self._append(appends)
        return LaneFold(
            spec,
            partition,
            core,
            position or Position(0),
            raised=raised,
            limits=self.limits,
            accept_gap=self.accept_gap,
        )

    def _raise(self, spec: LaneSpec, partition: int, error: FoldRaised) -> None:
        lane = self._lanes[spec.topic, partition]
        reached = lane.fold.offset
        if error.offset is None:
            lane.unnamed += 1
        else:
            lane.raised[error.offset] = Raised(error.step, f"{type(error.cause).__name__}: {error.cause}")
            lane.in_a_row += 1
            lane.unnamed = 0
        many = max(lane.in_a_row, lane.unnamed)
        if many >= self.max_raises:
            lane.stopped = TooManyRaises(f"{spec.topic}/{partition}: {many} folds in a row raised, last: {error}")
        lane.fold = self._open(spec, partition, lane.raised)
        lane.uncut = 0
        if error.offset is None:
            lane.fold.careful_until = reached

    def _point(self) -> None:
        self.points += 1
        if self.points in self.cuts.crashes:
            raise _Crash
