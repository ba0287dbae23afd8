"""The hazard that ranks accounts: its parts add up exactly, and each goes the way that it should."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.measures import MEASURES
from services.scorer.domain.health.model import read_model
from services.scorer.domain.health.risk import (
    USUAL,
    CalibrationRow,
    Fading,
    RiskFit,
    RiskModel,
    RiskTerm,
    predicted,
    risk,
)
from services.scorer.settings import ScorerSettings, load_scoring
from services.shared.files.yaml_file import read_yaml
from tests.support.scorer import PLAN

MODEL = load_scoring(ScorerSettings())[1].risk
assert MODEL is not None
HEALTHY = {
    "silent_days": 1.0,
    "level_2w": 1.0,
    "level_4w": 1.0,
    "level_12w": 1.0,
    "active_users_84": 8.0,
    "active_days_210": 140.0,
    "age_days": 900.0,
    "days_per_person": 0.8,
}

FIT = {
    "predicts": "loss",
    "losses": 40,
    "account_weeks": 900,
    "least_usual_week": 1,
    "calibration": [{"forecast_percent": 2, "observed_percent": 3, "account_weeks": 900}],
}
GOOD = {"origin": "x", "usual": 0, "terms": {"level_4w": {"weight": 1, "usual": 1}}}


def _faded(fades: dict[str, Any]) -> dict[str, Any]:
    return {**GOOD, "terms": {"level_4w": {"weight": 1, "usual": 1, "fades": fades}}}


values = st.fixed_dictionaries(
    {
        "silent_days": st.integers(0, 56),
        "level_2w": st.floats(0, 50),
        "level_4w": st.floats(0, 50),
        "level_12w": st.floats(0, 50),
        "active_users_84": st.integers(0, 10_000),
        "active_days_210": st.integers(0, 210),
        "age_days": st.integers(56, 20_000),
    },
    optional={"days_per_person": st.floats(0, 7)},
)


def log_odds(model: RiskModel | None, changed: dict[str, float]) -> int:
    assert model is not None
    return sum(part.thousandths for part in risk({**HEALTHY, **changed}, model))


@given(values)
def test_the_parts_add_up_to_the_rounded_log_odds(found: dict[str, float]) -> None:
    assert MODEL is not None
    exact = MODEL.usual + sum(term.part(name, found) for name, term in MODEL.terms.items())

    parts = risk(found, MODEL)

    assert abs(sum(part.thousandths for part in parts) - 1000 * exact) <= 0.5 + 1e-6
    assert [part.number for part in parts] == [USUAL, *(MEASURES[name].number for name in MODEL.terms)]


@pytest.mark.parametrize(
    "worse",
    [
        {"silent_days": 30},
        {"level_2w": 0.3},
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


SIZE = {"active_users_84": 1.0, "active_days_210": 10.0, "age_days": 70.0}


def test_size_and_age_count_less_the_more_often_each_person_comes() -> None:
    small = {often: log_odds(MODEL, {**SIZE, "days_per_person": often}) for often in (0.5, 1.0, 1.5, 2.0, 4.0)}
    large = {often: log_odds(MODEL, {"days_per_person": often}) for often in small}

    assert small[0.5] == small[1.0] > small[1.5] > small[2.0] == small[4.0]
    assert large[4.0] == small[4.0]
    assert small[1.0] - small[1.5] == pytest.approx((small[1.0] - small[2.0]) / 2, abs=1)


def test_a_term_adds_nothing_where_what_it_fades_by_is_not_known() -> None:
    term = RiskTerm(weight=-1, usual=0, fades=Fading("days_per_person", whole=1, none=2))

    assert term.part("age_days", {"age_days": 5}) == 0
    assert term.part("age_days", {"age_days": 5, "days_per_person": 0.5}) == -5
    assert term.part("age_days", {"age_days": 5, "days_per_person": 1.75}) == -1.25


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
        (_faded({"measure": "levl", "whole": 1, "none": 2}), "level_4w.fades: the scorer takes no measure levl"),
        (_faded({"measure": "age_days", "whole": 2, "none": 2}), "level_4w.fades: whole and none must be numbers"),
        (_faded({"measure": "age_days", "whole": 1}), "none"),
        ({**GOOD, "longest_silence": -1}, "risk.longest_silence: must be at least 1"),
        ({**GOOD, "terms": {"level_4w": {"weight": 1, "usual": -1}}}, "level_4w: usual and most must be 0 or more"),
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
