"""
How a lane comes to its state: a new core from the changelogs, at the position where they end.

The position is believed only after it has been compared with the group's offset and with what exists of the source.
"""

from __future__ import annotations

import asyncio
import logging

from services.shared.engine.collector import collector
from services.shared.engine.errors import SourceGap
from services.shared.engine.fold import LaneFold
from services.shared.engine.lane_metrics import LaneMetrics
from services.shared.engine.position import Position
from services.shared.engine.raises import Raises
from services.shared.engine.restore import restore
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec
from services.shared.engine.start import start
from services.shared.engine.surroundings import Surroundings

log = logging.getLogger(__name__)


async def open_fold(
    spec: LaneSpec, partition: int, around: Surroundings, metrics: LaneMetrics, raises: Raises
) -> tuple[LaneFold, bool]:
    """
    Restore a new core and return it at the first record that is not durable; its writer has to be started before.

    Appends that may not have been acknowledged in a former life are written again. The second value says whether the
    source is read from elsewhere by itself, since the group's offset is another.

    Raises:
        ChangelogBehind, SourceBehind, SourceGap, SourceRecreated: the changelogs and the source do not fit together.
        NotThisVersion: a newer version wrote the changelogs.
    """
    with collector.rest():
        loaded = await around.load(spec, partition)
        restoring = restore(spec, partition, loaded.stores)
        while True:
            try:
                next(restoring)
            except StopIteration as done:
                core, held, appends = done.value
                break
            await asyncio.sleep(0)
    metrics.loaded(loaded.records)
    bounds = await around.bounds(spec.topic, partition)
    try:
        position = start(spec.topic, partition, held, bounds)
    except SourceGap as gap:
        position = accept(gap, around.settings, metrics)
    await around.append(appends)
    raises.restored(position.offset)
    fold = LaneFold(
        spec,
        partition,
        core,
        position,
        raises=raises,
        topic_id=bounds.topic_id,
        limits=around.limits,
        accept_gap=around.settings.accept_gap,
        most_bytes=around.settings.transaction_bytes,
    )
    return fold, held is not None and bounds.committed != position.offset


def accept(gap: SourceGap, settings: EngineSettings, metrics: LaneMetrics) -> Position:
    """
    Return the position behind records that the source no longer has, where the operator allows to go on there.

    Raises:
        SourceGap: the operator does not.
    """
    if not settings.accept_gap:
        raise gap
    where = {"topic": gap.topic, "partition": gap.partition, "from": gap.expected, "to": gap.found}
    log.warning("gap_accepted", extra=where)
    metrics.gap()
    return Position(gap.found)
