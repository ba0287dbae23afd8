"""Where Kafka cannot tell what a lane needs to know, that lane asks again, and the process and its other lanes go on."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
)
from prometheus_client import CollectorRegistry

from services.shared.engine.fold.start import Bounds
from services.shared.engine.kafka.changelog import Loaded
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.spec import LaneSpec
from services.shared.engine.worker.lanes import Lanes
from tests.support.waiting import until
from tests.unit.engine.lane_host import QUICK, SPEC, Host, chunk, new_lanes, running


class Unanswered(Host):
    """Whose partition 0 Kafka cannot tell about, one question after another, until `told` is set."""

    def __init__(self, question: str, error: KafkaError) -> None:
        super().__init__(settings=QUICK, openings=asyncio.Semaphore(1))
        self.question, self.error, self.told, self.in_vain = question, error, asyncio.Event(), 0

    def _ask(self, question: str, partition: int) -> None:
        if (question, partition) == (self.question, 0) and not self.told.is_set():
            self.in_vain += 1
            raise self.error

    async def bounds(self, topic: str, partition: int) -> Bounds:
        self._ask("bounds", partition)
        return await super().bounds(topic, partition)

    async def load(self, spec: LaneSpec, partition: int) -> Loaded:
        self._ask("load", partition)
        return await super().load(spec, partition)

    def writer(self, spec: LaneSpec, partition: int) -> Any:
        writer = super().writer(spec, partition)
        start = writer.start

        async def started() -> None:
            self._ask("fence", partition)
            await start()

        writer.start = started
        return writer


class Silent(Host):
    """Whose writers do not start before `answers` is set, and raise nothing."""

    def __init__(self) -> None:
        super().__init__(settings=QUICK)
        self.answers = asyncio.Event()

    def writer(self, spec: LaneSpec, partition: int) -> Any:
        writer = super().writer(spec, partition)
        start = writer.start

        async def started() -> None:
            await start()
            try:
                await self.answers.wait()
            except asyncio.CancelledError:
                self.asked.append("given up")
                raise

        writer.start = started
        return writer


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.shared.engine.lane.work.AGAIN_AFTER_S", 0.001)
    monkeypatch.setattr("services.shared.engine.lane.feeding.AGAIN_AFTER_S", 0.001)


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ("bounds", KafkaTimeoutError("nobody says where it ends")),
        ("bounds", GroupCoordinatorNotAvailableError("nobody says where it ends")),
        ("load", KafkaTimeoutError("nobody says where it ends")),
        ("fence", KafkaConnectionError("nobody says where it ends")),
    ],
)
async def test_a_lane_that_gets_no_answer_asks_again_says_why_and_keeps_no_other_from_opening(
    question: str, error: KafkaError
) -> None:
    host = Unanswered(question, error)
    lanes = new_lanes(host)

    lanes.assign([("events", 0), ("events", 1)], generation=1)
    await until(lambda: lanes.of("events")[1].ready and host.in_vain > 1)

    said = str(lanes.not_ready())
    assert "events/0 is opening, and asks again: " in said and "nobody says where it ends" in said
    host.told.set()
    await until(lambda: lanes.not_ready() is None)
    assert not host.failed
    lanes.receive("events", chunk(0, "1"))
    await until(lambda: host.counts() == {b"a": 1})
    assert host.asked.count("fence") == 2  # once a lane: nobody else can have had it meanwhile
    await lanes.close()


async def test_a_lane_that_has_asked_in_vain_for_a_minute_shows_as_stalled_and_ends_no_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("services.shared.engine.worker.lanes.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr("services.shared.engine.lane.work.time", SimpleNamespace(monotonic=lambda: clock[0]))
    host, metrics = Unanswered("load", KafkaTimeoutError()), EngineMetrics(CollectorRegistry())
    lanes = Lanes([SPEC], host, metrics)
    lanes.assign([("events", 0), ("events", 1)], generation=1)
    await until(lambda: lanes.of("events")[1].ready and host.in_vain)

    for passed, stalled in ((59, 0), (2, 1)):
        clock[0] += passed
        assert lanes.observe(lambda _lane: (0, 0), now=0.0) == 0
        assert [metrics.stalled.labels("events", str(p))._value.get() for p in (0, 1)] == [stalled, 0]

    host.told.set()
    await until(lambda: lanes.of("events")[0].ready)
    lanes.observe(lambda _lane: (0, 0), now=0.0)
    assert metrics.stalled.labels("events", "0")._value.get() == 0
    await lanes.close()


async def test_a_lane_whose_writer_gets_no_answer_says_so_and_shows_as_stalled_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client raises nothing then: it looks for the coordinator, and asks it for an id, for ever."""
    clock = [1000.0]
    for module in ("lane.ownership", "lane.work", "worker.lanes"):
        monkeypatch.setattr(f"services.shared.engine.{module}.time", SimpleNamespace(monotonic=lambda: clock[0]))
    host, metrics = Silent(), EngineMetrics(CollectorRegistry())
    lanes = Lanes([SPEC], host, metrics)
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: "fence" in host.asked)
    assert lanes.not_ready() == "lane events/0 is opening"

    clock[0] += 12
    assert str(lanes.not_ready()).startswith(
        "lane events/0 is opening, and asks again: for 12 s the coordinator of its transactions has not answered"
    )
    clock[0] += 50
    lanes.observe(lambda _lane: (0, 0), now=0.0)
    assert metrics.stalled.labels("events", "0")._value.get() == 1

    host.may_load.clear()
    host.answers.set()
    await until(lambda: "load" in host.asked)
    assert lanes.not_ready() == "lane events/0 is opening"
    host.may_load.set()
    await until(lambda: lanes.not_ready() is None)
    lanes.observe(lambda _lane: (0, 0), now=0.0)
    assert metrics.stalled.labels("events", "0")._value.get() == 0
    await lanes.close()


async def test_a_writer_that_is_starting_is_given_up_where_the_lane_is_lost() -> None:
    """Otherwise it would fence the next owner, perhaps minutes later."""
    host = Silent()
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: host.asked == ["fence"])

    lanes.assign([], generation=2)

    await until(lambda: host.asked == ["fence", "given up", "close"])
    await lanes.close()


async def test_a_lane_that_gets_no_answer_can_be_lost_to_another_worker() -> None:
    host = Unanswered("bounds", KafkaTimeoutError())
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: host.in_vain)

    await lanes.hold()
    lanes.assign([], generation=2)

    await lanes.close()
    assert not host.failed


async def test_what_asking_again_does_not_mend_ends_the_process() -> None:
    host = Unanswered("bounds", TopicAuthorizationFailedError())

    await running(host)

    assert host.failed == [host.error]


async def test_a_lane_that_runs_and_cannot_compare_takes_nothing_more_until_it_can_and_can_be_held_meanwhile() -> None:
    host = Unanswered("bounds", KafkaTimeoutError())
    host.told.set()
    lane = await running(host)
    lane.receive(chunk(0, "1"))
    await until(lambda: lane.durable.offset == 1)
    host.told.clear()

    lane.receive(chunk(5, "6"))
    lane.receive(chunk(1, "2"))
    await until(lambda: host.in_vain > 1)
    await lane.hold()
    lane.resume()
    assert (host.counts(), host.sought) == ({b"a": 1}, [])

    host.told.set()
    await until(lambda: host.sought == [1])
    lane.receive(chunk(1, "2", "3", "4", "5", "6"))
    await until(lambda: host.counts() == {b"a": 6})
    assert not host.failed
    await lane.close()


async def test_a_lane_whose_partition_loses_its_leader_does_not_end_the_process_however_much_it_has_to_fold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1000.0]
    for module in ("lane.work", "worker.lanes"):
        monkeypatch.setattr(f"services.shared.engine.{module}.time", SimpleNamespace(monotonic=lambda: clock[0]))
    lanes = new_lanes(Host())
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.not_ready() is None)
    lanes.observe(lambda _lane: (0, 5), now=0.0)

    clock[0] += 300
    assert lanes.observe(lambda _lane: None, now=0.0) == 0
    assert lanes.not_ready() is not None
    assert lanes.observe(lambda _lane: (0, 5), now=0.0) == 0  # it has a leader again
    clock[0] += 61
    assert lanes.observe(lambda _lane: (0, 5), now=0.0) == 61
    await lanes.close()
