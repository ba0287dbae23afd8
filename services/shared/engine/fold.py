"""
One lane without any I/O: records in offset order go through the core, what a transaction must carry comes out.

Both the Kafka lane and the in-memory runner stand on this, so that skipping, gaps, poison, steps and raising
folds mean the same everywhere. Nothing here is durable: the caller commits a `Draft`, or throws the whole
object away and restores a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import xxhash

from services.shared.engine.core import Append, Core, Output, Quarantines, SourceRecord, Weighs
from services.shared.engine.errors import FoldRaised, LaneStopped, NotThisVersion, SourceGap
from services.shared.engine.position import UNKNOWN_TOPIC, Position
from services.shared.engine.raises import Raised, Raises
from services.shared.engine.spec import LaneSpec, SourceMode
from services.shared.errors import Fatal, Poison, UnknownVersion

RECORD_OVERHEAD = 128
"""Bytes allowed for framing when a record is checked against its topic's limit."""

DEFAULT_LIMIT = 1_048_576
"""Kafka's own max.message.bytes, for topics whose limit is not known."""

NO_LIMIT = 1 << 62
"""The size of a draft that is cut by other rules."""

_FIRST_LOOK = 16
"""Records folded before the size of what they changed is looked at, while nothing is known of it."""
_LOOKS_GROW = 8
"""How much longer than the last the next stretch of records may be at most."""


class Oversized(ValueError):
    """A record to be written is larger than its topic takes; sent anyway it would fail its batch and its partition."""


@dataclass(slots=True)
class Draft:
    """What one transaction makes durable, all of it or nothing."""

    position: Position
    topic_id: bytes = UNKNOWN_TOPIC
    """The topic in which the position counts."""
    changes: dict[tuple[str, bytes], bytes | None] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    appends: list[Append] = field(default_factory=list)
    records: int = 0
    dead_letters: int = 0
    size: int = 0
    """Bytes of keys and values gathered so far."""

    def encoded_position(self) -> bytes:
        """Return what stands in the changelog once this is durable."""
        return self.position.encode(self.topic_id)


class LaneFold:
    """
    Drive one core; keep its position; gather its outputs and changes.

    What raised in a former life of the lane goes to the dead letters unfolded, or has its key set apart before it.
    """

    __slots__ = (
        "_draft",
        "_gathered",
        "_look_at",
        "_stretch",
        "_urgent",
        "_weighs",
        "accept_gap",
        "careful_until",
        "core",
        "folded",
        "gaps",
        "limits",
        "most_bytes",
        "offset",
        "partition",
        "raises",
        "spec",
        "step",
        "topic_id",
    )

    def __init__(
        self,
        spec: LaneSpec,
        partition: int,
        core: Core,
        position: Position,
        *,
        raises: Raises,
        topic_id: bytes = UNKNOWN_TOPIC,
        limits: Mapping[str, int] | None = None,
        accept_gap: bool = False,
        most_bytes: int = NO_LIMIT,
    ) -> None:
        """Take a restored core and where it goes on; limits are bytes by topic, `most_bytes` those of a draft."""
        self.spec = spec
        self.partition = partition
        self.core = core
        self.offset, self.step = position
        self.topic_id = topic_id
        self.raises = raises
        self.limits = limits or {}
        self.accept_gap = accept_gap
        self.most_bytes = most_bytes
        self.careful_until = -1
        self.gaps = 0
        self.folded = -1
        """The last record that was folded, or was poison: not one of those put aside because they raise."""
        self._draft = Draft(position, topic_id)
        self._urgent = False
        self._weighs = core if isinstance(core, Weighs) else None
        self._gathered = 0
        """Of the draft's records, those whose changes have been gathered."""
        self._stretch = _FIRST_LOOK
        self._look_at = _FIRST_LOOK if most_bytes < NO_LIMIT else NO_LIMIT
        """The draft's number of records at which to look at its size."""

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

    @property
    def pending(self) -> bool:
        """Whether a record or a step has been folded since the last cut: the core may have changed."""
        return self._draft.records > 0 or (self.step > 0 and self.position != self._draft.position)

    def apply(self, records: Iterable[SourceRecord], breath: int) -> Iterator[None]:
        """
        Fold records from the position on; yield after each `breath` records and after each step of a long one.

        It also yields when the draft has reached its size. At each yield, and at the end, the caller may `cut`.
        Records below the position are skipped.

        Raises:
            SourceGap: a record is missing; everything before it has been folded.
            NotThisVersion: a record is of a version that the core does not know.
            FoldRaised: the core is in an unknown state; this object must be thrown away.
            Fatal, OSError, MemoryError: as raised by the core.
        """
        core, raised_at, faults_at = self.core, self.raises.records, self.raises.faults
        since, folded = 0, self.folded
        for record in records:
            offset = record.offset
            if offset != self.offset:
                if offset < self.offset:
                    continue
                self._pass_to(offset)
            raised = raised_at.get(offset) if raised_at else None
            if raised is not None:
                yield from self._replay_good_steps(record, raised)
                self._put_aside(record, Poison("fold_raised", detail=raised.detail))
                self._draft.records += 1
            else:
                try:
                    try:
                        item = core.decode(record)
                    except UnknownVersion as unknown:
                        raise NotThisVersion(self.spec.topic, self.partition, offset, unknown, clean=True) from unknown
                    if faults_at:
                        self._set_apart(offset)
                    steps = core.fold(offset, item, self.step)
                    if steps is not None:
                        yield from self._walk(steps)
                except Poison as poison:
                    self._put_aside(record, poison)
                except UnknownVersion as unknown:
                    raise NotThisVersion(self.spec.topic, self.partition, offset, unknown, clean=False) from unknown
                except (Fatal, FoldRaised, LaneStopped, OSError, MemoryError):
                    raise
                except Exception as error:
                    raise FoldRaised(offset, error, self.step) from error
                folded = offset
                self._draft.records += 1
                if offset <= self.careful_until:
                    self._gather(offset)
            self.offset = offset + 1
            self.step = 0
            since += 1
            if (self._draft.records >= self._look_at and self._look()) or since >= breath:
                since = 0
                self.folded = folded
                yield
        self.folded = folded

    def cover(self, end: int) -> None:
        """
        Go on at `end`: from the position up to there the log holds nothing to read.

        Raises:
            SourceGap: the source never has such holes, so records are missing.
        """
        if end > self.offset:
            self._pass_to(end)

    def _pass_to(self, offset: int) -> None:
        """Leave out what is not there: markers and aborted records, or records that are gone."""
        if self.spec.mode is SourceMode.CONTIGUOUS or self.step:
            if not self.accept_gap:
                raise SourceGap(self.spec.topic, self.partition, self.offset, offset)
            self.gaps += 1
            self.step = 0
        self.offset = offset

    def _set_apart(self, offset: int) -> None:
        """Tell the core of the keys that made the step to come raise, in a former life."""
        if isinstance(self.core, Quarantines):
            for fault in self.raises.faults.get(offset, ()):
                if fault.step == self.step:
                    self.core.quarantine(fault.key, fault.detail)

    def _walk(self, steps: Iterator[None]) -> Iterator[None]:
        """Take the steps of a long fold one by one, gathering after each so that the size of changes is known."""
        done = 0
        blamed = (
            self.offset if self._gathered == self._draft.records else None
        )  # with what others before it changed, it may be theirs
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
            self._gather(blamed)
            blamed = self.offset
            if self.raises.faults:
                self._set_apart(self.offset)
            yield

    def _replay_good_steps(self, record: SourceRecord, raised: Raised) -> Iterator[None]:
        """Take the steps before the one that raised: some may be durable already, and cuts must not matter."""
        if self.step < raised.step:
            self._set_apart(record.offset)
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
        self._draft = Draft(self.position, self.topic_id)
        self._look_at -= self._gathered
        self._gathered = 0
        self._urgent = False
        return draft

    def _look(self) -> bool:
        """
        Learn how much the draft holds, if that may be too much; return whether it is.

        A core that tells what its changes weigh is asked every few records. Of one that does not they are gathered
        once the records since then, at the bytes a record that the last ones took, may fill what is left.
        """
        if self._weighs is None or self._draft.size + self._weighs.changed_bytes >= self.most_bytes:
            self._gather(None)
        else:
            self._look_at = self._draft.records + _FIRST_LOOK
        return self._draft.size >= self.most_bytes

    def _plan_look(self, size: int) -> None:
        """Say when to look again, given the bytes that were gathered since the last time."""
        draft, most = self._draft, self.most_bytes
        looked, self._gathered = draft.records - self._gathered, draft.records
        if most >= NO_LIMIT:
            return
        if self._weighs is not None:
            self._look_at = draft.records + _FIRST_LOOK
        elif looked:
            soon = max(most - draft.size, most // 8) * looked // max(1, size)
            self._stretch = max(1, min(soon, _LOOKS_GROW * max(looked, self._stretch)))
            self._look_at = draft.records + self._stretch

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
        self._plan_look(size)

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
        self._gathered += 1  # itself it has changed nothing

    def _truncated(self, record: SourceRecord, poison: Poison, letter: Output) -> Output:
        value = record.value or b""
        keep = max(0, self.limits.get(letter.topic, DEFAULT_LIMIT) // 2)
        note = f"{poison.detail} (original of {len(value)} bytes, xxh64 {xxhash.xxh64_hexdigest(value)}, cut to {keep})"
        cut = Poison(poison.reason, poison.field, note.strip())
        return self.spec.dead_letter(record._replace(value=value[:keep]), cut)
