"""
Whether the cluster answers, and whether its topics still have the partitions that they had.

One question every few seconds, on a new connection, through the bootstrap list. A process whose cluster does not answer is not ready; after
`liveness_s` it is not alive either, so that whatever supervises it starts a new one. A topic that has grown while
processes run is noticed within 20 s, most often within 10, and the process ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from services.shared.errors import Misfit
from services.shared.kafka.cause import find_cause
from services.shared.kafka.clients import admin
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topics import other_count

log = logging.getLogger(__name__)

_ASK_EVERY_S = 5.0
_ANSWER_WITHIN_S = 5.0
_AWAY_S = 12.0
"""Two questions without an answer; one may be lost when a leader moves."""


class ClusterWatch:
    """Make it when the process starts; `run` it when the topics are known."""

    def __init__(
        self,
        kafka: KafkaSettings,
        liveness_s: float,
        clock: Callable[[], float] = time.monotonic,
        every_s: float = _ASK_EVERY_S,
    ) -> None:
        """Take where, and after how many seconds without an answer the process is as good as dead."""
        self._kafka = kafka
        self._liveness_s = liveness_s
        self._clock = clock
        self._every_s = every_s
        self._answered_at = clock()
        self._why = ""

    def answered(self) -> None:
        """Note that a broker has answered just now."""
        self._answered_at = self._clock()

    def not_ready(self) -> str | None:
        """Return that no broker answers, in words; None while one does."""
        return self._away_for(_AWAY_S)

    def not_alive(self) -> str | None:
        """Return the same once it has gone on for so long that a new process may do better."""
        return self._away_for(self._liveness_s)

    def _away_for(self, at_least_s: float) -> str | None:
        away = self._clock() - self._answered_at
        if away <= at_least_s:
            return None
        return f"no Kafka broker has answered for {away:.0f} s" + (f": {self._why}" if self._why else "")

    async def run(self, partitions: Mapping[str, int]) -> None:
        """
        Ask until cancelled; `partitions` has the number that each topic (without prefix) has to have.

        Raises:
            Misfit: a topic has another number of partitions now.
        """
        expected = {self._kafka.scoped(topic): count for topic, count in partitions.items()}
        while True:
            try:
                async with asyncio.timeout(_ANSWER_WITHIN_S):
                    found = await self._ask(list(expected))
            except Exception as error:  # noqa: BLE001 - a watch that has ended would make a process look dead
                cause = await find_cause(self._kafka)
                self._why = cause.text if cause else repr(error)
                log.warning("cluster_does_not_answer", extra={"cause": self._why})
            else:
                self.answered()
                problems = [
                    other_count(name, found[name], count)
                    for name, count in expected.items()
                    if found.get(name, count) != count
                ]
                if problems:
                    raise Misfit(problems)
            await asyncio.sleep(self._every_s)

    async def _ask(self, names: list[str]) -> dict[str, int]:
        async with admin(self._kafka) as client:
            described = await client.describe_topics(names)
        return {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
