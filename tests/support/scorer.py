"""
Records and runs for tests of the scorer and of what reads from it: an event is one call, a lane is one object.

Nothing here is used by a running service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from schemas import codec
from schemas.measures import named
from schemas.topics import USAGE_EVENTS
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.daily_counts import ACTIVE, EVENTS, SPAN
from services.scorer.domain.lane.clock import SWEEP_MS
from services.scorer.domain.lane.outcome import Outcome, Partial, Rejection, Snapshot
from services.scorer.domain.lane.state_format import DEFAULT
from services.scorer.domain.lane.usage_fold import UsageFold
from services.scorer.domain.lane.usage_state import UsageState
from services.scorer.lanes import fleet_lane, usage_lanes
from services.scorer.settings import ScorerSettings, load_scoring
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import Cuts, MemoryRunner
from services.shared.engine.processor import NO_APPEND_TIME
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.units import DAY_MS, HOUR_MS
from tests.support.plans import marked

PLAN, MODEL = load_scoring(ScorerSettings())
"""The defaults."""
DAY = 20_000
"""Day 0 of tests: 2024-10-04, a Friday."""

_ENCODERS = {kind: codec.encoder(kind) for kind in ("usage_event", "tick", "clock", "fleet", "command")}


def at(day: float = 0, hour: float = 0) -> int:
    """Return milliseconds since 1970 of an hour of the n-th test day."""
    return int((DAY + day) * DAY_MS + hour * HOUR_MS)


def days_of(account: Account) -> dict[int, tuple[int, int]]:
    """Return activity events and active user-days of each day that has any, today under the day after the last closed."""
    counts = account.daily_counts
    events, active = counts.history(EVENTS, counts.through), counts.history(ACTIVE, counts.through)
    found: dict[int, tuple[int, int]] = {}
    for back in range(SPAN):
        at = SPAN - 1 - back
        pair = (int(events[at]) if events is not None else 0, int(active[at]) if active is not None else 0)
        if pair != (0, 0):
            found[counts.through - back] = pair
    return found


def measures(snapshot: Mapping[str, Any]) -> dict[str, float]:
    """Return the measures of a snapshot by name."""
    return named(snapshot["measures"])


def event(
    event_id: str, account: str = "acme", user: str = "ann", when: int | None = None, **changes: Any
) -> dict[str, Any]:
    """Return a UsageEvent; `properties` may be a mapping. Receipt is the moment it happened unless told."""
    occurred = at() if when is None else when
    properties = changes.pop("properties", "{}")
    return marked(
        {
            "event_id": event_id,
            "id_source": "CLIENT",
            "source": "app",
            "environment": "production",
            "account": account,
            "user": user,
            "kind": "TRACK",
            "name": "Report Viewed",
            "occurred_at": occurred,
            "received_at": occurred,
            "skew_ms": 0,
            "epoch": 0,
            "historical": False,
            "properties": properties if isinstance(properties, str) else msgspec.json.encode(properties).decode(),
            "identified": True,
            "internal": False,
            "via": "EVENT",
            "forwards": 0,
            "actor": "UNKNOWN",
            "accepted_by": "",
            **changes,
        }
    )


def tick(when: int, epoch: int = 0) -> dict[str, Any]:
    """Return a Tick."""
    return {"at": when, "epoch": epoch}


def clock(mode: str, when: int, epoch: int = 0) -> dict[str, Any]:
    """Return a Clock."""
    return {"mode": mode, "epoch": epoch, "at": when}


def fleet(day: int, ppm: int = 1_000_000, epoch: int = 0, **changes: Any) -> dict[str, Any]:
    """Return the Fleet of the n-th test day."""
    return {
        "day": DAY + day, "segment": "all", "epoch": epoch, "factor_ppm": ppm, "accounts": 100, "weight_cap_milli": 50_000,
        "connected": [], **changes,
    }  # fmt: skip


def encode(kind: str, value: Mapping[str, Any]) -> bytes:
    """Return the bytes of a usage_event, tick, clock or fleet."""
    return _ENCODERS[kind](value)


class LaneByHand:
    """One pure lane, fed by hand. What comes out gathers in `out`."""

    state: Any
    out: list[Any]
    _records: dict[bytes, bytes]
    _ids: dict[bytes, bytes]

    def state_records(self) -> dict[bytes, bytes]:
        """Return the state records as their changelog would hold them."""
        changed = (self._records, self.state.take_changes()), (self._ids, self.state.ids.take_changes())
        for records, changes in changed:
            for key, value in changes:
                if value is None:
                    records.pop(key, None)
                else:
                    records[key] = value
        return dict(self._records)

    def _drain(self, steps: Iterator[None] | None) -> None:
        for _ in steps or ():
            pass
        self.out += self.state.outcomes
        self.state.outcomes = []


class UsageLane(LaneByHand):
    """A lane of usage-events."""

    def __init__(
        self,
        plan: TrackingPlan = PLAN,
        duplicate_ids: int = 200_000,
        start: int | None = None,
        written: int = DEFAULT,
    ) -> None:
        """Start at the first moment of the first test day, or at `start`; 0: not started."""
        self._plan = plan
        self.fold = UsageFold(0, 1, plan, MODEL, duplicate_ids, written=written)
        self.out: list[Outcome] = []
        self._records: dict[bytes, bytes] = {}
        self._ids: dict[bytes, bytes] = {}
        self._offset = -1
        if start != 0:
            self.tick(at() if start is None else start)

    @property
    def state(self) -> UsageState:
        """The lane's state."""
        return self.fold.state

    def event(self, *given: Any, appended_at: int = NO_APPEND_TIME, **changes: Any) -> None:
        """Fold an event; see `event` for the arguments."""
        value = event(*given, **changes)
        at_ = value["received_at"] if value["epoch"] else min(value["received_at"], appended_at)
        self._drain(self.fold.event(value, at_, self._next(), None, 0))

    def tick(self, when: int, epoch: int = 0, appended_at: int = NO_APPEND_TIME) -> None:
        """Fold a tick."""
        at_ = when if epoch else min(when, appended_at)
        self._drain(self.fold.controls.tick(tick(when, epoch), at_, self._next(), 0))

    def clock(self, mode: str, when: int, epoch: int = 0) -> None:
        """Fold a clock record."""
        self._drain(self.fold.controls.clock(clock(mode, when, epoch), when, self._next(), 0))

    def release(self, account: str) -> None:
        """Fold the order to release an account."""
        self.fold.command({"command": "RELEASE", "account": account, "at": 0, "by": ""})

    def fleet(self, day: int, ppm: int = 1_000_000, **changes: Any) -> None:
        """Fold the fleet's factor of the n-th test day."""
        self._drain(self.fold.controls.fleet(fleet(day, ppm, **changes), 0))

    def close(self, day: int, ppm: int = 1_000_000, epoch: int = 0) -> None:
        """Tick to the end of the n-th test day and through its sweeps, and bring its factor between them."""
        self.tick(at(day + 1), epoch)
        if not epoch:
            self.tick(at(day + 1) + SWEEP_MS)
        self.fleet(day, ppm, epoch=epoch)
        if not epoch:
            self.tick(at(day + 1) + 2 * SWEEP_MS)

    def snapshots(self, account: str | None = None) -> list[dict[str, Any]]:
        """Return the snapshots so far, of one account if told."""
        found = [o.value for o in self.out if isinstance(o, Snapshot)]
        return [s for s in found if account is None or s["account"] == account]

    def rejections(self) -> list[Rejection]:
        """Return what was dead-lettered so far."""
        return [o for o in self.out if isinstance(o, Rejection)]

    def partials(self) -> list[dict[str, Any]]:
        """Return the fleet partials so far."""
        return [o.value for o in self.out if isinstance(o, Partial)]

    def reopened(self, plan: TrackingPlan | None = None) -> UsageLane:
        """Return a lane restored from this one's state, under another tracking plan if told."""
        other = UsageLane(plan or self._plan, start=0)
        other._records, other._ids = self.state_records(), dict(self._ids)
        for key, value in other._records.items():
            other.state.restore(key, value)
        for key, value in other._ids.items():
            other.state.ids.load(key, value)
        for _ in other.state.restoring():
            pass
        return other

    def _next(self) -> int:
        self._offset += 1
        return self._offset


def closes(lane: UsageLane) -> list[int]:
    """Return the test day of each snapshot that the close of a day brought."""
    return [s["day"] - DAY for s in lane.snapshots() if s["reason"] == "DAY_CLOSE"]


class Log:
    """A log of usage-events in memory, and runs of the scorer over it."""

    def __init__(self, partitions: int = 2) -> None:
        """Start empty."""
        self.memory = MemoryLog(partitions)
        self.partitions = partitions

    def event(self, *given: Any, appended_at: int = NO_APPEND_TIME, **changes: Any) -> None:
        """Append an event to its account's partition."""
        value = event(*given, **changes)
        self.memory.append(USAGE_EVENTS, value["account"].encode(), encode("usage_event", value), None, appended_at)

    def control(
        self, kind: str, value: Mapping[str, Any], partition: int | None = None, appended_at: int = NO_APPEND_TIME
    ) -> None:
        """Append a control record to every partition, or to one."""
        for at_ in range(self.partitions) if partition is None else (partition,):
            self.memory.append(USAGE_EVENTS, None, encode(kind, value), at_, appended_at)

    def runner(self, cuts: Cuts | None = None, *, aggregate: bool = True) -> MemoryRunner:
        """Return a runner of the scorer's lanes over this log."""
        specs = [usage_lanes(self.partitions, PLAN, MODEL, duplicate_ids=200_000)]
        return MemoryRunner(self.memory, [*specs, fleet_lane()] if aggregate else specs, cuts)

    def without_outputs(self) -> Log:
        """Return a log with the same usage-events, fleet records among them, and nothing else."""
        other = Log(self.partitions)
        for record in self.memory.records(USAGE_EVENTS):
            other.memory.append(USAGE_EVENTS, record.key, record.value, record.partition, record.appended_at)
        return other
