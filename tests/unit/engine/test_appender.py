"""Appends that are not acknowledged are written again, by a new producer, in their order; what cannot be written is said."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    ProducerClosed,
)

from services.shared.engine.errors import FailStop
from services.shared.engine.processor import Append
from services.shared.engine.worker import appender as module
from services.shared.engine.worker.appender import Appender

SILENCE = KafkaError("never said")
"""Stands for no answer at all."""


class Client:
    """Stands where aiokafka's producer does: it answers each record with an error, an acknowledgement or not at all."""

    def __init__(self, log: list[tuple[int, bytes]], number: int, errors: dict[bytes, KafkaError]) -> None:
        self.log, self.number, self.errors = log, number, errors
        self.stopped = self.closed = False
        self.sending = asyncio.get_running_loop().create_future()
        self._sender = SimpleNamespace(sender_task=self.sending)
        self._message_accumulator = SimpleNamespace(_batches={}, _pending_batches=set())
        self.client = SimpleNamespace(close=self._disconnect, _md_update_fut=None)

    async def start(self) -> None:
        """Connect."""
        await self._say(b"start")

    async def stop(self) -> None:
        self.stopped = True
        await self._say(b"stop")

    async def _say(self, what: bytes) -> None:
        error = self.errors.get(what)
        if error is SILENCE:
            await asyncio.Event().wait()
        elif error:
            raise error

    async def _disconnect(self) -> None:
        self.closed = True

    async def send(self, topic: str, value: bytes, key: bytes, partition: int | None) -> asyncio.Future[object]:
        assert (topic, key, partition) == ("t-side", b"k", None)
        await self._say(b"send")
        if self.stopped:
            raise ProducerClosed
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        error = self.errors.get(value)
        if error is SILENCE:
            pass
        elif error:
            answer.set_exception(error)
        else:
            self.log.append((self.number, value))
            answer.set_result(None)
        return answer


def appends(*values: bytes) -> list[Append]:
    return [Append("side", None, b"k", value) for value in values]


def appender(*errors: dict[bytes, KafkaError]) -> tuple[Appender, list[tuple[int, bytes]], list[Client]]:
    """Return an appender whose n-th producer has the n-th errors, the log that they write, and the producers."""
    log: list[tuple[int, bytes]] = []
    clients: list[Client] = []

    def make() -> Any:
        clients.append(Client(log, len(clients), errors[len(clients)] if len(clients) < len(errors) else {}))
        return clients[-1]

    return Appender(make, lambda topic: f"t-{topic}"), log, clients


@pytest.mark.parametrize("error", [KafkaTimeoutError(), NotLeaderForPartitionError()])
async def test_what_is_not_acknowledged_is_written_again_with_all_behind_it(error: KafkaError) -> None:
    given, log, clients = appender({b"2": error}, {b"3": error})
    await given.start()

    await given.append(appends(b"1", b"2", b"3"))
    await given.append(appends(b"4"))
    await given.stop()

    assert log == [(0, b"1"), (0, b"3"), (1, b"2"), (2, b"3"), (2, b"4")]
    assert [client.stopped for client in clients] == [True, True, True]


async def test_lanes_that_fail_together_renew_the_producer_once() -> None:
    given, log, clients = appender({value: KafkaTimeoutError() for value in (b"1", b"2")})
    await given.start()

    await asyncio.gather(given.append(appends(b"1")), given.append(appends(b"2")))

    assert (sorted(log), len(clients)) == ([(1, b"1"), (1, b"2")], 2)


async def test_what_is_never_acknowledged_is_given_up_after_a_while_and_written_again_in_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An idempotent producer of aiokafka says nothing for as long as the partition hangs."""
    monkeypatch.setattr(module, "_ANSWER_WITHIN_S", 0.01)
    given, log, clients = appender({b"2": SILENCE}, {b"start": SILENCE})
    await given.start()

    async with asyncio.timeout(10):
        await given.append(appends(b"1", b"2", b"3"))
    await given.stop()

    assert log == [(0, b"1"), (0, b"3"), (2, b"2"), (2, b"3")]
    assert [client.stopped for client in clients] == [True, True, True]


async def test_a_producer_that_does_not_even_take_records_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for metadata, which a client whose own task has died never gets."""
    monkeypatch.setattr(module, "_ANSWER_WITHIN_S", 0.05)
    given, log, clients = appender({b"send": SILENCE})
    await given.start()

    async with asyncio.timeout(10):
        await given.append(appends(b"1", b"2"))
    await given.stop()

    assert log == [(1, b"1"), (1, b"2")]
    assert [client.stopped for client in clients] == [True, True]


async def test_patience_ends_with_what_is_never_acknowledged_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWER_WITHIN_S", 0.01)
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    given, _, _ = appender({b"1": SILENCE})
    await given.start()

    with pytest.raises(KafkaTimeoutError, match="side"):
        await asyncio.wait_for(given.append(appends(b"1")), 10)


async def test_a_producer_that_does_not_stop_sends_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLOSE_WITHIN_S", 0.01)
    given, _, clients = appender({b"1": KafkaTimeoutError(), b"stop": SILENCE})
    await given.start()

    await given.append(appends(b"1"))
    async with asyncio.timeout(10):
        await given.stop()

    assert [client.sending.cancelled() for client in clients] == [True, False]
    assert clients[0].closed


async def test_brokers_that_cannot_be_reached_for_a_while_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_AFTER_S", 0.0)
    given, log, clients = appender({b"1": KafkaTimeoutError()}, {b"start": KafkaConnectionError()})
    await given.start()

    await given.append(appends(b"1"))
    await given.stop()

    assert log == [(2, b"1")]
    assert [client.stopped for client in clients] == [True, True, True]


async def test_what_no_repetition_mends_is_raised() -> None:
    given, _, clients = appender({b"1": MessageSizeTooLargeError()})
    await given.start()

    with pytest.raises(MessageSizeTooLargeError):
        await given.append(appends(b"1"))

    assert len(clients) == 1


async def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    given, _, _ = appender({b"1": KafkaTimeoutError()})
    await given.start()

    with pytest.raises(KafkaTimeoutError):
        await given.append(appends(b"1"))


async def test_nothing_is_appended_before_the_start() -> None:
    with pytest.raises(FailStop):
        await appender()[0].append(appends(b"1"))
