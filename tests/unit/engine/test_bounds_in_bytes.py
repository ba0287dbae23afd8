"""Queues and transactions are bounded in bytes too."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.shared.engine.fold.failure_policy import Patience
from services.shared.engine.fold.gathering import Gathering
from services.shared.engine.fold.raises import Raises
from services.shared.engine.fold.runner import LaneRunner
from services.shared.engine.position import Position
from services.shared.engine.processor import SourceRecord
from services.shared.engine.settings import EngineSettings
from tests.support.counting.processor import CountingProcessor, counting_spec
from tests.support.waiting import until
from tests.unit.engine.lane_host import SPEC, Host, chunk, new_lane, patient, running

MOST = 1 << 20
LARGE = 100_000
"""Bytes of the state of a large key."""


class Told(CountingProcessor):
    """Tells what its changes weigh."""

    @property
    def changed_bytes(self) -> int:
        outputs = sum(len(output.value or b"") for output in self._outputs)
        return outputs + sum(20 + self._fat.get(key, 0) for key in self._touched)


def fold_of(processor: CountingProcessor) -> LaneRunner:
    spec = replace(counting_spec("events", "state", "out", "dead"), processor=lambda _p: processor)
    return LaneRunner(spec, 0, processor, Position(0), raises=Raises("events/0", Patience(5, 20, 600)), most_bytes=MOST)


def transactions_of(
    fold: LaneRunner, records: list[tuple[bytes, bytes]], yield_every: int = 500
) -> tuple[list[int], int]:
    """Fold as a lane does, cutting whenever a transaction is full; return the sizes of the transactions and how often was gathered."""
    gathered = 0
    whole = fold._gathering.gather

    def count(offset: int | None, step: int) -> None:
        nonlocal gathered
        gathered += 1
        whole(offset, step)

    sizes = []
    source = [SourceRecord("events", 0, fold.offset + n, key, value) for n, (key, value) in enumerate(records)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gathering, "gather", lambda _self, offset, step: count(offset, step))
        for _ in fold.apply(source, yield_every):
            if fold.transaction.size >= MOST:
                sizes.append(size_of_transaction(fold))  # noqa: PERF401 - each time round it has changed
        sizes.append(size_of_transaction(fold))
    return sizes, gathered


def size_of_transaction(fold: LaneRunner) -> int:
    transaction = fold.take_transaction()
    return transaction.size if transaction is not None else 0


def large(processor: CountingProcessor, keys: int) -> None:
    processor._fat = {b"large%d" % n: LARGE for n in range(keys)}


LATE = [(b"large%d" % (n % 300), b"1") for n in range(2000)]
SMALL = [(b"small%d" % (n % 2000), b"1") for n in range(20_000)]


def test_late_events_of_large_accounts_do_not_make_one_transaction_of_them_all() -> None:
    processor = CountingProcessor(0, "out")
    large(processor, 300)

    sizes, _ = transactions_of(fold_of(processor), LATE)

    assert max(sizes) <= MOST + 16 * (LARGE + 100)


def test_a_processor_that_tells_what_it_has_changed_keeps_the_bound_whatever_came_before() -> None:
    processor = Told(0, "out")
    large(processor, 300)
    fold = fold_of(processor)
    transactions_of(fold, SMALL)

    sizes, _ = transactions_of(fold, LATE)

    assert max(sizes) <= MOST + 16 * (LARGE + 100)


@pytest.mark.parametrize("kind", [CountingProcessor, Told])
def test_small_states_are_gathered_hardly_more_often_than_they_are_committed(kind: type[CountingProcessor]) -> None:
    """Each time costs an encoding of what changed, and a record of the ids."""
    fold = fold_of(kind(0, "out"))
    transactions_of(fold, SMALL)

    sizes, gathered = transactions_of(fold, SMALL)

    assert gathered <= 4 * len(sizes)


async def test_a_queue_is_full_by_bytes_too_and_half_empty_by_both() -> None:
    host = Host(settings=EngineSettings(transaction_ms=1, queue_records=1000, queue_bytes=1 << 16))
    host.may_load.clear()
    lane = new_lane(host)
    lane.start()

    lane.receive(chunk(0, "1" * 40_000))
    assert host.held == []
    lane.receive(chunk(1, "1" * 40_000))
    assert host.held == [True]
    host.may_load.set()
    await until(lambda: lane.durable == Position(2))

    assert host.held == [True, False]
    await lane.close()


async def test_a_full_transaction_is_committed_before_more_is_folded() -> None:
    host = Host(settings=patient(transaction_bytes=1 << 16))
    processor = Told(0, "out")
    processor._fat = {b"a": 70_000}
    lane = await running(host, replace(SPEC, processor=lambda _p: processor))
    host.may_write.clear()

    lane.receive(chunk(0, *["1"] * 400))
    await until(lambda: "write" in host.asked)
    for _ in range(50):
        await asyncio.sleep(0)

    assert lane.next.offset <= 2 * 16
    host.may_write.set()
    await until(lambda: lane.next.offset == 400)
    await lane.close()


async def test_what_a_lane_holds_is_bounded_in_bytes_while_its_transaction_hangs() -> None:
    most, record = 1 << 16, 5_000
    host = Host(settings=patient(transaction_bytes=most, queue_bytes=4 * most))
    host.may_write.clear()
    lane = await running(host, replace(SPEC, processor=lambda p: Told(p, "out")))
    value = f"wide:{record}".ljust(record)

    offset = 0
    while not host.held or not host.held[-1]:
        lane.receive(chunk(offset, *[value] * 10))
        offset += 10
        await asyncio.sleep(0)
        assert offset < 10_000, "never full"

    runner = lane._work.runner
    assert runner is not None
    one_chunk = 10 * (record + 200)
    assert lane._work.intake._queue.bytes <= 4 * most + one_chunk
    assert runner.transaction.size <= most + 16 * (record + 100)
    assert host.asked.count("write") == 1
    host.may_write.set()
    await lane.close()
