"""Which account-weeks a fit takes: those of which the hazard says something, and of which the list tells whether a loss follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schemas.measures import numbered
from services.backtest.driving import Driven
from services.backtest.driving.snapshots import Snapshots
from services.backtest.fitting import SILENT_DAYS, USUAL_WEEK, _sample
from services.scorer.domain.health.model import read_model
from services.scorer.domain.health.risk import Predicts, RiskModel
from services.scorer.settings import DEFAULT_MODEL
from services.shared.files.yaml_file import read_yaml
from services.shared.plan_file import default_plan
from tests.support.backtests import FIRST_DAY, at
from tests.support.driven import driven, lost

USUAL = {USUAL_WEEK: 5.0, "days_per_person": 1.0}
OTHERWISE = {
    "hooli": {USUAL_WEEK: 0.9},
    "initech": {USUAL_WEEK: 1.0, SILENT_DAYS: 56.0},
    "soylent": {SILENT_DAYS: 57.0},
}


def shipped() -> RiskModel:
    found = read_model(read_yaml(DEFAULT_MODEL), default_plan()).risk
    assert found is not None
    return found


def known() -> Driven:
    """Return the six accounts with measures week by week; of `globex` none is known."""
    told = driven(lost("acme", 300), lost("umbrella", 150))
    common: dict[str, Any] = {
        "sequence": 1, "historical": True, "trigger_received_at": 0, "stage": "ONGOING", "band": "GREEN",
        "score_tenths": 500, "risk_thousandths": None, "dates": {}, "counted": {}, "lowest_user": "", "facts": {},
    }  # fmt: skip
    snapshots = Snapshots()
    for account in told.accounts:
        values = {name: term.usual for name, term in shipped().terms.items()} | USUAL | OTHERWISE.get(account, {})
        for column in range(6, 420, 7):
            measures = numbered({} if account == "globex" else values)
            day = {"account": account, "at": at(column), "day": FIRST_DAY + column, "measures": measures}
            snapshots.add({**common, **day})
    snapshots.seal()
    return replace(told, snapshots=snapshots)


def taken(predicts: Predicts) -> dict[str, tuple[int, int]]:
    """Return the first and the last column of each account that is taken."""
    told = known()
    weeks = _sample(told, shipped(), predicts, 1.0).weeks
    found: dict[str, tuple[int, int]] = {}
    for row, column in zip(weeks.account.tolist(), weeks.column.tolist(), strict=True):
        first, last = found.get(told.accounts[row], (column, column))
        found[told.accounts[row]] = (min(first, column), max(last, column))
    return found


def test_accounts_that_are_little_used_silent_for_too_long_or_not_known_are_left_out() -> None:
    assert sorted(taken("collapse")) == ["acme", "initech", "umbrella"]


def test_with_a_list_only_weeks_between_its_first_and_its_last_loss_are_taken() -> None:
    """Columns 6, 13, ... are Sundays: the first from 150 on, and the last of which the twelve weeks end by 300."""
    found = taken("loss")

    assert found == {"acme": (153, 216), "initech": (153, 216)}  # the other one was lost on the first of these days
