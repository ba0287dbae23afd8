"""A subscriber gets what is open and then what is new: no transition is missing and none comes twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete

from schemas import codec
from services.cli.signal_stream import SignalStream
from services.shared.kafka.clients import admin, transactional_producer
from services.shared.kafka.reading import ends
from services.shared.kafka.settings import KafkaSettings

pytestmark = pytest.mark.integration

encode = codec.encoder("signal")


@pytest.fixture
async def lane(kafka_settings: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    """A transactional producer, as a lane of the alerter has."""
    producer = transactional_producer(kafka_settings, "lane")
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture(scope="session")
def example(project_root: Path) -> dict[str, Any]:
    """A signal as the alerter writes it."""
    found = sorted((project_root / "schemas" / "signal" / "examples").glob("*.json"))
    return dict(json.loads(found[0].read_text()))


def signal(example: dict[str, Any], account: str, number: int, transition: str = "FIRING") -> dict[str, Any]:
    """A transition of the one episode that `account` has."""
    return example | {
        "account": account,
        "episode_id": f"{account}/e",
        "signal_id": f"{account}/e/{number}",
        "transition": transition,
        "transition_number": number,
        "at": 1_700_000_000_000 + number,
    }


async def emit(kafka: KafkaSettings, lane: AIOKafkaProducer, *signals: dict[str, Any]) -> None:
    """Write transitions and the open episodes inside the transaction that is open."""
    for each in signals:
        key = each["account"].encode()
        await lane.send_and_wait(kafka.scoped("risk-signals"), encode(each), key=key)
        value = None if each["transition"] == "RESOLVED" else encode(each)
        await lane.send_and_wait(kafka.scoped("open-signals"), value, key=each["episode_id"].encode())


async def commit(kafka: KafkaSettings, lane: AIOKafkaProducer, *signals: dict[str, Any]) -> None:
    """Write transitions in a transaction of their own."""
    async with lane.transaction():
        await emit(kafka, lane, *signals)


async def news(stream: SignalStream, count: int) -> list[str]:
    """The ids of the next transitions; none may follow them for a while."""
    found: list[str] = []

    async def collect(most: int) -> None:
        async for each in stream.news():
            found.append(each["signal_id"])
            if len(found) == most:
                return

    if count:
        await asyncio.wait_for(collect(count), 10)
    with suppress(TimeoutError):
        await asyncio.wait_for(collect(count + 100), 0.5)
    return found


async def test_open_episodes_come_first_and_resolved_ones_do_not(
    kafka_settings: KafkaSettings, lane: AIOKafkaProducer, example: dict[str, Any]
) -> None:
    await commit(
        kafka_settings, lane, signal(example, "a", 1), signal(example, "b", 1), signal(example, "b", 2, "UPDATED")
    )
    await commit(kafka_settings, lane, signal(example, "a", 2, "RESOLVED"))

    async with SignalStream(kafka_settings, pytest.fail) as stream:
        assert [each["signal_id"] for each in await stream.past()] == ["b/e/2"]
    async with SignalStream(kafka_settings, pytest.fail, history=True) as stream:
        assert [each["signal_id"] for each in await stream.past()] == ["a/e/1", "b/e/1", "a/e/2", "b/e/2"]


async def test_what_is_committed_between_the_two_readings_comes_once(
    kafka_settings: KafkaSettings, lane: AIOKafkaProducer, example: dict[str, Any]
) -> None:
    await commit(kafka_settings, lane, signal(example, "a", 1))

    async with SignalStream(kafka_settings, pytest.fail) as stream:
        await commit(kafka_settings, lane, signal(example, "a", 2, "UPDATED"), signal(example, "c", 1))
        past = [each["signal_id"] for each in await stream.past()]
        await commit(kafka_settings, lane, signal(example, "a", 3, "UPDATED"))

        assert sorted(past) == ["a/e/2", "c/e/1"]
        assert await news(stream, 1) == ["a/e/3"]


async def test_a_transaction_that_is_open_when_the_stream_starts_is_not_missed(
    kafka_settings: KafkaSettings, lane: AIOKafkaProducer, example: dict[str, Any]
) -> None:
    await commit(kafka_settings, lane, signal(example, "a", 1))
    await lane.begin_transaction()
    await emit(kafka_settings, lane, signal(example, "a", 2, "UPDATED"), signal(example, "d", 1))

    async with SignalStream(kafka_settings, pytest.fail) as stream:
        reading = asyncio.create_task(stream.past())
        await asyncio.wait([reading], timeout=0.5)
        await lane.commit_transaction()
        past = [each["signal_id"] for each in await reading]

        assert sorted(past) == ["a/e/2", "d/e/1"]
        assert await news(stream, 0) == []


async def test_what_is_deleted_before_it_could_be_read_is_told_and_what_follows_is_shown(
    kafka_settings: KafkaSettings, lane: AIOKafkaProducer, example: dict[str, Any]
) -> None:
    told: list[str] = []
    async with SignalStream(kafka_settings, told.append) as stream:
        await commit(kafka_settings, lane, signal(example, "a", 1))
        partition, end = max((await ends(kafka_settings, "risk-signals")).items(), key=lambda each: each[1])
        deleted = TopicPartition(kafka_settings.scoped("risk-signals"), partition)
        async with admin(kafka_settings) as client:
            await client.delete_records({deleted: RecordsToDelete(end)})
        stream._tails[0].seek(deleted, 0)  # where one stands that was frozen meanwhile
        await commit(kafka_settings, lane, signal(example, "a", 2, "UPDATED"))

        assert await news(stream, 1) == ["a/e/2"]

    where = f"{deleted.topic}/{partition} was read up to offset 0"
    assert told == [
        f"{where}, and what followed was deleted before it could be read: begin anew to see what is open now"
    ]
