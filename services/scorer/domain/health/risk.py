"""
How risky an account is among all: the log-odds of a logistic hazard, and what each measure adds to them.

The hazard ranks accounts; it says nothing about how likely a loss is where its coefficients were not fitted, so no
percentage is made of it. Each measure's contribution is its weight times how far it is from that of a usual account.
In thousandths, rounded by largest remainder, the contributions add up to the log-odds exactly.
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


class RiskTerm(msgspec.Struct, forbid_unknown_fields=True):
    """What one measure adds."""

    weight: float
    usual: float
    """The value at which it adds nothing."""
    form: Literal["linear", "log"] = "linear"
    """log: the logarithm of one more than the value is weighted, and not the value."""
    most: float | None = None
    """Values above count as this."""

    def log_odds(self, value: float) -> float:
        """Return what a value adds to the log-odds."""
        return self.weight * (self._scaled(value) - self._scaled(self.usual))

    def _scaled(self, value: float) -> float:
        taken = max(0.0, value) if self.most is None else max(0.0, min(value, self.most))
        return math.log1p(taken) if self.form == "log" else taken


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


class RiskPart(NamedTuple):
    """What one measure adds to the log-odds, in thousandths."""

    number: int
    """Of the measure; 0: the log-odds of a usual account."""
    thousandths: int


def risk(values: Mapping[str, float], model: RiskModel) -> tuple[RiskPart, ...]:
    """Return the parts of an account's log-odds; none where a measure is not known or the account is silent for too long."""
    if not model.terms.keys() <= values.keys() or values.get("silent_days", 0) > model.longest_silence:
        return ()
    shares = [model.usual * THOUSANDTHS]
    shares += [term.log_odds(values[name]) * THOUSANDTHS for name, term in model.terms.items()]
    numbers = [USUAL, *(MEASURES[name].number for name in model.terms)]
    return tuple(RiskPart(*pair) for pair in zip(numbers, shared_out(shares), strict=True))


def problems(model: RiskModel) -> Iterator[str]:
    """Say what is wrong with a risk model, one line each."""
    if not math.isfinite(model.usual):
        yield "risk.usual: must be a number"
    if not model.terms:
        yield "risk.terms: name at least one measure"
    for name, term in sorted(model.terms.items()):
        record = MEASURES.get(name)
        if record is None or record.source != "scorer":
            yield f"risk.terms.{name}: the scorer takes no such measure"
        if not all(math.isfinite(each) for each in (term.weight, term.usual, term.most or 0.0)):
            yield f"risk.terms.{name}: weight, usual and most must be numbers"
