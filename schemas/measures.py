"""
The measures, read from `measures/<name>.yaml`: the one record of each.

A measure is one number that is known of an account. Its record says what the number means and when it is known; one
function in `services/scorer/domain/health/measures/` takes it. All else comes from the record: AccountHealth carries
measures by their numbers, the rules' conditions and wording use them by name, the API labels them, `docs/measures.md`
lists them. A file with a wrong type or a member that is not known does not load: the import fails and says where.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import msgspec

from schemas.named_records import read_folder

ROOT = Path(__file__).parent / "measures"

SILENCE_CAP = "silence_cap"
"""Among the parts of a score: the points that a long silence takes away. No measure; its number is 0."""

USUAL_RISK = "usual_risk"
"""Among the parts of a risk: the log-odds of a usual account. No measure; its number is 0."""


class Unit(Enum):
    """How a value is written for people."""

    SHARE = "share"
    """1 is all, or as usual."""
    COUNT = "count"
    PEOPLE = "people"
    DAYS = "days"
    HOURS = "hours"
    POINTS = "points"
    FLAG = "flag"
    """1 or 0."""
    CHANCE = "chance"


class Measure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measure. A value that is not known is left out of a snapshot, and no condition on it ever holds."""

    name: str
    number: int = 0
    """What stands for the name in AccountHealth, from 1; never changed or used again. 0: no snapshot carries it."""
    source: Literal["scorer", "alerter"] = "scorer"
    """Who takes it. What the alerter takes is known to rules only."""
    label: str
    """A few words, as a heading."""
    meaning: str
    """One sentence."""
    dimension: Literal["usage", "breadth", "value", "support", "sentiment", "renewal", "health"]
    unit: Unit
    window_days: int | None = None
    """How many days it looks back on, for readers; None: it says how things are now."""
    fresh_days: int | None = None
    """It is not known where the newest data of the first state in `needs` is older; that state must be one that ages."""
    polarity: Literal["higher_is_better", "lower_is_better", "neutral"]
    """neutral: context for other measures, not good or bad by itself, so that no score uses it."""
    evidence: dict[str, float] = {}
    """The least that other measures must be, or it is not known."""
    needs: list[str] = []
    """The state that it is taken from, as kind and name (see docs/tracking-plan.md)."""


def _load() -> dict[str, Measure]:
    found = read_folder(ROOT, Measure)
    problems = [problem for measure in found for problem in _problems(measure, {each.name: each for each in found})]
    if problems:
        raise ValueError("\n".join(problems))
    return {measure.name: measure for measure in sorted(found, key=lambda each: (each.number or 1 << 30, each.name))}


def _problems(measure: Measure, all_of_them: Mapping[str, Measure]) -> list[str]:
    name = measure.name
    found = []
    if (measure.source == "scorer") != (measure.number > 0):
        found.append(f"{name}.number: what the scorer takes has a number from 1, anything else has none")
    taken = [other.name for other in all_of_them.values() if other.number == measure.number > 0 and other.name != name]
    if taken:
        found.append(f"{name}.number: {measure.number} is {taken[0]}'s already; take the next free one")
    if (measure.source == "scorer") != bool(measure.needs):
        found.append(f"{name}.needs: name the state that it is taken from; what the alerter takes needs none")
    for other in measure.evidence:
        if other not in all_of_them:
            found.append(f"{name}.evidence.{other}: there is no such measure")
        elif all_of_them[other].evidence or all_of_them[other].source != "scorer":
            found.append(f"{name}.evidence.{other}: must be a measure of the scorer that needs no evidence itself")
    return found


MEASURES: Mapping[str, Measure] = _load()
"""Every measure by name, in the order of their numbers, in which snapshots list them."""

_NAMES = {measure.number: name for name, measure in MEASURES.items() if measure.number}


def name_of(number: int) -> str | None:
    """Return the name of the measure with this number; None: a later version has added it."""
    return SILENCE_CAP if number == 0 else _NAMES.get(number)


def named(measures: Mapping[str, Any]) -> dict[str, float]:
    """Return the measures of a decoded AccountHealth by name, without those that a later version has added."""
    pairs = zip(measures["numbers"], measures["values"], strict=False)
    return {_NAMES[number]: value for number, value in pairs if number in _NAMES}


def numbered(values: Mapping[str, float]) -> dict[str, Any]:
    """Return measures by name as AccountHealth carries them: two lists, which are written three times as fast as pairs."""
    return {"numbers": [MEASURES[name].number for name in values], "values": list(values.values())}
