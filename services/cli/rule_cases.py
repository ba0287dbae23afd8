"""
Tests of signal rules: what accounts did, day by day, and which signals must and must not follow.

A case is a YAML file with a compact day series for each account. It is turned into events, and these run through the
very folds that production runs, scorer, fleet and alerter, over a log in memory. docs/rule-tests.md has the format.
Every signal that is not expected is a failure, so each case also says what must not fire.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import yaml
from prometheus_client import CollectorRegistry

from schemas import codec
from schemas.topics import EXPANSION_SIGNALS, RISK_SIGNALS, USAGE_EVENTS
from services.alerter.domain.rules import RuleSet
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import alerter_lanes
from services.scorer.domain.health.model import Model
from services.scorer.domain.lane.clock import SWEEP_MS
from services.scorer.lanes import fleet_lane, usage_lanes
from services.shared import quick_yaml
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import MemoryRunner
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.units import DAY_MS, HOUR_MS

PARTITIONS = 2
MOST_DAYS = 2000

_REPEAT = re.compile(r"(\d+)(?:x(\d+))?|\(([^()]*)\)x(\d+)")
_encode_event = codec.encoder("usage_event")
_encode_tick = codec.encoder("tick")


class OneEvent(msgspec.Struct, forbid_unknown_fields=True):
    """One event besides the daily ones, such as a ticket or a survey answer; by default at noon of its day."""

    day: int
    name: str
    user: str = ""
    properties: dict[str, Any] = {}
    hour: int = 12


class Story(msgspec.Struct, forbid_unknown_fields=True):
    """What one account does, or several alike."""

    days: str
    """Active people day by day: `5x30 0x10`, `(5 5 5 5 5 0 0)x32`. After its end the last seven days come again."""
    agents: str = ""
    """Active agents day by day, in the same way; after its end the last seven days come again."""
    integrations: str = ""
    """The same of integrations."""
    count: int = 1
    """So many accounts do the same; their names get a number."""
    value: bool = True
    """Whether an active day brings an event of value."""
    traits: dict[int, dict[str, Any]] = {}
    """Group traits by the day on which they are sent; a value `day N` becomes the date of that day."""
    events: list[OneEvent] = []

    @property
    def series(self) -> dict[str, str]:
        """The day series by the actor that they are of."""
        return {"person": self.days, "agent": self.agents, "integration": self.integrations}


class Expected(msgspec.Struct, forbid_unknown_fields=True):
    """One signal that must come. `day` is the day on which it is published: a number, or first and last."""

    account: str
    rule: str
    transition: str
    day: int | tuple[int, int]
    severity: str | None = None
    reason: str | None = None


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """One file."""

    about: str
    accounts: dict[str, Story]
    expect: list[Expected] = []
    start: str = "2024-01-01"
    """First day; by default a Monday."""
    beside: list[str] = []
    """Rules that this case is not about: their signals are passed over."""

    @property
    def days(self) -> int:
        """How many days it has: those of the longest series."""
        return max((len(series(text)) for story in self.accounts.values() for text in story.series.values()), default=0)


class BadCase(ValueError):
    """A case cannot be read; says where."""


def read_case(path: Path) -> Case:
    """
    Read one file.

    Raises:
        BadCase: it is not a valid case.
    """
    try:
        case = msgspec.convert(quick_yaml.read(path.read_text("utf-8")), Case, strict=False)
        date.fromisoformat(case.start)
        if not all(series(story.days) for story in case.accounts.values()):
            raise ValueError("day series: no day at all")
        for story in case.accounts.values():
            series(story.agents), series(story.integrations)
        _refuse_what_is_never_sent(case)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError, ValueError) as error:
        raise BadCase(f"{path}: {error}") from error
    return case


def _refuse_what_is_never_sent(case: Case) -> None:
    for account, story in case.accounts.items():
        given = [(f"traits: {day}", day) for day in story.traits]
        given += [(f"events[{number}].day: {event.day}", event.day) for number, event in enumerate(story.events)]
        for field, day in given:
            if not 0 <= day < case.days:
                raise ValueError(f"accounts.{account}.{field} is no day of this case, which has 0 to {case.days - 1}")


def check_names(path: Path, case: Case, rules: RuleSet) -> None:
    """
    Refuse a case that expects or passes over what cannot be there.

    Raises:
        BadCase: it names a rule or an account that there is not.
    """
    known = {"rule": [rule.id for rule in rules.ordered], "account": [account for account, _ in _each_account(case)]}
    named = [(f"expect[{n}].rule", "rule", each.rule) for n, each in enumerate(case.expect)]
    named += [(f"expect[{n}].account", "account", each.account) for n, each in enumerate(case.expect)]
    named += [(f"beside[{n}]", "rule", each) for n, each in enumerate(case.beside)]
    for field, what, name in named:
        if name not in known[what]:
            near = difflib.get_close_matches(name, known[what], n=1)
            hint = f"; write {near[0]} if that is meant" if near else ""
            raise BadCase(f"{path}: {field}: there is no {what} {name}{hint}")


def series(text: str) -> list[int]:
    """
    Unfold a compact day series.

    Raises:
        ValueError: something in it is neither `N`, `NxM` nor `(...)xM`, or it is longer than MOST_DAYS.
    """
    found: list[int] = []
    at = 0
    text = " ".join(text.split())
    while at < len(text):
        match = _REPEAT.match(text, at)
        if match is None or (match.end() < len(text) and text[match.end()] != " "):
            raise ValueError(f"day series: cannot read {text[at:]!r}")
        if match[1] is not None:
            found += [int(match[1])] * int(match[2] or 1)
        else:
            found += series(match[3]) * int(match[4])
        if len(found) > MOST_DAYS:
            raise ValueError(f"day series: more than {MOST_DAYS} days")
        at = match.end() + 1
    return found


def run_case(case: Case, rules: RuleSet, plan: TrackingPlan, model: Model) -> list[dict[str, Any]]:
    """Play the case; return every signal, each with the `day` on which people hear of it, in that order."""
    log = MemoryLog(partitions=PARTITIONS)
    alerter = alerter_lanes(rules, AlerterMetrics(CollectorRegistry()))
    runner = MemoryRunner(log, [usage_lanes(PARTITIONS, plan, model), fleet_lane(), alerter])
    first = date.fromisoformat(case.start).toordinal() - date(1970, 1, 1).toordinal()
    stories = dict(_each_account(case))
    plans = {
        account: {actor: series(text) for actor, text in story.series.items()} for account, story in stories.items()
    }
    for day in range(case.days):
        start = (first + day) * DAY_MS
        for account in sorted(stories):
            active = {actor: _active(days, day) for actor, days in plans[account].items()}
            for event in _events_of_day(account, stories[account], day, active, first):
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
    """Say what came that is not expected, and what is expected and did not come."""
    found: list[str] = []
    open_ones = list(case.expect)
    for signal in signals:
        if signal["rule"] in case.beside:
            continue
        match = next((each for each in open_ones if _fits(each, signal)), None)
        if match is None:
            found.append(f"must not come: {describe(signal)}")
        else:
            open_ones.remove(match)
    found += [
        f"did not come: day {_days_in_words(each.day)}: {each.account}: {each.rule} {each.transition} {each.severity or ''}{each.reason or ''}"
        for each in open_ones
    ]
    return found


def describe(signal: Mapping[str, Any]) -> str:
    """Write one signal in a line."""
    how = signal["resolved_reason"] or signal["severity"].lower()
    return f"day {signal['day']}: {signal['account']}: {signal['rule']} {signal['transition'].lower()} {how}: {signal['summary']}"


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


def _each_account(case: Case) -> Iterator[tuple[str, Story]]:
    for name, story in case.accounts.items():
        if story.count == 1:
            yield name, story
        else:
            yield from ((f"{name}-{number}", story) for number in range(1, story.count + 1))


def _events_of_day(
    account: str, story: Story, day: int, active: Mapping[str, int], first: int
) -> Iterator[dict[str, Any]]:
    start = (first + day) * DAY_MS
    if day in story.traits:
        traits = {name: _dated(value, first) for name, value in story.traits[day].items()}
        yield _event(account, start + HOUR_MS, "GROUP", properties=traits)
    for actor, count in active.items():
        for number in range(count):
            name = "Value Delivered" if story.value and number == 0 else "Page Opened"
            at = start + 9 * HOUR_MS + number * 60_000
            yield _event(account, at, "TRACK", name, f"{actor}-{number + 1}", actor=actor.upper())
    for number, event in enumerate(story.events):
        if event.day == day:
            at = start + event.hour * HOUR_MS + number
            properties = {name: _dated(value, first) for name, value in event.properties.items()}
            yield _event(account, at, "TRACK", event.name, event.user, properties=properties)


def _dated(value: Any, first: int) -> Any:
    if isinstance(value, str) and (match := re.fullmatch(r"day (-?\d+)", value)):
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=first + int(match[1]))).date().isoformat()
    return value


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
