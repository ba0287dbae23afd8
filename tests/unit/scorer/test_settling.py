"""Up to when all lanes of attribution have read the log: asked only where something waits for it, and never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError

from services.scorer.attribution_processor import AttributionProcessor, UnattributedRecord
from services.scorer.domain.attribution.fold import AttributionFold
from services.scorer.domain.attribution.waiting import WaitingBounds
from services.scorer.settling import Settling
from services.shared.attribution_wait import NotAttributed
from tests.support.attribution import encode, event
from tests.support.scorer import at, tick


@dataclass
class Lane:
    processor: object


class World:
    """One lane with an event that waits, a wall clock, and the other lanes, which take a minute to read on."""

    def __init__(self) -> None:
        self.lane = AttributionProcessor(0, AttributionFold(1_000, WaitingBounds(), 1_000))
        self.now_ms = at(7, 2)
        self.asked = 0
        self.error: Exception | None = None
        self.settling = Settling(
            lambda: {0: Lane(self.lane), 1: Lane(object())}, self.settle, lambda: self.now_ms / 1000
        )
        self.tick(at())
        self.fold("usage_event", event("e1", when=at(0, 1)))

    def fold(self, kind: str, value: dict[str, Any]) -> None:
        when = value["at"] if kind == "tick" else value["received_at"]
        for _ in self.lane.fold(0, UnattributedRecord(kind, value, when, encode(kind, value)), 0) or ():
            pass

    def tick(self, when: int) -> None:
        """Do as the ticker does."""
        self.fold("tick", {**tick(when), "settled": self.settling.at})

    async def settle(self) -> None:
        self.asked += 1
        self.now_ms += 60_000
        if self.error is not None:
            raise self.error


async def test_what_is_overdue_expires_once_all_lanes_have_read_the_log_as_it_was_when_they_were_asked() -> None:
    world = World()
    await world.settling.look()
    assert (world.asked, world.settling.at) == (0, 0)  # nothing is overdue

    world.tick(at(6))
    world.tick(at(7, 1))
    assert (len(world.lane.state.waiting), world.lane.due) == (1, None)
    await world.settling.look()
    assert (world.asked, world.settling.at) == (1, at(7, 2))
    assert world.lane.due == at(7, 1)  # a tick is due, which says so
    world.tick(at(7, 1) + 1)

    assert len(world.lane.state.waiting) == 0
    await world.settling.look()
    assert world.asked == 1


@pytest.mark.parametrize("error", [NotAttributed("partitions [1] were not read"), KafkaTimeoutError(), OSError()])
async def test_while_a_lane_does_not_read_on_nothing_expires(error: Exception) -> None:
    world = World()
    world.tick(at(6))
    world.tick(at(7, 1))
    world.error = error
    await world.settling.look()
    world.tick(at(7, 1) + 1)
    assert (world.asked, world.settling.at, len(world.lane.state.waiting)) == (1, 0, 1)

    world.error = None
    await world.settling.look()
    world.tick(at(7, 1) + 2)

    assert len(world.lane.state.waiting) == 0


async def test_what_a_clock_that_was_ahead_found_does_not_outlast_it() -> None:
    world = World()
    world.tick(at(6))
    world.tick(at(7, 1))
    world.now_ms = at(100)
    await world.settling.look()
    world.now_ms = at(7, 2)

    await world.settling.look()

    assert world.settling.at == at(7, 2)


def test_a_tick_does_not_settle_what_came_after_it() -> None:
    world = World()
    world.fold("tick", {**tick(at(1)), "settled": at(100)})

    world.fold("usage_event", event("e2", when=at(1, 1)))
    for day in (6, 7, 8, 9):
        world.fold("tick", {**tick(at(day)), "settled": at(1)})

    assert world.lane.state.clock.settled == at(1)
    assert len(world.lane.state.waiting) == 2
