"""The published examples of signals are what the alerter writes: whoever builds on them meets nothing else on the topics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from schemas import released
from services.alerter.domain.folding import fold_snapshot
from services.shared.units import DAY_MS
from tests.support.alerter import RULES, START_DAY, snapshot

FIRED = 20_422
"""The last closed day of the firing, days since 1970."""
ACME: dict[str, Any] = {
    "account": "acme",
    "facts__name": "Acme GmbH",
    "facts__owner": "kim@tidemark.example",
    "facts__revenue": 48_000.0,
    "facts__renewal_day": 20_543,
    "expected_4w": 40.8,
}
GLOBEX: dict[str, Any] = {
    "account": "globex",
    "facts__name": "Globex",
    "facts__owner": "kim@tidemark.example",
    "facts__seats": 40,
    "active_users_28": 34,
    "active_users_28_usual": 33,
    "score_tenths": 902,
}
LOW: dict[str, Any] = {"level_1w": 0.45, "level_2w": 0.5, "level_4w": 0.29, "band": "RED", "score_tenths": 312}
BACK: dict[str, Any] = {"level_4w": 0.93, "score_tenths": 741}


def signals(first: int, days: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Fold the closes of days from one on, as the alerter does; return what it writes."""
    state: bytes | None = None
    found: list[dict[str, Any]] = []
    for day, changes in enumerate(days, first):
        at, sequence = (day + 1) * DAY_MS, day - FIRED + 214
        folded = fold_snapshot(RULES, state, snapshot(day - START_DAY, at=at, sequence=sequence, **changes))
        state = folded.state
        found += folded.signals
    return found


def made() -> dict[str, dict[str, Any]]:
    """Return the signals of the examples by their files."""
    firing, resolved = signals(FIRED - 3, [ACME | LOW] * 7 + [ACME | BACK] * 18)
    (seats,) = signals(FIRED - 14, [GLOBEX] * 15)
    return {"usage_decline_firing": firing, "usage_decline_resolved": resolved, "seat_saturation_firing": seats}


@pytest.mark.parametrize("name", ["usage_decline_firing", "usage_decline_resolved", "seat_saturation_firing"])
def test_the_example_of_a_signal_is_what_the_alerter_writes(name: str) -> None:
    example = json.loads((released.ROOT / "signal" / "examples" / f"{name}.json").read_text("utf-8"))

    assert example == made()[name] | {"rules_version": example["rules_version"]}


def test_the_id_of_a_signal_is_made_as_the_page_says() -> None:
    for each in made().values():
        account, rule, started_at, number = each["signal_id"].rsplit(":", 3)

        assert (account, rule) == (each["account"], each["rule"])
        assert (int(started_at), int(number)) == (each["episode_started_at"], each["transition_number"])
