"""The live ticker: whom it ticks, how it catches up, when it stops."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber
from prometheus_client import CollectorRegistry

from schemas import codec
from services.scorer.adapters.core import ScorerCore
from services.scorer.adapters.lanes import usage_lanes
from services.scorer.adapters.metrics import ScorerMetrics
from services.scorer.adapters.ticker import Ticker, steps
from services.scorer.testing import MODEL, PLAN, at, clock, encode, tick
from services.shared.engine.core import SourceRecord
from services.shared.errors import Fatal

HOUR = 3_600_000


@dataclass
class Lane:
    core: ScorerCore


@dataclass
class Acknowledged:
    timestamp: int


@dataclass
class Producer:
    """Stands for the broker: it keeps what is sent and stamps it with its own time."""

    now_ms: int
    sent: list[tuple[int, int]] = field(default_factory=list)

    async def send(self, topic: str, *, value: bytes, partition: int) -> asyncio.Future[Acknowledged]:
        self.sent.append((partition, codec.decode(value)[1]["at"]))
        acknowledged: asyncio.Future[Acknowledged] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(Acknowledged(self.now_ms))
        return acknowledged


def lane(*records: tuple[str, dict[str, Any]]) -> Lane:
    core = usage_lanes(1, PLAN, MODEL).core(0)
    assert isinstance(core, ScorerCore)
    for kind, value in records:
        for _ in core.fold(0, core.decode(SourceRecord("usage-events", 0, 0, None, encode(kind, value))), 0) or ():
            pass
    return Lane(core)


def ticker(lanes: dict[int, Lane], now: int, broker: int | None = None) -> tuple[Ticker, Producer, CollectorRegistry]:
    registry = CollectorRegistry()
    producer = Producer(now if broker is None else broker)
    made = Ticker(lambda: lanes, producer, "usage-events", ScorerMetrics(registry), lambda: now / 1000)
    return made, producer, registry


@pytest.mark.parametrize(
    ("log_time", "now", "expected"),
    [
        (0, 500, [500]),
        (500, 1500, [1500]),
        (1500, 1500, []),
        (2000, 1500, []),
        (1, 24 * HOUR + 1, [24 * HOUR + 1]),
        (1, 60 * HOUR, [24 * HOUR + 1, 48 * HOUR + 1, 60 * HOUR]),
    ],
)
def test_a_long_absence_is_walked_in_steps_of_a_day(log_time: int, now: int, expected: list[int]) -> None:
    assert steps(log_time, now) == expected


async def test_each_open_live_lane_gets_a_tick_and_a_driven_one_none() -> None:
    lanes = {2: lane(("tick", tick(at()))), 0: lane(), 1: lane(("clock", clock("DRIVEN", at(-500), 3)))}
    made, producer, _ = ticker(lanes, at(0, 1))
    await made.tick()

    assert producer.sent == [(0, at(0, 1)), (2, at(0, 1))]


async def test_steps_are_not_sent_again_while_the_lane_has_not_folded_them() -> None:
    made, producer, _ = ticker({0: lane(("tick", tick(at(-3))))}, at())
    await made.tick()
    await made.tick()

    assert [when for _, when in producer.sent] == [at(-2), at(-1), at()]


async def test_a_clock_sixty_seconds_off_the_brokers_stops_the_ticker() -> None:
    made, producer, registry = ticker({0: lane()}, at(0, 1), broker=at(0, 1) - 60_000)
    await asyncio.wait_for(made.run(), 10)

    assert made.stopped
    assert len(producer.sent) == 1
    assert registry.get_sample_value("tidemark_scorer_ticker_stopped") == 1
    assert registry.get_sample_value("tidemark_scorer_clock_drift_seconds") == 60


async def test_a_clock_a_little_off_goes_on() -> None:
    made, producer, _ = ticker({0: lane()}, at(0, 1), broker=at(0, 1) + 59_000)
    await made.tick()

    assert not made.stopped
    assert len(producer.sent) == 1


async def test_an_acknowledgement_that_comes_minutes_late_says_nothing_about_the_clock() -> None:
    """The broker was away, or this machine slept, between the append and the reading of its acknowledgement."""
    now = at(0, 1)
    producer = Producer(now + 10)
    registry = CollectorRegistry()
    readings = iter([now, now, now + 600_000])
    made = Ticker(lambda: {0: lane()}, producer, "usage-events", ScorerMetrics(registry), lambda: next(readings) / 1000)
    await made.tick()

    assert not made.stopped
    assert registry.get_sample_value("tidemark_scorer_clock_drift_seconds") == 0


@pytest.mark.parametrize("seconds", [-60, 60])
async def test_a_clock_that_is_off_is_found_out_whichever_way(seconds: int) -> None:
    made, _, registry = ticker({0: lane()}, at(0, 1), broker=at(0, 1) - seconds * 1000)
    await made.tick()

    assert made.stopped
    assert registry.get_sample_value("tidemark_scorer_clock_drift_seconds") == seconds


async def test_a_producer_that_fails_for_good_ends_the_ticker_instead_of_leaving_time_to_stand_still() -> None:
    class Broken(Producer):
        async def send(self, topic: str, *, value: bytes, partition: int) -> asyncio.Future[Acknowledged]:
            raise OutOfOrderSequenceNumber

    started = at(0, 1)
    seconds = iter(range(0, 1_000, 20))
    lanes = {0: lane()}
    made = Ticker(
        lambda: lanes,
        Broken(started),
        "usage-events",
        ScorerMetrics(CollectorRegistry()),
        lambda: started / 1000 + next(seconds),
    )

    with pytest.raises(Fatal, match="ticks have failed for 60 s"):
        await asyncio.wait_for(made.run(), 10)
