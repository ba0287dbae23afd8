"""
What the engine asks of a fold, and what it gives it: the port between Kafka and the pure processors.

A *processor* is the whole state of one lane (one source partition) with the function that moves it. It does no I/O,
reads no clock and is never called from two threads. The engine feeds it records in offset order and, from time
to time, takes what has changed; both become durable in one Kafka transaction together with the source offset.
After a crash, a rebalance or an error the engine builds a new processor, restores it from the changelogs and goes on
at the record, and the step within it, that was not yet durable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

NO_APPEND_TIME = 1 << 62
"""The append time of a record whose log has no clock of its own: later than every other time."""


class SourceRecord(NamedTuple):
    """One record as read from the log."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    appended_at: int = NO_APPEND_TIME
    """
    When the broker appended the record, milliseconds since 1970 UTC.

    Part of the log only where the log is written outside of transactions (usage-events): elsewhere it depends on how
    transactions were cut, and nothing of it may reach state or outputs.
    """


class Output(NamedTuple):
    """One record for a downstream topic, written in the lane's transaction, to the partition of its key."""

    topic: str
    key: bytes
    value: bytes | None


class Append(NamedTuple):
    """
    One record written outside of the lane's transaction, before or after it (`LaneSpec.appends`), and awaited.

    For topics that are never transactional. It is at least once: it may be written again after a crash, so
    its readers must take the first and ignore the rest.
    """

    topic: str
    partition: int | None
    """None: by the hash of the key, as every other Tidemark producer does it."""
    key: bytes | None
    value: bytes


class StateChange(NamedTuple):
    """The latest value of one key of one of the lane's stores; a value of None deletes the key."""

    store: str
    key: bytes
    value: bytes | None


class Processor(Protocol):
    """
    The pure fold of one lane.

    Order of calls: `restore` for each live record of the changelogs, `opened` once, then for each record `decode` and `fold`,
    and `take_*` at each transaction. Keys that start with a NUL byte are the engine's.
    """

    def restore(self, store: str, key: bytes, value: bytes) -> None:
        """
        Take back one live record of a changelog.

        Raises:
            IncompatibleState: it was written in a format newer than this code reads.
        """

    def opened(self) -> Iterable[Append | None]:
        """
        Finish the restore; yield the appends that may not have been acknowledged, if appends follow the commit.

        Long work yields None between its steps, each at most 50 ms, so that other tasks of the loop get a turn.
        """

    def decode(self, record: SourceRecord) -> Any:
        """
        Turn bytes into whatever `fold` takes. Changes nothing.

        Raises:
            Poison: the record can never be applied; the engine writes it to the dead letters and goes on.
            UnknownVersion: a newer version wrote it; the lane stops there, and goes on with a version that knows it.
        """

    def fold(self, offset: int, item: Any, step: int) -> Iterator[None] | None:
        """
        Apply one decoded record to the state.

        Short work returns None. Long work returns an iterator: the engine may commit between any two of its
        steps (each at most 50 ms and 4 MB of changes). After a crash it calls again with `step` set to the number
        of steps that were durable, and the iterator must go on from there with the restored state.

        Raises:
            Poison: the record can never be applied; nothing was changed by it.
            KeyFault: a key of the state cannot be worked on, the record is not at fault; see `Quarantines`.
        """

    def take_outputs(self) -> list[Output]:
        """Return and forget the outputs since the last call, in order."""

    def take_changes(self) -> Iterable[StateChange]:
        """Return and forget the keys that changed since the last call, each once, in a fixed order."""

    def take_appends(self) -> list[Append]:
        """Return and forget the appends since the last call."""

    @property
    def urgent(self) -> bool:
        """Whether someone waits for what was folded since the last `take_outputs`. The engine then commits at once."""


@runtime_checkable
class Quarantines(Protocol):
    """
    An optional part of a processor: setting one key of its state apart, where work on it raises.

    After a `KeyFault` the engine restores a new processor, folds up to the record (and the step of it) that raised, calls
    `quarantine`, and folds on. Without this method a `KeyFault` counts against the record, as any other exception does.
    """

    def quarantine(self, key: str, detail: str) -> None:
        """
        Set a key apart, so that the next step does not fail on it. This changes the state, visibly, like a fold.

        It may be called between two steps of a fold, and again for a key that is set apart already: then nothing changes.
        """


@runtime_checkable
class Asks(Protocol):
    """
    An optional part of a processor: letting a record wait for an answer, which is a record further down the log.

    A fold that raises `Unanswered` has changed nothing. The lane stands still before that record and looks ahead for the
    answer; a replay finds it at once. So the same log gives the same state, whenever the answer came.
    """

    def is_answer(self, record: SourceRecord) -> bool:
        """Return whether a record further down the log is the answer."""

    def answered(self, record: SourceRecord) -> None:
        """Take the answer; the record that asked is folded next."""


@runtime_checkable
class Weighs(Protocol):
    """An optional part of a processor: telling cheaply how much it has changed, so that transactions are bounded in bytes."""

    @property
    def changed_bytes(self) -> int:
        """About how many bytes `take_changes` and `take_outputs` would return now; called every few records."""
