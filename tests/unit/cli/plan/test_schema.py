"""The JSON Schema of plan files says of each file of a corpus what the reader says, as far as a schema can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from services.cli.plan.schema import schema, text
from services.shared.files.yaml_file import read_yaml
from services.shared.plan_file import B2B_SAAS_PLAN_FILE, DEFAULT_PLAN_FILE
from services.shared.tracking_plan.reading import read_plan

FILE = Path(__file__).parents[4] / "docs" / "tracking-plan.schema.json"
VALIDATOR = jsonschema_rs.validator_for(schema())

STATE: dict[str, Any] = {
    "events": {
        "Opened": {"means": ["cases.x.opened"]},
        "Closed": {"means": ["cases.x.closed"], "description": "It was closed."},
        "Rated": {"means": ["answers.y"]},
        "Used": {"means": ["features.z", "counts.used", "milestones.first_used"]},
    },
    "cases": {"x": {"id": "i"}},
    "answers": {"y": {"score": "s", "scale": [1, 5]}},
    "features": {"z": "deep"},
    "identify_traits": {"r": {"means": "role"}},
    "roles": ["admin"],
}
PROPERTIES: dict[str, Any] = {
    "a": None,
    "b": {},
    "c": {"type": "text", "required": True, "personal": True, "description": "c"},
    "d": {"one_of": ["x", 1, 1.5, True]},
    **{name: {"type": name} for name in ("id", "number", "whole_number", "boolean", "date", "list", "object")},
    "Größe in m²": {"type": "number"},
}
ACCEPTED: list[Any] = [
    {},
    read_yaml(DEFAULT_PLAN_FILE),
    read_yaml(B2B_SAAS_PLAN_FILE),
    STATE,
    {"events": {"A": None, "B": {}, "C": {"means": "ignored"}, "D": {"means": "use"}}},
    {"events": {"A": {"properties": PROPERTIES}}, "pages": {"A": {"properties": PROPERTIES}}},
    {"pages": {"p": {"paths": ["/", "/a", "/a/", "/a/*/b-c_d.e", "/a/**", "/**"]}}},
    {"group_traits": {"seats": {"type": "whole_number", "means": "facts.seats"}, "x": None}},
    {"deny": {"drop": ["a", "a b.c"], "hash": ["email"]}, "unknown_events": "reject"},
    {"excluded_users": ["robot", "*@x"]},
    {"agent_users": ["robot", "*@x"], "events": {"A": {"actor": "integration"}}},
]
REFUSED: list[Any] = [
    [],
    "plan",
    None,
    {"event": {}},
    {"events": []},
    {"events": None},
    {"events": {"A": "use"}},
    {"events": {"A": ["use"]}},
    {"events": {"A": {"mean": "use"}}},
    {"events": {"A": {"means": "useful"}}},
    {"events": {"A": {"means": []}}},
    {"events": {"A": {"means": None}}},
    {"events": {"A": {"means": ["value"]}}},
    {"events": {"A": {"means": ["counts."]}}},
    {"events": {"A": {"means": ["counts.Value"]}}},
    {"events": {"A": {"means": ["counts.x", "counts.x"]}}},
    {"events": {"A": {"means": ["cases.x"]}}},
    {"events": {"A": {"means": ["facts.x"]}}},
    {"events": {"A": {"description": 1}}},
    {"events": {" _-": {}}},
    {"events": {"A": {"paths": ["/a"]}}},
    {"events": {"A": {"properties": ["x"]}}},
    {"events": {"A": {"properties": {"x": "text"}}}},
    {"events": {"A": {"properties": {"x": {"type": "string"}}}}},
    {"events": {"A": {"properties": {"x": {"required": "yes"}}}}},
    {"events": {"A": {"properties": {"x": {"one_of": []}}}}},
    {"events": {"A": {"properties": {"x": {"one_of": [{}]}}}}},
    {"events": {"A": {"properties": {"x": {"one_of": ["a"], "type": "text"}}}}},
    {"events": {"A": {"properties": {"x": {"means": "role"}}}}},
    {"events": {"A": {"properties": {" x": {}}}}},
    {"events": {"A": {"properties": {"": {}}}}},
    {"events": {f"e{n}": {} for n in range(2_001)}},
    {"pages": {"p": {"paths": "/a"}}},
    {"pages": {"p": {"paths": [""]}}},
    {"pages": {"p": {"paths": ["a"]}}},
    {"pages": {"p": {"paths": ["/a?b"]}}},
    {"pages": {"p": {"paths": ["/**/a"]}}},
    {"pages": {"p": {"paths": ["/" + "a" * 200]}}},
    {"group_traits": {"x": {"means": "facts."}}},
    {"group_traits": {"x": {"means": "x"}}},
    {"identify_traits": {"x": {"means": ["role"]}}},
    {"cases": {"x": {}}},
    {"cases": {"x": {"id": ""}}},
    {"cases": {"X": {"id": "i"}}},
    {"answers": {"x": {"score": "s"}}},
    {"answers": {"x": {"score": "s", "scale": [1]}}},
    {"answers": {"x": {"score": "s", "scale": [0, 101]}}},
    {"answers": {"x": {"score": "s", "scale": [0.5, 5]}}},
    {"features": {"x": "shallow"}},
    {"roles": [" "]},
    {"roles": [f"r{n}" for n in range(16)]},
    {"excluded_users": ["*"]},
    {"agent_users": ["*"]},
    {"events": {"A": {"actor": "robot"}}},
    {"unknown_events": "drop"},
    {"deny": {"mask": ["a"]}},
    {"deny": {"drop": ["a..b"]}},
    {"deny": {"hash": ["a.b.c.d.e.f.g.h.i"]}},
]
ONLY_THE_READER: list[Any] = [
    {"events": {"A": {"means": ["cases.x.opened"]}}},
    {"events": {"A": {"means": ["features.x"]}}},
    {"events": {"A b": {}, "a_B": {}}},
    {"events": {"A": {"means": ["counts.x", "milestones.x"]}}},
    {"events": {"A": {"means": ["counts.active"]}}},
    {"group_traits": {"seats": {"type": "text", "means": "facts.seats"}}},
    {"roles": ["admin"]},
    {**STATE, "cases": {}},
    {**STATE, "answers": {"y": {"score": "s", "scale": [5, 5]}}},
    {"deny": {"drop": ["a"], "hash": ["a.b"]}},
]
"""What contradicts another part of the file: no schema sees that."""


def test_the_file_for_editors_is_up_to_date() -> None:
    assert FILE.read_text("utf-8") == text(), "run `make docs`"


@pytest.mark.parametrize("config", ACCEPTED)
def test_what_the_reader_accepts_the_schema_accepts(config: Any) -> None:
    read_plan(config)
    assert [str(error) for error in VALIDATOR.iter_errors(config)] == []


@pytest.mark.parametrize("config", REFUSED)
def test_what_the_schema_refuses_the_reader_refuses(config: Any) -> None:
    with pytest.raises(ValueError, match=":"):
        read_plan(config)
    assert not VALIDATOR.is_valid(config)


@pytest.mark.parametrize("config", ONLY_THE_READER)
def test_what_contradicts_another_part_only_the_reader_refuses(config: Any) -> None:
    with pytest.raises(ValueError, match=":"):
        read_plan(config)
    assert VALIDATOR.is_valid(config)


def test_every_field_of_a_plan_is_explained_to_editors() -> None:
    parts = schema()["$defs"]
    fields = {(part, name): field for part in parts for name, field in parts[part]["properties"].items()}

    assert len(fields) > 30
    for (part, name), field in fields.items():
        assert "description" in field, (part, name)
