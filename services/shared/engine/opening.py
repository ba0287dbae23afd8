"""
How a lane comes to its state: a new core from the changelogs, at the position where they end.

The position is believed only after it has been compared with the group's offset and with what exists of the source.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from services.shared.engine.collector import collector
from services.shared.engine.errors import ChangelogBehind, SourceBehind, SourceGap
from services.shared.engine.fold import LaneFold, Raised, restore
from services.shared.engine.lane_metrics import LaneMetrics
from services.shared.engine.loader import Bounds
from services.shared.engine.position import Position
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec
from services.shared.engine.surroundings import Surroundings

log = logging.getLogger(__name__)


async def open_fold(
    spec: LaneSpec, partition: int, around: Surroundings, metrics: LaneMetrics, raised: Mapping[int, Raised]
) -> LaneFold:
    """
    Restore a new core and return it at the first record that is not durable; its writer has to be started before.

    Appends that may not have been acknowledged in a former life are written again.

    Raises:
        ChangelogBehind, SourceBehind, SourceGap: the changelogs and the source do not fit together.
        IncompatibleState: a newer version wrote the changelogs.
    """
    with collector.rest():
        loaded = await around.load(spec, partition)
        core = spec.core(partition)
        restoring = restore(core, loaded.stores, spec.position_store)
        while True:
            try:
                next(restoring)
            except StopIteration as done:
                position, appends = done.value
                break
            await asyncio.sleep(0)
    metrics.loaded(loaded.records)
    bounds = await around.bounds(spec.topic, partition)
    start = _check(spec.topic, partition, around.settings, metrics, position, bounds)
    await around.append(appends)
    accept = around.settings.accept_gap
    return LaneFold(spec, partition, core, start, raised=raised, limits=around.limits, accept_gap=accept)


def _check(
    topic: str,
    partition: int,
    settings: EngineSettings,
    metrics: LaneMetrics,
    position: Position | None,
    bounds: Bounds,
) -> Position:
    """Compare the changelog's position with the group's offset and with what exists of the source."""
    committed = bounds.committed
    if committed is not None and (position is None or committed > position.offset):
        raise ChangelogBehind(topic, partition, committed, position.offset if position else None)
    if position is None:
        return Position(bounds.earliest)
    if bounds.end < position.offset:
        raise SourceBehind(topic, partition, bounds.end, position.offset)
    if bounds.earliest > position.offset:
        return accept_gap(topic, partition, settings, metrics, position.offset, bounds.earliest)
    return position


def accept_gap(
    topic: str, partition: int, settings: EngineSettings, metrics: LaneMetrics, expected: int, found: int
) -> Position:
    """
    Go on behind records that the source no longer has, where the operator allows it.

    Raises:
        SourceGap: the operator does not.
    """
    if not settings.accept_gap:
        raise SourceGap(topic, partition, expected, found)
    log.warning("gap_accepted", extra={"topic": topic, "partition": partition, "from": expected, "to": found})
    metrics.gap()
    return Position(found)
