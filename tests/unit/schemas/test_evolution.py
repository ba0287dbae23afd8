"""The rules by which schemas may change: what was once written stays readable, by every version."""

import itertools
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError
from fastavro.utils import generate_one

from schemas import lock, released

FILES = released.FILES
PAIRS = [
    pytest.param(w, r, id=f"{w.path}->{r.path}") for w, r in itertools.product(FILES, FILES) if w.record == r.record
]


def _schema(file: released.SchemaFile) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(file.text)
    return schema


def _types(schema: Any) -> Iterator[dict[str, Any]]:
    """Every named or complex type within a schema."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _types(branch)
    elif isinstance(schema, dict):
        yield schema
        for field in schema.get("fields", []):
            yield from _types(field["type"])
        for inner in ("items", "values", "type"):
            yield from _types(schema.get(inner))


def resolution_problem(writer: dict[str, Any], reader: dict[str, Any]) -> str | None:
    """What stops a reader from reading a writer's record, or None."""
    out = BytesIO()
    schemaless_writer(out, parse_schema(writer), generate_one(writer))
    out.seek(0)
    try:
        schemaless_reader(out, parse_schema(writer), parse_schema(reader))
    except SchemaResolutionError as error:
        return str(error) or "cannot be resolved"
    return None


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_every_version_reads_every_other_version(writer: released.SchemaFile, reader: released.SchemaFile) -> None:
    assert resolution_problem(_schema(writer), _schema(reader)) is None


def test_a_released_schema_file_has_the_bytes_that_were_released() -> None:
    assert lock.changed() == []


def test_every_schema_file_has_an_id() -> None:
    assert lock.missing() == []


def test_no_id_is_used_twice() -> None:
    ids = [f.lock_id for f in FILES]

    assert len(set(ids)) == len(ids)
    assert min(ids) > 0


@pytest.mark.parametrize("record", released.RECORDS)
def test_versions_count_from_one_without_gaps(record: str) -> None:
    versions = [f.version for f in FILES if f.record == record]

    assert versions == list(range(1, len(versions) + 1))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.path)
def test_every_enum_has_an_unknown_symbol_as_its_default(file: released.SchemaFile) -> None:
    for found in _types(_schema(file)):
        if found.get("type") == "enum":
            assert found["default"] == "UNKNOWN", found["name"]
            assert found["symbols"][0] == "UNKNOWN", found["name"]


@pytest.mark.parametrize("record", released.RECORDS)
def test_a_field_that_a_later_version_adds_has_a_default(record: str) -> None:
    versions = [_schema(f) for f in FILES if f.record == record]
    for before, after in itertools.pairwise(versions):
        known = {t["name"]: {f["name"] for f in t["fields"]} for t in _types(before) if t.get("type") == "record"}
        for found in _types(after):
            if found.get("type") == "record" and found["name"] in known:
                added = [f for f in found["fields"] if f["name"] not in known[found["name"]]]
                assert [f["name"] for f in added if "default" not in f] == []


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.path)
def test_a_record_says_what_it_is_in_one_namespace(file: released.SchemaFile) -> None:
    schema = _schema(file)

    assert schema["namespace"] == "io.tidemark"
    assert schema["doc"]
    assert schema["name"] == "".join(word.title() for word in file.record.split("_"))


def _record(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "R", "namespace": "t", "fields": list(fields)}


A = {"name": "a", "type": "long"}


@pytest.mark.parametrize(
    ("writer", "reader", "readable"),
    [
        pytest.param(_record(A), _record(A, {"name": "b", "type": "int", "default": 0}), True, id="added with default"),
        pytest.param(_record(A), _record(A, {"name": "b", "type": "int"}), False, id="added without default"),
        pytest.param(_record(A), _record({"name": "a", "type": "int"}), False, id="narrowed"),
        pytest.param(_record(A), _record({"name": "z", "type": "long"}), False, id="renamed"),
    ],
)
def test_the_resolution_check_tells_a_breaking_change_from_a_good_one(
    writer: dict[str, Any], reader: dict[str, Any], readable: bool
) -> None:
    assert (resolution_problem(writer, reader) is None) == readable


def test_the_lock_notices_a_changed_and_a_forgotten_file(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "v1.avsc").write_text("changed")
    (tmp_path / "r" / "v2.avsc").write_text("new")
    (tmp_path / "lock.json").write_text('{"r/v1.avsc": {"id": 1, "sha256": "of what it was"}}')

    assert lock.changed(tmp_path) == ["r/v1.avsc"]
    assert lock.missing(tmp_path) == ["r/v2.avsc"]
