"""How open signals stand today: what they rest on, as it is now, and whether that has come back half of the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.measures import MEASURES

Found = Mapping[str, Any]
HALF = 0.5
"""A signal has eased once this share of the way back to what is usual is done."""
_BETTER = {"higher_is_better": 1, "lower_is_better": -1}
"""On which side of the usual value a measure is better; a neutral one tells nothing of a risk."""
_USUAL = {
    "user_days_1w": "expected_1w",
    "user_days_2w": "expected_2w",
    "user_days_4w": "expected_4w",
    "people_share_4w": "people_share_usual",
}
"""
What each of these is compared with moves by the day: holidays come and go, and the usual level follows its 30 weeks. The limit
of a silence is that of this silence, and says nothing once it is over.
"""


def stands(signal: Found, measures: Found) -> dict[str, Any]:
    """
    Return an open signal with `now`, the present value of each measure of its evidence, `usual_now`, and `eased`.

    A signal is open until what cleared it has lasted (docs/signals.md): an account that works again after a long silence keeps
    its alarm for a while. `eased` says that it needs nobody today: the first measure that was worse than usual has come back
    at least half of the way.

    Args:
        signal: As the store has it.
        measures: The measures of the account's latest snapshot, by name.
    """
    evidence = [
        {**item, "now": measures.get(item["name"]), "usual_now": _usual_now(item, measures)}
        for item in signal["evidence"]
    ]
    return {**signal, "evidence": evidence, "eased": signal["category"] == "RISK" and _is_back(evidence)}


def _usual_now(item: Found, measures: Found) -> float | None:
    """Return what is usual now; where it does not move by the day or is not known, what was usual then."""
    known: float | None = measures.get(_USUAL.get(item["name"], ""))
    return item["usual"] if known is None or item["usual"] is None else known


def _is_back(evidence: list[dict[str, Any]]) -> bool:
    for item in evidence:
        then, usual, now = item["value"], item["usual"], item["now"]
        side = _BETTER.get(MEASURES[item["name"]].polarity, 0) if item["name"] in MEASURES else 0
        if then is None or usual is None or now is None or side * (usual - then) <= 0:
            continue  # it was no worse than usual, so it tells nothing
        return bool((now - then) / (usual - then) >= HALF)
    return False
