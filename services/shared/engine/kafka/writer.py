"""
The writer of one lane: what a transaction holds becomes durable in one Kafka transaction, or not at all.

aiokafka commits a transaction although a record of it failed, and after an oversized record every batch
for its partition fails. So sizes are checked before anything is sent (in the fold), every send is awaited, and only then is the
transaction committed. Any error leaves it open and is fatal to the process: the next owner's producer settles it.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, cast

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerIdMapping, InvalidTransactionTimeout, ProducerFenced

from services.shared.engine.errors import FailStop
from services.shared.engine.fold.gathering import DEFAULT_LIMIT
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.position import POSITION_KEY
from services.shared.engine.spec import LaneSpec
from services.shared.errors import Misfit
from services.shared.kafka.abandoning import abandon, heed
from services.shared.kafka.clients import throttled_s, transactional_producer
from services.shared.kafka.partition import partition_for
from services.shared.kafka.settings import KafkaSettings

_BATCH_BYTES = 512 << 10
_CLOSE_WITHIN_S = 5.0

_partition_for = lru_cache(maxsize=100_000)(partition_for)


class LaneWriter:
    """The transactional producer of one lane; its id belongs to that lane alone, so a new one fences it."""

    def __init__(
        self, kafka: KafkaSettings, group: str, spec: LaneSpec, partition: int, *,
        limits: Mapping[str, int], partitions: Mapping[str, int], timeout_s: float,
    ) -> None:  # fmt: skip
        """Take the group (without prefix), and limits in bytes and partition counts by topic (without prefix)."""
        self._kafka = kafka
        self._group = kafka.scoped(group)
        self._spec = spec
        self._partition = partition
        self._partitions = dict(partitions)
        self._timeout_s = timeout_s
        self._sent: dict[str, list[asyncio.Future[Any]]] = {}
        """What the present transaction has sent, by topic and partition."""
        self._source = TopicPartition(kafka.scoped(spec.topic), partition)
        self._producer: AIOKafkaProducer = transactional_producer(
            kafka,
            f"{group}:{spec.topic}:{partition}",
            transaction_timeout_ms=int(timeout_s * 1000),
            max_batch_size=min(_BATCH_BYTES, *(limits.values() or (DEFAULT_LIMIT,))) - 128,
        )

    async def start(self) -> None:
        """
        Fence the former owner of the lane and settle its open transaction.

        Raises:
            Misfit: the brokers do not let a transaction be open for so long.
        """
        try:
            await self._producer.start()
        except InvalidTransactionTimeout as error:
            problem = (
                f"TIDEMARK_ENGINE_TRANSACTION_TIMEOUT_S ({self._timeout_s:g}) is more than the brokers take: lower it to their"
                " transaction.max.timeout.ms (900 s by default) or less"
            )
            raise Misfit([problem]) from error

    async def close(self) -> None:
        """Give back the connections; there is nothing to flush."""
        await abandon(self._producer, _CLOSE_WITHIN_S)
        heed(sent for sends in self._sent.values() for sent in sends)  # who wrote was told of the first that failed

    async def write(self, transaction: Transaction) -> None:
        """
        Make a transaction durable.

        Raises:
            FailStop: it is not certain whether it is; only a new process may go on.
        """
        began = time.monotonic()
        try:
            # A record that hangs fails by the request timeout; the bound is for a commit that is never answered.
            async with asyncio.timeout(2 * self._timeout_s):
                await self._write(transaction)
        except TimeoutError as error:
            raise FailStop(
                f"the transaction of {self._spec.topic}/{self._partition} up to {transaction.position} was not committed within"
                f" {2 * self._timeout_s:g} s: {self._late(began)}"
            ) from error
        except Exception as error:
            broken, refused = self._broken(), self._refused()
            first = broken or refused or error
            raise FailStop(
                f"the transaction of {self._spec.topic}/{self._partition} up to {transaction.position} failed: "
                f"{type(first).__name__}: {first}"
            ) from error

    async def still_owns(self, transaction: Transaction) -> bool:
        """
        Return whether no other writer of the lane has started since this one did, by writing its position once more.

        The transaction is empty, at the last position that was committed.

        Whoever opens a lane first starts a writer of its id, which fences this one for good. An id that the coordinator has forgotten
        (transactional.id.expiration.ms) may be another's as well.

        Raises:
            FailStop: it is not certain.
        """
        try:
            await self.write(transaction)
        except FailStop as error:
            if isinstance(self._broken() or error.__cause__, ProducerFenced | InvalidProducerIdMapping):
                return False
            raise
        return True

    async def _write(self, transaction: Transaction) -> None:
        producer = self._producer
        await producer.begin_transaction()
        self._sent.clear()
        for (topic, partition), records in (await self._route(transaction)).items():
            sends = self._sent[f"{topic}/{partition}"] = []
            await self._send(self._kafka.scoped(topic), partition, records, sends)
        # Before the offsets. Sent beside them, batches were refused with NotEnoughReplicas for 55 s after a broker's pause.
        for sends in self._sent.values():
            for sent in sends:
                await sent
        committed = transaction.committed()
        offsets = {self._source: (committed.position.offset, committed.metadata)}
        await producer.send_offsets_to_transaction(offsets, self._group)
        await self._commit()

    def _refused(self) -> BaseException | None:
        """
        Return why the transaction was refused as a whole, None where it was not.

        aiokafka keeps that for who commits. What was sent fails before, with InvalidTxnState, which says nothing of the rights that
        are missing.
        """
        waiter = self._producer._txn_manager._transaction_waiter  # noqa: SLF001
        if waiter is None or not waiter.done() or waiter.cancelled():
            return None
        return cast(BaseException | None, waiter.exception())

    def _broken(self) -> BaseException | None:
        """Return what has ended the task that sends, None where it goes on: aiokafka calls that unexpected, and says no more."""
        sending = self._producer._sender.sender_task  # noqa: SLF001
        if sending is None or not sending.done() or sending.cancelled():
            return None
        error = cast(BaseException | None, sending.exception())
        return error if error is None else error.__cause__ or error

    def _late(self, began: float) -> str:
        """Say who has not answered since the transaction began, by the monotonic clock."""
        late = [
            where for where, sent in self._sent.items() if any(not each.done() or each.cancelled() for each in sent)
        ]
        if waits_s := throttled_s(self._producer, began):
            return (
                f"a quota of the brokers lets the producer wait, last for {waits_s:.0f} s: raise it, or see to smaller transactions that"
                " may take longer (TIDEMARK_ENGINE_TRANSACTION_BYTES, TIDEMARK_ENGINE_TRANSACTION_TIMEOUT_S)"
            )
        if not late:
            return "the coordinator of its transactions or of the group has not answered"
        return (
            f"{', '.join(late)} did not take what was written: perhaps fewer copies are in sync than min.insync.replicas asks for, or"
            " there is no leader; `tidemark doctor` says which"
        )

    async def _commit(self) -> None:
        await self._producer.commit_transaction()

    async def _route(self, transaction: Transaction) -> dict[tuple[str, int], list[tuple[bytes, bytes | None]]]:
        """Sort the records of a transaction by where they go; the changelogs come first."""
        routes: dict[tuple[str, int], list[tuple[bytes, bytes | None]]] = defaultdict(list)
        stores, lane = self._spec.stores, self._partition
        for (store, key), value in transaction.changes.items():
            routes[stores[store], lane].append((key, value))
        for changelog in stores.values():  # each says how far it has come: Kafka has been seen to commit in part
            routes[changelog, lane].append((POSITION_KEY, transaction.encoded_position()))
        for topic, key, value in transaction.outputs:
            partition = _partition_for(key, self._partitions.get(topic) or await self._count(topic))
            routes[topic, partition].append((key, value))
        return routes

    async def _count(self, topic: str) -> int:
        count = len(await self._producer.partitions_for(self._kafka.scoped(topic)))
        self._partitions[topic] = count
        return count

    async def _send(
        self,
        topic: str,
        partition: int,
        records: Iterable[tuple[bytes, bytes | None]],
        sends: list[asyncio.Future[Any]],
    ) -> None:
        producer = self._producer
        batch = producer.create_batch()
        for key, value in records:
            if batch.append(timestamp=None, key=key, value=value) is None:
                sends.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(timestamp=None, key=key, value=value)
        sends.append(await producer.send_batch(batch, topic, partition=partition))
