"""
Evidence in the words of customer success: fills the templates of rules with values written for people.

Statistics and inner names stay out of the texts: people read "active people", "usual level", "all customers".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

from schemas.measures import MEASURES, Unit
from services.alerter.domain.conditions import Node, decides_alike
from services.alerter.domain.durations import DAY_MS
from services.alerter.domain.measures import Measures
from services.shared.units import date_of

TEXTS = {
    "account_name": "Name of the account, else its id.",
    "owner": "Who looks after it.",
    "plan": "Its plan.",
    "renewal_date": "Date of the renewal.",
    "last_active_date": "Last day on which anyone was active.",
    "lowest_user": "Who gave the lowest survey answer.",
    "other_risks": "Titles of the account's other open risks.",
}
"""What templates may use beside measures."""

PLACEHOLDERS = frozenset(MEASURES) | frozenset(TEXTS)

UNKNOWN = "unknown"
_WITHOUT_DAYS_OFF, _CALENDAR = "silent_days", "calendar_level"
_IN_PERCENT = frozenset({Unit.SHARE, Unit.CHANCE})
_WHOLE_FROM = 10
_MOST_DIGITS = 4
_DAYS_FROM_HOURS = 72
_FEW_DAYS = 3
"""Below this, a part of a day is not left out: people who come on 1.9 days a week do not come on one."""
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def placeholders_in(template: str) -> frozenset[str]:
    """
    Return the names in braces.

    Raises:
        ValueError: braces do not match, or hold more than a name.
    """
    names: set[str] = set()
    for _text, name, spec, conversion in Formatter().parse(template):
        if name is None:
            continue
        if spec or conversion or not name.isidentifier():
            msg = f"only a name may stand in braces, not {name!r}"
            raise ValueError(msg)
        names.add(name)
    return frozenset(names)


def fill(template: str, phrases: Mapping[str, str]) -> str:
    """Put the phrases into a template that has been checked with `placeholders_in`."""
    return template.format_map(phrases)


class Phrases(dict[str, str]):
    """The words for each placeholder, made when asked for: most templates use few."""

    def __init__(
        self, snapshot: Mapping[str, Any], measures: Measures, other_risks: str, conditions: Sequence[Node]
    ) -> None:
        """Speak about one snapshot; no value is rounded past what `conditions` compare it with."""
        super().__init__()
        self._snapshot = snapshot
        self._measures = measures
        self._other_risks = other_risks
        self._conditions = conditions

    def __missing__(self, name: str) -> str:
        """Word one value."""
        if name in MEASURES:
            worded = word(self._measures.get(name), MEASURES[name].unit, self._digits(name))
            if self._leaves_out(name):
                return f"{worded} (public holidays and planned absences left out)"
            return with_names(worded, self._snapshot, name)
        return self._text(name)

    def _digits(self, name: str) -> int:
        """Return how many digits tell a value: more than usual where the rounded one would be judged otherwise."""
        value, unit = self._measures.get(name, 0.0), MEASURES[name].unit
        scale = 100 if unit in _IN_PERCENT else 1
        usual = usual_digits(value, unit)
        for digits in range(usual, _MOST_DIGITS):
            shown = round(scale * value, digits) / scale
            if all(decides_alike(node, self._measures, name, shown) for node in self._conditions):
                return digits
        return usual

    def _leaves_out(self, name: str) -> bool:
        """Return whether a number of days is smaller than the dates beside it say, because some days do not count."""
        return name == _WITHOUT_DAYS_OFF and name in self._measures and _CALENDAR in self._measures

    def _text(self, name: str) -> str:
        facts, dates = self._snapshot["facts"], self._snapshot["dates"]
        if name == "account_name":
            return facts["name"] or str(self._snapshot["account"])
        if name in {"owner", "plan"}:
            return facts[name] or UNKNOWN
        if name == "renewal_date":
            return UNKNOWN if facts["renewal_day"] is None else date_words(facts["renewal_day"])
        if name == "last_active_date":
            return date_words(dates["last_activity"]) if "last_activity" in dates else UNKNOWN
        if name == "lowest_user":
            return self._snapshot["lowest_user"] or "someone"
        return self._other_risks or "none"


def word(value: float | None, unit: Unit, digits: int | None = None) -> str:
    """Write one value with its unit, as people would, or with so many digits after the point; lengths of time have their own."""
    if value is None:
        return UNKNOWN
    if unit is Unit.FLAG:
        return "yes" if value else "no"
    digits = usual_digits(value, unit) if digits is None else digits
    if unit in _IN_PERCENT:
        return f"{100 * value:.{digits}f} %"
    if unit is Unit.DAYS:
        if abs(value) < _FEW_DAYS and round(value, 1) != round(value):
            return f"{value:.1f} days"
        whole = round(value) if abs(value) < _FEW_DAYS else int(value)
        return "1 day" if whole == 1 else f"{whole} days"
    if unit is Unit.HOURS:
        whole = round(value)
        if whole >= _DAYS_FROM_HOURS:
            return f"{whole // 24} days"
        return "1 hour" if whole == 1 else f"{whole} hours"
    number = f"{round(value, digits) + 0.0:,.{digits}f}"  # + 0.0: there is no -0
    if unit is Unit.PEOPLE:
        return "1 person" if number == "1" else f"{number} people"
    return number


def with_names(worded: str, snapshot: Mapping[str, Any], measure: str) -> str:
    """Return a value in words, with the names of what the measure counted, where a snapshot has them: 2 (admin, editor)."""
    names = snapshot["counted"].get(measure)
    return f"{worded} ({', '.join(names)})" if names else worded


def usual_digits(value: float, unit: Unit) -> int:
    """Return how many digits after the point a value has: a number has one below ten, if it is not 0."""
    if unit is Unit.CHANCE:
        return 1
    return int(unit is not Unit.SHARE and abs(value) < _WHOLE_FROM and round(value, 1) != round(value))


def date_words(day: int) -> str:
    """Write a day (days since 1970 UTC) as 7 March 2026; out of the calendar's range, its number."""
    try:
        date = date_of(day)
    except OverflowError:
        return f"day {day}"
    return f"{date.day} {_MONTHS[date.month - 1]} {date.year}"


def replaced_summary(by_title: str) -> str:
    """Say that another signal has taken this one's place."""
    return f"Closed because another signal now says more: {by_title}."


def expired_summary(open_ms: int) -> str:
    """Say that the signal was open for so long that it says nothing new any more, whatever happened meanwhile."""
    return f"Closed because it was open for {word(open_ms / DAY_MS, Unit.DAYS)}. Its cause may still be there."


WITHDRAWN_SUMMARY = "Closed because this kind of signal was switched off."

FORGOTTEN_SUMMARY = "Closed because the account was forgotten: nothing was heard of it for long, or it was merged into another one or erased."
