"""
What is remembered of each account of a lane: a few kinds of state, each under the names that the tracking plan declares.

The values of a kind lie in a list, one place a name. Places hold within one process only: they follow from the sorted
names of the plan. State records carry the names themselves, so that under another plan each value is found or dropped,
never taken for that of another name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.scorer.domain.accounts.facts import FactType

COUNTS_OF_ALL = ("events", "active")
"""The daily counts that every account has: activity events and active users. Their places are those of daily_counts.py."""
FIRST_ACTIVITY = "first_activity"
"""The milestone that every account has, at place 0."""
OTHER = "other"
"""The role of people whose role is none of the declared ones."""

Scale = tuple[int, int]
"""Lowest and highest score of a survey."""


def opened(sort: str) -> str:
    """Return the daily count of the openings of a sort of cases."""
    return f"{sort}_opened"


def closed(sort: str) -> str:
    """Return the daily count of the closings of a sort of cases."""
    return f"{sort}_closed"


class Kinds:
    """The names of each kind, with their places. Shared by all accounts of a lane; never changed."""

    __slots__ = ("answers", "cases", "counts", "facts", "features", "milestones", "roles", "scales", "types")

    def __init__(
        self,
        counts: Iterable[str] = (),
        cases: Iterable[str] = (),
        answers: Mapping[str, Scale] | None = None,
        facts: Mapping[str, FactType] | None = None,
        milestones: Iterable[str] = (),
        roles: Iterable[str] = (),
        features: Iterable[str] = (),
    ) -> None:
        """Number the declared names; those that every account has come first."""
        answers, facts = answers or {}, facts or {}
        sorts = sorted(cases)
        of_cases = [name for sort in sorts for name in (opened(sort), closed(sort))]
        self.counts = _places(COUNTS_OF_ALL, (*counts, *of_cases))
        self.cases = _places((), sorts)
        self.answers = _places((), answers)
        self.scales: tuple[Scale, ...] = tuple(answers[name] for name in self.answers)
        self.facts = _places((), facts)
        self.types: tuple[FactType, ...] = tuple(facts[name] for name in self.facts)
        self.milestones = _places((FIRST_ACTIVITY,), milestones)
        self.roles = _places((), roles)
        self.features = _places((), features)


def _places(first: Iterable[str], names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate((*first, *sorted(names)))}
