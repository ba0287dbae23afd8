"""
The engine's view of one lane of usage-unattributed: bytes in, bytes out, and the pure fold between them.

What it forwards is appended before the lane's commit, so nothing that was let go is ever missing; after a crash in between
it is appended again, and the lane that reads it drops the repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from schemas import codec
from schemas.topics import DEAD_LETTERS, USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.scorer.attribution_metrics import AttributionLaneMetrics
from services.scorer.domain.attribution.fold import AttributionFold
from services.scorer.domain.attribution.outcome import Forward, Link, Move, Unresolved
from services.scorer.domain.attribution.state import AttributionState
from services.shared.dead_letters import DeadLetter
from services.shared.engine.processor import NO_APPEND_TIME, Append, Output, SourceRecord, StateChange
from services.shared.errors import Poison
from services.shared.source_records import decode

STATE, IDS = "state", "ids"
_EVENT, _LINK = "usage_event", "user_link"
_KINDS = frozenset({_EVENT, _LINK, "tick", "clock", "account_aliases"})
_DETAILS = {
    "no_account": "no call has said in time which account this user belongs to",
    "several_accounts": "events of this user name several accounts, and no group call says which one this is for",
    "too_many_forwards": "this user is known as another, who is known as another, and so on",
}
_WHAT_TO_DO = "say so with `tidemark accounts resolve`"
_encode_link = codec.encoder(_LINK)


class UnattributedRecord(NamedTuple):
    """A decoded record, its time, and its bytes."""

    kind: str
    value: dict[str, Any]
    at: int
    """The earlier of the broker's append time and the writer's own, milliseconds since 1970 UTC."""
    record: bytes


class AttributionProcessor:
    """One lane of usage-unattributed."""

    def __init__(self, partition: int, fold: AttributionFold, metrics: AttributionLaneMetrics | None = None) -> None:
        """Drive `fold`; count into `metrics`, if any."""
        self._partition = partition
        self._fold = fold
        self._metrics = metrics
        self._outputs: list[Output] = []
        self._appends: list[Append] = []
        self._bytes = 0
        self._driven = False
        self.settled = 0
        """
        Up to when all lanes are known to have read the log, by what the next tick will say, milliseconds since 1970 UTC.

        It only says when a tick is due. What expires is decided by the ticks that are in the log.
        """

    @property
    def state(self) -> AttributionState:
        """The state of the lane."""
        return self._fold.state

    @property
    def log_time(self) -> int:
        """Log time in milliseconds since 1970 UTC; 0: no record has set it."""
        return self.state.clock.now

    @property
    def driven(self) -> bool:
        """Return False: a drive does not move the clock of this lane."""
        return False

    @property
    def due(self) -> int | None:
        """
        Log time from which a tick would let something expire, milliseconds since 1970 UTC; None: none would.

        0 where no record has set the time.
        """
        if not self.log_time:
            return 0
        overdue = self.overdue
        return overdue if overdue is not None and overdue <= self.settled else None

    @property
    def overdue(self) -> int | None:
        """
        Log time at which the next event has waited for long enough, if that is over, milliseconds since 1970 UTC.

        It goes with a tick that says that all lanes had read the log by then. None: it is not over, or none waits.
        """
        return self._fold.overdue

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

    def opened(self) -> Iterator[None]:
        """Finish the restore, step by step. What this lane appends is acknowledged before it commits, so nothing is missing."""
        yield from self.state.restoring()
        if self._metrics:
            self._metrics.opened(self.state)

    def decode(self, record: SourceRecord) -> UnattributedRecord:
        """Turn bytes into a value; what nobody can belong to is poison."""
        kind, value = decode(record, _KINDS)
        if kind in (_EVENT, _LINK):
            user = value["user"]
            if not user or user.encode() != record.key:
                raise Poison("wrong_key", "key", "the key is the user, which is not empty")
            if value["occurred_at"] < 0 or value["received_at"] <= 0:
                raise Poison("wrong_time", "occurred_at", "times before 1970 do not belong here")
            if kind == _EVENT and value["account"]:
                raise Poison("wrong_topic", "account", f"an event with an account belongs on {USAGE_EVENTS}")
            if kind == _LINK:
                _check(value)
            if value["epoch"] and record.appended_at != NO_APPEND_TIME:
                # Its own time is the past that the drive brings: it is no time for this lane to begin at.
                return UnattributedRecord(kind, value, record.appended_at, record.value or b"")
            own = value["received_at"]
        else:
            own = value["at"]
        return UnattributedRecord(kind, value, min(own, record.appended_at), record.value or b"")

    def fold(self, offset: int, item: UnattributedRecord, step: int) -> Iterator[None] | None:
        """Apply one record."""
        kind, value, at, record = item
        if kind == _EVENT:
            self._driven = self._driven or value["epoch"] != 0
            self._fold.event(value, at, offset, record)
            return None
        if kind == _LINK:
            self._driven = self._driven or value["epoch"] != 0
            return self._fold.link(value, at, step)
        if kind == "tick":
            return self._fold.tick(value, at, step)
        if kind == "clock":
            return self._fold.clock(value, at, step)
        return self._fold.aliases(value, step)

    def take_outputs(self) -> list[Output]:
        """Return and forget the dead letters since the last call."""
        self._drain()
        outputs, self._outputs = self._outputs, []
        self._driven = False
        return outputs

    def take_appends(self) -> list[Append]:
        """Return and forget what is forwarded since the last call."""
        self._drain()
        appends, self._appends = self._appends, []
        self._bytes = 0
        return appends

    def take_changes(self) -> Iterable[StateChange]:
        """Encode what changed since the last call."""
        state = self.state
        changes = [StateChange(STATE, key, value) for key, value in state.take_changes()]
        changes.extend(StateChange(IDS, key, value) for key, value in state.ids.take_changes())
        if self._metrics:
            self._metrics.committed(state)
        return changes

    @property
    def changed_bytes(self) -> int:
        """About how many bytes are to be written."""
        self._drain()
        return self._bytes + self.state.changed_bytes

    @property
    def urgent(self) -> bool:
        """Whether a record of a drive was folded: its driver waits for this lane before each midnight."""
        return self._driven

    def _drain(self) -> None:
        outcomes, self.state.outcomes = self.state.outcomes, []
        for outcome in outcomes:
            if isinstance(outcome, Unresolved):
                letter = _dead_letter(outcome, self._partition)
                self._outputs.append(letter)
                self._bytes += len(letter.value or b"")
                if self._metrics:
                    self._metrics.unresolved(outcome.reason)
            else:
                append = append_of(outcome)
                self._appends.append(append)
                self._bytes += len(append.value)


def append_of(outcome: Forward | Move | Link) -> Append:
    """Return the record that follows from an event or a link."""
    if isinstance(outcome, Link):
        link = outcome.value
        if outcome.to_account:
            return Append(USAGE_EVENTS, None, link["account"].encode(), _encode_link(link))
        return Append(USAGE_UNATTRIBUTED, None, link["user"].encode(), _encode_link(link))
    event = outcome.event or _event_in(outcome.value)
    encode = _encoder_of(outcome.value[:5])
    again = {"forwards": event["forwards"] + 1, "internal": event["internal"] or outcome.internal}
    if isinstance(outcome, Forward):
        changed = {**event, **again, "account": outcome.account, "via": outcome.via}
        return Append(USAGE_EVENTS, None, outcome.account.encode(), encode(changed))
    changed = {**event, **again, "user": outcome.user, "identified": True}
    return Append(USAGE_UNATTRIBUTED, None, outcome.user.encode(), encode(changed))


def _event_in(value: bytes) -> dict[str, Any]:
    return codec.decode(value)[1]


@lru_cache(maxsize=16)
def _encoder_of(header: bytes) -> Callable[[Mapping[str, Any]], bytes]:
    """Return the encoder of the version that a record was written in, by its first five bytes, so that all of it is kept."""
    return codec.encoder(_EVENT, codec.version_of(header))


def _check(link: Mapping[str, Any]) -> None:
    kind = link["kind"]
    if kind == "SAME":
        if not link["known_as"]:
            raise Poison("no_known_as", "known_as", "a SAME link names the user that its user is known as")
    elif kind in ("WITHDRAWN", "FORGOTTEN"):
        return
    elif kind not in ("MEMBER", "NAMED"):
        raise Poison("unknown_kind", "kind", f"this version does not know links of kind {kind}")
    elif not link["account"]:
        raise Poison("no_account", "account", f"a {kind} link names an account")


def _dead_letter(unresolved: Unresolved, partition: int) -> Output:
    event = _event_in(unresolved.value)
    letter = DeadLetter(
        by="scorer",
        reason=unresolved.reason,
        field="account",
        detail=f"{_DETAILS[unresolved.reason]}; {_WHAT_TO_DO}",
        original=unresolved.value,
        rejected_at=unresolved.at,
        event_id=event["event_id"],
        source=event["source"],
        origin=f"{USAGE_UNATTRIBUTED}/{partition}/{unresolved.offset}",
    )
    return Output(DEAD_LETTERS, letter.key, letter.encode())
