"""
Records to bytes and back: Avro in Confluent wire format.

A value is one zero byte, the schema id (four bytes, big-endian) and the Avro body. The ids are those of `lock.json`
(released.py), or those of a schema registry after `schemas.registry.connect_registry`.

Values are written in the version of the level in force (formats.py). It is older than the newest as long as a neighbouring
release may still have to read it. Every version that this release knows is read, and given in the shape of the newest, so
callers never see an old shape.

Enum values are their symbols, as strings. Whatever is wrong with a value or with bytes is a `CodecError`. An unknown id is
an `UnknownSchema`: the record is not damaged but in a newer version, and readers of the log must not skip it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from schemas import flat, flat_writer, formats
from schemas.released import FILES, LATEST, RECORDS, SchemaFile

MAGIC = b"\x00"
_HEADER_BYTES = 5


class CodecError(ValueError):
    """Bytes that are no record of ours, or a value that its schema does not accept."""


class UnknownSchema(CodecError):
    """A record in a schema that this version does not know: most likely a newer one wrote it. Never skip it."""


class _Reader(NamedTuple):
    record: str
    writer: Any
    reader: Any
    """The newest schema of the record, or None where the writer's is the newest."""
    flat: flat.Read | None
    """The quick way, where there is one."""


class _Writer:
    """How one record is written. Shared with its encoders, so that new ids and levels reach those handed out."""

    __slots__ = ("file", "flat", "prefix", "schema")

    def __init__(self) -> None:
        self.file: SchemaFile | None = None
        self.prefix = b""
        self.schema: Any = None
        self.flat: flat_writer.Write | None = None
        """The quick way, where there is one."""

    def use(self, file: SchemaFile) -> None:
        self.file, self.schema, self.flat = file, _PARSED[file.path], _FLAT_WRITERS[file.path]
        _renew_prefix(self)


_PARSED: dict[str, Any] = {f.path: parse_schema(json.loads(f.text)) for f in FILES}

SCHEMA_IDS: dict[str, int] = {}
"""The id under which each record is written now, at the level in force."""

FILE_IDS: dict[str, int] = {}
"""The id of each schema file, by its path."""

_WRITERS: dict[str, _Writer] = {record: _Writer() for record in RECORDS}
_READERS: dict[bytes, _Reader] = {}
"""By the header of the values that they read."""
_level = formats.DEFAULT


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
    known = formats.at(formats.NEWEST)
    for file in FILES:
        FILE_IDS[file.path] = ids[file.path]
        latest = LATEST[file.record]
        reader = None if file is latest else _PARSED[latest.path]
        if file.version > known.get(file.record, 0):
            continue  # of a level to come: values have its shape already, but records in it are not read
        _READERS[_header(ids[file.path])] = _Reader(file.record, _PARSED[file.path], reader, _FLAT[file.path])
    for writer in _WRITERS.values():
        _renew_prefix(writer)


def write_level(level: int) -> None:
    """
    Write the versions of this level from now on, also in encoders that were handed out before.

    Raises:
        ValueError: this release does not know that level.
    """
    global _level  # noqa: PLW0603  one level a process, as one set of ids
    versions = formats.at(level)
    _level = level
    for file in FILES:
        if file.version == versions.get(file.record):
            _WRITERS[file.record].use(file)
    for record, writer in _WRITERS.items():
        if record not in versions:
            writer.file = writer.schema = writer.flat = None


def level() -> int:
    """Return the level that is written."""
    return _level


def _renew_prefix(writer: _Writer) -> None:
    if writer.file is not None and FILE_IDS:
        SCHEMA_IDS[writer.file.record] = FILE_IDS[writer.file.path]
        writer.prefix = _header(FILE_IDS[writer.file.path])


def _header(schema: int) -> bytes:
    return MAGIC + schema.to_bytes(_HEADER_BYTES - 1, "big")


_PLAIN = ("string", "int", "long", "boolean")
"""Types whose defaults mean in JSON what they mean in a value."""


def _flat_reader(file: SchemaFile) -> flat.Read | None:
    """Return the quick way to read a version, where it differs from the newest by no more than fields at its end."""
    old, new = (json.loads(each.text)["fields"] for each in (file, LATEST[file.record]))
    more = new[len(old) :]
    if [_meaning(f) for f in old] != [_meaning(f) for f in new[: len(old)]] or any(
        f["type"] not in _PLAIN for f in more
    ):
        return None
    return flat.reader(_PARSED[file.path], {f["name"]: f["default"] for f in more})


def _meaning(field: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in field.items() if key != "doc"}


_FLAT: dict[str, flat.Read | None] = {f.path: _flat_reader(f) for f in FILES}
_FLAT_WRITERS: dict[str, flat_writer.Write | None] = {f.path: flat_writer.writer(_PARSED[f.path]) for f in FILES}


use_ids({f.path: f.lock_id for f in FILES})
write_level(formats.DEFAULT)


def encoder(record: str, version: int | None = None) -> Callable[[Mapping[str, Any]], bytes]:
    """
    Return the function that turns values of one record into bytes: in the version of the level in force, or in this one.

    The function raises CodecError, which names the field, for a value that the schema does not accept.

    Raises:
        CodecError: there is no such record or version.
    """
    if record not in LATEST:
        raise CodecError(f"there is no record {record!r}; there are {', '.join(RECORDS)}")
    writer = _WRITERS[record]
    if version is not None:
        file = next((f for f in FILES if f.record == record and f.version == version), None)
        if file is None:
            raise CodecError(f"there is no version {version} of {record}")
        writer = _Writer()
        writer.use(file)

    def encode(value: Mapping[str, Any]) -> bytes:
        if writer.flat is not None:
            try:
                return writer.prefix + writer.flat(value)
            except flat_writer.UNUSUAL:
                pass  # fastavro takes it, or says what is wrong with it
        out = BytesIO()
        out.write(writer.prefix)
        try:
            schemaless_writer(out, writer.schema, value)
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError) as error:
            if writer.file is None:
                raise CodecError(f"{record} is not written at the level in force") from error
            raise CodecError(f"{record}: {error}") from error
        return out.getvalue()

    return encode


def prefix(record: str) -> bytes:
    """Return what a value of the record begins with now: the zero byte and the schema id of the version in force."""
    return _WRITERS[record].prefix


def parts(record: str, *groups: Sequence[str]) -> list[flat_writer.Write]:
    """
    Return a writer for each group of neighbouring fields, in the version of the level in force.

    `prefix` and what these return for one value, in this order, are together what `encoder` gives for it. What many
    values have in common can so be written once. A field of a group that the version does not have is left out. The
    writers raise one of `flat_writer.UNUSUAL` for what `encoder` might still take. They do not follow `write_level`:
    ask again when `level` has changed.

    Raises:
        CodecError: the record is not flat, or the groups are not its fields in their order.
    """
    file, latest = _WRITERS[record].file, LATEST[record]
    fields = [field["name"] for field in _PARSED[latest.path]["fields"]]
    if [name for group in groups for name in group] != fields:
        raise CodecError(f"{record} has these fields, in this order: {', '.join(fields)}")
    if file is None:
        raise CodecError(f"{record} is not written at the level in force")
    writers = [flat_writer.writer(_PARSED[file.path], group) for group in groups]
    found = [writer for writer in writers if writer is not None]
    if len(found) != len(groups):
        raise CodecError(f"{record} has fields that are not written in parts")
    return found


def schema_id(data: bytes) -> int:
    """
    Return the schema id in the header of a value, known or not.

    Raises:
        CodecError: too short, or not in Confluent wire format.
    """
    if len(data) < _HEADER_BYTES or data[0] != 0:
        raise CodecError("the value is not in Confluent wire format: no zero byte and schema id at its start")
    return int.from_bytes(data[1:5], "big")


def version_of(data: bytes) -> int:
    """
    Return the version of the schema that a value is written in.

    Raises:
        UnknownSchema: as `decode`.
        CodecError: as `schema_id`.
    """
    wanted = schema_id(data)
    for file in FILES:
        if FILE_IDS.get(file.path) == wanted:
            return file.version
    raise UnknownSchema(f"schema id {wanted} is in neither lock.json nor the connected registry")


def record_of(data: bytes | None) -> str | None:
    """
    Return the name of the record that a value says it is, of whatever version; None where it is in no wire format.

    Raises:
        UnknownSchema: as `decode`.
    """
    if data is None or len(data) < _HEADER_BYTES or data[0] != 0:
        return None
    reader = _READERS.get(data[:_HEADER_BYTES])
    if reader is None:
        raise UnknownSchema(f"schema id {schema_id(data)} is in neither lock.json nor the connected registry")
    return reader.record


def flat_schemas(record: str) -> dict[bytes, Any]:
    """
    Return the schemas in which a record is read by the quick way, by the header of their values.

    Values in an older one differ from the newest by no more than fields that are missing at the end. Ask again when ids may
    have changed.
    """
    return {
        header: reader.writer
        for header, reader in _READERS.items()
        if reader.record == record and reader.flat is not None
    }


def decode(data: bytes) -> tuple[str, dict[str, Any]]:
    """
    Return the record's name and the value in the shape of its newest version.

    Raises:
        UnknownSchema: the schema id is neither in the lock nor in the connected registry.
        CodecError: truncated or malformed body, or bytes left over at its end.
    """
    reader = _READERS.get(data[:_HEADER_BYTES])
    if reader is None:
        raise UnknownSchema(f"schema id {schema_id(data)} is in neither lock.json nor the connected registry")
    try:
        if reader.flat is not None:
            return reader.record, reader.flat(data)
        body = BytesIO(data)
        body.seek(_HEADER_BYTES)
        value = schemaless_reader(body, reader.writer, reader.reader)
    except (ValueError, TypeError, EOFError, LookupError, OverflowError, MemoryError, AttributeError) as error:
        raise CodecError(f"{reader.record}: {str(error) or type(error).__name__}") from error
    if body.tell() != len(data):
        raise CodecError(f"{reader.record}: {len(data) - body.tell()} bytes left over after the value")
    return reader.record, value  # type: ignore[return-value]
