"""
The tracking plan as a value: events, pages and traits, each with what it holds and what it means.

One file in git is read by ingest, which checks events by it and decides what stays on the log, and by the scorer, which
keeps the state that it declares. docs/tracking-plan.md explains the file.

Names of events and pages are compared without regard to case, and with spaces, underscores and hyphens alike; traits and
roles without regard to case. Properties are compared as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeVar, cast

import msgspec
from xxhash import xxh64_hexdigest

from services.shared.tracking_plan.actors import Actor
from services.shared.tracking_plan.state_names import FactType

PropertyType = Literal["text", "id", "number", "whole_number", "boolean", "date", "country", "list", "object"]
"""A country is an ISO 3166 code such as DE or DE-BY. An id is text of 1 to 128 characters or a whole number. A date has the form 2027-03-31, with or without a time, or is a number of seconds or milliseconds since 1970 UTC."""

Scalar = str | int | float | bool

Client = Literal["server"]
"""Whose write keys alone may send something, as the file of write keys names them."""

E = TypeVar("E", bound="EventPlan")
P = TypeVar("P", bound="PropertyPlan")


class PropertyPlan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A property of an event or page: what it may be, and whether it may stay on the log."""

    description: str = ""
    """For people."""
    type: PropertyType | None = None
    """None: it may be anything, or `one_of` says what."""
    one_of: list[Scalar] | None = None
    """The only values that it may have."""
    required: bool = False
    """Whether it must be there; null is not there."""
    personal: bool = False
    """Whether it says something of a person, so that it does not stay on the long log."""


class TraitPlan(PropertyPlan, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A trait: a property that may also say a fact of the account (`facts.seats`), or the role of the person (`role`)."""

    means: str = ""
    """The fact that it says (`facts.seats`), or `role`; empty: none."""
    client: Client | None = None
    """Whose write keys alone may send it; None: anybody's."""


class EventPlan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An event: what it does to the state of its account, and its properties."""

    description: str = ""
    """For people."""
    means: Literal["use", "ignored"] | list[str] = "use"
    """`use` of the product, counted as activity alone; `ignored`: kept, and nothing else; or names of state."""
    actor: Actor | None = None
    """Who acts, whoever the user is; None: it does not say."""
    client: Client | None = None
    """Whose write keys alone may send it; None: anybody's."""
    properties: dict[str, PropertyPlan] = {}
    """By name. What is not listed breaks nothing, and does not stay on the long log."""


class PagePlan(EventPlan, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A page or screen: an event that is known by the path of its page, or by its name."""

    paths: list[str] = []
    """Patterns: `*` is one part of a path, `**` at the end all that is left."""


class CasePlan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A sort of cases, such as tickets: things that open and close."""

    id: str
    """The property of the events that open and close one which says which one it is."""


class AnswerPlan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A survey."""

    score: str
    """The property of the events that answer it which has the score."""
    scale: tuple[int, int]
    """Its lowest and highest score, whole numbers."""


class DenyPlan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is never written anywhere: paths such as `card.number` in properties, traits and context."""

    drop: list[str] = []
    """Left out."""
    hash: list[str] = []
    """Written as its SHA-256: equal values stay equal, and who knows a value recognises it."""


class TrackingPlan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All that a plan says; what it leaves out is not declared."""

    events: dict[str, EventPlan] = {}
    """What track calls name."""
    pages: dict[str, PagePlan] = {}
    """What page and screen calls name, or the path of a page tells."""
    group_traits: dict[str, TraitPlan] = {}
    """What group calls say of accounts."""
    identify_traits: dict[str, TraitPlan] = {}
    """What identify calls say of people."""
    cases: dict[str, CasePlan] = {}
    """Sorts of things that open and close."""
    answers: dict[str, AnswerPlan] = {}
    """Surveys."""
    features: dict[str, Literal["core", "deep"]] = {}
    """Features of the product whose use is remembered by person: `core` is what all need, `deep` what shows skill."""
    roles: list[str] = []
    """Roles of people that are told apart; all others are `other`."""
    excluded_users: list[str] = []
    """User ids, or endings of user ids that start with '*' (such as '*@example.com'): staff, tests, monitoring."""
    agent_users: list[str] = []
    """User ids, or endings of user ids after a '*', that agents have: bots, service accounts."""
    unknown_events: Literal["accept", "reject"] = "accept"
    """Whether an event that the plan does not name breaks it."""
    deny: DenyPlan = msgspec.field(default_factory=DenyPlan)
    """What is never written anywhere."""


def plain(name: str) -> str:
    """Return the name of an event or page without what does not count: case, spaces, underscores, hyphens."""
    return " ".join(name.replace("_", " ").replace("-", " ").lower().split())


def words(event: EventPlan) -> list[str]:
    """Return the names of state that an event or page means."""
    return event.means if isinstance(event.means, list) else []


def named(plan: TrackingPlan, kind: str) -> list[str]:
    """Return the names of one kind (`counts`, `milestones`, ...) that any event or page means, each once."""
    found: dict[str, None] = {}
    for event in (*plan.events.values(), *plan.pages.values()):
        for word in words(event):
            of, _, name = word.partition(".")
            if of == kind and name:
                found[name] = None
    return list(found)


def facts(plan: TrackingPlan) -> Iterator[tuple[str, str, TraitPlan]]:
    """Yield each group trait that says a fact, with the name of the fact."""
    for trait, said in plan.group_traits.items():
        kind, _, fact = said.means.partition(".")
        if kind == "facts":
            yield trait, fact, said


def fact_type(trait: TraitPlan) -> FactType:
    """Return the type of the fact that a trait says; one of several values is kept as text."""
    return cast("FactType", "text" if trait.type is None else trait.type)


def role_trait(plan: TrackingPlan) -> str | None:
    """Return the identify trait that has the role of a person, None if there is none."""
    return next((trait for trait, said in plan.identify_traits.items() if said.means == "role"), None)


def fingerprint(plan: TrackingPlan) -> str:
    """Return a hash of all in a plan that has an effect: everything but the descriptions."""
    effective = msgspec.structs.replace(
        plan,
        events={name: _bare(event) for name, event in plan.events.items()},
        pages={name: _bare(page) for name, page in plan.pages.items()},
        group_traits=_undescribed(plan.group_traits),
        identify_traits=_undescribed(plan.identify_traits),
    )
    # The order of pages counts: of several that match a path, the first one names it.
    return xxh64_hexdigest(msgspec.json.encode((effective, list(plan.pages)), order="sorted"))[:12]


def _bare(event: E) -> E:
    return msgspec.structs.replace(event, description="", properties=_undescribed(event.properties))


def _undescribed(properties: dict[str, P]) -> dict[str, P]:
    return {name: msgspec.structs.replace(value, description="") for name, value in properties.items()}
