"""
What happens to the accounts: each storyline as plain functions of the days that are left.

A day is given as `left`: days before the end of the simulated time, 0 for the last one. `shift` spreads the
accounts of one storyline, so that not all of them break on the same day.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

FLEET_DIP = range(96, 107)
"""Days (left) of the summer break in which all customers do little."""
FLEET_DIP_LEVEL = 0.35


class Storyline(StrEnum):
    """What an account goes through."""

    STEADY = "steady"
    GROWING = "growing"
    SLOW_DECAY = "slow_decay"
    SUDDEN_STOP = "sudden_stop"
    SEAT_LOSS = "seat_loss"
    LONG_HOLIDAY = "long_holiday"
    ONBOARDING_STUCK = "onboarding_stuck"
    ONBOARDING_WELL = "onboarding_well"
    TICKETS_PILE_UP = "tickets_pile_up"
    UNHAPPY_CHAMPION = "unhappy_champion"
    RENEWAL_DRIFT = "renewal_drift"
    SEAT_SATURATION = "seat_saturation"
    RETURNING = "returning"
    QUARTER_END = "quarter_end"
    MOVED_TO_AGENTS = "moved_to_agents"


CAST: dict[Storyline, int] = {
    Storyline.STEADY: 14,
    Storyline.GROWING: 5,
    Storyline.SLOW_DECAY: 5,
    Storyline.SUDDEN_STOP: 5,
    Storyline.SEAT_LOSS: 4,
    Storyline.LONG_HOLIDAY: 3,
    Storyline.ONBOARDING_STUCK: 4,
    Storyline.ONBOARDING_WELL: 4,
    Storyline.TICKETS_PILE_UP: 4,
    Storyline.UNHAPPY_CHAMPION: 4,
    Storyline.RENEWAL_DRIFT: 2,
    Storyline.SEAT_SATURATION: 2,
    Storyline.RETURNING: 2,
    Storyline.QUARTER_END: 1,
    Storyline.MOVED_TO_AGENTS: 1,
}
"""How many of the sixty accounts live through each storyline."""


@dataclass(frozen=True, slots=True)
class Script:
    """Dated events of an account that are not ordinary use. Days are days left."""

    tickets: tuple[tuple[int, int | None], ...] = ()
    """Opened and closed; None: still open at the end."""
    surveys: tuple[tuple[int, int, int], ...] = ()
    """Day, number of the person, NPS score."""


class AnnouncedAbsence(NamedTuple):
    """An absence of the whole account that was announced. Days are days left; the last ones may lie ahead."""

    told: int
    first: int
    last: int
    text: str


def announced(storyline: Storyline, shift: int) -> tuple[AnnouncedAbsence, ...]:
    """Return the absences that the account announced. Of the long holidays one is announced; the others are not."""
    match storyline, shift:
        case Storyline.LONG_HOLIDAY, 0:
            return (AnnouncedAbsence(61, 52, 31, "The office is closed for three weeks."),)
        case Storyline.STEADY, 4:
            return (AnnouncedAbsence(12, 3, -6, "The whole company is at its yearly meeting."),)
        case Storyline.STEADY, 6:
            return (AnnouncedAbsence(5, -9, -23, "Closed over the holidays."),)
        case _:
            return ()


def activity(storyline: Storyline, left: int, shift: int) -> float:
    """Return how active a person of the account is, 1.0 being as usual."""
    level = FLEET_DIP_LEVEL if left in FLEET_DIP else 1.0
    if any(absence.last <= left <= absence.first for absence in announced(storyline, shift)):
        return 0.0
    match storyline:
        case Storyline.SLOW_DECAY:
            return level * ramp(left, 84 + shift, 4, 1.0, 0.15)
        case Storyline.SUDDEN_STOP:
            return 0.0 if left < 12 + 5 * shift else level
        case Storyline.LONG_HOLIDAY:
            return 0.0 if 30 + 9 * shift < left <= 52 + 9 * shift else level
        case Storyline.ONBOARDING_STUCK:
            return level * ramp(left, 30, 6, 0.8, 0.1)
        case Storyline.RENEWAL_DRIFT:
            return level * ramp(left, 70, 8, 1.0, 0.3)
        case Storyline.TICKETS_PILE_UP:
            return level * ramp(left, 20, 0, 1.0, 0.7)
        case Storyline.RETURNING:
            return 0.0 if 12 + 4 * shift < left <= 44 else level
        case Storyline.QUARTER_END:
            return level * (1.25 if left % 91 < 12 else 0.85)
        case Storyline.GROWING:
            return level * ramp(left, 60, 10, 0.8, 1.15)
        case Storyline.MOVED_TO_AGENTS:
            return level * (1.0 - by_agents(storyline, left))
        case _:
            return level


def by_agents(storyline: Storyline, left: int) -> float:
    """Return the share of its people's work that agents do for them, 0 to 1."""
    return ramp(left, 62, 40, 0.0, 0.9) if storyline is Storyline.MOVED_TO_AGENTS else 0.0


def staffing(storyline: Storyline, left: int, shift: int) -> float:
    """Return the share of the account's people who are there, 0 to 1."""
    match storyline:
        case Storyline.SEAT_LOSS:
            return 0.3 if left < 26 + 4 * shift else 1.0
        case Storyline.GROWING:
            return ramp(left, 75, 12, 0.5, 1.0)
        case Storyline.SEAT_SATURATION:
            return ramp(left, 120, 40, 0.6, 1.0)
        case Storyline.ONBOARDING_WELL:
            return ramp(left, 60, 25, 0.4, 1.0)
        case Storyline.ONBOARDING_STUCK:
            return 0.4
        case _:
            return 1.0


def begins(storyline: Storyline, weeks: int, shift: int) -> int:
    """Return on which day (left) the account's first activity falls."""
    if storyline is Storyline.ONBOARDING_STUCK:
        return 45 + 3 * shift
    if storyline is Storyline.ONBOARDING_WELL:
        return 60 + 5 * shift
    return weeks * 7 - 1


def finds_value(storyline: Storyline) -> bool:
    """Return whether its people ever get to the events that mean value."""
    return storyline is not Storyline.ONBOARDING_STUCK


def script(storyline: Storyline, shift: int) -> Script:
    """Return the tickets and surveys that belong to the storyline."""
    match storyline:
        case Storyline.TICKETS_PILE_UP if shift == 3:  # answered at last
            return Script(tickets=((60, 58), (21, 2), (17, 2), (9, 2), (6, 2)))
        case Storyline.TICKETS_PILE_UP:
            return Script(tickets=((60, 58), (21, None), (17, None), (12 - shift, None), (9 - shift, None), (4, None)))
        case Storyline.UNHAPPY_CHAMPION if shift < 2:
            return Script(surveys=((150, 0, 9), (14 - 13 * shift, 0, 3)))
        case Storyline.UNHAPPY_CHAMPION:
            return Script(surveys=((150, 0, 9), (60, 1, 8)))
        case Storyline.RENEWAL_DRIFT:
            return Script(tickets=((24, None), (20, None), (16, None)), surveys=((120, 0, 8), (25, 0, 5)))
        case Storyline.ONBOARDING_STUCK:
            return Script(tickets=((30, 26), (18, None)))
        case Storyline.SLOW_DECAY:
            return Script(tickets=((50, 49),), surveys=((90, 0, 7),))
        case Storyline.STEADY | Storyline.GROWING | Storyline.SEAT_SATURATION:
            return Script(tickets=((130 + shift, 129 + shift), (40 + shift, 39 + shift)), surveys=((80 + shift, 0, 9),))
        case _:
            return Script(tickets=((100 + shift, 99 + shift),), surveys=((110 + shift, 0, 8),))


def renewal_in(storyline: Storyline, shift: int) -> int:
    """Return days from the end of the simulated time to the renewal of the contract."""
    if storyline is Storyline.RENEWAL_DRIFT:
        return 38 + 14 * shift
    return 110 + 37 * shift % 240


def ramp(left: int, start: int, end: int, before: float, after: float) -> float:
    """Return a level that goes in a straight line from `before` to `after` between two days (left)."""
    if left >= start:
        return before
    if left <= end:
        return after
    return before + (after - before) * (start - left) / (start - end)
