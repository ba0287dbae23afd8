"""Reading a tracking plan: checked as a whole, each problem with the path of its field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from services.scorer.domain.accounts.facts import WELL_KNOWN
from services.scorer.domain.accounts.kinds import COUNTS_OF_ALL, FIRST_ACTIVITY, LAST_ACTIVITY, OTHER, closed, opened
from services.scorer.domain.tracking_plan import (
    MAX_CASES,
    MAX_COUNTS,
    MAX_FACTS,
    MAX_FEATURES,
    MAX_MILESTONES,
    MAX_ROLES,
    MAX_SURVEYS,
    CasePlan,
    FactPlan,
    RolePlan,
    SurveyPlan,
    TrackingPlan,
    plain,
)

HIGHEST_SCORE = 100
NPS_SCALE = (0, 10)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_ENTRIES: dict[str, Any] = {
    "counts": list[str],
    "cases": CasePlan,
    "answers": SurveyPlan,
    "facts": FactPlan,
    "milestones": list[str],
}
_OF_PEOPLE = ("role", "features")
_AT = " - at `$"


def read_plan(config: Any) -> TrackingPlan:
    """
    Check a tracking plan and return it.

    Args:
        config: As read from YAML; a kind that is left out has its default.

    Raises:
        ValueError: what is wrong, all of it, one line each.
    """
    problems: list[str] = []
    plan = _convert(config, problems)
    problems += [
        *_names(plan), *_too_many(plan), *_events(plan), *_traits(plan), *_types(plan), *_scales(plan), *_roles(plan),
        *_properties(plan), *_excluded(plan),
    ]  # fmt: skip
    if problems:
        raise ValueError("\n".join(problems))
    return plan


def _convert(config: Any, problems: list[str]) -> TrackingPlan:
    """Return a plan of all that has the right shape, and add what has not to the problems."""
    found: dict[str, Any] = {}
    for kind, given in _mapping(config, "", problems).items():
        if kind in _ENTRIES:
            found[kind] = _entries(given, kind, _ENTRIES[kind], problems)
        elif kind == "people":
            found[kind] = _people(given, problems)
        elif kind == "excluded_users":
            found[kind] = _one(given, kind, list[str], problems)
        else:
            known = ", ".join([*_ENTRIES, "people", "excluded_users"])
            problems.append(f"{kind}: there is no such kind; there are {known}")
    if "counts" in found and "milestones" not in found:
        # Else the first value would wait for the default's events, which such a company may never send.
        value = found["counts"].get("value")
        found["milestones"] = {"first_value": value} if value else {}
    return msgspec.convert(found, TrackingPlan)


def _people(given: Any, problems: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part, value in _mapping(given, "people", problems).items():
        if part == "features":
            found[part] = _entries(value, "people.features", list[str], problems)
        elif part == "role":
            found[part] = _one(value, "people.role", RolePlan, problems)
        else:
            problems.append(f"people.{part}: there is no such part; there are {', '.join(_OF_PEOPLE)}")
    return {part: value for part, value in found.items() if value is not None}


def _mapping(given: Any, path: str, problems: list[str]) -> Mapping[str, Any]:
    if isinstance(given, Mapping) and all(isinstance(name, str) for name in given):
        return given
    problems.append(f"{path or 'the plan'}: give names, each with what it stands for")
    return {}


def _entries(given: Any, path: str, type_: Any, problems: list[str]) -> dict[str, Any]:
    found = {
        name: _one(value, f"{path}.{name}", type_, problems) for name, value in _mapping(given, path, problems).items()
    }
    return {name: value for name, value in found.items() if value is not None}


def _one(given: Any, path: str, type_: Any, problems: list[str]) -> Any:
    try:
        return msgspec.to_builtins(msgspec.convert(given, type_))
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(_AT)
        problems.append(f"{path}{where.rstrip('`')}: {what}")
        return None


def _names(plan: TrackingPlan) -> Iterator[str]:
    """Check the names themselves: their form, and that each stands for one thing."""
    taken = dict.fromkeys((*COUNTS_OF_ALL, FIRST_ACTIVITY, LAST_ACTIVITY), "every account")
    for path, name in _all_names(plan):
        if not _NAME.fullmatch(name):
            yield f"{path}: a name has 1 to 40 small letters, digits and underscores, a letter first"
        for used in (name, opened(name), closed(name)) if path.startswith("cases.") else (name,):
            if used in taken:
                yield f"{path}: {used} is a name of {taken[used]} already"
            taken.setdefault(used, path)


def _all_names(plan: TrackingPlan) -> Iterator[tuple[str, str]]:
    for kind in ("cases", "counts", "answers", "facts", "milestones"):
        yield from ((f"{kind}.{name}", name) for name in getattr(plan, kind))
    yield from ((f"people.features.{name}", name) for name in plan.people.features)


def _too_many(plan: TrackingPlan) -> Iterator[str]:
    role = plan.people.role
    for path, count, most in (
        ("counts", len(COUNTS_OF_ALL) + len(plan.counts) + 2 * len(plan.cases), MAX_COUNTS),
        ("cases", len(plan.cases), MAX_CASES),
        ("answers", len(plan.answers), MAX_SURVEYS),
        ("facts", len(plan.facts), MAX_FACTS),
        ("milestones", len(plan.milestones), MAX_MILESTONES),
        ("people.role.values", len(role.values) if role else 0, MAX_ROLES),
        ("people.features", len(plan.people.features), MAX_FEATURES),
    ):
        if count > most:
            more = ", with events, active and two for each sort of cases" if path == "counts" else ""
            yield f"{path}: {count} are too many{more}; {most} is the most"


def _events(plan: TrackingPlan) -> Iterator[str]:
    """Check that each event name means one thing, or several that are all use of the product."""
    use = "use of the product"
    meant: dict[str, tuple[str, str]] = {}
    for path, meaning, names in (
        *((f"counts.{name}", use, names) for name, names in plan.counts.items()),
        *((f"milestones.{name}", use, names) for name, names in plan.milestones.items()),
        *((f"people.features.{name}", use, names) for name, names in plan.people.features.items()),
        *((f"cases.{name}.opened", f"the opening of {name}", case.opened) for name, case in plan.cases.items()),
        *((f"cases.{name}.closed", f"the closing of {name}", case.closed) for name, case in plan.cases.items()),
        *((f"answers.{name}.events", f"an answer to {name}", survey.events) for name, survey in plan.answers.items()),
    ):
        if not names:
            yield f"{path}: name at least one event"
        for name in names:
            if not plain(name):
                yield f"{path}: an event name is not empty"
            before, where = meant.setdefault(plain(name), (meaning, path))
            if before != meaning:
                yield f"{path}: {name} is {before} by {where}, so it cannot be {meaning}"


def _traits(plan: TrackingPlan) -> Iterator[str]:
    says: dict[str, str] = {}
    for name, fact in plan.facts.items():
        if not fact.traits:
            yield f"facts.{name}.traits: name at least one trait"
        for trait in fact.traits:
            before = says.setdefault(trait.lower(), name)
            if before != name:
                yield f"facts.{name}.traits: {trait} says facts.{before} already"


def _types(plan: TrackingPlan) -> Iterator[str]:
    for name, fact in plan.facts.items():
        type_ = WELL_KNOWN.get(name, fact.type)
        if fact.type != type_:
            yield f"facts.{name}.type: must be {type_}, not {fact.type}, since health records have it so"


def _scales(plan: TrackingPlan) -> Iterator[str]:
    for name, survey in plan.answers.items():
        low, high = survey.scale
        if not 0 <= low < high <= HIGHEST_SCORE:
            yield f"answers.{name}.scale: give a lowest and a greater highest score within 0 to {HIGHEST_SCORE}"
        elif name == "nps" and (low, high) != NPS_SCALE:
            yield f"answers.nps.scale: must be {list(NPS_SCALE)}, since measures and rules have it so"


def _roles(plan: TrackingPlan) -> Iterator[str]:
    if plan.people.role is None:
        return
    roles = [value.strip().lower() for value in plan.people.role.values]
    if not roles or "" in roles or len(set(roles)) < len(roles):
        yield "people.role.values: name at least one role, none of them twice or empty"
    if OTHER in roles:
        yield f"people.role.values: {OTHER} is what all roles are called that are not named"


def _properties(plan: TrackingPlan) -> Iterator[str]:
    """Check the names of properties and traits: one that is empty or has blanks around it would never be found."""
    role = plan.people.role
    for path, names in (
        *((f"cases.{name}.id", [case.id]) for name, case in plan.cases.items()),
        *((f"answers.{name}.score", [survey.score]) for name, survey in plan.answers.items()),
        *((f"facts.{name}.traits", fact.traits) for name, fact in plan.facts.items()),
        ("people.role.trait", [role.trait] if role else []),
    ):
        if any(not name or name != name.strip() for name in names):
            yield f"{path}: a name is not empty and has no blanks around it"


def _excluded(plan: TrackingPlan) -> Iterator[str]:
    for user in plan.excluded_users:
        if user in {"", "*"}:
            yield f"excluded_users: {user!r} leaves out everybody; give user ids, or endings such as '*@example.com'"
