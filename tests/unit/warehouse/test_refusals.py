"""What was refused, counted without anything that was sent."""

import json
from typing import Any

import pytest

from services.shared.units import HOUR_MS
from services.warehouse.domain.refusals import MOST_KINDS, Refusals, shape_of

NOW = 1_764_547_200_000


def letter(reason: str = "wrong_type", original: bytes = b"{}", **more: Any) -> dict[str, Any]:
    return {
        "by": "ingest",
        "reason": reason,
        "field": "properties",
        "source": "web",
        "original": original,
        **more,
    }


def test_letters_are_counted_by_reason_field_and_source_most_frequent_first() -> None:
    refusals = Refusals()
    for number, reason in enumerate(["missing_field", "wrong_type", "wrong_type"]):
        refusals.see(letter(reason), f"usage-rejected/0/{number}", NOW + number)
    refusals.see(letter("wrong_type", source="app"), "usage-rejected/1/0", NOW)

    found = refusals.told(NOW)

    assert [(each["reason"], each["source"], each["count"]) for each in found] == [
        ("wrong_type", "web", 2),
        ("missing_field", "web", 1),
        ("wrong_type", "app", 1),
    ]
    assert (found[0]["letter"], found[0]["last_at"]) == ("usage-rejected/0/2", NOW + 2)


def test_what_is_older_than_a_day_is_forgotten() -> None:
    refusals = Refusals()
    refusals.see(letter(), "a", NOW - 25 * HOUR_MS)
    refusals.see(letter(), "b", NOW - 23 * HOUR_MS)

    assert [each["count"] for each in refusals.told(NOW)] == [1]
    assert refusals.told(NOW + 24 * HOUR_MS) == []
    assert refusals._kinds == {}


def test_however_many_reasons_there_are_so_many_are_told_apart_and_none_is_lost() -> None:
    refusals = Refusals()
    for number in range(2 * MOST_KINDS):
        refusals.see(letter(field=f"properties.{number}" * 100), str(number), NOW)

    found = refusals.told(NOW)

    assert len(found) == MOST_KINDS + 1
    assert sum(each["count"] for each in found) == 2 * MOST_KINDS
    assert found[0]["reason"] == "other_reasons"
    assert max(len(each["field"]) for each in found) <= 200


def test_reasons_of_days_ago_leave_room_for_those_of_today_though_nobody_asked_meanwhile() -> None:
    refusals = Refusals()
    for number in range(MOST_KINDS):
        refusals.see(letter(field=f"properties.{number}"), str(number), NOW - 48 * HOUR_MS)
    refusals.see(letter("missing_field"), "new", NOW)

    assert [each["reason"] for each in refusals.told(NOW)] == ["missing_field"]


def test_an_example_has_names_and_kinds_and_no_value() -> None:
    original = {
        "type": "track",
        "event": "Report Shared",
        "userId": "ann@acme.example",
        "properties": {"score": "nine", "secret": 7, "list": [{"card": "4111"}, 2], "yes": True, "none": None},
        "bob@acme.example": 1,
        "context": {"a": {"b": {"c": {"d": "deep"}}}},
    }

    shape = shape_of(json.dumps(original).encode())

    assert json.loads(shape) == {
        "type": "track",
        "event": "Report Shared",
        "userId": "text",
        "properties": {
            "score": "text",
            "secret": "number",
            "list": [{"card": "text"}],
            "yes": "true or false",
            "none": None,
        },
        "member": "number",
        "context": {"a": {"b": {"c": {}}}},
    }


def test_only_what_names_events_is_shown_of_an_event() -> None:
    assert json.loads(shape_of(b'{"type": "identify", "name": "Ann", "event": "Bob"}')) == {
        "type": "identify",
        "name": "text",
        "event": "text",
    }
    assert json.loads(shape_of(b'{"type": "ann@acme.example"}')) == {"type": "text"}
    assert json.loads(shape_of(b'{"type": "page", "name": "Reports", "event": "Bob"}')) == {
        "type": "page",
        "name": "Reports",
        "event": "text",
    }


@pytest.mark.parametrize(
    "original",
    [b"", b"not json", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 20_000, b'{"a":"' + b"x" * 70_000 + b'"}', b"1e999"],
)
def test_what_cannot_be_shown_has_no_example(original: bytes) -> None:
    assert shape_of(original) in {"", '"number"'}


def test_an_example_is_bounded() -> None:
    wide = json.dumps({f"m{n}": {f"k{m}": [n] for m in range(50)} for n in range(200)}).encode()

    assert len(shape_of(wide)) <= 2_001
