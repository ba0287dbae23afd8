"""The doctor says what is accepted and yet takes no effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.commands import doctor


def test_the_default_plan_lets_every_measure_be_taken() -> None:
    assert doctor._measures().startswith("all ")


def test_measures_without_state_are_named_with_the_rules_that_they_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("cases: {}\nanswers: {}\n", "utf-8")
    monkeypatch.setenv("TIDEMARK_TRACKING_PLAN", str(plan))

    said = doctor._measures()

    assert "declares no answers.nps, cases.tickets" in said
    assert "tickets_open" in said
    assert said.endswith("rules that can never fire: nps_detractor, tickets_stuck")
