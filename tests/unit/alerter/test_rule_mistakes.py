"""Rule files that could be read and would not do what they say are refused, by file and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.alerter.domain.rule_reading import read_rule
from services.alerter.domain.rules import RuleProblems
from services.alerter.rule_files import SHIPPED_RULES, load_rules
from services.shared.errors import ConfigurationError
from services.shared.units import DAY_MS
from tests.support.alerter import shipped


@pytest.mark.parametrize("name", [*shipped("usage_decline"), "enabled", "cooldown", "expires"])
def test_a_member_that_was_left_empty_is_refused_by_name(name: str) -> None:
    with pytest.raises(RuleProblems) as caught:
        read_rule(shipped("usage_decline") | {name: None})

    assert f"{name}: is left empty" in caught.value.problems


def test_what_was_left_empty_within_a_member_is_refused_with_its_path() -> None:
    data = shipped("usage_decline")
    data["fires"]["all"][1] = None
    data["fires"]["all"][0]["any"][0]["all"] = None
    data["unless"][0]["equals"] = None
    data["escalate"][0]["when"] = None
    data["escalate"][0]["title"] = None
    data["clear"]["when"] = None
    data["inhibited_by"] = {"categories": [None], "rules": [None]}
    data["text"]["recovered"] = None
    data["evidence"][0]["usual"] = None

    with pytest.raises(RuleProblems) as caught:
        read_rule(data)

    assert {problem.split(": ")[0] for problem in caught.value.problems if "is left empty" in problem} == {
        "fires.all[1]",
        "fires.all[0].any[0].all",
        "unless[0].equals",
        "escalate[0].when",
        "escalate[0].title",
        "clear.when",
        "inhibited_by.categories[0]",
        "inhibited_by.rules[0]",
        "text.recovered",
        "evidence[0].usual",
    }


@pytest.mark.parametrize("name", [["level_4w"], {"level_4w": None}])
def test_what_is_no_name_of_a_measure_is_refused_by_its_field(name: object) -> None:
    fires, item = {"measure": name, "below": 0.5}, {"measure": "level_4w", "usual": name}

    with pytest.raises(RuleProblems) as caught:
        read_rule(shipped("usage_decline") | {"fires": fires, "evidence": [item]})

    assert [problem.split(": ")[0] for problem in caught.value.problems] == ["fires.measure", "evidence[0].usual"]


def test_a_name_that_ends_with_a_line_is_refused() -> None:
    with pytest.raises(RuleProblems, match="id: must be lower case letters"):
        read_rule(shipped("usage_decline") | {"id": "usage_decline\n"})


def test_two_steps_of_one_severity_that_read_differently_are_refused() -> None:
    steps = [
        {"severity": "critical", "when": {"measure": "level_4w", "below": 0.3}, "title": "Use is low"},
        {"severity": "critical", "when": {"measure": "tickets_open", "above": 9}, "title": "Tickets pile up"},
    ]

    with pytest.raises(RuleProblems, match=r"escalate\[1\]: must read as escalate\[0\] does"):
        read_rule(shipped("usage_decline") | {"escalate": steps})


@pytest.mark.parametrize("bound", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_a_bound_that_is_no_finite_number_is_refused(bound: float) -> None:
    with pytest.raises(RuleProblems, match="fires.at_least: must be a finite number"):
        read_rule(shipped("seat_saturation") | {"fires": {"measure": "seat_use", "at_least": bound}})


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        (
            "nps_detractor:\n  enabled: false\nusage_decline:\n  for: 5d\nnps_detractor:\n  cooldown: 29d\n",
            "nps_detractor",
        ),
        ("usage_decline:\n  for: 5d\n  for: 6d\n", "for"),
    ],
)
def test_a_rule_or_a_member_that_is_there_twice_is_refused(tmp_path: Path, text: str, twice: str) -> None:
    overrides = tmp_path / "overrides.yaml"
    overrides.write_text(text, "utf-8")

    with pytest.raises(ConfigurationError, match=rf"overrides\.yaml: .*{twice} is there twice"):
        load_rules(overrides=overrides)


def test_a_member_that_is_there_twice_in_a_rule_file_is_refused(tmp_path: Path) -> None:
    text = (SHIPPED_RULES / "nps_detractor.yaml").read_text("utf-8")
    (tmp_path / "nps_detractor.yaml").write_text(f"{text}fires: {{measure: detractors, at_least: 2}}\n", "utf-8")

    with pytest.raises(ConfigurationError, match=r"nps_detractor\.yaml: .*fires is there twice"):
        load_rules(tmp_path)


@pytest.mark.parametrize("name", ["mine.yml", "mine.YAML"])
def test_a_file_that_looks_like_a_rule_and_is_not_read_is_named(tmp_path: Path, name: str) -> None:
    for file in ("nps_detractor.yaml", name):
        (tmp_path / file).write_text((SHIPPED_RULES / "nps_detractor.yaml").read_text("utf-8"), "utf-8")

    with pytest.raises(
        ConfigurationError, match=rf"{name}: is not read, since the name of a rule file ends with \.yaml"
    ):
        load_rules(tmp_path)


def test_overrides_beside_the_rules_may_end_otherwise(tmp_path: Path) -> None:
    (tmp_path / "nps_detractor.yaml").write_text((SHIPPED_RULES / "nps_detractor.yaml").read_text("utf-8"), "utf-8")
    overrides = tmp_path / "overrides.yml"
    overrides.write_text("nps_detractor: {cooldown: 29d}\n", "utf-8")

    assert [rule.cooldown_ms for rule in load_rules(tmp_path, overrides).ordered] == [29 * DAY_MS]
