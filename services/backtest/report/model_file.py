"""
A model file with a fitted risk: the text of the model that is in force, with another section `risk`.

The section is found by the marks of the YAML parser, so it may be written in any of YAML's ways. The rest stays as it is,
comments too, save those inside the section and those that Tidemark has put above it.
"""

from __future__ import annotations

import textwrap
from functools import cache
from typing import NamedTuple

import yaml

from services.backtest.fitting import RiskFitted
from services.backtest.report.risk_fit import origin
from services.backtest.words import speech
from services.scorer.domain.health.risk import Fading, RiskTerm
from services.scorer.settings import DEFAULT_MODEL

_COMMENT = (
    "# How likely a loss is, fitted by `tidemark backtest --fit` (docs/backtesting.md). Each term adds its weight times how far",
    "# the measure is from that of a usual account; form log: the logarithm of one more than the value; fades: the term counts",
    "# as it is up to one value of a measure (whole), and no more from another one on (none).",
)


class NoPlaceForRiskError(ValueError):
    """The text of a model has no place where a section can be put; the message says why."""


class _Place(NamedTuple):
    start: int
    """Of the first line of the section."""
    end: int
    """Behind its last line."""
    indent: int
    """Columns by which the names of sections are indented."""


def with_section(model: str, section: str) -> str:
    """
    Return the text of a model with another section `risk`, which may be there or not.

    Raises:
        NoPlaceForRiskError: there is no place for one.
    """
    place = _place(model)
    before, kept = model[: place.start].splitlines(), []
    while before and before[-1].lstrip().startswith("#"):
        line = before.pop()
        if line.strip() not in _own_comments():
            kept.append(line)
    above = "\n".join([*before, *reversed(kept)]).rstrip()
    parts = (above, textwrap.indent(section, " " * place.indent).rstrip("\n"), model[place.end :].strip("\n"))
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def shipped_section() -> str:
    """Return the section of the model that comes with Tidemark, without the comment above it."""
    model = DEFAULT_MODEL.read_text("utf-8")
    place = _place(model)
    return model[place.start : place.end]


def risk_section(fitted: RiskFitted) -> str:
    """Return the section. Like the rest of a model file, it is in English."""
    figures = fitted.figures
    lines = [
        *_COMMENT,
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


def _place(model: str) -> _Place:
    root = yaml.compose(model, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise NoPlaceForRiskError("it is in braces, or no mapping")
    for key, value in root.value:
        if isinstance(key, yaml.ScalarNode) and key.value == "risk":
            start = model.rfind("\n", 0, key.start_mark.index) + 1
            end = _end(model, value)
            if model[start : key.start_mark.index].strip() or end <= start:
                raise NoPlaceForRiskError("its section `risk` does not begin a line, or is an alias")
            return _Place(start, end, root.start_mark.column)
    return _Place(len(model), len(model), root.start_mark.column)


def _end(model: str, value: yaml.Node) -> int:
    """Return where the lines of a value end; the parser's mark of a block lies behind the comments that follow it."""
    while isinstance(value, yaml.CollectionNode) and not value.flow_style and value.value:
        last = value.value[-1]
        value = last[1] if isinstance(last, tuple) else last
    end: int = value.end_mark.index
    while end and model[end - 1] != "\n" and end < len(model):
        end += 1
    while model[end : end + 1] in (" ", "\t") and model[end:].lstrip(" \t").startswith(
        "#"
    ):  # a comment inside the section
        end = model.find("\n", end) + 1 or len(model)
    return end


@cache
def _own_comments() -> frozenset[str]:
    """Return the lines that Tidemark writes above the section: those of a fit, and those of the model that it comes with."""
    model = DEFAULT_MODEL.read_text("utf-8")
    above = model[: _place(model).start].rpartition("\n\n")[2].splitlines()
    return frozenset(_COMMENT) | frozenset(above)
