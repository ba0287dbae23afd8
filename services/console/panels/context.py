"""What the panels of an account share: the axis, what is shaded on it, and the words and formats of their reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, TypeVar

from markupsafe import Markup

from services.console.account import happened
from services.console.account.past import Past
from services.console.account.questions import HELD_BELOW, by_state
from services.console.account.records import Recorded
from services.console.charts.lanes import shortened
from services.console.charts.timeline import Axis, Shade
from services.console.rendering import Visit

LONGEST_TITLE = 160
_WEEK_DAYS = 7
_FACTS_OF_MONEY = frozenset({"revenue"})
_FACTS_OF_DAYS = frozenset({"renewal_date", "contract_start"})

Dated = TypeVar("Dated")


@dataclass(frozen=True)
class TextTable:
    """The same as a chart, in text."""

    heads: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Panel:
    """One chart of the axis."""

    name: str
    drawn: Markup
    table: TextTable
    legend: Sequence[tuple[str, str]] = ()
    """Class of a key and its words."""
    note: str = ""


class PanelContext:
    """What is known of the account, for all panels."""

    def __init__(
        self,
        visit: Visit,
        account: str,
        past: Past,
        signals: Sequence[Mapping[str, Any]],
        people: Sequence[Mapping[str, Any]],
        records: Sequence[Recorded],
    ) -> None:
        self.t, self.f, self.w = visit.words, visit.formats, visit.wording
        self.account = account
        self.past = past
        self.signals = happened.episodes(signals)
        self.people = by_state(people)
        self.records = records
        # What was recorded this minute is newer than the newest snapshot.
        self.axis = Axis(past.first, max([past.last, *(each.said for each in records)]))

    @cached_property
    def away(self) -> list[tuple[date, date]]:
        """Return the planned absences: first and last day of each."""
        said = [(each.on, each.until or each.on) for each in self.records if each.kind == "absence"]
        return sorted({*happened.absences(self.past), *said})

    @cached_property
    def holidays(self) -> list[date]:
        """Return the public holidays."""
        return happened.public_holidays(self.past)

    @cached_property
    def shades(self) -> list[Shade]:
        """Return the days that are shaded in every panel."""
        quiet = [Shade("quiet", *span) for span in self.past.spans_below("fleet_level", HELD_BELOW)]
        away = [Shade("away", first, last) for first, last in self.away if first <= self.past.last]
        return [*quiet, *away, *(Shade("away", day, day) for day in self.holidays)]

    def day(self, day: date) -> str:
        """Return a day in words."""
        return self.f.day(day.isoformat())

    def points(self, value: float | None) -> str:
        """Return points with the decimal that they have, so that they can be added up."""
        return self.f.number(value, 1)

    def named(self, room: str, name: str) -> str:
        """Return the words for a name; one of a plan of one's own, or of a later release, is said as it is."""
        key = f"{room}.{name}"
        return self.t(key) if self.t.has(key) else name.replace("_", " ").capitalize()

    def fact(self, name: str, value: Any) -> str:
        """Return the value of a fact."""
        if value is None:
            return "–"
        if name in _FACTS_OF_MONEY:
            return self.f.money(value, short=False)
        if name in _FACTS_OF_DAYS:
            return self.f.day(value)
        return self.f.number(value) if isinstance(value, int | float) else shortened(str(value), LONGEST_TITLE)


def weekly(given: Sequence[Dated], day_of: Callable[[Dated], date]) -> list[Dated]:
    """Return one a week at most, the newest first: active accounts are published every day, quiet ones once a week."""
    kept: list[Dated] = []
    for each in reversed(given):
        if not kept or (day_of(kept[-1]) - day_of(each)).days >= _WEEK_DAYS:
            kept.append(each)
    return kept
