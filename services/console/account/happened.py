"""What happened to an account, read out of its snapshots: facts that changed, milestones, answers, absences, episodes of signals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from services.console.account.past import Day, Past
from services.console.account.records import Recorded
from services.console.days import log_day
from services.console.recorded.judgements import SEVERITY_RANK
from services.shared.tracking_plan.judgements import VERDICTS

_NO_MILESTONES = frozenset({"first_activity", "last_activity", "absent_from", "absent_until"})
_WEEK = timedelta(days=7)
_FIRST = ("critical", "warning", "info", "expansion")
"""Kinds of signals, in the order in which to work on them."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A fact that a day said otherwise than the day before."""

    on: date
    fact: str
    before: Any
    after: Any


def facts_changed(past: Past) -> list[Changed]:
    """Return the facts that changed, the oldest first. What the first day said is no change."""
    found = []
    for before, after in _pairs(past):
        old, new = before.told["facts"], after.told["facts"]
        found += [
            Changed(after.on, name, old.get(name), value) for name, value in new.items() if old.get(name) != value
        ]
    return found


def milestones(past: Past) -> list[tuple[date, str]]:
    """Return the milestones that are known: the day and the name of each."""
    if past.latest is None:
        return []
    dates: Mapping[str, str | None] = past.latest.told["dates"]
    return sorted((date.fromisoformat(day), name) for name, day in dates.items() if day and name not in _NO_MILESTONES)


def answers(past: Past) -> list[tuple[date, Day]]:
    """Return the days on which a survey answer came."""
    found = []
    for before, after in _pairs(past):
        age, old_age = after.value("answer_age_days"), before.value("answer_age_days")
        if age is not None and (old_age is None or age <= old_age):
            found.append((date.fromordinal(after.on.toordinal() - int(age)), after))
    return found


def absences(past: Past) -> list[tuple[date, date]]:
    """Return the planned absences that snapshots spoke of: first and last day of each, as was said last."""
    found: dict[str, str] = {}
    for day in past.days:
        first, last = day.told["dates"].get("absent_from"), day.told["dates"].get("absent_until")
        if first and last:
            found[first] = last
    return [(date.fromisoformat(first), date.fromisoformat(last)) for first, last in sorted(found.items())]


def public_holidays(past: Past) -> list[date]:
    """
    Return the public holidays that snapshots counted: days on which their number of seven days rose.

    It stays as it was where one of a week ago leaves it on the same day, as Christmas does on New Year's Day.
    """
    found: list[date] = []
    for before, after in _pairs(past):
        now, then = after.value("public_holidays_7"), before.value("public_holidays_7")
        if not now or then is None or (after.on - before.on).days != 1:
            continue
        if now > then - (after.on - _WEEK in found):
            found.append(after.on)
    return found


@dataclass(frozen=True, slots=True)
class SignalEpisode:
    """One signal from its first day to its last."""

    signal: Mapping[str, Any]
    """Its latest transition that says what was wrong."""
    kind: str
    """`critical`, `warning`, `info` or `expansion`."""
    first: date
    last: date | None
    """None while it is open."""
    resolved: str
    """Why it ended."""


def episodes(transitions: Iterable[Mapping[str, Any]]) -> list[SignalEpisode]:
    """Return the episodes of transitions, the latest begun first."""
    by_episode: dict[str, list[Mapping[str, Any]]] = {}
    for each in transitions:
        by_episode.setdefault(each["episode_id"], []).append(each)
    found = []
    for told in by_episode.values():
        ordered = sorted(told, key=lambda each: each["transition_number"])
        saying = next((each for each in reversed(ordered) if each["transition"] != "RESOLVED"), ordered[-1])
        severity = max((each["severity"] for each in ordered), key=lambda name: SEVERITY_RANK.get(name, 0))
        end = ordered[-1] if ordered[-1]["transition"] == "RESOLVED" else None
        kind = severity.lower() if saying["category"] == "RISK" else "expansion"
        first = log_day(saying["episode_started_at"])
        last = log_day(end["at"]) if end else None
        found.append(SignalEpisode(saying, kind, first, last, end["resolved_reason"] if end else ""))
    return sorted(found, key=lambda each: each.first, reverse=True)


def still_open(transitions: Iterable[Mapping[str, Any]]) -> list[SignalEpisode]:
    """Return the open episodes in the order of Today: the worst first, of each severity the latest begun first."""
    found = [each for each in episodes(transitions) if each.last is None]
    return sorted(found, key=lambda each: _FIRST.index(each.kind) if each.kind in _FIRST else len(_FIRST))


def loss(records: Iterable[Recorded]) -> Recorded | None:
    """Return the record of the loss of the account, the latest that names a day, as Today takes it; None: it is not lost."""
    return next((each for each in records if each.names_day), None)


def judgements(records: Iterable[Recorded]) -> dict[str, Recorded]:
    """Return by episode the last record that says whether its signal was of use."""
    found: dict[str, Recorded] = {}
    for each in records:
        if each.kind == "judged" and each.properties.get("verdict") in VERDICTS:
            found.setdefault(str(each.properties.get("episode_id")), each)
    return found


def _pairs(past: Past) -> Iterator[tuple[Day, Day]]:
    return zip(past.days, past.days[1:], strict=False)
