"""
What is remembered of each account of a lane: a few kinds of state, each under the names that the tracking plan declares.

The values of a kind lie in a list, one place a name. Places hold within one process only: they follow from the sorted
names of the plan. State records carry the names themselves, so that under another plan each value is found or dropped,
never taken for that of another name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from services.shared.tracking_plan.plan import TrackingPlan, fact_type, facts, named
from services.shared.tracking_plan.state_names import (
    COUNTS_OF_ALL,
    FIRST_ACTIVITY,
    PLANNED_ABSENCES,
    FactType,
    closed,
    opened,
)

Scale = tuple[int, int]
"""Lowest and highest score of a survey."""
Depth = Literal["core", "deep"]
"""Whether all customers need a feature, or it shows skill."""


class Names(dict[str, int]):
    """Name to place, of one kind: first those that every account has, then the declared ones, sorted."""

    __slots__ = ("declared", "of_all")

    def __init__(self, declared: Iterable[str], of_all: tuple[str, ...] = ()) -> None:
        """Number the names."""
        self.of_all = of_all
        names = sorted(declared)
        super().__init__((name, place) for place, name in enumerate((*of_all, *names)))
        self.declared = " ".join(names)
        """The declared names as state records have them beside the values."""


class Kinds:
    """The names of each kind, with their places. Shared by all accounts of a lane; never changed."""

    __slots__ = (
        "answers",
        "cases",
        "counts",
        "depths",
        "facts",
        "features",
        "milestones",
        "roles",
        "scales",
        "state",
        "types",
    )

    def __init__(  # noqa: PLR0913 - one a kind
        self,
        counts: Iterable[str] = (),
        cases: Iterable[str] = (),
        answers: Mapping[str, Scale] | None = None,
        facts: Mapping[str, FactType] | None = None,
        milestones: Iterable[str] = (),
        roles: Iterable[str] = (),
        features: Mapping[str, Depth] | None = None,
        *,
        absences: bool = False,
    ) -> None:
        """Number the declared names; those that every account has come first."""
        answers, facts, features = answers or {}, facts or {}, features or {}
        sorts = sorted(cases)
        of_cases = [name for sort in sorts for name in (opened(sort), closed(sort))]
        self.counts = Names((*counts, *of_cases), COUNTS_OF_ALL)
        self.cases = Names(sorts)
        self.answers = Names(answers)
        self.scales: tuple[Scale, ...] = tuple(answers[name] for name in self.answers)
        self.facts = Names(facts)
        self.types = "".join(facts[name][0] for name in self.facts)
        """The first letter of the type of each fact, by place."""
        self.milestones = Names(milestones, (FIRST_ACTIVITY,))
        self.roles = Names(roles)
        self.features = Names(features)
        self.depths = {name: features[name] for name in self.features}
        of_people = ["active", *(["roles"] if self.roles else []), *(["features"] if self.features else [])]
        named: dict[str, Iterable[str]] = {
            "counts": self.counts,
            "cases": self.cases,
            "answers": self.answers,
            "facts": self.facts,
            "milestones": self.milestones,
            "people": of_people,
        }
        of_account = {PLANNED_ABSENCES} if absences else set()
        self.state = frozenset(f"{kind}.{name}" for kind, names in named.items() for name in names) | of_account
        """What state there is, as `counts.value`, `cases.tickets` or `people.roles`: a measure names what it needs so."""


def kinds_of(plan: TrackingPlan) -> Kinds:
    """Return what a tracking plan has remembered of each account."""
    return Kinds(
        counts=named(plan, "counts"),
        cases=plan.cases,
        answers={name: survey.scale for name, survey in plan.answers.items()},
        facts={fact: fact_type(trait) for _, fact, trait in facts(plan)},
        milestones=named(plan, "milestones"),
        roles=[role.strip().lower() for role in plan.roles],
        features=plan.features,
        absences=bool(named(plan, "absences")),
    )


def traits_of(plan: TrackingPlan) -> dict[str, tuple[int, FactType]]:
    """Return by group trait, in lower case, the place and the type of the fact that it says."""
    places = kinds_of(plan).facts
    return {trait.lower(): (places[fact], fact_type(said)) for trait, fact, said in facts(plan)}
