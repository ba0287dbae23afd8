"""The engine's view of one lane of usage-events: bytes in, bytes out, and the pure fold between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from schemas import codec
from services.scorer.adapters.metrics import LaneMetrics
from services.scorer.adapters.records import outputs_of
from services.scorer.domain.lane_fold import LaneFold
from services.scorer.domain.lane_state import LaneState
from services.scorer.domain.outcome import Outcome, Partial, Snapshot
from services.shared.engine.core import Append, Output, SourceRecord, StateChange
from services.shared.errors import Poison

STATE, IDS = "state", "ids"
_EVENT = "usage_event"
_CONTROLS = frozenset({"tick", "clock", "fleet"})


class Item(NamedTuple):
    """A decoded record, with the record for the case that it must be put aside."""

    kind: str
    value: dict[str, Any]
    record: SourceRecord


class ScorerCore:
    """One lane of usage-events."""

    def __init__(self, fold: LaneFold, metrics: LaneMetrics | None = None) -> None:
        """Drive `fold`; count into `metrics`, if any."""
        self._fold = fold
        self._metrics = metrics
        self._controls = {"tick": fold.tick, "clock": fold.clock, "fleet": fold.fleet}
        self._event = fold.event

    @property
    def state(self) -> LaneState:
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
        """Log time in milliseconds at which the next thing is due; not after log time: now; None: nothing is."""
        clock = self.state.clock
        if self.state.queue or not clock.started:
            return clock.now
        return min(clock.midnight, clock.grace_end) if clock.pending >= 0 else clock.midnight

    @property
    def waiting(self) -> int | None:
        """The time to which the lane was asked to step, further than it goes without a person; None: it does not wait."""
        return None

    def restore(self, store: str, key: bytes, value: bytes) -> None:
        """Take back one record of the state or of the duplicate window."""
        if store == IDS:
            self.state.ids.load(key, value)
        else:
            self.state.restore(key, value)

    def opened(self) -> Iterable[Append]:
        """Finish the restore. This lane appends nothing."""
        self.state.restored()
        if self._metrics:
            self._metrics.opened(self.state)
        return ()

    def decode(self, record: SourceRecord) -> Item:
        """Turn bytes into a value; a record of the wrong kind, or under a key that is not its account, is poison."""
        if record.value is None:
            raise Poison("no_value", "value", "the record has no value; tombstones do not belong on usage-events")
        try:
            kind, value = codec.decode(record.value)
        except codec.CodecError as error:
            raise Poison("undecodable", "value", str(error)) from error
        if kind == _EVENT:
            if not record.key or value["account"].encode() != record.key:
                raise Poison("wrong_key", "key", "the key of a usage event is its account, which is not empty")
            if value["occurred_at"] < 0 or value["received_at"] <= 0:
                raise Poison("wrong_time", "occurred_at", "times before 1970 do not belong on usage-events")
        elif kind not in _CONTROLS:
            raise Poison("wrong_record", "value", f"records of kind {kind} do not belong on usage-events")
        return Item(kind, value, record)

    def fold(self, offset: int, item: Item, step: int) -> Iterator[None] | None:  # noqa: ARG002  the record has it
        """Apply one record."""
        if item.kind == _EVENT:
            return self._event(item.value, item.record, step)
        return self._controls[item.kind](item.value, step)

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
        changes.extend(StateChange(IDS, key, value) for key, value in state.ids.take_changes())
        if self._metrics:
            self._metrics.committed(state)
        return changes

    def take_appends(self) -> list[Append]:
        """Return nothing: this lane appends nothing."""
        return []

    @property
    def urgent(self) -> bool:
        """
        Whether a snapshot that a live event caused, or a partial that all lanes wait for, has come out.

        Nobody waits for one snapshot of the past, and each transaction more makes a backfill longer.
        """
        return any(_waited_for(outcome) for outcome in self.state.outcomes[-1:])


def _waited_for(outcome: Outcome) -> bool:
    if isinstance(outcome, Snapshot):
        return bool(outcome.value["trigger_received_at"]) and not outcome.value["historical"]
    return isinstance(outcome, Partial)
