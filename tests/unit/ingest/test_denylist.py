"""What the denylist takes out, what it leaves as it is, and what remains of an original that was refused."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from services.ingest.domain.denylist import PARSED_BYTES, Denylist
from services.shared.tracking_plan.plan import DenyPlan

DENYLIST = Denylist(
    DenyPlan(drop=["password", "card.number", "items.secret", "traits.phone"], hash=["Email", "user.mail"])
)


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ({"password": "x", "a": 1}, {"a": 1}),
        ({"PassWord": None, "password": {"deep": 1}}, {}),
        ({"card": {"number": 4, "type": "visa"}, "number": 4}, {"card": {"type": "visa"}, "number": 4}),
        ({"card": "4"}, {"card": "4"}),
        ({"items": [{"secret": 1, "a": 1}, 7, [{"secret": 2}]]}, {"items": [{"a": 1}, 7, [{}]]}),
        ({"email": " Ann@Example.COM "}, {"email": digest("ann@example.com")}),
        ({"email": ["a", None, 7]}, {"email": [digest("a"), None, digest("7")]}),
        ({"email": {"b": 1, "a": 2}}, {"email": digest('{"a":2,"b":1}')}),
        ({"email": None, "user": {"mail": True}}, {"email": None, "user": {"mail": digest("true")}}),
    ],
)  # fmt: skip
def test_what_is_denied_is_dropped_or_hashed(value: dict[str, Any], cleaned: dict[str, Any]) -> None:
    before = json.dumps(value)
    for holder in ("properties", "traits", "context"):
        assert DENYLIST.clean({holder: value, "event": "x"}) == {holder: cleaned, "event": "x"}
    assert DENYLIST.clean_of("context", {"traits": value}) == {"traits": cleaned}
    assert json.dumps(value) == before


@pytest.mark.parametrize(
    ("event", "cleaned"),
    [
        ({"properties": [{"password": "x"}, 7]}, {"properties": [{}, 7]}),
        ({"Properties": {"password": "x"}, "TRAITS": {"email": None}}, {"Properties": {}, "TRAITS": {"email": None}}),
        ({"properties": {"card.number": 4, "Card.Number": 5, "card": 1}}, {"properties": {"card": 1}}),
        ({"Context": {"traits.phone": 1, "Traits": {"phone": 2, "a": 1}}}, {"Context": {"Traits": {"a": 1}}}),
    ],
)
def test_no_way_of_writing_a_call_gets_past_it(event: dict[str, Any], cleaned: dict[str, Any]) -> None:
    assert DENYLIST.clean(event) == cleaned


def test_a_path_of_the_context_may_name_its_traits() -> None:
    assert DENYLIST.clean_of("context", {"traits": {"phone": 1, "email": None}, "phone": 1}) == {
        "traits": {"email": None}, "phone": 1,
    }  # fmt: skip
    all_of_them = Denylist(DenyPlan(drop=["traits", "email"]))
    assert all_of_them.clean({"context": {"traits": {"a": 1}, "page": {}}}) == {"context": {"page": {}}}


def test_what_holds_nothing_denied_is_the_same_object() -> None:
    event = {
        "properties": {"a": [1, {"b": 2}], "items": [{"a": 1}]},
        "context": {"traits": {}},
        "password": "of nothing",
    }

    assert DENYLIST.clean(event) is event
    assert DENYLIST.clean({"properties": "text", "context": None}) == {"properties": "text", "context": None}
    assert not Denylist(DenyPlan())


@pytest.mark.parametrize(
    ("original", "kept"),
    [
        ({"event": 7, "properties": {"password": "x", "a": 1}}, {"event": 7, "properties": {"a": 1}}),
        (
            {"batch": [{"traits": {"password": "x"}}, 7], "context": {"password": "x", "ip": "y"}},
            {"batch": [{"traits": {}}, None], "context": {"ip": "y"}},
        ),
        ({"batch": {"properties": {"password": "x"}}}, {"batch": {"properties": {}}}),
        (
            {"Batch": [{"traits": {"password": "x"}}, 7], "context": {}},
            {"Batch": [{"traits": {}}, None], "context": {}},
        ),
        ({"events": [{"traits": {"password": "x"}}, 7], "userId": 1}, {"events": [{"traits": {}}, 7], "userId": 1}),
        ({"batch": 7, "context": [{"password": "x"}]}, {"batch": 7, "context": [{}]}),
    ],
)
def test_an_original_is_kept_without_what_is_denied(original: Any, kept: Any) -> None:
    assert json.loads(DENYLIST.clean_original(json.dumps(original).encode())) == kept


@pytest.mark.parametrize(
    "original",
    [
        b'{"properties":{"password":"x"}',
        b"\x1f\x8b\x08",
        b"[]",
        b'{"id":"x","type":"customer.updated","data":{"object":{"password":"x"}}}',
        b'{"type":"x","event":{"password":"x"},"detail":{}}',
        b'"password"',
        b"",
        b'{"properties":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
        b'{"properties":{"items":' + b"[" * 900 + b'{"secret":"x"}' + b"]" * 900 + b"}}",
        b'{"properties":{"a":"' + b"x" * PARSED_BYTES + b'"}}',
    ],
)
def test_nothing_is_kept_of_what_cannot_be_read(original: bytes) -> None:
    assert b"x" not in DENYLIST.clean_original(original)


def test_a_name_that_is_there_twice_is_not_kept_either() -> None:
    original = b'{"properties":{"password":"one","a":1},"properties":{"b":1},"traits":{"password":"two","p\\u0061ssword":"three"}}'

    assert json.loads(DENYLIST.clean_original(original)) == {"properties": {"b": 1}, "traits": {}}


def test_what_was_hashed_is_not_hashed_again_when_it_comes_again() -> None:
    once = DENYLIST.clean({"properties": {"email": ["Ann@example.com", None], "password": 1}, "traits": {"email": 7}})
    again = DENYLIST.of_cleaned()

    assert again.clean(once) is once or again.clean(once) == once
    assert again.clean({"traits": {"email": "ann@example.com"}}) == {"traits": {"email": digest("ann@example.com")}}
    assert DENYLIST.clean(once) != once
