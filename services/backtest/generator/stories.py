"""
Who the customers are and what befalls each of them: the part that the scorer never sees.

A story's onset is the first day on which the account behaves otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from services.backtest.generator.dice import Dice
from services.backtest.generator.parameters import Parameters
from services.shared.units import day_number

LOSSES = frozenset({"sudden_stop", "slow_decay", "seat_loss"})
"""Storylines that should be found; no alarm should come of the others."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Days on which an account (`user` is empty) or one of its people is away; days since 1970, both included."""

    account: str
    user: str
    first_day: int
    last_day: int
    told_at_ms: int | None
    """When the product is told of it; None if it never is."""


@dataclass(frozen=True, slots=True)
class AccountStory:
    """The truth about one account. Days are days since 1970."""

    account: str
    storyline: str
    kind: str
    """What kind of its storyline: `told`, `calendar` or `untold` of a vacation, for example."""
    onset_day: int | None
    end_day: int | None
    """The last day of a vacation; the day on which a decay, a growth or a move is complete."""
    begins_day: int
    """The first day on which anybody may be active."""
    people: int
    country: str
    trait: float = 1.0
    """The share of people that leaves or stays, or the factor of a growth."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth about all accounts."""

    first_day: int
    days: int
    stories: tuple[AccountStory, ...]
    holidays: Mapping[str, frozenset[int]]
    """Public holidays by country."""
    outages: frozenset[int]
    """Days on which the vendor was down."""


def tell(seed: int, accounts: int, days: int, frozen: Parameters) -> Truth:
    """Draw all stories."""
    dice = Dice(frozen.version, seed, 0)
    people = [_people(dice, frozen) for _ in range(accounts)]
    storylines = _storylines(dice, people, frozen)
    width = len(str(accounts))
    stories = tuple(
        _story(
            Dice(frozen.version, seed, 1, each),
            f"acct-{each + 1:0{width}}",
            storylines[each],
            people[each],
            days,
            frozen,
        )
        for each in range(accounts)
    )
    holidays = {country: frozenset(frozen.holidays(country)) for country in frozen.countries}
    return Truth(frozen.first, days, stories, holidays, _outages(dice, days, frozen))


def _people(dice: Dice, frozen: Parameters) -> int:
    normal = NormalDist().inv_cdf(min(max(float(dice.floats(1)[0]), 1e-9), 1 - 1e-9))
    return min(max(round(frozen.people.median * math.exp(frozen.people.sigma * normal)), 1), frozen.people.most)


def _storylines(dice: Dice, people: list[int], frozen: Parameters) -> dict[int, str]:
    """Give each account a storyline; those that need people choose first."""
    found: dict[int, str] = {}
    waiting = dice.shuffled(range(len(people)))
    needy = sorted(frozen.storylines, key=lambda name: -frozen.people_at_least.get(name, 0))
    for storyline in (name for name in needy if name != "none"):
        least = frozen.people_at_least.get(storyline, 0)
        wanted = round(frozen.storylines[storyline] * len(people))
        chosen = [each for each in waiting if people[each] >= least][:wanted]
        found |= dict.fromkeys(chosen, storyline)
        waiting = [each for each in waiting if each not in found]
    return found | dict.fromkeys(waiting, "none")


def _outages(dice: Dice, days: int, frozen: Parameters) -> frozenset[int]:
    found: set[int] = set()
    part = (days - 60) // frozen.outages
    for each in range(frozen.outages):
        first = frozen.first + 60 + each * part + dice.whole(0, part // 2)
        found |= set(range(first, first + dice.whole(*frozen.outage_days)))
    return frozenset(found)


def _story(dice: Dice, account: str, storyline: str, people: int, days: int, frozen: Parameters) -> AccountStory:
    country = dice.weighted({name: country.share for name, country in frozen.countries.items()})
    begins = frozen.first
    onset = frozen.first + dice.whole(frozen.baseline_days, days - frozen.after_days)
    first_onset, last_onset = frozen.first + frozen.baseline_days, frozen.first + days - frozen.after_days
    kind, end, trait = "", None, 1.0
    match storyline:
        case "vacation":
            kind = dice.weighted(frozen.vacation.kinds)
            end = onset + dice.weighted(frozen.vacation.days) - 1
            if kind == "calendar":
                possible = [
                    (day_number(first), length)
                    for first, length in frozen.closures[country]
                    if first_onset <= day_number(first) <= last_onset
                ]
                onset, length = dice.one_of(possible)
                end = onset + length - 1
        case "sudden_stop":
            kind = "trickle" if people > 1 and dice.chance(frozen.sudden_stop.trickle_share) else "gone"
        case "slow_decay":
            kind = "leaving" if people > 3 and dice.chance(frozen.slow_decay.leaving_share) else "fading"
            end = onset + 7 * dice.whole(*frozen.slow_decay.weeks)
        case "seat_loss":
            kind, trait = "people", dice.between(*frozen.seat_loss.share)
            end = onset + dice.whole(*frozen.seat_loss.over_days)
        case "growth":
            kind, trait = "people", dice.between(*frozen.growth.factor)
            end = onset + 7 * dice.whole(*frozen.growth.weeks)
        case "agent_move":
            kind = "api" if dice.chance(frozen.agent_move.api_share) else "agent"
            end = onset + 7 * dice.whole(*frozen.agent_move.weeks)
        case _:
            late = dice.chance(frozen.late_start_share)
            begins += dice.whole(*frozen.late_start_days) if late else 0
            return AccountStory(account, storyline, kind, None, None, begins, people, country)
    return AccountStory(account, storyline, kind, onset, end, begins, people, country, round(trait, 6))
