"""
Whether the topics of the lanes are still those that they opened, and have the settings that they need: looked at once a minute.

A lane that runs has its state in memory and folds rightly on, whatever becomes of its changelogs. What was lost shows at
its next start, perhaps when the source no longer reaches back far enough to fold it anew. A log whose retention somebody has
shortened loses records within minutes that no replay brings back. So of these this only tells, by a metric that has an alert, and
stops nothing.

Of a source it also tells the lanes. One that was recreated, and filled beyond their position before they fetched again, shows
in no offset.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from aiokafka import TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from schemas.topics import TOPICS
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.spec import LaneSpec
from services.shared.kafka.clients import admin, consumer
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topic_configs import configs, drift
from services.shared.kafka.topic_ids import NO_ID, topic_id

log = logging.getLogger(__name__)

_EVERY_S = 60.0
_ANSWER_WITHIN_S = 10.0


class TopicWatch:
    """The topics of some lanes, compared with their records, and the changelogs with what was found of them first."""

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
        self._changelogs = sorted({changelog for spec in specs for changelog in spec.stores.values()})
        outputs = {output for spec in specs for output in spec.outputs}
        self._names = sorted({*self._sources, *self._changelogs, *outputs})
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
                log.warning("topics_unknown", extra={"error": repr(error)})
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> None:
        """Ask once, and set the metric."""
        full = {name: self._kafka.scoped(name) for name in self._names}
        cut = [full[name] for name in self._changelogs]
        async with admin(self._kafka) as client:
            ids: dict[str, bytes] = {}
            for name in {*self._changelogs, *self._sources}:
                with suppress(UnknownTopicOrPartitionError):  # it is away just now
                    ids[name] = await topic_id(client, full[name])
            settings = await configs(client, list(full.values()))
            described = await client.describe_topics(cut)
        for name in self._sources:
            if name in ids:
                self._source(name, ids[name])
        for name in self._changelogs:
            id_ = ids.get(name, NO_ID)
            if id_ != NO_ID:  # else the cluster has no ids, or the topic is away
                self._tell(name, "recreated", changed=self._ids.setdefault(name, id_) != id_)
        for name in self._names:
            if full[name] in settings:
                for what, changed in self._drift(name, settings[full[name]]).items():
                    self._tell(name, what, changed=changed)
        # Last: a partition without a leader gives no answer.
        begins = await self._begins({topic["topic"]: len(topic["partitions"]) for topic in described})
        for name in self._changelogs:
            if full[name] in begins:
                self._tell(name, "cut", changed=begins[full[name]] > 0)

    def _drift(self, name: str, settings: Mapping[str, str]) -> dict[str, bool]:
        if name in TOPICS:
            return drift(TOPICS[name], settings)
        return {"policy": settings["cleanup.policy"] != "compact"} if name in self._changelogs else {}

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

    def _tell(self, topic: str, what: str, *, changed: bool) -> None:
        self._metrics.topic_changed.labels(topic, what).set(changed)
        if changed and (topic, what) not in self._told:
            log.error("topic_changed", extra={"topic": topic, "what": what})
        (self._told.add if changed else self._told.discard)((topic, what))
