"""Whoever needs attribution to have read the log waits for it, when there is something to wait for."""

from __future__ import annotations

import pytest

from services.shared.attribution_wait import AttributionWait, NotAttributed
from services.shared.kafka.settings import KafkaSettings


class Lanes:
    """A topic of one partition, and a lane that reads it a few records at a time."""

    def __init__(self, *, reads: int = 2) -> None:
        self.end = 0
        self.position = 0
        self.asked = 0
        self._reads = reads

    async def ends(self) -> dict[int, int]:
        return {0: self.end}

    async def positions(self, _kafka: KafkaSettings) -> dict[int, int]:
        self.asked += 1
        self.position = min(self.end, self.position + self._reads)
        return {0: self.position}


def wait(lanes: Lanes, within_s: float = 5.0) -> AttributionWait:
    return AttributionWait(KafkaSettings(), lanes.ends, lanes.positions, within_s)


async def test_a_day_without_such_events_is_not_waited_for() -> None:
    lanes = Lanes()
    waiting = wait(lanes)
    lanes.end = 3
    await waiting.day_over(1)
    assert lanes.position == 3

    lanes.end, asked = 5, lanes.asked
    await waiting.day_over(1)
    assert (lanes.asked, lanes.position) == (asked, 3)

    await waiting.day_over(2)
    assert lanes.position == 5


async def test_at_the_end_everything_is_waited_for() -> None:
    lanes = Lanes()
    waiting = wait(lanes)
    await waiting.day_over(0)
    lanes.end = 4

    await waiting.settle()

    assert lanes.position == 4


async def test_a_lane_that_stands_still_is_named() -> None:
    lanes = Lanes(reads=0)
    lanes.end = 1

    with pytest.raises(NotAttributed, match=r"partitions \[0\]"):
        await wait(lanes, 0.1).day_over(1)
