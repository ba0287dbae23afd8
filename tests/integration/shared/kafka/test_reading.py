"""Tools that read the log to its end say so if it cannot be reached, instead of waiting for ever."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from schemas.topics import FLEET
from services.shared.errors import Retryable
from services.shared.kafka import reading
from services.shared.kafka.clients import producer, transactional_producer
from services.shared.kafka.settings import KafkaSettings

pytestmark = pytest.mark.integration


@pytest.fixture
def topic_names() -> Collection[str]:
    return (FLEET,)


@pytest.fixture
def partitions() -> int:
    return 1


async def test_an_open_transaction_is_waited_for_and_then_named(
    kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = kafka_settings.scoped(FLEET)
    plain, open_ended = producer(kafka_settings), transactional_producer(kafka_settings, "open-ended")
    await plain.start()
    await open_ended.start()
    try:
        await plain.send_and_wait(topic, b"before", key=b"k")
        await open_ended.begin_transaction()
        await open_ended.send_and_wait(topic, b"open", key=b"k")
        monkeypatch.setattr(reading, "PATIENCE_S", 1.0)
        found: list[bytes | None] = []

        async def read() -> None:
            async for record in reading.scan(kafka_settings, FLEET):
                found.append(record.value)  # noqa: PERF401  what came before the error counts

        with pytest.raises(Retryable, match=rf"{topic}/0 came for 1 s: read up to offset 1, its end is 2\. A trans"):
            await read()

        assert found == [b"before"]
        monkeypatch.setattr(reading, "PATIENCE_S", 60.0)
        await open_ended.commit_transaction()
        assert [record.value async for record in reading.scan(kafka_settings, FLEET)] == [b"before", b"open"]
    finally:
        await plain.stop()
        await open_ended.stop()


async def test_the_latest_record_of_a_key_counts_unless_it_deletes_the_key_or_nothing_is_taken_of_it(
    kafka_settings: KafkaSettings,
) -> None:
    async with producer(kafka_settings) as out:
        for key, value in ((b"a", b"1"), (b"b", b"2"), (b"c", b"3"), (b"a", b"4"), (b"b", None), (b"c", b"no")):
            await out.send_and_wait(kafka_settings.scoped(FLEET), value, key=key)

    assert await reading.latest(
        kafka_settings, FLEET, lambda record: None if record.value == b"no" else record.value
    ) == {b"a": b"4"}
