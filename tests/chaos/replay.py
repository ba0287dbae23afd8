"""
Replay the log in memory, and compare what it gives with what the services put out.

What the services have put out so far is compared between two replays: of the log as it was before, all of which must
be there, and of the log as it is afterwards, of which it must be the beginning, key by key and byte by byte.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import alerter_lanes
from services.alerter.rule_files import load_rules
from services.scorer.lanes import usage_lanes
from services.scorer.settings import ScorerSettings, load_scoring
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import Cuts, MemoryRunner
from services.shared.kafka.reading import ends, scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import load
from tests.support.waiting import until

SOURCE = "usage-events"
SIGNALS = ("risk-signals", "expansion-signals")
OUTPUTS = ("account-health", *SIGNALS)

Outputs = dict[tuple[str, bytes | None], list[bytes | None]]
"""Values of each topic and key, in their order."""


class Replay:
    """One quiet run over the same log, which can be taken further as the log grows."""

    def __init__(self, kafka: KafkaSettings) -> None:
        """Start before the first record."""
        self._kafka = kafka
        self._log = MemoryLog(kafka.partitions)
        self._next: dict[int, int] = dict.fromkeys(range(kafka.partitions), 0)
        plan, model = load_scoring(load(ScorerSettings))
        lanes = [
            usage_lanes(kafka.partitions, plan, model),
            alerter_lanes(load_rules(), AlerterMetrics(CollectorRegistry())),
        ]
        self._runner = MemoryRunner(self._log, lanes, Cuts(chunk=(997, 61), transaction=3))

    async def to_the_end(self) -> Outputs:
        """Read on to the present end of the log, fold that, and return all outputs."""
        stop = await ends(self._kafka, SOURCE)
        async for record in scan(self._kafka, SOURCE, start=self._next, stop=stop):
            self._log.append(SOURCE, record.key, record.value, record.partition, appended_at=record.timestamp)
        self._next = stop
        await asyncio.to_thread(self._runner.run)
        return self._outputs()

    def _outputs(self) -> Outputs:
        found: Outputs = defaultdict(list)
        for topic in OUTPUTS:
            for record in self._log.records(topic):
                found[topic, record.key].append(record.value)
        return dict(found)


async def put_out(kafka: KafkaSettings) -> Outputs:
    """Return what the services have put out, as far as it is committed."""
    found: Outputs = defaultdict(list)
    for topic in OUTPUTS:
        settled = await ends(kafka, topic, committed=True)
        async for record in scan(kafka, topic, stop=settled):
            found[topic, record.key].append(record.value)
    return dict(found)


def beyond(long: Mapping[tuple[str, bytes | None], list[bytes | None]], short: Outputs) -> list[str]:
    """Return the topics and keys whose values in `short` are not the first ones in `long`."""
    return [
        f"{topic} of {(key or b'').decode()}"
        for (topic, key), values in sorted(short.items(), key=repr)
        if long.get((topic, key), [])[: len(values)] != values
    ]


async def differences(kafka: KafkaSettings, within_s: float = 60.0) -> tuple[list[str], int]:
    """Compare; return the topics and keys that differ, and how many signals there are."""
    replay = Replay(kafka)
    least = await replay.to_the_end()
    real = await put_out(kafka)

    async def all_there() -> bool:
        nonlocal real
        real = await put_out(kafka)
        return not beyond(real, least)

    try:
        await until(all_there, within_s)
    except TimeoutError:
        return beyond(real, least), _signals(real)
    most = await replay.to_the_end()
    return beyond(most, real), _signals(real)


def _signals(outputs: Outputs) -> int:
    return sum(len(values) for (topic, _), values in outputs.items() if topic in SIGNALS)
