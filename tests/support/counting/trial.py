"""The log that the counting workers read, and the check that every count and every output on it is exact."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError

from services.shared.engine.position import POSITION_KEY
from services.shared.kafka.clients import admin, consumer, producer, transactional_producer
from services.shared.kafka.settings import KafkaSettings
from tests.support.counting.processor import read_count

_ROOT = Path(__file__).parents[3]
GROUP = "counting"
_LOOK_EVERY_S = 0.05
NOT_COUNTED = frozenset({b"poison", b"poison-fold", b"raise"})
SOURCE, CHANGELOG, OUT, DEAD, SIDE = "count-source", "count-state", "count-out", "count-dead", "count-side"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is on the topics, compared with what the source says should be."""

    source: int
    counted: int
    wrong: dict[bytes, tuple[int, int]]
    missing: Counter[bytes] = field(default_factory=Counter)
    extra: Counter[bytes] = field(default_factory=Counter)

    @property
    def exact(self) -> bool:
        """Whether every count and every output is right."""
        return not self.wrong and not self.missing and not self.extra


class Trial:
    """Topics of its own on a cluster; make it with `trial`."""

    def __init__(self, kafka: KafkaSettings, data_dir: str) -> None:
        """Take settings whose prefix is this trial's alone, and a folder for the workers' files."""
        self.kafka = kafka
        self.data_dir = data_dir

    def scoped(self, topic: str) -> str:
        """Return the name on the cluster."""
        return self.kafka.scoped(topic)

    async def produce(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        """Append records, by key, and return how many; all are acknowledged."""
        client = producer(self.kafka, linger_ms=5, max_batch_size=256 << 10)
        await client.start()
        try:
            sent = [await client.send(self.scoped(SOURCE), value, key) for key, value in records]
            await client.flush()
            for acknowledged in sent:
                acknowledged.result()
        finally:
            await client.stop()
        return len(sent)

    async def produce_transactions(
        self, batches: Sequence[Sequence[tuple[bytes, bytes]]], abort: Sequence[int]
    ) -> None:
        """Append batches, each in a transaction; those whose index is in `abort` are aborted."""
        client = transactional_producer(self.kafka, "count-filler")
        await client.start()
        try:
            for n, batch in enumerate(batches):
                await client.begin_transaction()
                for sent in [await client.send(self.scoped(SOURCE), value, key) for key, value in batch]:
                    await sent
                if n in abort:
                    await client.abort_transaction()
                else:
                    await client.commit_transaction()
        finally:
            await client.stop()

    async def recreate(self, topic: str) -> None:
        """Delete a topic and make it anew, empty."""
        name = self.scoped(topic)
        async with admin(self.kafka) as client:
            await client.delete_topics([name])
            async with asyncio.timeout(30):
                while name in await client.list_topics():
                    await asyncio.sleep(_LOOK_EVERY_S)
            await client.create_topics([NewTopic(name, self.kafka.partitions, 1, topic_configs=_policy(topic))])
            await _led(client, [name])

    async def read(self, topic: str, *, complete: bool = False) -> list[Any]:
        """
        Return the committed records of a topic.

        A transaction's end reaches the partitions some milliseconds after its commit is acknowledged. `complete`
        waits until every transaction on the topic has ended and shows.
        """
        client = consumer(self.kafka, max_partition_fetch_bytes=4 << 20)
        await client.start()
        try:
            tps = [TopicPartition(self.scoped(topic), p) for p in range(self.kafka.partitions)]
            client.assign(tps)
            ends = await (self._written(tps) if complete else client.end_offsets(tps))
            await client.seek_to_beginning(*tps)
            found: list[Any] = []
            while any([await client.position(tp) < end for tp, end in ends.items()]):
                for records in (await client.getmany(timeout_ms=200)).values():
                    found += records
            return found
        finally:
            await client.stop()

    async def _written(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        client = consumer(self.kafka, isolation_level="read_uncommitted")
        await client.start()
        try:
            return dict(await client.end_offsets(tps))
        finally:
            await client.stop()

    async def counts(self) -> dict[bytes, int]:
        """Return the durable counts by key."""
        state: dict[bytes, int] = {}
        for record in sorted(await self.read(CHANGELOG), key=lambda r: (r.partition, r.offset)):
            if record.key != POSITION_KEY:
                state[record.key] = read_count(record.value)
        return state

    async def verify(self) -> Verdict:
        """Compare counts and outputs with the source."""
        source = await self.read(SOURCE)
        expected = Counter(r.key for r in source if r.value not in NOT_COUNTED)
        counts = await self.counts()
        wrong = {
            k: (expected[k], counts.get(k, 0)) for k in expected | Counter(counts) if expected[k] != counts.get(k, 0)
        }
        wanted = Counter(b"%s:%d" % (k, n) for k, total in expected.items() for n in range(10, total + 1, 10))
        got = Counter(r.value for r in await self.read(OUT))
        return Verdict(len(source), sum(counts.values()), wrong, wanted - got, got - wanted)

    async def settled(self, within_s: float = 60.0) -> Verdict:
        """
        Verify again and again until all is counted, and return the last verdict.

        A verdict that is not exact after `within_s` seconds is returned as it is.

        Raises:
            KafkaConnectionError: no broker can be reached then.
        """
        deadline = time.monotonic() + within_s
        while True:
            try:
                verdict = await self.verify()
            except KafkaConnectionError:  # a broker that was frozen names no broker, itself included, for a second
                if time.monotonic() > deadline:
                    raise
            else:
                if verdict.exact or time.monotonic() > deadline:
                    return verdict
            await asyncio.sleep(0.2)  # a look reads all counts: more often would take the workers' time

    def spawn(self, slot: int, log: Any = None, **environment: str) -> subprocess.Popen[bytes]:
        """Start a counting worker as a process of its own; its log goes to `log`, its readiness to stdout."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.counting.worker"],
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=_ROOT,
            env={
                **os.environ,
                "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
                "TIDEMARK_TOPIC_PREFIX": self.kafka.topic_prefix,
                "TIDEMARK_PARTITIONS": str(self.kafka.partitions),
                "TIDEMARK_SLOT": str(slot),
                "TIDEMARK_DATA_DIR": self.data_dir,
                **environment,
            },
        )


async def _led(client: AIOKafkaAdminClient, names: list[str]) -> None:
    """Wait until every partition has a leader: a topic that was just created may not be seen yet."""
    async with asyncio.timeout(30):
        while True:
            described = await client.describe_topics(names)
            if all(t["partitions"] and all(p["leader"] >= 0 for p in t["partitions"]) for t in described):
                return
            await asyncio.sleep(_LOOK_EVERY_S)


def _policy(topic: str) -> dict[str, str]:
    return {"cleanup.policy": "compact" if topic == CHANGELOG else "delete"}


@asynccontextmanager
async def trial(
    bootstrap: str, partitions: int = 4, sizes: dict[str, int] | None = None, replication: int = 1
) -> AsyncIterator[Trial]:
    """Make the topics of a trial and delete them at the end; `sizes` gives max.message.bytes by topic."""
    kafka = KafkaSettings(bootstrap_servers=bootstrap, topic_prefix=f"c{uuid.uuid4().hex[:10]}-", partitions=partitions)
    names = (SOURCE, CHANGELOG, OUT, DEAD, SIDE)
    async with admin(kafka) as client:
        await client.create_topics([
            NewTopic(
                kafka.scoped(name), partitions, replication,
                topic_configs={
                    **_policy(name),
                    "max.message.bytes": str((sizes or {}).get(name, 1 << 20)),
                    "message.timestamp.type": "LogAppendTime",
                },
            )
            for name in names
        ])  # fmt: skip
        await _led(client, [kafka.scoped(name) for name in names])
        try:
            with tempfile.TemporaryDirectory(prefix="tidemark-trial-") as data_dir:
                yield Trial(kafka, data_dir)
        finally:
            await client.delete_topics([kafka.scoped(name) for name in names])
