"""The tracking plan's file: what may be declared, and what is refused, with which path."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.shared.errors import ConfigurationError
from services.shared.plan_file import default_plan, read_plan_file
from services.shared.tracking_plan.plan import TrackingPlan, fingerprint
from services.shared.tracking_plan.reading import read_plan
from tests.support.plans import DEFAULT

PAGE = Path(__file__).parents[4] / "docs" / "tracking-plan.md"
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)]


def problems(config: Any) -> list[str]:
    with pytest.raises(ValueError, match=".") as refused:
        read_plan(config)
    return str(refused.value).splitlines()


def meaning(**events: Any) -> dict[str, Any]:
    return {"events": {name: {"means": means} for name, means in events.items()}}


def test_the_default_is_the_one_of_the_page() -> None:
    assert DEFAULT in BLOCKS
    assert read_plan(DEFAULT) == default_plan()


def test_the_examples_of_the_page_are_one_plan() -> None:
    config: dict[str, Any] = {}
    for block in BLOCKS:
        if block != DEFAULT:
            config |= {part: {**config[part], **given} if part in config else given for part, given in block.items()}
    config["events"] |= {
        **DEFAULT["events"],
        "Dashboard Viewed": {"means": ["features.dashboards"]},
        "API Called": {"means": ["features.api"]},
    }

    plan = read_plan(config)

    assert plan.events["Report Viewed"].means == "use"
    assert plan.events["Password Reset"].means == "ignored"


def test_a_plan_that_says_nothing_declares_nothing() -> None:
    assert read_plan({}) == TrackingPlan()


@pytest.mark.parametrize(
    ("config", "path", "said"),
    [
        ([], "the plan", "give names"),
        ({"values": {}}, "values", "there is no such part"),
        ({"events": ["a"]}, "events", "give names"),
        ({"events": {7: {}}}, "events", "give names"),
        ({"events": {"A": "use"}}, "events.A", "give names"),
        ({"events": {"A": {"meaning": []}}}, "events.A", "there is no field meaning"),
        ({"events": {"A": {"paths": ["/a"]}}}, "events.A", "there is no field paths"),
        (meaning(A="useful"), "events.A.means", "'useful' is none of use, ignored, nor a list"),
        (meaning(A=[7]), "events.A.means[0]", "expected text, not a whole number"),
        ({"events": {"A": {"properties": {"b": {"one_of": "c"}}}}}, "events.A.properties.b.one_of", "expected a list, not text"),
        ({"deny": {"drop": "password"}}, "deny.drop", "expected a list, not text"),
        (meaning(A=[]), "events.A.means", "name what it means"),
        (meaning(A=["value"]), "events.A.means[0]", "'value' means nothing"),
        (meaning(A=["facts.seats"]), "events.A.means[0]", "means nothing"),
        (meaning(A=["counts."]), "events.A.means[0]", "means nothing"),
        (meaning(A=["counts.x", "counts.x"]), "events.A.means[1]", "there twice"),
        (meaning(A=["cases.x.opened"]), "events.A.means[0]", "cases declares no x"),
        (meaning(A=["answers.x"]), "events.A.means[0]", "answers declares no x"),
        (meaning(A=["absences.sick"]), "events.A.means[0]", "means nothing; write such as"),
        (meaning(A=["absences.planned", "counts.x"]), "events.A.means[0]", "plans an absence means nothing else"),
        (
            {"events": {"A": {"means": ["absences.planned"], "properties": {"from": {"type": "text"}}}}},
            "events.A.properties.from.type",
            "it is one of date",
        ),
        ({**meaning(A=["absences.planned"]), "deny": {"drop": ["From"]}}, "deny.drop[0]", "never arrive"),
        ({"group_traits": {"x": {"means": "facts.country", "type": "text"}}}, "group_traits.x.type", "must be country"),
        (meaning(A=["features.x"]), "events.A.means[0]", "features declares no x"),
        ({"events": {"A": {"properties": []}}}, "events.A.properties", "give names"),
        ({"events": {"A": {"properties": {"x": {"type": "color"}}}}}, "events.A.properties.x.type", "'color' is none of text, id, number"),
        ({"events": {"A": {"properties": {"x": {"means": "role"}}}}}, "events.A.properties.x", "there is no field means"),
        ({"events": {"A": {"properties": {" x": {}}}}}, "events.A.properties. x", "no blanks around it"),
        ({"events": {"A": {"properties": {"": {}}}}}, "events.A.properties.", "a name is not empty"),
        ({"events": {"A": {"properties": {"x": {"one_of": []}}}}}, "events.A.properties.x.one_of", "at least one value"),
        ({"events": {"A": {"properties": {"x": {"one_of": [1], "type": "number"}}}}}, "events.A.properties.x", "not both"),
        ({"events": {"A": {"properties": {"x": {"one_of": [[]]}}}}}, "events.A.properties.x.one_of[0]", "not a list"),
        ({"events": {"Report Shared": {}, "report-shared": {}}}, "events.report-shared", "same name as Report Shared"),
        ({"events": {" _": {}}}, "events. _", "not empty"),
        ({"pages": {"p": {"paths": ["pricing"]}}}, "pages.p.paths[0]", "no path such as"),
        ({"pages": {"p": {"paths": ["/a/**/b"]}}}, "pages.p.paths[0]", "no path such as"),
        ({"pages": {"p": {"paths": ["/a?b=1"]}}}, "pages.p.paths[0]", "no path such as"),
        ({"group_traits": {"x": {"means": "seats"}}}, "group_traits.x.means", "means nothing"),
        ({"group_traits": {"x": {"means": "facts.x"}}}, "group_traits.x.type", "a fact has one of the types"),
        ({"group_traits": {"x": {"means": "facts.x", "type": "list"}}}, "group_traits.x.type", "a fact has one of"),
        ({"group_traits": {"seats": {"means": "facts.seats", "type": "text"}}}, "group_traits.seats.type", "must be whole_number"),
        ({"group_traits": {"X": {"type": "text"}, "x": {}}}, "group_traits.x", "same name as X"),
        ({"group_traits": {"x": {"means": "facts.x", "type": "text", "personal": True}}}, "group_traits.x", "mean nothing"),
        (
            {"group_traits": {"a": {"means": "facts.x", "type": "text"}, "b": {"means": "facts.x", "type": "date"}}},
            "group_traits.b.type",
            "must be text, as of a",
        ),
        ({"identify_traits": {"x": {"means": "facts.x"}}}, "identify_traits.x.means", "can mean role"),
        ({"identify_traits": {"x": {"means": "role"}}}, "identify_traits.x.means", "roles declares none"),
        ({"roles": ["a"]}, "roles", "no trait of identify_traits means role"),
        ({"identify_traits": {"r": {"means": "role"}}, "roles": ["a", "A "]}, "roles", "empty or there twice"),
        ({"identify_traits": {"r": {"means": "role"}}, "roles": ["Other"]}, "roles", "other is what"),
        ({"identify_traits": {"r": {"means": "role"}}, "roles": ["a" * 100, "b" * 101]}, "roles[1]", "100 characters at most, not 101"),
        (
            {"identify_traits": {"r": {"means": "role"}, "s": {"means": "role"}}, "roles": ["a"]},
            "identify_traits.s.means",
            "r means the role already",
        ),
        ({"features": {"x": "shallow"}}, "features.x", "'shallow' is none of core, deep"),
        ({"features": {"x": "core"}}, "features.x", "no event means features.x"),
        ({"cases": {"x": {}}}, "cases.x.id", "is missing"),
        ({"answers": {"x": {"score": "s"}}}, "answers.x.scale", "is missing"),
        ({"deny": {"mask": []}}, "deny", "there is no field mask"),
        ({"deny": {"drop": ["a..b"]}}, "deny.drop[0]", "no path of 1 to 8 names"),
        ({"deny": {"drop": [".".join("abcdefghi")]}}, "deny.drop[0]", "no path of 1 to 8 names"),
        ({"deny": {"drop": ["a"], "hash": ["b", "A"]}}, "deny.hash[1]", "denied by deny.drop[0] already"),
        ({"deny": {"drop": ["a.b"], "hash": ["a"]}}, "deny.drop[0]", "as a whole by deny.hash[0] already"),
        ({"roles": [7]}, "roles[0]", "expected text, not a whole number"),
        ({"unknown_events": "drop"}, "unknown_events", "'drop' is none of accept, reject"),
        ({"excluded_users": ["*"]}, "excluded_users", "leaves out everybody"),
        ({"agent_users": ["*"]}, "agent_users", "makes everybody an agent"),
        ({"events": {"A": {"actor": "robot"}}}, "events.A.actor", "'robot' is none of person, agent, integration"),
        ({"events": {"A": {"actor": "agent", "means": "ignored"}}}, "events.A.actor", "use of the product alone"),
        ({**meaning(B=["answers.a"]), "pages": {"A": {"actor": "agent", "means": ["answers.a"]}}, "answers": {"a": {"score": "s", "scale": [1, 5]}}}, "pages.A.actor", "use of"),
        (meaning(A=["counts.Exports"]), "counts.Exports", "small letters"),
        (meaning(A=["counts.events"]), "counts.events", "of every account already"),
        (meaning(A=["milestones.first_activity"]), "milestones.first_activity", "of every account already"),
        (meaning(A=["milestones.last_activity"]), "milestones.last_activity", "of every account already"),
        (meaning(A=["counts.x", "milestones.x"]), "milestones.x", "of counts.x already"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(config: Any, path: str, said: str) -> None:
    (problem,) = problems(config)

    assert problem.startswith(f"{path}: ")
    assert said in problem


def meant(kind: str, count: int) -> dict[str, Any]:
    return meaning(**{f"e{n}": [f"{kind}.n{n}"] for n in range(count)})


def with_cases(sorts: int, counts: int) -> dict[str, Any]:
    """Return a plan with so many sorts of cases and so many counts beside them."""
    steps = {f"{step}{n}": [f"cases.c{n}.{step}"] for n in range(sorts) for step in ("opened", "closed")}
    counted = {f"e{n}": [f"counts.n{n}"] for n in range(counts)}
    return {**meaning(**steps, **counted), "cases": {f"c{n}": {"id": "i"} for n in range(sorts)}}


@pytest.mark.parametrize(
    ("path", "most", "plan_of"),
    [
        ("events", 2_000, lambda n: {"events": {f"e{i}": {} for i in range(n)}}),
        ("pages", 200, lambda n: {"pages": {f"p{i}": {"paths": ["/a"]} for i in range(n)}}),
        ("paths of pages", 500, lambda n: {"pages": {"p": {"paths": ["/a"] * 250}, "q": {"paths": ["/a"] * (n - 250)}}}),
        ("counts", 32, lambda n: with_cases(8, n - 18)),  # beside events, active, and two for each sort of cases
        ("cases", 8, lambda n: with_cases(n, 0)),
        (
            "answers",
            8,
            lambda n: {**meant("answers", n), "answers": {f"n{i}": {"score": "s", "scale": [1, 5]} for i in range(n)}},
        ),
        ("facts", 32, lambda n: {"group_traits": {f"t{i}": {"means": f"facts.f{i}", "type": "text"} for i in range(n)}}),
        ("milestones", 16, lambda n: meant("milestones", n)),
        ("features", 16, lambda n: {**meant("features", n), "features": {f"n{i}": "core" for i in range(n)}}),
        ("roles", 15, lambda n: {"identify_traits": {"r": {"means": "role"}}, "roles": [f"r{i}" for i in range(n)]}),
        ("events.A.properties", 200, lambda n: {"events": {"A": {"properties": {f"p{i}": {} for i in range(n)}}}}),
        ("group_traits", 200, lambda n: {"group_traits": {f"t{i}": {} for i in range(n)}}),
        ("identify_traits", 200, lambda n: {"identify_traits": {f"t{i}": {} for i in range(n)}}),
        ("deny", 200, lambda n: {"deny": {"drop": [f"a{i}" for i in range(n - 1)], "hash": ["b"]}}),
    ],
)  # fmt: skip
def test_so_many_of_each_are_the_most(path: str, most: int, plan_of: Callable[[int], dict[str, Any]]) -> None:
    read_plan(plan_of(most))

    (problem,) = problems(plan_of(most + 1))

    assert problem.startswith(f"{path}: {most + 1} are too many")
    assert problem.endswith(f"; {most} is the most")


CASES: dict[str, Any] = {
    "events": {"Opened": {"means": ["cases.x.opened"]}, "Closed": {"means": ["cases.x.closed"]}},
    "cases": {"x": {"id": "i"}},
}
ROLES: dict[str, Any] = {"identify_traits": {"r": {"one_of": ["Admin", "editor", "guest"], "means": "role"}}, "roles": ["admin", "Editor"]}  # fmt: skip
SURVEY: dict[str, Any] = {
    "events": {"Rated": {"means": ["answers.x"]}},
    "answers": {"x": {"score": "s", "scale": [1, 5]}},
}


@pytest.mark.parametrize(
    ("base", "changes", "path", "said"),
    [
        (CASES, {"events": {"Opened": {"means": ["cases.x.opened"]}}}, "cases.x", "no event means cases.x.closed"),
        (CASES, {"events": CASES["events"] | {"A": {"means": ["cases.x"]}}}, "events.A.means[0]", "write which it is"),
        (
            CASES,
            {"events": CASES["events"] | {"A": {"means": ["counts.a", "cases.x.opened"]}}},
            "events.A.means[1]",
            "means nothing else",
        ),
        (CASES, {"cases": {"x": {"id": " i"}}}, "cases.x.id", "no blanks around it"),
        (CASES, {"cases": {"x": {"id": "i", "at": "t"}}}, "cases.x", "there is no field at"),
        (
            CASES,
            {"events": CASES["events"] | {"A": {"means": ["cases.x.opened"], "properties": {"i": {"personal": True}}}}},
            "events.A.properties.i",
            "does not stay on the log",
        ),
        (
            CASES,
            {"events": CASES["events"] | {"A": {"means": ["cases.x.opened"], "properties": {"i": {"type": "date"}}}}},
            "events.A.properties.i.type",
            "is one of id, text, whole_number",
        ),
        (CASES, {"events": CASES["events"] | {"A": {"means": ["counts.x_opened"]}}}, "counts.x_opened", "of cases.x already"),
        (CASES, {"deny": {"drop": ["I"]}}, "deny.drop[0]", "cases.x.id is read from i"),
        (SURVEY, {"deny": {"hash": ["s"]}}, "deny.hash[0]", "answers.x.score is read from s"),
        ({"events": {"A": {"properties": {"p": {"required": True}}}}}, {"deny": {"drop": ["p"]}}, "deny.drop[0]", "never arrive"),
        ({"events": {"A": {"properties": {"p": {"type": "number"}}}}}, {"deny": {"hash": ["p"]}}, "deny.hash[0]", "arrive as text"),
        ({"events": {"A": {"properties": {"p": {"one_of": ["x"]}}}}}, {"deny": {"hash": ["p"]}}, "deny.hash[0]", "arrive as text"),
        ({"group_traits": {"o": {"type": "text", "means": "facts.owner"}}}, {"deny": {"drop": ["O"]}}, "deny.drop[0]", "never arrive"),
        (ROLES, {"identify_traits": {"r": {"type": "whole_number", "means": "role"}}}, "identify_traits.r.type", "a role is text"),
        (ROLES, {"identify_traits": {"r": {"one_of": ["ADMIN", "guest", 1], "means": "role"}}}, "identify_traits.r.one_of", "roles has editor as well"),
        (ROLES | {"identify_traits": {"r": {"means": "role"}}}, {"deny": {"hash": ["R"]}}, "deny.hash[0]", "identify_traits.r means the role"),
        (SURVEY, {"events": {}}, "answers.x", "no event means answers.x"),
        (SURVEY, {"answers": {"x": {"score": "", "scale": [1, 5]}}}, "answers.x.score", "not empty"),
        (SURVEY, {"answers": {"x": {"score": "s", "scale": [5, 5]}}}, "answers.x.scale", "a greater highest"),
        (SURVEY, {"answers": {"x": {"score": "s", "scale": [0, 101]}}}, "answers.x.scale", "within 0 to 100"),
        (
            SURVEY,
            {"events": {"Rated": {"means": ["answers.nps"]}}, "answers": {"nps": {"score": "s", "scale": [1, 5]}}},
            "answers.nps.scale",
            "must be [0, 10]",
        ),
        (SURVEY, {"features": {"x": "core"}, "events": SURVEY["events"] | {"A": {"means": ["features.x"]}}}, "features.x", "of answers.x already"),
    ],
)  # fmt: skip
def test_what_would_take_no_effect_is_refused(base: Any, changes: Any, path: str, said: str) -> None:
    read_plan(base)
    (problem,) = problems({**base, **changes})

    assert problem.startswith(f"{path}: ")
    assert said in problem


def test_the_id_of_a_case_may_be_hashed() -> None:
    """The same id gives the same hash, so that what closes a case still finds it."""
    plan = read_plan({**CASES, "deny": {"hash": ["i"]}})

    assert plan.deny.hash == ["i"]


@pytest.mark.parametrize("deny", [{"drop": ["p", "t"]}, {"hash": ["P", "T"]}])
def test_what_nothing_is_read_from_may_be_declared_and_denied(deny: dict[str, list[str]]) -> None:
    declared = {"events": {"A": {"properties": {"p": {}}}}, "group_traits": {"t": {"type": "text"}}}

    assert read_plan({**declared, "deny": deny}).group_traits["t"].type == "text"


def test_all_that_is_wrong_is_said_at_once() -> None:
    config = {
        "event": {},
        "events": {"A": 1, "B": {"means": ["counts.Y"], "properties": {"p": {"type": "x"}, "q": {"kind": "x"}}}},
        "group_traits": {"t": {"type": "what"}},
        "cases": {"z": {"id": 1}},
        "roles": ["admin"],
    }

    assert [problem.partition(": ")[0] for problem in problems(config)] == [
        "event", "events.A", "events.B.properties.p.type", "events.B.properties.q", "group_traits.t.type", "cases.z.id",
        "counts.Y", "roles",
    ]  # fmt: skip


def test_the_fingerprint_changes_with_all_but_descriptions() -> None:
    config: dict[str, Any] = {
        "events": {"A": {"description": "one"}},
        "pages": {"p": {"paths": ["/*"]}, "q": {"paths": ["/a"]}},
    }
    changed = {**config, "events": {"A": {"description": "two"}}}
    ignored = {**config, "events": {"A": {"means": "ignored"}}}
    turned = {**config, "pages": dict(reversed(config["pages"].items()))}

    assert fingerprint(read_plan(config)) == fingerprint(read_plan(changed))
    assert len({fingerprint(read_plan(each)) for each in (config, ignored, turned)}) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("events:\n  A: {}\n  A: {means: ignored}\n", "A is there twice"),
        ("events: [", "not YAML: line "),
        ("events:\n  A: {means: [counts.x]\n", "not YAML: line 3, column 1: "),
        ("events: {A: {properties: {x: {type: colour}}}}", "events.A.properties.x.type"),
    ],
)
def test_a_wrong_file_is_named_with_its_variable(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(text, "utf-8")

    with pytest.raises(ConfigurationError) as refused:
        read_plan_file(file)

    assert refused.value.problems[0].startswith(f"TIDEMARK_TRACKING_PLAN {file}: ")
    assert said in str(refused.value)


def test_a_file_that_is_empty_declares_nothing_and_one_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("# nothing yet\n", "utf-8")

    assert read_plan_file(tmp_path / "plan.yaml") == TrackingPlan()
    with pytest.raises(ConfigurationError, match="No such file"):
        read_plan_file(tmp_path / "none.yaml")


def test_all_that_is_wrong_with_one_entry_is_told_at_once() -> None:
    event = {
        "means": "useful",
        "actor": "robot",
        "properties": {"x": {"type": "color", "required": "yes", "colour": 1}},
    }
    with pytest.raises(ValueError, match="useful") as refused:
        read_plan({"events": {"A": event}, "deny": {"drop": 7, "mask": []}})

    assert [line.partition(": ")[0] for line in str(refused.value).splitlines()] == [
        "events.A.properties.x.type", "events.A.properties.x.required", "events.A.properties.x", "events.A.means",
        "events.A.actor", "deny.drop", "deny",
    ]  # fmt: skip


def test_a_plan_that_an_option_names_is_called_by_that_option_and_where_it_is_not_utf8_is_said(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_bytes(b"events:\n  Caf\xe9:\n")

    with pytest.raises(ConfigurationError) as refused:
        read_plan_file(file, "--plan")

    assert refused.value.problems == (f"--plan {file}: line 2 is not UTF-8 (byte 6 of the line): save it as UTF-8",)
