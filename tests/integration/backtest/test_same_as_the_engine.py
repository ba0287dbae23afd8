"""
What a back-test says is what production says: the same history through the engine, record by record, gives the same.

The engine's lanes over a log in memory encode and decode every record, keep changelogs, and stop at every transaction; the
back-test calls the folds. Signals, scores and active user-days must be equal, in one process and in two.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas import codec
from services.alerter.domain.closing import ForgottenAccount
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import alerter_lanes
from services.backfill.plan import Send, Tick, steps
from services.backtest.domain.episodes import episodes_of
from services.backtest.domain.history import BacktestHistory, Event, Fact
from services.backtest.driving import Driven, drive, judge_again
from services.backtest.driving.drive import Scoring
from services.backtest.driving.lane import EPOCH
from services.backtest.driving.scoring import LANES
from services.scorer.lanes import fleet_lane, usage_lanes
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import Cuts, MemoryRunner
from services.shared.units import DAY_MS, HOUR_MS

FIRST, DAYS = 19_700, 150
_event, _tick, _clock = (codec.encoder(kind) for kind in ("usage_event", "tick", "clock"))


@dataclass(frozen=True)
class Customers:
    """Fourteen accounts: one goes, one shrinks, one has tickets, one an unhappy person, one an agent and an integration; all are away at the turn of the year."""

    def __call__(self) -> Iterator[Event]:
        for day in range(DAYS):
            for number in range(14):
                yield from self._events(f"account-{number}", number, day)

    def _events(self, account: str, number: int, day: int) -> Iterator[Event]:
        at = (FIRST + day) * DAY_MS
        people = 0 if day % 7 in {2, 3} or 80 <= day < 90 else 1 + number % 5
        if (number, day > 110) == (3, True):
            people = 0
        if (number, day > 90) == (4, True):
            people = 1
        if number == 6 and day in {100, 104, 109}:
            yield Event(account, "ann", at + HOUR_MS, "Ticket Opened", {"ticket_id": f"t{day}"})
        if number == 7 and day == 120:
            yield Event(account, "ann", at + HOUR_MS, "NPS Submitted", {"score": 2})
        if number == 8 and day > 100:
            yield Event(account, "", at + 2 * HOUR_MS, "Report Shared", actor="INTEGRATION", source="sync")
            yield Event(account, "person-0", at + 3 * HOUR_MS, "Page Viewed", actor="AGENT")
        for person in range(people):
            name = "Report Shared" if person == 0 else "Page Viewed"
            yield Event(account, f"person-{person}", at + 9 * HOUR_MS + number * 1000 + person, name)


FACTS = tuple(
    Fact(f"account-{number}", FIRST * DAY_MS, {"seats": 6, "owner": "olga", "renewal_date": "2024-06-01"})
    for number in (5, 6, 9)
)
HISTORY = BacktestHistory("customers", Customers(), "customers", FACTS)


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Driven:
    """Drive the history in two processes, and keep what was said."""
    return drive(HISTORY, keep=tmp_path_factory.mktemp("kept") / "customers.snapshots", workers=2)


@pytest.fixture(scope="module")
def log() -> MemoryLog:
    """Drive it through the engine."""
    scoring = Scoring()
    log = MemoryLog(LANES)
    alerter = alerter_lanes(scoring.rules, AlerterMetrics(CollectorRegistry()))
    lanes = [usage_lanes(LANES, scoring.plan, scoring.model, duplicate_ids=200_000), fleet_lane(), alerter]
    runner = MemoryRunner(log, lanes, Cuts(chunk=(500,), transaction=4))
    start, until = FIRST * DAY_MS, (FIRST + DAYS) * DAY_MS
    everywhere(log, _clock({"mode": "DRIVEN", "epoch": EPOCH, "at": start}))
    groups = [Event(fact.account, "", fact.at_ms, "", fact.traits, "GROUP") for fact in FACTS]
    for step in steps([*groups, *Customers()()], start, until, DAY_MS):
        if isinstance(step, Send):
            for number, event in enumerate(step.calls):
                append(log, event, f"{event.at_ms}-{number}")
        elif isinstance(step, Tick):
            everywhere(log, _tick({"at": step.at_ms, "epoch": EPOCH}))
        runner.run()
    assert runner.dead_letters == 0
    return log


def append(log: MemoryLog, event: Event, event_id: str) -> None:
    value = {
        "event_id": event_id, "id_source": "CLIENT", "source": event.source, "environment": "production",
        "account": event.account, "user": event.user, "kind": event.kind, "name": event.name,
        "occurred_at": event.at_ms, "received_at": event.at_ms, "epoch": EPOCH, "historical": True,
        "properties": json.dumps(dict(event.properties)), "actor": event.actor,
    }  # fmt: skip
    log.append("usage-events", event.account.encode(), _event(value))


def everywhere(log: MemoryLog, value: bytes) -> None:
    for partition in range(LANES):
        log.append("usage-events", None, value, partition)


def decoded(log: MemoryLog, *topics: str) -> list[dict[str, Any]]:
    found = [codec.decode(value)[1] for topic in topics for value in log.values(topic)]
    return sorted(found, key=lambda each: (each["at"], each["account"]))


def test_the_signals_are_those_of_the_engine(driven: Driven, log: MemoryLog) -> None:
    signals = decoded(log, "risk-signals", "expansion-signals")

    assert {"usage_silent", "tickets_stuck", "nps_detractor"} <= {signal["rule"] for signal in signals}
    assert driven.episodes == episodes_of(signals)


def test_the_snapshots_are_those_of_the_engine(driven: Driven, log: MemoryLog) -> None:
    theirs = [each for each in decoded(log, "account-health") if "score_tenths" in each]
    ours = sorted(
        (said for said in driven.snapshots if not isinstance(said, ForgottenAccount)),
        key=lambda s: (s["at"], s["account"]),
    )

    assert len(ours) > 14 * 100
    assert [{**their, **our} for our, their in zip(ours, theirs, strict=True)] == theirs
    assert driven.scores.owners == {"olga"}


def test_one_process_says_what_two_say(driven: Driven) -> None:
    alone = drive(HISTORY, workers=1)

    assert alone.episodes == driven.episodes
    assert alone.snapshots.shards == driven.snapshots.shards
    assert (alone.activity == driven.activity).all()


def test_active_user_days_are_those_in_the_history(driven: Driven) -> None:
    counted = {
        (event.account, event.at_ms // DAY_MS - FIRST, event.user, event.actor)
        for event in Customers()()
        if event.name in {"Report Shared", "Page Viewed"}
    }

    assert int(driven.activity.sum()) == len(counted)
    assert driven.activity[driven.accounts.index("account-3"), 111:].sum() == 0


def test_kept_snapshots_are_judged_by_other_rules_without_driving_again(tmp_path: Path) -> None:
    kept = tmp_path / "customers.snapshots"
    scoring = Scoring()
    first = drive(HISTORY, scoring, keep=kept, workers=1)
    told: list[int] = []

    again = drive(HISTORY, scoring, keep=kept, workers=1, progress=told.append)
    other = judge_again(again, type(scoring.rules)(scoring.rules.ordered[:1], "one rule"))

    assert not told
    assert again.episodes == first.episodes
    assert {episode.rule for episode in other.episodes} <= {scoring.rules.ordered[0].id}


def test_snapshots_of_another_history_or_a_torn_file_are_not_taken(tmp_path: Path) -> None:
    kept = tmp_path / "customers.snapshots"
    small = BacktestHistory("small", lambda: iter([Event("a", "ann", FIRST * DAY_MS)]), "small")
    drive(small, keep=kept)
    told: list[int] = []

    drive(BacktestHistory("small", small.read, "another"), keep=kept, progress=told.append)
    kept.write_bytes(kept.read_bytes()[:-1])
    drive(BacktestHistory("small", small.read, "another"), keep=kept, progress=told.append)

    assert told == [1, 1]
