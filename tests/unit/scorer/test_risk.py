"""The hazard that ranks accounts: its parts add up exactly, and each goes the way that it should."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.measures import MEASURES
from services.scorer.domain.health.model import read_model
from services.scorer.domain.health.risk import USUAL, CalibrationRow, RiskFit, RiskModel, RiskTerm, predicted, risk
from services.scorer.settings import ScorerSettings, load_scoring
from services.shared.plan_file import read_yaml
from tests.support.scorer import PLAN

MODEL = load_scoring(ScorerSettings())[1].risk
assert MODEL is not None
HEALTHY = {
    "silent_days": 1.0,
    "level_4w": 1.0,
    "level_12w": 1.0,
    "active_users_84": 8.0,
    "active_days_210": 140.0,
    "age_days": 900.0,
}

FIT = {
    "predicts": "loss",
    "losses": 40,
    "account_weeks": 900,
    "least_usual_week": 1,
    "calibration": [{"forecast_percent": 2, "observed_percent": 3, "account_weeks": 900}],
}
GOOD = {"origin": "x", "usual": 0, "terms": {"level_4w": {"weight": 1, "usual": 1}}}

values = st.fixed_dictionaries(
    {
        "silent_days": st.integers(0, 56),
        "level_4w": st.floats(0, 50),
        "level_12w": st.floats(0, 50),
        "active_users_84": st.integers(0, 10_000),
        "active_days_210": st.integers(0, 210),
        "age_days": st.integers(56, 20_000),
    }
)


def log_odds(model: RiskModel, changed: dict[str, float]) -> int:
    return sum(part.thousandths for part in risk({**HEALTHY, **changed}, model))


@given(values)
def test_the_parts_add_up_to_the_rounded_log_odds(found: dict[str, float]) -> None:
    assert MODEL is not None
    exact = MODEL.usual + sum(term.log_odds(found[name]) for name, term in MODEL.terms.items())

    parts = risk(found, MODEL)

    assert abs(sum(part.thousandths for part in parts) - 1000 * exact) <= 0.5 + 1e-6
    assert [part.number for part in parts] == [USUAL, *(MEASURES[name].number for name in MODEL.terms)]


@pytest.mark.parametrize(
    "worse",
    [
        {"silent_days": 30},
        {"level_4w": 0.2},
        {"level_12w": 0.4},
        {"active_users_84": 1},
        {"active_days_210": 10},
        {"age_days": 70},
    ],
)
def test_what_is_worse_is_riskier(worse: dict[str, float]) -> None:
    assert MODEL is not None

    assert log_odds(MODEL, worse) > log_odds(MODEL, {})


def test_a_usual_account_has_the_usual_log_odds_and_nothing_else() -> None:
    assert MODEL is not None
    parts = risk({name: term.usual for name, term in MODEL.terms.items()}, MODEL)

    assert [part.thousandths for part in parts[1:]] == [0] * len(MODEL.terms)
    assert parts[0].thousandths == round(1000 * MODEL.usual)


def test_values_above_the_most_count_as_that() -> None:
    assert RiskTerm(weight=-1, usual=1, most=1.5).log_odds(9) == -0.5


@pytest.mark.parametrize("found", [{}, {**HEALTHY, "silent_days": 57}, {k: HEALTHY[k] for k in list(HEALTHY)[1:]}])
def test_the_risk_is_not_known_without_its_measures_or_after_a_long_silence(found: dict[str, float]) -> None:
    assert MODEL is not None

    assert risk(found, MODEL) == ()


@pytest.mark.parametrize(
    ("risk_", "problem"),
    [
        ({"origin": "x", "usual": 0, "terms": {}}, "risk.terms: name at least one measure"),
        ({"origin": "x", "usual": float("nan"), "terms": {"level_4w": {"weight": 1, "usual": 1}}}, "risk.usual"),
        (
            {"origin": "x", "usual": 0, "terms": {"levl": {"weight": 1, "usual": 1}}},
            "risk.terms.levl: the scorer takes no",
        ),
        ({"origin": "x", "usual": 0, "terms": {"score": {"weight": 1, "usual": 1}}}, "risk.terms.score"),
        (
            {"origin": "x", "usual": 0, "terms": {"level_4w": {"weight": float("inf"), "usual": 1}}},
            "risk.terms.level_4w",
        ),
        ({"usual": 0, "terms": {}}, "origin"),
        ({**GOOD, "fit": {**FIT, "predicts": "doom"}}, "predicts"),
        ({**GOOD, "fit": {**FIT, "calibration": []}}, "risk.fit: needs losses"),
        ({**GOOD, "fit": {**FIT, "losses": 0}}, "risk.fit: needs losses"),
    ],
)
def test_a_wrong_risk_model_is_refused_by_name(risk_: dict[str, Any], problem: str) -> None:
    config = dict(read_yaml(ScorerSettings().model_file))

    with pytest.raises(ValueError, match=problem):
        read_model({**config, "risk": risk_}, PLAN)


def test_a_model_without_a_hazard_ranks_nobody() -> None:
    config = {name: value for name, value in read_yaml(ScorerSettings().model_file).items() if name != "risk"}

    assert read_model(config, PLAN).risk is None


def test_the_shipped_coefficients_are_the_chance_of_nothing() -> None:
    assert MODEL is not None
    assert MODEL.fit is None
    assert predicted({**HEALTHY, "usual_week": 40.0}, MODEL) == "UNKNOWN"


def test_a_fit_is_the_chance_of_what_it_was_fitted_on_for_accounts_like_those_it_was_fitted_on() -> None:
    fit = RiskFit("collapse", 30, 900, 1.0, [CalibrationRow(2, 3, 900)])
    model = RiskModel("own", 0.0, {}, fit=fit)

    assert predicted({"usual_week": 1.0}, model) == "COLLAPSE"
    assert predicted({"usual_week": 0.9}, model) == "UNKNOWN"
    assert predicted({}, model) == "UNKNOWN"
