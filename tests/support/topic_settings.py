"""Somebody changes the settings of a topic, as with `kafka-configs`."""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.topics import TOPICS
from services.shared.kafka.clients import admin
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topic_configs import configs
from tests.support.waiting import until


async def alter(kafka: KafkaSettings, topic: str, settings: Mapping[str, str]) -> None:
    """
    Give a topic these settings beside those of its record, if it has one; return once its broker knows them.

    The controller answers before every broker has heard of it.
    """
    name = kafka.scoped(topic)
    wanted = {**(TOPICS[topic].kafka_config if topic in TOPICS else {}), **settings}
    async with admin(kafka) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=wanted)])

        async def known() -> bool:
            return wanted.items() <= (await configs(client, [name]))[name].items()

        await until(known)
