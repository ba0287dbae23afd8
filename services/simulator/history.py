"""
The past: what the sixty accounts did over the weeks before a given moment.

Each account's day has dice of its own, seeded by name, so a day does not change when another one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import NamedTuple

from services.shared.calendars import public_holidays
from services.shared.units import DAY_MS, HOUR_MS
from services.simulator import calls
from services.simulator.calls import Call
from services.simulator.records import records
from services.simulator.roster import Customer, Person, roster
from services.simulator.storylines import Script, activity, begins, by_agents, finds_value, script, staffing

WEEKEND_LEVEL = 0.07
FIRST_HOUR, LAST_HOUR = 8, 18


class TimedEvent(NamedTuple):
    """One call and when it was made, in milliseconds since 1970 UTC."""

    at_ms: int
    call: Call


@dataclass(frozen=True, slots=True)
class History:
    """Everything up to a moment; equal values give equal events."""

    seed: int
    until_ms: int
    weeks: int = 35
    every: int = 1
    """Only each so many-th account, for less of everything."""
    pace: float = 1.0
    """How much each person does on an active day; who is active on which day stays as it is."""

    @property
    def last_day(self) -> int:
        """Day of `until_ms`, days since 1970 UTC; it may be a part of a day."""
        return self.until_ms // DAY_MS

    def events(self) -> Iterator[TimedEvent]:
        """Yield all events in time order, equal times in a fixed order."""
        accounts = roster(self.seed)[:: self.every]
        scripts = [script(account.storyline, account.shift) for account in accounts]
        for left in range(self.weeks * 7 - 1, -1, -1):
            today = [
                event
                for account, dated in zip(accounts, scripts, strict=True)
                for event in self._day(account, dated, left)
            ]
            today.sort(key=lambda event: (event.at_ms, event.call["messageId"]))
            yield from (event for event in today if event.at_ms < self.until_ms)

    def _day(self, account: Customer, dated: Script, left: int) -> Iterator[TimedEvent]:
        if left > begins(account.storyline, self.weeks, account.shift):
            return
        day = self.last_day - left
        dice = Random(f"tidemark-day/{self.seed}/{account.account}/{left}")
        stem = f"sim-{self.seed}-{account.account}-{day}"
        for number, (at_ms, call) in enumerate(self._calls(account, dated, left, dice)):
            yield TimedEvent(at_ms, calls.stamped(call, f"{stem}-{number}", at_ms))

    def _calls(self, account: Customer, dated: Script, left: int, dice: Random) -> Iterator[tuple[int, Call]]:
        day = self.last_day - left
        start = day * DAY_MS
        first = begins(account.storyline, self.weeks, account.shift)
        people = present(account, left)
        if left == first:
            yield start + 1_000, calls.group(account, self.last_day, self.weeks)
            for number, person in enumerate(account.people):
                yield start + 2_000 + number, calls.identify(person, account)
        usual = WEEKEND_LEVEL if is_free(account, day) else 1.0
        level = activity(account.storyline, left, account.shift) * usual
        for person in people:
            if dice.random() < person.keenness * level:
                yield from self._person_day(account, person, start, dice)
        yield from self._agents_day(account, left, start, usual)
        yield from self._scripted(account, dated, left, dice)

    def _scripted(self, account: Customer, dated: Script, left: int, dice: Random) -> Iterator[tuple[int, Call]]:
        start = (self.last_day - left) * DAY_MS
        champion = account.people[0]
        for number, (opened, closed) in enumerate(dated.tickets):
            ticket = {"ticket_id": f"{account.account}-{number + 1}"}
            if left == opened:
                asked = ticket | {"priority": "high", "subject": "Export fails"}
                yield _at(start, account, dice), calls.track(champion, account, "Ticket Opened", asked)
            if left == closed:
                yield _at(start, account, dice), calls.track(champion, account, "Ticket Closed", ticket)
        for surveyed, who, score in dated.surveys:
            if left == surveyed:
                person = account.people[who]
                yield _at(start, account, dice), calls.track(person, account, "NPS Submitted", {"score": score})
        for record in records(account.storyline, account.shift, account.owner):
            if left == record.left:
                yield _at(start, account, dice), calls.recorded(record, account, self.last_day)

    def _agents_day(self, account: Customer, left: int, start: int, usual: float) -> Iterator[tuple[int, Call]]:
        share = by_agents(account.storyline, left)
        if share:
            dice = Random(f"tidemark-agents/{self.seed}/{account.account}/{left}")
            for person in account.people:
                if dice.random() < person.keenness * share * usual:
                    for _ in range(dice.randint(2, 5)):
                        yield _at(start, account, dice), calls.by_agent(person_call(account, person, dice))

    def _person_day(self, account: Customer, person: Person, start: int, dice: Random) -> Iterator[tuple[int, Call]]:
        own = Random(dice.random())  # so that the pace does not shift what comes after
        for _ in range(1 + int(own.expovariate(1 / (person.events * self.pace)))):
            yield _at(start, account, own), person_call(account, person, own)


def is_free(account: Customer, day: int) -> bool:
    """Return whether hardly anybody of the account works on a day, given as days since 1970 UTC."""
    return day % 7 in (2, 3) or (account.country is not None and day in _holidays(account.country))


@cache
def _holidays(country: str) -> frozenset[int]:
    return frozenset(public_holidays.holidays(country))


def present(account: Customer, left: int) -> tuple[Person, ...]:
    """Return the people who are there on a day; the champion always is."""
    share = staffing(account.storyline, left, account.shift)
    return account.people[: max(1, round(len(account.people) * share))]


def person_call(account: Customer, person: Person, dice: Random) -> Call:
    """Return one ordinary call of a person at work."""
    throw = dice.random()
    if throw < 0.5:
        return calls.page(person, account, dice.choice(calls.PAGES))
    if throw < 0.75 or not finds_value(account.storyline):
        return calls.track(person, account, dice.choice(calls.TRACKS), {"plan": account.plan})
    return calls.track(person, account, dice.choice(calls.VALUE_EVENTS), {"recipients": dice.randint(1, 6)})


def _at(start: int, account: Customer, dice: Random) -> int:
    """Return a moment in the account's working hours, kept within the UTC day."""
    hour = dice.uniform(FIRST_HOUR, LAST_HOUR) - account.zone
    return start + int(min(max(hour, 0.05), 23.9) * HOUR_MS)
