"""A plan is drafted from what was seen: names, types, what is always there, and what is known of usual names."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from services.cli.plan.drafting import draft
from services.cli.plan.inferring import MAX_PROPERTIES, Traffic, pattern_of
from services.cli.plan.observed import NoCall, Observed
from services.shared.plan_file import B2B_SAAS_PLAN_FILE, read_plan_file
from services.shared.tracking_plan.event_check import Beside
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.tracking_plan.reading import read_plan

KNOWN = read_plan_file(B2B_SAAS_PLAN_FILE)


def track(name: str, **properties: Any) -> Observed:
    return Observed("TRACK", name, "", properties)


def drafted(*observed: Observed | NoCall) -> TrackingPlan:
    traffic = Traffic(KNOWN)
    for each in observed:
        traffic.add(each)
    return read_plan(yaml.safe_load(draft(traffic)))


@pytest.mark.parametrize(
    ("name", "values", "type_"),
    [
        ("x", ["a", ""], "text"),
        ("x", [1, 2], "whole_number"),
        ("x", [1, 2.0], "whole_number"),
        ("x", [1, 2.5], "number"),
        ("x", [True, False], "boolean"),
        ("x", ["2027-03-31", "2027-03-31T10:00:00Z"], "date"),
        ("x", ["2027-03-31", "soon"], "text"),
        ("x", ["2027"], "text"),
        ("x", [[], [1]], "list"),
        ("x", [{}], "object"),
        ("x", [1, "a"], None),
        ("x", [True, 1], None),
        ("report_id", ["a", 7], "id"),
        ("reportId", ["2027-03-31"], "id"),
        ("id", [7], "id"),
        ("report_id", ["a", ""], "text"),
        ("report_id", [1.5], "number"),
        ("paid", [1, "a"], None),
        ("x", [1, 1e300], None),
        ("x", [2**60], None),
        ("account_id", [2**60], "id"),
    ],
)
def test_a_type_is_the_narrowest_that_all_values_have(name: str, values: list[Any], type_: str | None) -> None:
    plan = drafted(*(track("Done", **{name: value}) for value in values))

    assert plan.events["Done"].properties[name].type == type_


def test_what_all_events_have_is_required_once_there_are_enough() -> None:
    often = [track("Often", a=1, b=n or None) for n in range(10)]
    plan = drafted(*often, *(track("Seldom", a=1) for _ in range(9)))

    assert [plan.events["Often"].properties[name].required for name in ("a", "b")] == [True, False]
    assert not plan.events["Seldom"].properties["a"].required


def test_what_seems_to_be_personal_is_marked() -> None:
    sent = {
        "email": 1,
        "user_name": "a",
        "first-name": "a",
        "IP": "a",
        "owner": "ann@acme.example",
        "zip": "a",
        "shipped": "a",
    }
    plan = drafted(Observed("TRACK", "Done", "", sent), Observed("IDENTIFY", "", "", {"Name": "Ann"}))

    assert {name for name, said in plan.events["Done"].properties.items() if said.personal} == {
        "email", "user_name", "first-name", "IP", "owner",
    }  # fmt: skip
    assert plan.identify_traits["name"].personal


def test_usual_names_mean_what_they_mean_if_it_fits() -> None:
    plan = drafted(
        track("report_shared"), track("Signed Out"), track("Ticket Opened", ticket_id=1), track("Ticket Closed", ticket_id=1),
        track("NPS Submitted", score="ten"), Observed("GROUP", "", "", {"Seats": 5, "ARR": "much", "Owner": "mia@us.example"}),
    )  # fmt: skip

    assert plan.events["report_shared"].means == ["counts.value", "milestones.first_value"]
    assert plan.events["Signed Out"].means == "ignored"
    assert plan.events["Ticket Closed"].means == ["cases.tickets.closed"]
    assert plan.events["NPS Submitted"].means == "use"
    assert (list(plan.cases), list(plan.answers)) == (["tickets"], [])
    assert {name: (said.means, said.personal) for name, said in plan.group_traits.items()} == {
        "seats": ("facts.seats", False), "arr": ("", False), "owner": ("facts.owner", False),
    }  # fmt: skip


def test_facts_have_their_type_where_what_was_seen_fits_it_though_a_narrower_or_wider_one_would_do() -> None:
    """Whole amounts of revenue, codes of countries, owners who are called by a date: the narrowest type is that of no fact."""
    traits = {"Revenue": 12_000, "country": "DE-BY", "owner": "2027-03-31", "plan": "pro"}
    plan = drafted(Observed("GROUP", "", "", traits), Observed("GROUP", "", "", {"revenue": None, "country": "PT"}))
    unfit = drafted(
        Observed("GROUP", "", "", traits), Observed("GROUP", "", "", {"revenue": "much", "country": "Utopia"})
    )

    assert {name: (said.type, said.means) for name, said in plan.group_traits.items()} == {
        "revenue": ("number", "facts.revenue"), "country": ("country", "facts.country"),
        "owner": ("text", "facts.owner"), "plan": ("text", "facts.plan"),
    }  # fmt: skip
    assert (unfit.group_traits["revenue"].means, unfit.group_traits["country"].means) == ("", "")


def people(*roles: Any) -> list[Observed]:
    return [Observed("IDENTIFY", "", "", {"Role": role, "name": "Ann"}) for role in roles]


def test_roles_are_told_apart_as_they_were_said_the_most_frequent_first() -> None:
    plan = drafted(*people("Editor", "admin", " Admin", "other", None, "on call: yes", "x" * 101))

    assert plan.identify_traits["role"].means == "role"
    assert plan.roles == ["admin", "editor", "on call: yes"]


@pytest.mark.parametrize("roles", [[3, 4], ["admin", 3], ["ann@acme.example", "admin"], ["other"], ["a" * 101]])
def test_what_cannot_be_a_role_means_none(roles: list[Any]) -> None:
    plan = drafted(*people(*roles))

    assert (plan.identify_traits["role"].means, plan.roles) == ("", [])


def test_of_more_roles_than_a_plan_may_have_the_rarer_ones_are_left_out_and_counted() -> None:
    traffic = Traffic(KNOWN)
    for each in people("zz", *(f"r{n:02}" for n in range(17)), "zz"):
        traffic.add(each)
    text = draft(traffic)

    assert read_plan(yaml.safe_load(text)).roles == ["zz", *(f"r{n:02}" for n in range(14))]
    assert "# 3 rarer ones count as other" in text


def test_what_only_servers_may_send_stays_so_unless_a_browser_sent_it() -> None:
    plan = drafted(
        track("note_added", text="They move.", author="mia"), track("Account Lost", date="2027-01-31"),
        track("Account Lost", date="2027-01-31")._replace(beside=Beside(from_browser=True)), track("Viewed"),
    )  # fmt: skip

    assert {name: event.client for name, event in plan.events.items()} == {
        "note_added": "server", "Account Lost": None, "Viewed": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "closed",
    [[], [track("Ticket Closed")], [track("Ticket Closed", ticket_id=""), track("Ticket Closed", ticket_id=1)]],
)
def test_cases_that_could_not_be_read_are_not_declared(closed: list[Observed]) -> None:
    plan = drafted(track("Ticket Opened", ticket_id=1), *closed)

    assert (plan.cases, plan.events["Ticket Opened"].means) == ({}, "use")


def test_ids_of_cases_may_be_numbers_and_texts() -> None:
    plan = drafted(*(track(f"Ticket {step}", ticket_id=each) for step in ("Opened", "Closed") for each in (1, "a")))

    assert plan.events["Ticket Opened"].means == ["cases.tickets.opened"]


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/", "/"), ("/reports/", "/reports"), ("/reports/7?a=1", "/reports/*"), ("/u/3f2a-77/edit", "/u/*/edit"),
        ("/docs/a-very-long-slug-of-an-article", "/docs/*"), ("/a b", ""), ("/a//b", ""), ("reports", ""), ("/a" * 9, ""),
        ("", "/"),
    ],
)  # fmt: skip
def test_parts_of_paths_that_seem_to_be_ids_are_stars(path: str, pattern: str) -> None:
    assert pattern_of(path) == pattern


def test_pages_that_were_often_seen_are_named() -> None:
    pages = [Observed("PAGE", "", path, {}) for path in ("/", "/reports", "/reports/7") for _ in range(5)]
    plan = drafted(*pages, Observed("PAGE", "", "/seldom", {}))

    assert {name: page.paths for name, page in plan.pages.items()} == {
        "home": ["/"], "reports": ["/reports"], "one of reports": ["/reports/*"],
    }  # fmt: skip


def test_memory_is_bounded_and_what_is_left_out_is_told() -> None:
    traffic = Traffic(KNOWN)
    for number in range(5_200):
        traffic.add(track(f"Viewed {number}"))
    for number in range(MAX_PROPERTIES + 50):
        traffic.add(track("Viewed 1", **{f"p{number}": 1}))
    traffic.add(track("x" * 300))
    traffic.add(NoCall(7))
    text = draft(traffic)

    assert (len(traffic.events), traffic.unnamed, traffic.unreadable) == (5_000, 201, 1)
    assert len(traffic.events["viewed 1"].properties) == MAX_PROPERTIES
    assert "Left out: 4,700 names that are rarer, and 201 events" in text
    assert len(read_plan(yaml.safe_load(text)).events) == 300
