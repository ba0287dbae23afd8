"""Values of records as they stand on the log: the examples beside the schemas, and usual and strange events for Hypothesis."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

from fastavro import schemaless_writer
from hypothesis import strategies as st

from schemas import codec, released

_TEXTS = st.one_of(
    st.sampled_from(["", "u1", "acme", "\0", "🙂", "e\u0301", "x" * 63, "x" * 64, "x" * 127, "x" * 128, "é" * 64]),
    st.sampled_from(["x" * 8191, "x" * 8192, "{" + "é" * 16_383 + "}", "x" * 16_384, "x" * 32_768]),
    st.text(max_size=20),
)
_LONGS = st.one_of(
    st.sampled_from([0, -1, 63, -64, 64, 2**34, 2**41, 1_780_000_000_000, -(2**63), 2**63 - 1]),
    st.sampled_from([-2_208_988_800_001, -2_208_988_800_000, 10_413_791_999_999, 10_413_792_000_000]),
    st.integers(-(2**63), 2**63 - 1),
)


class Message(NamedTuple):
    """A record as the warehouse reads it."""

    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None


def example(path: str, **changes: Any) -> dict[str, Any]:
    """Return an example by its path below `schemas`, with changes."""
    value: dict[str, Any] = json.loads((released.ROOT / path).read_text("utf-8"))
    return {**value, **changes}


def encoded(record: str, version: int, value: Mapping[str, Any]) -> bytes:
    """Return a value of a version; what is not given is empty, 0, false or the first symbol."""
    file = next(file for file in released.FILES if (file.record, file.version) == (record, version))
    schema = codec._PARSED[file.path]
    body = BytesIO()
    empty = {"string": "", "long": 0, "boolean": False}
    whole = {
        f["name"]: f["type"]["symbols"][0] if isinstance(f["type"], dict) else empty[f["type"]]
        for f in schema["fields"]
    }
    schemaless_writer(body, schema, {**whole, **value})
    return b"\0" + codec.FILE_IDS[file.path].to_bytes(4, "big") + body.getvalue()


def _values(record: str, version: int) -> st.SearchStrategy[bytes]:
    file = next(file for file in released.FILES if (file.record, file.version) == (record, version))
    kinds = {"string": _TEXTS, "long": _LONGS, "boolean": st.booleans()}
    fields = {
        f["name"]: st.sampled_from(f["type"]["symbols"]) if isinstance(f["type"], dict) else kinds[f["type"]]
        for f in codec._PARSED[file.path]["fields"]
    }
    return st.fixed_dictionaries({}, optional=fields).map(lambda value: encoded(record, version, value))


EVENTS = _values("usage_event", 1) | _values("usage_event", 2)
"""Usage events of both versions."""
DETAILS = _values("event_details", 1)
