"""
How active the people of one account are: for each day and person the chance of being active.

Columns are people, and one more for the agent of an account that moves its use to one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.backtest.generator.dice import Dice, Floats
from services.backtest.generator.parameters import Parameters
from services.backtest.generator.stories import Absence, AccountStory, Truth
from services.shared.units import DAY_MS, day_number

MOST = 0.97
"""The highest chance that anybody is active."""


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """What one account will do."""

    chance: Floats
    """By day and person."""
    absences: tuple[Absence, ...]
    """All of them, told or not, but for those of a `calendar` vacation."""
    agent: bool
    """Whether the last column is an agent or an integration."""


def plan(story: AccountStory, truth: Truth, dice: Dice, frozen: Parameters) -> AccountPlan:
    """Draw what one account will do."""
    days = np.arange(truth.first_day, truth.first_day + truth.days)
    level = _work(story, truth, days, dice, frozen) * _wander(days, dice, frozen)
    if dice.chance(frozen.import_share * frozen.import_week_share):
        busy = dice.whole(0, truth.days - 7)
        level[busy : busy + 5] *= frozen.import_week_level
    keenness = [dice.between(*frozen.keenness_first)]
    keenness += [dice.between(*frozen.keenness) for _ in range(story.people - 1)]
    chance = level[:, None] * np.array(keenness)
    absences: list[Absence] = []
    if story.people >= frozen.leave_from_people:
        absences = _leave(story, truth, dice, frozen)
        for absence in absences:
            person = int(absence.user.rsplit("p", 1)[1]) - 1
            chance[absence.first_day - truth.first_day : absence.last_day + 1 - truth.first_day, person] = 0
    chance = np.minimum(chance, MOST)
    chance = _befall(story, days, chance, dice, frozen)
    if story.storyline == "vacation" and story.kind != "calendar":
        absences.insert(0, _whole_account(story, dice, frozen))
    if story.storyline == "agent_move":
        chance = np.column_stack([chance, _agent(story, truth, days, frozen)])
    chance[days < story.begins_day] = 0
    return AccountPlan(chance, tuple(absences), story.storyline == "agent_move")


def person(account: str, column: int) -> str:
    """Return the user id of one of an account's people."""
    return f"{account}-p{column + 1}"


def _work(story: AccountStory, truth: Truth, days: npt.NDArray[np.int64], dice: Dice, frozen: Parameters) -> Floats:
    """Return how much of a working day each day is."""
    level = np.ones(len(days))
    for first, length, quiet in frozen.quiet_times[story.country]:
        start = day_number(first)
        level[(days >= start) & (days < start + length)] = quiet
    weekend = frozen.weekend_worker_level if dice.chance(frozen.weekend_worker_share) else frozen.weekend_level
    level[(days + 3) % 7 >= 5] = weekend  # day 0 was a Thursday
    for holiday in frozen.holidays(story.country):
        if dice.chance(frozen.holiday_kept_share):
            level[days == holiday] = min(weekend, frozen.holiday_level)
    for outage in sorted(truth.outages):
        level[days == outage] *= frozen.outage_level
    return level


def _wander(days: npt.NDArray[np.int64], dice: Dice, frozen: Parameters) -> Floats:
    """Return the slow drift of an account's level times the noise of each week."""
    weeks = len(days) // 7 + 1
    quarters = np.array([1 + frozen.drift * (2 * each - 1) for each in dice.floats(weeks // 13 + 2)])
    at = np.arange(len(days)) / 91
    before = at.astype(np.int64)
    slow = quarters[before] + (quarters[before + 1] - quarters[before]) * (at - before)
    throws = dice.floats(3, weeks)
    noise = 1 + frozen.weekly_noise * (throws[0] + throws[1] + throws[2] - 1.5)
    return np.asarray(slow * noise[np.arange(len(days)) // 7])


def _leave(story: AccountStory, truth: Truth, dice: Dice, frozen: Parameters) -> list[Absence]:
    found = []
    for column in range(story.people):
        for half in range(truth.first_day, truth.first_day + truth.days - 182, 182):
            if not dice.chance(frozen.leave_chance):
                continue
            first = half + dice.whole(0, 160)
            length = dice.one_of(frozen.leave_days)
            told = dice.chance(frozen.leave_told_share)
            at = _told(first, dice, frozen) if told else None
            found.append(Absence(story.account, person(story.account, column), first, first + length - 1, at))
    return found


def _whole_account(story: AccountStory, dice: Dice, frozen: Parameters) -> Absence:
    assert story.onset_day is not None
    assert story.end_day is not None
    told = _told(story.onset_day, dice, frozen) if story.kind == "told" else None
    return Absence(story.account, "", story.onset_day, story.end_day, told)


def _told(first_day: int, dice: Dice, frozen: Parameters) -> int:
    return (first_day - dice.whole(*frozen.vacation.told_days_before)) * DAY_MS + dice.whole(8, 16) * 3_600_000


def _befall(story: AccountStory, days: npt.NDArray[np.int64], chance: Floats, dice: Dice, frozen: Parameters) -> Floats:
    """Let the storyline change the chances from its onset on."""
    if story.onset_day is None:
        return chance
    after = days >= story.onset_day
    match story.storyline:
        case "vacation":
            assert story.end_day is not None
            chance[after & (days <= story.end_day)] *= frozen.vacation.level
        case "sudden_stop":
            trickle = chance[after, 0] * frozen.sudden_stop.trickle_level
            chance[after] = 0
            chance[after, 0] = trickle if story.kind == "trickle" else 0
        case "slow_decay" if story.kind == "leaving":
            _people_leave(story, days, chance, 1.0, dice)
            chance[_ramp(story, days) >= 1, 0] *= frozen.slow_decay.last_level
        case "slow_decay":
            chance *= (1 - (1 - frozen.slow_decay.last_level) * _ramp(story, days))[:, None]
        case "seat_loss":
            _people_leave(story, days, chance, story.trait, dice)
        case "growth":
            return _grown(story, days, chance, dice, frozen)
        case _:
            chance *= (1 - (1 - frozen.agent_move.people_level) * _ramp(story, days))[:, None]
    return chance


def _ramp(story: AccountStory, days: npt.NDArray[np.int64]) -> Floats:
    """Return how much of the change is done on each day, 0 to 1."""
    assert story.onset_day is not None
    assert story.end_day is not None
    return np.clip((days - story.onset_day) / (story.end_day - story.onset_day), 0, 1)


def _people_leave(story: AccountStory, days: npt.NDArray[np.int64], chance: Floats, share: float, dice: Dice) -> None:
    """Let a share of the people leave one by one between onset and end; the last person stays."""
    assert story.onset_day is not None
    assert story.end_day is not None
    leaving = dice.shuffled(range(1, story.people))[: math.ceil(share * story.people)]
    for each, column in enumerate(leaving):
        day = story.onset_day + (story.end_day - story.onset_day) * each // max(len(leaving) - 1, 1)
        chance[days >= day, column] = 0


def _grown(story: AccountStory, days: npt.NDArray[np.int64], chance: Floats, dice: Dice, frozen: Parameters) -> Floats:
    """Return the chances with the new people, who come one by one between onset and end."""
    assert story.onset_day is not None
    assert story.end_day is not None
    more = round(story.people * (story.trait - 1))
    together = chance.sum(axis=1)
    level = np.round(together / max(float(together.max()), 1e-9), 9)  # the order of a sum is numpy's business
    columns = []
    for each in range(more):
        day = story.onset_day + (story.end_day - story.onset_day) * each // more
        columns.append(np.where(days >= day, np.minimum(level * dice.between(*frozen.keenness), MOST), 0))
    return np.column_stack([chance, *columns])


def _agent(story: AccountStory, truth: Truth, days: npt.NDArray[np.int64], frozen: Parameters) -> Floats:
    move = frozen.agent_move
    weekend = (days + 3) % 7 >= 5
    level = np.where(weekend, move.agent_weekend_level, move.agent_level) * np.minimum(_ramp(story, days) * 3, 1)
    level[np.isin(days, sorted(truth.outages))] *= frozen.outage_level
    return np.asarray(level)
