"""What is wrong with the properties and traits of a tracking plan, each with the path of its field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.shared.tracking_plan.plan import EventPlan, PropertyPlan, PropertyType, TrackingPlan, facts, words
from services.shared.tracking_plan.state_names import (
    ABSENCE_FROM,
    ABSENCE_SCOPE,
    ABSENCE_TO,
    ABSENCE_WITHDRAWN,
    OTHER,
    PLANNED_ABSENCES,
    TYPE_OF_FACT,
)

_FACT_TYPES = ("text", "number", "whole_number", "date", "country")
_ID_TYPES = ("id", "text", "whole_number")
_ABSENCE_TYPES: Mapping[str, tuple[str, ...]] = {
    ABSENCE_FROM: ("date",),
    ABSENCE_TO: ("date",),
    ABSENCE_SCOPE: ("text",),
    ABSENCE_WITHDRAWN: ("boolean",),
}
_SCORE_TYPES = ("whole_number", "number")
MAX_ROLE = 100
"""Characters of a role: snapshots and signals name those in which nobody is left."""


def all_events(plan: TrackingPlan) -> Iterator[tuple[str, EventPlan]]:
    """Yield the events and pages with their paths in the file."""
    yield from ((f"events.{name}", event) for name, event in plan.events.items())
    yield from ((f"pages.{name}", page) for name, page in plan.pages.items())


def all_properties(plan: TrackingPlan) -> Iterator[tuple[str, Mapping[str, PropertyPlan]]]:
    """Yield the properties of each event and page, and the traits, with their paths in the file."""
    yield from ((f"{path}.properties", event.properties) for path, event in all_events(plan))
    yield from (("group_traits", plan.group_traits), ("identify_traits", plan.identify_traits))


def problems_of_properties(plan: TrackingPlan) -> Iterator[str]:
    """Yield all that is wrong with them."""
    yield from _properties(plan)
    yield from _traits(plan)
    yield from _facts(plan)
    yield from _roles(plan)
    yield from _read_from(plan)


def _properties(plan: TrackingPlan) -> Iterator[str]:
    for path, properties in all_properties(plan):
        for name, value in properties.items():
            # One with blanks around it would never be found.
            if not name or name != name.strip():
                yield f"{path}.{name}: a name is not empty and has no blanks around it"
            if value.one_of is not None and value.type is not None:
                yield f"{path}.{name}: give its type or one_of, not both"
            if value.one_of is not None and not value.one_of:
                yield f"{path}.{name}.one_of: name at least one value"


def _traits(plan: TrackingPlan) -> Iterator[str]:
    for path, traits in (("group_traits", plan.group_traits), ("identify_traits", plan.identify_traits)):
        taken: dict[str, str] = {}
        for name, trait in traits.items():
            if taken.setdefault(name.lower(), name) != name:
                yield f"{path}.{name}: the same name as {taken[name.lower()]}"
            if trait.means and trait.personal:
                yield f"{path}.{name}: what is personal does not stay on the log, so that it can mean nothing"
    for name, trait in plan.group_traits.items():
        if trait.means and (not trait.means.startswith("facts.") or trait.means == "facts."):
            yield f"group_traits.{name}.means: {trait.means!r} means nothing; write such as facts.seats"
    for name, trait in plan.identify_traits.items():
        if trait.means not in {"", "role"}:
            yield f"identify_traits.{name}.means: {trait.means!r} means nothing; a trait of a person can mean role"


def _facts(plan: TrackingPlan) -> Iterator[str]:
    types: dict[str, tuple[PropertyType | None, str]] = {}
    for trait, fact, said in facts(plan):
        type_ = "text" if said.one_of is not None else said.type
        path = f"group_traits.{trait}.type"
        must = TYPE_OF_FACT.get(fact)
        before, where = types.setdefault(fact, (type_, trait))
        if type_ not in _FACT_TYPES:
            yield f"{path}: a fact has one of the types {', '.join(_FACT_TYPES)}"
        elif must is not None and type_ != must:
            yield f"{path}: must be {must}, not {type_}, since measures have facts.{fact} so"
        elif before != type_:
            yield f"{path}: must be {before}, as of {where}, which says facts.{fact} too"


def _roles(plan: TrackingPlan) -> Iterator[str]:
    roles = [role.strip().lower() for role in plan.roles]
    if "" in roles or len(set(roles)) < len(roles):
        yield "roles: none of them is empty or there twice"
    if OTHER in roles:
        yield f"roles: {OTHER} is what all roles are called that are not named"
    for number, role in enumerate(plan.roles):
        if len(role) > MAX_ROLE:
            yield f"roles[{number}]: a role has {MAX_ROLE} characters at most, not {len(role):,}"
    traits = [name for name, trait in plan.identify_traits.items() if trait.means == "role"]
    if roles and not traits:
        yield "roles: no trait of identify_traits means role"
    if traits and not roles:
        yield f"identify_traits.{traits[0]}.means: roles declares none; list those that are to be told apart"
    if len(traits) > 1:
        yield f"identify_traits.{traits[1]}.means: {traits[0]} means the role already"
    for name in traits:
        trait = plan.identify_traits[name]
        if trait.type not in (None, "text"):
            yield f"identify_traits.{name}.type: a role is text"
        if trait.one_of is not None:
            values = {value.strip().lower() for value in trait.one_of if isinstance(value, str)}
            never = ", ".join(role for role in roles if role not in values)
            if never:
                yield f"identify_traits.{name}.one_of: roles has {never} as well; list it here, or take it out there"


def _read_from(plan: TrackingPlan) -> Iterator[str]:
    """Check the properties that state is read from: by their names where cases and answers declare them, and by events."""
    for path, name in (
        *((f"cases.{name}.id", case.id) for name, case in plan.cases.items()),
        *((f"answers.{name}.score", survey.score) for name, survey in plan.answers.items()),
    ):
        if not name or name != name.strip():
            yield f"{path}: a name is not empty and has no blanks around it"
    for path, event in all_events(plan):
        for word in words(event):
            kind, _, rest = word.partition(".")
            case, survey = plan.cases.get(rest.rpartition(".")[0]), plan.answers.get(rest)
            if kind == "cases" and case is not None:
                yield from _read(f"{path}.properties.{case.id}", event.properties.get(case.id), word, _ID_TYPES)
            if word == PLANNED_ABSENCES:
                for name, types in _ABSENCE_TYPES.items():
                    yield from _read(f"{path}.properties.{name}", event.properties.get(name), word, types)
            if kind == "answers" and survey is not None:
                yield from _read(f"{path}.properties.{survey.score}", event.properties.get(survey.score), word, _SCORE_TYPES)  # fmt: skip


def _read(path: str, value: PropertyPlan | None, word: str, types: tuple[str, ...]) -> Iterator[str]:
    if value is None:
        return
    if value.personal:
        yield f"{path}: {word} is read from it, and what is personal does not stay on the log"
    if value.type is not None and value.type not in types:
        yield f"{path}.type: {word} is read from it, so it is one of {', '.join(types)}"
