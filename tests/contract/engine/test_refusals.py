"""Where a lane stops for an operator, whichever way a processor is run: versions, gaps, topics that were lost or made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.shared.engine.errors import ChangelogBehind, NotThisVersion, SourceGap, SourceRecreated
from services.shared.engine.position import POSITION_KEY, Position
from tests.contract.engine.backends import APPENDS_FIRST, IN_TRANSACTIONS, Backend, OnKafka, with_processor
from tests.support.counting.processor import CountingProcessor
from tests.support.counting.trial import CHANGELOG, OUT, trial


async def test_state_of_a_newer_format_is_refused(backend: Backend) -> None:
    await backend.write_state(b"a", b"\x02" + bytes(8))
    await backend.append([("a", "1")])

    assert isinstance(await backend.fold(), NotThisVersion)

    assert (await backend.found()).position is None


async def test_a_position_of_a_newer_format_is_refused(backend: Backend) -> None:
    await backend.write_state(POSITION_KEY, b"\x09newer")
    await backend.append([("a", "1")])

    assert isinstance(await backend.fold(), NotThisVersion)


async def test_a_record_of_a_newer_version_stops_the_lane_until_one_comes_that_knows_it(backend: Backend) -> None:
    def newer() -> CountingProcessor:
        processor = CountingProcessor(0, OUT)
        processor.version = 2
        return processor

    await backend.append([("a", "1"), ("a", "version:2"), ("a", "3")])

    assert isinstance(await backend.fold(), NotThisVersion)
    before = await backend.found()
    assert isinstance(await backend.fold(), NotThisVersion)
    assert await backend.fold(with_processor(newer)) is None

    assert (before.counts, before.dead, before.position) == ({"a": 1}, [], Position(1))
    assert (await backend.found()).counts == {"a": 3}


async def test_records_that_retention_took_are_a_gap(backend: Backend) -> None:
    await backend.append_transaction([("a", "1")] * 5)
    assert await backend.fold(IN_TRANSACTIONS, until=5) is None
    await backend.append_transaction([("a", "2")] * 2)
    await backend.expire(before=7)

    assert isinstance(await backend.fold(IN_TRANSACTIONS, until=9), SourceGap)


async def test_a_source_that_was_made_anew_is_refused_though_it_has_outgrown_the_position(backend: Backend) -> None:
    await backend.append([("a", "1")] * 5)
    assert await backend.fold() is None
    await backend.recreate()
    await backend.append([("a", "2")] * 9)

    assert isinstance(await backend.fold(), SourceRecreated)

    assert (await backend.found()).counts == {"a": 5}


@pytest.mark.integration
async def test_a_lost_changelog_is_noticed_and_not_folded_over(kafka: Any, tmp_path: Path) -> None:
    async with trial(kafka.bootstrap, partitions=1) as on:
        backend = OnKafka(on, tmp_path)
        await backend.append(("a", str(n)) for n in range(20))
        assert await backend.fold() is None
        await on.recreate(CHANGELOG)

        assert isinstance(await backend.fold(), ChangelogBehind)
        assert (await backend.found()).side == []


@pytest.mark.integration
async def test_a_lost_changelog_is_made_anew_without_giving_anything_out_twice(kafka: Any, tmp_path: Path) -> None:
    async with trial(kafka.bootstrap, partitions=1) as on:
        backend = OnKafka(on, tmp_path)
        await backend.append([*(("a", str(n)) for n in range(19)), ("b", "append"), ("b", "poison")])
        assert await backend.fold(APPENDS_FIRST) is None
        before = await backend.found()
        await on.recreate(CHANGELOG)
        await backend.append([("a", "1"), ("b", "append")])

        assert await backend.fold(APPENDS_FIRST, rebuild=True) is None
        await backend.append([("a", "1")] * 10)
        assert await backend.fold(APPENDS_FIRST) is None

        after = await backend.found()
        assert (before.outputs, before.side) == (["a:10"], ["after:1"])
        assert after.counts == {"a": 30, "b": 2}
        assert (after.outputs, after.side, after.dead) == (
            ["a:10", "a:20", "a:30"],
            ["after:1", "after:2"],
            before.dead,
        )
