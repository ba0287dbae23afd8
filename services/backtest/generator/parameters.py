"""What the generated customers are like: the typed form of `parameters.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import TypeAlias

import msgspec
import yaml

from services.shared.units import day_number

Pair: TypeAlias = tuple[float, float]
Days: TypeAlias = tuple[int, int]


class Headcount(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How many people accounts have."""

    median: float
    sigma: float
    most: int


class Country(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A country: its share of the accounts, and its working hours by UTC."""

    share: float
    hours_utc: Days


class Vacation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A vacation of a whole account."""

    days: dict[int, float]
    level: float
    kinds: dict[str, float]
    told_days_before: Days


class SuddenStop(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Everybody stops on one day."""

    trickle_share: float
    trickle_level: float


class SlowDecay(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Use fades over weeks."""

    weeks: Days
    last_level: float
    leaving_share: float


class SeatLoss(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A part of the people leaves within days."""

    share: Pair
    over_days: Days


class Growth(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """New people come."""

    factor: Pair
    weeks: Days


class AgentMove(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Use moves from people to an agent or the API."""

    weeks: Days
    people_level: float
    agent_level: float
    agent_weekend_level: float
    api_share: float


class Parameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file; its comments say what each member means."""

    version: int
    first_day: date
    baseline_days: int
    after_days: int
    people: Headcount
    seats_factor: Pair
    storylines: dict[str, float]
    people_at_least: dict[str, int]
    countries: dict[str, Country]
    keenness: Pair
    keenness_first: Pair
    events_of_a_day: list[float]
    weekend_level: float
    weekend_worker_share: float
    weekend_worker_level: float
    holiday_level: float
    holiday_kept_share: float
    late_start_share: float
    late_start_days: Days
    drift: float
    weekly_noise: float
    outages: int
    outage_days: Days
    outage_level: float
    import_share: float
    import_events: Days
    import_week_share: float
    import_week_level: float
    leave_from_people: int
    leave_chance: float
    leave_days: list[int]
    leave_told_share: float
    vacation: Vacation
    sudden_stop: SuddenStop
    slow_decay: SlowDecay
    seat_loss: SeatLoss
    growth: Growth
    agent_move: AgentMove
    quiet_times: dict[str, list[tuple[date, int, float]]]
    closures: dict[str, list[tuple[date, int]]]
    public_holidays: dict[str, dict[int, list[date]]]

    @property
    def first(self) -> int:
        """The first day, days since 1970."""
        return day_number(self.first_day)

    @property
    def last_possible(self) -> int:
        """The last day for which there are calendars."""
        return min(day_number(max(max(days) for days in years.values())) for years in self.public_holidays.values())

    def holidays(self, country: str) -> Iterator[int]:
        """Yield the public holidays of a country in order, days since 1970."""
        for days in self.public_holidays[country].values():
            yield from map(day_number, days)


@cache
def parameters() -> Parameters:
    """Return the frozen parameters."""
    text = Path(__file__).with_name("parameters.yaml").read_text("utf-8")
    return msgspec.convert(yaml.safe_load(text), Parameters)
