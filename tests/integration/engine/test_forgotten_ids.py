"""A broker forgets a transactional id that is not used for a while: nobody knows then whose the lane is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.shared.engine.errors import FailStop
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.kafka.writer import LaneWriter
from services.shared.engine.position import Position
from services.shared.kafka.clients import consumer
from services.shared.kafka.embedded import broker as embedded
from services.shared.kafka.embedded import broker_config
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.settings import KafkaSettings
from tests.support.counting.processor import counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, GROUP, OUT, SOURCE, trial

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SETTINGS = "transactional.id.expiration.ms=1000\ntransaction.remove.expired.transaction.cleanup.interval.ms=200\n"
"""By default it is after seven days, looked for once an hour."""


@pytest.fixture
def forgetful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedBroker]:
    """Yield a broker that forgets an id after a second."""

    def quickly(*given: Any) -> str:
        return broker_config.server_properties(*given) + SETTINGS

    monkeypatch.setattr(embedded, "server_properties", quickly)
    broker = EmbeddedBroker(tmp_path)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


async def all_ids_forgotten(broker: EmbeddedBroker) -> None:
    """Return once the last that the coordinator has noted of each id is that it has forgotten it."""
    last: dict[bytes, bytes | None] = {}
    async with asyncio.timeout(60), consumer(KafkaSettings(bootstrap_servers=broker.bootstrap)) as reading:
        reading.subscribe(["__transaction_state"])
        while not last or any(last.values()):
            for records in (await reading.getmany(timeout_ms=100)).values():
                last |= {record.key: record.value for record in records}


async def test_a_lane_whose_id_was_forgotten_may_be_anothers_and_its_transaction_says_why_it_fails(
    forgetful: EmbeddedBroker,
) -> None:
    spec = counting_spec(SOURCE, CHANGELOG, OUT, DEAD)
    async with trial(forgetful.bootstrap, partitions=2) as log:
        writers = [
            LaneWriter(log.kafka, GROUP, spec, partition, limits={}, partitions={}, timeout_s=15.0)
            for partition in range(2)
        ]
        for writer in writers:
            await writer.start()
            assert await writer.still_owns(Transaction(Position(1)))

        await all_ids_forgotten(forgetful)

        assert not await writers[0].still_owns(Transaction(Position(1)))
        with pytest.raises(FailStop, match="failed: InvalidProducerIdMapping"):
            await writers[1].write(Transaction(Position(2)))
        for writer in writers:
            await writer.close()
