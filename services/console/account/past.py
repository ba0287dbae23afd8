"""The days of an account as they were published, oldest first."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from services.console.bands import JUDGED

SPAN_DAYS = 210
"""How far back the page looks: the 30 weeks of the usual level."""
DIMENSIONS = ("usage", "breadth", "value", "support", "sentiment", "renewal")
_LEVELS = {f"level_{weeks}w": f"user_days_{weeks}w" for weeks in (1, 2, 4)}


@dataclass(frozen=True)
class Day:
    """The last snapshot of one day."""

    told: Mapping[str, Any]

    @cached_property
    def on(self) -> date:
        """Return the day."""
        return date.fromisoformat(self.told["day"])

    @cached_property
    def _values(self) -> Mapping[str, float | None]:
        return {each["name"]: each["value"] for each in self.told["measures"]}

    def value(self, measure: str) -> float | None:
        """Return the value of a measure; None where it was not known. A level of no use is none: the scorer's is never 0."""
        value = self._values.get(measure)
        if value is not None and measure in _LEVELS and self._values.get(_LEVELS[measure]) == 0:
            return 0.0
        return value

    @property
    def is_judged(self) -> bool:
        """Return whether the score meant something."""
        return self.told["band"] in JUDGED and self.told["score"] is not None

    @cached_property
    def tenths(self) -> Mapping[str, int]:
        """Return what each part adds to the score, in tenths of a point. They add up to it."""
        return {part["name"]: round(part["points"] * 10) for part in self.told["parts"]}

    @cached_property
    def layers(self) -> Mapping[str, int]:
        """Return what each dimension adds to the score, in tenths, and under an empty name what a cap takes away."""
        found = dict.fromkeys((*DIMENSIONS, ""), 0)
        for part in self.told["parts"]:
            found[part["dimension"]] = found.get(part["dimension"], 0) + round(part["points"] * 10)
        return found


class Past:
    """All days that are known of an account, and the axis that they lie on."""

    def __init__(self, newest_first: Sequence[Mapping[str, Any]], last: date) -> None:
        self.days = [Day(told) for told in reversed(newest_first)]
        self.last = last
        self.first = date.fromordinal(last.toordinal() - SPAN_DAYS + 1)
        self._ordinals = [day.on.toordinal() for day in self.days]

    def on(self, day: date) -> Day | None:
        """Return what was known at the end of a day: its snapshot, or the latest before it."""
        place = bisect_right(self._ordinals, day.toordinal())
        return self.days[place - 1] if place else None

    @property
    def latest(self) -> Day | None:
        """Return the newest day."""
        return self.days[-1] if self.days else None

    def spans_below(self, measure: str, level: float) -> list[tuple[date, date]]:
        """Return the runs of days on which a measure was below a level: first and last day of each."""
        found: list[tuple[date, date]] = []
        previous: Day | None = None
        for day in self.days:
            value = day.value(measure)
            if value is not None and value < level:
                if found and previous is not None and found[-1][1] == previous.on:
                    found[-1] = (found[-1][0], day.on)
                else:
                    found.append((day.on, day.on))
            previous = day
        return found
