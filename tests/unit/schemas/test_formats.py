"""The levels of formats: nothing is written that a neighbouring release does not read."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from io import BytesIO

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.utils import generate_one

from schemas import codec, formats, released
from services.alerter.domain import state_format as alerter
from services.scorer import fleet_processor
from services.scorer.domain import counters
from services.scorer.domain.lane import state_format as scorer
from services.shared.engine import position

EVENT = json.loads((released.ROOT / "usage_event/examples/track.json").read_text())


OLD_ID, NEW_ID = (file.lock_id for file in released.FILES if file.record == "usage_event")


@pytest.fixture(autouse=True)
def restored_level() -> Iterator[None]:
    yield
    codec.write_level(formats.DEFAULT)


def test_a_release_writes_what_the_one_before_it_reads() -> None:
    assert max(1, formats.NEWEST - 1) == formats.DEFAULT
    assert codec.level() == formats.DEFAULT


def test_a_format_steps_by_one_and_not_twice_at_a_level() -> None:
    for level, more in enumerate(formats.LEVELS[1:], start=2):
        before = formats.at(level - 1)
        assert {name: number for name, number in more.items() if number != before.get(name, 0) + 1} == {}
        assert more, f"level {level} changes nothing"


def test_every_schema_file_is_written_at_a_level() -> None:
    written = {(name, number) for more in formats.LEVELS for name, number in more.items()}

    assert {(file.record, file.version) for file in released.FILES} <= written


def test_the_code_reads_the_formats_of_the_newest_level() -> None:
    newest = formats.at(formats.NEWEST)

    assert newest["lane_position"] == position._FORMAT
    assert newest["scorer_state"] == scorer.NEWEST
    assert newest["scorer_ledger"] == counters.FORMAT
    assert newest["fleet_state"] == fleet_processor.FORMAT
    assert newest["alerter_state"] == alerter.FORMAT


@pytest.mark.parametrize("level", [0, formats.NEWEST + 1, -1])
def test_a_level_that_this_release_does_not_know_is_refused(level: int) -> None:
    with pytest.raises(ValueError, match=f"no level {level}"):
        codec.write_level(level)
    assert codec.level() == formats.DEFAULT


def test_encoders_handed_out_before_write_the_level_in_force() -> None:
    encode = codec.encoder("usage_event")

    found = []
    for level in (1, 2, 1):
        codec.write_level(level)
        found.append((codec.schema_id(encode(EVENT)), codec.SCHEMA_IDS["usage_event"]))

    ids = [codec.FILE_IDS[f"usage_event/v{version}.avsc"] for version in (1, 2, 1)]
    assert found == list(zip(ids, ids, strict=True))


def test_ids_of_a_registry_hold_at_every_level() -> None:
    encode = codec.encoder("usage_event")
    try:
        codec.write_level(2)
        codec.use_ids({file.path: 700 + file.lock_id for file in released.FILES})
        at_two = codec.schema_id(encode(EVENT))
        codec.write_level(1)
        at_one = codec.schema_id(encode(EVENT))
    finally:
        codec.use_ids({file.path: file.lock_id for file in released.FILES})

    assert (at_one, at_two) == (700 + OLD_ID, 700 + NEW_ID)


PAIRS = [
    pytest.param(old, new, id=f"{old.path}->{new.path}")
    for old, new in itertools.combinations(released.FILES, 2)
    if old.record == new.record and new.version == max(f.version for f in released.FILES if f.record == new.record)
]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_an_old_version_is_read_as_avro_resolves_it(old: released.SchemaFile, new: released.SchemaFile) -> None:
    writer, reader = (parse_schema(json.loads(file.text)) for file in (old, new))
    for _ in range(20):
        out = BytesIO()
        schemaless_writer(out, writer, generate_one(writer))
        out.seek(0)

        expected = schemaless_reader(out, writer, reader)

        assert codec.decode(codec.MAGIC + old.lock_id.to_bytes(4, "big") + out.getvalue()) == (old.record, expected)


def test_a_value_tells_its_record_in_every_version_and_never_passes_over_a_later_one() -> None:
    assert {codec.record_of(codec.encoder("usage_event", version)(EVENT)) for version in (1, 2)} == {"usage_event"}
    assert codec.record_of(None) is codec.record_of(b"") is codec.record_of(b"{json}") is None
    with pytest.raises(codec.UnknownSchema, match="255"):
        codec.record_of(b"\x00\x00\x00\x00\xff later")


def test_a_record_of_a_later_level_is_not_written_before(monkeypatch: pytest.MonkeyPatch) -> None:
    without = {name: number for name, number in formats.LEVELS[0].items() if name != "command"}
    monkeypatch.setattr(formats, "KNOWN", (without, {"command": 1}))
    encode = codec.encoder("command")
    value = {"command": "RELEASE", "account": "acme", "at": 1, "by": ""}

    codec.write_level(1)
    with pytest.raises(codec.CodecError, match="command is not written at the level in force"):
        encode(value)
    codec.write_level(2)

    assert codec.decode(encode(value))[0] == "command"
