"""
What an event or page does by its name: the tracking plan, ready to be asked for every event.

Meanings are numbered, so that the hot path tells them apart by comparing numbers: `PLAIN` is use of the product that is not
counted apart; up to `last_use` are those that are counted, reach a milestone or use a feature; above are those that are no
use: cases and answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.scorer.domain.accounts.kinds import kinds_of
from services.shared.tracking_plan.plan import EventPlan, TrackingPlan, plain, words
from services.shared.tracking_plan.state_names import PLANNED_ABSENCES, closed, opened
from services.shared.tracking_plan.use import is_use

PLAIN = 0
NO_ACTIVITY = -1
"""The number of kinds of events that are neither use nor a case or an answer, such as alias."""
_NONE = -1
_REMEMBERED_NAMES = 20_000

DIMENSIONS = {"counts.value": "value", "cases.tickets": "support", "answers.nps": "sentiment"}
"""Dimensions of the score, by the state whose first data connects them. Other state connects itself, by its own name."""


_FIRST_VALUE = (DIMENSIONS["counts.value"],)


class Meaning(NamedTuple):
    """What an event does, as places of the kinds of state."""

    counts: tuple[int, ...] = ()
    milestones: tuple[int, ...] = ()
    features: tuple[int, ...] = ()
    case: int = _NONE
    opens: bool = False
    """Whether it opens a case; otherwise it closes one."""
    survey: int = _NONE
    field: str = ""
    """The property that has the id of a case or the score of an answer."""
    connects: tuple[str, ...] = ()
    is_absence: bool = False
    """Whether it plans an absence."""

    @property
    def is_case(self) -> bool:
        """Whether it opens or closes a case."""
        return self.case != _NONE


class Meanings:
    """The meanings of one plan."""

    __slots__ = (
        "_events",
        "_pages",
        "_plan",
        "all",
        "cache",
        "kinds",
        "last_use",
        "page_cache",
    )

    def __init__(self, plan: TrackingPlan) -> None:
        """Number what the plan's events and pages mean."""
        self.kinds = kinds_of(plan)
        self._plan = plan
        planned = (*plan.events.values(), *plan.pages.values())
        meant = {self._meaning(event): is_use(event) for event in planned if words(event)}
        named = sorted(meant, key=lambda meaning: (not meant[meaning], meaning))
        self.all: tuple[Meaning, ...] = (Meaning(), *named)
        self.last_use = sum(meant.values())
        self._events = self._numbered(plan.events)
        self._pages = self._numbered(plan.pages)
        self.cache: dict[str, int] = {}
        """Numbers of names of events as they were sent, for the hot path to look at before it asks."""
        self.page_cache: dict[str, int] = {}
        """The same of pages."""

    def number(self, name: str) -> int:
        """Return the number of what a track event of this name does, and remember it."""
        return _remembered(name, self._events, self.cache)

    def page_number(self, name: str) -> int:
        """Return the number of what a page or screen of this name does, and remember it."""
        return _remembered(name, self._pages, self.page_cache)

    @property
    def pages(self) -> bool:
        """Whether the plan names any pages."""
        return bool(self._pages)

    def _numbered(self, events: Mapping[str, EventPlan]) -> dict[str, int]:
        numbers = {meaning: number for number, meaning in enumerate(self.all)}
        return {
            plain(name): numbers[self._meaning(event)] if words(event) or is_use(event) else NO_ACTIVITY
            for name, event in events.items()
        }

    def _meaning(self, event: EventPlan) -> Meaning:
        """Return what an event does; use may be counted in several ways."""
        meaning = Meaning()
        for word in words(event):
            meaning = _both(meaning, self._one(word))
        return meaning

    def _one(self, word: str) -> Meaning:
        kind, _, name = word.partition(".")
        if word == PLANNED_ABSENCES:
            return Meaning(is_absence=True)
        if kind == "counts":
            return Meaning(counts=(self.kinds.counts[name],), connects=_connects(word))
        if kind == "milestones":
            return Meaning(
                milestones=(self.kinds.milestones[name],), connects=_FIRST_VALUE if name == "first_value" else ()
            )
        if kind == "features":
            return Meaning(features=(self.kinds.features[name],))
        if kind == "answers":
            field = self._plan.answers[name].score
            return Meaning(survey=self.kinds.answers[name], field=field, connects=_connects(word))
        sort, _, step = name.rpartition(".")
        opens = step == "opened"
        counts = (self.kinds.counts[opened(sort) if opens else closed(sort)],)
        connects = _connects(f"cases.{sort}")
        return Meaning(
            counts, case=self.kinds.cases[sort], opens=opens, field=self._plan.cases[sort].id, connects=connects
        )


def _remembered(name: str, numbers: Mapping[str, int], cache: dict[str, int]) -> int:
    number = numbers.get(plain(name), PLAIN)
    if len(cache) < _REMEMBERED_NAMES:
        cache[name] = number
    return number


def _connects(state: str) -> tuple[str, ...]:
    return (DIMENSIONS.get(state, state),)


def _both(one: Meaning, other: Meaning) -> Meaning:
    return other._replace(
        counts=tuple(sorted({*one.counts, *other.counts})),
        milestones=tuple(sorted({*one.milestones, *other.milestones})),
        features=tuple(sorted({*one.features, *other.features})),
        connects=tuple(sorted({*one.connects, *other.connects})),
    )
