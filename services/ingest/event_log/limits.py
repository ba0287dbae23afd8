"""
Topics whose `max.message.bytes` somebody has lowered below their record while ingest runs.

A batch that is too large fails for good and takes its producer with it, and all that waits for that. So once one has failed,
the limits are asked of the cluster: batches stay below them, and what does not fit alone is put off, not refused, since
it is the topic that is wrong and not the event. It is asked again until they are as the records say.
"""

from __future__ import annotations

import asyncio
import logging

from aiokafka.errors import KafkaError

from schemas.topics import TOPICS
from services.ingest.event_log.memory import RECORD_OVERHEAD
from services.ingest.ports import WRITES, LogRecord
from services.shared.errors import TidemarkError
from services.shared.kafka.clients import admin
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topic_configs import configs

log = logging.getLogger(__name__)

_LIMIT = "max.message.bytes"
_AGAIN_S = 5.0
_ANSWER_WITHIN_S = 5.0


class TopicLimits:
    """`lowered` has the limits below the record, in bytes, by topic without prefix; empty while all is well."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._suspected = asyncio.Event()
        self.lowered: dict[str, int] = {}

    def suspect(self) -> None:
        """Ask the cluster: a batch was too large."""
        self._suspected.set()

    def takes(self, record: LogRecord) -> bool:
        """Return whether a record fits into its topic."""
        limit = self.lowered.get(record.topic)
        return limit is None or len(record.key) + len(record.value) + RECORD_OVERHEAD <= limit

    def told(self) -> dict[str, str]:
        """Return what is wrong with each topic, and what to do."""
        return {
            topic: f"topic {self._kafka.scoped(topic)} has {_LIMIT}={limit}, its record says {TOPICS[topic].max_message_bytes}:"
            " larger records are put off until you set it back with kafka-configs"
            for topic, limit in self.lowered.items()
        }

    async def run(self) -> None:
        """Ask when something was too large, and from then on until all is well, until cancelled."""
        while True:
            await self._suspected.wait()
            self._suspected.clear()
            try:
                async with asyncio.timeout(_ANSWER_WITHIN_S):
                    found = await self._ask()
            except (KafkaError, OSError, TimeoutError, TidemarkError):
                self._suspected.set()  # whoever watches the cluster says that it does not answer
            else:
                self._note(found)
            if self.lowered or self._suspected.is_set():
                self._suspected.set()
                await asyncio.sleep(_AGAIN_S)

    async def _ask(self) -> dict[str, int]:
        names = {self._kafka.scoped(topic): topic for topic in WRITES}
        async with admin(self._kafka) as client:
            found = await configs(client, list(names))
        return {names[name]: int(config[_LIMIT]) for name, config in found.items() if _LIMIT in config}

    def _note(self, found: dict[str, int]) -> None:
        lowered = {topic: limit for topic, limit in found.items() if limit < TOPICS[topic].max_message_bytes}
        before, self.lowered = self.lowered, lowered
        for topic, said in self.told().items():
            if lowered[topic] != before.get(topic):
                log.critical("topic_limit_is_lowered", extra={"topic": topic, "detail": said})
        for topic in before.keys() - lowered.keys():
            log.warning("topic_limit_is_back", extra={"topic": topic})
