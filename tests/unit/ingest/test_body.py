"""Bodies are split into the very bytes of their events, by the fast way and by the scan alike."""

from __future__ import annotations

import json

import pytest

from services.ingest.domain import body as bodies
from services.ingest.domain.body import Body
from services.ingest.domain.limits import Limits
from services.shared.errors import Rejected
from tests.support.steps import finished

LIMITS = Limits()


def split_batch(body: bytes, limits: Limits) -> Body:
    return finished(bodies.split_batch(body, limits))


def split_single(body: bytes) -> Body:
    return finished(bodies.split_single(body))


def test_both_ways_agree_where_the_body_is_good() -> None:
    events = [{"a": 'x"}],[{'}, {"b": [1, {"c": "\\"}]}, {}, [], 3, None, "text,\\", -1.5e3]
    good = json.dumps({"sentAt": "t", "batch": events, "writeKey": "k", "context": {"a": 1}}).encode()
    spoiled = good.replace(b"null", b"NaN ")

    fast, scanned = split_batch(good, LIMITS), split_batch(spoiled, LIMITS)

    assert [json.loads(event) for event in fast.events] == events
    assert [event.replace(b"NaN", b"null") for event in scanned.events] == fast.events
    assert (fast.write_key, fast.sent_at, fast.context) == ("k", "t", {"a": 1})
    assert (scanned.write_key, scanned.sent_at, scanned.context) == ("k", "t", {"a": 1})


@pytest.mark.parametrize("body", [b'{"batch":[]}', b'{"batch":[ ]}', b' {"batch" : [\n] , "x": NaN} '])
def test_a_batch_may_be_empty(body: bytes) -> None:
    assert split_batch(body, LIMITS).events == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"batch":[NaN',
        b'{"batch":[NaN]]}',
        b'{"batch":[{]}]}',
        b'{"batch":NaN}',
        b"NaN",
        b"{batch:[NaN]}",
        b'{"x":"\\',
    ],
)
def test_what_has_no_structure_is_refused(body: bytes) -> None:
    with pytest.raises(Rejected):
        split_batch(body, LIMITS)


def test_the_last_of_two_members_with_one_name_counts_in_both_ways() -> None:
    assert split_batch(b'{"writeKey":"a","batch":[1],"writeKey":"b"}', LIMITS).write_key == "b"
    assert split_batch(b'{"writeKey":"a","batch":[NaN],"writeKey":"b"}', LIMITS).write_key == "b"


def test_a_single_event_keeps_its_write_key_beside_a_wrong_value() -> None:
    assert split_single(b'{"properties":{"a":NaN},"writeKey":"k"}').write_key == "k"


@pytest.mark.parametrize(
    ("body", "field", "detail"),
    [
        (b"[]", "body", 'expected an object, not a list; send {"batch": [events]}'),
        (b'{"batch":{}}', "batch", 'expected a list, not an object; send {"batch": [events]}'),
    ],
)
def test_a_body_of_another_shape_is_told_in_plain_words(body: bytes, field: str, detail: str) -> None:
    with pytest.raises(Rejected) as raised:
        split_batch(body, LIMITS)

    assert (raised.value.field, raised.value.detail) == (field, detail)


MANY = b"0," * 400_001
PLAIN = "the body is not JSON (JSON is malformed: invalid character (byte 0)); send one event, a JSON object"


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        (b"hello world", "malformed_body", PLAIN),
        (b"<html></html>", "malformed_body", PLAIN),
        (b"no", "malformed_body", "Input data was truncated"),
        (b"\x7fELF\x02{", "malformed_body", "byte 0"),
        (b"userId=ann&event=x", "malformed_body", "the body is a form, not JSON; send one event, a JSON object"),
        (b'data={"userId":"ann"}', "malformed_body", "a form"),
        (b"aGVsbG8=", "malformed_body", PLAIN),
        (b'{"a":NaN', "malformed_body", "byte 5"),
        (b'{"a":1}}', "malformed_body", "trailing"),
        (b"", "truncated_body", "the body is empty; send one event, a JSON object"),
        (b"\xef\xbb\xbf \n", "truncated_body", "empty"),
        (b'\xef\xbb\xbf {"a"', "truncated_body", "ends too early, after 5 bytes"),
        (b'{"a":-', "truncated_body", "ends too early"),
        (b'{"a":{}', "truncated_body", "ends too early"),
    ],
)
def test_only_what_begins_as_json_is_said_to_end_too_early(body: bytes, code: str, detail: str) -> None:
    with pytest.raises(Rejected) as raised:
        split_single(body)

    assert raised.value.code == code
    assert detail in raised.value.detail


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"batch":[[' + MANY, "truncated_body"),
        (b"[" + MANY + b"0]", "invalid_body"),
        (b"hello" + MANY, "malformed_body"),
    ],
    ids=["cut short", "a list", "text"],
)
def test_a_body_of_many_commas_is_told_the_same(body: bytes, code: str) -> None:
    with pytest.raises(Rejected) as raised:
        split_batch(body, LIMITS)

    assert raised.value.code == code
