"""
A scorer that is away from the eve of a holiday for eight days sounds no alarm that it would not have sounded had it stayed.

Twenty accounts, 24 weeks of their own past, then twelve days on which a quarter of the people work. While the scorer is
away events go on; when it is back it finds eight days without a single tick. Runs through scorer, fleet and alerter.
"""

from __future__ import annotations

import random
from copy import deepcopy

import pytest
from prometheus_client import CollectorRegistry

from schemas import codec
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import alerter_lanes
from services.alerter.rule_files import load_rules
from services.scorer.lanes import fleet_lane, usage_lanes
from services.scorer.usage_processor import UsageProcessor
from services.shared.engine.memory.runner import MemoryRunner
from services.shared.units import DAY_MS
from tests.support.scorer import MODEL, PLAN, Log, at, clock, tick

pytestmark = pytest.mark.timeout(300)

ACCOUNTS, PAST, HOLIDAY, AFTER = 20, 24 * 7, 12, 12
USAGE_RULES = {"usage_silent", "usage_decline", "usage_decline_fast", "active_users_falling"}
EPOCH = 1
MINUTE = 60_000


def activity(seed: int) -> dict[int, list[tuple[str, str, int]]]:
    """Return account, person and minute of each event by day; two accounts really leave in the middle of the holiday."""
    rnd = random.Random(seed)
    days: dict[int, list[tuple[str, str, int]]] = {}
    for number in range(ACCOUNTS):
        people = 2 + number % 7
        for day in range(PAST + HOLIDAY + AFTER):
            weekday = (day + 4) % 7 < 5
            chance = 0.6 if weekday else 0.05
            if PAST <= day < PAST + HOLIDAY:
                chance *= 0.26
            if number < 2 and day > PAST - 4:
                chance = 0
            for person in range(people):
                if rnd.random() < chance:
                    event = (f"acct-{number}", f"p{person}", rnd.randrange(8 * 60, 18 * 60))
                    days.setdefault(day, []).append(event)
    return {day: sorted(events, key=lambda e: e[2]) for day, events in days.items()}


def lanes(log: Log) -> MemoryRunner:
    """Return a runner of scorer, fleet and alerter, which goes on where the log's changelogs say."""
    alerter = alerter_lanes(load_rules(), AlerterMetrics(CollectorRegistry()))
    return MemoryRunner(log.memory, [usage_lanes(2, PLAN, MODEL, 200_000), fleet_lane(), alerter])


def past(days: dict[int, list[tuple[str, str, int]]]) -> Log:
    """Return the log as it is on the holiday's eve."""
    log = Log(2)
    runner = lanes(log)
    log.control("clock", clock("DRIVEN", at(), EPOCH))
    for day in range(PAST - 1):
        for number, (account, user, minute) in enumerate(days.get(day, ())):
            when = at(day) + minute * MINUTE
            log.event(f"{day}-{number}", account, user, when, epoch=EPOCH, historical=True)
        log.control("tick", tick(at(day + 1), EPOCH))
        runner.run()
    log.control("clock", clock("LIVE", at(PAST - 1)))
    runner.run()
    return log


def alarms(days: dict[int, list[tuple[str, str, int]]], eve: Log, away: range) -> set[tuple[str, str]]:
    """Play on from the eve; return account and rule of each usage alarm."""
    log = deepcopy(eve)
    runner = lanes(log)
    for day in range(PAST - 1, PAST + HOLIDAY + AFTER):
        _live_day(log, runner, day, days.get(day, []), away)
    found = set()
    for value in log.memory.values("risk-signals"):
        signal = codec.decode(value)[1]
        if signal["transition"] == "FIRING" and signal["rule"] in USAGE_RULES and signal["at"] >= at(PAST - 1):
            found.add((signal["account"], signal["rule"]))
    return found


def _live_day(log: Log, runner: MemoryRunner, day: int, events: list[tuple[str, str, int]], away: range) -> None:
    """One day as it happens: events as they come; a tick every hour where the scorer is there."""
    waiting = list(enumerate(events))
    for minute in range(0, 24 * 60, 60):
        while waiting and waiting[0][1][2] <= minute:
            number, (account, user, when) = waiting.pop(0)
            log.event(f"{day}-{number}", account, user, at(day) + when * MINUTE)
        if day in away:
            continue
        now = at(day) + minute * MINUTE
        runner.run()
        for partition in range(2):
            processor = runner.processor("usage-events", partition)
            assert isinstance(processor, UsageProcessor)
            for step in range(processor.log_time + DAY_MS, now, DAY_MS):
                log.control("tick", tick(step), partition)
            log.control("tick", tick(now), partition)
        runner.run()


@pytest.mark.parametrize("seed", [3])
def test_after_catching_up_no_usage_alarm_fires_that_an_undisturbed_run_would_not_fire(seed: int) -> None:
    days = activity(seed)
    eve = past(days)
    undisturbed = alarms(days, eve, range(0))
    disturbed = alarms(days, eve, range(PAST, PAST + 8))

    assert undisturbed, "two accounts have left: a run that sees nothing shows nothing"
    assert disturbed <= undisturbed
