"""
The tracking plan: what this company's event names, properties and traits mean, and so what is remembered of its accounts.

State is of a few kinds, and the plan gives each its names: daily counts, cases that open and close, answers to surveys,
facts, milestones, and people with their roles and the features that they use. docs/tracking-plan.md explains them.

Event names are compared without regard to case, and with spaces, underscores and hyphens alike; traits and roles without
regard to case. An event is use of the product, or opens or closes a case, or answers a survey. What the plan does not name
is use that is not counted apart.
"""

from __future__ import annotations

import msgspec

from services.scorer.domain.accounts.facts import FactType
from services.scorer.domain.accounts.kinds import Kinds

MAX_COUNTS = 32
"""Daily counts of an account, those of its cases among them: 256 or 512 bytes each that ever counts."""
MAX_CASES, MAX_SURVEYS = 8, 8
MAX_FACTS, MAX_MILESTONES = 32, 16
MAX_ROLES, MAX_FEATURES = 15, 16


class CasePlan(msgspec.Struct, forbid_unknown_fields=True):
    """A sort of cases: the events that open and close one, and the property that says which."""

    opened: list[str]
    closed: list[str]
    id: str


class SurveyPlan(msgspec.Struct, forbid_unknown_fields=True):
    """A survey: the events that answer it, and the property that has the score, a whole number on its scale."""

    events: list[str]
    score: str = "score"
    scale: tuple[int, int] = (0, 10)


class FactPlan(msgspec.Struct, forbid_unknown_fields=True):
    """A fact: the group traits that say it."""

    traits: list[str]
    type: FactType = "text"


class RolePlan(msgspec.Struct, forbid_unknown_fields=True):
    """Where the role of a person stands: a trait of identify, and the roles that are told apart; all else is `other`."""

    trait: str
    values: list[str]


class PeoplePlan(msgspec.Struct, forbid_unknown_fields=True):
    """What is remembered of people beside their active days. Nothing, and at no cost, unless it is declared."""

    role: RolePlan | None = None
    features: dict[str, list[str]] = {}
    """Feature to the events that use it."""


class TrackingPlan(msgspec.Struct, forbid_unknown_fields=True):
    """The names of each kind. A kind that is given takes the place of its default as a whole."""

    counts: dict[str, list[str]] = msgspec.field(
        default_factory=lambda: {"value": ["Value Delivered", "Report Shared", "Workflow Completed"]}
    )
    """Daily count to its events; `value` is what the measures of value look at."""
    cases: dict[str, CasePlan] = msgspec.field(
        default_factory=lambda: {"tickets": CasePlan(["Ticket Opened"], ["Ticket Closed"], "ticket_id")}
    )
    answers: dict[str, SurveyPlan] = msgspec.field(default_factory=lambda: {"nps": SurveyPlan(["NPS Submitted"])})
    facts: dict[str, FactPlan] = msgspec.field(
        default_factory=lambda: {
            "name": FactPlan(["name"]),
            "owner": FactPlan(["owner"]),
            "revenue": FactPlan(["revenue", "arr"], "number"),
            "seats": FactPlan(["seats"], "whole_number"),
            "plan": FactPlan(["plan"]),
            "contract_start_day": FactPlan(["contract_start"], "date"),
            "renewal_day": FactPlan(["renewal_date"], "date"),
            "parent": FactPlan(["parent"]),
        }
    )
    milestones: dict[str, list[str]] = msgspec.field(
        default_factory=lambda: {"first_value": ["Value Delivered", "Report Shared", "Workflow Completed"]}
    )
    """Milestone to the events of which the first reaches it."""
    people: PeoplePlan = msgspec.field(default_factory=PeoplePlan)
    excluded_users: list[str] = []
    """User ids, or endings of user ids that start with '*' (such as '*@example.com'): staff, tests, monitoring."""


def plain(name: str) -> str:
    """Return an event name without what does not count: case, spaces, underscores, hyphens."""
    return " ".join(name.replace("_", " ").replace("-", " ").lower().split())


def kinds_of(plan: TrackingPlan) -> Kinds:
    """Return what there is to remember of each account."""
    role = plan.people.role
    return Kinds(
        counts=plan.counts,
        cases=plan.cases,
        answers={name: survey.scale for name, survey in plan.answers.items()},
        facts={name: fact.type for name, fact in plan.facts.items()},
        milestones=plan.milestones,
        roles=[value.strip().lower() for value in role.values] if role else (),
        features=plan.people.features,
    )


def traits_of(plan: TrackingPlan) -> dict[str, tuple[int, FactType]]:
    """Return by group trait, in small letters, the place and the type of the fact that it says."""
    places = kinds_of(plan).facts
    return {trait.lower(): (places[name], fact.type) for name, fact in plan.facts.items() for trait in fact.traits}
