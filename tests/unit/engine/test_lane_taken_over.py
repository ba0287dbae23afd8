"""What a lane does not lose while others have it, while it restores, and after it was lost."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from services.shared.engine.fold.committed import Committed
from services.shared.engine.fold.start import Bounds
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import Cuts, MemoryRunner
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec
from tests.support.counting.processor import CountingProcessor, counting_spec
from tests.support.waiting import until
from tests.unit.engine.lane_host import QUICK, Host, chunk, new_lanes, turns


class SlowToAnswer(Host):
    """A cluster that takes its time to say who owns a lane, and knows the offset that the group has committed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.answer = asyncio.Event()

    def writer(self, spec: LaneSpec, partition: int) -> Any:
        made = super().writer(spec, partition)
        start, still_owns = made.start, made.still_owns

        async def fence() -> None:
            self.fenced = False
            await start()

        async def answered(transaction: Transaction) -> bool:
            await self.answer.wait()
            return bool(await still_owns(transaction))

        made.start, made.still_owns = fence, answered
        return made

    async def bounds(self, _topic: str, _partition: int) -> Bounds:
        value = self.log.latest("state", 0).get(POSITION_KEY)
        return Bounds(0, 4, None if value is None else Committed(Position.decode(value)[0]))


async def test_what_came_while_a_lane_was_found_to_be_anothers_is_read_again() -> None:
    host = SlowToAnswer()
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], 1)
    lane = lanes.of("events")[0]
    await until(lambda: lane.ready)
    lanes.receive("events", chunk(0, "1"))
    await until(lambda: lane.durable.offset == 1)
    await lanes.hold()
    host.log.append("state", POSITION_KEY, Position(2).encode(), 0)  # another has folded one more, and left
    host.fenced = True
    lanes.assign([("events", 0)], 3)
    await turns(5)

    lanes.receive("events", chunk(2, "1", "1"))  # Faust reads on at once, before the check is answered
    await turns(5)
    host.answer.set()
    await until(lambda: host.sought == [2])

    lanes.receive("events", chunk(2, "1", "1"))
    await until(lambda: lane.durable.offset == 4)
    assert not host.failed
    await lanes.close()


async def test_a_long_restore_after_a_raise_is_not_taken_for_a_lane_that_stands_still() -> None:
    host = Host(settings=EngineSettings(transaction_ms=1, stall_s=1))
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], 1)
    lane = lanes.of("events")[0]
    await until(lambda: lane.ready)
    lanes.observe(lambda _: (0, 1_000), time.time())
    lane.receive(chunk(0, "1"))
    await until(lambda: lane.durable.offset == 1)
    host.may_load.clear()
    lane.receive(chunk(1, "raise", "1"))
    await until(lambda: not lane.ready)
    lane._work.moved_at -= 100  # so long does the restore take

    host.may_load.set()
    await until(lambda: lane.ready)

    assert lanes.observe(lambda _: (0, 1_000), time.time()) < 50
    await lanes.close()


async def test_a_lane_that_was_lost_while_it_opened_again_fences_nobody_even_where_the_cancellation_gets_lost() -> None:
    class Swallows(Host):
        """aiokafka's sender swallows a cancellation while it is closed."""

        def writer(self, spec: LaneSpec, partition: int) -> Any:
            made = super().writer(spec, partition)

            async def close() -> None:
                self.asked.append("closing")
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.asked.append("swallowed")

            made.close = close
            return made

    host = Swallows(settings=QUICK)
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], 1)
    await until(lambda: lanes.of("events")[0].ready)
    lanes.receive("events", chunk(0, "1", "raise"))
    await until(lambda: "closing" in host.asked)
    await lanes.hold()
    host.asked.clear()

    lanes.assign([], 2)
    await until(lambda: "swallowed" in host.asked)
    await turns(100)

    assert "fence" not in host.asked
    assert not host.failed


@pytest.mark.parametrize("cut", [1, 7, 50])
def test_changes_that_can_never_be_given_stop_a_lane_after_a_few_records_however_the_log_is_cut(cut: int) -> None:
    class Broken(CountingProcessor):
        def take_changes(self) -> Any:
            if self._touched:
                raise ZeroDivisionError("the encoder is broken")
            return []

    log = MemoryLog(partitions=1, single=())
    for number in range(300):
        log.append("events", b"k%d" % number, b"1", 0)
    spec = replace(counting_spec("events", "state", "out", "dead"), processor=lambda _: Broken(0, "out"))
    runner = MemoryRunner(log, [spec], Cuts(chunk=(cut,), transaction=cut))
    runner.run()

    assert runner.stopped("events")
    assert len(log.values("dead")) < 10
