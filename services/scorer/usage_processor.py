"""The engine's view of one lane of usage-events: bytes in, bytes out, and the pure fold between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from services.scorer.domain.lane.account_format import COLD, HOT, ROLES
from services.scorer.domain.lane.controls import StepTooLong
from services.scorer.domain.lane.outcome import Outcome, Partial, Snapshot
from services.scorer.domain.lane.usage_fold import NotStarted, UsageFold
from services.scorer.domain.lane.usage_state import UsageState
from services.scorer.metrics import UsageMetrics
from services.scorer.record_sizes import RecordSizes
from services.scorer.records import encode_health, outputs_of
from services.shared.engine.errors import Unanswered
from services.shared.engine.processor import NO_APPEND_TIME, Append, Output, SourceRecord, StateChange
from services.shared.errors import Poison, UnknownVersion
from services.shared.source_records import decode
from services.shared.units import DAY_MS

STATE, IDS = "state", "ids"
_EVENT = "usage_event"
_KINDS = frozenset({_EVENT, "tick", "clock", "fleet", "command", "user_link"})
_ANSWERS = frozenset({"ACCEPT", "REFUSE"})


class Item(NamedTuple):
    """A decoded record, with the original in case it must be dead-lettered."""

    kind: str
    value: dict[str, Any]
    at: int
    """
    The time of the record, milliseconds since 1970 UTC: the earlier of the broker's append time and its writer's own.

    In a drive it is the writer's own: the past that a drive brings has nothing to do with the broker's clock.
    """
    record: SourceRecord


_new = tuple.__new__
"""Takes half the time of the tuple's own constructor, and an item is made for each event."""


class UsageProcessor:
    """One lane of usage-events."""

    def __init__(self, fold: UsageFold, metrics: UsageMetrics | None = None) -> None:
        """Drive `fold`; count into `metrics`, if any."""
        self._fold = fold
        fold.days.write = encode_health
        self._metrics = metrics
        self._sizes = {HOT: RecordSizes(), COLD: RecordSizes(), ROLES: RecordSizes()}
        self._event = fold.event

    @property
    def state(self) -> UsageState:
        """The state of the lane."""
        return self._fold.state

    @property
    def log_time(self) -> int:
        """Log time in milliseconds since 1970 UTC; 0: no record has set it."""
        return self.state.clock.now

    @property
    def driven(self) -> bool:
        """Whether a driver moves this lane's clock, not the live ticker."""
        return self.state.clock.driven

    @property
    def due(self) -> int | None:
        """Log time at which the next thing is due, milliseconds since 1970 UTC."""
        return self._fold.controls.due

    @property
    def waiting(self) -> int | None:
        """The time that a step of more than seven days would lead to, while nobody has said whether it is right."""
        return self.state.clock.asked or None

    def restore(self, store: str, key: bytes, value: bytes) -> None:
        """Take back one record of the state or of the duplicate window."""
        if store == IDS:
            self.state.ids.load(key, value)
        else:
            self.state.restore(key, value)
            self._note_size(key, value)

    def opened(self) -> Iterator[None]:
        """Finish the restore, step by step. This lane appends nothing."""
        yield from self.state.restoring()
        if self._metrics:
            self._metrics.opened(self.state)

    def decode(self, record: SourceRecord) -> Item:
        """Turn bytes into a value; a record of the wrong kind, or under a key that is not its account, is poison."""
        kind, value = decode(record, _KINDS)
        if kind == _EVENT:
            if not record.key or value["account"].encode() != record.key:
                raise Poison("wrong_key", "key", "the key of a usage event is its account, which is not empty")
            if value["occurred_at"] < 0 or value["received_at"] <= 0:
                raise Poison("wrong_time", "occurred_at", "times before 1970 do not belong on usage-events")
            own = value["received_at"]
            at = own if value["epoch"] or own < record.appended_at else record.appended_at
            return _new(Item, (kind, value, at, record))
        if kind == "user_link" and value["account"].encode() != record.key:
            raise Poison("wrong_key", "key", "the key of a link on usage-events is its account")
        own = value.get("at", 0)
        return Item(kind, value, own if value.get("epoch") else min(own, record.appended_at), record)

    def fold(self, offset: int, item: Item, step: int) -> Iterator[None] | None:
        """
        Apply one record.

        Raises:
            Unanswered: it moves log time by more than seven days, and nobody has said yet whether that is right.
        """
        kind, value, at, record = item
        if kind == _EVENT:
            try:
                return self._event(value, at, offset, record, step)
            except StepTooLong as long:
                raise Unanswered(
                    "clock",
                    f"log time would step by {(long.at - long.now) / DAY_MS:.1f} days{self._clocks(value)}; is the "
                    "time of that record right? `tidemark clock accept` or `tidemark clock refuse` says so",
                ) from long
            except NotStarted:  # the log begins within a drive: the past that it brought is late
                self._fold.controls.start(at if record.appended_at == NO_APPEND_TIME else record.appended_at)
                return self._event(value, at, offset, record, step)
        if kind == "tick":
            return self._fold.controls.tick(value, at, offset, step)
        if kind == "fleet":
            return self._fold.controls.fleet(value, step)
        if kind == "clock":
            return self._fold.controls.clock(value, at, offset, step)
        if kind == "user_link":
            self._fold.link(value)
        else:
            self._fold.command(value)
        return None

    def _clocks(self, event: dict[str, Any]) -> str:
        """Name the ingest processes whose clocks are in question, as far as they are known."""
        by, before = event["accepted_by"], self.state.clock.moved_by
        return (f", by the clock of {by}" if by else "") + (f"; the last to move it was {before}" if before else "")

    def is_answer(self, record: SourceRecord) -> bool:
        """Return whether a record further down the log answers what an event asked."""
        try:
            item = self.decode(record)
        except (Poison, UnknownVersion):
            return False
        return item.kind == "clock" and item.value["mode"] in _ANSWERS

    def answered(self, record: SourceRecord) -> None:
        """Take an answer, so that the record that asked can be folded."""
        item = self.decode(record)
        self._fold.controls.answer(record.offset, item.at if item.value["mode"] == "ACCEPT" else 0)

    def quarantine(self, key: str, detail: str) -> None:
        """Set an account apart whose day cannot be closed."""
        self._fold.quarantine(key, detail, frozen=True)

    def take_outputs(self) -> list[Output]:
        """Encode what came out since the last call."""
        outcomes = self.state.outcomes
        if not outcomes:
            return []
        self.state.outcomes = []
        if self._metrics:
            self._metrics.put_out(outcomes)
        return [output for outcome in outcomes for output in outputs_of(outcome)]

    def take_changes(self) -> Iterable[StateChange]:
        """Encode what changed since the last call."""
        state = self.state
        changes = [StateChange(STATE, key, value) for key, value in state.take_changes()]
        for _, key, value in changes:
            self._note_size(key, value)
        changes.extend(StateChange(IDS, key, value) for key, value in state.ids.take_changes())
        if self._metrics:
            self._metrics.committed(state)
        return changes

    def take_appends(self) -> list[Append]:
        """Return nothing: this lane appends nothing."""
        return []

    @property
    def changed_bytes(self) -> int:
        """About how many bytes the accounts that changed since the last call of `take_changes` take; see RecordSizes."""
        state, sizes = self.state, self._sizes
        return sizes[HOT].of(state.hot) + sizes[COLD].of(state.cold) + sizes[ROLES].of(state.roles)

    def _note_size(self, key: bytes, value: bytes | None) -> None:
        sizes = self._sizes.get(key[: len(HOT)])
        if sizes is not None:
            sizes.note(key[len(HOT) :].decode(), len(value or b""))

    @property
    def urgent(self) -> bool:
        """
        Whether a snapshot that a live event caused, or a partial that all lanes wait for, has come out.

        Nobody waits for a snapshot of the past, and each additional transaction makes a backfill longer.
        """
        return any(_waited_for(outcome) for outcome in self.state.outcomes[-1:])


def _waited_for(outcome: Outcome) -> bool:
    if isinstance(outcome, Snapshot):
        return bool(outcome.value["trigger_received_at"]) and not outcome.value["historical"]
    return isinstance(outcome, Partial)
