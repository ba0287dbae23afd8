"""A fitted risk goes into the text of a model: the rest of it stays, and what is written is read as it was fitted."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import yaml

from services.backtest.domain.risk_fit import fit_risk
from services.backtest.fitting import RiskFitted, _shares, _whole
from services.backtest.report.model_file import NoPlaceForRiskError, risk_section, shipped_section, with_section
from services.backtest.report.risk_fit import refusal, verdict
from services.backtest.words import speech
from services.scorer.domain.health.model import read_model
from services.scorer.domain.health.risk import RiskModel, RiskTerm, risk
from services.scorer.settings import DEFAULT_MODEL
from services.shared.files.yaml_file import parse_yaml, read_yaml
from services.shared.plan_file import default_plan
from tests.support.risk_samples import WEIGHTS, sample, shipped

TEXT = DEFAULT_MODEL.read_text("utf-8")
ENGLISH = speech("en")
NAMES = ("silent_days", "level_4w", "active_users_84")


def _shipped() -> RiskModel:
    found = read_model(read_yaml(DEFAULT_MODEL), default_plan()).risk
    assert found is not None
    return found


SHIPPED = _shipped()


@pytest.fixture(scope="module")
def fitted() -> RiskFitted:
    figures = fit_risk(sample(), shipped(-WEIGHTS), draws=5)
    terms = {
        name: msgspec.structs.replace(SHIPPED.terms[name], weight=float(weight))
        for name, weight in zip(NAMES, figures.hazard.weights, strict=True)
    }
    return RiskFitted("acme", 19_000, 19_600, "loss", 1.0, figures, terms, figures.hazard.level, 56)


@pytest.fixture(scope="module")
def section(fitted: RiskFitted) -> str:
    return risk_section(fitted)


def test_what_is_written_is_read_as_it_was_fitted(fitted: RiskFitted, section: str) -> None:
    found = read_model(yaml.safe_load(with_section(TEXT, section)), default_plan()).risk

    assert found is not None
    assert found.fit is not None
    assert {name: term.weight for name, term in found.terms.items()} == pytest.approx(
        {name: term.weight for name, term in fitted.terms.items()}, rel=1e-5
    )
    assert found.terms["level_4w"].most == 1.5
    assert found.terms["active_users_84"].fades == SHIPPED.terms["active_users_84"].fades
    assert (found.fit.predicts, found.fit.losses, found.fit.least_usual_week) == ("loss", fitted.figures.losses, 1.0)
    assert "on acme, 2022-01-08 to 2023-08-31" in found.origin
    assert "with a date in the next 12 weeks" in found.origin


def test_a_small_weight_of_a_measure_with_large_values_is_kept(fitted: RiskFitted) -> None:
    small = {**fitted.terms, "silent_days": RiskTerm(usual=24_000, weight=-0.0000213)}

    found = read_model(
        yaml.safe_load(with_section(TEXT, risk_section(replace(fitted, terms=small)))), default_plan()
    ).risk

    assert found is not None
    assert found.terms["silent_days"].weight == pytest.approx(-0.0000213)


@pytest.mark.parametrize("after", ["", "version: '2'\n", "# About what comes.\nversion: '2'\n"])
def test_all_else_in_the_model_stays_as_it_is(section: str, after: str) -> None:
    text = TEXT.replace('version: "1"\n', "") + after

    written = with_section(text, section)

    assert written.startswith(text.partition("# How risky")[0])
    assert written.endswith(after)
    assert with_section(written, section) == written


def test_a_model_without_a_risk_gets_one(section: str) -> None:
    bare = TEXT.partition("# How risky")[0]

    assert with_section(bare, section) == with_section(TEXT, section)


BARE = TEXT.partition("# How risky")[0]
PARSED = yaml.safe_load(TEXT)
FLOW = yaml.safe_dump(PARSED["risk"], default_flow_style=True, width=100).strip()


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\nrisk:", '\n"risk":'),
        TEXT.replace("\nrisk:", "\n'risk' :  # ours"),
        TEXT.replace("\nrisk:", "\nrisk :"),
        TEXT.replace("  terms:\n", "  terms:\n# a note at column 0\n\n# another\n"),
        TEXT + "  # a note at the end\n",
        TEXT + "...\n",
        "".join(f"  {line}" for line in TEXT.splitlines(keepends=True)),
        f"{BARE}risk: {FLOW}\n",
        f"{BARE}risk:\n",
        f"{BARE}risk: null\n",
        f"{shipped_section()}{BARE}",
    ],
)
def test_however_yaml_writes_the_section_it_is_replaced_and_nothing_else(section: str, text: str) -> None:
    before = read_model(parse_yaml(text), default_plan())

    after = read_model(parse_yaml(with_section(text, section)), default_plan())

    assert after.risk is not None
    assert after.risk.fit is not None
    assert (after.version, after.stages, after.measures) == (before.version, before.stages, before.measures)
    assert with_section(with_section(text, section), section) == with_section(text, section)


@pytest.mark.parametrize(
    "text",
    [yaml.safe_dump(PARSED, default_flow_style=True), f"{BARE}? risk\n: {FLOW}\n", f"a: &a {FLOW}\nrisk: *a\n{BARE}"],
)
def test_a_model_in_which_the_section_has_no_lines_of_its_own_is_left_alone(section: str, text: str) -> None:
    with pytest.raises(NoPlaceForRiskError):
        with_section(text, section)


def test_a_comment_above_the_section_that_is_not_tidemarks_stays(section: str) -> None:
    licence = "# Licence of ACME. Do not remove.\n"

    written = with_section(f"{licence}{shipped_section()}\n{BARE}", section)

    assert written.startswith(licence)
    assert with_section(written, section) == written
    assert licence in with_section(TEXT.replace("# How risky", f"{licence}# How risky"), section)


def test_the_measures_are_taken_as_the_scorer_takes_them() -> None:
    chance = np.random.default_rng(1)
    most = {"silent_days": 55, "active_users_84": 40, "active_days_210": 210, "age_days": 900}
    values = {name: chance.random(50) * most.get(name, 3) - 0.1 for name in [*SHIPPED.terms, "days_per_person"]}
    values["days_per_person"][:5] = np.nan
    weights = [term.weight for term in SHIPPED.terms.values()]

    ours = SHIPPED.usual + (_whole(values, SHIPPED) * _shares(values, SHIPPED)) @ weights

    for place, log_odds in enumerate(ours):
        known = {name: value[place] for name, value in values.items() if not np.isnan(value[place])}
        assert log_odds == pytest.approx(sum(part.thousandths for part in risk(known, SHIPPED)) / 1000, abs=0.001)


def test_a_fit_that_stands_says_by_how_much_and_one_that_does_not_says_why(fitted: RiskFitted) -> None:
    by_chance = fit_risk(sample(weights=0 * WEIGHTS, level=-5.0), shipped(WEIGHTS), draws=5)

    assert "So it can be told in per cent." in verdict(fitted, ENGLISH)
    assert refusal(by_chance, ENGLISH).startswith(f"nothing was fitted that stands ({by_chance.losses} losses in ")
    assert "on other accounts it does not surely forecast better than the rate of losses alone" in refusal(
        by_chance, ENGLISH
    )
    assert "how an account uses the product says too little" in refusal(by_chance, ENGLISH)
