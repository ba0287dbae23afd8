"""
What the processor of a lane changes and gives out, gathered into transactions of bounded size.

Every record is checked against its topic's limit before it is sent. A transaction is bounded in bytes too. To measure it costs
more than to fold a small record, so it is not measured after each, but when it may have come near its bound.
"""

from __future__ import annotations

from collections.abc import Mapping

import xxhash

from services.shared.engine.errors import FoldRaised
from services.shared.engine.fold.failure_policy import PROCESS_ERRORS
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.position import Position
from services.shared.engine.processor import Output, Processor, SourceRecord, Weighs
from services.shared.engine.spec import AppendOrder, LaneSpec
from services.shared.errors import Poison

RECORD_OVERHEAD = 128
"""Bytes allowed for framing when a record is checked against its topic's limit."""

DEFAULT_LIMIT = 1_048_576
"""Kafka's own max.message.bytes, for topics whose limit is not known."""

NO_LIMIT = 1 << 62
"""For a transaction that is bounded by its caller, not here."""

_FIRST_MEASURE = 16
"""Records folded before the size of what they changed is looked at, while nothing is known of it."""
_LOOKS_GROW = 8
"""How many times as many records may pass before the next look as before the last one, at most."""


class Oversized(ValueError):
    """A record to be written is larger than its topic takes; sent anyway it would fail its batch and its partition."""


class Gathering:
    """The transaction of one processor that is being gathered."""

    __slots__ = (
        "_gathered",
        "_limits",
        "_most_bytes",
        "_processor",
        "_spec",
        "_stretch",
        "_urgent",
        "_weighs",
        "measure_at",
        "quiet",
        "transaction",
    )

    def __init__(
        self, spec: LaneSpec, processor: Processor, transaction: Transaction, limits: Mapping[str, int], most_bytes: int
    ) -> None:
        """Take an empty transaction at the position where the processor goes on, and the bounds as of `LaneRunner`."""
        self.transaction = transaction
        """What has been gathered since the last transaction; incomplete until `take_transaction`."""
        self.measure_at = _FIRST_MEASURE if most_bytes < NO_LIMIT else NO_LIMIT
        """The transaction's number of records at which to `look` at its size."""
        self.quiet = transaction.quiet_until is not None
        """Whether what was durable with the position is dropped: a lane that is being rebuilt has written it before."""
        self._spec = spec
        self._processor = processor
        self._limits = limits
        self._most_bytes = most_bytes
        self._weighs = processor if isinstance(processor, Weighs) else None
        self._urgent = False
        self._gathered = 0
        """How many of the transaction's records have had their changes gathered."""
        self._stretch = _FIRST_MEASURE

    @property
    def urgent(self) -> bool:
        """Whether someone waits for what has been folded since the last transaction, gathered or not."""
        return self._urgent or self._processor.urgent

    @property
    def complete(self) -> bool:
        """Whether the changes of all the transaction's records have been gathered."""
        return self._gathered == self.transaction.records

    def take_transaction(self, position: Position) -> Transaction | None:
        """
        Return what has been folded since the last transaction, up to a position, to be committed as one; None if nothing was.

        Raises:
            FoldRaised: the processor could not give its changes, or one exceeds its topic's limit. With an offset of
                None, it is not known which record it was.
        """
        if position == self.transaction.position:
            return None
        self.gather(None, position.step)
        transaction = self.transaction
        transaction.position = position
        until = transaction.quiet_until if self.quiet else None
        self.transaction = Transaction(position, transaction.topic_id, transaction.state_ids, quiet_until=until)
        self.measure_at -= self._gathered
        self._gathered = 0
        self._urgent = False
        return transaction

    def measure(self) -> bool:
        """
        Measure the transaction if it may be full; return whether it is.

        A processor with `changed_bytes` is asked every few records. The changes of any other are gathered once the
        records since the last time, if they take as many bytes each as those before, may fill what is left.
        """
        if self._weighs is None or self.transaction.size + self._weighs.changed_bytes >= self._most_bytes:
            self.gather(None, 0)
        else:
            self.measure_at = self.transaction.records + _FIRST_MEASURE
        return self.transaction.size >= self._most_bytes

    def _plan_look(self, size: int) -> None:
        """Say when to look again, given the bytes that were gathered since the last time."""
        transaction, most = self.transaction, self._most_bytes
        looked, self._gathered = transaction.records - self._gathered, transaction.records
        if most >= NO_LIMIT:
            return
        if self._weighs is not None:
            self.measure_at = transaction.records + _FIRST_MEASURE
        elif looked:
            soon = max(most - transaction.size, most // 8) * looked // max(1, size)
            self._stretch = max(1, min(soon, _LOOKS_GROW * max(looked, self._stretch)))
            self.measure_at = transaction.records + self._stretch

    def gather(self, offset: int | None, step: int) -> None:
        """
        Add what the processor has changed and given out to the transaction.

        Raises:
            FoldRaised: it could not, or a record exceeds its topic's limit; `offset` is to blame, None where that is
                not known, in the step before `step`.
        """
        transaction, processor, size = self.transaction, self._processor, 0
        try:
            self._urgent = self._urgent or processor.urgent  # a processor forgets it with its outputs
            outputs, appends = processor.take_outputs(), processor.take_appends()
            if self.quiet:
                outputs = []
                # Others may not have been written; their readers drop repeats.
                if self._spec.appends is AppendOrder.BEFORE_COMMIT:
                    appends = []
            for output in outputs:
                size += self._measure(output.topic, output.key, output.value)
            for append in appends:
                size += self._measure(append.topic, append.key or b"", append.value)
            for store, key, value in processor.take_changes():
                size += self._measure(self._spec.stores[store], key, value)
                transaction.changes[store, key] = value
        except PROCESS_ERRORS:
            raise
        except Exception as error:
            raise FoldRaised(offset, error, max(0, step - 1)) from error
        transaction.outputs += outputs
        transaction.appends += appends
        transaction.size += size
        self._plan_look(size)

    def _measure(self, topic: str, key: bytes, value: bytes | None) -> int:
        size = len(key) + (len(value) if value is not None else 0)
        limit = self._limits.get(topic, DEFAULT_LIMIT)
        if size + RECORD_OVERHEAD > limit:
            raise Oversized(f"a record of {size} bytes for {topic}, which takes {limit}")
        return size

    def dead_letter(self, record: SourceRecord, poison: Poison, step: int) -> None:
        """Write the record to the dead letters, in its place among the outputs."""
        self.gather(None, step)
        self._gathered += 1  # itself it has changed nothing
        if self.quiet:
            return
        letter = self._spec.dead_letter(record, poison)
        try:
            size = self._measure(letter.topic, letter.key, letter.value)
        except Oversized:
            letter = self._truncated(record, poison, letter)
            size = self._measure(letter.topic, letter.key, letter.value)
        transaction = self.transaction
        transaction.outputs.append(letter)
        transaction.dead_letters += 1
        transaction.size += size

    def _truncated(self, record: SourceRecord, poison: Poison, letter: Output) -> Output:
        value = record.value or b""
        keep = max(0, self._limits.get(letter.topic, DEFAULT_LIMIT) // 2)
        note = f"{poison.detail} (original of {len(value)} bytes, xxh64 {xxhash.xxh64_hexdigest(value)}, cut to {keep})"
        cut = Poison(poison.reason, poison.field, note.strip())
        return self._spec.dead_letter(record._replace(value=value[:keep]), cut)
