"""Brokers limit what clients may take and give (client quotas): a worker waits, and says for what."""

from __future__ import annotations

import pytest

from services.shared.engine.errors import FailStop
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.kafka.writer import LaneWriter
from services.shared.engine.position import Position
from services.shared.engine.processor import Output
from services.shared.kafka.embedded.broker import EmbeddedBroker
from tests.support.counting.processor import counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, GROUP, OUT, SOURCE, trial
from tests.support.quotas import limit_clients

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def test_a_transaction_that_a_quota_delays_for_too_long_says_so(own_broker: EmbeddedBroker) -> None:
    """Nothing is wrong with replicas or leaders, and each new process would meet the same."""
    spec = counting_spec(SOURCE, CHANGELOG, OUT, DEAD)
    async with trial(own_broker.bootstrap, partitions=1) as log:
        await limit_clients(log.kafka, "producer_byte_rate", 20_000)
        writer = LaneWriter(log.kafka, GROUP, spec, 0, limits={}, partitions={}, timeout_s=3.0)
        await writer.start()
        large = Transaction(Position(1), outputs=[Output(OUT, b"k%d" % n, b"w" * 100_000) for n in range(30)])

        with pytest.raises(
            FailStop, match="a quota of the brokers lets the producer wait, last for [0-9]+ s: raise it"
        ):
            await writer.write(large)

        await writer.close()
