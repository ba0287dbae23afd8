"""Each limit of a request and of an event is met exactly: what is at it is taken, and one more is refused."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest

from services.ingest.domain.admission import admit
from services.ingest.domain.body import Body, split_batch
from services.ingest.domain.compression import decompress
from services.ingest.domain.decoding import message_id_of
from services.ingest.domain.limits import Limits
from services.ingest.domain.request import Request
from services.shared.errors import Rejected
from tests.support.ingest import rules
from tests.support.steps import finished

LIMITS = Limits()
RULES = rules()


def batch(events: int, context: bytes, limits: Limits, *, event: bytes) -> Body:
    body = b'{"batch":[' + b",".join([event] * events) + b'],"context":' + context + b"}"
    return finished(split_batch(body, limits))


def taken(properties: bytes) -> bool:
    raw = b'{"type":"track","event":"x","userId":"u","properties":{"a":' + properties + b"}}"
    try:
        admit(raw, Request("web", "production", 1_800_000_000_000), RULES, lambda: "assigned")
    except Rejected:
        return False
    return True


@pytest.mark.parametrize("event", [b"{}", b"NaN"], ids=["parsed", "scanned"])
def test_a_batch_holds_so_many_events_and_no_more(event: bytes) -> None:
    limits = Limits(batch_events=3)

    assert len(batch(3, b"null", limits, event=event).events) == 3
    with pytest.raises(Rejected) as refused:
        batch(4, b"null", limits, event=event)
    assert (refused.value.code, refused.value.field) == ("batch_too_long", "batch")


@pytest.mark.parametrize("event", [b"{}", b"NaN"], ids=["parsed", "scanned"])
def test_the_context_of_a_batch_and_all_its_copies_are_bounded(event: bytes) -> None:
    limits = Limits(body_bytes=100, context_bytes=40, context_copies=2)
    widest = b'{"a":"' + b"x" * 32 + b'"}'

    assert batch(5, widest, limits, event=event).context == json.loads(widest)
    with pytest.raises(Rejected, match="6 events would each take a copy of a context of 40 bytes"):
        batch(6, widest, limits, event=event)
    with pytest.raises(Rejected, match="the batch's context is 41 bytes; at most 40"):
        batch(1, widest.replace(b"x", b"xx", 1), limits, event=event)


PLAIN = b'{"batch":[]}'
_RAW = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (PLAIN, ""),
        (PLAIN, "identity"),
        (PLAIN, "gzip"),
        (PLAIN, "x-gzip"),
        (PLAIN, "deflate"),
        (gzip.compress(PLAIN, mtime=0), ""),
        (gzip.compress(PLAIN, mtime=0), "deflate"),
        (gzip.compress(PLAIN[:5], mtime=0) + gzip.compress(PLAIN[5:], mtime=0), "gzip"),
        (gzip.compress(PLAIN, mtime=0) + bytes(512), "gzip"),
        (zlib.compress(PLAIN), "deflate"),
        (_RAW.compress(PLAIN) + _RAW.flush(), "deflate"),
    ],
)
def test_a_body_is_known_by_its_bytes_whatever_its_header_says(body: bytes, encoding: str) -> None:
    assert finished(decompress(body, encoding, len(PLAIN))) == PLAIN


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (PLAIN, "br", "unsupported_encoding"),
        (b"", "deflate", "truncated_body"),
        (b"\x78", "deflate", "truncated_body"),
        (gzip.compress(PLAIN, mtime=0)[:-1], "gzip", "truncated_body"),
        (gzip.compress(PLAIN, mtime=0)[:-1] + b"x", "gzip", "malformed_body"),
        (gzip.compress(PLAIN + b" ", mtime=0), "gzip", "decompressed_too_large"),
    ],
)
def test_what_cannot_be_decompressed_within_the_bound_is_refused(body: bytes, encoding: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        finished(decompress(body, encoding, len(PLAIN)))

    assert refused.value.code == code


def test_so_many_members_of_gzip_are_taken_in_a_row() -> None:
    member = gzip.compress(b" ")

    assert finished(decompress(member * 16, "gzip", 100)) == b" " * 16
    with pytest.raises(Rejected, match="over 16 gzip members in one body"):
        finished(decompress(member * 17, "gzip", 100))


def test_an_event_is_nested_so_deep_and_no_deeper_and_brackets_within_texts_are_none() -> None:
    inner = LIMITS.depth - 2  # the event and its properties are two

    assert taken(b"[" * inner + b"]" * inner)
    assert taken(b"[[]," + b"[" * (inner - 1) + b"]" * (inner - 1) + b"]")
    assert not taken(b"[" * (inner + 1) + b"]" * (inner + 1))
    assert taken(b"[" + b",".join([b'{"b":"[[{{\\"[["}'] * 100) + b"]")


@pytest.mark.parametrize(
    ("number", "is_taken"),
    [(2**64 - 1, True), (2**64, False), (-(2**63), True), (-(2**63) - 1, False), (10**19, True), (10**20, False)],
)
def test_an_integer_of_more_than_64_bits_is_refused(number: int, is_taken: bool) -> None:
    assert taken(str(number).encode()) is is_taken


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("m" * LIMITS.id_chars, "m" * LIMITS.id_chars),
        ("m" * (LIMITS.id_chars + 1), ""),
        (7, "7"),
        (True, ""),
        (None, ""),
        ([7], ""),
    ],
)
def test_the_id_of_a_refused_event_is_told_where_it_could_be_one(given: Any, told: str) -> None:
    assert message_id_of(json.dumps({"messageId": given, "event": []}).encode(), LIMITS) == told
