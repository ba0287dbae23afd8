"""
How a lane comes to its state: a new processor from the changelogs, at the position where they end.

The position is believed only after it has been compared with the group's offset and with what exists of the source.
"""

from __future__ import annotations

import asyncio
import logging

from services.shared.engine.errors import SourceGap
from services.shared.engine.fold.raises import Raises
from services.shared.engine.fold.restore import Restored, restore
from services.shared.engine.fold.runner import LaneRunner
from services.shared.engine.fold.start import start
from services.shared.engine.lane.commits import Commits
from services.shared.engine.lane.gc_pause import gc_paused
from services.shared.engine.lane.intake import Intake
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.lane.ownership import Ownership
from services.shared.engine.lane.ports import LaneHost
from services.shared.engine.lane.states import LaneLife, LaneState
from services.shared.engine.position import Position
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec

log = logging.getLogger(__name__)


class Recovery:
    """How one lane is restored, when it opens and after each error that leaves its processor in an unknown state."""

    def __init__(
        self, spec: LaneSpec, partition: int, life: LaneLife, ownership: Ownership, intake: Intake, commits: Commits,
        raises: Raises, host: LaneHost, metrics: LaneMetrics,
    ) -> None:  # fmt: skip
        """Take what the lane is made of."""
        self._spec = spec
        self._partition = partition
        self._life = life
        self._ownership = ownership
        self._intake = intake
        self._commits = commits
        self._raises = raises
        self._host = host
        self._metrics = metrics

    async def run(self) -> tuple[LaneRunner, bool]:
        """
        Return a new processor at the first record that is not durable, and let intake and commits go on there.

        A new writer comes first, also when the lane was ours before: starting it fences a former owner, and returns
        only when the end of the last transaction has reached every partition. A commit that has been acknowledged
        may not yet be visible in the changelogs. Appends that may not have been acknowledged in a former life are
        written again. The second value says whether the source is read from elsewhere by itself, since the group's
        offset is another.

        Raises:
            ChangelogBehind, SourceBehind, SourceGap, SourceRecreated: the changelogs and the source do not fit together.
            NotThisVersion: a newer version wrote the changelogs.
        """
        self._intake.received = -1
        await self._ownership.claim(self._until_resumed)
        processor, held, appends = await self._load()
        bounds = await self._host.bounds(self._spec.topic, self._partition)
        settings = self._host.settings
        try:
            position = start(self._spec.topic, self._partition, held, bounds)
        except SourceGap as gap:
            position = accept(gap, settings, self._metrics)
        await self._host.append(appends)
        self._raises.restored(position.offset)
        self._commits.restart(position)
        self._intake.received = position.offset
        runner = LaneRunner(
            self._spec,
            self._partition,
            processor,
            position,
            raises=self._raises,
            topic_id=bounds.topic_id,
            limits=self._host.limits,
            accept_gap=settings.accept_gap,
            most_bytes=settings.transaction_bytes,
        )
        return runner, held is not None and bounds.committed != position.offset

    async def _until_resumed(self) -> None:
        while self._life.state is LaneState.OPENING_HELD:
            self._life.look()
            await self._life.woken()

    async def _load(self) -> Restored:
        with gc_paused():
            loaded = await self._host.load(self._spec, self._partition)
            restoring = restore(self._spec, self._partition, loaded.stores)
            while True:
                try:
                    next(restoring)
                except StopIteration as done:
                    restored: Restored = done.value
                    break
                await asyncio.sleep(0)
        self._metrics.loaded(loaded.records)
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
