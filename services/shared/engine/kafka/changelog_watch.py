"""
Whether the topics of the lanes are still those that they opened, asked of the cluster once a minute.

A lane that runs has its state in memory and folds rightly on, whatever becomes of its changelogs. What was lost shows at
its next start, perhaps when the source no longer reaches back far enough to fold it anew. So of a changelog this only tells, by a
metric that has an alert, and stops nothing.

Of a source it tells the lanes. One that was recreated, and filled beyond their position before they fetched again, shows in
no offset.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from aiokafka import TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.spec import LaneSpec
from services.shared.kafka.clients import admin, consumer
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topic_configs import configs
from services.shared.kafka.topic_ids import NO_ID, topic_id

log = logging.getLogger(__name__)

_EVERY_S = 60.0
_ANSWER_WITHIN_S = 10.0


class ChangelogWatch:
    """The changelogs of some lanes, compared with what was found of them first, and their sources."""

    def __init__(
        self,
        kafka: KafkaSettings,
        specs: Iterable[LaneSpec],
        metrics: EngineMetrics,
        source: Callable[[str, bytes], None],
    ) -> None:
        """Call `source` with each source and its id at each look. Nothing is asked before `run` or `look`."""
        specs = list(specs)
        self._kafka = kafka
        self._sources = sorted(spec.topic for spec in specs)
        self._source = source
        self._names = sorted({changelog for spec in specs for changelog in spec.stores.values()})
        self._metrics = metrics
        self._ids: dict[str, bytes] = {}
        self._told: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Look until cancelled; a question without an answer leaves the metric as it was."""
        while True:
            try:
                async with asyncio.timeout(_ANSWER_WITHIN_S):
                    await self.look()
            except Exception as error:  # noqa: BLE001 - whether the cluster answers is told by others
                log.warning("changelogs_unknown", extra={"error": repr(error)})
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> None:
        """Ask once, and set the metric."""
        full = {name: self._kafka.scoped(name) for name in (*self._names, *self._sources)}
        async with admin(self._kafka) as client:
            ids: dict[str, bytes] = {}
            for name, full_name in full.items():
                with suppress(UnknownTopicOrPartitionError):  # it is away just now
                    ids[name] = await topic_id(client, full_name)
            settings = await configs(client, [full[name] for name in self._names])
            described = await client.describe_topics([full[name] for name in self._names])
        for name in self._sources:
            if name in ids:
                self._source(name, ids[name])
        for name in self._names:
            id_ = ids.get(name, NO_ID)
            if id_ != NO_ID:  # else the cluster has no ids, or the topic is away
                self._tell(name, "recreated", changed=self._ids.setdefault(name, id_) != id_)
            if policy := settings.get(full[name], {}).get("cleanup.policy"):
                self._tell(name, "policy", changed=policy != "compact")
        # Last: a partition without a leader gives no answer.
        begins = await self._begins({topic["topic"]: len(topic["partitions"]) for topic in described})
        for name in self._names:
            if full[name] in begins:
                self._tell(name, "cut", changed=begins[full[name]] > 0)

    async def _begins(self, partitions: Mapping[str, int]) -> dict[str, int]:
        """Return the largest first offset of the partitions of each topic, all by their full names."""
        asked = [TopicPartition(topic, partition) for topic, count in partitions.items() for partition in range(count)]
        client = consumer(self._kafka)
        try:
            await client.start()
            found = await client.beginning_offsets(asked) if asked else {}
        finally:
            await client.stop()
        return {topic: max(at for tp, at in found.items() if tp.topic == topic) for topic in {tp.topic for tp in found}}

    def _tell(self, changelog: str, what: str, *, changed: bool) -> None:
        self._metrics.changelog_changed.labels(changelog, what).set(changed)
        if changed and (changelog, what) not in self._told:
            log.error("changelog_changed", extra={"changelog": changelog, "what": what})
        (self._told.add if changed else self._told.discard)((changelog, what))
