"""Bodies are split into the very bytes of their events, by the fast way and by the scan alike."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest

from services.ingest.domain import body as bodies
from services.ingest.domain.body import Body
from services.ingest.domain.limits import Limits
from services.shared.errors import Rejected

LIMITS = Limits()


def done(steps: Generator[int | None, None, Body]) -> Body:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def split_batch(body: bytes, limits: Limits) -> Body:
    return done(bodies.split_batch(body, limits))


def split_single(body: bytes) -> Body:
    return done(bodies.split_single(body))


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
