"""
Signals, bands, stages and measures in a reader's language.

The catalogues hold title and next step of every shipped rule. They stand in for the text of a signal only where that
is the shipped one: a rule of one's own, or one whose text was overridden, speaks in its own words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.console.account.risk import USUAL
from services.console.words import catalogue
from services.console.words.formats import DASH, Formats
from services.shared.wording import Catalogue

_EVIDENCE_SHOWN = 2
_REASONS_SHOWN = 2
_TENTHS = 10
_PREDICTED = ("risk.predicts.collapse", "risk.predicts.loss")
"""What a fitted risk may be the chance of, in the English catalogue in the words of the API."""
_TOLD_ELSEWHERE = frozenset({"renewal_in_days", "score"})
"""Evidence that moves by the day and stands beside every signal, as it is now."""


class Wording:
    """Words for what the API tells."""

    def __init__(self, words: Catalogue, formats: Formats) -> None:
        self._words = words
        self._formats = formats

    def title(self, signal: Mapping[str, Any]) -> str:
        """Return what has happened, in a few words."""
        return self._shipped(signal, "title") or str(signal["title"])

    def action(self, signal: Mapping[str, Any]) -> str:
        """Return what to do next."""
        return self._shipped(signal, "action") or str(signal["action"])

    def meaning(self, signal: Mapping[str, Any]) -> str:
        """Return what the signal means in general; empty for rules of one's own."""
        key = f"rules.{signal['rule']}.meaning"
        return self._words(key) if self._shipped(signal, "title") else ""

    def evidence(self, signal: Mapping[str, Any]) -> str:
        """
        Return what it rests on, in one line: the values of measures, and what is usual.

        They are those of now, or all of them those of when the signal was sent (see `is_current`).
        """
        if not self._shipped(signal, "title"):
            return str(signal["summary"])
        moment, usual = ("now", "usual_now") if self.is_current(signal) else ("value", "usual")
        shown = _shown(signal, moment)
        if any(item["name"] == "silent_days" and item.get(moment) == 0 for item in shown):
            return self._words("evidence.active_again")
        return " · ".join(self._fact(signal["rule"], item, float(item[moment]), item.get(usual)) for item in shown)

    def is_current(self, signal: Mapping[str, Any]) -> bool:
        """Return whether the line of evidence tells of now, not of when the signal was sent: all that it shows is known."""
        return bool(self._shipped(signal, "title")) and all(
            item.get("now") is not None for item in _shown(signal, "now")
        )

    def _fact(self, rule: str, item: Mapping[str, Any], value: float, usual: float | None) -> str:
        """Return one measure with its value, and the usual one where it is known."""
        form = "plain" if usual is None else "usual"
        keys = (f"evidence.{item['name']}.{rule}", f"evidence.{item['name']}.{form}", f"evidence.{form}")
        return self._words(
            next(key for key in keys if self._words.has(key)),
            round(value, 1),
            label=self.measure(item),
            value=self.value(value, item["unit"]),
            usual="" if usual is None else self.value(usual, item["unit"]),
        )

    def measure(self, item: Mapping[str, Any]) -> str:
        """Return the label of a measure; that of a measure not in the catalogues is the API's."""
        if item["name"] == USUAL:
            return self._words("risk.usual")
        return self._or(f"measures.{item['name']}", str(item["label"]))

    def value(self, value: float | None, unit: str) -> str:
        """Return a value in its unit."""
        if value is None:
            return DASH
        match unit:
            case "share" | "chance":
                return self._formats.level(value)
            case "days" | "hours":
                return self._words(f"unit.{unit}", count=round(value), value=self._formats.number(round(value)))
            case "flag":
                return self._words("unit.yes" if value else "unit.no")
            case _:
                return self._formats.number(value, 0 if abs(value) >= 10 else 1)

    def points(self, change: float) -> str:
        """Return a change of the score, as whole points."""
        return self._words("unit.points", count=abs(round(change)), value=self._formats.change(change))

    def points_exact(self, change: float) -> str:
        """Return a part of a change of the score, as points with one decimal."""
        return self._words("unit.points", count=abs(round(change, 1)), value=self._formats.change_exact(change))

    def reasons(self, parts: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the first two parts that moved a score by a whole point or more, or by a tenth where none did."""
        whole = [part for part in parts if round(part["change"])]
        told = whole or [part for part in parts if round(part["change"], 1)]
        points = self.points if whole else self.points_exact
        return [f"{self.measure(part)}: {points(part['change'])}" for part in told[:_REASONS_SHOWN]]

    def band(self, band: str) -> str:
        """Return the name of a band."""
        return self._or(f"band.{band.lower()}", band)

    def tenth(self, tenth: int | None) -> str:
        """Return how risky an account is among all."""
        if tenth is None:
            return self._words("risk.unknown")
        if tenth == 1:
            return self._words("risk.riskiest")
        is_risky = tenth <= _TENTHS // 2
        share = tenth if is_risky else _TENTHS + 1 - tenth
        return self._words("risk.riskier" if is_risky else "risk.safer", share=self._formats.share(share / _TENTHS))

    def chance(self, told: Mapping[str, Any]) -> str:
        """Return the chance of what a fitted risk predicts; empty where the risk is a rank alone."""
        percent, predicts = told["risk_percent"], told["risk_predicts"]
        if percent is None:
            return ""
        known = next((key for key in _PREDICTED if catalogue("en")(key) == predicts), None)
        return self._words(
            "risk.chance", percent=self.percent(percent), predicts=self._words(known) if known else predicts
        )

    def percent(self, percent: float) -> str:
        """Return a chance in per cent."""
        return self._formats.share(percent / 100)

    def choice(self, said: str) -> str:
        """Return what was chosen in a form of records, or a rule, in words; anything else is somebody's own text."""
        return self._or(f"record.choice.{said}", self.rule(said))

    def rule(self, rule: str) -> str:
        """Return what signals of a shipped rule say; the name of a rule of one's own."""
        return self._or(f"rules.{rule}.title", rule)

    def stage(self, stage: str) -> str:
        """Return the name of a stage."""
        return self._or(f"stage.{stage.lower()}", stage.replace("_", " ").capitalize())

    def severity(self, severity: str) -> str:
        """Return the name of a severity."""
        return self._or(f"severity.{severity.lower()}", severity.capitalize())

    def _shipped(self, signal: Mapping[str, Any], part: str) -> str | None:
        """Return a part of a shipped rule's text, in the reader's language; None where the signal says something else."""
        for key in _keys(signal, "title"):
            if catalogue("en").own(key) and catalogue("en")(key) == signal["title"]:
                return next((self._words(k) for k in _keys(signal, part) if self._words.has(k)), None)
        return None

    def _or(self, key: str, otherwise: str) -> str:
        return self._words(key) if self._words.has(key) else otherwise


def _shown(signal: Mapping[str, Any], moment: str) -> list[Mapping[str, Any]]:
    """Return the evidence that a line tells; no use at all says more than the level it comes to, which rules smooth to a few percent."""
    told = [item for item in signal["evidence"] if item["value"] is not None and item["name"] not in _TOLD_ELSEWHERE]
    unused = {item["name"].removeprefix("user_days_") for item in told if item.get(moment) == 0}
    return [item for item in told if item["name"] not in {f"level_{span}" for span in unused}][:_EVIDENCE_SHOWN]


def _keys(signal: Mapping[str, Any], part: str) -> Sequence[str]:
    rule, severity = signal["rule"], str(signal["severity"]).lower()
    return f"rules.{rule}.{severity}.{part}", f"rules.{rule}.{part}"
