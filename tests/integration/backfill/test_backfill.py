"""A file of old events goes through the real ingest once: driven or late, interrupted or repeated."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas import codec
from services.backfill import service
from services.backfill.files import EventFile
from services.backfill.mapping import TimedCall
from services.backfill.sender import IngestRefuses, IngestSender
from services.backfill.service import BackfillState, Mode, Options, Outcome, backfill
from services.scorer.lane_facts import read_lanes, read_positions
from services.shared.kafka.reading import scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_S
from tests.integration.backfill.conftest import WRITE_KEYS
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

NOW_MS = time.time_ns() // 1_000_000


def today() -> int:
    """Return the day of now; asked again after a run, because midnight may pass in it."""
    return int(time.time() // DAY_S)


async def log_of(kafka: KafkaSettings) -> list[tuple[int, str, dict[str, Any]]]:
    """Return (partition, record, value) of all of usage-events, per partition in order."""
    found = [(record.partition, *codec.decode(record.value)) async for record in scan(kafka, "usage-events")]
    return sorted(found, key=lambda each: each[0])


async def run(source: Any, url: str, kafka: KafkaSettings, **options: Any) -> Outcome:
    """Run one backfill as the command does."""
    async with IngestSender(url, "past", batch=5) as sender:
        await sender.ready()
        return await backfill(source, sender, kafka, Options(read_lanes, read_positions, fleet_within_s=20, **options))


class Interrupted(Exception):
    """Stands for the end of the process."""


def interrupted_after(rows: int) -> Callable[[BackfillState], None]:
    """Return what ends a backfill once so many rows are done."""

    def interrupt(state: BackfillState) -> None:
        if state.rows >= rows:
            raise Interrupted

    return interrupt


@pytest.mark.usefixtures("scorer")
async def test_into_an_empty_log_it_drives_the_clock_and_hands_over_once(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings
) -> None:
    before = today()
    outcome = await run(history, ingest, kafka_settings)
    after = today()

    assert (outcome.mode, outcome.tally.accepted, outcome.tally.rejected) == (Mode.DRIVEN, 72, 0)
    log = await log_of(kafka_settings)
    for number in range(kafka_settings.partitions):
        everything = [(name, value) for partition, name, value in log if partition == number]
        clocks = [place for place, (name, _) in enumerate(everything) if name == "clock"]
        assert [everything[place][1]["mode"] for place in clocks] == ["DRIVEN", "LIVE"]
        # a tick of the live clock may have been on its way when the drive began
        first = next(place for place, (name, _) in enumerate(everything) if name == "usage_event")
        records = everything[first : clocks[-1]]
        epochs = {value["epoch"] for name, value in records if name in ("usage_event", "tick", "fleet")}
        assert len(epochs) == 1
        assert 0 not in epochs
        reached = 0
        for name, value in records:  # no event is behind the ticks before it
            reached = max(reached, value["at"]) if name == "tick" else reached
            assert name != "usage_event" or value["received_at"] >= reached
        closed = [value["day"] for name, value in records if name == "fleet"]
        assert closed == sorted(closed)
        assert before - 1 <= closed[-1] <= after - 1


def without_live_ticks(log: list[tuple[int, str, dict[str, Any]]]) -> list[tuple[int, str, dict[str, Any]]]:
    """Return a log without what the scorer's own clock adds at any moment once the drive has handed over."""
    return [each for each in log if not (each[1] == "tick" and each[2]["epoch"] == 0)]


@pytest.mark.usefixtures("scorer")
async def test_a_second_run_of_a_finished_file_adds_nothing(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings
) -> None:
    await run(history, ingest, kafka_settings)
    before = without_live_ticks(await log_of(kafka_settings))

    outcome = await run(history, ingest, kafka_settings)

    assert outcome.rows == outcome.resumed_at == 72
    assert without_live_ticks(await log_of(kafka_settings)) == before


@pytest.mark.usefixtures("scorer")
async def test_rows_that_name_an_alias_are_found_on_the_log(
    history: EventFile, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    """Ingest has written them under the account for which the alias stands."""
    (tmp_path / "write-keys.yaml").write_text(WRITE_KEYS)
    (tmp_path / "accounts.yaml").write_text("aliases: {a0: acme, a1: acme, a2: acme, a3: acme}")
    process = ServiceProcess(
        "ingest", kafka_settings, tmp_path, TIDEMARK_WRITE_KEYS_FILE=str(tmp_path / "write-keys.yaml"),
        TIDEMARK_ACCOUNTS_FILE=str(tmp_path / "accounts.yaml"),
    )  # fmt: skip
    await process.start()
    try:
        await until(process.ready, within_s=60)
        url = f"http://127.0.0.1:{process.port}"
        with pytest.raises(Interrupted):
            await run(history, url, kafka_settings, report=interrupted_after(9))
        outcome = await run(history, url, kafka_settings)
    finally:
        await process.stop()

    ids = Counter(value["event_id"] for _, name, value in await log_of(kafka_settings) if name == "usage_event")
    assert outcome.found_in_log > 0
    assert (len(ids), set(ids.values())) == (72, {1})


@pytest.mark.usefixtures("scorer")
async def test_a_run_that_is_cut_short_before_it_is_where_the_former_one_was_leaves_the_way_for_the_next(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run notes where it is at the end of its first day, and at no later one."""
    monkeypatch.setattr(service, "SAVE_EVERY_S", 3600)
    for rows in (60, 25):  # on the sixth day; then on the third, with the second noted
        with pytest.raises(Interrupted):
            await run(history, ingest, kafka_settings, report=interrupted_after(rows))

    outcome = await run(history, ingest, kafka_settings)

    assert outcome.resumed_at == 24
    assert outcome.found_in_log == 60 - 24
    ids = Counter(value["event_id"] for _, name, value in await log_of(kafka_settings) if name == "usage_event")
    assert (len(ids), set(ids.values())) == (72, {1})


@pytest.mark.parametrize(
    "stop_after", [pytest.param(1, marks=pytest.mark.long), 9, pytest.param(40, marks=pytest.mark.long)]
)
@pytest.mark.usefixtures("scorer")
async def test_an_interrupted_run_goes_on_without_loss_or_double(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings, stop_after: int
) -> None:
    with pytest.raises(Interrupted):
        await run(history, ingest, kafka_settings, report=interrupted_after(stop_after))
    outcome = await run(history, ingest, kafka_settings)

    ids = Counter(value["event_id"] for _, name, value in await log_of(kafka_settings) if name == "usage_event")
    assert len(ids) == 72
    assert set(ids.values()) == {1}
    assert outcome.resumed_at + outcome.found_in_log >= stop_after
    clocks = Counter(value["mode"] for _, name, value in await log_of(kafka_settings) if name == "clock")
    assert clocks["LIVE"] == kafka_settings.partitions


@pytest.mark.usefixtures("scorer")
async def test_a_run_that_ends_inside_a_send_goes_on_without_loss_or_double(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings
) -> None:
    class Dying:
        """The same events, from a process that ends among them."""

        name, sha256, stem, first_ms = history.name, history.sha256, history.stem, history.first_ms

        def events(self) -> Iterator[TimedCall]:
            for number, call in enumerate(history.events()):
                if number == 31:
                    raise Interrupted
                yield call

    with pytest.raises(Interrupted):
        await run(Dying(), ingest, kafka_settings)
    await run(history, ingest, kafka_settings)

    ids = Counter(value["event_id"] for _, name, value in await log_of(kafka_settings) if name == "usage_event")
    assert (len(ids), set(ids.values())) == (72, {1})


async def a_live_event(ingest: str) -> None:
    """Send what makes the log one that lives."""
    async with IngestSender(ingest, "live", historical=False) as sender:
        await sender.send(
            [
                TimedCall(
                    NOW_MS,
                    {
                        "type": "track",
                        "event": "x",
                        "userId": "u",
                        "groupId": "a",
                        "messageId": "m",
                        "context": {"groupId": "a"},
                    },
                )
            ]
        )


async def test_into_a_log_with_events_they_come_as_late_ones(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings
) -> None:
    await a_live_event(ingest)
    begun: list[Mode] = []
    first = history.first_ms // 1000 // DAY_S

    outcome = await run(history, ingest, kafka_settings, begun=begun.append, oldest_day=lambda _: first + 2)
    again = await run(history, ingest, kafka_settings, begun=begun.append, oldest_day=lambda _: first + 2)

    assert (outcome.mode, outcome.tally.accepted, outcome.too_late) == (Mode.LATE, 72, 24)
    assert (again.resumed_at, again.too_late, begun) == (72, 0, [Mode.LATE])
    events = [value for _, name, value in await log_of(kafka_settings) if name == "usage_event"]
    late = [value for value in events if value["historical"]]
    assert len(late) == 72
    assert {value["epoch"] for value in late} == {0}
    assert not [name for _, name, _ in await log_of(kafka_settings) if name == "clock"]


async def test_late_rows_that_a_former_run_has_sent_are_found_by_the_one_after_the_next(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run notes where it is after its first part of ten rows, and after no later one."""
    monkeypatch.setattr(service, "LATE_SLICE", 10)
    monkeypatch.setattr(service, "SAVE_EVERY_S", 3600)
    await a_live_event(ingest)
    for rows in (60, 25):
        with pytest.raises(Interrupted):
            await run(history, ingest, kafka_settings, report=interrupted_after(rows))

    outcome = await run(history, ingest, kafka_settings)

    assert (outcome.mode, outcome.resumed_at, outcome.found_in_log) == (Mode.LATE, 20, 40)
    late = Counter(
        value["event_id"]
        for _, name, value in await log_of(kafka_settings)
        if name == "usage_event" and value["historical"]
    )
    assert (len(late), set(late.values())) == (72, {1})


async def test_whose_the_events_are_is_asked_of_the_write_key(ingest: str) -> None:
    """It alone says so, and nothing of a file that is imported as another source, or for no score, would show it."""
    async with IngestSender(ingest, "past") as sender:
        await sender.ready()

        assert await sender.key_is_of(source="git", environment="production")
        assert not await sender.key_is_of(source="backfill")
        assert not await sender.key_is_of(environment="staging")


async def test_a_write_key_that_may_not_send_history_is_refused_with_what_to_do(
    history: EventFile, ingest: str, kafka_settings: KafkaSettings
) -> None:
    async with IngestSender(ingest, "live") as sender:
        with pytest.raises(IngestRefuses, match="backfill: true"):
            await backfill(history, sender, kafka_settings, Options(read_lanes, read_positions))
    assert await log_of(kafka_settings) == []  # the clock was not even asked for
