"""A backfill that drives the clock while the world goes on: no live event is lost, and every drive can be given up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.topics import SCORER_USAGE_EVENTS_STATE
from services.backfill.drive import NoAnswer, NotTaken, abandon
from services.backfill.files import EventFile
from services.backfill.log import UsageLog
from services.backfill.mapping import TimedCall
from services.backfill.sender import IngestSender
from services.backfill.service import BackfillState, Mode, Options, Outcome, backfill
from services.cli import lane_counters, ledger_audit
from services.scorer.domain.lane.ledger import LedgerCounters
from services.scorer.lane_facts import read_lanes, read_positions
from services.shared.kafka.settings import KafkaSettings
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]

LIVE = 40
NOW_MS = time.time_ns() // 1_000_000


class Interrupted(Exception):
    """Stands for the end of the process."""


async def run(source: Any, url: str, kafka: KafkaSettings, **options: Any) -> Outcome:
    """Run one backfill as the command does."""
    async with IngestSender(url, "past", batch=5) as sender:
        return await backfill(source, sender, kafka, Options(read_lanes, read_positions, fleet_within_s=20, **options))


def live_call(number: int) -> dict[str, Any]:
    account = f"b{number % 9}"
    return {
        "type": "track", "event": "x", "userId": "u", "messageId": f"live-{number}",
        "context": {"groupId": account}, "properties": {},
    }  # fmt: skip


async def send_live(ingest: str, count: int = LIVE) -> None:
    """Send events as a customer's server does."""
    async with IngestSender(ingest, "live", historical=False) as sender:
        await sender.ready()
        await sender.send([TimedCall(NOW_MS, live_call(number)) for number in range(count)])


def interrupt(state: BackfillState) -> None:
    if state.rows >= 9:
        raise Interrupted


async def settled(kafka: KafkaSettings) -> ledger_audit.Ledger:
    """Return the ledger once nothing is in flight and nobody waits for a drive."""
    read: list[ledger_audit.Ledger] = []

    async def over() -> bool:
        found = await ledger_audit.read(kafka)
        read[:] = [found]
        return found.closes and not found.total("in_flight") and not found.total("deferred")

    await until(over, 60)
    return read[0]


async def lines(kafka: KafkaSettings) -> tuple[int, int, int]:
    """Return what was accepted, applied and dead-lettered."""
    found = await settled(kafka)
    return found.accepted, found.total("applied"), found.total("dead_lettered") + found.total("too_late")


@pytest.mark.usefixtures("scorer")
async def test_live_events_during_a_drive_are_counted_once_it_has_handed_over(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings
) -> None:
    with pytest.raises(Interrupted):
        await run(history, ingest, kafka_settings, report=interrupt)
    await send_live(ingest)
    during = await ledger_audit.read(kafka_settings)
    outcome = await run(history, ingest, kafka_settings)

    assert during.total("deferred") + during.total("in_flight") >= LIVE
    assert outcome.mode == Mode.DRIVEN
    assert await lines(kafka_settings) == (72 + LIVE, 72 + LIVE, 0)


@pytest.mark.usefixtures("scorer")
async def test_a_drive_that_is_given_up_loses_nothing_and_its_file_goes_on_late(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings
) -> None:
    with pytest.raises(Interrupted):
        await run(history, ingest, kafka_settings, report=interrupt)
    await send_live(ingest)

    given_up = await abandon(kafka_settings, read_lanes, NOW_MS)
    again = await abandon(kafka_settings, read_lanes, NOW_MS)
    accepted, applied, dead = await lines(kafka_settings)

    assert (given_up, again) == ([("history.csv", LIVE)], [])
    assert (applied, dead) == (accepted, 0)
    assert not any(lane.driven for lane in (await read_lanes(kafka_settings)).values())

    outcome = await run(history, ingest, kafka_settings)
    assert outcome.mode == Mode.LATE
    assert outcome.resumed_at + outcome.found_in_log >= 9
    assert await lines(kafka_settings) == (72 + LIVE, 72 + LIVE, 0)


@pytest.mark.usefixtures("scorer")
async def test_a_drive_whose_giving_up_was_cut_short_loses_nothing_when_its_file_is_run_again(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Interrupted):
        await run(history, ingest, kafka_settings, report=interrupt)
    await send_live(ingest)
    append_again = UsageLog.append_again

    async def dying(self: UsageLog, records: Any) -> None:
        raise Interrupted

    monkeypatch.setattr(UsageLog, "append_again", dying)
    with pytest.raises(Interrupted):
        await abandon(kafka_settings, read_lanes, NOW_MS)
    monkeypatch.setattr(UsageLog, "append_again", append_again)

    outcome = await run(history, ingest, kafka_settings)

    assert outcome.mode == Mode.LATE
    assert await lines(kafka_settings) == (72 + LIVE, 72 + LIVE, 0)


@pytest.mark.usefixtures("scorer")
async def test_a_person_who_signs_in_during_a_drive_is_one_person_afterwards(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings
) -> None:
    context: dict[str, Any] = {"context": {"groupId": "a1"}, "anonymousId": "browser-1"}
    calls: list[dict[str, Any]] = [
        {"type": "track", "event": "x", "messageId": "before", **context},
        {"type": "identify", "userId": "kim", "messageId": "signs-in", **context},
        {"type": "track", "event": "x", "userId": "kim", "messageId": "after", **context},
    ]
    with pytest.raises(Interrupted):
        await run(history, ingest, kafka_settings, report=interrupt)
    async with IngestSender(ingest, "live", historical=False) as sender:
        await sender.ready()
        await sender.send([TimedCall(NOW_MS, call) for call in calls])

    async def put_off() -> bool:
        return await counted(kafka_settings, "links_deferred") > 0

    await until(put_off, 60)
    await run(history, ingest, kafka_settings)

    async def merged() -> bool:
        return await counted(kafka_settings, "people_merged") == 1

    await until(merged, 60)
    accepted, applied, dead = await lines(kafka_settings)
    assert (applied, dead) == (accepted, 0)


async def counted(kafka: KafkaSettings, count: str) -> int:
    """Return a count of the scorer's lanes, summed over all."""
    found = await lane_counters.read_counters(kafka, SCORER_USAGE_EVENTS_STATE, LedgerCounters)
    return sum(getattr(ledger, count) for _, ledger in found.values())


@pytest.mark.usefixtures("scorer")
async def test_an_event_that_comes_in_while_the_clock_is_taken_gives_the_drive_up_and_wedges_nobody(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings
) -> None:
    class Racing:
        """The same file; when its first moment is asked for, the log has been found empty, and the drive not begun."""

        name, sha256, stem, events = history.name, history.sha256, history.stem, history.events

        @property
        def first_ms(self) -> int:
            answer = httpx.post(f"{ingest}/v1/batch", json={"batch": [live_call(0)]}, auth=("live", ""))
            assert answer.is_success
            return history.first_ms

    with pytest.raises(NotTaken, match="Run the same command again"):
        await run(Racing(), ingest, kafka_settings)
    await send_live(ingest)
    assert await lines(kafka_settings) == (LIVE, LIVE, 0)

    outcome = await run(history, ingest, kafka_settings)
    assert outcome.mode == Mode.LATE
    assert await lines(kafka_settings) == (72 + LIVE, 72 + LIVE, 0)


async def test_without_a_scorer_nothing_is_sent_and_the_same_command_goes_on_when_it_is_there(
    history: EventFile,
    ingest: str,
    kafka_settings: KafkaSettings,
    tmp_path: Path,
) -> None:
    with pytest.raises(NoAnswer, match="is the scorer running"):
        await run(history, ingest, kafka_settings, taken_within_s=1)
    await send_live(ingest)
    process = ServiceProcess("scorer", kafka_settings, tmp_path, TIDEMARK_ENGINE_INSTANCE="scorer-that-comes-late")
    await process.start()
    try:
        outcome = await run(history, ingest, kafka_settings)

        assert outcome.mode == Mode.DRIVEN
        assert await lines(kafka_settings) == (72 + LIVE, 72 + LIVE, 0)
    finally:
        await process.kill()


@pytest.mark.usefixtures("scorer")
async def test_a_resending_that_is_cut_short_goes_on_and_doubles_nothing(
    history: EventFile,
    ingest: str,
    kafka_settings: KafkaSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from services.backfill import drive
    from services.backfill.log import UsageLog

    with pytest.raises(Interrupted):
        await run(history, ingest, kafka_settings, report=interrupt)
    await send_live(ingest)
    append_again = UsageLog.append_again
    calls: Iterator[int] = iter(range(100))

    async def dying(self: UsageLog, records: Any) -> None:
        await append_again(self, records)
        if next(calls) == 2:
            raise Interrupted

    monkeypatch.setattr(drive, "AT_ONCE", 4)
    monkeypatch.setattr(UsageLog, "append_again", dying)
    with pytest.raises(Interrupted):
        await run(history, ingest, kafka_settings)
    outcome = await run(history, ingest, kafka_settings)

    assert outcome.mode == Mode.DRIVEN
    found = await settled(kafka_settings)
    assert (found.accepted, found.total("applied"), found.total("duplicates")) == (72 + LIVE, 72 + LIVE, 0)
