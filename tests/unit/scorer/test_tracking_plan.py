"""The tracking plan: what may be declared, what is refused and with which path, and what events come to mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.scorer.domain.lane.meanings import PLAIN, Meanings
from services.scorer.domain.plan_reading import read_plan
from services.scorer.domain.tracking_plan import TrackingPlan, kinds_of
from tests.support.scorer import UsageLane, at

PAGE = Path(__file__).parents[3] / "docs" / "tracking-plan.md"
DEFAULT, EXAMPLE = (
    yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
)


def problems(config: Any) -> list[str]:
    with pytest.raises(ValueError, match=".") as refused:
        read_plan(config)
    return str(refused.value).splitlines()


def test_the_default_is_the_one_of_the_page() -> None:
    assert read_plan(DEFAULT) == read_plan({}) == TrackingPlan()


def test_the_example_of_the_page_declares_each_kind() -> None:
    assert kinds_of(read_plan(EXAMPLE)).state >= {
        "counts.events", "counts.active", "counts.exports", "counts.invoices_closed", "cases.invoices", "answers.csat",
        "facts.seats", "milestones.first_activity", "milestones.integrated", "people.active", "people.roles", "people.features",
    }  # fmt: skip


def test_the_default_declares_what_there_is_and_neither_roles_nor_features() -> None:
    assert kinds_of(TrackingPlan()).state == {
        "counts.events", "counts.active", "counts.value", "counts.tickets_opened", "counts.tickets_closed", "cases.tickets",
        "answers.nps", "facts.name", "facts.owner", "facts.revenue", "facts.seats", "facts.plan", "facts.contract_start_day",
        "facts.renewal_day", "facts.parent", "milestones.first_activity", "milestones.first_value", "people.active",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("config", "path", "said"),
    [
        ([], "the plan", "give names"),
        ({"values": {}}, "values", "there is no such kind"),
        ({"counts": ["a"]}, "counts", "give names"),
        ({"counts": {"x": "Opened"}}, "counts.x", "Expected `array`"),
        ({"counts": {"x": ["a", 7]}}, "counts.x[1]", "Expected `str`"),
        ({"cases": {"x": {"opened": ["a"], "closed": ["b"]}}}, "cases.x", "required field `id`"),
        ({"cases": {"x": {"opened": ["a"], "closed": ["b"], "id": "i", "at": "t"}}}, "cases.x", "unknown field `at`"),
        ({"facts": {"x": {"traits": ["x"], "type": "color"}}}, "facts.x.type", "Invalid enum value"),
        ({"people": {"names": {}}}, "people.names", "there is no such part"),
        ({"people": {"role": {"trait": "role"}}}, "people.role", "required field `values`"),
        ({"people": {"features": {"x": 1}}}, "people.features.x", "Expected `array`"),
        ({"counts": {"Exports": ["a"]}}, "counts.Exports", "small letters"),
        ({"counts": {"events": ["a"]}}, "counts.events", "of every account already"),
        ({"milestones": {"first_activity": ["a"]}}, "milestones.first_activity", "of every account already"),
        ({"counts": {"nps": ["a"]}}, "answers.nps", "of counts.nps already"),
        ({"counts": {"tickets_opened": ["a"]}}, "counts.tickets_opened", "of cases.tickets already"),
        ({"people": {"features": {"seats": ["a"]}}}, "people.features.seats", "of facts.seats already"),
        ({"counts": {"x": []}}, "counts.x", "at least one event"),
        ({"counts": {"x": [" _"]}}, "counts.x", "not empty"),
        ({"counts": {"x": ["ticket_opened"]}}, "cases.tickets.opened", "use of the product by counts.x"),
        (
            {"cases": {"x": {"opened": ["a"], "closed": ["A"], "id": "i"}}},
            "cases.x.closed",
            "the opening of x by cases.x.opened",
        ),
        ({"answers": {"x": {"events": ["Ticket-Closed"]}}}, "answers.x.events", "the closing of tickets"),
        ({"facts": {"x": {"traits": ["a"]}, "y": {"traits": ["A"]}}}, "facts.y.traits", "says facts.x already"),
        ({"facts": {"x": {"traits": []}}}, "facts.x.traits", "at least one trait"),
        ({"facts": {"seats": {"traits": ["seats"]}}}, "facts.seats.type", "must be whole_number"),
        ({"answers": {"x": {"events": ["a"], "scale": [5, 5]}}}, "answers.x.scale", "a greater highest"),
        ({"answers": {"x": {"events": ["a"], "scale": [0, 101]}}}, "answers.x.scale", "within 0 to 100"),
        ({"people": {"role": {"trait": "r", "values": ["a", "A "]}}}, "people.role.values", "none of them twice"),
        ({"people": {"role": {"trait": "r", "values": ["Other"]}}}, "people.role.values", "other is what"),
        ({"counts": {f"c{n}": [f"a{n}"] for n in range(29)}}, "counts", "33 are too many"),
        ({"milestones": {f"c{n}": [f"a{n}"] for n in range(17)}}, "milestones", "17 are too many"),
        ({"facts": {f"c{n}": {"traits": [f"a{n}"]} for n in range(33)}}, "facts", "33 are too many"),
        ({"answers": {f"c{n}": {"events": [f"a{n}"]} for n in range(9)}}, "answers", "9 are too many"),
        ({"cases": {f"c{n}": {"opened": [f"a{n}"], "closed": [f"b{n}"], "id": "i"} for n in range(9)}}, "cases", "9 are"),
        ({"people": {"features": {f"c{n}": [f"a{n}"] for n in range(17)}}}, "people.features", "17 are too many"),
        ({"people": {"role": {"trait": "r", "values": [f"r{n}" for n in range(16)]}}}, "people.role.values", "16 are"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(config: Any, path: str, said: str) -> None:
    (problem,) = problems(config)

    assert problem.startswith(f"{path}: ")
    assert said in problem


def test_all_that_is_wrong_is_said_at_once() -> None:
    config = {
        "count": {},
        "counts": {"x": 1, "Y": ["a"]},
        "cases": {"z": {"opened": ["a"], "closed": ["a"], "id": 1}},
        "people": {"role": {"trait": "role", "values": []}},
    }

    assert [problem.partition(":")[0] for problem in problems(config)] == [
        "count", "counts.x", "cases.z.id", "counts.Y", "people.role.values",
    ]  # fmt: skip


def test_an_event_may_be_a_count_a_milestone_and_a_feature_at_once() -> None:
    plan = read_plan(
        {
            "counts": {"exports": ["Report Exported"], "work": ["report_exported", "Query Run"]},
            "milestones": {"first_export": ["Report Exported"]},
            "people": {"features": {"reports": ["REPORT-EXPORTED"]}},
        }
    )
    meanings = Meanings(plan)
    kinds = meanings.kinds
    meaning = meanings.all[meanings.number("Report  Exported")]

    assert meaning.is_use
    assert meaning.counts == (kinds.counts["exports"], kinds.counts["work"])
    assert (meaning.milestones, meaning.features) == ((kinds.milestones["first_export"],), (0,))
    assert 0 < meanings.number("Query Run") <= meanings.last_use < meanings.number("Ticket Opened")
    assert meanings.number("Dashboard Viewed") == PLAIN


def test_events_of_value_alone_are_also_those_of_the_first_value() -> None:
    assert read_plan({"counts": {"value": ["Report Exported"]}}).milestones == {"first_value": ["Report Exported"]}
    assert read_plan({"counts": {}}).milestones == {}
    given = {"counts": {"value": ["A"]}, "milestones": {"first_value": ["B"]}}
    assert read_plan(given).milestones == {"first_value": ["B"]}


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"answers": {"nps": {"events": ["Rated"], "scale": [1, 5]}}}, "answers.nps.scale: must be [0, 10]"),
        ({"milestones": {"last_activity": ["X"]}}, "last_activity is a name of every account already"),
        ({"cases": {"tickets": {"opened": ["A"], "closed": ["B"], "id": ""}}}, "cases.tickets.id: a name is not empty"),
        ({"answers": {"rated": {"events": ["Rated"], "score": " s"}}}, "answers.rated.score: a name is not empty"),
        ({"facts": {"owner": {"traits": [" owner "]}}}, "facts.owner.traits: a name is not empty"),
        ({"people": {"role": {"trait": "", "values": ["a"]}}}, "people.role.trait: a name is not empty"),
        ({"excluded_users": ["*"]}, "excluded_users: '*' leaves out everybody"),
    ],
)
def test_what_would_be_accepted_and_take_no_effect_is_refused(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=".") as caught:
        read_plan(config)

    assert problem in str(caught.value)


def test_a_dimension_that_a_new_plan_has_no_state_for_counts_no_more() -> None:
    lane = UsageLane()
    lane.event("e1", name="Value Delivered")
    lane.event("e2", name="Ticket Opened", properties={"ticket_id": "t"})
    assert {"value", "support"} <= lane.state.connected

    bare = UsageLane(plan=read_plan({"cases": {}}), start=0)
    for key, value in lane.state_records().items():
        bare.state.restore(key, value)
    bare.state.restored()

    assert lane.state.connected - bare.state.connected == {"support"}


def test_the_first_value_connects_its_dimension_where_value_is_not_counted() -> None:
    plan = read_plan({"counts": {}, "milestones": {"first_value": ["Report Exported"]}})
    lane = UsageLane(plan=plan)
    lane.event("e1", name="Report Exported")

    assert "value" in lane.state.connected


def test_a_change_that_no_snapshot_shows_has_nobody_evaluated() -> None:
    plan = read_plan(
        {"facts": {"country": {"traits": ["country"]}, "seats": {"traits": ["seats"], "type": "whole_number"}}}
    )
    lane = UsageLane(plan=plan)
    lane.event("e1", kind="GROUP", properties={"country": "NL"})
    lane.tick(at(0, 1))
    before = len(lane.snapshots())
    lane.event("e2", when=at(0, 1), kind="GROUP", properties={"country": "DE"})
    assert not lane.state.queue
    lane.event("e3", when=at(0, 1), kind="GROUP", properties={"seats": 5})
    lane.tick(at(0, 1) + 1_000)

    assert len(lane.snapshots()) == before + 1
