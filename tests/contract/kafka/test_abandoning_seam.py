"""What `services.shared.kafka.abandoning` takes from the inside of aiokafka: an upgrade that moves it fails here."""

from __future__ import annotations

import inspect

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.sender import Sender, SendProduceReqHandler

from services.shared.kafka.clients import producer
from services.shared.kafka.settings import KafkaSettings


async def test_a_producer_has_the_parts_that_are_ended() -> None:
    made = producer(KafkaSettings(bootstrap_servers="127.0.0.1:1"))

    assert made._sender.sender_task is None
    assert made.client._md_update_fut is None
    assert not made._message_accumulator._batches
    assert not made._message_accumulator._pending_batches
    await made.stop()


def test_a_stop_that_is_cut_short_still_leaves_its_tasks_behind() -> None:
    """When this fails, aiokafka may have learned to end them: `abandon` may go."""
    source = inspect.getsource(AIOKafkaProducer.stop)

    assert "create_task(self._message_accumulator.close())" in source
    assert "finally" not in source


def test_who_sends_waits_for_the_answers_when_it_is_cancelled_once() -> None:
    source = inspect.getsource(Sender._sender_routine)

    assert "except asyncio.CancelledError:" in source
    assert source.index("except asyncio.CancelledError:") < source.index("await task")


def test_who_files_a_batch_to_be_sent_again_waits_for_metadata_that_may_never_come() -> None:
    assert "await self._client._maybe_wait_metadata()" in inspect.getsource(SendProduceReqHandler.do)
    assert "await asyncio.shield(self._md_update_fut)" in inspect.getsource(AIOKafkaClient._maybe_wait_metadata)
    assert "if self._md_update_fut is None:" in inspect.getsource(AIOKafkaClient.force_metadata_update)


def test_a_batch_takes_itself_from_the_pending_ones() -> None:
    assert "self._pending_batches.remove(batch)" in inspect.getsource(MessageAccumulator._pop_batch)
    assert "batch.future" in inspect.getsource(MessageAccumulator.flush)
