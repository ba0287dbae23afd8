"""
The JSON Schema of the tracking plan's file, for editors.

It is made from the types that read the file, with what the checks say of single fields. What refers to another
part of the file (that a case is declared, that a name stands for one thing) only the reader sees. `python -m services.cli.plan.schema` writes
docs/tracking-plan.schema.json; a test fails if the file is out of date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from services.cli.pages.settings import meanings
from services.shared.tracking_plan.checks import (
    HIGHEST_SCORE,
    MAX_CASES,
    MAX_EVENTS,
    MAX_FEATURES,
    MAX_PAGES,
    MAX_PROPERTIES,
    MAX_ROLES,
    MAX_SURVEYS,
)
from services.shared.tracking_plan.deny_checks import MAX_DEPTH
from services.shared.tracking_plan.page_paths import MAX_PATTERN
from services.shared.tracking_plan.plan import (
    AnswerPlan,
    CasePlan,
    DenyPlan,
    EventPlan,
    PagePlan,
    PropertyPlan,
    TrackingPlan,
    TraitPlan,
)
from services.shared.tracking_plan.property_checks import MAX_ROLE

FILE = Path("docs/tracking-plan.schema.json")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PARTS = (TrackingPlan, EventPlan, PagePlan, PropertyPlan, TraitPlan, CasePlan, AnswerPlan, DenyPlan)

_STATE = "[a-z][a-z0-9_]{0,39}"
_WORD = f"^((counts|milestones|features|answers)\\.{_STATE}|cases\\.{_STATE}\\.(opened|closed)|absences\\.planned)$"
_PATH = r"^(/([^/*?#\s]+|\*))*(/\*\*)?/?$"
_TRIMMED = r"^\S(.*\S)?$"
_DENIED = rf"^[^.\s]([^.]*[^.\s])?(\.[^.\s]([^.]*[^.\s])?){{0,{MAX_DEPTH - 1}}}$"
_NULL = {"type": "null"}


def schema() -> dict[str, Any]:
    """Return the schema."""
    made: dict[str, Any] = msgspec.json.schema(TrackingPlan)
    parts: dict[str, Any] = made["$defs"]
    for part in _PARTS:
        for base in (each for each in part.__mro__ if each in _PARTS):  # what is inherited has its base's words
            for name, text in meanings(base).items():
                _field(parts, part, name)["description"] = text
    for part in (EventPlan, PagePlan):
        means = _field(parts, part, "means")["anyOf"][1]
        means |= {"minItems": 1, "uniqueItems": True}
        means["items"]["pattern"] = _WORD
        _field(parts, part, "properties").update(_entries(PropertyPlan, MAX_PROPERTIES, _TRIMMED))
    _field(parts, PagePlan, "paths")["items"] |= {"pattern": _PATH, "minLength": 1, "maxLength": MAX_PATTERN}
    for part in (PropertyPlan, TraitPlan):
        _field(parts, part, "one_of")["anyOf"][0]["minItems"] = 1
        parts[part.__name__]["not"] = {"required": ["type", "one_of"]}
    _field(parts, TraitPlan, "means")["pattern"] = rf"^(role|facts\.{_STATE})?$"
    for part, name in ((CasePlan, "id"), (AnswerPlan, "score")):
        _field(parts, part, name)["pattern"] = _TRIMMED
    scale = _field(parts, AnswerPlan, "scale")
    scale["prefixItems"] = [{"type": "integer", "minimum": 0, "maximum": HIGHEST_SCORE}] * 2
    for name in ("drop", "hash"):
        _field(parts, DenyPlan, name)["items"]["pattern"] = _DENIED
    plan = {name: _field(parts, TrackingPlan, name) for name in parts["TrackingPlan"]["properties"]}
    plan["events"].update(_entries(EventPlan, MAX_EVENTS))
    plan["pages"].update(_entries(PagePlan, MAX_PAGES))
    for name in ("group_traits", "identify_traits"):
        plan[name].update(_entries(TraitPlan, MAX_PROPERTIES, _TRIMMED))
    for name, most in (("cases", MAX_CASES), ("answers", MAX_SURVEYS), ("features", MAX_FEATURES)):
        plan[name] |= {"maxProperties": most, "propertyNames": {"pattern": f"^{_STATE}$"}}
    plan["roles"] |= {"maxItems": MAX_ROLES, "items": {"type": "string", "pattern": r"\S", "maxLength": MAX_ROLE}}
    for name in ("excluded_users", "agent_users"):
        plan[name]["items"]["not"] = {"enum": ["", "*"]}
    return {"$schema": DIALECT, "title": "Tidemark tracking plan", **made}


def _field(parts: dict[str, Any], part: type, name: str) -> dict[str, Any]:
    found: dict[str, Any] = parts[part.__name__]["properties"][name]
    return found


def _entries(part: type, most: int, names: str = r"[^\s_-]") -> dict[str, Any]:
    """Return what holds of named parts: nothing at all stands for one with its defaults."""
    return {
        "additionalProperties": {"anyOf": [{"$ref": f"#/$defs/{part.__name__}"}, _NULL]},
        "propertyNames": {"pattern": names},
        "maxProperties": most,
    }


def text() -> str:
    """Return the schema as a file has it."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
    print(FILE)
