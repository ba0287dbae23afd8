"""
What a track event does by its name: the tracking plan, ready to be asked for every event.

Meanings are numbered, so that the hot path tells them apart by comparing numbers: `PLAIN` is use of the product that is not
counted apart; up to `last_use` are those that are counted, reach a milestone or use a feature; above are those that are no
use: cases and answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from services.scorer.domain.accounts.kinds import Kinds, closed, opened
from services.scorer.domain.tracking_plan import TrackingPlan, kinds_of, plain

PLAIN = 0
NO_ACTIVITY = -1
"""Of kinds of events that are neither use nor a case or an answer, such as alias."""
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
    """Of a case: whether it is opened, not closed."""
    survey: int = _NONE
    field: str = ""
    """Of a case or an answer: the property that has the id or the score."""
    connects: tuple[str, ...] = ()

    @property
    def is_case(self) -> bool:
        """Whether it opens or closes a case."""
        return self.case != _NONE

    @property
    def is_answer(self) -> bool:
        """Whether it answers a survey."""
        return self.survey != _NONE

    @property
    def is_use(self) -> bool:
        """Whether it is use of the product."""
        return not self.is_case and not self.is_answer


class Meanings:
    """The meanings of one plan."""

    __slots__ = ("_numbers", "all", "cache", "kinds", "last_use")

    def __init__(self, plan: TrackingPlan) -> None:
        """Number what the plan's event names mean."""
        self.kinds = kinds_of(plan)
        by_name = _merged([*_uses(plan, self.kinds), *_cases(plan, self.kinds), *_answers(plan, self.kinds)])
        named = sorted(set(by_name.values()), key=lambda meaning: (not meaning.is_use, meaning))
        self.all: tuple[Meaning, ...] = (Meaning(), *named)
        self.last_use = sum(meaning.is_use for meaning in named)
        numbers = {meaning: number for number, meaning in enumerate(self.all)}
        self._numbers = {name: numbers[meaning] for name, meaning in by_name.items()}
        self.cache: dict[str, int] = {}
        """Numbers of names as they were sent, for the hot path to look at before it asks."""

    def number(self, name: str) -> int:
        """Return the number of what a track event of this name does, and remember it."""
        number = self._numbers.get(plain(name), PLAIN)
        if len(self.cache) < _REMEMBERED_NAMES:
            self.cache[name] = number
        return number


def _uses(plan: TrackingPlan, kinds: Kinds) -> Iterator[tuple[list[str], Meaning]]:
    for name, events in plan.counts.items():
        yield events, Meaning(counts=(kinds.counts[name],), connects=_connects(f"counts.{name}"))
    for name, events in plan.milestones.items():
        yield (
            events,
            Meaning(milestones=(kinds.milestones[name],), connects=_FIRST_VALUE if name == "first_value" else ()),
        )
    for name, events in plan.people.features.items():
        yield events, Meaning(features=(kinds.features[name],))


def _cases(plan: TrackingPlan, kinds: Kinds) -> Iterator[tuple[list[str], Meaning]]:
    for name, case in plan.cases.items():
        place, connects = kinds.cases[name], _connects(f"cases.{name}")
        for events, count, opens in ((case.opened, opened(name), True), (case.closed, closed(name), False)):
            counts = (kinds.counts[count],)
            yield events, Meaning(counts, case=place, opens=opens, field=case.id, connects=connects)


def _answers(plan: TrackingPlan, kinds: Kinds) -> Iterator[tuple[list[str], Meaning]]:
    for name, survey in plan.answers.items():
        connects = _connects(f"answers.{name}")
        yield survey.events, Meaning(survey=kinds.answers[name], field=survey.score, connects=connects)


def _connects(state: str) -> tuple[str, ...]:
    return (DIMENSIONS.get(state, state),)


def _merged(meanings: Iterable[tuple[list[str], Meaning]]) -> dict[str, Meaning]:
    """Return one meaning by plain event name: use may be counted in several ways."""
    found: dict[str, Meaning] = {}
    for names, meaning in meanings:
        for name in {plain(name) for name in names}:
            before = found.get(name)
            found[name] = meaning if before is None else _both(before, meaning)
    return found


def _both(one: Meaning, other: Meaning) -> Meaning:
    return one._replace(
        counts=tuple(sorted({*one.counts, *other.counts})),
        milestones=tuple(sorted({*one.milestones, *other.milestones})),
        features=tuple(sorted({*one.features, *other.features})),
        connects=tuple(sorted({*one.connects, *other.connects})),
    )
