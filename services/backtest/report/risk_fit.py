"""What a report says about a fit of the risk: whether it stands, and how it did beside the shipped coefficients."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, timedelta

from services.backtest.domain.forecasts import RATE, SHIPPED, ForecastFigures, SplitFigures
from services.backtest.domain.resampling import Interval
from services.backtest.domain.risk_fit import COEFFICIENTS, LEVEL, STRETCH, RiskFitFigures
from services.backtest.fitting import RiskFitted
from services.backtest.report.contents import NOTHING, Section, Table

_EPOCH = date(1970, 1, 1)
PREDICTED = {
    "collapse": "use in the next 12 weeks comes to 35 % of the weekly mean of the 30 weeks before, or less",
    "loss": "the account is on the list of lost customers, with a date in the next 12 weeks",
}
_FORMS = {
    LEVEL: "the shipped coefficients at another level",
    STRETCH: "the shipped coefficients at another level, and stretched",
    COEFFICIENTS: "coefficients of its own",
}


def verdict(fitted: RiskFitted) -> str:
    """Return the line of the first lines that is about the fit."""
    figures = fitted.figures
    ours, shipped = _of_others(figures)
    known = f"log loss {ours.log_loss:.4f} against {shipped.log_loss:.4f}, AUC {_auc(ours)} against {_auc(shipped)}"
    if figures.against:
        return f"The risk fitted on {figures.losses} losses does not stand beside the shipped coefficients ({known})."
    return (
        f"The risk fitted on {figures.losses} losses ({_FORMS[figures.form]}) forecasts accounts that it was not fitted on better "
        f"than the shipped coefficients: {known}. So it can be told in per cent."
    )


def refusal(figures: RiskFitFigures) -> str:
    """Return why a fit does not stand, and what would help."""
    reasons = "".join(f"\n  - {reason}" for reason in figures.against)
    return f"nothing was fitted that stands ({figures.losses} losses in {figures.weeks:,} account-weeks):{reasons}\n{_advice(figures)}"


def origin(fitted: RiskFitted) -> str:
    """Return on what a risk was fitted, and how it did, for the model file."""
    figures = fitted.figures
    ours, shipped = _of_others(figures)
    first, last = (_EPOCH + timedelta(days=day) for day in (fitted.first_day, fitted.last_day))
    return (
        f"Fitted by `tidemark backtest --fit` on {fitted.history}, {first.isoformat()} to {last.isoformat()}: {figures.weeks:,} "
        f"account-weeks of {figures.accounts:,} accounts with {fitted.least_usual_week:g} user-days or more in a usual week, of which "
        f"{100 * figures.rate:.1f} % were followed by a loss ({figures.losses} losses). A loss: {PREDICTED[fitted.predicts]}. Form: "
        f"{_FORMS[figures.form]}. On accounts that it was not fitted on: log loss {ours.log_loss:.4f}, of the shipped "
        f"coefficients {shipped.log_loss:.4f}, of {RATE} {figures.other_accounts.of(RATE).log_loss:.4f}; AUC {_auc(ours)}, of the "
        f"shipped coefficients {_auc(shipped)}."
    )


def sections(fitted: RiskFitted) -> Iterable[Section]:
    """Return the tables."""
    figures = fitted.figures
    yield Section(
        "The risk, fitted on this history",
        [
            (
                f"Fitted on {figures.weeks:,} account-weeks of {figures.accounts:,} accounts with {fitted.least_usual_week:g} active "
                f"user-days or more in a usual week; a loss follows on {100 * figures.rate:.1f} % of them ({figures.losses} "
                f"losses). A loss: {PREDICTED[fitted.predicts]}."
            ),
            (
                f"Taken: {_FORMS[figures.form]}. Forecasts are of account-weeks that were not fitted on. Log loss: lower is better; "
                "its gains are over the other forecast, with the range of 95 % of the results when accounts are drawn anew. "
                "Forecast: account-weeks with a loss."
            ),
            *(f"It does not stand: {reason}." for reason in figures.against),
            *([_advice(figures)] if figures.against else []),
        ],
    )
    for split in (figures.other_accounts, figures.later_time):
        yield _split(split)
    yield Section(
        "Calibration of the fitted risk",
        ["Of accounts that it was not fitted on, by tenths of the forecast."],
        Table(
            ("forecast", "followed by a loss", "account-weeks"),
            [(_percent(each.forecast), _percent(each.observed), str(each.weeks)) for each in figures.calibration],
        ),
    )


def _split(split: SplitFigures) -> Section:
    rows = [
        (
            each.name,
            f"{each.log_loss:.4f}",
            NOTHING if each.name == RATE else _gain(each.over_rate),
            NOTHING if each.name == SHIPPED else _gain(each.over_shipped),
            NOTHING if each.name == RATE else _auc(each),
            NOTHING if each.name == RATE else f"{each.ranking.average_precision.value:.3f}",
            f"{each.forecast:.0f}",
        )
        for each in split.forecasts
    ]
    head = ("forecast by", "log loss", f"gain over {RATE}", f"over {SHIPPED}", "AUC", "average precision", "forecast")
    told = f"{split.weeks:,} account-weeks, {split.loss_weeks:,} with a loss; {split.losses} losses start in them."
    return Section(f"Forecasts of {split.name}", [told], Table(head, rows))


def _advice(figures: RiskFitFigures) -> str:
    if figures.more is not None:
        return (
            f"About {figures.more} more losses of the same kind would show whether it is better, if the gains stay what they are. "
            "The shipped coefficients stay, and rank accounts without a percentage."
        )
    if figures.other_accounts.of(figures.form).over_rate.low > 0:
        return (
            f"It holds for other accounts, but not for a later time, of which there are {figures.later_time.losses} losses: as many "
            "again, over a longer time, would show whether that is chance. The shipped coefficients stay, and rank accounts "
            "without a percentage."
        )
    return (
        "Nothing says that more losses of the same kind would help: how an account uses the product says too little here about "
        "whether it is lost."
    )


def _of_others(figures: RiskFitFigures) -> tuple[ForecastFigures, ForecastFigures]:
    return figures.other_accounts.of(figures.form), figures.other_accounts.of(SHIPPED)


def _auc(figures: ForecastFigures) -> str:
    return f"{figures.ranking.auc.value:.3f}"


def _gain(interval: Interval) -> str:
    return f"{interval.value:.4f} [{interval.low:.4f}, {interval.high:.4f}]"


def _percent(share: float) -> str:
    return NOTHING if math.isnan(share) else f"{100 * share:.1f} %"
