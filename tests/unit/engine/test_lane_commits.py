"""What a lane commits and when: transactions, and the steps of long folds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.shared.engine.errors import FailStop
from services.shared.engine.position import Position
from services.shared.engine.processor import Append
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import AppendOrder
from tests.support.counting.processor import CountingProcessor
from tests.support.waiting import until
from tests.unit.engine.lane_host import PATIENT, SPEC, Host, chunk, patient, running, turns

# transactions


async def test_a_transaction_spans_chunks_until_it_is_due() -> None:
    host = Host(settings=patient(transaction_records=6))
    lane = await running(host)

    for n in range(0, 5, 1):
        lane.receive(chunk(n, "1"))
    await until(lambda: lane.next.offset == 5)
    assert host.transactions == []
    lane.receive(chunk(5, "1"))

    await until(lambda: host.transactions)
    assert [d.records for d in host.transactions] == [6]


async def test_a_transaction_is_committed_when_its_time_has_come() -> None:
    host = Host(settings=EngineSettings(transaction_ms=30))
    lane = await running(host)
    began = asyncio.get_running_loop().time()

    lane.receive(chunk(0, "1"))
    await until(lambda: host.transactions)

    assert 0.02 < asyncio.get_running_loop().time() - began < 2


async def test_an_urgent_record_is_committed_at_once() -> None:
    host = Host(settings=PATIENT)
    lane = await running(host)

    lane.receive(chunk(0, "1", "urgent"))

    await until(lambda: host.transactions)


async def test_a_step_that_someone_waits_for_is_committed_though_its_outputs_were_taken() -> None:
    class Hasty(CountingProcessor):
        def _long(self, key: bytes, argument: bytes, step: int) -> Iterator[None]:
            for n, _ in enumerate(super()._long(key, argument, step), start=step):
                self.urgent = n == 2
                yield

        def take_outputs(self) -> list[Any]:
            self.urgent = False
            return super().take_outputs()

    host = Host(settings=PATIENT)
    host.may_write.clear()
    lane = await running(host, replace(SPEC, processor=lambda p: Hasty(p, "out")))
    lane.receive(chunk(0, "urgent"))
    await until(lambda: "write" in host.asked)

    lane.receive(chunk(1, "long:9"))
    await until(lambda: lane.next == Position(2))
    host.may_write.set()

    await until(lambda: lane.durable == Position(2), within_s=3)


async def test_a_timer_that_comes_early_commits_all_the_same() -> None:
    """By uvloop a timer counts from the time at which it last looked: no second timer would come."""
    host = Host(settings=PATIENT)
    lane = await running(host)
    lane.receive(chunk(0, "1"))
    await until(lambda: lane.next.offset == 1)
    assert lane._work.commits._deadline is not None

    lane._work.commits._ring(lane._work.commits._deadline)

    await until(lambda: host.transactions)


async def test_a_time_that_came_when_nothing_was_folded_is_not_that_of_the_next_record() -> None:
    host = Host(settings=patient(transaction_records=500))
    lane = await running(host)
    lane.receive(chunk(0, *["1"] * 500))
    await until(lambda: lane.durable.offset == 500)
    commits = lane._work.commits
    assert commits._deadline is not None

    commits._ring(commits._deadline)
    await turns()
    lane.receive(chunk(500, "1"))
    await until(lambda: lane.next.offset == 501)
    await turns()

    assert [each.records for each in host.transactions] == [500]


async def test_folding_goes_on_while_a_transaction_commits_and_stops_when_too_much_waits() -> None:
    host = Host(settings=patient(transaction_records=2))
    host.may_write.clear()
    lane = await running(host)

    lane.receive(chunk(0, "1", "2"))
    await until(lambda: host.asked.count("write") == 1)
    lane.receive(chunk(2, "3", "4"))
    await until(lambda: lane.next.offset == 4)
    lane.receive(chunk(4, "5", "6"))
    await turns()
    assert lane.next.offset == 4
    assert host.asked.count("write") == 1
    host.may_write.set()

    await until(lambda: host.counts() == {b"a": 6})


async def test_a_large_chunk_does_not_outrun_a_commit_under_way() -> None:
    host = Host(settings=patient(transaction_records=500))
    host.may_write.clear()
    lane = await running(host)

    lane.receive(chunk(0, *["1"] * 5000))
    await until(lambda: "write" in host.asked)
    await turns()

    assert lane.next.offset == 1000
    host.may_write.set()
    await until(lambda: lane.next.offset == 5000)


async def test_appends_follow_their_transaction_and_precede_the_next() -> None:
    host = Host()
    lane = await running(host)
    host.asked.clear()

    lane.receive(chunk(0, "append"))
    await until(lambda: "append" in host.asked)
    lane.receive(chunk(1, "1"))
    await until(lambda: lane.durable.offset == 2)

    assert host.asked == ["write", "append", "write"]


async def test_appends_that_come_first_precede_their_transaction() -> None:
    host = Host()
    lane = await running(host, replace(SPEC, appends=AppendOrder.BEFORE_COMMIT))
    host.asked.clear()

    lane.receive(chunk(0, "append"))
    await until(lambda: lane.durable.offset == 1)

    assert host.asked == ["append", "write"]


async def test_nothing_is_committed_whose_append_has_failed() -> None:
    class NoAppends(Host):
        async def append(self, appends: Iterable[Append]) -> None:
            raise FailStop("not acknowledged")

    host = NoAppends()
    lane = await running(host, replace(SPEC, appends=AppendOrder.BEFORE_COMMIT))
    host.asked.clear()

    lane.receive(chunk(0, "append"))
    await until(lambda: host.failed)

    assert host.asked == []
    assert lane.durable == Position(0)


async def test_after_a_failed_transaction_nothing_more_is_written() -> None:
    host = Host(write_error=FailStop("fenced"))
    lane = await running(host)

    lane.receive(chunk(0, "1"))
    await until(lambda: host.failed)
    lane.receive(chunk(1, "urgent"))
    await turns()

    assert host.asked.count("write") == 1
    assert lane.durable == Position(0)


async def test_a_lane_that_is_held_after_a_failed_transaction_writes_nothing_more() -> None:
    host = Host(write_error=FailStop("fenced"))
    lane = await running(host)
    lane.receive(chunk(0, "1"))
    await until(lambda: host.failed)
    lane.receive(chunk(1, "1"))
    await until(lambda: lane.next.offset == 2)

    await lane.hold()
    await turns()

    assert host.asked.count("write") == 1
    assert lane.durable == Position(0)


async def test_a_lane_that_closes_gives_its_writer_back_once_the_transaction_under_way_is_committed() -> None:
    host = Host(settings=PATIENT)
    host.may_write.clear()
    lane = await running(host)
    host.asked.clear()
    lane.receive(chunk(0, "urgent"))
    await until(lambda: "write" in host.asked)

    closing = asyncio.create_task(lane.close())
    await turns()
    assert host.asked == ["write"]
    host.may_write.set()
    await closing

    assert host.asked == ["write", "close"]
    assert lane.durable == Position(1)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
async def test_an_error_of_the_machine_ends_the_process_and_blames_no_record(error: BaseException) -> None:
    class Broken(CountingProcessor):
        def fold(self, *_: Any) -> None:
            raise error

    host = Host()
    lane = await running(host, replace(SPEC, processor=lambda p: Broken(p, "out")))

    lane.receive(chunk(0, "1"))

    await until(lambda: host.failed)
    assert host.failed == [error]
    assert host.transactions == []


# steps


async def test_others_get_a_turn_between_the_steps_of_a_long_fold() -> None:
    host = Host(settings=PATIENT)
    lane = await running(host)
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
    host = Host(settings=PATIENT)
    lane = await running(host)
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
    class Heavy(CountingProcessor):
        def _long(self, key: bytes, argument: bytes, step: int) -> Iterator[None]:
            for _ in super()._long(key, argument, step):
                self._fat[key] = 30_000
                yield

    host = Host(settings=patient(transaction_bytes=1 << 16))
    lane = await running(host, replace(SPEC, processor=lambda p: Heavy(p, "out")))

    lane.receive(chunk(0, "long:12"))
    await until(lambda: lane.next == Position(1))
    await lane.hold()

    assert [d.position for d in host.transactions[:-1]] == [Position(0, n) for n in (3, 6, 9, 12)]
    assert host.counts() == {b"a": 12}
