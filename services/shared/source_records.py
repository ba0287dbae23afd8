"""Records of a source topic, as the processors of its lanes take them: decoded, or refused, or from a newer version."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from schemas import codec
from services.shared.engine.processor import SourceRecord
from services.shared.errors import Poison, UnknownVersion


def decode(record: SourceRecord, kinds: Collection[str]) -> tuple[str, dict[str, Any]]:
    """
    Return which of `kinds` a record is, and its value.

    Raises:
        Poison: it has no value, cannot be read, or is of another kind.
        UnknownVersion: it is in a schema that this version does not know.
    """
    if record.value is None:
        raise Poison("no_value", "value", f"the record has no value; tombstones do not belong on {record.topic}")
    try:
        kind, value = codec.decode(record.value)
    except codec.UnknownSchema as error:
        raise UnknownVersion(str(error)) from error
    except codec.CodecError as error:
        raise Poison("undecodable", "value", str(error)) from error
    if kind not in kinds:
        raise Poison("wrong_record", "value", f"records of kind {kind} do not belong on {record.topic}")
    return kind, value


def origin_of(record: SourceRecord) -> str:
    """Return where a record stands on the log, as dead letters name it."""
    return f"{record.topic}/{record.partition}/{record.offset}"
