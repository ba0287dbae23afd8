"""
The aggregator: one lane that adds the partitions' partials of a day and decides the fleet factor.

A decision is committed to `fleet` first and then appended to every partition of usage-events. An append may be
repeated after a crash; the lanes take the first of a day. Partials of one epoch come day by day from every lane,
so days are decided in order, and a partial of a decided day is a repetition. A partial that a lane sends again, at
half of the grace, means that some other lane stands still: the day is decided with what has come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from schemas import codec
from schemas.topics import FLEET, USAGE_EVENTS
from services.scorer.domain.accounts.daily_counts import SPAN
from services.scorer.domain.fleet import decide
from services.shared.engine.processor import Append, Output, SourceRecord, StateChange
from services.shared.errors import IncompatibleState, Poison
from services.shared.source_records import decode

STATE = "state"
FORMAT = 1
MOST_WAITING = SPAN
"""
Days that wait for a partition: after an absence that a person has accepted, one lane reports all of its days before the
next reports its first, and lanes look back so far. Beyond that the latest is given up: the oldest is needed next.
"""
AGAIN = MOST_WAITING
"""
Latest decisions that are appended again when the lane opens: as many as one transaction may decide, so that a crash
between its commit and its appends loses none.
"""
_DECIDED = b"decided"
_WAITING = b"waiting/"

_encode = codec.encoder("fleet")
Day = tuple[int, int, str]
"""Epoch, day and segment."""


class FleetProcessor:
    """The lane of fleet-partials."""

    def __init__(self) -> None:
        """Start with nothing decided."""
        self._waiting: dict[Day, dict[int, dict[str, Any]]] = {}
        self._decided_day: dict[tuple[int, str], int] = {}
        self._connected: list[str] = []
        self._latest: deque[dict[str, Any]] = deque(maxlen=AGAIN)
        self._partitions = 0
        self._moved: set[Day] = set()
        self._decided = False
        self._outputs: list[Output] = []
        self._appends: list[Append] = []

    def restore(self, store: str, key: bytes, value: bytes) -> None:  # noqa: ARG002  there is one store
        """Take back the decisions or one waiting day."""
        if value[0] > FORMAT:
            raise IncompatibleState(
                f"the fleet lane's state is of format {value[0]}, this version reads up to {FORMAT}"
            )
        body = msgspec.msgpack.decode(value[1:])
        if key == _DECIDED:
            self._decided_day = {(epoch, segment): day for epoch, segment, day in body[0]}
            self._connected = body[1]
            self._latest.extend(body[2])
            self._partitions = body[3]
        else:
            epoch, day, segment = key[len(_WAITING) :].decode().split("/", 2)
            self._waiting[(int(epoch), int(day), segment)] = {part["partition"]: part for part in body}

    def opened(self) -> Iterable[Append]:
        """Append the latest decisions again: the appends of the last commit may not have been acknowledged."""
        return [append for decision in self._latest for append in self._everywhere(decision)]

    def decode(self, record: SourceRecord) -> dict[str, Any]:
        """Read a partial."""
        _, value = decode(record, ("fleet_partial",))
        if not 0 <= value["partition"] < value["partitions"]:
            raise Poison("wrong_partition", "partition", "the partition is not one of those that take part")
        return value

    def fold(self, offset: int, item: dict[str, Any], step: int) -> None:  # noqa: ARG002  always short
        """Keep a partial; decide once every partition of the day has reported, or one reports again."""
        day: Day = (item["epoch"], item["day"], item["segment"])
        if item["day"] <= self._decided_day.get((item["epoch"], item["segment"]), -1):
            return
        parts = self._waiting.setdefault(day, {})
        parts.setdefault(item["partition"], item)
        self._moved.add(day)
        if len(parts) >= item["partitions"]:
            self._decide(day, parts)
        elif item["repeated"]:
            # half of the grace is over: a partition that stands still must not deny the factor to all others
            for earlier in sorted(d for d in self._waiting if d[0] == day[0] and d[2] == day[2] and d[1] <= day[1]):
                if earlier in self._waiting:
                    self._decide(earlier, self._waiting[earlier])
        elif len(self._waiting) > MOST_WAITING:
            given_up = max(self._waiting)
            del self._waiting[given_up]
            self._moved.add(given_up)

    def take_outputs(self) -> list[Output]:
        """Return the decisions for `fleet`."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def take_changes(self) -> Iterable[StateChange]:
        """Return the days that moved, and the decisions."""
        changes = []
        for epoch, day, segment in sorted(self._moved):
            parts = self._waiting.get((epoch, day, segment))
            key = _WAITING + f"{epoch}/{day}/{segment}".encode()
            changes.append(StateChange(STATE, key, _pack([parts[p] for p in sorted(parts)]) if parts else None))
        if self._decided:
            decided = [(epoch, segment, day) for (epoch, segment), day in sorted(self._decided_day.items())]
            body = (decided, self._connected, list(self._latest), self._partitions)
            changes.append(StateChange(STATE, _DECIDED, _pack(body)))
        self._moved = set()
        self._decided = False
        return changes

    def take_appends(self) -> list[Append]:
        """Return the decisions for every partition of usage-events."""
        appends, self._appends = self._appends, []
        return appends

    @property
    def urgent(self) -> bool:
        """Whether a day was decided: every lane waits for it."""
        return bool(self._outputs)

    def _decide(self, day: Day, parts: dict[int, dict[str, Any]]) -> None:
        decision = decide(parts.values(), self._connected)
        self._connected = decision["connected"]
        self._partitions = max(self._partitions, decision["partitions"])
        self._decided_day[(day[0], day[2])] = day[1]
        self._latest.append(decision)
        self._decided = True
        # lanes report day by day, so an earlier day of this epoch that still waits never will be complete
        for earlier in [d for d in self._waiting if d[0] == day[0] and d[2] == day[2] and d[1] <= day[1]]:
            del self._waiting[earlier]
            self._moved.add(earlier)
        self._outputs.append(Output(FLEET, f"{day[0]}/{day[1]}/{day[2]}".encode(), _encode(decision)))
        self._appends.extend(self._everywhere(decision))

    def _everywhere(self, decision: dict[str, Any]) -> list[Append]:
        value = _encode(decision)
        return [Append(USAGE_EVENTS, partition, None, value) for partition in range(self._partitions)]


def _pack(body: Any) -> bytes:
    return bytes((FORMAT,)) + msgspec.msgpack.encode(body)
