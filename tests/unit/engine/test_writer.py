"""A transaction that does not end in time says who has not answered."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from services.shared.engine.errors import FailStop
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.kafka.writer import LaneWriter
from services.shared.engine.position import Position
from services.shared.engine.processor import Output
from services.shared.kafka import clients
from services.shared.kafka.settings import KafkaSettings
from tests.support.counting.processor import counting_spec
from tests.support.waiting import until


class Silent:
    """A producer of which one topic, or else the coordinator, never answers."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.client: Any = None

    async def begin_transaction(self) -> None: ...

    def create_batch(self) -> Any:
        return SimpleNamespace(append=lambda **_: 1)

    async def send_batch(self, _batch: Any, topic: str, *, partition: int) -> asyncio.Future[int]:
        sent: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if topic != self._topic:
            sent.set_result(partition)
        return sent

    async def send_offsets_to_transaction(self, *_: object) -> None:
        await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    ("silent", "said"),
    [("out", "out/3 did not take what was written: .* `tidemark doctor`"), ("", "coordinator .* has not answered")],
)
async def test_who_has_not_answered_is_named(silent: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = counting_spec("events", "state", "out", "dead")
    writer = LaneWriter(KafkaSettings(), "g", spec, 0, limits={}, partitions={"out": 4}, timeout_s=0.05)
    monkeypatch.setattr(writer, "_producer", Silent(silent))

    with pytest.raises(FailStop, match=f"of events/0 up to .* was not committed within 0.1 s: .*{said}"):
        await writer.write(Transaction(Position(1), outputs=[Output("out", b"f", b"v")]))


async def test_a_quota_that_has_let_the_producer_wait_before_is_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = SimpleNamespace(throttle_time_ms=1)
    client: Any = SimpleNamespace(send=lambda *_: asyncio.sleep(0, answer))
    clients._note_quotas(client)
    spec = counting_spec("events", "state", "out", "dead")
    writer = LaneWriter(KafkaSettings(), "g", spec, 0, limits={}, partitions={"out": 4}, timeout_s=0.05)
    producer = Silent("")
    producer.client = client
    monkeypatch.setattr(writer, "_producer", producer)

    await client.send(0, None)
    over = time.monotonic() + 0.001
    await until(lambda: time.monotonic() > over)
    with pytest.raises(FailStop, match="the coordinator of its transactions or of the group has not answered"):
        await writer.write(Transaction(Position(1)))

    answer.throttle_time_ms = 30_000
    await client.send(0, None)
    with pytest.raises(FailStop, match="a quota of the brokers lets the producer wait, last for 30 s: raise it"):
        await writer.write(Transaction(Position(1)))
