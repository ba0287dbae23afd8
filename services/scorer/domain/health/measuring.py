"""All measures of an account at once, each with the evidence and the freshness that its record asks for."""

from __future__ import annotations

from functools import lru_cache

from schemas.measures import MEASURES
from services.scorer.domain.health.known import AGES, Known
from services.scorer.domain.health.measures import breadth, renewal, sentiment, support, usage, value
from services.scorer.domain.health.measures.registry import FUNCTIONS, Function
from services.scorer.domain.health.rounding import six_digits
from services.shared.units import DAY_MS

ROOMS = (usage, breadth, value, support, sentiment, renewal)
"""The modules with the functions, by dimension."""

RECORDS = {name: record for name, record in MEASURES.items() if record.source == "scorer"}

if RECORDS.keys() != FUNCTIONS.keys():
    raise ImportError(
        f"measures without a function: {sorted(RECORDS.keys() - FUNCTIONS.keys())};"
        f" functions without a record: {sorted(FUNCTIONS.keys() - RECORDS.keys())}"
    )

_AGELESS = [name for name, record in RECORDS.items() if record.fresh_days is not None and record.needs[0] not in AGES]
if _AGELESS:
    raise ImportError(f"fresh_days of {_AGELESS}: the age of the first state that they need is not kept (see known.py)")

_TO_THE_PENNY_FROM = 1_000.0
"""From here on six digits would leave less than two behind the point, of which a sum of money has both."""
_EVIDENCE = [
    (list(needed), [name for name, record in RECORDS.items() if record.evidence.items() == needed])
    for needed in {frozenset(record.evidence.items()) for record in RECORDS.values() if record.evidence}
]
"""What is needed, each with the measures that need it: most need the same."""
_FRESH = [
    (name, record.needs[0], record.fresh_days * DAY_MS)
    for name, record in RECORDS.items()
    if record.fresh_days is not None
]


def measures_of(known: Known) -> dict[str, float]:
    """Return the value of each measure that is known, by name, in the order of their numbers."""
    values: dict[str, float] = {}
    for name, function in _taken(known.account.kinds.state):
        found = function(known)
        if found is not None:
            number = float(found)
            if not number.is_integer():
                number = round(number, 2) if abs(number) >= _TO_THE_PENNY_FROM else six_digits(number)
            values[name] = number
    left_out = [name for name, state, within_ms in _FRESH if known.at - known.newest.get(state, 0) > within_ms]
    for needed, names in _EVIDENCE:
        if any(values.get(other, least - 1) < least for other, least in needed):
            left_out += names
    for name in left_out:
        values.pop(name, None)
    return values


def not_taken(state: frozenset[str]) -> dict[str, list[str]]:
    """Return each measure that cannot be computed from this state, with the state that it lacks."""
    return {name: lacks for name, record in RECORDS.items() if (lacks := [n for n in record.needs if n not in state])}


def dimensions_of(state: frozenset[str]) -> frozenset[str]:
    """Return the dimensions that any measure can be taken of where there is only this state."""
    missing = not_taken(state)
    return frozenset(record.dimension for name, record in RECORDS.items() if name not in missing)


MEASURED = frozenset(need for record in RECORDS.values() for need in record.needs)
"""The state that measures look at; a change of other state shows in no snapshot."""


@lru_cache(maxsize=16)
def _taken(state: frozenset[str]) -> list[tuple[str, Function]]:
    left_out = not_taken(state)
    return [(name, FUNCTIONS[name]) for name in RECORDS if name not in left_out]
