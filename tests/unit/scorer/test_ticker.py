"""The live ticker: whom it ticks, when, and that a partition which hangs delays nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from prometheus_client import CollectorRegistry

from schemas import codec
from services.scorer import tick_sender
from services.scorer.lanes import usage_lanes
from services.scorer.metrics import ScorerMetrics
from services.scorer.pace import Clocked
from services.scorer.tick_sender import MOST, TickSender
from services.scorer.ticker import Ticker
from services.scorer.usage_processor import UsageProcessor
from services.shared.engine.processor import SourceRecord
from tests.support.scorer import MODEL, PLAN, at, clock, encode, tick


@dataclass
class Clock:
    """A lane's clock as the ticker sees it."""

    log_time: int = at()
    driven: bool = False
    due: int | None = None
    waiting: int | None = None


@dataclass
class Lane:
    processor: Any


@dataclass
class Broker:
    """Stands for the cluster: it keeps what is sent and stamps it with its own time."""

    now_ms: int = at(0, 1)
    hangs: frozenset[int] = frozenset()
    refuses: frozenset[int] = frozenset()
    sent: list[tuple[int, int]] = field(default_factory=list)
    open: int = 0
    most_open: int = 0

    def producer(self) -> Any:
        return Producer(self)


@dataclass
class Producer:
    """One connection: like a real one it answers in turn, so that a partition that hangs holds what comes behind it."""

    broker: Broker
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def client(self) -> Any:
        node = SimpleNamespace(host="kafka-1", port=9092)
        return SimpleNamespace(
            cluster=SimpleNamespace(leader_for_partition=lambda _: 1, broker_metadata=lambda _: node)
        )

    async def start(self) -> None:
        self.broker.open += 1
        self.broker.most_open = max(self.broker.most_open, self.broker.open)

    async def stop(self) -> None:
        self.broker.open -= 1

    async def send_and_wait(self, _topic: str, value: bytes, *, partition: int) -> Any:
        async with self.turn:
            if partition in self.broker.refuses:
                raise KafkaTimeoutError
            if partition in self.broker.hangs:
                await asyncio.Event().wait()
            self.broker.sent.append((partition, codec.decode(value)[1]["at"]))
            return SimpleNamespace(timestamp=self.broker.now_ms)


def lane(*records: tuple[str, dict[str, Any]]) -> Lane:
    processor = usage_lanes(1, PLAN, MODEL).processor(0)
    assert isinstance(processor, UsageProcessor)
    for kind, value in records:
        for _ in (
            processor.fold(0, processor.decode(SourceRecord("usage-events", 0, 0, None, encode(kind, value))), 0) or ()
        ):
            pass
    return Lane(processor)


def ticker(
    lanes: dict[int, Lane], broker: Broker, wall: Callable[[], float] = lambda: at(0, 1) / 1000
) -> tuple[Ticker, TickSender, CollectorRegistry]:
    registry = CollectorRegistry()
    sender = TickSender("usage-events", broker.producer)
    return Ticker(lambda: lanes, sender, ScorerMetrics(registry), wall), sender, registry


async def until(holds: Callable[[], bool], look: Callable[[], None] = lambda: None) -> None:
    async with asyncio.timeout(10):
        while not holds():
            look()
            await asyncio.sleep(0.005)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what hangs be slow after a moment instead of a second."""
    monkeypatch.setattr(tick_sender, "SLOW_S", 0.05)
    monkeypatch.setattr(tick_sender, "GIVE_UP_S", 0.3)


def test_the_processor_of_a_usage_lane_is_what_the_ticker_asks_for() -> None:
    assert isinstance(lane().processor, Clocked)


async def test_each_open_live_lane_gets_a_tick_and_a_driven_one_none() -> None:
    lanes = {2: lane(("tick", tick(at()))), 0: lane(), 1: lane(("clock", clock("DRIVEN", at(-500), 3)))}
    broker = Broker()
    made, _, registry = ticker(lanes, broker)
    made.look()
    await until(lambda: len(broker.sent) == 2)

    assert sorted(broker.sent) == [(0, at(0, 1)), (2, at(0, 1))]
    driven = {p: registry.get_sample_value("tidemark_scorer_lane_driven", {"partition": p}) for p in "012"}
    assert driven == {"0": 0, "1": 1, "2": 0}


@pytest.mark.usefixtures("hasty")
async def test_a_partition_that_never_acknowledges_delays_no_other_clock() -> None:
    """Its tick is on one connection with others, on the same leader: 24 lanes, a tick each second, one hangs."""
    lanes = {number: Lane(Clock(due=1)) for number in range(24)}
    broker = Broker(hangs=frozenset({5}))
    seconds = [0.0]
    made, sender, _ = ticker(lanes, broker)
    made._monotonic = lambda: seconds[0]

    for turn in range(1, 9):
        seconds[0] += 1
        for each in lanes.values():
            each.processor.log_time += 1000  # they fold what they get
        # Again and again, as it does: a lane whose last tick was appended, and is not answered for yet, gets none.
        await until(partial(lambda wanted: len(broker.sent) == wanted, 23 * turn), made.look)

    await sender.close()
    assert {partition for partition, _ in broker.sent} == set(range(24)) - {5}


@pytest.mark.usefixtures("hasty")
async def test_half_of_the_partitions_may_hang_and_the_others_go_on_with_few_producers() -> None:
    lanes = {number: Lane(Clock(due=1)) for number in range(24)}
    broker = Broker(hangs=frozenset(range(12)))
    seconds = [0.0]
    made, sender, _ = ticker(lanes, broker)
    made._monotonic = lambda: seconds[0]
    for turn in range(1, 4):
        seconds[0] += 64
        for each in lanes.values():
            each.processor.log_time += 64_000
        made.look()
        await until(partial(lambda wanted: len(broker.sent) == wanted, 12 * turn))
        await until(lambda: len(made._on_their_way) < 12, made.look)

    assert broker.most_open <= MOST + 12 + 2  # what hangs keeps one each, the first time only, and goes
    await until(lambda: len(sender._closing) <= 1)
    assert broker.open <= MOST + 2
    await sender.close()
    await until(lambda: broker.open <= 1)


@pytest.mark.usefixtures("hasty")
async def test_a_partition_that_is_well_again_gets_its_ticks_as_before() -> None:
    lanes = {0: Lane(Clock(due=1)), 1: Lane(Clock(due=1))}
    broker = Broker(hangs=frozenset({0}))
    seconds = [0.0]
    made, sender, _ = ticker(lanes, broker)
    made._monotonic = lambda: seconds[0]
    made.look()
    await until(lambda: 0 in sender._slow_partitions and not made._on_their_way, made.look)

    broker.hangs = frozenset()
    seconds[0] += 2
    made.look()
    await until(lambda: (0, at(0, 1)) in broker.sent)
    await until(lambda: not sender._slow_partitions)
    await sender.close()


async def test_a_tick_that_fails_is_counted_and_followed_by_another_with_another_producer() -> None:
    lanes = {0: Lane(Clock(due=1))}
    broker = Broker(refuses=frozenset({0}))
    seconds = [0.0]
    made, _, registry = ticker(lanes, broker)
    made._monotonic = lambda: seconds[0]
    made.look()
    await until(lambda: registry.get_sample_value("tidemark_scorer_ticks_failed_total") == 1)
    await until(lambda: broker.open == 0)

    broker.refuses = frozenset()
    seconds[0] += 2
    made.look()
    made.look()
    await until(lambda: broker.sent == [(0, at(0, 1))])


@pytest.mark.parametrize("seconds", [-60, 0, 60])
async def test_clocks_that_are_apart_are_shown_by_broker_and_nothing_stops(seconds: int) -> None:
    broker = Broker(now_ms=at(0, 1) - seconds * 1000)
    made, _, registry = ticker({0: lane()}, broker)
    made.look()
    labels = {"broker": "kafka-1:9092"}
    name = "tidemark_scorer_clock_apart_seconds"
    await until(lambda: registry.get_sample_value(name, labels) is not None)

    assert registry.get_sample_value(name, labels) == seconds
    assert registry.get_sample_value("tidemark_scorer_ticks_sent_total") == 1


async def test_an_acknowledgement_that_comes_minutes_late_says_nothing_about_the_clock() -> None:
    """The broker was away, or this machine slept, between the append and the reading of its acknowledgement."""
    now = at(0, 1)
    readings = iter([now, now, now + 600_000])
    made, _, registry = ticker({0: lane()}, Broker(now_ms=now + 10), lambda: next(readings) / 1000)
    made.look()
    labels = {"broker": "kafka-1:9092"}
    name = "tidemark_scorer_clock_apart_seconds"
    await until(lambda: registry.get_sample_value(name, labels) is not None)

    assert registry.get_sample_value(name, labels) == 0


async def test_a_lane_that_waits_for_a_person_is_shown_until_another_worker_has_it() -> None:
    lanes = {3: Lane(Clock(waiting=at(9)))}
    made, _, registry = ticker(lanes, Broker())
    labels = {"partition": "3"}
    made.look()
    assert registry.get_sample_value("tidemark_scorer_clock_waiting", labels) == 1

    lanes[3].processor.waiting = None
    made.look()
    assert registry.get_sample_value("tidemark_scorer_clock_waiting", labels) == 0

    del lanes[3]
    made.look()
    assert registry.get_sample_value("tidemark_scorer_clock_waiting", labels) is None


async def test_what_is_no_failure_of_kafka_ends_the_ticker() -> None:
    class Broken(Broker):
        def producer(self) -> Any:
            raise ZeroDivisionError

    made, _, _ = ticker({0: lane()}, Broken())
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(made.run(), 10)
