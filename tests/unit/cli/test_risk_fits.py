"""Where a fitted risk is to be written: a model that would not load, or would lose something, is refused before any work."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from services.cli.risk_fits import RiskFitRequest, Target
from services.scorer.settings import DEFAULT_MODEL
from services.shared.errors import Fatal
from services.shared.plan_file import default_plan

TEXT = DEFAULT_MODEL.read_text("utf-8")


def checked(write: Path, in_force: Path = DEFAULT_MODEL) -> None:
    RiskFitRequest(True, Target.LOSS, write).checked(default_plan(), in_force, listed=True, histories=1)


def model(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my-model.yaml"
    path.write_text(text)
    return path


def test_a_model_in_braces_is_refused_with_what_to_do(tmp_path: Path) -> None:
    in_force = model(tmp_path, yaml.safe_dump(yaml.safe_load(TEXT), default_flow_style=True))

    with pytest.raises(
        Fatal, match=r"cannot be written with another risk \(it is in braces.*write it in lines like those of"
    ):
        checked(tmp_path / "new.yaml", in_force)


def test_a_model_whose_other_sections_take_something_from_its_risk_is_refused(tmp_path: Path) -> None:
    lacks = TEXT.replace('version: "1"', "").replace("origin: >-", "origin: &words >-")
    in_force = model(tmp_path, lacks + "version: *words\n")

    with pytest.raises(Fatal, match=r"cannot be written with another risk \(not YAML: "):
        checked(tmp_path / "new.yaml", in_force)


def test_another_model_than_the_one_in_force_is_not_replaced(tmp_path: Path) -> None:
    write = model(tmp_path, TEXT.replace('version: "', 'version: "my-'))

    with pytest.raises(Fatal, match=f"differs from the model in force.*set TIDEMARK_SCORER_MODEL={write}"):
        checked(write)
    checked(write, write)


def test_a_model_that_differs_in_its_risk_alone_may_be_replaced(tmp_path: Path) -> None:
    checked(model(tmp_path, TEXT.replace("usual: -1.62", "usual: -2")))
