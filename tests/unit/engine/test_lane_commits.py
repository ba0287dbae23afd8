"""What a lane commits and when: transactions, and the steps of long folds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.shared.engine.counting import CountingCore
from services.shared.engine.errors import FailStop
from services.shared.engine.position import Position
from services.shared.engine.settings import EngineSettings
from tests.unit.engine.lane_around import PATIENT, SPEC, Around, chunk, running, until

# transactions


async def test_a_transaction_spans_chunks_until_it_is_due() -> None:
    around = Around(settings=EngineSettings(transaction_ms=5000, transaction_records=6))
    lane = await running(around)

    for n in range(0, 5, 1):
        lane.receive(chunk(n, "1"))
    await until(lambda: lane.next.offset == 5)
    assert around.drafts == []
    lane.receive(chunk(5, "1"))

    await until(lambda: around.drafts)
    assert [d.records for d in around.drafts] == [6]


async def test_a_transaction_is_committed_when_its_time_has_come() -> None:
    around = Around(settings=EngineSettings(transaction_ms=30))
    lane = await running(around)
    began = asyncio.get_running_loop().time()

    lane.receive(chunk(0, "1"))
    await until(lambda: around.drafts)

    assert 0.02 < asyncio.get_running_loop().time() - began < 2


async def test_an_urgent_record_is_committed_at_once() -> None:
    around = Around(settings=PATIENT)
    lane = await running(around)

    lane.receive(chunk(0, "1", "urgent"))

    await until(lambda: around.drafts)


async def test_a_step_that_someone_waits_for_is_committed_though_its_outputs_were_taken() -> None:
    class Hasty(CountingCore):
        def _long(self, key: bytes, argument: bytes, step: int) -> Iterator[None]:
            for n, _ in enumerate(super()._long(key, argument, step), start=step):
                self.urgent = n == 2
                yield

        def take_outputs(self) -> list[Any]:
            self.urgent = False
            return super().take_outputs()

    around = Around(settings=PATIENT)
    around.may_write.clear()
    lane = await running(around, replace(SPEC, core=lambda p: Hasty(p, "out")))
    lane.receive(chunk(0, "urgent"))
    await until(lambda: "write" in around.asked)

    lane.receive(chunk(1, "long:9"))
    await until(lambda: lane.next == Position(2))
    around.may_write.set()

    await until(lambda: lane.durable == Position(2), within_s=3)


async def test_a_timer_that_comes_early_commits_all_the_same() -> None:
    """By uvloop a timer counts from the time at which it last looked: no second timer would come."""
    around = Around(settings=PATIENT)
    lane = await running(around)
    lane.receive(chunk(0, "1"))
    await until(lambda: lane.next.offset == 1)
    assert lane._commits._deadline is not None

    lane._commits._ring(lane._commits._deadline)

    await until(lambda: around.drafts)


async def test_folding_goes_on_while_a_transaction_commits_and_stops_when_too_much_waits() -> None:
    around = Around(settings=EngineSettings(transaction_ms=5000, transaction_records=2))
    around.may_write.clear()
    lane = await running(around)

    lane.receive(chunk(0, "1", "2"))
    await until(lambda: around.asked.count("write") == 1)
    lane.receive(chunk(2, "3", "4"))
    await until(lambda: lane.next.offset == 4)
    lane.receive(chunk(4, "5", "6"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert lane.next.offset == 4
    assert around.asked.count("write") == 1
    around.may_write.set()

    await until(lambda: around.counts() == {b"a": 6})


async def test_a_large_chunk_does_not_outrun_a_commit_under_way() -> None:
    around = Around(settings=EngineSettings(transaction_ms=5000, transaction_records=500))
    around.may_write.clear()
    lane = await running(around)

    lane.receive(chunk(0, *["1"] * 5000))
    await until(lambda: "write" in around.asked)
    for _ in range(50):
        await asyncio.sleep(0)

    assert lane.next.offset == 1000
    around.may_write.set()
    await until(lambda: lane.next.offset == 5000)


async def test_appends_follow_their_transaction_and_precede_the_next() -> None:
    around = Around()
    lane = await running(around)
    around.asked.clear()

    lane.receive(chunk(0, "append"))
    await until(lambda: "append" in around.asked)
    lane.receive(chunk(1, "1"))
    await until(lambda: lane.durable.offset == 2)

    assert around.asked == ["write", "append", "write"]


async def test_after_a_failed_transaction_nothing_more_is_written() -> None:
    around = Around(write_error=FailStop("fenced"))
    lane = await running(around)

    lane.receive(chunk(0, "1"))
    await until(lambda: around.failed)
    lane.receive(chunk(1, "urgent"))
    for _ in range(50):
        await asyncio.sleep(0)

    assert around.asked.count("write") == 1
    assert lane.durable == Position(0)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
async def test_an_error_of_the_machine_ends_the_process_and_blames_no_record(error: BaseException) -> None:
    class Broken(CountingCore):
        def fold(self, *_: Any) -> None:
            raise error

    around = Around()
    lane = await running(around, replace(SPEC, core=lambda p: Broken(p, "out")))

    lane.receive(chunk(0, "1"))

    await until(lambda: around.failed)
    assert around.failed == [error]
    assert around.drafts == []


# steps


async def test_others_get_a_turn_between_the_steps_of_a_long_fold() -> None:
    around = Around(settings=PATIENT)
    lane = await running(around)
    seen: set[int] = set()

    async def look() -> None:
        while lane.next.offset == 0:
            seen.add(lane.next.step)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    lane.receive(chunk(0, "long:20"))
    await looking

    assert len(seen) >= 20


async def test_others_get_a_turn_within_a_large_chunk() -> None:
    around = Around(settings=PATIENT)
    lane = await running(around)
    seen: set[int] = set()

    async def look() -> None:
        while lane.next.offset < 5000:
            seen.add(lane.next.offset)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    lane.receive(chunk(0, *["1"] * 5000))
    await looking

    assert len(seen) >= 8


async def test_a_long_fold_is_committed_between_its_steps_when_its_changes_are_large() -> None:
    class Heavy(CountingCore):
        def _long(self, key: bytes, argument: bytes, step: int) -> Iterator[None]:
            for _ in super()._long(key, argument, step):
                self._fat[key] = 30_000
                yield

    around = Around(settings=EngineSettings(transaction_ms=5000, transaction_bytes=1 << 16))
    lane = await running(around, replace(SPEC, core=lambda p: Heavy(p, "out")))

    lane.receive(chunk(0, "long:12"))
    await until(lambda: lane.next == Position(1))
    await lane.hold()

    assert [d.position for d in around.drafts[:-1]] == [Position(0, n) for n in (3, 6, 9, 12)]
    assert around.counts() == {b"a": 12}
