"""Silence, its limit, the account's own calendar and its regulars are what their definitions say of plain sets of days."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.calendars.public_holidays import holidays, weekend
from services.shared.units import date_of
from tests.support.examples import examples
from tests.support.scorer import DAY, UsageLane, at, measures

DAYS = 330
EVERYBODY = ""
Absences = dict[tuple[str, int], int]
"""Who (EVERYBODY: the whole account) and first day, to last day; -1: taken back."""


class Happened(NamedTuple):
    """Who was active on which day, who said that they would be away, and where they work."""

    active: Mapping[int, set[str]]
    absences: Absences
    country: str

    def away(self, who: str) -> set[int]:
        spans = [range(first, last + 1) for (each, first), last in self.absences.items() if each == who]
        return {day for span in spans for day in span}

    def public(self) -> set[int]:
        return set(holidays(self.country)) if self.country else set()

    def resting(self) -> frozenset[int]:
        return weekend(self.country) if self.country else frozenset({5, 6})


def _share(happened: Happened, public: set[int], day: int) -> float:
    """Return what a country's calendar leaves of a day."""
    if day in public:
        return 0.25
    if not public or _weekday(day) in happened.resting():
        return 1
    before, after = max((each for each in public if each < day), default=0), min((each for each in public if each > day), default=0)  # fmt: skip
    if before and after and after - before <= 8:
        return 0.5
    free = [each in public or _weekday(each) in happened.resting() for each in (day - 1, day + 1)]
    return 0.5 if all(free) and (day - 1 in public or day + 1 in public) else 1


def _weekday(day: int) -> int:
    return (day + 3) % 7


def _levels(happened: Happened, day: int, usual: float, everybody: set[int]) -> list[float]:
    """Return what the account's own calendar leaves of each week, the latest first."""
    known = {who for active in happened.active.values() for who in active}
    away = [happened.away(who) for who in known]
    public = happened.public()
    busy = {}
    for back in range(7):
        rest = _weekday(day - back) in happened.resting()
        busy[back] = (0.2 if rest else 2) + sum(
            len(happened.active.get(day - back - 7 * week, ())) for week in range(36)
        )
    levels = []
    for week in range(36):
        left = 0.0
        for back in range(7):
            on = day - 7 * week - back
            gone = (on in everybody) + sum(on in days for days in away) / max(usual, 1)
            left += max(0, _share(happened, public, on) - gone) * busy[back]
        levels.append(min(1, max(0.05, left / sum(busy.values()))))
    return levels


def expected(happened: Happened, day: int) -> dict[str, float]:
    """Return the measures as of the close of a day, by their definitions."""
    active = {on: who for on, who in happened.active.items() if who}
    first, last, everybody, public = min(active), max(active), happened.away(EVERYBODY), happened.public()
    off = {on for on in range(last + 1, day + 1) if on in everybody or on in public}
    weeks = (day - first + 1) // 7
    months = [range(7 * week, 7 * week + 28) for week in range(4, min(33, weeks - 3))]
    usual = float(median(len(set().union(*(active.get(day - n, set()) for n in month))) for month in months)) if months else 0.0  # fmt: skip
    found: dict[str, float] = {"silent_days": day - last - len(off)}
    levels = [1.0] * 36
    if happened.absences or happened.country:
        levels = _levels(happened, day, usual, everybody)
        now = [on for on in (day, day + 1) if on in everybody]
        found["calendar_level"] = 0 if now else levels[0]
        if now:
            until = now[-1]
            while until + 1 in everybody:
                until += 1
            found["absence_days_left"] = until - day
    if happened.country:
        found["public_holidays_7"] = sum(day - 7 < on <= day for on in public)
    if weeks >= 14:
        found |= _regulars(happened, day)
    if weeks >= 12:
        before = [sum(len(active.get(day - 7 * week - n, ())) for n in range(7)) for week in range(4, min(34, weeks))]
        rate = sum(before) / sum(levels[4 : min(34, weeks)])
        silent_weeks, rest = divmod(day - last, 7)
        found["expected_in_silence"] = rate * (sum(levels[:silent_weeks]) + levels[silent_weeks] * rest / 7)
        found["expected_4w"] = rate * sum(levels[:4])
        found["silence_limit_days"] = _limit(sorted(active), day, rate, usual, off)
    return found


def _limit(active: list[int], day: int, rate: float, usual: float, off: set[int]) -> int:
    if rate < 2.5 or rate / max(1, usual) < 1.5:
        return 25
    late = [on for on in active if on > day - 238]
    pauses = sorted(after - before for before, after in pairwise(late))
    long = pauses[math.ceil(0.9 * len(pauses)) - 1] if pauses else 0
    limit = min(11, max(7, 3 * long)) if long <= 5 else 25
    last = active[-1]
    if last - active[0] + 1 < 84 or not 5 <= day - last <= 172:
        return limit
    came = [on % 7 for on in active if on > last - 84]
    working = {weekday for weekday in range(7) if came.count(weekday) >= 9}
    missed = [on for on in range(last + 1, day + 1) if on % 7 in working and on not in off]
    enough = max(5, len(working)) + (usual <= 3)
    if len(missed) < enough:
        return limit
    return min(limit, sum(on not in off for on in range(last + 1, missed[enough - 1])))


def _regulars(happened: Happened, day: int) -> dict[str, float]:
    active = happened.active
    people = {who for on in range(day - 97, day + 1) for who in active.get(on, ())}
    came = {
        who: [any(who in active.get(day - 7 * week - n, ()) for n in range(7)) for week in range(14)] for who in people
    }
    regulars = [who for who in people if sum(came[who][2:]) >= 10]
    usual = [sum(len(active.get(day - back - 7 * week, ())) for week in range(2, 14)) / 12 for back in range(7)]
    worked = [
        on
        for on in range(day - 27, day + 1)
        if usual[(day - on) % 7] >= max(usual) / 2 and len(active.get(on, ())) >= max(1, usual[(day - on) % 7] / 5)
    ]
    gone = 0
    for who in regulars:
        there = [on for on in range(day - 27, day + 1) if who in active.get(on, ()) or on in happened.away(who)]
        gone += not came[who][0] and sum(on > max(there, default=0) for on in worked) >= 7
    return {"regulars": len(regulars), "regulars_gone": gone} if gone else {}


@pytest.mark.timeout(300)
@settings(max_examples=examples(2), deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["", "DE", "US", "JP", "AE", "BR"]))
def test_each_morning_silence_and_calendar_are_those_of_plain_sets(seed: int, country: str) -> None:
    dice = random.Random(seed)
    lane, number = UsageLane(), 0
    people = {f"u{n}": dice.choice([0.1, 0.4, 0.8, 0.95]) for n in range(dice.randrange(1, 7))}
    happened = Happened(defaultdict(set), {}, country)
    stops = range(first := dice.randrange(120, 250), first + dice.randrange(3, 60))
    leavers = set(dice.sample(sorted(people), dice.randrange(len(people))))
    if country:
        lane.event("where", user="", when=at(0, 0.1), kind="GROUP", properties={"country": country})
    for day in range(DAYS):
        today = DAY + day
        if dice.random() < 0.04:
            who = dice.choice([EVERYBODY, *people, "a colleague"])
            first = today + dice.randrange(-5, 40)
            last = first + dice.randrange(25)
            if happened.absences and dice.random() < 0.2:
                (who, first), last = dice.choice(sorted(happened.absences)), -1
            said: dict[str, object] = {"from": date_of(first).isoformat(), "scope": "person" if who else "account"}
            said |= {"withdrawn": True} if last < 0 else {"to": date_of(last).isoformat()}
            lane.event(f"a{day}", user=who or "boss", when=at(day, 1), name="Planned Absence", properties=said)
            happened.absences[who, first] = last
        for who, chance in people.items():
            away = today in happened.away(EVERYBODY) or today in happened.away(who)
            gone = day in stops or (day > stops[-1] + 20 and who in leavers)
            if dice.random() < chance * (0.1 if away or _weekday(today) >= 5 else 1) * (not gone):
                number += 1
                lane.event(f"e{number}", user=who, when=at(day, 9) + number)
                happened.active[today].add(who)
        lane.close(day)
        if dice.random() < 0.02:
            out, lane = lane.out, lane.reopened()
            lane.out = out
        snapshots = [each for each in lane.snapshots("acme") if each["reason"] == "DAY_CLOSE"]
        lane.out = lane.out[-3:]
        if not any(happened.active.values()) or not snapshots or snapshots[-1]["day"] != today:
            continue
        told, wanted = measures(snapshots[-1]), expected(happened, today)

        wrong = {n: (told.get(n), value) for n, value in wanted.items() if not math.isclose(told.get(n, -9), value, rel_tol=3e-5, abs_tol=1e-6)}  # fmt: skip
        assert not wrong, date_of(today)
        assert not {"regulars_gone", "absence_days_left", "public_holidays_7"} & (told.keys() - wanted.keys())
