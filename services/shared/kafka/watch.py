"""
Whether the cluster answers, and whether its topics are still there, with the partitions that they had.

One question every few seconds, on a new connection, through the bootstrap list. A process whose cluster does not answer is not ready; after
`liveness_s` it is not alive either, so that whatever supervises it starts a new one. A topic that has grown while
processes run is noticed within 20 s, most often within 10, and the process ends. One that is gone, or that the process may not
see any more, is named; the process goes on once it is back, since it may not need it just now.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError

from services.shared.errors import Misfit
from services.shared.kafka.cause import find_cause
from services.shared.kafka.clients import admin
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topics import absence, other_count

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
        self._why_at = clock()
        self._absent: dict[str, str] = {}
        self._looked: dict[str, str] = {}
        """What was absent at the last look alone: a broker that has just started may not know a topic yet."""

    def answered(self) -> None:
        """Note that a broker has answered just now."""
        self._answered_at = self._clock()

    def not_ready(self) -> str | None:
        """Return that Kafka does not answer, or which topics are absent, in words; None while all is there."""
        return self._away_for(_AWAY_S) or "; ".join(self._absent.values()) or None

    def absent(self) -> Mapping[str, str]:
        """Return the topics (without prefix) that are absent now, each with what is wrong and what to do."""
        return self._absent

    def why(self) -> str:
        """Return why a question got no answer lately, empty where all did: brokers may be away while others answer."""
        return self._why if self._clock() - self._why_at < _AWAY_S else ""

    def not_alive(self) -> str | None:
        """Return the same once it has gone on for so long that a new process may do better."""
        return self._away_for(self._liveness_s)

    def _away_for(self, at_least_s: float) -> str | None:
        away = self._clock() - self._answered_at
        if away <= at_least_s:
            return None
        return f"Kafka has not answered for {away:.0f} s" + (f": {self._why}" if self._why else "")

    async def run(self, partitions: Mapping[str, int]) -> None:
        """
        Ask until cancelled; `partitions` has the number that each topic (without prefix) of this process has to have.

        Raises:
            Misfit: a topic has another number of partitions now.
        """
        expected = {self._kafka.scoped(topic): count for topic, count in partitions.items()}
        names = {self._kafka.scoped(topic): topic for topic in partitions}
        while True:
            try:
                async with asyncio.timeout(_ANSWER_WITHIN_S):
                    described = await self._ask(list(expected))
            except Exception as error:  # noqa: BLE001 - a watch that has ended would make a process look dead
                cause = await find_cause(self._kafka)
                late = f"no answer within {_ANSWER_WITHIN_S:.0f} s" if isinstance(error, TimeoutError) else repr(error)
                self._why, self._why_at = cause.text if cause else late, self._clock()
                log.warning("cluster_does_not_answer", extra={"cause": self._why})
            else:
                self.answered()
                found = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
                self._note({names[topic["topic"]]: said for topic in described if (said := _said(topic)) is not None})
                problems = [
                    other_count(name, found[name], count)
                    for name, count in expected.items()
                    if found.get(name, count) != count
                ]
                if problems:
                    raise Misfit(problems)
            await asyncio.sleep(self._every_s)

    def _note(self, absent: dict[str, str]) -> None:
        """Take what is absent at this look; it counts from the second look in a row."""
        lasting = {topic: said for topic, said in absent.items() if topic in self._looked}
        for topic in lasting.keys() - self._absent.keys():
            log.critical("topic_is_absent", extra={"topic": topic, "detail": lasting[topic]})
        for topic in self._absent.keys() - lasting.keys():
            log.warning("topic_is_back", extra={"topic": topic})
        self._absent, self._looked = lasting, absent

    async def _ask(self, names: list[str]) -> list[dict[str, Any]]:
        async with admin(self._kafka) as client:
            described: list[dict[str, Any]] = await client.describe_topics(names)
            return described


def _said(topic: Mapping[str, Any]) -> str | None:
    """Say why a process cannot work with a topic; None where it can, or may in a moment."""
    name, code = topic["topic"], topic["error_code"]
    if code == UnknownTopicOrPartitionError.errno:
        return f'{absence(name, code)}, and see docs/operating.md, "Somebody deleted a topic"'
    return absence(name, code) if code == TopicAuthorizationFailedError.errno else None
