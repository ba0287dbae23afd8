"""What follows from the errors that brokers answer to fetches, those that aiokafka does not know among them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import (
    CorruptRecordException,
    KafkaStorageError,
    NoError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    ReplicaNotAvailableError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.fetch import FetchRequest

from services.shared.kafka.fetching.answers import heed_fetches

TP = TopicPartition("events", 3)


class Client:
    """Answers each fetch of the partition with one error."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.asked_who_leads = 0

    async def send(self, _node: int, _request: Any) -> Any:
        return SimpleNamespace(throttle_time_ms=0, topics=[("events", [(3, self.code, 7, 7, None, -1, b"")])])

    def force_metadata_update(self) -> None:
        self.asked_who_leads += 1


def fetching(code: int, position: int = 5) -> Any:
    state = SimpleNamespace(has_valid_position=True, position=position, paused=False, consumed_to=lambda _: None)
    assignment = SimpleNamespace(active=True, tps={TP}, state_value=lambda _: state)
    fetcher = SimpleNamespace(
        _client=Client(code), _records={}, _retry_backoff=0.25, _prefetch_backoff=0, _isolation_level=1,
        _fetch_waiters=(), _subscriptions=SimpleNamespace(subscription=SimpleNamespace(assignment=assignment)),
    )  # fmt: skip
    heed_fetches(fetcher)
    return fetcher


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []

    async def sleep(for_s: float) -> None:
        seconds.append(for_s)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return seconds


async def ask(fetcher: Any) -> None:
    await fetcher._client.send(1, FetchRequest(50, 1, 1000, 1, [("events", [(3, 5, 1000)])], rack_id=""))


@pytest.mark.parametrize("error", [KafkaStorageError, ReplicaNotAvailableError, NotLeaderForPartitionError])
async def test_a_broker_that_cannot_give_a_partition_is_asked_again_after_a_moment_and_others_who_leads_it(
    error: Any, waited: list[float]
) -> None:
    fetcher = fetching(error.errno)

    await ask(fetcher)

    assert (fetcher._client.asked_who_leads, waited, dict(fetcher._records)) == (1, [0.25], {})


@pytest.mark.parametrize("error", [NoError, OffsetOutOfRangeError, TopicAuthorizationFailedError])
async def test_what_the_client_acts_on_itself_is_left_to_it(error: Any, waited: list[float]) -> None:
    fetcher = fetching(error.errno)

    await ask(fetcher)

    assert (fetcher._client.asked_who_leads, waited, dict(fetcher._records)) == (0, [], {})


async def test_a_batch_that_the_broker_finds_damaged_raises_for_whoever_polls_and_is_not_asked_for_again(
    waited: list[float],
) -> None:
    fetcher = fetching(CorruptRecordException.errno)

    await ask(fetcher)

    with pytest.raises(CorruptRecordException, match=r"topic='events', partition=3"):
        fetcher._records[TP].getall()
    assert (fetcher._client.asked_who_leads, waited, TP in fetcher._records) == (0, [], True)


async def test_damage_where_nobody_reads_any_more_is_overlooked(waited: list[float]) -> None:
    fetcher = fetching(CorruptRecordException.errno, position=6)

    await ask(fetcher)

    assert (waited, dict(fetcher._records)) == ([], {})


def test_a_batch_that_is_none_at_all_says_of_which_partition_it_is() -> None:
    class Zeros:
        def has_next(self) -> bool:
            return True

        def next_batch(self) -> Any:
            raise CorruptRecordException("Record size is less than the minimum record overhead (14)")

    fetcher = fetching(0)
    records = PartitionRecords(TP, Zeros(), None, 5, None, None, True, 1)
    fetcher._records[TP] = SimpleNamespace(_partition_records=records)

    with pytest.raises(CorruptRecordException, match=r"minimum record overhead \(14\) - .*partition=3"):
        next(records)
