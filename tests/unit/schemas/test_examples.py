"""Examples are part of the contract: each encodes, comes back as it was, and is named by a topic."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas import codec, released
from schemas.topics import TOPICS

EXAMPLES = sorted(str(p.relative_to(released.ROOT)) for p in released.ROOT.glob("*/examples/*"))
NEWEST = {file.record: file.version for file in released.FILES}
REFERENCED = {e for t in TOPICS.values() for c in t.records for e in c.examples}


def read_example(path: str) -> dict[str, Any]:
    """Read an example; bytes stand in it as text with one character a byte, as in Avro's JSON encoding."""
    value: dict[str, Any] = msgspec.json.decode((released.ROOT / path).read_bytes())
    if path.startswith("dead_letter/"):
        value["original"] = value["original"].encode("latin-1")
    return value


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_example_comes_back_as_it_was_written(path: str) -> None:
    record = path.split("/", maxsplit=1)[0]
    value = read_example(path)

    found, decoded = codec.decode(codec.encoder(record, NEWEST[record])(value))

    assert found == record
    assert {name: decoded[name] for name in value} == value


def test_every_example_is_named_by_a_topic_and_every_name_has_its_file() -> None:
    assert sorted(REFERENCED) == EXAMPLES


def test_every_record_has_an_example() -> None:
    assert {path.split("/")[0] for path in EXAMPLES} == set(released.RECORDS)


def test_no_file_in_the_record_folders_is_left_over() -> None:
    expected = {f.path for f in released.FILES} | set(EXAMPLES)
    folders = [released.ROOT / record for record in released.RECORDS]
    found = {str(p.relative_to(released.ROOT)) for f in folders for p in Path(f).rglob("*") if p.is_file()}

    assert found == expected
