"""Bytes that are not ours are refused with words; the wire format is the one others read."""

from typing import Any

import pytest

from schemas import codec, released

TICK = codec.encoder("tick")


def test_a_value_starts_with_a_zero_byte_and_its_schema_id() -> None:
    data = TICK({"at": 5})

    assert data[:5] == b"\x00" + codec.SCHEMA_IDS["tick"].to_bytes(4, "big")
    assert codec.schema_id(data) == codec.SCHEMA_IDS["tick"]


def test_fields_with_a_default_may_be_left_out() -> None:
    assert codec.decode(TICK({"at": 5})) == ("tick", {"at": 5, "epoch": 0, "settled": 0})


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00\x00", id="cut in the header"),
        pytest.param(b"\x01\x00\x00\x00\x02\x02\x00", id="other magic"),
        pytest.param(b'{"at": 5}', id="json"),
        pytest.param(b"\x00\x00\x00\x63\x02\x02\x00", id="unknown schema"),
        pytest.param(TICK({"at": 5})[:-1], id="truncated"),
        pytest.param(TICK({"at": 5}) + b"\x00", id="left over"),
        pytest.param(b"\x00\x00\x00\x00\x01" + b"\xff" * 20, id="endless number"),
        pytest.param(b"\x00\x00\x00\x00\x01\x04\xff\xfe", id="not utf-8"),
        pytest.param(b"\x00\x00\x00\x00\x01\x02a\x63", id="enum out of range"),
        pytest.param(b"\x00\x00\x00\x00\x01\xfe\xff\xff\xff\xff\xff\x0f", id="string of petabytes"),
    ],
)
def test_bytes_that_are_no_record_are_refused(data: bytes) -> None:
    with pytest.raises(codec.CodecError):
        codec.decode(data)


@pytest.mark.parametrize("value", [{}, {"at": "soon"}, {"at": 2**70}, {"at": None}, None, []])
def test_a_value_that_the_schema_does_not_accept_is_refused(value: Any) -> None:
    with pytest.raises(codec.CodecError, match="tick"):
        TICK(value)


def test_an_unknown_record_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(codec.CodecError, match="usage_event"):
        codec.encoder("usage")


def test_ids_of_a_registry_reach_encoders_handed_out_before(restored_ids: None) -> None:
    codec.use_ids({f.path: 1000 + f.lock_id for f in released.FILES})

    data = TICK({"at": 5})

    assert codec.schema_id(data) == 1000 + released.FILES[[f.record for f in released.FILES].index("tick")].lock_id
    assert codec.decode(data)[0] == "tick"


def test_ids_that_leave_a_file_out_or_are_shared_change_nothing(restored_ids: None) -> None:
    before = dict(codec.SCHEMA_IDS)

    with pytest.raises(codec.CodecError, match="no schema id"):
        codec.use_ids({})
    with pytest.raises(codec.CodecError, match="share"):
        codec.use_ids({f.path: 7 for f in released.FILES})

    assert before == codec.SCHEMA_IDS


def test_a_schema_id_that_is_not_known_is_told_from_damage() -> None:
    with pytest.raises(codec.UnknownSchema, match="schema id 255"):
        codec.decode(b"\x00\x00\x00\x00\xff whatever")
    with pytest.raises(codec.CodecError) as damage:
        codec.decode(codec.encoder("tick")({"at": 3})[:-1])

    assert not isinstance(damage.value, codec.UnknownSchema)
