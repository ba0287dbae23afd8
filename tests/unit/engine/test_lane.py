"""One lane over a log in memory: opening, answers, raising folds, holding and closing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.shared.engine.errors import ChangelogBehind, NotThisVersion, SourceBehind, SourceGap, SourceRecreated
from services.shared.engine.lane.lane import Lane
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.lane.states import LanePhase
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.processor import SourceRecord
from services.shared.engine.settings import EngineSettings
from services.shared.errors import UnknownVersion
from tests.support.counting.processor import CountingProcessor
from tests.support.waiting import until
from tests.unit.engine.lane_host import PATIENT, SPEC, Host, chunk, new_lane, running, turns


async def test_a_lane_that_waits_for_an_answer_says_so_and_goes_on_at_the_record_that_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.shared.engine.lane.look_ahead._LOOK_EVERY_S", 0.001)
    host = Host()
    lane = await running(host)
    lane.receive(chunk(0, "1", "ask", "2"))
    await until(lambda: lane.stopped is not None and "look 2" in host.asked)
    assert host.counts() == {b"a": 1}
    await lane.hold()  # a rebalance does not wait for it
    lane.resume()

    host.further.append(SourceRecord("events", 0, 7, b"a", b"answer"))
    await until(lambda: lane.ready)
    assert lane.stopped is None
    assert host.sought[-1] == 1
    lane.receive(chunk(1, "ask", "2"))
    await until(lambda: host.counts() == {b"a": 3})
    await lane.close()


async def test_a_lane_whose_source_is_truncated_while_it_asks_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is appended now would lie before the record that asked, so no answer would ever come."""
    monkeypatch.setattr("services.shared.engine.lane.look_ahead._LOOK_EVERY_S", 0.001)
    host, registry = Host(), CollectorRegistry()

    def reasons() -> set[str]:
        """Return why the lane stands still by the metric, from which alerts are made."""
        return {
            sample.labels["reason"]
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name == "tidemark_engine_lane_stopped" and sample.value
        }

    lane = Lane(SPEC, 0, host, LaneMetrics(EngineMetrics(registry), "events", 0))
    lane.start()
    await until(lambda: lane.ready)
    lane.receive(chunk(0, "1", "ask", "2"))
    await until(lambda: lane.stopped is not None and "look 2" in host.asked)

    host.looked_to = 0

    await until(lambda: isinstance(lane.stopped, SourceBehind), 5)
    assert lane.phase is LanePhase.STOPPED
    assert reasons() == {"source_behind"}  # nobody is asked any more to accept or refuse the time
    assert host.counts() == {b"a": 1}
    await lane.hold()
    lane.resume()
    await lane.close()
    assert not host.failed


async def test_an_answer_in_another_topic_of_that_name_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source was recreated while the lane asked, and has outgrown the record that did."""
    monkeypatch.setattr("services.shared.engine.lane.look_ahead._LOOK_EVERY_S", 0.001)
    host = Host(topic_id=b"1" * 16)
    lane = await running(host)
    lane.receive(chunk(0, "1", "ask"))
    await until(lambda: lane.stopped is not None and "look 2" in host.asked)

    host.topic_id = b"2" * 16
    host.further.append(SourceRecord("events", 0, 7, b"a", b"answer"))

    await until(lambda: isinstance(lane.stopped, SourceRecreated), 5)
    assert host.counts() == {b"a": 1}
    await lane.close()
    assert not host.failed


async def test_what_a_fold_has_begun_when_it_meets_what_it_does_not_know_is_not_committed() -> None:
    """The processor is in an unknown state: the release that knows the version begins at the last position that was durable."""

    class Begins(CountingProcessor):
        def fold(self, offset: int, item: tuple[bytes, bytes], step: int) -> Iterator[None] | None:
            steps = super().fold(offset, item, step)
            if item[1] == b"newer":
                raise UnknownVersion("a part of the record")
            return steps

    host = Host(settings=PATIENT)
    lane = await running(host, replace(SPEC, processor=lambda p: Begins(p, "out")))
    lane.receive(chunk(0, "1", "newer"))
    await until(lambda: lane.stopped)

    await lane.hold()
    lane.resume()
    await lane.close()

    assert isinstance(lane.stopped, NotThisVersion)
    assert (host.counts(), host.transactions, host.failed) == ({}, [], [])


# opening


async def test_the_former_owner_is_fenced_before_anything_is_loaded() -> None:
    host = Host()

    await running(host)

    assert host.asked[:2] == ["fence", "load"]


async def test_chunks_wait_in_a_bounded_queue_while_the_lane_opens() -> None:
    host = Host(settings=EngineSettings(transaction_ms=1, queue_records=4))
    host.may_load.clear()
    lane = new_lane(host)
    lane.start()
    await until(lambda: "load" in host.asked)

    lane.receive(chunk(0, "1", "2"))
    assert host.held == []
    lane.receive(chunk(2, "3", "4"))
    assert host.held == [True]
    host.may_load.set()
    await until(lambda: host.counts() == {b"a": 4})

    assert host.held == [True, False]


async def test_a_lane_goes_on_at_its_durable_position_and_skips_what_is_below() -> None:
    host = Host()
    host.log.append("state", POSITION_KEY, Position(3).encode(), 0)
    lane = await running(host)

    lane.receive(chunk(0, "1", "2"))
    lane.receive(chunk(2, "3", "4", "5"))

    await until(lambda: host.counts() == {b"a": 2})
    assert lane.next == Position(5)
    lane.receive(chunk(1, "2", "3"))  # once more, as after a rebalance
    lane.receive(chunk(4, "5", "6"))
    await until(lambda: host.counts() == {b"a": 3})
    assert host.sought == [3]


async def test_a_first_start_begins_where_the_log_begins() -> None:
    host = Host(earliest=100)
    lane = await running(host)

    lane.receive(chunk(100, "1"))

    await until(lambda: host.counts() == {b"a": 1})


async def test_a_group_ahead_of_the_changelog_is_refused() -> None:
    host = Host(committed=7)
    host.log.append("state", POSITION_KEY, Position(5).encode(), 0)

    lane = await running(host)

    assert isinstance(lane.stopped, ChangelogBehind)
    assert not host.failed


async def test_a_group_that_somebody_has_moved_ahead_goes_on_where_it_was_once_its_offsets_are_deleted() -> None:
    moved = Host(committed=7)
    moved.log.append("state", POSITION_KEY, Position(5).encode(), 0)
    said = str((await running(moved)).stopped)
    host = Host(committed=None)
    host.log.append("state", POSITION_KEY, Position(5).encode(), 0)

    assert (await running(host)).next == Position(5)
    assert "somebody has moved the group's offsets. Delete them while no worker runs: the lane goes on at 5" in said


async def test_a_group_that_a_lane_has_brought_ahead_tells_that_the_changelog_has_lost_records() -> None:
    """Whoever took that for a moved offset, and deleted it, would have outputs written twice."""
    host = Host(committed=7, before=Position(6))
    host.log.append("state", POSITION_KEY, Position(5).encode(), 0)

    said = str((await running(host)).stopped)

    assert (
        "the changelog has lost records: restore it, or delete it and rebuild the lane (TIDEMARK_ENGINE_REBUILD" in said
    )
    assert "moved" not in said


async def test_a_group_with_offsets_and_a_changelog_without_position_is_refused() -> None:
    lane = await running(Host(committed=0))

    assert isinstance(lane.stopped, ChangelogBehind)


async def test_a_group_behind_the_changelog_is_skipped_over() -> None:
    host = Host(committed=2)
    host.log.append("state", POSITION_KEY, Position(5).encode(), 0)

    assert (await running(host)).next == Position(5)


# raising folds


async def test_a_reopened_lane_starts_a_new_writer_before_it_loads() -> None:
    """A commit that was acknowledged may not show in the changelogs yet; starting a writer waits for that."""
    host = Host()
    lane = await running(host)
    host.asked.clear()

    lane.receive(chunk(0, "1", "raise"))
    await until(lambda: host.sought)

    assert host.asked == ["close", "fence", "load"]
    assert host.sought == [0]


async def test_a_reopening_waits_for_the_transaction_under_way() -> None:
    host = Host()
    host.may_write.clear()
    lane = await running(host)
    lane.receive(chunk(0, "1"))
    await until(lambda: "write" in host.asked)

    lane.receive(chunk(1, "raise"))
    await turns()
    assert host.asked.count("load") == 1
    host.may_write.set()
    await until(lambda: host.sought)

    assert host.sought == [1]


# holding and closing


async def test_a_held_lane_has_committed_and_stands_still() -> None:
    host = Host(settings=PATIENT)
    lane = await running(host)
    lane.receive(chunk(0, "1", "2"))
    await until(lambda: lane.next.offset == 2)

    await lane.hold()
    assert host.counts() == {b"a": 2}
    lane.receive(chunk(2, "3"))
    await turns()
    assert lane.next.offset == 2
    lane.resume()

    await until(lambda: lane.next.offset == 3)


async def test_holding_waits_for_the_transaction_under_way() -> None:
    host = Host()
    host.may_write.clear()
    lane = await running(host)
    lane.receive(chunk(0, "1"))
    await until(lambda: "write" in host.asked)

    holding = asyncio.create_task(lane.hold())
    await turns()
    assert not holding.done()
    host.may_write.set()

    await holding


async def test_holding_does_not_wait_for_an_opening() -> None:
    host = Host()
    host.may_load.clear()
    lane = new_lane(host)
    lane.start()

    async with asyncio.timeout(1):
        await lane.hold()

    assert lane.phase is LanePhase.OPENING
    await lane.close()


async def test_a_long_fold_can_be_held_between_its_steps() -> None:
    host = Host(settings=PATIENT)
    lane = await running(host)
    lane.receive(chunk(0, "long:1000"))
    await until(lambda: lane.next.step > 3)

    await lane.hold()

    assert 3 < lane.durable.step < 1000
    lane.resume()
    await until(lambda: lane.next == Position(1))
    await lane.hold()
    assert host.counts() == {b"a": 1000}


async def test_closing_commits_nothing_more() -> None:
    host = Host(settings=PATIENT)
    lane = await running(host)
    lane.receive(chunk(0, "1"))
    await until(lambda: lane.next.offset == 1)

    await lane.close()

    assert host.transactions == []
    assert host.asked[-1] == "close"


async def test_a_lane_that_stops_while_it_reopens_commits_nothing_of_the_broken_fold() -> None:
    """The fold that raised has changed half of what it should have; only what was durable before may stay."""
    host = Host(settings=PATIENT)
    lane = await running(host)
    lane.receive(chunk(0, "1", "2", "3"))
    await until(lambda: lane.next.offset == 3)
    await lane.hold()
    lane.resume()
    host.earliest = 10

    lane.receive(chunk(3, "4", "raise"))
    await until(lambda: lane.stopped)
    await turns()

    assert isinstance(lane.stopped, SourceGap)
    assert host.counts() == {b"a": 3}
    await lane.close()


async def test_a_lane_that_is_held_again_before_it_has_gone_on_says_that_it_stands_still() -> None:
    host = Host()
    lane = await running(host)
    await lane.hold()

    lane.resume()
    async with asyncio.timeout(1):
        await lane.hold()

    lane.receive(chunk(0, "1"))
    lane.resume()
    await until(lambda: host.counts() == {b"a": 1})
    await lane.close()


async def test_changes_that_can_never_be_taken_stop_the_lane_instead_of_reopening_it_for_ever() -> None:
    class GivesNothing(CountingProcessor):
        def take_changes(self) -> Any:
            raise ZeroDivisionError("as asked")

    host = Host()
    spec = replace(SPEC, processor=lambda partition: GivesNothing(partition, "out"))
    lane = await running(host, spec)

    fed = -1
    async with asyncio.timeout(5):
        while not lane.stopped:
            if len(host.sought) != fed:
                fed = len(host.sought)
                lane.receive(chunk(0, "1", "2"))
            await asyncio.sleep(0)

    assert host.asked.count("load") <= 2 * host.settings.max_raises
    await lane.close()


async def test_a_lane_that_closes_with_a_full_queue_lets_its_partition_be_fetched_again() -> None:
    """Its partition may come back; and while one is held, the fetcher wakes a hundred times a second."""
    host = Host(settings=EngineSettings(queue_records=2))
    host.may_load.clear()
    lane = new_lane(host)
    lane.start()
    lane.receive(chunk(0, "1", "2", "3"))
    assert host.held == [True]

    await lane.close()

    assert host.held == [True, False]
