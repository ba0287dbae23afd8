"""
One lane without any I/O: records in offset order go through the core, what a transaction must carry comes out.

Both the Kafka lane and the in-memory runner stand on this, so that skipping, gaps, poison, steps and raising
folds mean the same everywhere. Nothing here is durable: the caller commits a `Draft`, or throws the whole
object away and restores a new one.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import xxhash

from services.shared.engine.core import Append, Core, Output, SourceRecord
from services.shared.engine.errors import FoldRaised, SourceGap
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.spec import LaneSpec, SourceMode
from services.shared.errors import Fatal, Poison

RECORD_OVERHEAD = 128
"""Bytes allowed for framing when a record is checked against its topic's limit."""

DEFAULT_LIMIT = 1_048_576
"""Kafka's own max.message.bytes, for topics whose limit is not known."""


class Oversized(ValueError):
    """A record to be written is larger than its topic takes; sent anyway it would fail its batch and its partition."""


@dataclass(slots=True)
class Draft:
    """What one transaction makes durable, all of it or nothing."""

    position: Position
    changes: dict[tuple[str, bytes], bytes | None] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    appends: list[Append] = field(default_factory=list)
    records: int = 0
    dead_letters: int = 0
    size: int = 0
    """Bytes of keys and values gathered so far."""


class Raised(NamedTuple):
    """What is known of a record whose fold raised: the steps that went well before, and the exception."""

    step: int
    detail: str


class LaneFold:
    """
    Drive one core; keep its position; gather its outputs and changes.

    Raised offsets are those whose fold raised in a former life of the lane: they go to the dead letters unfolded.
    """

    __slots__ = (
        "_draft",
        "_urgent",
        "accept_gap",
        "careful_until",
        "core",
        "gaps",
        "limits",
        "offset",
        "partition",
        "raised",
        "spec",
        "step",
    )

    def __init__(
        self,
        spec: LaneSpec,
        partition: int,
        core: Core,
        position: Position,
        *,
        raised: Mapping[int, Raised] | None = None,
        limits: Mapping[str, int] | None = None,
        accept_gap: bool = False,
    ) -> None:
        """Take a restored core and the position from which it goes on; limits are bytes by topic."""
        self.spec = spec
        self.partition = partition
        self.core = core
        self.offset, self.step = position
        self.raised = raised or {}
        self.limits = limits or {}
        self.accept_gap = accept_gap
        self.careful_until = -1
        self.gaps = 0
        self._draft = Draft(position)
        self._urgent = False

    @property
    def urgent(self) -> bool:
        """Whether someone waits for what has been folded since the last cut, gathered or not."""
        return self._urgent or self.core.urgent

    @property
    def position(self) -> Position:
        """The first record, and the step within it, that is not folded yet."""
        return Position(self.offset, self.step)

    @property
    def draft(self) -> Draft:
        """What has been gathered since the last cut; incomplete until `cut`."""
        return self._draft

    def apply(self, records: Iterable[SourceRecord], breath: int) -> Iterator[None]:
        """
        Fold records from the position on; yield after each `breath` records and after each step of a long one.

        At each yield, and at the end, the caller may `cut`. Records below the position are skipped.

        Raises:
            SourceGap: a record is missing; everything before it has been folded.
            FoldRaised: the core is in an unknown state; this object must be thrown away.
            Fatal, OSError, MemoryError: as raised by the core.
        """
        core, contiguous = self.core, self.spec.mode is SourceMode.CONTIGUOUS
        since = 0
        for record in records:
            offset = record.offset
            if offset != self.offset:
                if offset < self.offset:
                    continue
                if contiguous or self.step:
                    if not self.accept_gap:
                        raise SourceGap(self.spec.topic, self.partition, self.offset, offset)
                    self.gaps += 1
                    self.step = 0
                self.offset = offset
            raised = self.raised.get(offset) if self.raised else None
            if raised is not None:
                yield from self._replay_good_steps(record, raised)
                self._put_aside(record, Poison("fold_raised", detail=raised.detail))
            else:
                try:
                    steps = core.fold(offset, core.decode(record), self.step)
                    if steps is not None:
                        yield from self._walk(steps)
                except Poison as poison:
                    self._put_aside(record, poison)
                except (Fatal, FoldRaised, OSError, MemoryError):
                    raise
                except Exception as error:
                    raise FoldRaised(offset, error, self.step) from error
                if offset <= self.careful_until:
                    self._gather(offset)
            self.offset = offset + 1
            self.step = 0
            self._draft.records += 1
            since += 1
            if since >= breath:
                since = 0
                yield

    def _walk(self, steps: Iterator[None]) -> Iterator[None]:
        """Take the steps of a long fold one by one, gathering after each so that the size of changes is known."""
        done = 0
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
            self._gather(self.offset)
            yield

    def _replay_good_steps(self, record: SourceRecord, raised: Raised) -> Iterator[None]:
        """Take the steps before the one that raised: some may be durable already, and cuts must not matter."""
        if self.step < raised.step:
            steps = self.core.fold(record.offset, self.core.decode(record), self.step)
            if steps is not None:
                yield from islice(self._walk(steps), raised.step - self.step)

    def cut(self) -> Draft | None:
        """
        Return what has been gathered since the last cut, to be committed as one; None if nothing was folded.

        Raises:
            FoldRaised: the core could not give its changes, or one exceeds its topic's limit. With an offset of
                None, fold again with `careful_until` at the position to learn which record it was.
        """
        if self.position == self._draft.position:
            return None
        self._gather(None)
        draft = self._draft
        draft.position = self.position
        self._draft = Draft(self.position)
        self._urgent = False
        return draft

    def _gather(self, offset: int | None) -> None:
        draft, core, size = self._draft, self.core, 0
        try:
            self._urgent = self._urgent or core.urgent  # a core forgets it with its outputs
            outputs = core.take_outputs()
            for output in outputs:
                size += self._measure(output.topic, output.key, output.value)
            for store, key, value in core.take_changes():
                size += self._measure(self.spec.stores[store], key, value)
                draft.changes[store, key] = value
        except (Fatal, OSError, MemoryError):
            raise
        except Exception as error:
            raise FoldRaised(offset, error, max(0, self.step - 1)) from error
        draft.outputs += outputs
        draft.appends += core.take_appends()
        draft.size += size

    def _measure(self, topic: str, key: bytes, value: bytes | None) -> int:
        size = len(key) + (len(value) if value is not None else 0)
        limit = self.limits.get(topic, DEFAULT_LIMIT)
        if size + RECORD_OVERHEAD > limit:
            raise Oversized(f"a record of {size} bytes for {topic}, which takes {limit}")
        return size

    def _put_aside(self, record: SourceRecord, poison: Poison) -> None:
        """Write the record to the dead letters, in its place among the outputs."""
        self._gather(None)
        letter = self.spec.dead_letter(record, poison)
        try:
            size = self._measure(letter.topic, letter.key, letter.value)
        except Oversized:
            letter = self._truncated(record, poison, letter)
            size = self._measure(letter.topic, letter.key, letter.value)
        draft = self._draft
        draft.outputs.append(letter)
        draft.dead_letters += 1
        draft.size += size

    def _truncated(self, record: SourceRecord, poison: Poison, letter: Output) -> Output:
        value = record.value or b""
        keep = max(0, self.limits.get(letter.topic, DEFAULT_LIMIT) // 2)
        note = f"{poison.detail} (original of {len(value)} bytes, xxh64 {xxhash.xxh64_hexdigest(value)}, cut to {keep})"
        cut = Poison(poison.reason, poison.field, note.strip())
        return self.spec.dead_letter(record._replace(value=value[:keep]), cut)


def restore(
    core: Core, stores: Mapping[str, dict[bytes, bytes]], position_store: str, breath: int = 500
) -> Generator[None, None, tuple[Position | None, list[Append]]]:
    """
    Restore an empty core from the live records of its changelogs, in key order.

    Records are taken out of `stores` as they are read: both together would take twice the memory, and the holes that
    the bytes leave behind between the core's objects would never be given back.

    Yields after each `breath` records; returns the position, None if none was ever durable, and the appends.

    Raises:
        IncompatibleState: the changelogs were written by a newer version.
    """
    position = None
    for store, live in stores.items():
        for n, key in enumerate(sorted(live)):
            value = live.pop(key)
            if not key.startswith(b"\0"):
                core.restore(store, key, value)
            elif store == position_store and key == POSITION_KEY:
                position = Position.decode(value)
            if n % breath == breath - 1:
                yield
    return position, list(core.opened())
