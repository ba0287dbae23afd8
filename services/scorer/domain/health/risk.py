"""
How risky an account is among all: the log-odds of a logistic hazard, and what each measure adds to them.

The hazard ranks accounts; it says nothing about how likely a loss is where its coefficients were not fitted, so a
percentage is made of it only where it carries a fit on one's own losses. Each measure's contribution is its weight times how
far it is from that of a usual account, less where the term fades. In thousandths, rounded by largest remainder, the contributions add up to the log-odds exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

from schemas.measures import MEASURES
from services.scorer.domain.health.rounding import shared_out

USUAL = 0
"""Stands for the log-odds of a usual account, where other parts have the number of a measure."""
THOUSANDTHS = 1000
UNKNOWN = "UNKNOWN"
"""What log-odds predict that only rank accounts: of what they are the chance is not known."""

Predicts = Literal["collapse", "loss"]
"""
What a fitted hazard gives the chance of in the next 12 weeks: that use comes to 35 % of that of the 30 weeks before or
less, or that the account is on a list of lost customers.
"""


class Fading(msgspec.Struct, forbid_unknown_fields=True):
    """For which accounts a term counts: the more a measure has, the less it does."""

    measure: str
    whole: float
    """Up to this value the term counts as it is."""
    none: float
    """From this value on, and where the measure is not known, it adds nothing; between the two it fades in proportion."""

    def share(self, value: float | None) -> float:
        """Return how much of a term counts, 0 to 1."""
        if value is None:
            return 0.0
        return min(1.0, max(0.0, (self.none - value) / (self.none - self.whole)))


class RiskTerm(msgspec.Struct, forbid_unknown_fields=True):
    """What one measure adds."""

    weight: float
    usual: float
    """The value at which it adds nothing."""
    form: Literal["linear", "log"] = "linear"
    """log: the logarithm of one more than the value is weighted, and not the value."""
    most: float | None = None
    """Values above count as this."""
    fades: Fading | None = None

    def part(self, name: str, values: Mapping[str, float]) -> float:
        """Return what the measure of this name adds to the log-odds of an account with these values."""
        share = 1.0 if self.fades is None else self.fades.share(values.get(self.fades.measure))
        return share * self.log_odds(values[name]) if share else 0.0

    def log_odds(self, value: float) -> float:
        """Return what a value adds to the log-odds where the term counts as it is."""
        return self.weight * (self._scaled(value) - self._scaled(self.usual))

    def _scaled(self, value: float) -> float:
        taken = max(0.0, value) if self.most is None else max(0.0, min(value, self.most))
        return math.log1p(taken) if self.form == "log" else taken


class CalibrationRow(msgspec.Struct, forbid_unknown_fields=True):
    """Account-weeks that the fit had not seen, and for which about the same chance was forecast."""

    forecast_percent: float
    observed_percent: float
    account_weeks: int


class RiskFit(msgspec.Struct, forbid_unknown_fields=True):
    """On what the coefficients were fitted, by `tidemark backtest --fit`. With it, and only then, the log-odds are a chance."""

    predicts: Predicts
    losses: int
    """Outcomes that it was fitted on."""
    account_weeks: int
    least_usual_week: float
    """Active user-days in a usual week below which no account was looked at: the chance of such a one is not known."""
    calibration: list[CalibrationRow]


class RiskModel(msgspec.Struct, forbid_unknown_fields=True):
    """The hazard: where its coefficients come from, and what they are."""

    origin: str
    """On what they were fitted, in words."""
    usual: float
    """The log-odds of an account whose measures are all at their usual values."""
    terms: dict[str, RiskTerm]
    """By name of the measure."""
    longest_silence: int = 56
    """Days of silence beyond which the hazard says nothing: it was fitted on no account that was silent for longer."""
    fit: RiskFit | None = None
    """None: the coefficients rank accounts, and are no chance."""


class RiskPart(NamedTuple):
    """What one measure adds to the log-odds, in thousandths."""

    number: int
    """The number of the measure; 0: the log-odds of a usual account."""
    thousandths: int


def risk(values: Mapping[str, float], model: RiskModel) -> tuple[RiskPart, ...]:
    """Return the parts of an account's log-odds; none where a measure is not known or the account is silent for too long."""
    if not model.terms.keys() <= values.keys() or values.get("silent_days", 0) > model.longest_silence:
        return ()
    shares = [model.usual * THOUSANDTHS]
    shares += [term.part(name, values) * THOUSANDTHS for name, term in model.terms.items()]
    numbers = [USUAL, *(MEASURES[name].number for name in model.terms)]
    return tuple(RiskPart(*pair) for pair in zip(numbers, shared_out(shares), strict=True))


def predicted(values: Mapping[str, float], model: RiskModel) -> str:
    """Return what the log-odds of an account are the chance of: COLLAPSE or LOSS, or UNKNOWN where they only rank it."""
    if model.fit is None or values.get("usual_week", 0.0) < model.fit.least_usual_week:
        return UNKNOWN
    return model.fit.predicts.upper()


def problems(model: RiskModel) -> Iterator[str]:
    """Say what is wrong with a risk model, one line each."""
    if not math.isfinite(model.usual):
        yield "risk.usual: must be a number"
    if model.longest_silence < 1:
        yield "risk.longest_silence: must be at least 1 day, or no risk is ever known"
    if not model.terms:
        yield "risk.terms: name at least one measure"
    for name, term in sorted(model.terms.items()):
        record = MEASURES.get(name)
        if record is None or record.source != "scorer":
            yield f"risk.terms.{name}: the scorer takes no such measure"
        if not all(math.isfinite(each) for each in (term.weight, term.usual, term.most or 0.0)):
            yield f"risk.terms.{name}: weight, usual and most must be numbers"
        if min(term.usual, 0.0 if term.most is None else term.most) < 0:
            yield f"risk.terms.{name}: usual and most must be 0 or more, as what is below 0 counts as 0"
        if term.fades is not None:
            yield from _of_fading(f"risk.terms.{name}.fades", term.fades)
    if model.fit is not None and not (model.fit.losses > 0 and model.fit.account_weeks > 0 and model.fit.calibration):
        yield "risk.fit: needs losses, account_weeks and a calibration, as `tidemark backtest --fit --write` writes them"


def _of_fading(place: str, fading: Fading) -> Iterator[str]:
    record = MEASURES.get(fading.measure)
    if record is None or record.source != "scorer":
        yield f"{place}: the scorer takes no measure {fading.measure}"
    if not (math.isfinite(fading.whole) and math.isfinite(fading.none) and fading.whole < fading.none):
        yield f"{place}: whole and none must be numbers, and whole less than none"
