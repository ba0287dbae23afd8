"""
Split a request body into its events, each still as the bytes that were sent.

Events are judged one by one from their own bytes, so a wrong value in one of them must not spoil the parse of
all. The fast way is one pass of msgspec that leaves events raw. Where that fails (a NaN, an unescaped control
character, endless nesting, broken UTF-8 somewhere) a structural scan that looks only at quotes, brackets and
commas finds where each event starts and ends; what is wrong then costs its own event alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from services.ingest.domain.limits import Limits
from services.ingest.errors import Code
from services.shared.errors import Rejected

_NOTHING = msgspec.Raw(b"")


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw] | None = None
    writeKey: Any = None  # noqa: N815 - the wire's name
    sentAt: Any = None  # noqa: N815 - the wire's name
    context: msgspec.Raw = _NOTHING


class _Key(msgspec.Struct):
    writeKey: Any = None  # noqa: N815 - the wire's name


_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_key = msgspec.json.Decoder(_Key).decode
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[][{},:]', re.DOTALL)
_BROKEN = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


@dataclass(frozen=True, slots=True)
class Body:
    """The parts of a request body: its events in order, and what applies to all of them."""

    events: list[bytes]
    write_key: Any = None
    sent_at: Any = None
    context: dict[str, Any] | None = None


def split_batch(body: bytes, limits: Limits) -> Body:
    """
    Split `{"batch": [...], "writeKey", "sentAt", "context"}`.

    Raises:
        Rejected: the body is no such object, is cut short, or holds more events than `limits` allows.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        parsed = _decode_batch(body)
    except msgspec.ValidationError as error:
        raise Rejected(Code.INVALID_BODY, "batch", f'expected an object {{"batch": [events]}}: {error}') from error
    except _BROKEN as error:
        return _scanned(body, limits, error)
    if parsed.batch is None:
        raise Rejected(Code.INVALID_BODY, "batch", 'the body has no "batch"; send {"batch": [events]}')
    _check_count(len(parsed.batch), limits)
    return Body(
        [bytes(raw) for raw in parsed.batch],
        parsed.writeKey,
        parsed.sentAt,
        _context(bytes(parsed.context), limits),
    )


def split_single(body: bytes) -> Body:
    """Take the whole body as one event; its write key is read where that can be done."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        key = _decode_key(body).writeKey
    except msgspec.ValidationError as error:
        raise Rejected(Code.INVALID_BODY, "body", f"expected one event, a JSON object: {error}") from error
    except _BROKEN as error:
        members = _members(body)
        if members is None:
            raise _unreadable(body, error) from error
        key = _value(members.get(b'"writeKey"', b""))
    return Body([body], key)


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.batch_events:
        raise Rejected(
            Code.BATCH_TOO_LONG,
            "batch",
            f"{count} events in one batch; send at most {limits.batch_events}",
        )


def _context(raw: bytes, limits: Limits) -> dict[str, Any] | None:
    if not raw or raw == b"null":
        return None
    if len(raw) > limits.context_bytes:
        raise Rejected(
            Code.INVALID_BODY,
            "context",
            f"the batch's context is {len(raw)} bytes; at most {limits.context_bytes}, since each event takes a copy",
        )
    context = _value(raw)
    if not isinstance(context, dict):
        raise Rejected(Code.INVALID_BODY, "context", "the batch's context must be a JSON object")
    return context


def _value(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except _BROKEN:
        return None


def _scanned(body: bytes, limits: Limits, error: Exception) -> Body:
    members = _members(body)
    if members is None:
        raise _unreadable(body, error) from error
    events = _elements(members.get(b'"batch"', b"").strip())
    if events is None:
        raise Rejected(Code.INVALID_BODY, "batch", 'the body has no "batch" list; send {"batch": [events]}')
    _check_count(len(events), limits)
    return Body(
        events,
        _value(members.get(b'"writeKey"', b"")),
        _value(members.get(b'"sentAt"', b"")),
        _context(members.get(b'"context"', b"").strip(), limits),
    )


def _unreadable(body: bytes, error: Exception) -> Rejected:
    if "truncated" in str(error) or not body.rstrip().endswith(b"}"):
        return Rejected(
            Code.TRUNCATED_BODY, "body", f"the JSON ends too early, after {len(body)} bytes; send it again, complete"
        )
    return Rejected(Code.MALFORMED_BODY, "body", f"the body is not JSON ({error}); send one JSON object")


def _pieces(text: bytes, opening: bytes, closing: bytes) -> list[bytes] | None:
    """Cut what stands between the outer brackets at its commas; None where the brackets do not match."""
    if not (text.startswith(opening) and text.endswith(closing)):
        return None
    depth, start = 0, 1
    pieces: list[bytes] = []
    closed = False
    for found in _TOKEN.finditer(text):
        token = found.group()
        if closed:
            return None
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                closed = True
                pieces.append(text[start : found.start()])
        elif token == b"," and depth == 1:
            pieces.append(text[start : found.start()])
            start = found.end()
    if not closed:
        return None
    return [] if len(pieces) == 1 and not pieces[0].strip() else pieces


def _members(body: bytes) -> dict[bytes, bytes] | None:
    pieces = _pieces(body.strip(), b"{", b"}")
    if pieces is None:
        return None
    members = {}
    for piece in pieces:
        name = _TOKEN.match(piece.lstrip())
        if name is None or not name.group().startswith(b'"'):
            return None
        rest = piece.lstrip()[name.end() :].lstrip()
        if not rest.startswith(b":"):
            return None
        members[name.group()] = rest[1:]
    return members


def _elements(text: bytes) -> list[bytes] | None:
    pieces = _pieces(text, b"[", b"]")
    return None if pieces is None else [piece.strip() for piece in pieces]
