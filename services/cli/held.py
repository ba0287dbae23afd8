"""
What is held back: accounts whose rules may not move now, since they are away, on public holidays, or at work through programs.

A rule that is held says nothing by itself, so this is where people see it: the latest snapshot of each account, judged by
the conditions of the rules in force.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord

from schemas.topics import ACCOUNT_HEALTH_LATEST
from services.alerter.domain.conditions import holds, measures_in
from services.alerter.domain.measures import Measures, measures_of
from services.alerter.domain.rules import Rule, RuleSet
from services.shared.counts import counted
from services.shared.kafka.reading import beginnings, decoded, ends, latest
from services.shared.kafka.settings import KafkaSettings
from services.shared.tracking_plan.state_names import ABSENT_FROM, ABSENT_UNTIL
from services.shared.units import date_of

CALENDAR = "calendar_level"
FLEET = "fleet_level"
TAKEN_OVER = "taken_over_4w"
OWN = frozenset({CALENDAR, TAKEN_OVER})
"""What an account itself holds its rules by; the level of all accounts is none of them."""
ALL = OWN | {FLEET}


class Held(NamedTuple):
    """One account some of whose rules are held."""

    account: str
    name: str
    """As the company calls it; empty: it does not say."""
    why: str
    rules: tuple[str, ...]
    """The rules that are held."""
    would_fire: tuple[str, ...]
    """Of them, those whose conditions hold: without the hold they would be on their way to a signal."""


def held_of(rules: RuleSet, snapshot: dict[str, Any], by: frozenset[str] = OWN) -> Held | None:
    """Return what a snapshot says is held by some of these measures, by default the account's own; None: nothing is."""
    measures = measures_of(snapshot)
    held = [rule for rule in rules.ordered if rule.enabled and _held(rule, by, measures)]
    if not held:
        return None
    return Held(
        account=snapshot["account"],
        name=snapshot["facts"]["name"] or "",
        why=_why(held, snapshot, measures),
        rules=tuple(rule.id for rule in held),
        would_fire=tuple(rule.id for rule in held if _would_fire(rule, measures)),
    )


def _why(held: list[Rule], snapshot: dict[str, Any], measures: Measures) -> str:
    if CALENDAR in measures and any(_held(rule, {CALENDAR}, measures) for rule in held):
        return _by_calendar(snapshot, measures)
    if TAKEN_OVER in measures and any(_held(rule, {TAKEN_OVER}, measures) for rule in held):
        return _by_programs(measures)
    return f"all customers are at {100 * measures[FLEET]:.4g}% of their usual level"


def _by_calendar(snapshot: dict[str, Any], measures: Measures) -> str:
    dates = snapshot["dates"]
    if ABSENT_FROM in dates:
        return f"away by plan from {iso(dates[ABSENT_FROM])} to {iso(dates[ABSENT_UNTIL])}"
    share = f"{100 * measures[CALENDAR]:.4g}% of a usual week is left"
    public = int(measures.get("public_holidays_7", 0))
    if public:
        return f"{counted(public, 'public holiday')} in the last seven days: {share}"
    return f"back from a planned absence, or people are away: {share}"


def iso(day: int) -> str:
    """Return a day (days since 1970 UTC) as a date."""
    return date_of(day).isoformat()


async def records_to_read(kafka: KafkaSettings) -> int:
    """Return about how many records `read_held` would read."""
    first, last = await beginnings(kafka, ACCOUNT_HEALTH_LATEST), await ends(kafka, ACCOUNT_HEALTH_LATEST)
    return sum(last.values()) - sum(first.values())


async def read_held(kafka: KafkaSettings, rules: RuleSet) -> list[Held]:
    """Return the accounts that are held now, by account; it reads the latest snapshot of every account."""

    def take(record: ConsumerRecord[bytes, bytes]) -> Held | None:
        snapshot = decoded(record.value)[1]
        return held_of(rules, snapshot) if snapshot else None

    return [held for _, held in sorted((await latest(kafka, ACCOUNT_HEALTH_LATEST, take)).items())]


def _held(rule: Rule, by: AbstractSet[str], measures: Measures) -> bool:
    return any(not by.isdisjoint(measures_in(node)) and holds(node, measures) for node in rule.hold)


def _by_programs(measures: Measures) -> str:
    return f"at work through programs: in four weeks {measures[TAKEN_OVER]:.1f} user-days more of theirs for each that people did less"


def _would_fire(rule: Rule, measures: Measures) -> bool:
    return holds(rule.fires, measures) and not any(holds(node, measures) for node in rule.unless)
