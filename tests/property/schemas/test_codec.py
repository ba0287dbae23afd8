"""Whatever a record can hold comes back as it was; whatever bytes come are a record or a CodecError."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas import codec

LONGS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=40)
EVENTS = st.fixed_dictionaries(
    {
        "event_id": TEXT,
        "id_source": st.sampled_from(["UNKNOWN", "CLIENT", "CONTENT", "ASSIGNED"]),
        "source": TEXT,
        "environment": TEXT,
        "account": TEXT,
        "user": TEXT,
        "kind": st.sampled_from(["UNKNOWN", "TRACK", "PAGE", "SCREEN", "IDENTIFY", "GROUP", "ALIAS"]),
        "name": TEXT,
        "use": st.booleans(),
        "occurred_at": LONGS,
        "received_at": LONGS,
        "skew_ms": LONGS,
        "epoch": LONGS,
        "historical": st.booleans(),
        "properties": TEXT,
        "identified": st.booleans(),
        "internal": st.booleans(),
        "via": st.sampled_from(["UNKNOWN", "EVENT", "DOMAIN", "USER", "OPERATOR"]),
        "forwards": st.integers(0, 9),
        "authority": st.sampled_from(["UNKNOWN", "BROWSER", "SERVER", "OPERATOR"]),
        "actor": st.sampled_from(["UNKNOWN", "PERSON", "AGENT", "INTEGRATION"]),
        "accepted_by": TEXT,
    }
)


@given(EVENTS)
def test_a_usage_event_comes_back_as_it_was_written(event: dict[str, Any]) -> None:
    assert codec.decode(codec.encoder("usage_event", 2)(event)) == ("usage_event", event)
    assert codec.decode(codec.encoder("usage_event", 1)(event)) == ("usage_event", event | {"accepted_by": ""})


@given(st.sampled_from(sorted(codec.FILE_IDS.values())), st.binary(max_size=200))
def test_any_bytes_are_a_record_or_a_codec_error(schema_id: int, body: bytes) -> None:
    try:
        record, value = codec.decode(b"\x00" + schema_id.to_bytes(4, "big") + body)
    except codec.CodecError:
        return
    codec.encoder(record)(value)
