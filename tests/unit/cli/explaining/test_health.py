"""What is said of the health of an account: its measures, and what they were computed from."""

from __future__ import annotations

from services.cli.explaining.health import computed_from, dimensions
from tests.support.plans import plan_of
from tests.support.scorer import UsageLane, at
from tests.unit.cli.explaining.test_rule import iso, judged


def test_days_of_each_person_are_told_with_their_part_of_a_day() -> None:
    found = judged(1, days_per_person=1.7)
    found.snapshot["parts"] = []

    assert dimensions(found)["breadth"]["measures"]["days_per_person"]["words"] == "1.7 days"


def test_what_was_computed_from_names_agents_and_a_go_live() -> None:
    lane = UsageLane()
    for number, actor in enumerate(["PERSON", "AGENT", "INTEGRATION"]):
        lane.event(f"e{number}", user="ann", when=at(0, 3), actor=actor)
    lane.event("e3", kind="GROUP", user="", when=at(0, 4), properties={"go_live_on": iso(0)})
    lane.close(0)

    found = computed_from(judged(0, active_users_28=1.0), lane.state.accounts["acme"])

    assert found["people.active"].startswith("1 people in 36 weeks; active by week, the latest first 1 0 0")
    assert found["people.active"].endswith("...; 1 agents and 1 integrations")
    assert found["facts.go_live_day"].startswith(f"{iso(0)} since")


def test_roles_and_features_are_told_by_name_with_the_last_day_of_each() -> None:
    plan = plan_of(
        {"Exported": ["features.exports"], "Called": ["features.api"]},
        features={"exports": "core", "api": "deep"},
        roles=["admin", "viewer"],
        identify_traits={"role": {"means": "role"}},
    )
    lane = UsageLane(plan)
    lane.event("e1", user="ann", kind="IDENTIFY", when=at(0, 1), properties={"role": "admin"})
    lane.event("e2", user="ann", name="Exported", when=at(0, 2))
    lane.event("e3", user="bob", when=at(1, 2))
    lane.close(1)
    gone = judged(1, roles_gone=1.0, features_used_28=1.0)
    gone.snapshot.update(parts=[], counted={"roles_gone": ["admin"]})

    told = dimensions(gone)["breadth"]["measures"]
    found = computed_from(gone, lane.state.accounts["acme"])

    assert told["roles_gone"]["words"] == "1 (admin)"
    assert found["people.roles"] == f"admin last active {iso(0)}; viewer nobody active in 256 days"
    assert found["people.features"] == f"api not used in 256 days; exports last used {iso(0)}"
