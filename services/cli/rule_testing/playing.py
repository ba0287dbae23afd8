"""
Playing a case of a rule test through the very folds that production runs.

Scorer, fleet and alerter run over a log in memory. Every signal that is not expected is a failure, so each case also says what
must not fire.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from schemas import codec
from schemas.topics import EXPANSION_SIGNALS, RISK_SIGNALS, USAGE_EVENTS
from services.alerter.domain.rules import RuleSet
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import alerter_lanes
from services.cli.rule_testing.cases import Case, Expected, Story, dated, each_account, series
from services.scorer.domain.health.model import Model
from services.scorer.domain.lane.clock import SWEEP_MS
from services.scorer.lanes import fleet_lane, usage_lanes
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import MemoryRunner
from services.shared.tracking_plan.plan import TrackingPlan, role_trait
from services.shared.units import DAY_MS, HOUR_MS, MINUTE_MS

PARTITIONS = 2
ACTIVE_MS = 13 * HOUR_MS
"""From nine o'clock on, in which everybody has been active: however many they are, they are so before midnight."""

_encode_event = codec.encoder("usage_event")
_encode_tick = codec.encoder("tick")


def run_case(case: Case, rules: RuleSet, plan: TrackingPlan, model: Model) -> list[dict[str, Any]]:
    """Play the case; return every signal, each with the `day` on which people hear of it, in that order."""
    log = MemoryLog(partitions=PARTITIONS)
    alerter = alerter_lanes(rules, AlerterMetrics(CollectorRegistry()))
    runner = MemoryRunner(log, [usage_lanes(PARTITIONS, plan, model), fleet_lane(), alerter])
    first = case.first_day
    stories = dict(each_account(case))
    plans = {
        account: {actor: series(text) for actor, text in story.series.items()} for account, story in stories.items()
    }
    for day in range(case.days):
        start = (first + day) * DAY_MS
        for account in sorted(stories):
            active = {actor: _active(days, day) for actor, days in plans[account].items()}
            for event in _events_of_day(account, stories[account], day, active, first, role_trait(plan)):
                log.append(USAGE_EVENTS, account.encode(), _encode_event(event))
        _tick(log, start + 23 * HOUR_MS)
        runner.run()
        for sweeps in range(3):  # midnight, the end of the closing sweep, the end of that of evaluation
            _tick(log, start + DAY_MS + sweeps * SWEEP_MS)
            runner.run()
    signals = [codec.decode(value)[1] for topic in (RISK_SIGNALS, EXPANSION_SIGNALS) for value in log.values(topic)]
    for signal in signals:
        signal["day"] = signal["at"] // DAY_MS - first
    return sorted(signals, key=lambda signal: (signal["at"], signal["account"]))


def differences(case: Case, signals: list[dict[str, Any]]) -> list[str]:
    """Say what came that is not expected, and what is expected and missing."""
    found: list[str] = []
    open_ones = list(case.expect)
    for signal in signals:
        if signal["rule"] in case.beside:
            continue
        # Of several that fit, the one that could be met by no later signal.
        match = min((each for each in open_ones if _fits(each, signal)), key=_last_day, default=None)
        if match is None:
            found.append(f"not expected: {describe(signal)}")
        else:
            open_ones.remove(match)
    found += [
        f"expected, and missing: day {_days_in_words(each.day)}: {each.account}: {each.rule} {each.transition} {each.severity or ''}{each.reason or ''}"
        for each in open_ones
    ]
    return found


def describe(signal: Mapping[str, Any]) -> str:
    """Write one signal in a line."""
    how = signal["resolved_reason"] or signal["severity"].lower()
    return f"day {signal['day']}: {signal['account']}: {signal['rule']} {signal['transition'].lower()} {how}: {signal['summary']}"


def _last_day(expected: Expected) -> int:
    return expected.day if isinstance(expected.day, int) else expected.day[1]


def _days_in_words(day: int | tuple[int, int]) -> str:
    return str(day) if isinstance(day, int) else f"{day[0]} to {day[1]}"


def _fits(expected: Expected, signal: Mapping[str, Any]) -> bool:
    days = (expected.day, expected.day) if isinstance(expected.day, int) else expected.day
    return (
        (expected.account, expected.rule, expected.transition.upper())
        == (signal["account"], signal["rule"], signal["transition"])
        and days[0] <= signal["day"] <= days[1]
        and expected.severity in {None, signal["severity"].lower()}
        and expected.reason in {None, signal["resolved_reason"]}
    )


def _active(days: list[int], day: int) -> int:
    if day < len(days):
        return days[day]
    week = days[-7:] or [0]
    return week[(day - len(days)) % len(week)]


def _events_of_day(
    account: str, story: Story, day: int, active: Mapping[str, int], first: int, role: str | None
) -> Iterator[dict[str, Any]]:
    start = (first + day) * DAY_MS
    if day in story.traits:
        yield _event(account, start + HOUR_MS, "GROUP", properties=dated(story.traits[day], first))
    if role is not None:
        for user, said in story.roles.get(day, {}).items():
            yield _event(account, start + HOUR_MS, "IDENTIFY", user=user, properties={role: said})
    for actor, count in active.items():
        apart_ms = min(MINUTE_MS, ACTIVE_MS // max(1, count))
        for number in range(count):
            name = "Value Delivered" if story.value and number == 0 else "Page Opened"
            at = start + 9 * HOUR_MS + number * apart_ms
            yield _event(account, at, "TRACK", name, f"{actor}-{number + 1}", actor=actor.upper())
    for number, event in enumerate(story.events):
        if event.day == day:
            at = start + event.hour * HOUR_MS + number
            yield _event(account, at, "TRACK", event.name, event.user, properties=dated(event.properties, first))


def _event(
    account: str,
    at: int,
    kind: str,
    name: str = "",
    user: str = "",
    *,
    properties: Mapping[str, Any] | None = None,
    actor: str = "UNKNOWN",
) -> dict[str, Any]:
    return {
        "event_id": f"{at}-{kind}-{name}-{user}",
        "id_source": "CLIENT",
        "source": "case",
        "environment": "production",
        "account": account,
        "user": user,
        "kind": kind,
        "name": name,
        "occurred_at": at,
        "received_at": at,
        "properties": json.dumps(properties or {}),
        "actor": actor,
    }


def _tick(log: MemoryLog, at: int) -> None:
    for partition in range(PARTITIONS):
        log.append(USAGE_EVENTS, None, _encode_tick({"at": at}), partition)
