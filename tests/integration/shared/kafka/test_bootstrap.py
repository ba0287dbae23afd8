"""
Clients outlive every broker that they have seen, as long as one in the list answers.

The broker goes away and comes back at the other of two listed addresses, with its data: whoever saw it at the first
one knows no broker that lives any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from services.shared.kafka.clients import admin, consumer, producer, transactional_producer
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.embedded.free_ports import free_port
from tests.support.counting.in_process import working
from tests.support.counting.trial import SOURCE, trial
from tests.support.waiting import until

pytestmark = pytest.mark.integration

_WITHIN_S = 40.0


class TwoAddresses:
    """A broker that is always at one of two listed addresses."""

    def __init__(self, data: Path) -> None:
        first = free_port(2)
        self.ports = [first, first + 1]
        self.broker = EmbeddedBroker(data, first)

    @property
    def listed(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def move(self) -> None:
        self.broker.stop()
        other = self.ports[1 - self.ports.index(self.broker.port)]
        self.broker.node = self.broker.node._replace(port=other)
        self.broker.start()


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoAddresses]:
    made = TwoAddresses(tmp_path_factory.mktemp("moving"))
    made.broker.start()
    try:
        yield made
    finally:
        made.broker.stop()


async def test_producers_consumers_and_admin_clients_find_the_broker_where_the_list_says(moving: TwoAddresses) -> None:
    async with trial(moving.listed, partitions=1) as log:
        topic, home = log.scoped(SOURCE), TopicPartition(log.scoped(SOURCE), 0)
        plain, lanes = producer(log.kafka), transactional_producer(log.kafka, "moved")
        alone, group = consumer(log.kafka), consumer(log.kafka, SOURCE, group_id="moved")
        for client in (plain, lanes, alone, group):
            await client.start()
        try:
            alone.assign([home])
            await plain.send_and_wait(topic, b"before", b"k", 0)
            assert (await alone.getone()).value == b"before"
            assert (await group.getone()).value == b"before"
            async with admin(log.kafka) as asking:
                await asking.describe_cluster()

                await asyncio.to_thread(moving.move)

                async with asyncio.timeout(_WITHIN_S):
                    await plain.send_and_wait(topic, b"after", b"k", 0)
                    await lanes.begin_transaction()
                    await lanes.send_and_wait(topic, b"in a transaction", b"k", 0)
                    await lanes.commit_transaction()
                    for client in (alone, group):
                        assert [(await client.getone()).value for _ in range(2)] == [b"after", b"in a transaction"]
                    await group.commit()
                    await until(lambda: _lists(asking, topic))
        finally:
            for client in (plain, lanes, alone, group):
                await client.stop()


async def test_a_worker_finds_the_broker_where_the_list_says(moving: TwoAddresses, tmp_path: Path) -> None:
    async with trial(moving.listed, partitions=2) as log, working(log.kafka, tmp_path):
        await log.produce((b"k%d" % n, b"1") for n in range(10))
        assert (await log.settled(30)).exact

        await asyncio.to_thread(moving.move)
        await log.produce((b"k%d" % n, b"1") for n in range(10))

        verdict = await log.settled(_WITHIN_S)
        assert verdict.exact, verdict


async def _lists(client: Any, topic: str) -> bool:
    try:
        return topic in await client.list_topics()
    except Exception:  # noqa: BLE001 - a client that has not found back yet
        return False
