"""
How a lane comes to its state: a new processor from the changelogs, at the position where they end.

The position is believed only after it has been compared with the group's offset and with what exists of the source.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from typing import Any

from aiokafka.errors import CorruptRecordException

from services.shared.engine.errors import ChangelogCut, DamagedChangelog, SourceGap, UnreadableState
from services.shared.engine.fold.committed import Committed
from services.shared.engine.fold.raises import Raises
from services.shared.engine.fold.restore import Restored, restore
from services.shared.engine.fold.runner import LaneRunner
from services.shared.engine.fold.start import is_torn, quiet_until, start
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.lane.ports import LaneHost
from services.shared.engine.position import Position
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec
from services.shared.process.garbage import gc_paused

log = logging.getLogger(__name__)


async def recover(
    spec: LaneSpec, partition: int, host: LaneHost, metrics: LaneMetrics, raises: Raises,
    place: AbstractAsyncContextManager[Any],
) -> tuple[LaneRunner, bool]:  # fmt: skip
    """
    Restore a new processor and return it at the first record that is not durable; its writer has to be started before.

    Appends that may not have been acknowledged in a former life are written again. The second value says whether the
    lane has to seek: the group's offset, from which Faust reads, is not the position. `place` is held while the
    changelogs are in memory, and by nobody who waits for the leader of a source.

    Raises:
        ChangelogBehind, ChangelogCut, ChangelogRecreated, ChangelogsApart, SourceBehind, SourceGap, SourceRecreated: the
            changelogs and the source do not fit together.
        NotThisVersion, UnreadableState, DamagedChangelog: the changelogs cannot be read.
        KafkaError: Kafka has not answered; see `services.shared.kafka.asking.passes`.
    """
    bounds = await host.bounds(spec.topic, partition)
    async with place:
        processor, held, appends = await _restored(spec, partition, host, metrics, bounds.committed)
    try:
        position = start(spec.topic, partition, held, bounds, rebuild=host.settings.rebuild)
    except SourceGap as gap:
        position = accept(gap, host.settings, metrics)
    await host.append(appends)
    told = bounds.committed
    if held is not None and told is not None and is_torn(held[0], told):
        # Another owner may have come between the two questions, which can be minutes apart: it has moved both.
        now = await host.bounds(spec.topic, partition)
        if now.committed == told:
            _tell_torn(spec, partition, held[0], told, metrics)
    until = quiet_until(position, held[0] if held is not None else None, told)
    if until is not None:
        where = {"topic": spec.topic, "partition": partition, "from": position.offset, "to": until.offset}
        log.warning("lane_rebuilds", extra=where)
    raises.restored(position.offset)
    runner = LaneRunner(
        spec,
        partition,
        processor,
        held[0] if held is not None else position,
        raises=raises,
        topic_id=bounds.topic_id,
        state_ids=bounds.state_ids,
        limits=host.limits,
        accept_gap=host.settings.accept_gap,
        most_bytes=host.settings.transaction_bytes,
        quiet_until=until,
    )
    runner.offset, runner.step = position  # behind a gap that was accepted, which is committed as a record is
    group_at = None if bounds.committed is None else bounds.committed.position.offset
    return runner, (held is not None or group_at is not None) and group_at != position.offset


def _tell_torn(spec: LaneSpec, partition: int, held: Position, committed: Committed, metrics: LaneMetrics) -> None:
    """Say that what is written in one transaction was not committed as one."""
    ahead = committed.position > held
    where = {"topic": spec.topic, "partition": partition, "changelog": held.offset, "group": committed.position.offset}
    log.warning("transaction_torn", extra={**where, "outputs": "may be there twice" if ahead else "may be missing"})
    metrics.torn()


async def _restored(
    spec: LaneSpec, partition: int, host: LaneHost, metrics: LaneMetrics, committed: Committed | None
) -> Restored:
    """Load the changelogs and restore a processor from them; what was loaded is given back on return."""
    try:
        loaded = await host.load(spec, partition)
    except CorruptRecordException as error:
        raise DamagedChangelog(spec.topic, partition, error) from error
    if loaded.cut:
        raise ChangelogCut(spec.topic, partition, loaded.cut)
    with gc_paused():
        restoring = restore(spec, partition, loaded.stores, committed)
        while True:
            try:
                next(restoring)
            except StopIteration as done:
                restored: Restored = done.value
                break
            except UnreadableState:
                log.exception("state_not_restored", extra={"topic": spec.topic, "partition": partition})
                raise
            await asyncio.sleep(0)
    metrics.loaded(loaded.records)
    return restored


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
