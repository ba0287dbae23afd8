"""
One's own history: what `usage-events` still holds, from its beginning to its present end, or what the warehouse does.

Only what the scorer takes is read: events of the production environment that name an account. Those of people whom the
tracking plan left out are marked, and count as no use; what is use otherwise, the plan of the back-test says, as it does for the
state that events mean, and not the mark that ingest left. They are put in the order in which they happened. A day that came late
is on its own day here, so a back-test knows it earlier than the scorer did; events that came too late for the scorer are left out,
as one wrong clock would make the history begin decades ago.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from xxhash import xxh3_128

from schemas.topics import USAGE_EVENTS
from services.backtest.domain.history import NOTHING, OWN, AccountOutcome, BacktestHistory, Event
from services.backtest.domain.kept_events import KeptEvents
from services.scorer.domain.lane.lateness import oldest_day
from services.shared.counts import counted
from services.shared.errors import Fatal
from services.shared.kafka.reading import decoded, scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.tracking_plan.losses import LOSS, loss_of
from services.shared.units import DAY_MS
from services.warehouse.ports import Queries

MOST_EVENTS = 30_000_000
"""They are held in memory, about 75 bytes each with their ids."""
TOO_LATE = "too_late"
"""Why events of wrong clocks are not taken."""
DAY_NOT_OVER = "day_not_over"
_KINDS = frozenset({"TRACK", "PAGE", "SCREEN", "IDENTIFY", "GROUP"})
_json = msgspec.json.Decoder().decode


async def read_log(
    kafka: KafkaSettings, outcomes: tuple[AccountOutcome, ...], now_ms: int, most: int = MOST_EVENTS
) -> BacktestHistory:
    """
    Return the history on the log.

    Raises:
        Fatal: there is no such topic, there are no events on it, or more than `most`.
    """
    held = _Holder(USAGE_EVENTS, now_ms, most)
    async for record in scan(kafka, USAGE_EVENTS):
        kind, value = decoded(record.value)
        if kind == "usage_event":
            held.add(value)
    return held.history(outcomes)


def read_warehouse(
    store: Queries, outcomes: tuple[AccountOutcome, ...], now_ms: int, most: int = MOST_EVENTS
) -> BacktestHistory:
    """
    Return the history in the warehouse, which may reach further back than the log.

    Raises:
        Fatal: there are no events in it, or more than `most`.
        Retryable: the store does not answer.
    """
    held = _Holder("the warehouse", now_ms, most)
    for value in store.past():
        held.add(value)
    return held.history(outcomes)


class _Holder:
    """Takes usage events as they come, and makes a history of those that score."""

    def __init__(self, where: str, now_ms: int, most: int) -> None:
        self._where = where
        self._now_ms = now_ms
        self._most = most
        self._events = KeptEvents()
        self._losses: dict[str, tuple[int, AccountOutcome | None]] = {}
        self._dayless: set[str] = set()
        self._left_out: Counter[str] = Counter()

    def add(self, value: Mapping[str, Any]) -> None:
        """Take one."""
        self._note_loss(value)
        if not _scores(value) or value["kind"] not in _KINDS:
            return
        if value["occurred_at"] >= self._now_ms - self._now_ms % DAY_MS:
            self._left_out[DAY_NOT_OVER] += 1
            return
        if _came_too_late(value):
            self._left_out[TOO_LATE] += 1
            return
        self._events.add(_event_of(value))
        if len(self._events) > self._most:
            raise Fatal(
                f"{self._where} holds more than {self._most:,} events, more than fit into memory here: export a part of "
                "them to a file, and give that file to `tidemark backtest`"
            )

    def _note_loss(self, value: Mapping[str, Any]) -> None:
        """Keep the latest record of a loss of each account; a loss that lies ahead is none yet."""
        if value["name"] != LOSS or value["kind"] != "TRACK" or value["internal"] or not _scores(value):
            return
        said_at, loss = value["occurred_at"], loss_of(value["properties"])
        if loss is None:
            self._dayless.add(value["account"])
            return
        if said_at < self._losses.get(value["account"], (0, None))[0]:
            return
        outcome = AccountOutcome(value["account"], loss.day, "lost", loss.reason)
        self._losses[value["account"]] = (said_at, outcome if loss.day <= self._now_ms // DAY_MS else None)

    def history(self, outcomes: tuple[AccountOutcome, ...]) -> BacktestHistory:
        """Return all of them."""
        events = self._events
        if not len(events):
            raise Fatal(f"{self._where} holds {self._nothing()}: there is nothing to test on yet")
        events.sort()
        content = xxh3_128()
        for event in events():
            content.update(repr(event).encode())
        until = self._now_ms // DAY_MS
        recorded = tuple(outcome for _, outcome in self._losses.values() if outcome is not None)
        dayless = tuple(sorted(self._dayless - self._losses.keys()))
        return BacktestHistory(
            OWN,
            events,
            f"own:{content.hexdigest()}",
            outcomes=outcomes,
            recorded=recorded,
            dayless=dayless,
            until_day=until,
            left_out=dict(self._left_out),
        )

    def _nothing(self) -> str:
        """Return what there is in place of a history."""
        late, today = self._left_out[TOO_LATE], self._left_out[DAY_NOT_OVER]
        if not late and not today:
            return "no event of a production account"
        over = f"{counted(today, 'event', 'events')} of production accounts on days that are not over (UTC)"
        old = f"{counted(late, 'event', 'events')} of production accounts that happened too long before they came"
        return "only " + " and ".join(text for count, text in ((today, over), (late, old)) if count)


def _scores(value: Mapping[str, Any]) -> bool:
    return value["environment"] == "production" and bool(value["account"])


def _came_too_late(value: Mapping[str, Any]) -> bool:
    """Return whether an event happened so long before it came that the scorer does not count it; a backfill's come when they may."""
    received = value["received_at"] // DAY_MS
    return not value["historical"] and bool(value["occurred_at"] // DAY_MS < oldest_day(received))


def _event_of(value: Mapping[str, Any]) -> Event:
    account, user, name, source, actor = (value[each] for each in ("account", "user", "name", "source", "actor"))
    properties = value["properties"]
    said = NOTHING if properties == "{}" else _json(properties)
    at, internal = value["occurred_at"], value["internal"]
    return Event(account, user, at, name, said, value["kind"], value["event_id"], actor, source, internal)
