"""The engine's parts against a real broker: loading, fencing, writing, checking."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import GroupLoadInProgressError, NotCoordinatorForGroupError, ProducerFenced
from aiokafka.protocol.commit import OffsetFetchRequest, OffsetFetchResponse_v3

from services.shared.engine.errors import FailStop
from services.shared.engine.fold.committed import Committed
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.kafka.changelog import bounds, load
from services.shared.engine.kafka.cluster import learn
from services.shared.engine.kafka.writer import LaneWriter
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.processor import Append, Output
from services.shared.engine.worker import appender
from services.shared.errors import ConfigurationError
from services.shared.kafka.asking import passes
from services.shared.kafka.clients import admin, consumer, producer, transactional_producer
from tests.integration.ingest.slow_partition import SlowPartitions
from tests.support.counting.processor import counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, GROUP, OUT, SIDE, SOURCE, Trial, trial
from tests.support.waiting import until

pytestmark = pytest.mark.integration

SPEC = counting_spec(SOURCE, CHANGELOG, OUT, DEAD)
STORES = {"counts": CHANGELOG, "ids": SIDE}


@pytest.fixture
async def log(kafka: Any) -> Any:
    async with trial(kafka.bootstrap, partitions=2, sizes={OUT: 20_000}) as made:
        yield made


def writer(log: Trial, **options: Any) -> LaneWriter:
    return LaneWriter(log.kafka, GROUP, SPEC, 0, **{"limits": {}, "partitions": {}, "timeout_s": 15.0, **options})


def transaction(offset: int, *outputs: bytes, **changes: bytes | None) -> Transaction:
    made = Transaction(Position(offset))
    made.changes = {("counts", key.encode()): value for key, value in changes.items()}
    made.outputs = [Output(OUT, b"k%d" % n, value) for n, value in enumerate(outputs)]
    return made


async def test_a_transaction_becomes_durable_as_a_whole_with_the_offset_of_the_group(log: Trial) -> None:
    one = writer(log)
    await one.start()
    await one.write(transaction(7, b"x", b"y", a=b"1", b=b"2"))
    await one.write(transaction(9, a=b"3", b=None))
    await one.close()
    await writer(log).start()

    loaded = await load(log.kafka, STORES, 0)

    assert loaded.stores == {"counts": {b"a": b"3", POSITION_KEY: Position(9).encode()}, "ids": {}}
    assert sorted(r.value for r in await log.read(OUT)) == [b"x", b"y"]
    assert (await bounds(log.kafka, GROUP, SOURCE, 0)).committed == Committed(Position(9), Position(9))


async def test_every_record_is_acknowledged_before_the_offsets_are_sent(
    log: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = writer(log)
    await one.start()
    send, commit = one._producer.send_batch, one._producer.send_offsets_to_transaction
    sent: list[asyncio.Future[Any]] = []
    acknowledged: list[bool] = []

    async def noted(*args: Any, **options: Any) -> Any:
        sent.append(await send(*args, **options))
        return sent[-1]

    async def looked(*args: Any) -> None:
        acknowledged.extend(future.done() for future in sent)
        await commit(*args)

    monkeypatch.setattr(one._producer, "send_batch", noted)
    monkeypatch.setattr(one._producer, "send_offsets_to_transaction", looked)
    await one.write(transaction(7, b"x", b"y", a=b"1", b=b"2"))
    await one.close()

    assert acknowledged and all(acknowledged)


async def test_outputs_go_where_every_other_producer_sends_their_keys(log: Trial) -> None:
    one = writer(log)
    await one.start()
    made = Transaction(Position(1), outputs=[Output(SOURCE, b"account-%d" % n, b"lane") for n in range(20)])
    await one.write(made)
    await one.close()
    await log.produce((b"account-%d" % n, b"producer") for n in range(20))

    homes: dict[bytes, set[int]] = {}
    for record in await log.read(SOURCE, complete=True):
        homes.setdefault(record.key, set()).add(record.partition)
    assert len(homes) == 20
    assert all(len(partitions) == 1 for partitions in homes.values())


async def test_a_new_writer_fences_the_former_and_settles_what_it_left_open(log: Trial) -> None:
    former = writer(log)
    await former.start()
    await former.write(transaction(1, a=b"1"))
    await former._producer.begin_transaction()
    await former._producer.send_and_wait(log.scoped(CHANGELOG), b"never", b"a", partition=0)

    await writer(log).start()
    loaded = await load(log.kafka, STORES, 0)

    assert loaded.stores["counts"][b"a"] == b"1"
    with pytest.raises(ProducerFenced):
        await former._commit()
    with pytest.raises(FailStop):
        await former.write(transaction(2, a=b"2"))


async def test_a_writer_knows_whether_another_has_started_since(log: Trial) -> None:
    """How a lane that missed a generation of the group finds out whether it has been another's."""
    former = writer(log)
    await former.start()
    await former.write(transaction(5, a=b"1"))

    assert await former.still_owns(transaction(5))
    assert (await load(log.kafka, STORES, 0)).stores["counts"][POSITION_KEY] == Position(5).encode()
    assert (await bounds(log.kafka, GROUP, SOURCE, 0)).committed == Committed(Position(5), Position(5))
    other = writer(log)
    await other.start()
    await other.write(transaction(9, a=b"2"))
    assert not await former.still_owns(transaction(5))

    assert (await load(log.kafka, STORES, 0)).stores["counts"] == {b"a": b"2", POSITION_KEY: Position(9).encode()}
    assert (await bounds(log.kafka, GROUP, SOURCE, 0)).committed == Committed(Position(9), Position(9))
    assert await other.still_owns(transaction(9))


async def test_a_transaction_with_a_failed_record_is_never_committed(log: Trial) -> None:
    """By itself aiokafka would commit the rest of it."""
    one = writer(log)  # knows of no limit; the topic takes 20,000 bytes
    await one.start()

    with pytest.raises(FailStop, match="MessageSizeTooLarge"):
        await one.write(transaction(5, b"w" * 30_000, a=b"1"))

    await writer(log).start()
    assert (await load(log.kafka, STORES, 0)).stores["counts"] == {}
    assert (await bounds(log.kafka, GROUP, SOURCE, 0)).committed is None


async def test_a_coordinator_that_still_loads_is_asked_again_and_has_lost_nothing(
    log: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As brokers do for seconds after a restart: an error of the whole group, and no partitions, where aiokafka looks for one."""
    one = writer(log)
    await one.start()
    await one.write(transaction(5))
    await one.close()
    really = AIOKafkaAdminClient._send_request

    async def loading(client: AIOKafkaAdminClient, request: Any, *given: Any) -> Any:
        if isinstance(request, OffsetFetchRequest):
            return OffsetFetchResponse_v3(0, [], GroupLoadInProgressError.errno)
        return await really(client, request, *given)

    monkeypatch.setattr(AIOKafkaAdminClient, "_send_request", loading)

    with pytest.raises(GroupLoadInProgressError) as told:
        await bounds(log.kafka, GROUP, SOURCE, 0)
    assert passes(told.value)


async def test_an_offset_that_is_not_told_is_an_error_by_its_name(log: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where aiokafka raises NoError, which nobody would ask again for."""
    really = AIOKafkaAdminClient._send_request

    async def unstable(client: AIOKafkaAdminClient, request: Any, *given: Any) -> Any:
        if isinstance(request, OffsetFetchRequest):
            at = (0, -1, "", NotCoordinatorForGroupError.errno)
            return OffsetFetchResponse_v3(0, [(log.scoped(SOURCE), [at])], 0)
        return await really(client, request, *given)

    monkeypatch.setattr(AIOKafkaAdminClient, "_send_request", unstable)

    with pytest.raises(
        NotCoordinatorForGroupError, match=f"does not tell its offset of {log.scoped(SOURCE)}/0"
    ) as told:
        await bounds(log.kafka, GROUP, SOURCE, 0)
    assert passes(told.value)


async def test_batches_stay_below_the_smallest_limit_of_the_topics(log: Trial) -> None:
    one = writer(log, limits={OUT: 20_000})
    await one.start()

    await one.write(transaction(5, *[b"w" * 9_000] * 10))

    assert len(await log.read(OUT, complete=True)) == 10


async def test_loading_ends_behind_markers_aborted_records_and_tombstones(log: Trial) -> None:
    producer = transactional_producer(log.kafka, "someone")
    await producer.start()
    for n in range(5):
        await producer.begin_transaction()
        await producer.send_and_wait(log.scoped(CHANGELOG), b"%d" % n, b"a", partition=0)
        await producer.send_and_wait(log.scoped(CHANGELOG), None if n % 2 else b"b", b"b", partition=0)
        await (producer.abort_transaction() if n == 4 else producer.commit_transaction())
    await producer.stop()
    await log.read(CHANGELOG, complete=True)

    async with asyncio.timeout(5):
        loaded = await load(log.kafka, {"counts": CHANGELOG}, 0)

    assert loaded.stores == {"counts": {b"a": b"3"}}
    assert loaded.records == 8


async def test_an_open_transaction_does_not_hold_up_a_load(log: Trial) -> None:
    """The end is that of what is committed: the new owner settles the former's transaction before it loads."""
    producer = transactional_producer(log.kafka, "someone")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(log.scoped(CHANGELOG), b"1", b"a", partition=0)

    async with asyncio.timeout(5):
        loaded = await load(log.kafka, {"counts": CHANGELOG}, 0)

    assert loaded.stores == {"counts": {}}
    await producer.abort_transaction()
    await producer.stop()


async def test_the_topics_of_lanes_are_checked_before_anything_runs(log: Trial) -> None:
    elsewhere = replace(SPEC, stores={"counts": "no-such-topic"})
    twin = replace(counting_spec(OUT, CHANGELOG, OUT, DEAD))
    async with admin(log.kafka) as client:
        await client.create_partitions({log.scoped(SIDE): NewPartitions(total_count=3)})

        async def has_grown() -> bool:
            """New partitions reach the metadata of the broker a moment later."""
            (side,) = await client.describe_topics([log.scoped(SIDE)])
            return len(side["partitions"]) == 3

        await until(has_grown)
    uneven = replace(SPEC, stores={"counts": SIDE})

    found = await learn(log.kafka, [SPEC])
    assert found.partitions[SOURCE] == 2
    assert found.limits[OUT] == 20_000
    with pytest.raises(ConfigurationError, match="no-such-topic does not exist"):
        await learn(log.kafka, [elsewhere])
    with pytest.raises(ConfigurationError, match="is shared by count-source and count-out"):
        await learn(log.kafka, [SPEC, twin])
    with pytest.raises(ConfigurationError, match="changelog count-dead has cleanup.policy=delete: .* expires"):
        await learn(log.kafka, [replace(SPEC, stores={"counts": DEAD})])
    with pytest.raises(ConfigurationError, match="has 3 partitions and its source"):
        await learn(log.kafka, [uneven])


async def test_the_end_of_a_committed_transaction_may_show_later_than_its_acknowledgement(log: Trial) -> None:
    """Why a reopened lane starts a new writer first: whatever shows now, it shows all after that."""
    tp = TopicPartition(log.scoped(CHANGELOG), 0)
    client = consumer(log.kafka)
    await client.start()
    one = writer(log)
    await one.start()
    for n in range(1, 21):
        await one.write(transaction(n, a=b"%d" % n))
        await one.close()
        one = writer(log)
        await one.start()

        assert (await client.end_offsets([tp]))[tp] == 3 * n
    await client.stop()
    await one.close()


async def test_an_append_may_be_as_large_as_its_topic_takes(kafka: Any) -> None:
    """A foreign writer's event of 1.5 MB, forwarded: the client's own limit is 1 MB, and ended the process again and again."""
    async with trial(kafka.bootstrap, partitions=1, sizes={SIDE: 2 << 20}) as log:
        given = appender.Appender(lambda: producer(log.kafka), log.scoped)
        await given.start()
        await given.append([Append(SIDE, 0, None, b"v" * (1_500_000))])
        await given.stop()

        assert [len(record.value) for record in await log.read(SIDE)] == [1_500_000]


async def test_what_a_partition_that_hangs_does_not_acknowledge_is_written_again_by_a_new_producer(
    log: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The partition has it already, as where a follower hangs; each repetition is the same record once more."""
    monkeypatch.setattr(appender, "_ANSWER_WITHIN_S", 1.0)
    monkeypatch.setattr(appender, "_CLOSE_WITHIN_S", 0.1)
    made: list[Any] = []
    async with SlowPartitions(int(log.kafka.bootstrap_servers.rpartition(":")[2])) as way:
        through = log.kafka.model_copy(update={"bootstrap_servers": f"127.0.0.1:{way.port}"})

        def make() -> Any:
            made.append(producer(through))
            return made[-1]

        given = appender.Appender(make, log.scoped)
        await given.start()
        await given.append([Append(SIDE, 0, None, b"before")])
        way.hold(log.scoped(SIDE), 0)

        appending = asyncio.create_task(given.append([Append(SIDE, 0, None, b"held"), Append(SIDE, 1, None, b"held")]))
        await until(lambda: len(made) > 2, 15)
        await until(made[0]._sender.sender_task.done, 15)
        await way.release()
        await appending
        await given.append([Append(SIDE, 0, None, b"after")])
        await given.stop()

    for partition in (0, 1):
        found = [record.value for record in await log.read(SIDE) if record.partition == partition]
        again = [value for value in found if value == b"held"]
        assert len(again) > 1 if partition == 0 else again
        assert found == ([b"before", *again, b"after"] if partition == 0 else again)
