"""What is wrong with the denylist of a tracking plan, each with the path of its field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.shared.tracking_plan.plan import TrackingPlan, TraitPlan, named
from services.shared.tracking_plan.property_checks import all_properties
from services.shared.tracking_plan.state_names import ABSENCE_PROPERTIES, PLANNED_ABSENCES

MAX_DENIED, MAX_DEPTH = 200, 8


def problems_of_denylist(plan: TrackingPlan) -> Iterator[str]:
    """Yield all that is wrong with it."""
    paths = {
        f"deny.{way}[{number}]": path
        for way, given in (("drop", plan.deny.drop), ("hash", plan.deny.hash))
        for number, path in enumerate(given)
    }
    if len(paths) > MAX_DENIED:
        yield f"deny: {len(paths)} are too many; {MAX_DENIED} is the most"
    taken: dict[str, str] = {}
    for at, path in paths.items():
        names = path.lower().split(".")
        if len(names) > MAX_DEPTH or any(not name or name != name.strip() for name in names):
            yield f"{at}: {path!r} is no path of 1 to {MAX_DEPTH} names with dots between, such as card.number"
        elif taken.setdefault(path.lower(), at) != at:
            yield f"{at}: {path} is denied by {taken[path.lower()]} already"
    yield from _below_others(taken)
    yield from _missed(plan, taken)


def _below_others(taken: Mapping[str, str]) -> Iterator[str]:
    for path, at in taken.items():
        names = path.split(".")
        above = [".".join(names[:end]) for end in range(1, len(names))]
        for high in above:
            if high in taken:
                yield f"{at}: {path} is denied as a whole by {taken[high]} already"


def _missed(plan: TrackingPlan, taken: Mapping[str, str]) -> Iterator[str]:
    """Name what the plan itself needs and would never get."""
    for where, properties in all_properties(plan):
        for name, value in properties.items():
            at = taken.get(name.lower(), "")
            means = value.means if isinstance(value, TraitPlan) else ""
            if at.startswith("deny.drop") and (value.required or means):
                yield f"{at}: {where}.{name} is required or means something, and would never arrive"
            if at.startswith("deny.hash") and (value.one_of is not None or value.type not in (None, "text", "id")):
                yield f"{at}: {where}.{name} would arrive as text; give it the type text"
            elif at.startswith("deny.hash") and means == "role":
                yield f"{at}: {where}.{name} means the role, and no hash is one of the roles"
    for where, name, hashable in (
        *((f"cases.{name}.id", case.id, True) for name, case in plan.cases.items()),
        *((f"answers.{name}.score", survey.score, False) for name, survey in plan.answers.items()),
        *((PLANNED_ABSENCES, name, False) for name in (ABSENCE_PROPERTIES if named(plan, "absences") else ())),
    ):
        at = taken.get(name.lower(), "")
        if at.startswith("deny.drop") or (at and not hashable):
            yield f"{at}: {where} is read from {name}, which would never arrive"
