"""What becomes of a good event."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from services.ingest.domain.admission import Admitted, admit
from services.ingest.domain.personal import UserLink
from services.ingest.domain.request import Request, Rules
from services.shared.errors import Rejected
from services.shared.pseudonyms import Pseudonyms
from services.shared.units import HOUR_MS
from tests.support.ingest import rules, user, visitor

NOW = 1_800_000_000_000
REQUEST = Request("web", "production", NOW)
PLAN = {
    "events": {
        "Report Exported": {"properties": {"rows": {"type": "number"}}},
        "x": {"properties": {"rows": {"type": "number"}, "reviewer": {"type": "text", "personal": True}}},
    },
    "group_traits": {"Seats": {"type": "whole_number"}},
    "pages": {"report": {"paths": ["/reports/*"]}},
    "excluded_users": ["*@us.example"],
}


def taken(event: dict[str, Any], request: Request = REQUEST, by: Rules | None = None) -> Admitted:
    return admit(json.dumps(event).encode(), request, by or rules(PLAN), lambda: "assigned-1")


def test_an_event_becomes_the_record_that_the_log_has() -> None:
    admitted = taken(
        {
            "type": "track",
            "event": "Report Exported",
            "userId": "ann",
            "anonymousId": "anon",
            "messageId": "m1",
            "timestamp": "2027-01-15T07:59:00.000Z",
            "properties": {"rows": 3, "title": "Q3"},
            "context": {"groupId": "acme", "ip": "10.0.0.1"},
            "integrations": {"All": True},
        },
        Request("web", "production", NOW, sent_at=NOW - 5_000, accepted_by="ingest-a-0"),
    )

    assert admitted.event == {
        "event_id": "m1",
        "id_source": "CLIENT",
        "source": "web",
        "environment": "production",
        "account": "acme",
        "user": user("ann"),
        "kind": "TRACK",
        "name": "Report Exported",
        "use": True,
        "occurred_at": NOW - 55_000,
        "received_at": NOW,
        "skew_ms": 5_000,
        "epoch": 0,
        "historical": False,
        "properties": '{"rows":3}',
        "identified": True,
        "internal": False,
        "via": "EVENT",
        "forwards": 0,
        "authority": "SERVER",
        "actor": "UNKNOWN",
        "accepted_by": "ingest-a-0",
    }
    assert admitted.key == b"acme"
    assert admitted.details == {
        "event_id": "m1",
        "source": "web",
        "environment": "production",
        "account": "acme",
        "user": user("ann"),
        "user_id": "ann",
        "anonymous_id": "anon",
        "occurred_at": NOW - 55_000,
        "received_at": NOW,
        "epoch": 0,
        "properties": '{"title":"Q3"}',
        "extra": '{"integrations":{"All":true},"context":{"groupId":"acme","ip":"10.0.0.1"}}',
    }


BASE = {"type": "track", "event": "x", "userId": "u"}
ACCOUNTS: list[tuple[dict[str, Any], str]] = [
    ({"context": {"groupId": "a"}, "groupId": "b", "properties": {"account_id": "c"}}, "a"),
    ({"groupId": "b", "properties": {"account_id": "c"}}, "b"),
    ({"properties": {"company_id": "d", "account_id": "c"}}, "c"),
    ({"properties": {"organizationId": 42}}, "42"),
    ({"properties": {"account_id": None, "company_id": "d"}}, "d"),
    ({"properties": {"account_id": "", "company_id": "d"}}, "d"),
    ({"properties": {"company": {"id": "e"}}}, "e"),
    ({"properties": {"$groups": {"company": "f"}}}, "f"),
    ({"type": "identify", "traits": {"accountId": "g"}}, "g"),
    ({"type": "identify", "properties": {"accountId": "g"}}, ""),
    ({"type": "group", "groupId": "h", "traits": {"account_id": "i"}}, "h"),
    ({"type": "group", "groupId": "h", "context": {"groupId": "a"}}, "h"),
    ({"type": "group", "context": {"groupId": "a"}}, "a"),
    ({"type": "identify", "groupId": "h", "context": {"groupId": "a"}}, "a"),
    ({"properties": {"company": "a name"}}, ""),
    ({}, ""),
]


@pytest.mark.parametrize(("members", "account"), ACCOUNTS)
def test_the_account_is_found_where_applications_put_it(members: dict[str, Any], account: str) -> None:
    assert taken({**BASE, **members}).event["account"] == account


def test_a_group_call_speaks_of_its_group_wherever_its_user_is() -> None:
    """Who is in one workspace and creates another, with code that puts the workspace into the context of all calls."""
    call = {**BASE, "type": "group", "groupId": "new", "traits": {"Seats": 3}, "context": {"groupId": "old"}}

    admitted = taken(call)

    assert [(link.kind, link.account) for link in admitted.links] == [("MEMBER", "new")]
    assert admitted.event["properties"] == '{"Seats":3}'
    assert json.loads((admitted.details or {})["extra"])["context"] == {"groupId": "old"}


def test_the_names_of_account_properties_are_configurable() -> None:
    event = {**BASE, "properties": {"account_id": "a", "workspace": "b"}}

    assert taken(event, by=rules(account_fields=("workspace",))).event["account"] == "b"


def test_an_event_of_an_account_needs_no_user() -> None:
    admitted = taken({"type": "track", "event": "x", "context": {"groupId": "acme"}})

    assert (admitted.event["account"], admitted.event["user"]) == ("acme", "")


def test_an_event_without_an_account_is_keyed_by_its_user() -> None:
    assert taken(BASE).key == user("u").encode()
    assert taken(BASE).event["account"] == ""


def test_the_content_id_is_the_same_for_each_attempt_and_for_nothing_else() -> None:
    event = {**BASE, "timestamp": "2027-01-01T00:00:00Z", "properties": {"a": 1, "b": 2}}
    again = {"sentAt": "2027-01-01T00:00:09Z", "_metadata": {"retryCount": 1}, **dict(reversed(event.items()))}
    other = {**event, "properties": {"a": 1, "b": 3}}

    assert taken(event).event["event_id"] == taken(again).event["event_id"] != taken(other).event["event_id"]
    assert taken(event).event["id_source"] == "CONTENT"
    assert taken(event).event["event_id"] == "content-515e469776e265c106fd72f265be7ee4"


def test_nobody_can_try_out_user_ids_on_a_content_id_without_the_key() -> None:
    event = {**BASE, "timestamp": "2027-01-01T00:00:00Z"}
    elsewhere = replace(rules(PLAN), pseudonyms=Pseudonyms(bytes(range(1, 33))))

    assert taken(event).event["event_id"] != taken(event, by=elsewhere).event["event_id"]


def test_an_event_without_id_and_time_gets_an_id() -> None:
    assert taken(BASE).event["event_id"] == "assigned-1"
    assert taken(BASE).event["id_source"] == "ASSIGNED"


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15T09:00:00.000+01:00", NOW),
        ("2027-01-15T07:59:59.999999999Z", NOW - 1),
        ("2027-01-15T08:00:00", NOW),
        ("2027-01-15", NOW - 8 * HOUR_MS),
        (NOW - 7, NOW - 7),
        ("2027-01-16T07:59:59Z", NOW),  # up to a day ahead: taken as just now
        (None, NOW),
        ("", NOW),
    ],
)
def test_timestamps_are_read_as_sdks_write_them(stamp: Any, expected: int) -> None:
    assert taken({**BASE, "timestamp": stamp}).event["occurred_at"] == expected


def test_the_time_of_rudderstack_is_read_too() -> None:
    assert taken({**BASE, "originalTimestamp": "2027-01-15T07:59:59Z"}).event["occurred_at"] == NOW - 1_000


def test_integers_are_taken_as_ids() -> None:
    admitted = taken({**BASE, "userId": 7, "messageId": 8, "context": {"groupId": 9}})

    assert (admitted.event["user"], admitted.event["event_id"], admitted.event["account"]) == (user("7"), "8", "9")


def test_what_an_event_says_of_its_context_goes_before_what_its_batch_says() -> None:
    batch = Request("web", "production", NOW, context={"ip": "10.0.0.1", "groupId": "acme"})
    event = {"type": "track", "event": "x", "userId": "u", "messageId": "m"}

    own, without = taken({**event, "context": {"groupId": "globex"}}, batch), taken(event, batch)

    assert [each.event["account"] for each in (own, without)] == ["globex", "acme"]
    assert own.details is not None
    assert json.loads(own.details["extra"]) == {"context": {"ip": "10.0.0.1", "groupId": "globex"}}
    assert batch.context == {"ip": "10.0.0.1", "groupId": "acme"}


@pytest.mark.parametrize("event", [{"type": "identify"}, {"type": "group", "groupId": "acme"}])
def test_only_of_pages_and_screens_a_name_is_a_field_of_its_own(event: dict[str, Any]) -> None:
    details = taken({**event, "userId": "u", "messageId": "m", "name": "Ann"}).details

    assert details is not None
    assert json.loads(details["extra"])["name"] == "Ann"


def test_types_may_be_letters_and_of_any_case() -> None:
    kinds = [taken({**BASE, "type": kind}).event["kind"] for kind in ("Track", "t", "PAGE", "s")]

    assert kinds == ["TRACK", "TRACK", "PAGE", "SCREEN"]


def test_no_id_and_no_property_that_scoring_does_not_need_is_on_the_long_log() -> None:
    event = {
        **BASE,
        "userId": "ann@acme.example",
        "anonymousId": "anon",
        "properties": {"rows": 3, "email": "ann@acme.example", "reviewer": "ann"},
    }
    admitted = taken(
        {**event, "context": {"ip": "192.0.2.7", "traits": {"email": "ann@acme.example"}}, "groupId": "acme"}
    )

    assert json.loads(admitted.event["properties"]) == {"rows": 3}
    assert not any("ann" in str(value) or "192.0.2.7" in str(value) for value in admitted.event.values())
    assert admitted.details is not None
    assert json.loads(admitted.details["properties"]) == {"email": "ann@acme.example", "reviewer": "ann"}


def test_an_event_that_holds_nothing_else_has_no_details() -> None:
    assert taken({"type": "track", "event": "x", "groupId": "acme", "properties": {"rows": 1}}).details is None


def test_users_that_the_plan_leaves_out_are_marked() -> None:
    assert taken({**BASE, "userId": "eve@us.example"}).event["internal"]
    assert not taken({**BASE, "userId": "ann"}).event["internal"]
    assert not taken({"type": "track", "event": "x", "anonymousId": "eve@us.example"}).event["internal"]


def test_what_they_say_about_themselves_says_that_the_plan_leaves_them_out() -> None:
    for members in ({"groupId": "acme", "anonymousId": "a"}, {"type": "group", "groupId": "acme", "anonymousId": "a"}):
        assert [link.internal for link in taken({**BASE, **members, "userId": "eve@us.example"}).links] == [True, True]
        assert [link.internal for link in taken({**BASE, **members}).links] == [False, False]


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_event_of_a_backfill_is_of_any_age_and_never_of_a_time_to_come(epoch: int) -> None:
    backfill = Request("web", "production", NOW, backfill=True, epoch=epoch)
    for stamp in (10**12, NOW, NOW + 24 * HOUR_MS):
        assert taken({**BASE, "timestamp": stamp, "sentAt": NOW - HOUR_MS}, backfill).event["occurred_at"] == stamp
    with pytest.raises(Rejected) as refused:
        taken({**BASE, "timestamp": NOW + 24 * HOUR_MS + 1}, backfill)

    assert (refused.value.code, refused.value.field) == ("timestamp_in_future", "timestamp")


def test_a_record_says_who_holds_the_key_that_it_came_with() -> None:
    assert taken(BASE).event["authority"] == "SERVER"
    assert taken(BASE, Request("web", "production", NOW, client="browser")).event["authority"] == "BROWSER"


SERVER = ("SERVER", "production")
LINKS: list[tuple[dict[str, Any], list[UserLink]]] = [
    ({"type": "track"}, []),
    ({"groupId": "acme"}, [UserLink("NAMED", user("u"), True, "acme", "", *SERVER)]),
    ({"type": "group", "groupId": "acme"}, [UserLink("MEMBER", user("u"), True, "acme", "", *SERVER)]),
    (
        {"type": "identify", "traits": {"company": {"id": "acme"}}},
        [UserLink("MEMBER", user("u"), True, "acme", "", *SERVER)],
    ),
    ({"type": "identify"}, []),
    ({"anonymousId": "a"}, [UserLink("SAME", visitor("a"), False, "", user("u"), *SERVER)]),
    (
        {"type": "identify", "anonymousId": "a"},
        [UserLink("SAME", visitor("a"), False, "", user("u"), *SERVER, login=True)],
    ),
    ({"anonymousId": "u"}, [UserLink("SAME", visitor("u"), False, "", user("u"), *SERVER)]),
    (
        {"type": "alias", "previousId": "a"},
        [
            UserLink("SAME", visitor("a"), False, "", user("u"), *SERVER, login=True),
            UserLink("SAME", user("a"), False, "", user("u"), *SERVER, login=True),
        ],
    ),
    (
        {"type": "alias", "previousId": "a", "anonymousId": "a"},
        [UserLink("SAME", visitor("a"), False, "", user("u"), *SERVER, login=True)],
    ),
    ({"type": "alias", "previousId": "u"}, [UserLink("SAME", visitor("u"), False, "", user("u"), *SERVER, login=True)]),
    (
        {"userId": None, "anonymousId": "a", "groupId": "acme"},
        [UserLink("NAMED", visitor("a"), False, "acme", "", *SERVER)],
    ),
    ({"userId": None, "groupId": "acme"}, []),
]


@pytest.mark.parametrize(("members", "links"), LINKS)
def test_what_an_event_says_about_its_user_is_passed_on(members: dict[str, Any], links: list[UserLink]) -> None:
    assert taken({**BASE, **members}).links == links


@pytest.mark.parametrize(
    ("sent", "name", "kept"),
    [
        ({"properties": {"path": "/reports/7"}}, "report", None),
        ({"context": {"page": {"path": "/reports/7?tab=1"}}}, "report", None),
        ({"properties": {"path": "/reports/7"}, "name": "Report 7 of Ann"}, "report", "Report 7 of Ann"),
        ({"properties": {"path": "/other"}, "name": "Other"}, "Other", None),
        ({"properties": {"path": 7}, "context": {"page": "/reports/7"}}, "", None),
        ({"properties": {"path": "/reports/7"}, "type": "screen"}, "", None),
    ],
)
def test_a_page_is_called_as_the_plan_says_and_keeps_its_own_name_beside(
    sent: dict[str, Any], name: str, kept: str | None
) -> None:
    admitted = taken({"type": "page", "userId": "u", **sent})

    assert admitted.event["name"] == name
    assert admitted.details is not None
    assert json.loads(admitted.details["extra"]).get("name") == kept


def test_traits_that_the_plan_names_stay_whatever_their_case() -> None:
    admitted = taken({"type": "group", "groupId": "acme", "traits": {"SEATS": 4, "phone": "1"}})

    assert json.loads(admitted.event["properties"]) == {"SEATS": 4}
    assert admitted.details is not None
    assert json.loads(admitted.details["properties"]) == {"phone": "1"}


def test_what_a_browser_calls_anonymous_is_never_a_user() -> None:
    browser = Request("web", "production", NOW, client="browser")
    found = [
        link
        for members in (
            {"anonymousId": "kim"},
            {"type": "alias", "previousId": "kim"},
            {"type": "alias", "previousId": "kim", "anonymousId": "kim"},
        )
        for link in taken({**BASE, **members}, browser).links
    ]

    said = UserLink("SAME", visitor("kim"), False, "", user("u"), "BROWSER", "production")
    assert found == [said, msgspec.structs.replace(said, login=True), msgspec.structs.replace(said, login=True)]
    assert visitor("kim") != user("kim")


@pytest.mark.parametrize(
    ("raw", "kind", "field", "detail"),
    [
        (b"", "", "", "there is no event here; leave out the comma before or after it"),
        (b'{"userId":"u"}', "", "type", "type is missing; send one of track, page, screen, identify, group, alias"),
        (b'{"type":"","userId":"u"}', "", "type", "type is missing; send one of track"),
        (b'{"type":7,"userId":"u"}', "", "type", "type must be text"),
        (b'{"type":"trak","userId":"u"}', "", "type", "'trak' is no type of event; send one of track"),
        (b'{"batch":[]}', "TRACK", "event", "this path takes one event; send a batch to /v1/batch"),
        (
            b'{"a":"' + b"x" * 40_000 + b'"}',
            "",
            "",
            "at most 32768 are taken; send smaller properties or fewer of them",
        ),
        (
            b'{"type":"track","event":"x","userId":"u","timestamp":"2027-01-16T09:00:00Z"}',
            "",
            "timestamp",
            "the time is over 25 hours ahead, and up to 24 are accepted; correct the sender's clock, or send sentAt",
        ),
    ],
)
def test_a_refusal_says_what_to_do(raw: bytes, kind: str, field: str, detail: str) -> None:
    with pytest.raises(Rejected) as refused:
        admit(raw, Request("web", "production", NOW, kind=kind), rules(PLAN), lambda: "assigned-1")

    assert refused.value.field == field
    assert detail in refused.value.detail
