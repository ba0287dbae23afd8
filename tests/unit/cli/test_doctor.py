"""The doctor says what is accepted and yet takes no effect."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from schemas.measures import MEASURES
from services.alerter.rule_files import SHIPPED_RULES
from services.cli.commands import doctor
from services.scorer.settings import DEFAULT_MODEL
from tests.support.plans import default_without, fact_traits


def test_the_default_plan_lets_every_measure_be_taken() -> None:
    assert doctor._measures() == f"{len(MEASURES)} of {len(MEASURES)} can be taken"


def test_measures_without_state_are_named_with_the_rules_that_they_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump(default_without("cases.", "answers.")), "utf-8")
    monkeypatch.setenv("TIDEMARK_TRACKING_PLAN", str(plan))

    said = doctor._measures()

    assert "declares no answers.nps, cases.tickets" in said
    assert "tickets_open" in said
    assert said.endswith("rules that can never fire: nps_detractor, tickets_stuck")


def test_rules_that_go_without_a_guard_and_state_that_nothing_looks_at_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "rules"
    shutil.copytree(SHIPPED_RULES, rules)
    (rules / "mine.yaml").write_text(
        (SHIPPED_RULES / "usage_decline.yaml").read_text().replace("id: usage_decline", "id: mine")
        .replace("unless:", "unless:\n  - {measure: tickets_open, above: 3}"),
        "utf-8",
    )  # fmt: skip
    plan = tmp_path / "plan.yaml"
    found = default_without("cases.", "facts.")
    found["group_traits"] = fact_traits(region=("text", "region"), seats=("whole_number", "seats"))
    plan.write_text(yaml.safe_dump(found), "utf-8")
    monkeypatch.setenv("TIDEMARK_TRACKING_PLAN", str(plan))
    monkeypatch.setenv("TIDEMARK_RULES_DIR", str(rules))

    said = doctor._measures()

    assert "mine goes without tickets_open" in said
    assert said.endswith("declared, and no measure looks at it: facts.region")


def test_a_risk_that_is_made_of_a_measure_without_state_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, file = tmp_path / "plan.yaml", tmp_path / "model.yaml"
    plan.write_text(yaml.safe_dump(default_without("cases.", "answers.")), "utf-8")
    model = yaml.safe_load(DEFAULT_MODEL.read_text("utf-8"))
    model["risk"]["terms"]["tickets_open"] = {"usual": 0, "weight": 1}
    model["risk"]["terms"]["age_days"]["fades"]["measure"] = "survey_mean"
    file.write_text(yaml.safe_dump(model), "utf-8")
    monkeypatch.setenv("TIDEMARK_TRACKING_PLAN", str(plan))
    monkeypatch.setenv("TIDEMARK_SCORER_MODEL", str(file))

    said = doctor._measures()

    assert "the risk of no account is known, as the model makes it of tickets_open" in said
    assert "the risk's age_days adds nothing, as it fades by survey_mean" in said
