"""
Each place where the engine leans on Faust, mode or aiokafka, documented or not: an upgrade that moves one fails here.

What they do together is shown by the tests against a real broker; these say which one moved.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiokafka
import faust
import mode
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from aiokafka.errors import (
    KafkaError,
    NotLeaderForPartitionError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.producer.sender import Sender
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from faust.tables.recovery import Recovery
from faust.transport import consumer as transport_consumer
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP
from mode.threads import ServiceThread

from services.shared.engine.chunk import Chunk
from services.shared.engine.faust_seam import consumer
from services.shared.engine.faust_seam.app import make_app
from services.shared.engine.faust_seam.chunks import ChunkScheduler
from services.shared.engine.settings import EngineSettings
from services.shared.kafka.asking import passes
from services.shared.kafka.fetching.as_read import learn_leaders, take_as_read
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topic_ids import TopicsRequest, TopicsResponse, topic_id


def source_of(thing: object) -> str:
    return textwrap.dedent(inspect.getsource(thing))  # type: ignore[arg-type]


def test_the_versions_are_those_that_the_seams_were_read_in() -> None:
    assert faust.__version__ == "0.15.3"
    assert aiokafka.__version__ == "0.14.0"


async def make(tmp_path: Path) -> Any:
    async def nothing(*_: object, **__: object) -> None:
        return None

    return make_app(
        "seams", ["usage-events"], KafkaSettings(), EngineSettings(chunk_records=7), instance="seams-3", client_id="us",
        data_dir=tmp_path, deliver=lambda *_: None, revoked=nothing, complete=nothing,
    )  # fmt: skip


# what the app is told


async def test_faust_takes_the_scheduler_and_the_settings_as_given(tmp_path: Path) -> None:
    conf: Any = (await make(tmp_path)).conf

    assert issubclass(conf.ConsumerScheduler, ChunkScheduler)
    assert conf.ConsumerScheduler().size == 7
    assert conf.table_standby_replicas == 1
    assert conf.topic_disable_leader
    assert not conf.topic_allow_declare
    assert not conf.stream_wait_empty
    assert not conf.web_enabled
    assert str(conf.store) == "memory:"
    assert conf.consumer_group_instance_id.endswith("-3")
    assert conf.processing_guarantee.name == "AT_LEAST_ONCE"
    assert (conf.broker_session_timeout, conf.broker_heartbeat_interval, conf.broker_max_poll_interval) == (10, 1, 60)


async def test_the_transport_is_ours_down_to_the_thread(tmp_path: Path) -> None:
    app = await make(tmp_path)

    assert isinstance(app.transport, consumer.Transport)
    assert isinstance(app.consumer, consumer.Consumer)
    assert isinstance(app.consumer._thread, consumer.ConsumerThread)
    assert isinstance(app.producer, consumer.Producer)


def test_the_thread_of_the_consumer_does_not_hold_up_the_end_of_the_process() -> None:
    assert consumer.ConsumerThread.Worker(SimpleNamespace()).daemon  # type: ignore[arg-type]
    assert "self.Worker(self)" in source_of(ServiceThread.start)
    assert "await self.on_thread_stop()" in source_of(ServiceThread._shutdown_thread)


async def test_the_consumer_reads_committed_records_and_does_not_wait_for_idle_partitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await make(tmp_path)
    given: dict[str, object] = {}

    def noted(**options: Any) -> aiokafka.AIOKafkaConsumer:
        given.update(options)
        return aiokafka.AIOKafkaConsumer(**options)

    monkeypatch.setattr(consumer, "AIOKafkaConsumer", noted)

    made = app.consumer._thread._create_worker_consumer(app.transport)

    for client in (made._client, app.producer._new_producer().client):
        assert client._metadata_update.__module__ == "services.shared.kafka.bootstrap"
        assert client.bootstrap.__module__ == "services.shared.kafka.bootstrap"
    assert given["isolation_level"] == "read_committed"
    assert given["fetch_max_wait_ms"] == 50
    assert given["enable_auto_commit"] is False
    assert given["auto_offset_reset"] == "earliest"
    assert given["partition_assignment_strategy"] == [app.assignor]
    assert given["max_poll_interval_ms"] == 60_000
    assert given["group_instance_id"] == "seams-3"
    assert given["client_id"] == "us"


def test_the_options_given_to_the_consumer_are_those_that_faust_gives() -> None:
    """A new option in Faust's own call is one that ours would lack."""
    theirs = keywords(driver.AIOKafkaConsumerThread._create_worker_consumer, "aiokafka.AIOKafkaConsumer")
    ours = keywords(consumer.ConsumerThread._create_worker_consumer, "AIOKafkaConsumer")

    assert theirs - ours == {"bootstrap_servers"}
    assert ours - theirs == {"retry_backoff_ms", "fetch_max_bytes"}


def keywords(function: object, call: str) -> set[str]:
    calls = [
        n for n in ast.walk(ast.parse(source_of(function))) if isinstance(n, ast.Call) and ast.unparse(n.func) == call
    ]
    return {k.arg for k in calls[-1].keywords if k.arg}


# how records come


def test_a_scheduler_is_asked_for_an_iterator_over_the_fetched_map() -> None:
    assert list(inspect.signature(DefaultSchedulingStrategy.iterate).parameters) == ["self", "records"]
    assert "self.scheduler.iterate(records)" in source_of(transport_consumer.Consumer.getmany)


async def test_a_chunk_passes_faust_as_one_record(tmp_path: Path) -> None:
    app = await make(tmp_path)
    record = aiokafka.structs.ConsumerRecord("usage-events", 2, 41, 1_000, 1, b"k", b"v", None, 1, 1, ())
    chunk = Chunk(TP("usage-events", 2), [record], 40, 42)

    message = app.consumer._to_message(TP("usage-events", 2), chunk)

    assert message.value is chunk
    assert (message.topic, message.partition, message.offset) == ("usage-events", 2, 41)
    assert message.generation_id == app.consumer_generation_id


def test_the_thread_fetches_through_the_method_that_ours_replaces() -> None:
    assert "self._fetch_records" in source_of(driver.AIOKafkaConsumerThread.getmany)
    assert list(inspect.signature(driver.AIOKafkaConsumerThread._fetch_records).parameters) == [
        "self", "consumer", "active_partitions", "timeout", "max_records",
    ]  # fmt: skip


def test_records_are_taken_as_the_parser_makes_them() -> None:
    written = DefaultRecordBatchBuilder(2, 0, 1, -1, -1, -1, 1 << 16)
    written.append(0, timestamp=1_000, key=b"k", value=b"v", headers=[])
    written.append(1, timestamp=1_001, key=None, value=None, headers=[])
    records = PartitionRecords(TP("t", 0), MemoryRecords(bytes(written.build())), None, 0, None, None, True, 1)
    result = FetchResult(TP("t", 0), assignment=None, partition_records=records, backoff=0)
    fetcher = SimpleNamespace(_records=OrderedDict(), _proc_offset_request=None, _client=None)
    take_as_read(SimpleNamespace(_fetcher=fetcher))
    fetcher._records[TP("t", 0)] = result

    found = list(result._partition_records)

    assert [(r.offset, r.key, r.value) for r in found] == [(0, b"k", b"v"), (1, None, None)]
    assert {type(r).__name__ for r in found} == {"DefaultRecord"}
    assert [r.timestamp for r in found] == [1_000, 1_001]
    assert [r.timestamp_type for r in found] == [0, 0]
    assert "self._consumer_record(tp, record)" in source_of(PartitionRecords._unpack_records)
    assert "self._records = collections.OrderedDict()" in source_of(Fetcher.__init__)
    assert "self._records[tp] = FetchResult(" in source_of(Fetcher._proc_fetch_request)


def test_what_a_fetch_is_answered_passes_through_the_client_of_the_fetcher() -> None:
    answering = source_of(Fetcher._proc_fetch_request)

    assert "response = await self._client.send(node_id, request)" in answering
    assert "for partition, error_code, highwater, *part_data in partitions:" in answering
    assert "for partition, offset, _ in partitions:" in answering
    assert "records = self._records" in source_of(PartitionRecords._unpack_records)
    assert "next_batch = records.next_batch()" in source_of(PartitionRecords._unpack_records)


def test_a_fetch_without_timeout_awaits_nothing_before_it_returns() -> None:
    """What the coverage of a fetch rests on: no seek can come between the two readings of the position."""
    source = source_of(Fetcher.fetched_records)
    before_return = source[: source.index("if drained or not timeout:")]

    assert before_return.count("await ") == 1
    assert "await self._subscriptions.wait_for_assignment()" in before_return
    assert callable(Fetcher._create_fetch_waiter)
    assert isinstance(SubscriptionState.reassignment_in_progress, property)
    assert isinstance(TopicPartitionState.position, property)
    assert isinstance(TopicPartitionState.has_valid_position, property)


def test_a_poll_is_what_keeps_a_member_in_the_group() -> None:
    state = SubscriptionState.__new__(SubscriptionState)
    state._fetch_count = 0
    state._last_fetch_ended = -1_000.0

    with state.fetch_context():
        assert state.fetcher_idle_time == 0

    assert state.fetcher_idle_time < 1


def test_partitions_can_be_taken_out_of_fetching_without_losing_what_is_on_the_way() -> None:
    source = source_of(transport_consumer.Consumer.getmany)

    assert "tp in self._buffered_partitions" in source
    assert "_buffered_partitions.add(tp)" in source_of(transport_consumer.Consumer.on_buffer_full)
    assert "active_partitions.add(tp)" in source_of(transport_consumer.Consumer.on_buffer_drop)


# how rebalances are told


def test_completion_is_awaited_before_partitions_are_resumed_and_sought() -> None:
    source = source_of(Recovery._resume_streams)

    assert (
        source.index("await app.on_rebalance_complete.send()")
        < source.index("consumer.resume_partitions(")
        < source.index("consumer.perform_seek()")
        < source.index("consumer.resume_flow()")
    )


def test_revocation_is_awaited_before_the_member_joins_again() -> None:
    assert "await T(self.on_partitions_revoked.send)(revoked)" in source_of(faust.App._on_partitions_revoked)
    assert "await self._on_join_prepare(" in source_of(
        aiokafka.consumer.group_coordinator.GroupCoordinator.ensure_active_group
    )


def test_the_client_knows_the_id_under_which_it_has_joined() -> None:
    source = source_of(aiokafka.consumer.group_coordinator.CoordinatorGroupRebalance.perform_group_join)

    assert "self._coordinator.member_id = response.member_id" in source
    assert "self._coordinator = GroupCoordinator(" in source_of(aiokafka.AIOKafkaConsumer.start)


def test_an_error_of_the_group_waits_to_be_polled() -> None:
    source = source_of(aiokafka.consumer.group_coordinator.GroupCoordinator)

    assert "except Errors.KafkaError as exc:\n                await self._push_error_to_user(exc)" in source
    assert "self._pending_exception = exc" in source


async def test_a_wait_of_a_rebalance_that_times_out_ends_faust_s_recovery_for_good_so_it_never_does(
    tmp_path: Path,
) -> None:
    """When this fails, Faust may have learned to go on: its own limit would do again."""
    assert "timeout=self.app.conf.broker_request_timeout" in source_of(Recovery._resume_streams)
    assert "if wait_result.stopped:" in source_of(Recovery._wait)
    assert "return WaitResults([], [], True)" in source_of(mode.Service.wait_first)
    assert (await make(tmp_path)).conf.broker_request_timeout == consumer.FOR_EVER_S


def test_nobody_joins_who_has_not_polled_for_the_poll_interval() -> None:
    assert "idle_time >= self._max_poll_interval" in source_of(
        aiokafka.consumer.group_coordinator.GroupCoordinator.ensure_active_group
    )
    assert "time.monotonic() - self._last_fetch_ended" in source_of(SubscriptionState)


def test_rebalances_are_counted_when_they_begin() -> None:
    assert "self.rebalancing_count += 1" in source_of(faust.App.on_rebalance_start)
    assert "on_rebalance_start()" in source_of(driver.ConsumerRebalanceListener.on_partitions_revoked)
    assert "consumer_generation_id = generation" in source_of(driver.ConsumerRebalanceListener.on_partitions_assigned)


# how transactions are written


def test_a_started_transactional_producer_has_fenced_its_predecessor() -> None:
    source = source_of(Sender.start)

    assert source.index("await self._maybe_wait_for_pid()") < source.index("create_task(self._sender_routine())")


def test_an_empty_batch_takes_a_record_larger_than_itself_and_a_filled_one_says_no() -> None:
    batch = BatchBuilder(1000, 0, is_transactional=1)

    assert batch.append(timestamp=None, key=b"k", value=b"v" * 5000) is not None
    assert batch.append(timestamp=None, key=b"k", value=b"v" * 5000) is None


@pytest.mark.parametrize(
    "name", ["begin_transaction", "commit_transaction", "send_batch", "create_batch", "partitions_for"]
)
def test_the_producer_has_what_a_transaction_needs(name: str) -> None:
    assert callable(getattr(aiokafka.AIOKafkaProducer, name))


# how the id of a topic is asked for


def test_the_request_for_a_topics_id_is_metadata_of_version_12() -> None:
    request = TopicsRequest("usage-events").prepare({3: (0, 13)})

    assert (request.API_KEY, request.API_VERSION, request.FLEXIBLE_VERSION) == (3, 12, True)
    assert request.encode() == b"\x02" + bytes(16) + b"\x0dusage-events" + b"\x00" + b"\x00\x00" + b"\x00"
    assert callable(AIOKafkaAdminClient._send_request)


def test_the_answer_holds_the_id_behind_the_name() -> None:
    broker = b"\x00\x00\x00\x01" + b"\x02h" + b"\x00\x00\x23\x84" + b"\x00" + b"\x00"
    partition = b"\x00\x00" + bytes(12) + b"\x02\x00\x00\x00\x01" * 2 + b"\x01" + b"\x00"
    topic = b"\x00\x00" + b"\x02t" + b"i" * 16 + b"\x00" + b"\x02" + partition + b"\x80\x00\x00\x00" + b"\x00"
    answer = bytes(4) + b"\x02" + broker + b"\x02c" + bytes(4) + b"\x02" + topic + b"\x00"

    response = TopicsResponse.decode(answer)

    assert response.topics[0][:4] == (0, "t", b"i" * 16, False)
    assert response.encode() == answer


async def test_a_cluster_too_old_for_ids_is_told_by_zeros() -> None:
    async def send(request: TopicsRequest) -> Any:
        return request.prepare({3: (0, 9)})

    assert await topic_id(SimpleNamespace(_send_request=send), "usage-events") == bytes(16)


@pytest.mark.parametrize(("error", "asked_anew"), [(NotLeaderForPartitionError, 1), (RequestTimedOutError, 0)])
async def test_a_fetcher_asks_anew_who_leads_a_partition_when_a_broker_no_longer_does(
    error: type[KafkaError], asked_anew: int
) -> None:
    """Aiokafka looks an offset up at the former leader for ever, and fetches nothing meanwhile."""
    assert "_proc_offset_request(node_id, topic_data)" in inspect.getsource(Fetcher._update_fetch_positions)
    asked: list[str] = []

    class Client:
        def force_metadata_update(self) -> None:
            asked.append("metadata")

    class Asking:
        _client = Client()

        async def _proc_offset_request(self, _node_id: int, _topic_data: Any) -> Any:
            raise error

    fetcher = Asking()
    learn_leaders(fetcher)
    with pytest.raises(error):
        await fetcher._proc_offset_request(1, {})

    assert len(asked) == asked_anew


async def test_a_broker_that_does_not_know_a_topic_yet_tells_no_id_of_it() -> None:
    """Its answer holds zeros, as that of a cluster without ids: noted with a position, they would match any topic."""

    async def send(_: TopicsRequest) -> Any:
        return SimpleNamespace(topics=[(3, "t", bytes(16), False, [])])

    with pytest.raises(UnknownTopicOrPartitionError) as refused:
        await topic_id(SimpleNamespace(_send_request=send), "t")
    assert passes(refused.value)
