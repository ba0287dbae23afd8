"""Records of a source are decoded, or refused for a reason, or left to a newer version."""

import pytest

from schemas import codec
from services.shared.engine.processor import SourceRecord
from services.shared.errors import Poison, UnknownVersion
from services.shared.source_records import decode, origin_of

TICK = codec.encoder("tick")({"at": 1})


def record(value: bytes | None) -> SourceRecord:
    return SourceRecord("usage-events", 2, 17, None, value)


def test_a_record_of_a_kind_that_is_taken_is_decoded() -> None:
    assert decode(record(TICK), ("tick", "clock")) == ("tick", {"at": 1, "epoch": 0, "settled": 0})


@pytest.mark.parametrize(
    ("value", "reason"), [(None, "no_value"), (b"", "undecodable"), (b"junk", "undecodable"), (TICK, "wrong_record")]
)
def test_what_cannot_be_taken_is_poison_with_the_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(Poison) as refused:
        decode(record(value), ("clock",))

    assert (refused.value.reason, refused.value.field) == (reason, "value")


def test_a_schema_of_a_newer_version_is_no_poison() -> None:
    with pytest.raises(UnknownVersion):
        decode(record(b"\x00" + (9_999).to_bytes(4, "big") + b"\x02"), ("tick",))


def test_the_origin_names_topic_partition_and_offset() -> None:
    assert origin_of(record(TICK)) == "usage-events/2/17"
