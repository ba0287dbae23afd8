"""
Records to bytes and back: Avro in Confluent wire format.

A value is one zero byte, the schema id (four bytes, big-endian) and the Avro body. Ids come from `lock.json`,
which lists every released schema file; `schemas.registry.connect_registry` puts the ids of a schema registry in
their place. Writing always uses the newest version of a record. Reading accepts every version that the lock
lists and gives the value in the shape of the newest one, so callers never see an old shape.

Enum values are their symbols, as strings. Whatever is wrong with a value or with bytes is a `CodecError`; an id that is
not known is an `UnknownSchema`, which readers of the log must not pass over: it is no damage but a newer version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from fastavro import parse_schema, schemaless_reader, schemaless_writer

ROOT = Path(__file__).parent
"""The folder that holds one sub-folder a record."""

MAGIC = b"\x00"
_HEADER_BYTES = 5


class CodecError(ValueError):
    """Bytes that are no record of ours, or a value that its schema does not accept."""


class UnknownSchema(CodecError):
    """A record in a schema that this version does not know: most likely a newer one wrote it. Never skip it."""


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """One released version of one record. `text` is the file as it was released, `path` relative to `ROOT`."""

    record: str
    version: int
    path: str
    text: str
    lock_id: int
    sha256: str

    @property
    def subject(self) -> str:
        """Return the full name of the record, under which a schema registry knows it."""
        schema = json.loads(self.text)
        return f"{schema['namespace']}.{schema['name']}"


class _Reader(NamedTuple):
    record: str
    writer: Any
    reader: Any
    """The newest schema of the record, or None where the writer's is the newest."""


class _Header:
    """The first five bytes of one record. Shared with its encoders, so that new ids reach those handed out."""

    __slots__ = ("prefix",)

    def __init__(self) -> None:
        self.prefix = b""


def _load() -> tuple[SchemaFile, ...]:
    lock = json.loads((ROOT / "lock.json").read_text("utf-8"))
    files = []
    for path, entry in lock.items():
        record, file_name = path.split("/")
        version = int(file_name.removeprefix("v").removesuffix(".avsc"))
        text = (ROOT / path).read_text("utf-8")
        files.append(SchemaFile(record, version, path, text, entry["id"], entry["sha256"]))
    return tuple(sorted(files, key=lambda f: (f.record, f.version)))


FILES: tuple[SchemaFile, ...] = _load()
"""Every released schema file, by record and version."""

_PARSED: dict[str, Any] = {f.path: parse_schema(json.loads(f.text)) for f in FILES}
_LATEST: dict[str, SchemaFile] = {f.record: f for f in FILES}

RECORDS: tuple[str, ...] = tuple(_LATEST)
"""Names of the records, which are the names of their folders."""

SCHEMA_IDS: dict[str, int] = {}
"""The id under which each record is written now."""

FILE_IDS: dict[str, int] = {}
"""The id of each schema file, by its path."""

_HEADERS: dict[str, _Header] = {record: _Header() for record in RECORDS}
_READERS: dict[int, _Reader] = {}


def use_ids(ids: Mapping[str, int]) -> None:
    """
    Write and read under these schema ids from now on, also in encoders that were handed out before.

    Args:
        ids: The id of each schema file, by its path in the lock.

    Raises:
        CodecError: a file has no id, or two files share one.
    """
    missing = [f.path for f in FILES if f.path not in ids]
    if missing:
        raise CodecError(f"no schema id for {', '.join(missing)}")
    if len({ids[f.path] for f in FILES}) != len(FILES):
        raise CodecError("two schema files share one id")
    _READERS.clear()
    for file in FILES:
        FILE_IDS[file.path] = ids[file.path]
        latest = _LATEST[file.record]
        reader = None if file is latest else _PARSED[latest.path]
        _READERS[ids[file.path]] = _Reader(file.record, _PARSED[file.path], reader)
    for record, latest in _LATEST.items():
        SCHEMA_IDS[record] = ids[latest.path]
        _HEADERS[record].prefix = MAGIC + ids[latest.path].to_bytes(4, "big")


use_ids({f.path: f.lock_id for f in FILES})


def encoder(record: str) -> Callable[[Mapping[str, Any]], bytes]:
    """
    Return the function that turns values of one record into bytes, in its newest version.

    The function raises CodecError, which names the field, for a value that the schema does not accept.

    Raises:
        CodecError: there is no such record.
    """
    if record not in _LATEST:
        raise CodecError(f"there is no record {record!r}; there are {', '.join(RECORDS)}")
    schema = _PARSED[_LATEST[record].path]
    header = _HEADERS[record]

    def encode(value: Mapping[str, Any]) -> bytes:
        out = BytesIO()
        out.write(header.prefix)
        try:
            schemaless_writer(out, schema, value)
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError) as error:
            raise CodecError(f"{record}: {error}") from error
        return out.getvalue()

    return encode


def schema_id(data: bytes) -> int:
    """
    Return the schema id in the header of a value, known or not.

    Raises:
        CodecError: too short, or not in Confluent wire format.
    """
    if len(data) < _HEADER_BYTES or data[0] != 0:
        raise CodecError("the value is not in Confluent wire format: no zero byte and schema id at its start")
    return int.from_bytes(data[1:5], "big")


def decode(data: bytes) -> tuple[str, dict[str, Any]]:
    """
    Return the record's name and the value in the shape of its newest version.

    Raises:
        UnknownSchema: the schema id is neither in the lock nor in the connected registry.
        CodecError: truncated or malformed body, or bytes left over at its end.
    """
    reader = _READERS.get(schema_id(data))
    if reader is None:
        raise UnknownSchema(f"schema id {schema_id(data)} is in neither lock.json nor the connected registry")
    body = BytesIO(data)
    body.seek(_HEADER_BYTES)
    try:
        value = schemaless_reader(body, reader.writer, reader.reader)
    except (ValueError, TypeError, EOFError, LookupError, OverflowError, MemoryError, AttributeError) as error:
        raise CodecError(f"{reader.record}: {str(error) or type(error).__name__}") from error
    if body.tell() != len(data):
        raise CodecError(f"{reader.record}: {len(data) - body.tell()} bytes left over after the value")
    return reader.record, value  # type: ignore[return-value]
