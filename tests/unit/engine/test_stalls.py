"""When a lane counts as stalled, and when as behind: with the watch's looks at where its partition ends."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import SourceMode
from services.shared.engine.worker.lanes import Lanes
from tests.support.waiting import until
from tests.unit.engine.lane_host import SPEC, Host, chunk, new_lanes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time of lanes and of those who watch them, in seconds, to be moved."""
    now = [1000.0]
    for module in ("lane.work", "worker.lanes"):
        monkeypatch.setattr(f"services.shared.engine.{module}.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


async def test_a_lane_that_was_idle_is_not_stalled_when_records_come(clock: list[float]) -> None:
    lanes = new_lanes(Host(settings=EngineSettings(stall_s=60)))
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.not_ready() is None)
    lanes.observe(lambda _home: (0, 0), now=0.0)
    clock[0] += 3600

    assert lanes.observe(lambda _home: (0, 5), now=0.0) == 0
    clock[0] += 61
    assert lanes.observe(lambda _home: (0, 5), now=0.0) == 61
    assert lanes.not_ready() == "lane events/0 has records to fold and does not move"
    await lanes.close()


async def test_a_lane_that_has_stopped_is_behind_and_not_stalled(clock: list[float]) -> None:
    """A new process would stop at the same place. Its consumer reads on to the end meanwhile."""
    metrics = EngineMetrics(CollectorRegistry())
    lanes = Lanes([SPEC], Host(settings=EngineSettings(stall_s=60, transaction_ms=1)), metrics)
    lanes.assign([("events", 0)], generation=1)
    lane = lanes.of("events")[0]
    await until(lambda: lane.ready)
    lanes.receive("events", chunk(0, "1", "version:9"))
    await until(lambda: lane.stopped)
    for _ in range(2):
        clock[0] += 61

        assert lanes.observe(lambda _home: (4, 4), now=0.0) == 0

    assert metrics.stalled.labels("events", "0")._value.get() == 0
    assert metrics.lag_records.labels("events", "0")._value.get() == 3
    await lanes.close()


async def test_a_lane_that_takes_long_to_open_is_not_stalled(clock: list[float]) -> None:
    """How far its partition is read is not known before it is read."""
    metrics = EngineMetrics(CollectorRegistry())
    host = Host(settings=EngineSettings(stall_s=60))
    host.may_load.clear()
    lanes = Lanes([SPEC], host, metrics)
    lanes.assign([("events", 0)], generation=1)
    for _ in range(2):
        clock[0] += 61

        assert lanes.observe(lambda _home: None, now=0.0) == 0

    assert metrics.stalled.labels("events", "0")._value.get() == 0
    await lanes.close()


async def test_a_lane_whose_end_nobody_can_tell_counts_as_stalled_unless_it_moves(clock: list[float]) -> None:
    metrics = EngineMetrics(CollectorRegistry())
    lanes = Lanes([SPEC], Host(settings=EngineSettings(stall_s=60, transaction_ms=1)), metrics)
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.not_ready() is None)
    stalled = metrics.stalled.labels("events", "0")
    clock[0] += 59
    lanes.receive("events", chunk(0, "1"))
    await until(lambda: lanes.of("events")[0].durable.offset == 1)

    clock[0] += 59
    assert lanes.observe(lambda _home: None, now=0.0) == 0
    assert lanes.not_ready() is None
    assert stalled._value.get() == 0
    clock[0] += 2
    assert lanes.observe(lambda _home: None, now=0.0) == 0  # a new process would know no more: nothing to end it for
    assert "nobody can say where events/0 ends" in str(lanes.not_ready())
    assert stalled._value.get() == 1
    lanes.observe(lambda _home: (1, 1), now=0.0)
    assert lanes.not_ready() is None
    assert stalled._value.get() == 0
    await lanes.close()


async def test_a_consumer_that_does_not_poll_stalls_every_lane() -> None:
    metrics = EngineMetrics(CollectorRegistry())
    lanes = Lanes([SPEC], Host(settings=EngineSettings(stall_s=60)), metrics)
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.not_ready() is None)

    lanes.observe(lambda _home: (0, 0), now=0.0, silent_s=61)

    assert lanes.not_ready() == "the Kafka consumer has not polled for 61 s"
    assert metrics.stalled.labels("events", "0")._value.get() == 1
    await lanes.close()


async def test_a_lane_that_one_open_transaction_holds_up_shows_as_stalled_and_as_behind(clock: list[float]) -> None:
    metrics = EngineMetrics(CollectorRegistry())
    lanes = Lanes([replace(SPEC, mode=SourceMode.TRANSACTIONAL)], Host(settings=EngineSettings(stall_s=60)), metrics)
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.not_ready() is None)

    def look(end: int) -> float:
        return lanes.observe(lambda _lane: (end, end), now=0.0, written=lambda _lane: 9)

    look(0)
    clock[0] += 61
    assert look(0) == 0  # a new process could read no more: nothing to end this one for
    assert metrics.stalled.labels("events", "0")._value.get() == 1
    assert metrics.lag_records.labels("events", "0")._value.get() == 9
    assert str(lanes.not_ready()).startswith(
        "lane events/0 waits at offset 0 behind a transaction that has been open for 61 s"
    )

    lanes.receive("events", chunk(0, "1"))
    await until(lambda: lanes.of("events")[0].next.offset == 1)
    look(1)  # another transaction
    assert metrics.stalled.labels("events", "0")._value.get() == 0
    assert lanes.not_ready() is None

    lanes.receive("events", chunk(1, end=9))  # it was aborted: the last eight places hold nothing to fold
    await until(lambda: lanes.of("events")[0].next.offset == 9)
    look(9)
    assert metrics.lag_records.labels("events", "0")._value.get() == 0
    await lanes.close()
