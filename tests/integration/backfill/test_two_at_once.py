"""The same file, or another one, while a backfill is at work: no row counts twice, and nobody's clock is taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from services.backfill.claim import TakenOver
from services.backfill.drive import abandon
from services.backfill.files import EventFile, survey
from services.backfill.sender import IngestSender
from services.backfill.service import BackfillState, Mode, Options, Outcome, Unfinished, backfill
from services.cli import ledger_audit
from services.scorer.lane_facts import read_lanes, read_positions
from services.shared.errors import TidemarkError
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_S
from tests.integration.backfill.conftest import COMMITS, NOW_MS, TODAY
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]

DAYS = 40


def rows_of(path: Path, account: str) -> EventFile:
    """Forty days of events of seven accounts."""
    lines = [
        f"{(TODAY - DAYS - 7 + day) * DAY_S + 3600 * hour},{account}{(day + hour) % 7},u{hour % 3}"
        for day in range(DAYS)
        for hour in range(0, 24, 2)
    ]
    path.write_text("ts,acct,user\n" + "\n".join(lines) + "\n")
    return survey(path, COMMITS, "git", NOW_MS)


async def run(source: Any, url: str, kafka: KafkaSettings, **options: Any) -> Outcome:
    """Run one backfill as the command does."""
    async with IngestSender(url, "past", batch=5) as sender:
        await sender.ready()
        return await backfill(source, sender, kafka, Options(read_lanes, read_positions, fleet_within_s=20, **options))


async def counted_once(kafka: KafkaSettings, rows: int) -> None:
    """Return once the scorer has counted so many events, and no other line of the ledger differs from the log."""
    found: list[ledger_audit.Ledger] = []

    async def over() -> bool:
        found[:] = [await ledger_audit.read(kafka)]
        return found[0].closes and not found[0].total("in_flight") and found[0].total("applied") == rows

    await until(over, 30, lambda: str(found[0].problems))


async def amid(
    group: asyncio.TaskGroup, history: EventFile, ingest: str, kafka: KafkaSettings
) -> asyncio.Task[Outcome | TidemarkError]:
    """Start a run, and return it once it is amid its file."""
    reached = asyncio.Event()

    def report(state: BackfillState) -> None:
        if state.rows >= 36:
            reached.set()

    first = group.create_task(ended(run(history, ingest, kafka, report=report)))
    await reached.wait()
    return first


@pytest.mark.usefixtures("scorer")
async def test_a_second_run_of_a_file_takes_it_over_and_no_row_counts_twice(
    tmp_path: Path, ingest: str, kafka_settings: KafkaSettings
) -> None:
    """As when the terminal of the first one is lost, and it lives on."""
    history = rows_of(tmp_path / "history.csv", "a")

    async with asyncio.TaskGroup() as group:
        first = await amid(group, history, ingest, kafka_settings)
        second = group.create_task(run(history, ingest, kafka_settings))

    assert isinstance(first.result(), TakenOver)
    assert second.result().rows == 12 * DAYS
    await counted_once(kafka_settings, 12 * DAYS)


@pytest.mark.usefixtures("scorer")
async def test_a_run_that_lives_on_ends_once_its_drive_is_given_up(
    tmp_path: Path, ingest: str, kafka_settings: KafkaSettings
) -> None:
    history = rows_of(tmp_path / "history.csv", "a")

    async with asyncio.TaskGroup() as group:
        first = await amid(group, history, ingest, kafka_settings)
        await abandon(kafka_settings, read_lanes, NOW_MS)

    assert isinstance(first.result(), TakenOver)
    assert (await run(history, ingest, kafka_settings)).mode is Mode.LATE
    await counted_once(kafka_settings, 12 * DAYS)


@pytest.mark.usefixtures("scorer")
async def test_of_two_files_that_begin_at_one_moment_not_both_take_the_clock(
    tmp_path: Path, ingest: str, kafka_settings: KafkaSettings
) -> None:
    files = [rows_of(tmp_path / "one.csv", "a"), rows_of(tmp_path / "two.csv", "b")]

    outcomes = await asyncio.gather(*(ended(run(each, ingest, kafka_settings)) for each in files))

    assert [type(each) for each in outcomes].count(Unfinished) >= 1
    for file, outcome in zip(files, outcomes, strict=True):
        if isinstance(outcome, Unfinished):
            await run(file, ingest, kafka_settings)
    await counted_once(kafka_settings, 2 * 12 * DAYS)


async def ended(work: Coroutine[Any, Any, Outcome]) -> Outcome | TidemarkError:
    """Return how a run has ended, by which error it may be."""
    try:
        return await work
    except TidemarkError as error:
        return error
