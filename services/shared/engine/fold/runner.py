"""
One lane without any I/O: records go in by offset, pass through the processor, and come out as transactions.

The Kafka lane and the in-memory runner both use this, so that skipping, gaps, poison, steps and folds that raise
mean the same everywhere. Nothing here is durable: the caller commits a `Transaction`, or throws the whole
object away and restores a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from services.shared.engine.errors import FoldRaised, LaneStopped, NotThisVersion, SourceGap
from services.shared.engine.fold.failure_policy import PROCESS_ERRORS, SkipRecord
from services.shared.engine.fold.gathering import NO_LIMIT, Gathering
from services.shared.engine.fold.raises import Raises
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.position import UNKNOWN_TOPIC, Position
from services.shared.engine.processor import Processor, Quarantines, SourceRecord
from services.shared.engine.spec import LaneSpec, SourceMode
from services.shared.errors import Poison, UnknownVersion


class LaneRunner:
    """
    Drive one processor; keep its position; gather its outputs and changes.

    What raised before the last restore is dead-lettered, or has its key set apart beforehand (`raises`).
    """

    __slots__ = (
        "_gathering",
        "accept_gap",
        "folded",
        "gaps",
        "offset",
        "partition",
        "processor",
        "raises",
        "spec",
        "state_ids",
        "step",
        "topic_id",
    )

    def __init__(
        self,
        spec: LaneSpec,
        partition: int,
        processor: Processor,
        position: Position,
        *,
        raises: Raises,
        topic_id: bytes = UNKNOWN_TOPIC,
        state_ids: str = "",
        limits: Mapping[str, int] | None = None,
        accept_gap: bool = False,
        most_bytes: int = NO_LIMIT,
        quiet_until: Position | None = None,
    ) -> None:
        """
        Take a restored processor and its position; `limits` are bytes per record by topic, `most_bytes` bytes per transaction.

        Up to `quiet_until` nothing is given out, only the state is made.
        """
        self.spec = spec
        self.partition = partition
        self.processor = processor
        self.offset, self.step = position
        self.topic_id = topic_id
        self.state_ids = state_ids
        self.raises = raises
        self.accept_gap = accept_gap
        self.gaps = 0
        self.folded = -1
        """The last record that was folded, or was poison: not one of those dead-lettered because they raise."""
        self._gathering = Gathering(
            spec,
            processor,
            Transaction(position, topic_id, state_ids, quiet_until=quiet_until),
            limits or {},
            most_bytes,
        )

    @property
    def urgent(self) -> bool:
        """Whether someone waits for what has been folded since the last transaction, gathered or not."""
        return self._gathering.urgent

    @property
    def position(self) -> Position:
        """The first record, and the step within it, that is not folded yet."""
        return Position(self.offset, self.step)

    @property
    def transaction(self) -> Transaction:
        """What has been gathered since the last transaction; incomplete until `take_transaction`."""
        return self._gathering.transaction

    @property
    def pending(self) -> bool:
        """Whether a record or a step has been folded since the last transaction: the processor may have changed."""
        transaction = self._gathering.transaction
        return transaction.records > 0 or (self.step > 0 and self.position != transaction.position)

    def apply(self, records: Iterable[SourceRecord], yield_every: int) -> Iterator[None]:
        """
        Fold records from the position on; yield after each `yield_every` records and after each step of a long one.

        It also yields when the transaction has reached its size. At each yield, and at the end, the caller may `take_transaction`.
        Records below the position are skipped.

        Raises:
            SourceGap: a record is missing; everything before it has been folded.
            NotThisVersion: a record is of a version that the processor does not know.
            FoldRaised: the processor is in an unknown state; this object must be thrown away.
            Fatal, OSError, MemoryError: as raised by the processor.
        """
        processor, gathering = self.processor, self._gathering
        raised_at, faults_at, careful_until = self.raises.records, self.raises.faults, self.raises.careful_until
        since = 0
        for record in records:
            offset = record.offset
            if offset != self.offset:
                if offset < self.offset:
                    continue
                self._skip_to(offset)
            if gathering.quiet:
                self._speak_again()
            raised = raised_at.get(offset) if raised_at else None
            if raised is not None:
                yield from self._replay_good_steps(record, raised)
                gathering.dead_letter(record, Poison("fold_raised", detail=raised.detail), self.step)
                gathering.transaction.records += 1
            else:
                try:
                    try:
                        item = processor.decode(record)
                    except UnknownVersion as unknown:
                        raise NotThisVersion(self.spec.topic, self.partition, offset, unknown, clean=True) from unknown
                    if faults_at:
                        self._set_apart(offset)
                    steps = processor.fold(offset, item, self.step)
                    if steps is not None:
                        yield from self._walk(steps)
                except Poison as poison:
                    gathering.dead_letter(record, poison, self.step)
                except UnknownVersion as unknown:
                    raise NotThisVersion(self.spec.topic, self.partition, offset, unknown, clean=False) from unknown
                except (*PROCESS_ERRORS, FoldRaised, LaneStopped):
                    raise
                except Exception as error:
                    raise FoldRaised(offset, error, self.step) from error
                gathering.transaction.records += 1
                if offset <= careful_until:
                    gathering.gather(offset, self.step)
                self.folded = offset
            self.offset = offset + 1
            self.step = 0
            since += 1
            if (gathering.transaction.records >= gathering.measure_at and gathering.measure()) or since >= yield_every:
                since = 0
                yield

    def cover(self, end: int) -> None:
        """
        Go on at `end`: from the position up to there the log holds nothing to read.

        Raises:
            SourceGap: the source never has such holes, so records are missing.
        """
        if end > self.offset:
            self._skip_to(end)

    def _skip_to(self, offset: int) -> None:
        """Go past offsets that hold no record: markers and aborted records, or records that are gone."""
        if self.spec.mode is SourceMode.CONTIGUOUS or self.step:
            if not self.accept_gap:
                raise SourceGap(self.spec.topic, self.partition, self.offset, offset)
            self.gaps += 1
            self.step = 0
        self.offset = offset

    def _speak_again(self) -> None:
        """Give out what is to come, once everything has been folded that was given out before the lane was rebuilt."""
        until = self._gathering.transaction.quiet_until
        if until is None or self.position >= until:
            self._gathering.gather(None, self.step)
            self._gathering.quiet = False

    def _set_apart(self, offset: int) -> None:
        """Set the keys apart that made the step to come raise, before the last restore."""
        if isinstance(self.processor, Quarantines):
            for fault in self.raises.faults.get(offset, ()):
                if fault.step == self.step:
                    self.processor.quarantine(fault.key, fault.detail)

    def _walk(self, steps: Iterator[None]) -> Iterator[None]:
        """Take the steps of a long fold one by one, gathering after each so that the size of changes is known."""
        done = 0
        # None where changes of earlier records are not gathered yet: one that cannot be given may be theirs.
        blamed = self.offset if self._gathering.complete else None
        while True:
            try:
                next(steps)
            except StopIteration:
                return
            except Poison as poison:
                if done:  # only a fold that has changed nothing yet may call its record poison
                    raise FoldRaised(self.offset, poison, self.step) from poison
                raise
            done += 1
            self.step += 1
            self._gathering.gather(blamed, self.step)
            if self._gathering.quiet:
                self._speak_again()
            blamed = self.offset
            if self.raises.faults:
                self._set_apart(self.offset)
            yield

    def _replay_good_steps(self, record: SourceRecord, raised: SkipRecord) -> Iterator[None]:
        """Take the steps before the one that raised: some may be durable already, and cuts must not matter."""
        if self.step < raised.step:
            self._set_apart(record.offset)
            steps = self.processor.fold(record.offset, self.processor.decode(record), self.step)
            if steps is not None:
                yield from islice(self._walk(steps), raised.step - self.step)

    def take_transaction(self) -> Transaction | None:
        """
        Return what has been gathered since the last transaction, to be committed as one; None if nothing was folded.

        Raises:
            FoldRaised: the processor could not give its changes, or one exceeds its topic's limit. With an offset of
                None, it is not known which record it was; see `blame`.
        """
        transaction = self._gathering.take_transaction(self.position)
        if transaction is not None:
            self.raises.gathered(self.folded)
        return transaction

    def blame(self, error: FoldRaised, now: float) -> None:
        """
        Note an error of this fold in `raises`, for the runner that takes its place after a restore.

        Raises:
            TooManyRaises: a restore would not help.
        """
        quarantines = isinstance(self.processor, Quarantines)
        self.raises.blame(error, now, folded=self.folded, reached=self.offset, quarantines=quarantines)
