"""
Every measure of use, people, value, tickets, answers and facts is what its definition says of a plain list of what happened.

The list is counted anew each day, in sets and loops. The lane has rings, bits and restores, and what happened reaches it late,
twice, and before it is known that two people are one.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scorer.domain.health.measures.registry import FUNCTIONS
from services.shared.units import DAY_MS, HOUR_MS
from tests.support.attribution import link
from tests.support.examples import examples
from tests.support.scorer import DAY, UsageLane, at, measures

MEMORY = 256
LATE = 230
PERSON, SOURCE = "UNKNOWN", "\0app"
FACTS = {"seats": "seats", "revenue": "revenue", "contract_start": "contract_start_day", "renewal_date": "renewal_day", "go_live_on": "go_live_day"}  # fmt: skip
BY_CHANCE = {name for name in FUNCTIONS if name.startswith("chance_")}
"""Of the normal distribution; test_trend.py holds them against exact ones."""
ELSEWHERE = BY_CHANCE | {
    "silence_level", "silence_limit_days", "expected_in_silence", "days_per_person", "fleet_level", "renewal_window_days",
    "people_level_4w", "taken_over_4w", "regulars", "regulars_gone", "regulars_gone_share",
}  # fmt: skip
"""Measures that test_silence_from_scratch.py or a test of their own looks at."""


@dataclass
class Happened:
    """What happened to one account."""

    uses: list[tuple[int, tuple[str, str] | None, str]] = field(default_factory=list)
    """Day, who acts, and the name of the event."""
    tickets: dict[str, tuple[list[int], list[int]]] = field(default_factory=lambda: defaultdict(lambda: ([], [])))
    """When each was opened, and when it was closed."""
    answers: list[tuple[str, int, int]] = field(default_factory=list)
    """Who answered, when, and what."""
    facts: dict[str, tuple[int, Any]] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)

    def who(self, user: str) -> str:
        return self.who(self.same[user]) if user in self.same else user

    def fact(self, name: str) -> Any:
        return self.facts.get(name, (0, None))[1]


def counted(
    happened: Happened, today: int, at_ms: int, levels: list[float], *, value_connected: bool
) -> dict[str, float]:
    """Return the measures as of the morning of a day, by their definitions."""
    day = today - 1
    actors: dict[int, set[tuple[str, str]]] = defaultdict(set)
    events: dict[int, int] = defaultdict(int)
    value: set[int] = set()
    for of, actor, name in happened.uses:
        events[of] += 1
        if name == "Report Shared":
            value.add(of)
        if actor is not None:
            actors[of].add((actor[0], happened.who(actor[1])))
    active = sorted(of for of in actors if actors[of])
    first = active[0] if active else None
    back = {n: actors[day - n] for n in range(MEMORY)}
    found = _trend(back, levels, _own_weeks(happened, first, day))
    found |= _people(back, levels, _own_weeks(happened, first, day))
    found["events_7"], found["events_28"] = (sum(events[day - n] for n in range(days)) for days in (7, 28))
    if first is not None:
        found["age_days"], found["silent_days"] = day - first, max(0, day - active[-1])
    else:
        del found["active_users_28"], found["active_users_84"]
    found |= _value(happened, value, first, today)
    weeks = int(found["value_weeks_4"]) if "value_weeks_4" in found else sum(_weeks_with(value, day))
    if value_connected:
        found["value_proven"] = bool(value) and weeks >= 3
    else:
        found["value_proven"] = found.get("level_4w", 0) >= 0.9
    return found | _tickets(happened, today) | _answers(happened, today, at_ms) | _facts(happened, found, today)


def _own_weeks(happened: Happened, first: int | None, day: int) -> int:
    if first is None:
        return 0
    went_live = happened.fact("go_live_day")
    begun = max(first, went_live) if went_live is not None and went_live <= day else first
    return max(0, day - begun + 1) // 7


def _trend(back: dict[int, set[tuple[str, str]]], levels: list[float], own_weeks: int) -> dict[str, float]:
    weekly = [sum(len(back[7 * week + n]) for n in range(7)) for week in range(36)]
    baseline = max(0, min(30, own_weeks - 4))
    found: dict[str, float] = {"baseline_weeks": baseline, "learning": baseline < 8}
    for weeks in (1, 2, 4):
        before = slice(weeks, weeks + max(0, min(30, own_weeks - weeks)))
        usual = sum(weekly[before]) / sum(levels[before]) if weekly[before] else 0
        found[f"user_days_{weeks}w"] = sum(weekly[:weeks])
        found[f"expected_{weeks}w"] = usual * sum(levels[:weeks])
        found[f"level_{weeks}w"] = (sum(weekly[:weeks]) + 0.5) / (usual * sum(levels[:weeks]) + 0.5)
    found["usual_week"] = usual
    found["level_12w"] = (sum(weekly[:12]) + 0.5) / (12 * usual + 0.5)
    for days in (7, 210):
        found[f"active_days_{days}"] = sum(bool(back[n]) for n in range(days))
    unknown = {name for name in found if name.startswith(("level_", "expected_")) and baseline < 8}
    unknown |= {name for name in found if name.startswith("level_") and usual < 0.1}
    return {name: number for name, number in found.items() if name not in unknown}


def _people(back: dict[int, set[tuple[str, str]]], levels: list[float], own_weeks: int) -> dict[str, float]:
    def seen(days: Iterable[int], kind: str = PERSON) -> int:
        return len({actor for n in days for actor in back[n] if actor[0] == kind})

    def share(days: range) -> float | None:
        all_of_them = [actor for n in days for actor in back[n]]
        return sum(kind == PERSON for kind, _ in all_of_them) / len(all_of_them) if all_of_them else None

    found: dict[str, float | None] = {f"active_users_{days}": seen(range(days)) for days in (7, 28, 84)}
    months = [range(7 * week, 7 * week + 28) for week in range(4, min(33, own_weeks - 3))]
    usual = found["active_users_28_usual"] = float(median(map(seen, months))) if months else 0.0
    baseline = max(0, min(30, own_weeks - 4))
    expected = usual * min(1, sum(levels[:4]) / 4)
    if expected and baseline >= 8:
        people = seen(range(28))
        found |= {"active_users_28_expected": expected, "active_users_level": people / expected}
        found["active_users_lost"] = expected - people
    if any(kind != PERSON for actors in back.values() for kind, _ in actors):
        found |= {f"{kind.lower()}s_28": seen(range(28), kind) for kind in ("AGENT", "INTEGRATION")}
        found["people_share_4w"] = share(range(28))
        found["people_share_usual"] = share(range(28, 28 + 7 * baseline)) if baseline >= 8 else None
    return {name: number for name, number in found.items() if number is not None}


def _weeks_with(value: set[int], day: int) -> list[bool]:
    return [any(day - 7 * week - n in value for n in range(7)) for week in range(4)]


def _value(happened: Happened, value: set[int], first: int | None, today: int) -> dict[str, float]:
    started, renewal = happened.fact("contract_start_day"), happened.fact("renewal_day")
    started = first if started is None or (started > today and first is not None) else started
    found: dict[str, float] = {"value_days_28": sum(today - 1 - n in value for n in range(28)), "onboarding": 0}
    stage = "RENEWAL" if renewal is not None and 0 <= renewal - today <= 90 else "ONGOING"
    if started is None or today - started < 90:
        stage = "ADOPTION" if value and started is not None else "ONBOARDING"
    if stage in ("ONBOARDING", "ADOPTION") and started is not None:
        found["days_without_value"] = 0 if value else max(0, today - started)
    if stage == "ONBOARDING":
        return found | {"onboarding": 1}
    return found | {"value_weeks_4": sum(_weeks_with(value, today - 1))}


def _tickets(happened: Happened, today: int) -> dict[str, float]:
    last = [(max(opened, default=0), max(closed, default=0)) for opened, closed in happened.tickets.values()]
    ages = sorted(today * DAY_MS - opened for opened, closed in last if opened > closed)
    found = {"tickets_open": len(ages), "oldest_ticket_days": max(0.0, ages[-1] / DAY_MS) if ages else 0}
    if ages:
        found["median_ticket_hours"] = max(0.0, median(ages)) / HOUR_MS
    for place, what in enumerate(("opened", "closed")):
        days = [when // DAY_MS for ticket in happened.tickets.values() for when in ticket[place]]
        found[f"tickets_{what}_28"] = sum(today - 28 < each <= today for each in days)
    return found


def _answers(happened: Happened, today: int, at_ms: int) -> dict[str, float]:
    latest: dict[str, tuple[int, int]] = {}
    for user, when, score in happened.answers:
        latest[happened.who(user)] = max(latest.get(happened.who(user), (0, 0)), (when, score))
    fresh = [(when, score) for when, score in latest.values() if when >= at_ms - 180 * DAY_MS]
    recent = [score for when, score in fresh if when >= at_ms - 90 * DAY_MS]
    found: dict[str, float] = {"survey_responses": len(fresh), "detractors": sum(score <= 6 for score in recent)}
    if fresh:
        found["survey_mean"] = sum(score for _, score in fresh) / len(fresh)
        found["answer_age_days"] = max(0, today - max(fresh)[0] // DAY_MS)
    return found | ({"lowest_answer": min(recent)} if recent else {})


def _facts(happened: Happened, found: dict[str, float], today: int) -> dict[str, float]:
    told: dict[str, float] = {}
    seats, revenue, renewal = (happened.fact(name) for name in ("seats", "revenue", "renewal_day"))
    if seats:
        told |= {"seats": seats, "seat_use": found.get("active_users_28", 0) / seats}
    if revenue is not None:
        told["revenue"] = revenue
    if renewal is not None:
        told |= {"renewal_in_days": renewal - today, "renewal_overdue_days": max(0, today - renewal)}
    return told


class Life:
    """Lets things happen to one account, in a lane and in a list."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.lane = UsageLane()
        self.happened = Happened()
        self.users = [f"u{n}" for n in range(dice.randrange(1, 6))]
        self.anonymous = ["anon-1", "anon-2", "anon-3"]
        self.number = 0
        self.fact("contract_start", DAY + dice.randrange(-200, 200), at(0, 0.1), at(0, 0.1))

    def any(self, now: int) -> None:
        dice, happened = self.dice, self.happened
        when = now - dice.randrange(LATE) * DAY_MS if dice.random() < 0.1 else now
        when = now if when < at() else when
        user = happened.who(dice.choice([*self.users, *self.anonymous, ""]))
        match dice.choices(["use", "ticket", "answer", "fact", "same"], [60, 10, 8, 17, 5])[0]:
            case "use":
                kind = dice.choice([PERSON] * 8 + ["AGENT", "INTEGRATION"])
                name, internal = dice.choice(["Viewed", "Viewed", "Report Shared"]), dice.random() < 0.05
                self.send(user, when, now, name=name, actor=kind, internal=internal)
                actor = (kind, user or SOURCE) if user or kind != PERSON else None
                happened.uses += [] if internal else [(when // DAY_MS, actor, name)]
            case "ticket":
                ticket, closed = str(dice.randrange(6)), dice.random() < 0.5
                name = "Ticket Closed" if closed else "Ticket Opened"
                when = max(when, now - 30 * DAY_MS)  # a closing is remembered for 35 days
                self.send(user, when, now, name=name, properties={"ticket_id": ticket})
                happened.tickets[ticket][closed].append(when)
            case "answer":
                score = dice.randrange(11)
                self.send(user, when, now, name="NPS Submitted", properties={"score": score})
                happened.answers.append((user or f"\0{self.number}", when, score))
            case "fact":
                trait = dice.choice(["seats", "revenue", "renewal_date", "go_live_on"])
                days: list[Any] = [None, *(now // DAY_MS + dice.randrange(-200, 300) for _ in range(2))]
                values: dict[str, list[Any]] = {"seats": [0, 3, 10, None], "revenue": [0, 12345.67, 99_999.99, None]}
                self.fact(trait, dice.choice(values.get(trait, days)), when, now)
            case "same":
                one = dice.choice(self.anonymous)
                if one not in happened.same:
                    happened.same[one] = dice.choice(self.users)
                    self.lane.fold.link(link("SAME", one, "acme", known_as=happened.same[one]))

    def fact(self, trait: str, value: Any, when: int, now: int) -> None:
        sent = value * 86_400 if value is not None and FACTS[trait].endswith("_day") else value
        self.send("", when, now, kind="GROUP", properties={trait: sent})
        if when >= self.happened.facts.get(FACTS[trait], (-1, None))[0]:
            self.happened.facts[FACTS[trait]] = (when, value)

    def send(self, user: str, when: int, now: int, **changes: Any) -> None:
        self.number += 1
        for _ in range(1 + (self.dice.random() < 0.1)):
            self.lane.event(f"e{self.number}", "acme", user, when, received_at=now, **changes)


@pytest.mark.timeout(300)
@settings(max_examples=examples(3), deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(300, 60), (520, 300)]))
def test_each_morning_the_measures_are_those_of_what_happened(seed: int, span: tuple[int, int]) -> None:
    dice = random.Random(seed)
    life = Life(dice)
    often, quiet = dice.choice([0.5, 1, 2, 6]), dice.randrange(60, 200)
    fleet = [1_000_000 if dice.random() < 0.5 else dice.randrange(500_000, 1_300_000) for _ in range(span[0])]
    for day in range(span[0]):
        asleep = quiet <= day < quiet + span[1]
        for hour in sorted(dice.uniform(1, 23.9) for _ in range(0 if asleep else int(dice.expovariate(1 / often)))):
            life.any(at(day, hour))
        life.lane.close(day, fleet[day])
        if dice.random() < 0.02:
            out, life.lane = life.lane.out, life.lane.reopened()
            life.lane.out = out
        snapshots = [each for each in life.lane.snapshots("acme") if each["reason"] == "DAY_CLOSE"]
        life.lane.out = life.lane.out[-3:]
        if life.lane.state.ledger.forgotten:  # its renewal was as long ago as its last event
            return
        if not snapshots or snapshots[-1]["day"] != DAY + day:  # it rests
            continue
        known = fleet[day::-7][4:34]
        usual = median(known) if len(known) >= 8 else 1_000_000
        levels = [factor / usual for factor in [*fleet[day::-7], *[usual] * 36][:36]]
        connected = "value" in life.lane.state.connected
        expected = counted(life.happened, DAY + day + 1, snapshots[-1]["at"], levels, value_connected=connected)
        told = {name: number for name, number in measures(snapshots[-1]).items() if name not in ELSEWHERE}

        assert told.keys() == expected.keys(), (day, told.keys() ^ expected.keys())
        wrong = {n: (told[n], expected[n]) for n in told if not math.isclose(told[n], expected[n], rel_tol=2e-5, abs_tol=1e-9)}  # fmt: skip
        assert not wrong, day
        parts = snapshots[-1]["parts"]
        assert sum(part["contribution_tenths"] for part in parts) == snapshots[-1]["score_tenths"]
        before = snapshots[-1]["previous_score_tenths"] or 0
        assert sum(part["change_tenths"] for part in parts) == snapshots[-1]["score_tenths"] - before
