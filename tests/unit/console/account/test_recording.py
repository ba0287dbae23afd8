"""What is recorded: fields checked by name, calls that the default tracking plan allows, and how they are read again."""

from datetime import date
from typing import Any

import msgspec
import pytest

from services.console.account.recording import FORMS, BadField, calls
from services.console.account.records import recorded
from services.shared.plan_file import default_plan

TODAY = date(2027, 3, 31)
FILLED = {
    "contact": {"channel": "call", "with": "Kim", "on": "2027-03-30", "text": "They like it"},
    "note": {"text": "Line one\r\nline two"},
    "goal": {"goal": "Roll out", "due": "2027-06-30"},
    "reached": {"goal_id": "console-7", "goal": "Roll out"},
    "handoff": {"to_owner": "Nora", "text": "Is on leave"},
    "absence": {"from": "2027-04-01", "to": "2027-04-09", "text": "Easter"},
    "churn": {"date": "2027-03-01", "reason": "price", "text": ""},
    "judged": {
        "episode_id": "acme:usage_silent:7",
        "rule": "usage_silent",
        "severity": "WARNING",
        "verdict": "not_useful",
        "text": "They moved office",
    },
}


def made(kind: str, **changes: str) -> list[dict[str, Any]]:
    given = {**FILLED[kind], **changes}
    return calls(kind, given, account="acme", author="Ann", record_id="console-1", today=TODAY, owner="Olga")


def test_every_kind_has_a_form_and_names_its_author_and_account() -> None:
    assert FILLED.keys() == FORMS.keys()
    for kind in FORMS:
        call = made(kind)[0]
        assert call["properties"]["author"] == "Ann"
        assert call["context"]["groupId"] == "acme"
        assert call["messageId"].startswith("console-1-")
        assert "userId" not in call


def test_a_form_that_is_sent_twice_has_one_id_and_one_that_was_changed_another() -> None:
    first = made("note")[0]["messageId"]

    assert made("note", text=FILLED["note"]["text"] + " ")[0]["messageId"] == first
    assert len({first, made("note", text="third")[0]["messageId"], made("contact")[0]["messageId"]}) == 3


@pytest.mark.parametrize("kind", FORMS)
def test_a_record_says_what_the_default_plan_declares(kind: str) -> None:
    plan = default_plan()
    event = plan.events[made(kind)[0]["event"]]

    assert set(made(kind)[0]["properties"]) <= set(event.properties)


def test_a_handoff_also_changes_the_owner_and_says_who_it_was() -> None:
    said, fact = made("handoff")

    assert said["properties"]["from_owner"] == "Olga"
    assert (fact["type"], fact["groupId"], fact["traits"]) == ("group", "acme", {"owner": "Nora"})
    assert fact["messageId"] != said["messageId"]


def test_a_contact_of_an_earlier_day_has_that_day_and_one_of_today_the_present() -> None:
    assert made("contact")[0]["timestamp"] == "2027-03-30T12:00:00Z"
    assert "timestamp" not in made("contact", on=TODAY.isoformat())[0]


@pytest.mark.parametrize(
    ("kind", "changes", "field", "problem"),
    [
        ("note", {"text": " \n "}, "text", "missing"),
        ("note", {"text": "x" * 4_001}, "text", "too_long"),
        ("contact", {"channel": "pigeon"}, "channel", "no_choice"),
        ("contact", {"on": "2027-04-01"}, "on", "in_future"),
        ("goal", {"due": "soon"}, "due", "no_date"),
        ("goal", {"due": "2027-W26-3"}, "due", "no_date"),
        ("absence", {"to": "2027-03-31"}, "to", "before_first"),
        ("absence", {"to": "2027-07-02"}, "to", "too_long_away"),
        ("absence", {"from": "2028-04-01", "to": "2028-04-02"}, "to", "too_far"),
        ("churn", {"date": "2029-01-01"}, "date", "too_far"),
        ("churn", {"date": "1989-12-31"}, "date", "too_early"),
        ("contact", {"on": "0202-03-30"}, "on", "too_early"),
        ("churn", {"reason": ""}, "reason", "missing"),
        ("handoff", {"to_owner": ""}, "to_owner", "missing"),
    ],
)
def test_what_cannot_be_recorded_is_refused_by_field(
    kind: str, changes: dict[str, str], field: str, problem: str
) -> None:
    with pytest.raises(BadField) as refused:
        made(kind, **changes)

    assert (refused.value.field, refused.value.problem) == (field, problem)


def event(kind: str, received_at: str = "2027-03-31T10:00:00.000Z", **changes: str) -> dict[str, Any]:
    call = made(kind, **changes)[0]
    properties = msgspec.json.encode(call["properties"]).decode()
    at = call.get("timestamp", received_at)
    return {
        "name": call["event"],
        "kind": call["type"].upper(),
        "environment": "production",
        "internal": False,
        "event_id": call["messageId"],
        "properties": properties,
        "occurred_at": at,
        "received_at": received_at,
        "user_id": "",
    }


def test_records_are_read_again_newest_first_with_their_day_and_their_words() -> None:
    found = recorded([event(kind) for kind in FORMS])

    assert {each.kind: (each.on, each.author) for each in found} == {
        "contact": (date(2027, 3, 30), "Ann"),
        "note": (TODAY, "Ann"),
        "goal": (date(2027, 6, 30), "Ann"),
        "reached": (TODAY, "Ann"),
        "handoff": (TODAY, "Ann"),
        "absence": (date(2027, 4, 1), "Ann"),
        "churn": (date(2027, 3, 1), "Ann"),
        "judged": (TODAY, "Ann"),
    }
    texts = {each.kind: each.texts for each in found}
    assert texts["handoff"] == ["Olga → Nora", "Is on leave"]
    assert texts["note"] == ["Line one\nline two"]


@pytest.mark.parametrize(
    "other", [{"kind": "PAGE"}, {"kind": "SCREEN"}, {"environment": "staging"}, {"internal": True}]
)
def test_only_a_track_call_of_production_is_a_record(other: dict[str, Any]) -> None:
    """A page of any name may be sent with the write key of a browser, which anybody can read."""
    found = recorded([{**event(kind), **other} for kind in FORMS])

    assert [each.kind for each in found if each.kind != "absence" or "internal" not in other] == []


def test_a_goal_has_the_first_record_that_says_that_it_was_reached() -> None:
    goal, other = event("goal"), event("goal", goal="Another")
    first = event("reached", received_at="2027-03-20T10:00:00.000Z", goal_id=goal["event_id"])
    again = event("reached", received_at="2027-03-25T10:00:00.000Z", goal_id=goal["event_id"])

    found = {each.id: each for each in recorded([goal, other, first, again])}

    reached = found[goal["event_id"]].reached
    assert reached is not None
    assert (reached.on, reached.author) == (date(2027, 3, 20), "Ann")
    assert found[other["event_id"]].reached is None
    assert recorded([goal, again], date(2027, 3, 24)) == []


def test_a_record_that_names_no_author_is_of_whoever_sent_it() -> None:
    note = event("note")
    nobody = {**note, "properties": '{"text":"Called"}'}

    assert [each.author for each in recorded([{**nobody, "user_id": "olga"}])] == ["olga"]
    assert [each.author for each in recorded([nobody])] == [""]
    assert [each.author for each in recorded([{**note, "user_id": "olga"}])] == ["Ann"]


def test_an_absence_may_be_of_a_single_day() -> None:
    assert [each.until for each in recorded([event("absence", to="2027-04-01")])] == [date(2027, 4, 1)]


def test_what_became_known_later_is_not_shown_in_the_past() -> None:
    events = [event("note"), event("note", received_at="2027-03-20T10:00:00.000Z")]

    assert len(recorded(events, date(2027, 3, 25))) == 1


def test_an_absence_that_was_changed_is_shown_as_it_stands_and_one_taken_back_is_not() -> None:
    first = event("absence", received_at="2027-03-01T10:00:00.000Z")
    longer = event("absence", received_at="2027-03-02T10:00:00.000Z", to="2027-04-20")
    withdrawn = {**event("absence", received_at="2027-03-03T10:00:00.000Z")}
    withdrawn["properties"] = withdrawn["properties"].replace("}", ',"withdrawn":true}')

    assert [each.until for each in recorded([first, longer])] == [date(2027, 4, 20)]
    assert recorded([first, longer, withdrawn]) == []


@pytest.mark.parametrize("to", ["", "2027-03-31", "2027-07-02"])
def test_an_absence_that_the_scorer_refuses_is_not_shown_as_one(to: str) -> None:
    """Without an end, with one before it begins, and longer than it may be."""
    refused, longest = event("absence"), event("absence", to="2027-07-01")
    refused["properties"] = refused["properties"].replace('"2027-04-09"', f'"{to}"')

    assert recorded([refused]) == []
    assert [each.until for each in recorded([longest])] == [date(2027, 7, 1)]


@pytest.mark.parametrize(
    ("said", "until"),
    [
        ({"from": 1_806_537_600, "to": "20270409"}, date(2027, 4, 9)),
        ({"from": "2027-04-02T00:30:00+02:00"}, date(2027, 4, 9)),
        ({"withdrawn": "false"}, date(2027, 4, 9)),
        ({"from": "2028-04-02", "to": "2028-04-03"}, None),
    ],
)
def test_an_absence_is_read_as_the_scorer_reads_it(said: dict[str, Any], until: date | None) -> None:
    """Days as numbers and with a zone, what takes one back, and how far ahead one may lie."""
    planned = event("absence")
    planned["properties"] = msgspec.json.encode({**msgspec.json.decode(planned["properties"]), **said}).decode()

    assert [(each.on, each.until) for each in recorded([planned])] == ([(date(2027, 4, 1), until)] if until else [])


def test_an_absence_of_the_whole_account_counts_whoever_says_so_as_for_the_scorer() -> None:
    """The tracking plan leaves staff out; what they say about the account it takes."""
    planned = {**event("absence"), "internal": True}
    of_one = {**planned, "properties": planned["properties"].replace('"account"', '"person"')}

    assert [each.until for each in recorded([planned])] == [date(2027, 4, 9)]
    assert recorded([of_one]) == []


@pytest.mark.parametrize("longer_first", [True, False])
def test_of_two_statements_of_one_moment_on_an_absence_the_longer_one_stands_as_for_the_scorer(
    longer_first: bool,
) -> None:
    longer, shorter = event("absence"), event("absence", to="2027-04-05")

    found = recorded([longer, shorter] if longer_first else [shorter, longer])

    assert [each.until for each in found] == [date(2027, 4, 9)]


@pytest.mark.parametrize(
    "properties", ["[]", "{", '{"from": 3, "scope": "account"}', '{"scope": "person", "from": "2027-01-01"}']
)
def test_what_others_sent_under_the_same_names_breaks_nothing(properties: str) -> None:
    assert recorded([{**event("absence"), "properties": properties}]) == []
