"""
Split a request body into its events, each still as the bytes that were sent.

Events are judged one by one from their own bytes, so a wrong value in one of them must not spoil the parse of
all. The fast way is one pass of msgspec that leaves events raw. Where that fails (a NaN, an unescaped control
character, endless nesting, broken UTF-8 somewhere) a structural scan that looks only at quotes, brackets and
commas finds where each event starts and ends; what is wrong then costs its own event alone.

The fast way makes an object of each element, before anybody can count them; so a body with more commas than a good
one of the largest size has goes the other way, which stops at the first element too many.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import msgspec

from services.ingest.domain.limits import Limits
from services.ingest.domain.scan import Found, Scan, TooMuch
from services.ingest.errors import Code
from services.shared.errors import Rejected
from services.shared.files.expected_types import type_problem_of

_NOTHING = msgspec.Raw(b"")


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw] | None = None
    writeKey: msgspec.Raw = _NOTHING  # noqa: N815 - the wire's name
    sentAt: msgspec.Raw = _NOTHING  # noqa: N815 - the wire's name
    context: msgspec.Raw = _NOTHING


class _Key(msgspec.Struct):
    writeKey: msgspec.Raw = _NOTHING  # noqa: N815 - the wire's name


_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_key = msgspec.json.Decoder(_Key).decode
_skip = msgspec.json.Decoder(msgspec.Raw).decode
_COMMAS = 400_000
_MEMBERS = 256
_SCALAR_BYTES = 4 * 1024
_FORM = re.compile(rb"[\w.~%+*\[\]-]{1,256}+=[^=\s]")
_STOPPED_AT = re.compile(r"invalid (?:number|character) \(byte (\d+)\)")
_BROKEN = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


class Body(msgspec.Struct, frozen=True):
    """The parts of a request body: its events in order, and what applies to all of them."""

    events: list[bytes]
    write_key: Any = None
    sent_at: Any = None
    context: dict[str, Any] | None = None


def split_batch(body: bytes, limits: Limits) -> Generator[int | None, None, Body]:
    """
    Split `{"batch": [...], "writeKey", "sentAt", "context"}`; yields after each slice of a few milliseconds.

    Raises:
        Rejected: the body is no such object, is cut short, or holds more events than `limits` allows.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    if body.count(b",") > _COMMAS:
        return (yield from _scanned(body, limits, ValueError("its structure is no batch of events")))
    try:
        parsed = _decode_batch(body)
    except msgspec.ValidationError as error:
        path, detail = type_problem_of(error)
        raise Rejected(
            Code.INVALID_BODY, path.removeprefix(".") or "body", f'{detail}; send {{"batch": [events]}}'
        ) from error
    except _BROKEN as error:
        return (yield from _scanned(body, limits, error))
    if parsed.batch is None:
        raise Rejected(Code.INVALID_BODY, "batch", 'the body has no "batch"; send {"batch": [events]}')
    count = len(parsed.batch)
    context = _context(bytes(parsed.context), count, limits)
    return Body([bytes(raw) for raw in parsed.batch], _value(parsed.writeKey), _value(parsed.sentAt), context)


def split_single(body: bytes) -> Generator[int | None, None, Body]:
    """Take the whole body as one event; its write key is read where that can be done."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        key = _value(_decode_key(body).writeKey)
    except msgspec.ValidationError as error:
        raise Rejected(
            Code.INVALID_BODY, "body", f"{type_problem_of(error).detail}; send one event, a JSON object"
        ) from error
    except _BROKEN as error:
        members = yield from _members(body, {}, error, "send one event, a JSON object")
        key = _value(_text(members, b'"writeKey"'))
    return Body([body], key)


def _context(raw: bytes, count: int, limits: Limits) -> dict[str, Any] | None:
    if count > limits.batch_events:
        raise Rejected(
            Code.BATCH_TOO_LONG, "batch", f"over {limits.batch_events} events in one batch; send smaller batches"
        )
    if not raw or raw == b"null":
        return None
    if len(raw) > limits.context_bytes:
        raise Rejected(
            Code.INVALID_BODY,
            "context",
            f"the batch's context is {len(raw)} bytes; at most {limits.context_bytes}, since each event takes a copy",
        )
    if len(raw) * count > limits.context_copies * limits.body_bytes:
        raise Rejected(
            Code.INVALID_BODY,
            "context",
            f"{count} events would each take a copy of a context of {len(raw)} bytes; send smaller batches",
        )
    context = _decoded(raw)
    if not isinstance(context, dict):
        raise Rejected(Code.INVALID_BODY, "context", "the batch's context must be a JSON object")
    return context


def _value(raw: bytes | msgspec.Raw) -> Any:
    """Return a scalar; None for what cannot be read, and for what is too long to be a key or a time."""
    text = bytes(raw)
    return _decoded(text) if len(text) <= _SCALAR_BYTES else None


def _decoded(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except _BROKEN:
        return None


def _scanned(body: bytes, limits: Limits, error: Exception) -> Generator[int | None, None, Body]:
    members = yield from _members(body, {b'"batch"': limits.batch_events}, error, 'send {"batch": [events]}')
    events = members.get(b'"batch"')
    if not isinstance(events, list):
        raise Rejected(Code.INVALID_BODY, "batch", 'the body has no "batch" list; send {"batch": [events]}')
    context = _context(_text(members, b'"context"'), len(events), limits)
    return Body(events, _value(_text(members, b'"writeKey"')), _value(_text(members, b'"sentAt"')), context)


def _members(body: bytes, lists: dict[bytes, int], error: Exception, wanted: str) -> Generator[int | None, None, Found]:
    try:
        members = yield from Scan(body.strip()).members(_MEMBERS, lists)
    except TooMuch:
        raise Rejected(
            Code.MALFORMED_BODY, "body", f"the body is not JSON ({error}), and too much of it to find the events"
        ) from error
    if members is None:
        raise _unreadable(body, wanted) from error
    return members


def _text(members: Found, name: bytes) -> bytes:
    value = members.get(name, b"")
    return value if isinstance(value, bytes) else b""


def _unreadable(body: bytes, wanted: str) -> Rejected:
    """Return what is wrong with a body that has no members: what a parser says that makes nothing of it but a view."""
    if not body.strip():
        return Rejected(Code.TRUNCATED_BODY, "body", f"the body is empty; {wanted}")
    try:
        _skip(body)
    except _BROKEN as error:
        if body.lstrip()[:1] in (b"{", b"[") and _ends_early(body, str(error)):
            detail = f"the JSON ends too early, after {len(body)} bytes; send it again, complete"
            return Rejected(Code.TRUNCATED_BODY, "body", detail)
        is_ = "a form, not JSON" if _FORM.match(body) else f"not JSON ({error})"
        return Rejected(Code.MALFORMED_BODY, "body", f"the body is {is_}; {wanted}")
    return Rejected(Code.INVALID_BODY, "body", f"the body is no JSON object; {wanted}")


def _ends_early(body: bytes, problem: str) -> bool:
    """Return whether a parser came to the end; where that is within a number, it says so by the place alone."""
    at = _STOPPED_AT.search(problem)
    return int(at[1]) >= len(body) if at else "truncated" in problem
