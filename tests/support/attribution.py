"""
Records and runs for tests of attribution: an event, a link and a lane, each in one call.

Nothing here is used by a running service.
"""

from __future__ import annotations

from typing import Any

from schemas import codec
from schemas.topics import USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.scorer.domain.attribution.fold import AttributionFold
from services.scorer.domain.attribution.outcome import Forward, Link, Move, Outcome, Unresolved
from services.scorer.domain.attribution.state import USER_BYTES, AttributionState
from services.scorer.domain.attribution.waiting import WaitingBounds
from services.scorer.lanes import attribution_lanes, fleet_lane, usage_lanes
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import Cuts, MemoryRunner
from services.shared.engine.processor import NO_APPEND_TIME
from tests.support import scorer
from tests.support.scorer import MODEL, PLAN, at, tick

KIM, ANON = "u_kim", "u_anon"

_ENCODERS = {kind: codec.encoder(kind) for kind in ("usage_event", "user_link", "tick", "clock", "account_aliases")}


def event(event_id: str, user: str = KIM, when: int | None = None, **changes: Any) -> dict[str, Any]:
    """Return a UsageEvent without an account; whoever is not called anonymous is identified."""
    value = scorer.event(event_id, changes.pop("account", ""), user, when, **changes)
    value.pop("extra", None)
    return {
        **value,
        "identified": not user.startswith(ANON),
        "internal": False,
        "via": "UNKNOWN",
        "forwards": 0,
        "authority": "BROWSER",
        **{name: value for name, value in changes.items() if name != "properties"},
    }


def link(kind: str, user: str = KIM, account: str = "", when: int | None = None, **changes: Any) -> dict[str, Any]:
    """Return a UserLink, of a server unless told."""
    occurred = at() if when is None else when
    return {
        "kind": kind,
        "user": user,
        "identified": not user.startswith(ANON),
        "internal": False,
        "account": account,
        "known_as": "",
        "authority": "SERVER",
        "via": "EVENT",
        "source": "app",
        "environment": "production",
        "event_id": "",
        "occurred_at": occurred,
        "received_at": occurred,
        "epoch": 0,
        "historical": False,
        "forwards": 0,
        **changes,
    }


def encode(kind: str, value: dict[str, Any]) -> bytes:
    """Return the bytes of a record."""
    return _ENCODERS[kind](value)


def read(value: bytes) -> dict[str, Any]:
    """Return the record in some bytes."""
    return codec.decode(value)[1]


class AttributionLane(scorer.LaneByHand):
    """A lane of usage-unattributed."""

    def __init__(
        self,
        bounds: WaitingBounds | None = None,
        most_users: int = 1_000,
        start: int | None = None,
        user_bytes: int = USER_BYTES,
    ) -> None:
        """Start at the first moment of the first test day, or at `start`; 0: not started."""
        self._bounds = bounds or WaitingBounds()
        self._most_users = most_users
        self._user_bytes = user_bytes
        self.fold = AttributionFold(200_000, self._bounds, most_users, user_bytes)
        self.out: list[Outcome] = []
        self._records: dict[bytes, bytes] = {}
        self._ids: dict[bytes, bytes] = {}
        self._offset = -1
        if start != 0:
            self.tick(at() if start is None else start)

    @property
    def state(self) -> AttributionState:
        """The lane's state."""
        return self.fold.state

    def event(self, event_id: str, user: str = KIM, when: int | None = None, **changes: Any) -> None:
        """Fold an event; see `event` for the arguments."""
        value = event(event_id, user, when, **changes)
        self._offset += 1
        self.fold.event(value, value["received_at"], self._offset, encode("usage_event", value))
        self._drain(None)

    def link(self, kind: str, user: str = KIM, account: str = "", when: int | None = None, **changes: Any) -> None:
        """Fold a link; see `link` for the arguments."""
        value = link(kind, user, account, when, **changes)
        self._drain(self.fold.link(value, value["received_at"], 0))

    def member(self, account: str, when: int | None = None, user: str = KIM, **changes: Any) -> None:
        """Fold a group call."""
        self.link("MEMBER", user, account, when, **changes)

    def same(self, user: str = ANON, known_as: str = KIM, when: int | None = None, **changes: Any) -> None:
        """Fold that two users are one person."""
        self.link("SAME", user, "", when, known_as=known_as, **{"authority": "BROWSER", **changes})

    def tick(self, when: int, epoch: int = 0, settled: int | None = None) -> None:
        """Fold a tick; unless told, it says that all lanes have read the log as of its own time."""
        value = {**tick(when, epoch), "settled": when if settled is None else settled}
        self._drain(self.fold.tick(value, when, 0))

    def clock(self, mode: str, when: int) -> None:
        """Fold a clock record."""
        self._drain(self.fold.clock(scorer.clock(mode, when), when, 0))

    def aliases(self, **aliases: str) -> None:
        """Fold a table of aliases."""
        self._drain(self.fold.aliases({"at": 0, "by": "", "aliases": aliases}, 0))

    @property
    def forwarded(self) -> list[tuple[str, str]]:
        """The ids that were forwarded so far, each with its account."""
        return [(read(o.value)["event_id"], o.account) for o in self.out if isinstance(o, Forward)]

    @property
    def moved(self) -> list[tuple[str, str]]:
        """The ids that were moved to another user so far, each with that user."""
        return [(read(o.value)["event_id"], o.user) for o in self.out if isinstance(o, Move)]

    @property
    def links(self) -> list[tuple[str, str, str]]:
        """The links that went on to other users, as (kind, user, account)."""
        return [
            (o.value["kind"], o.value["user"], o.value["account"])
            for o in self.out
            if isinstance(o, Link) and not o.to_account
        ]

    @property
    def merges(self) -> list[tuple[str, str, str]]:
        """The accounts that were told that two people are one, as (account, user, known as)."""
        return [
            (o.value["account"], o.value["user"], o.value["known_as"])
            for o in self.out
            if isinstance(o, Link) and o.to_account
        ]

    @property
    def unresolved(self) -> list[tuple[str, str]]:
        """The ids that were given up and dead-lettered, each with the reason."""
        return [(read(o.value)["event_id"], o.reason) for o in self.out if isinstance(o, Unresolved)]

    def reopened(self) -> AttributionLane:
        """Return a lane restored from this one's state."""
        other = AttributionLane(self._bounds, self._most_users, start=0, user_bytes=self._user_bytes)
        other._records, other._ids = self.state_records(), dict(self._ids)
        other._offset = self._offset
        for key, value in sorted(other._records.items()):
            other.state.restore(key, value)
        for key, value in other._ids.items():
            other.state.ids.load(key, value)
        for _ in other.state.restoring():
            pass
        return other


class Log:
    """A log of both topics in memory, and runs of the scorer over it."""

    def __init__(self, partitions: int = 2, bounds: WaitingBounds | None = None, most_users: int = 1_000) -> None:
        """Start empty."""
        self.memory = MemoryLog(partitions)
        self.partitions = partitions
        self._bounds = bounds
        self._most_users = most_users

    def event(self, event_id: str, user: str = KIM, when: int | None = None, **changes: Any) -> None:
        """Append an event to where ingest would."""
        value = event(event_id, user, when, **changes)
        topic, key = (USAGE_EVENTS, value["account"]) if value["account"] else (USAGE_UNATTRIBUTED, user)
        self.memory.append(topic, key.encode(), encode("usage_event", value))

    def link(self, kind: str, user: str = KIM, account: str = "", when: int | None = None, **changes: Any) -> None:
        """Append a link."""
        value = link(kind, user, account, when, **changes)
        self.memory.append(USAGE_UNATTRIBUTED, user.encode(), encode("user_link", value))

    def control(self, kind: str, value: dict[str, Any], topic: str = USAGE_UNATTRIBUTED) -> None:
        """Append a control record to every partition."""
        for partition in range(self.partitions):
            self.memory.append(topic, None, encode(kind, value), partition, NO_APPEND_TIME)

    def tick(self, when: int, settled: int | None = None) -> None:
        """Append a tick to every partition of both topics; unless told, all lanes have read the log as of its time."""
        for topic in (USAGE_UNATTRIBUTED, USAGE_EVENTS):
            self.control("tick", {**tick(when), "settled": when if settled is None else settled}, topic)

    def runner(self, cuts: Cuts | None = None) -> MemoryRunner:
        """Return a runner of the scorer's lanes over this log."""
        specs = [
            attribution_lanes(self._bounds, self._most_users, 200_000),
            usage_lanes(self.partitions, PLAN, MODEL, 200_000),
            fleet_lane(),
        ]
        return MemoryRunner(self.memory, specs, cuts)

    def copy(self) -> Log:
        """Return a log with what ingest and tickers have written, and nothing else; before anything was run."""
        other = Log(self.partitions, self._bounds, self._most_users)
        for topic in (USAGE_UNATTRIBUTED, USAGE_EVENTS):
            for record in self.memory.records(topic):
                other.memory.append(topic, record.key, record.value, record.partition, record.appended_at)
        return other
