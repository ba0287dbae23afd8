"""Histories of which little or nothing can be measured: the report says so, and nothing raises."""

from __future__ import annotations

import pytest

from services.backtest.domain.history import AccountOutcome, BacktestHistory, Event
from services.backtest.domain.kept_events import KeptEvents
from services.backtest.domain.risk_fit import TooFewLossesError
from services.backtest.driving import Driven, drive
from services.backtest.driving.scoring import EmptyHistoryError
from services.backtest.fitting import fit_history
from services.backtest.measuring import measure, measure_list
from services.backtest.report.contents import Measured, ReportPart, part_of
from services.backtest.report.page import page
from services.backtest.words import speech
from services.scorer.domain.health.model import read_model
from services.scorer.settings import DEFAULT_MODEL
from services.shared.files.yaml_file import read_yaml
from services.shared.plan_file import default_plan
from services.shared.units import DAY_MS

FIRST = 19_700


def driven(days: int, *outcomes: AccountOutcome) -> Driven:
    events = [Event(account, "ann", (FIRST + day) * DAY_MS) for day in range(days) for account in ("a", "b")]
    return drive(BacktestHistory("short", KeptEvents(events), f"short {days}", outcomes=outcomes))


def report(days: int, *outcomes: AccountOutcome) -> ReportPart:
    told = driven(days, *outcomes)
    against = measure_list(told) if outcomes else None
    part = part_of(Measured(told, measure(told, draws=5), against), speech("en"))
    assert page("x", [], [part], speech("en"))
    return part


def test_a_history_of_some_weeks_says_that_a_longer_one_is_needed() -> None:
    assert "Nothing can be measured" in report(30).headline[0]
    assert "Give a longer history." in report(30).headline[0]


def test_a_history_without_a_loss_tells_of_false_calls_alone() -> None:
    assert report(160).headline == [
        (
            "No account fell to a third of its usual level in 6 account-weeks, so alarms can only be false here: 0.0 false calls "
            "a week per 100 accounts."
        )
    ]


def test_a_list_of_strangers_is_told_with_the_reason() -> None:
    part = report(160, AccountOutcome("somebody", FIRST + 100))

    assert part.headline == [
        "No lost account on the list can be judged:",
        "somebody: no event of it in the history: is the id the one that events carry?",
    ]
    table = part.sections[0].table
    assert table is not None
    assert table.rows[0][0].startswith("somebody: no event of it in the history")


def test_the_weeks_of_an_account_after_a_loss_too_early_to_be_judged_are_not_measured() -> None:
    early = driven(160, AccountOutcome("a", FIRST + 40))
    told = driven(160, AccountOutcome("somebody", FIRST + 100))

    assert (measure(early, draws=0).accounts, measure(told, draws=0).accounts) == (1, 2)
    assert (measure(early, draws=0).weeks, measure(told, draws=0).weeks) == (3, 6)


@pytest.mark.filterwarnings("error")
def test_a_list_of_one_loss_is_too_few_to_fit() -> None:
    shipped = read_model(read_yaml(DEFAULT_MODEL), default_plan()).risk
    assert shipped is not None

    with pytest.raises(TooFewLossesError):
        fit_history(driven(160, AccountOutcome("a", FIRST + 100)), shipped, "loss")


def test_a_history_without_events_is_refused() -> None:
    with pytest.raises(EmptyHistoryError, match="nothing has no events"):
        drive(BacktestHistory("nothing", KeptEvents([]), "nothing"))
