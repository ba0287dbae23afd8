"""Queues and transactions are bounded in bytes too."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.shared.engine.core import SourceRecord
from services.shared.engine.counting import CountingCore, counting_spec
from services.shared.engine.fold import LaneFold
from services.shared.engine.gathering import Gathering
from services.shared.engine.position import Position
from services.shared.engine.raises import Raises
from services.shared.engine.settings import EngineSettings
from tests.unit.engine.lane_around import SPEC, Around, chunk, new_lane, running, until

MOST = 1 << 20
LARGE = 100_000
"""Bytes of the state of a large key."""


class Told(CountingCore):
    """Tells what its changes weigh."""

    @property
    def changed_bytes(self) -> int:
        outputs = sum(len(output.value or b"") for output in self._outputs)
        return outputs + sum(20 + self._fat.get(key, 0) for key in self._touched)


def fold_of(core: CountingCore) -> LaneFold:
    spec = replace(counting_spec("events", "state", "out", "dead"), core=lambda _p: core)
    return LaneFold(spec, 0, core, Position(0), raises=Raises("events/0", 5, 20, 600), most_bytes=MOST)


def drafts_of(fold: LaneFold, records: list[tuple[bytes, bytes]], breath: int = 500) -> tuple[list[int], int]:
    """Fold as a lane does, cutting whenever a draft is full; return the sizes of the drafts and how often was gathered."""
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
        for _ in fold.apply(source, breath):
            if fold.draft.size >= MOST:
                sizes.append(cut_size(fold))  # noqa: PERF401 - each time round it has changed
        sizes.append(cut_size(fold))
    return sizes, gathered


def cut_size(fold: LaneFold) -> int:
    draft = fold.cut()
    return draft.size if draft is not None else 0


def large(core: CountingCore, keys: int) -> None:
    core._fat = {b"large%d" % n: LARGE for n in range(keys)}


LATE = [(b"large%d" % (n % 300), b"1") for n in range(2000)]
SMALL = [(b"small%d" % (n % 2000), b"1") for n in range(20_000)]


def test_late_events_of_large_accounts_do_not_make_one_draft_of_them_all() -> None:
    core = CountingCore(0, "out")
    large(core, 300)

    sizes, _ = drafts_of(fold_of(core), LATE)

    assert max(sizes) <= MOST + 16 * (LARGE + 100)


def test_a_core_that_tells_what_it_has_changed_keeps_the_bound_whatever_came_before() -> None:
    core = Told(0, "out")
    large(core, 300)
    fold = fold_of(core)
    drafts_of(fold, SMALL)

    sizes, _ = drafts_of(fold, LATE)

    assert max(sizes) <= MOST + 16 * (LARGE + 100)


@pytest.mark.parametrize("kind", [CountingCore, Told])
def test_small_states_are_gathered_hardly_more_often_than_they_are_committed(kind: type[CountingCore]) -> None:
    """Each time costs an encoding of what changed, and a record of the ids."""
    fold = fold_of(kind(0, "out"))
    drafts_of(fold, SMALL)

    sizes, gathered = drafts_of(fold, SMALL)

    assert gathered <= 4 * len(sizes)


async def test_a_queue_is_full_by_bytes_too_and_half_empty_by_both() -> None:
    around = Around(settings=EngineSettings(transaction_ms=1, queue_records=1000, queue_bytes=1 << 16))
    around.may_load.clear()
    lane = new_lane(around)
    lane.start()

    lane.receive(chunk(0, "1" * 40_000))
    assert around.held == []
    lane.receive(chunk(1, "1" * 40_000))
    assert around.held == [True]
    around.may_load.set()
    await until(lambda: lane.durable == Position(2))

    assert around.held == [True, False]
    await lane.close()


async def test_a_full_draft_is_committed_before_more_is_folded() -> None:
    around = Around(settings=EngineSettings(transaction_ms=5000, transaction_bytes=1 << 16))
    core = Told(0, "out")
    core._fat = {b"a": 70_000}
    lane = await running(around, replace(SPEC, core=lambda _p: core))
    around.may_write.clear()

    lane.receive(chunk(0, *["1"] * 400))
    await until(lambda: "write" in around.asked)
    for _ in range(50):
        await asyncio.sleep(0)

    assert lane.next.offset <= 2 * 16
    around.may_write.set()
    await until(lambda: lane.next.offset == 400)
    await lane.close()


async def test_what_a_lane_holds_is_bounded_in_bytes_while_its_transaction_hangs() -> None:
    most, record = 1 << 16, 5_000
    around = Around(settings=EngineSettings(transaction_ms=5000, transaction_bytes=most, queue_bytes=4 * most))
    around.may_write.clear()
    lane = await running(around, replace(SPEC, core=lambda p: Told(p, "out")))
    value = f"wide:{record}".ljust(record)

    offset = 0
    while not around.held or not around.held[-1]:
        lane.receive(chunk(offset, *[value] * 10))
        offset += 10
        await asyncio.sleep(0)
        assert offset < 10_000, "never full"

    fold = lane._must_fold()
    one_chunk = 10 * (record + 200)
    assert lane._intake._queue.bytes <= 4 * most + one_chunk
    assert fold.draft.size <= most + 16 * (record + 100)
    assert around.asked.count("write") == 1
    around.may_write.set()
    await lane.close()
