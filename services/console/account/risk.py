"""What makes the risk of an account: one step for each measure, from a usual account to this one, which add up exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.console.account.past import Day

USUAL = "usual_risk"
"""The name of the part from which the others go on: a usual account."""


@dataclass(frozen=True, slots=True)
class RiskStep:
    """What one measure does to the risk. Thousandths of log-odds."""

    name: str
    label: str
    unit: str
    begins: int
    ends: int
    value: float | None
    """The measure's value."""

    @property
    def change(self) -> int:
        """Return by how much it moves the log-odds."""
        return self.ends - self.begins


@dataclass(frozen=True, slots=True)
class Risk:
    """The risk of an account. Thousandths of log-odds."""

    usual: int
    total: int
    percent: float | None
    """The chance of what a fitted model predicts; None where the risk is a rank alone."""
    predicts: str | None
    steps: tuple[RiskStep, ...]

    @property
    def low(self) -> int:
        """Return the least that the way from `usual` to `total` comes to."""
        return min(self.usual, *(step.ends for step in self.steps)) if self.steps else self.usual

    @property
    def high(self) -> int:
        """Return the most that it comes to."""
        return max(self.usual, *(step.ends for step in self.steps)) if self.steps else self.usual


def risk(day: Day) -> Risk | None:
    """Return what makes the risk, those that raise it first, the largest first. None: it is not known."""
    told = day.told["risk"]
    if told is None:
        return None
    parts = {part["name"]: part for part in told["parts"]}
    usual = _thousandths(parts.pop(USUAL)) if USUAL in parts else 0
    ordered = sorted(parts.values(), key=lambda part: (part["log_odds"] <= 0, -abs(part["log_odds"]), part["name"]))
    steps: list[RiskStep] = []
    at = usual
    for part in ordered:
        if change := _thousandths(part):
            steps.append(RiskStep(part["name"], part["label"], part["unit"], at, at + change, day.value(part["name"])))
            at += change
    total = round(told["log_odds"] * 1000)
    return Risk(usual, total, told["risk_percent"], told["risk_predicts"], tuple(steps))


def _thousandths(part: Mapping[str, Any]) -> int:
    log_odds: float = part["log_odds"]
    return round(log_odds * 1000)
