"""A model file with a fitted risk: the text of the model that is in force, with another section `risk`."""

from __future__ import annotations

import re
import textwrap

from services.backtest.fitting import RiskFitted
from services.backtest.report.risk_fit import origin
from services.backtest.words import speech
from services.scorer.domain.health.risk import Fading, RiskTerm

_SECTION = re.compile(r"(?:^#[^\n]*\n)*^risk:[^\n]*\n(?:(?:#[^\n]*\n)*[ \t][^\n]*(?:\n|\Z)|\n)*", re.MULTILINE)
"""The comment above it, its line, and all below it that is indented; comments and empty lines between."""


def with_risk(model: str, fitted: RiskFitted) -> str:
    """Return the text of a model with its section `risk` replaced; the rest, comments too, stays as it is."""
    section = risk_section(fitted)
    before, found, after = _parted(model)
    if not found:
        return f"{model.rstrip()}\n\n{section}"
    return f"{before.rstrip()}\n\n{section}" + (f"\n{after.lstrip()}" if after.strip() else "")


def risk_section(fitted: RiskFitted) -> str:
    """Return the section. Like the rest of a model file, it is in English."""
    figures = fitted.figures
    lines = [
        "# How likely a loss is, fitted by `tidemark backtest --fit` (docs/backtesting.md). Each term adds its weight times how far",
        "# the measure is from that of a usual account; form log: the logarithm of one more than the value; fades: the term counts",
        "# as it is up to one value of a measure (whole), and no more from another one on (none).",
        "risk:",
        "  origin: >-",
        *textwrap.wrap(
            origin(fitted, speech("en")), 116, initial_indent="    ", subsequent_indent="    ", break_long_words=False
        ),
        f"  usual: {fitted.usual:.4f}",
        "  terms:",
        *(f"    {name}: {_term(term)}" for name, term in fitted.terms.items()),
        f"  longest_silence: {fitted.longest_silence}",
        "  fit:                     # with it the API tells risk_percent",
        f"    predicts: {fitted.predicts}",
        f"    losses: {figures.losses}",
        f"    account_weeks: {figures.weeks}",
        f"    least_usual_week: {fitted.least_usual_week:g}",
        "    calibration:           # of accounts that it was not fitted on",
    ]
    lines += [
        f"      - {{forecast_percent: {100 * each.forecast:.2f}, observed_percent: {100 * each.observed:.2f}, "
        f"account_weeks: {each.weeks}}}"
        for each in figures.calibration
    ]
    return "\n".join(lines) + "\n"


def _term(term: RiskTerm) -> str:
    form = "form: log, " if term.form == "log" else ""
    most = "" if term.most is None else f"most: {term.most:g}, "
    fades = "" if term.fades is None else f", fades: {_fading(term.fades)}"
    return f"{{{form}usual: {term.usual:g}, {most}weight: {term.weight:.6g}{fades}}}"


def _fading(fading: Fading) -> str:
    return f"{{measure: {fading.measure}, whole: {fading.whole:g}, none: {fading.none:g}}}"


def _parted(model: str) -> tuple[str, str, str]:
    found = _SECTION.search(model)
    if found is None:
        return model, "", ""
    return model[: found.start()], found.group(), model[found.end() :]
