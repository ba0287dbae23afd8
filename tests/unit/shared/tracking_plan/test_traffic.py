"""A tracking plan as traffic meets it: what breaks it, what is clear, who is left out, what pages are called."""

from __future__ import annotations

from typing import Any

import pytest

from services.shared.plan_file import default_plan
from services.shared.tracking_plan.event_check import Beside
from services.shared.tracking_plan.reading import read_plan
from services.shared.tracking_plan.traffic import TrafficPlan

CONFIG: dict[str, Any] = {
    "events": {
        "Report Shared": {
            "means": ["counts.value"],
            "properties": {
                "report_id": {"type": "id", "required": True},
                "title": {"type": "text"},
                "pages": {"type": "whole_number"},
                "price": {"type": "number"},
                "public": {"type": "boolean"},
                "due": {"type": "date"},
                "country": {"type": "country"},
                "tags": {"type": "list"},
                "owner": {"type": "object"},
                "format": {"one_of": ["pdf", 1]},
                "anything": None,
                "recipient": {"type": "text", "personal": True},
            },
        },
        "Ticket Opened": {"means": ["cases.tickets.opened"]},
        "Ticket Closed": {"means": ["cases.tickets.closed"]},
        "Rated": {"means": ["answers.csat"]},
        "Away": {"means": ["absences.planned"]},
    },
    "pages": {
        "home": {"paths": ["/"]},
        "report list": {"paths": ["/reports"]},
        "report": {"paths": ["/reports/*", "/r/*/view"], "properties": {"tab": {"required": True}}},
        "docs": {"paths": ["/docs/**"]},
    },
    "group_traits": {
        "Seats": {"type": "whole_number", "required": True, "means": "facts.seats"},
        "phone": {"type": "text", "personal": True},
    },
    "identify_traits": {"Role": {"type": "text", "means": "role"}, "email": {"personal": True}},
    "cases": {"tickets": {"id": "ticket_id"}},
    "answers": {"csat": {"score": "stars", "scale": [1, 5]}},
    "roles": ["admin"],
    "excluded_users": ["robot", "*@us.example"],
}
PLAN = TrafficPlan(read_plan(CONFIG))
STRICT = TrafficPlan(read_plan({**CONFIG, "unknown_events": "reject"}))


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("report_id", ["x", 7, "x" * 128], ["", "x" * 129, 1.5, True, {}]),
        ("title", ["x", ""], [7, True, []]),
        ("pages", [7, -7, 7.0], ["7", 7.5, True]),
        ("price", [7, 7.5], ["7", False]),
        ("public", [True, False], [0, "true"]),
        ("due", ["2027-03-31", "2027-03-31T10:00:00.000Z", 1_700_000_000, 1.5], ["soon", "31.3.2027", True, -1, [], "2" * 99]),
        ("country", ["DE", "de-by", "US-CA"], ["Germany", "DE-XX", "", 49, "x" * 99]),
        ("tags", [[], [1]], [{}, "a"]),
        ("owner", [{}, {"a": 1}], [[], "a"]),
        ("anything", [1, "x", [], {}, True], []),
    ],
)  # fmt: skip
def test_a_value_has_the_type_that_the_plan_gives(name: str, right: list[Any], wrong: list[Any]) -> None:
    for value in right:
        assert PLAN.violations("TRACK", "Report Shared", {"report_id": 1, name: value}) == []
    for value in wrong:
        (found,) = PLAN.violations("TRACK", "report_shared", {"report_id": 1, name: value})
        assert (found.code, found.field) == ("plan_wrong_type", f"properties.{name}")
        assert found.detail.startswith("send ")


@pytest.mark.parametrize("name", ["pages", "price"])
def test_numbers_have_the_bound_that_facts_have(name: str) -> None:
    for value in (10**15, -(10**15), 1e15):
        assert PLAN.violations("TRACK", "Report Shared", {"report_id": 10**18, name: value}) == []
    for value in (1e300, -1e300, 10**15 + 1, 2**63, float("nan"), float("inf")):
        (found,) = PLAN.violations("TRACK", "Report Shared", {"report_id": 1, name: value})
        assert (found.code, found.field) == ("plan_wrong_value", f"properties.{name}")
        assert "1e15" in found.detail


def test_one_of_takes_its_values_alone() -> None:
    value: Any
    for value in ("pdf", 1, 1.0):
        assert PLAN.violations("TRACK", "Report Shared", {"report_id": 1, "format": value}) == []
    for value in ("PDF", True, [], {}, "x" * 5000):
        (found,) = PLAN.violations("TRACK", "Report Shared", {"report_id": 1, "format": value})
        assert (found.code, found.field) == ("plan_wrong_value", "properties.format")
        assert len(found.detail) < 200
        assert found.detail.startswith("send one of pdf, 1, not ")


def test_what_is_required_is_missing_if_it_is_null() -> None:
    for properties in ({}, {"report_id": None}, {"Report_ID": 1}):
        (found,) = PLAN.violations("TRACK", "Report Shared", properties)
        assert (found.code, found.field) == ("plan_missing_property", "properties.report_id")
    assert PLAN.violations("TRACK", "Report Shared", {"report_id": 1, "title": None}) == []


def test_all_that_breaks_the_plan_is_found() -> None:
    found = PLAN.violations("TRACK", "Report Shared", {"title": 1, "pages": "x", "unheard_of": object()})

    assert [each.field for each in found] == ["properties.report_id", "properties.title", "properties.pages"]


@pytest.mark.parametrize(
    ("name", "field"), [("Ticket Opened", "ticket_id"), ("ticket closed", "ticket_id"), ("Rated", "stars")]
)
def test_what_state_is_read_from_is_required_though_the_event_does_not_list_it(name: str, field: str) -> None:
    assert [(each.code, each.field) for each in PLAN.violations("TRACK", name, {})] == [
        ("plan_missing_property", f"properties.{field}")
    ]
    assert PLAN.violations("TRACK", name, {field: 3}) == []
    assert PLAN.clear_properties("TRACK", name) == {field}


def test_an_absence_needs_its_first_day_and_whom_it_is_of_though_the_event_does_not_list_them() -> None:
    right = {"from": "2027-07-19", "to": "2027-08-06", "scope": "account"}

    assert PLAN.violations("TRACK", "Away", right) == []
    assert PLAN.violations("TRACK", "Away", {"from": "2027-07-19", "scope": "person", "withdrawn": True}) == []
    found = PLAN.violations("TRACK", "Away", {"to": "soon", "scope": "team", "withdrawn": "yes"})
    assert {(each.code, each.field) for each in found} == {
        ("plan_missing_property", "properties.from"),
        ("plan_wrong_type", "properties.to"),
        ("plan_wrong_value", "properties.scope"),
        ("plan_wrong_type", "properties.withdrawn"),
    }
    assert PLAN.clear_properties("TRACK", "Away") == {"from", "to", "scope", "withdrawn"}


def test_what_state_cannot_be_read_from_is_told_once_for_each_property() -> None:
    """Though the event lists the property as text that may be anything, or its type says enough."""
    config = {
        "events": {"Opened": {"means": ["cases.tickets.opened"], "properties": {"ticket_id": {"type": "text"}}},
                   "Closed": {"means": ["cases.tickets.closed"]}, "Rated": {"means": ["answers.csat"]}},
        "cases": {"tickets": {"id": "ticket_id"}}, "answers": {"csat": {"score": "stars", "scale": [1, 5]}},
    }  # fmt: skip
    plan = TrafficPlan(read_plan(config))

    for event, properties, code, field in (
        ("Opened", {"ticket_id": "x" * 129}, "plan_wrong_value", "ticket_id"),
        ("Closed", {"ticket_id": "x" * 129}, "plan_wrong_type", "ticket_id"),
        ("Rated", {"stars": 6}, "plan_wrong_value", "stars"),
        ("Rated", {"stars": 2.5}, "plan_wrong_type", "stars"),
    ):
        found = plan.violations("TRACK", event, properties)
        assert [(each.code, each.field) for each in found] == [(code, f"properties.{field}")]
    assert plan.violations("TRACK", "Rated", {"stars": 5}) == []


def test_all_that_is_wrong_with_an_absence_is_found_at_once() -> None:
    absence = {"from": "2027-07-19", "to": "2027-07-01", "scope": "person"}
    found = PLAN.violations("TRACK", "Away", absence, Beside(has_user=False, day=0))

    assert sorted(each.field for each in found) == ["properties.from", "properties.scope", "properties.to"]


def test_a_word_for_no_actor_breaks_every_plan() -> None:
    for name in ("Report Viewed", "Ticket Opened"):
        found = PLAN.violations("TRACK", name, {"ticket_id": 1}, Beside(None))
        assert [(each.code, each.field) for each in found] == [("plan_wrong_value", "context.actor")]


def test_traits_are_compared_without_regard_to_case() -> None:
    assert PLAN.violations("GROUP", "", {"SEATS": 5}) == []
    assert [(each.code, each.field) for each in PLAN.violations("GROUP", "", {"sEats": "5", "Phone": 1})] == [
        ("plan_wrong_type", "traits.seats"),
        ("plan_wrong_type", "traits.phone"),
    ]
    assert [each.code for each in PLAN.violations("GROUP", "", {})] == ["plan_missing_property"]
    assert [each.field for each in PLAN.violations("IDENTIFY", "", {"ROLE": 7, "email": 7})] == ["traits.role"]


@pytest.mark.parametrize(
    ("traits", "wrong"),
    [
        ({"SEATS": "many", "seats": 3}, 1),
        ({"seats": 3, "SEATS": "many"}, 1),
        ({"SEATS": "a", "Seats": "b", "seats": 3}, 1),
        ({"SEATS": 2, "seats": 3}, 0),
        ({"SEATS": None, "seats": 3}, 0),
        ({"seats": 3, "SEATS": None}, 0),
    ],
)
def test_each_of_the_traits_that_differ_in_case_alone_is_judged(traits: dict[str, Any], wrong: int) -> None:
    assert [each.field for each in PLAN.violations("GROUP", "", traits)] == ["traits.seats"] * wrong


def test_only_what_is_named_and_not_personal_is_clear() -> None:
    assert PLAN.clear_properties("TRACK", "Report-Shared") == set(CONFIG["events"]["Report Shared"]["properties"]) - {"recipient"}  # fmt: skip
    assert PLAN.clear_properties("TRACK", "Report Viewed") == frozenset()
    assert PLAN.clear_properties("PAGE", "Report") == {"tab"}
    assert PLAN.clear_properties("SCREEN", "report") == {"tab"}
    assert PLAN.clear_properties("GROUP", "") == {"seats"}
    assert PLAN.clear_properties("IDENTIFY", "") == {"role"}
    assert PLAN.clear_properties("ALIAS", "") == frozenset()


def test_an_unknown_event_breaks_a_plan_that_says_so() -> None:
    assert PLAN.violations("TRACK", "Report Viewed", {}) == []
    assert [each.code for each in STRICT.violations("TRACK", "Report Viewed", {})] == ["plan_unknown_event"]
    for kind in ("PAGE", "SCREEN", "ALIAS", "IDENTIFY"):
        assert STRICT.violations(kind, "Somewhere", {}) == []


def test_events_are_called_as_the_plan_spells_them() -> None:
    named = [("TRACK", "report_shared"), ("TRACK", "Report Viewed"), ("PAGE", "HOME"), ("GROUP", ""), ("ALIAS", "")]
    assert [PLAN.named(*each) for each in named] == ["Report Shared", "", "home", "group", ""]


def test_users_are_left_out_by_id_or_ending() -> None:
    assert [PLAN.leaves_out(user) for user in ("robot", "eve@us.example", "ann", "", "robots")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert not TrafficPlan(default_plan()).leaves_out("robot")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "home"),
        ("", "home"),
        ("/reports", "report list"),
        ("/reports/", "report list"),
        ("/reports?tab=1#top", "report list"),
        ("/reports/7", "report"),
        ("/r/7/view/", "report"),
        ("/reports/7/edit", ""),
        ("/docs", "docs"),
        ("/docs/a/b/c", "docs"),
        ("/docsx", ""),
        ("/REPORTS", ""),
        ("/docs/" + "a" * 3000, ""),
    ],
)
def test_a_page_is_known_by_its_path(path: str, name: str) -> None:
    assert PLAN.page_name(path) == name


def test_a_path_that_is_written_out_wins_over_patterns_and_of_those_the_first() -> None:
    paths = {"one": ["/a/*"], "any": ["/*/new", "/b/**"], "new": ["/a/new/"], "all": ["/**"]}
    plan = TrafficPlan(read_plan({"pages": {name: {"paths": given} for name, given in paths.items()}}))

    found = [plan.page_name(path) for path in ("/a/new", "/a/7", "/b/new", "/b/c/d", "/c/new", "/c", "/", "no path")]
    assert found == ["new", "one", "any", "any", "any", "all", "all", ""]
    assert TrafficPlan(default_plan()).page_name("/") == ""


def test_names_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.shared.tracking_plan.traffic._REMEMBERED_NAMES", 3)
    plan = TrafficPlan(read_plan(CONFIG))
    for number in range(10):
        assert plan.clear_properties("TRACK", f"unheard of {number}") == frozenset()

    assert len(plan._known) == 3
    assert plan.clear_properties("TRACK", "RATED") == {"stars"}
