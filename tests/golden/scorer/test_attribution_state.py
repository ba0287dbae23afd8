"""State of attribution that was written once is read for ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.scorer.domain.attribution.outcome import Forward, Move
from services.scorer.domain.attribution.state import FORMAT
from tests.support.attribution import ANON, KIM, AttributionLane
from tests.support.scorer import at

HERE = Path(__file__).parent


def stored(version: int) -> dict[bytes, bytes]:
    text = (HERE / f"attribution_state_{version}.json").read_text("utf-8")
    return {key.encode("latin-1"): bytes.fromhex(value) for key, value in json.loads(text).items()}


def lane_of(records: dict[bytes, bytes]) -> AttributionLane:
    lane = AttributionLane(start=0)
    for key, value in sorted(records.items()):
        lane.state.restore(key, value)
    for _ in lane.state.restoring():
        pass
    return lane


@pytest.mark.parametrize("version", range(1, FORMAT + 1))
def test_every_format_is_read(version: int) -> None:
    lane = lane_of(stored(version))
    state = lane.state

    assert (state.clock.now, state.clock.asked, state.clock.settled) == (at(0, 5), at(90), at())
    assert state.aliases == {"crm-17": "acme"}
    assert (state.waiting.identified, state.waiting.anonymous, state.waiting.last) == (2, 1, 3)
    assert state.counted().links == 7
    assert state.users.counts() == (1, 1, 2)

    lane.event("k1", when=at(0, 2))
    lane.event("k2", when=at(0, 4))
    lane.event("a1", ANON, at(0, 6))
    lane.event("s1", "u_staff", at(0, 6), forwards=1)
    lane.member("crm-17", at(0, 6), "u_lee", authority="BROWSER")

    assert lane.forwarded == [("k1", "acme"), ("k2", "globex"), ("s1", "globex"), ("e1", "acme")]
    assert lane.moved == [("a1", KIM)]
    assert [each.internal for each in lane.out if isinstance(each, (Forward, Move))] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_what_is_written_now_is_what_is_stored() -> None:
    from tests.golden.scorer.renew import lane_of_attribution

    assert lane_of_attribution().state_records() == stored(FORMAT)
