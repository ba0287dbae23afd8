"""What a report says about a fit of the risk: whether it stands, and how it did beside the shipped coefficients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.backtest.domain.forecasts import RATE, SHIPPED, ForecastFigures, SplitFigures
from services.backtest.domain.risk_fit import Objection, RiskFitFigures, TooFewLossesError
from services.backtest.fitting import RiskFitted
from services.backtest.report.contents import Section, Table, head_of
from services.backtest.words import Speech
from services.backtest.words.speech import NOTHING


def verdict(fitted: RiskFitted, say: Speech) -> str:
    """Return the line of the first lines that is about the fit."""
    figures = fitted.figures
    losses = say("losses", count=figures.losses)
    if figures.against:
        return say("fit.falls", losses=losses, reasons="; ".join(_against(each, say) for each in figures.against))
    known = say("fit.known", **_compared(figures, say))
    return say("fit.stands", losses=losses, form=say(f"fit.form.{figures.form}"), known=known)


def refusal(figures: RiskFitFigures, say: Speech) -> str:
    """Return why a fit does not stand, and what would help."""
    counted: dict[str, Any] = {
        "losses": say("losses", count=figures.losses),
        "weeks": say("weeks", count=figures.weeks),
    }
    reasons = "".join(f"\n  - {_against(each, say)}" for each in figures.against)
    return f"{say('fit.refused', **counted)}{reasons}\n{_advice(figures, say)}"


def nothing_fitted(lacking: TooFewLossesError, say: Speech) -> str:
    """Return the line of the first lines where there is too little to fit."""
    return say("fit.none", lacking=_lacking(lacking, say))


def too_few(lacking: TooFewLossesError, hint: bool, say: Speech) -> str:
    """Return why nothing was fitted; `hint`: whether falls in use may be taken in the place of the losses on a list."""
    return say("fit.too_few", lacking=_lacking(lacking, say)) + (say("fit.too_few_hint") if hint else "")


def _lacking(lacking: TooFewLossesError, say: Speech) -> str:
    counts, key = lacking.counts, "accounts" if lacking.lacking == "accounts" else "losses"
    told: dict[str, Any] = {name: say.number(count) for name, count in counts.items()}
    return say(
        f"fit.lacking.{lacking.lacking}", count=counts[key], more=say.number(counts["needed"] - counts[key]), **told
    )


def origin(fitted: RiskFitted, say: Speech) -> str:
    """Return on what a risk was fitted, and how it did, for the model file."""
    figures = fitted.figures
    return say(
        "fit.origin",
        history=fitted.history,
        first=say.day(fitted.first_day),
        last=say.day(fitted.last_day),
        form=say(f"fit.form.{figures.form}"),
        rate_log_loss=say.cell(figures.other_accounts.of(RATE).log_loss, 4),
        **_fitted_on(fitted, say),
        **_compared(figures, say),
    )


def sections(fitted: RiskFitted, say: Speech) -> Iterable[Section]:
    """Return the tables."""
    figures = fitted.figures
    yield Section(
        say("fit.title"),
        [
            say("fit.lead", **_fitted_on(fitted, say)),
            *([say("fit.between")] if fitted.predicts == "loss" else []),
            say("fit.taken", form=say(f"fit.form.{figures.form}")),
            *(say("fit.against.sentence", reason=_against(each, say)) for each in figures.against),
            *([_advice(figures, say)] if figures.against else []),
        ],
    )
    for split in (figures.other_accounts, figures.later_time):
        yield _split(split, say)
    yield Section(
        say("fit.calibration.title"),
        [say("fit.calibration.note")],
        Table(
            head_of(say, "fit.calibration", "forecast", "observed", "weeks"),
            [
                (say.percent(each.forecast, 1), say.percent(each.observed, 1), say.cell(each.weeks))
                for each in figures.calibration
            ],
        ),
    )


def _split(split: SplitFigures, say: Speech) -> Section:
    rows = [
        (
            say(f"forecast.{each.name}"),
            say.cell(each.log_loss, 4),
            NOTHING if each.name == RATE else say.interval(each.over_rate, 4),
            NOTHING if each.name == SHIPPED else say.interval(each.over_shipped, 4),
            NOTHING if each.name == RATE else _auc(each, say),
            NOTHING if each.name == RATE else say.cell(each.ranking.average_precision.value, 3),
            say.cell(each.forecast),
        )
        for each in split.forecasts
    ]
    head = head_of(say, "fit", "by", "log_loss", "over_rate", "over_shipped", "auc", "average_precision", "forecast")
    weeks, loss_weeks = say("weeks", count=split.weeks), say.number(split.loss_weeks)
    told = [say("fit.split.told", weeks=weeks, loss_weeks=loss_weeks), say("fit.split.starts", count=split.losses)]
    return Section(say(f"fit.split.{split.name}"), [" ".join(told)], Table(head, rows))


def _against(objection: Objection, say: Speech) -> str:
    digits = {"accounts_rank": 3, "time_calibration": 0}.get(objection.kind, 4)
    ours, other = say.cell(objection.ours, digits), say.cell(objection.other, digits)
    gain = "" if objection.gain is None else say.interval(objection.gain, digits)
    return say(f"fit.against.{objection.kind}", count=objection.other, ours=ours, other=other, gain=gain)


def _advice(figures: RiskFitFigures, say: Speech) -> str:
    against = {each.kind for each in figures.against}
    if all(kind.startswith("time_") for kind in against):
        return say("fit.advice.later", count=figures.later_time.losses)
    if figures.more is not None:
        return say("fit.advice.more", count=figures.more)
    return say("fit.advice.none" if f"accounts_{RATE}" in against else "fit.advice.shipped")


def _fitted_on(fitted: RiskFitted, say: Speech) -> dict[str, Any]:
    figures = fitted.figures
    return {
        "weeks": say("weeks", count=figures.weeks),
        "accounts": say("accounts", count=figures.accounts),
        "least": say("active", count=fitted.least_usual_week, shown=say.short(fitted.least_usual_week)),
        "rate": say.percent(figures.rate, 1),
        "losses": say("losses", count=figures.losses),
        "predicted": say(f"fit.predicted.{fitted.predicts}"),
    }


def _compared(figures: RiskFitFigures, say: Speech) -> dict[str, Any]:
    """Return how the fit and the shipped coefficients did on accounts that it was not fitted on."""
    ours, shipped = figures.other_accounts.of(figures.form), figures.other_accounts.of(SHIPPED)
    return {
        "log_loss": say.cell(ours.log_loss, 4),
        "shipped_log_loss": say.cell(shipped.log_loss, 4),
        "auc": _auc(ours, say),
        "shipped_auc": _auc(shipped, say),
    }


def _auc(figures: ForecastFigures, say: Speech) -> str:
    return say.cell(figures.ranking.auc.value, 3)
