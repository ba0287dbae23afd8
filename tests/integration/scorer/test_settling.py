"""All lanes have read the log once the group has committed what was on it."""

from __future__ import annotations

import asyncio

import pytest

from schemas.topics import USAGE_UNATTRIBUTED
from services.scorer.__main__ import settle
from services.shared.kafka.clients import producer
from services.shared.kafka.settings import KafkaSettings
from tests.support.attribution import KIM, encode, link
from tests.support.scorer_group import scorer_group

pytestmark = pytest.mark.integration


async def test_the_log_is_settled_once_every_lane_has_committed_what_was_on_it(kafka_settings: KafkaSettings) -> None:
    async with asyncio.timeout(30):
        await settle(kafka_settings)  # nothing is on it

    topic = kafka_settings.scoped(USAGE_UNATTRIBUTED)
    async with producer(kafka_settings) as out:
        value = encode("user_link", link("MEMBER", KIM, "acme"))
        await out.send_and_wait(topic, value, key=KIM.encode(), partition=1)
    settling = asyncio.create_task(settle(kafka_settings))
    await asyncio.wait({settling}, timeout=1.5)
    assert not settling.done()

    async with scorer_group(kafka_settings) as group:
        await group.has_read({1: 1})

    async with asyncio.timeout(30):
        await settling
