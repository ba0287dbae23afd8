"""
Turns the stories into events.

Events are kept as columns of numbers, and made one by one as they are read: a history of 350 accounts has hundreds of
thousands of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from services.backtest.generator.activity import AccountPlan, person, plan
from services.backtest.generator.dice import Dice
from services.backtest.generator.parameters import Parameters, parameters
from services.backtest.generator.stories import Absence, AccountStory, Truth, tell
from services.shared.units import DAY_MS, HOUR_MS, date_of

VERSION = parameters().version
"""Version of the frozen parameters, which is part of what makes a history what it is."""

PLANNED_ABSENCE = "Planned Absence"

Properties = Mapping[str, Any]
Ints = npt.NDArray[np.int64]

_PEOPLE_DO = (("Page Viewed", 0.5), ("Search Performed", 0.75), ("Report Shared", 0.9), ("Workflow Completed", 1.0))
_AGENTS_DO = (("Tool Called", 0.7), ("Workflow Completed", 1.0))
_APIS_DO = (("API Request", 0.7), ("Workflow Completed", 1.0))
_NAMES = (
    "Page Viewed",
    "Search Performed",
    "Report Shared",
    "Workflow Completed",
    "Tool Called",
    "API Request",
    "Row Imported",
)
_NOTHING: Properties = {}
_ACTOR: dict[str, Properties] = {
    "agent": {"actor": "agent"},
    "api": {"actor": "integration"},
}


class GeneratedEvent(NamedTuple):
    """One event; `at_ms` in milliseconds since 1970 UTC. `user` is empty where no person did it."""

    account: str
    user: str
    at_ms: int
    name: str
    properties: Properties
    kind: str = "TRACK"


class AccountFacts(NamedTuple):
    """What is known of an account from its first day on, which is at `at_ms`."""

    account: str
    at_ms: int
    seats: int
    country: str
    absences: tuple[Absence, ...]
    """The planned absences that the product is told of."""


@dataclass(frozen=True, slots=True)
class Events:
    """Events in time order; may be read again and again, and gives the same."""

    columns: Ints
    """A row an event: time, number of the account's user, number of the name."""
    users: tuple[tuple[str, str, Properties], ...]
    """Account, user and properties."""
    told: tuple[GeneratedEvent, ...]
    """The planned absences, in time order."""

    def __len__(self) -> int:
        return len(self.columns) + len(self.told)

    def __iter__(self) -> Iterator[GeneratedEvent]:
        waiting = iter(self.told)
        next_told = next(waiting, None)
        for at_ms, user, name in self.columns.tolist():
            while next_told is not None and next_told.at_ms <= at_ms:
                yield next_told
                next_told = next(waiting, None)
            account, person_id, properties = self.users[user]
            yield GeneratedEvent(account, person_id, at_ms, _NAMES[name], properties)
        if next_told is not None:
            yield next_told
            yield from waiting


class Generated(NamedTuple):
    """A history. `events` and `facts` are for the scorer, `truth` is not."""

    events: Events
    facts: tuple[AccountFacts, ...]
    truth: Truth


def generate(seed: int, accounts: int, days: int) -> Generated:
    """
    Make up a history; equal arguments give an equal one.

    Args:
        seed: which history, from 0.
        accounts: how many accounts it has.
        days: how many days, from the first day of the parameters on.

    Raises:
        ValueError: days or accounts are out of range; says what is possible.
    """
    frozen = parameters()
    least, most = frozen.baseline_days + frozen.after_days + 105, frozen.last_possible - frozen.first + 1
    if not least <= days <= most:
        raise ValueError(f"days: {days} is not between {least} and {most} (the calendars end there)")
    if not 1 <= accounts <= 100_000 or seed < 0:
        raise ValueError("accounts must be 1 to 100000, and seed at least 0")
    truth = tell(seed, accounts, days, frozen)
    rows: list[Ints] = []
    users: list[tuple[str, str, Properties]] = []
    facts: list[AccountFacts] = []
    for each, story in enumerate(truth.stories):
        dice = Dice(frozen.version, seed, 2, each)
        planned = plan(story, truth, dice, frozen)
        rows.append(_events(story, planned, truth.first_day, len(users), dice, frozen))
        users += [(story.account, user, properties) for user, properties in _users(story, planned)]
        facts.append(_facts(story, planned, dice, frozen))
    columns = np.concatenate(rows)
    told = [_told(absence) for known in facts for absence in known.absences]
    told.sort(key=lambda event: (event.at_ms, event.account, event.user))
    ordered = Events(columns[np.argsort(columns[:, 0], kind="stable")], tuple(users), tuple(told))
    return Generated(ordered, tuple(facts), truth)


def _users(story: AccountStory, planned: AccountPlan) -> Iterator[tuple[str, Properties]]:
    people = planned.chance.shape[1] - planned.agent
    yield from ((person(story.account, column), _NOTHING) for column in range(people))
    if planned.agent:
        yield f"{story.account}-{story.kind}", _ACTOR[story.kind]


def _events(
    story: AccountStory, planned: AccountPlan, first_day: int, first_user: int, dice: Dice, frozen: Parameters
) -> Ints:
    """Return a row an event: time, user, name."""
    chance = planned.chance
    day, column = np.nonzero(dice.floats(*chance.shape) < chance)
    agent = (column == chance.shape[1] - 1) & planned.agent
    many = 1 + np.searchsorted(frozen.events_of_a_day, dice.floats(len(day)), side="right")
    many = np.minimum(many, len(frozen.events_of_a_day))
    day, column, agent = np.repeat(day, many), np.repeat(column, many), np.repeat(agent, many)
    throws = dice.floats(len(day))
    people_do = _names(throws, _PEOPLE_DO)
    agents_do = _names(throws, _APIS_DO if story.kind == "api" else _AGENTS_DO)
    start, end = frozen.countries[story.country].hours_utc
    hour = start + (end - start) * dice.floats(len(day))
    hour = np.where(agent, 24 * (hour - start) / (end - start), hour)
    at = (first_day + day) * DAY_MS + (hour * HOUR_MS).astype(np.int64)
    rows = np.column_stack([at, first_user + column, np.where(agent, agents_do, people_do)])
    if dice.chance(frozen.import_share) and len(day):
        rows = np.concatenate([rows, _import(rows, dice, frozen)])
    return rows


def _names(throws: npt.NDArray[np.float64], options: tuple[tuple[str, float], ...]) -> Ints:
    numbers = np.array([_NAMES.index(name) for name, _ in options])
    return np.asarray(numbers[np.searchsorted([most for _, most in options], throws, side="right")])


def _import(rows: Ints, dice: Dice, frozen: Parameters) -> Ints:
    """Return a burst of events within an hour of one that is there."""
    at, user, _ = rows[dice.whole(0, len(rows) - 1)]
    many = dice.whole(*frozen.import_events)
    last = at - at % DAY_MS + DAY_MS - 1
    times = np.minimum(at + (dice.floats(many) * HOUR_MS).astype(np.int64), last)
    return np.column_stack([times, np.full(many, user), np.full(many, _NAMES.index("Row Imported"))])


def _facts(story: AccountStory, planned: AccountPlan, dice: Dice, frozen: Parameters) -> AccountFacts:
    seats = max(story.people, round(story.people * dice.between(*frozen.seats_factor)))
    told = tuple(
        absence
        for absence in planned.absences
        if absence.told_at_ms is not None and absence.told_at_ms >= story.begins_day * DAY_MS
    )
    return AccountFacts(story.account, story.begins_day * DAY_MS, seats, story.country, told)


def _told(absence: Absence) -> GeneratedEvent:
    assert absence.told_at_ms is not None
    days = {name: _iso(day) for name, day in (("from", absence.first_day), ("to", absence.last_day))}
    properties = days | {"scope": "person" if absence.user else "account"}
    return GeneratedEvent(absence.account, absence.user, absence.told_at_ms, PLANNED_ABSENCE, properties)


def _iso(day: int) -> str:
    return date_of(day).isoformat()
