"""A command that reads a topic with a batch that is not what was written does not answer without it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable

import pytest

from schemas.topics import TOPICS
from services.shared.kafka import clients, topics
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.settings import KafkaSettings
from tests.support.commands import command_line
from tests.support.damaging import damage, erase

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("harm", [damage, erase])
async def test_a_command_ends_with_what_to_do_about_a_damaged_batch(
    own_broker: EmbeddedBroker, harm: Callable[[EmbeddedBroker, str], None]
) -> None:
    kafka = KafkaSettings(bootstrap_servers=own_broker.bootstrap, partitions=1)
    await topics.create(kafka, [TOPICS["usage-rejected"], TOPICS["dead-letters"]])
    producer = clients.producer(kafka)
    await producer.start()
    await producer.send_and_wait("usage-rejected", b"no letter, but long enough to be damaged", partition=0)
    await producer.stop()
    harm(own_broker, "usage-rejected-0")

    said = await asyncio.to_thread(
        subprocess.run,
        command_line("rejected", "list"),
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": own_broker.bootstrap, "TIDEMARK_PARTITIONS": "1"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (said.returncode, said.stdout) == (1, "")
    assert "topic='usage-rejected', partition=0" in said.stderr
    assert "let another replica lead" in said.stderr
