"""
What a lane does while it is running: it takes chunks, folds them, and commits what they did.

Between two stretches of records, and two steps of a long fold, it gives the other tasks of the loop a turn, and heeds what
the group has asked for meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiokafka.errors import KafkaError

from services.shared.engine.chunk import Chunk
from services.shared.engine.errors import LaneStopped, SourceGap
from services.shared.engine.fold.runner import LaneRunner
from services.shared.engine.fold.start import check, check_id, check_silence
from services.shared.engine.lane.commits import Commits
from services.shared.engine.lane.intake import Intake, Missed
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.lane.ports import LaneHost
from services.shared.engine.lane.recovery import accept
from services.shared.engine.lane.states import LaneLife, LaneState
from services.shared.engine.processor import SourceRecord
from services.shared.kafka.asking import AGAIN_AFTER_S, passes

log = logging.getLogger(__name__)

_YIELD_EVERY = 500
"""Records folded before the other tasks of the loop get a turn."""
_COVERED_WITHIN_S = 60.0
"""A position that only markers have moved is committed with the next records, or after this time without any."""


class Feeding:
    """From the intake of one lane through its runner to its commits."""

    def __init__(
        self, life: LaneLife, intake: Intake, commits: Commits, host: LaneHost, metrics: LaneMetrics, *,
        pause: Callable[[], Awaitable[None]], moved: Callable[[], None],
    ) -> None:  # fmt: skip
        """Call `pause` where the lane is not running any more, until it is again, and `moved` after each chunk."""
        self._life = life
        self._intake = intake
        self._commits = commits
        self._host = host
        self._metrics = metrics
        self._pause = pause
        self._moved = moved
        self._compare_at: float | None = None
        """When the source has to be compared with what came, before anything more is taken; None where it agrees."""

        self._at_end: LaneStopped | None = None
        """With what the lane stops when it has folded all that was delivered; None: it does not."""

    def stop_at_end(self, reason: LaneStopped) -> None:
        """Stop the lane once all that was delivered is folded."""
        self._at_end = reason

    def compare(self) -> None:
        """Compare the source with what came before anything more is taken."""
        if self._compare_at is None:
            self._compare_at = time.monotonic()

    async def turn(self, runner: LaneRunner) -> None:
        """
        Do the next thing there is to do, or wait for it.

        Raises:
            FoldRaised, LaneStopped: as `LaneRunner.apply` and `start.check`.
        """
        commits = self._commits
        if commits.due(runner) and not commits.under_way:
            commits.begin(runner)
        elif self._compare_at is not None:
            await self._compare(runner, self._compare_at)
        elif self._intake and not commits.full(runner):
            await self._take(runner)
        elif self._at_end is not None and not self._intake:
            raise self._at_end
        else:
            await self._life.woken()

    async def _take(self, runner: LaneRunner) -> None:
        try:
            chunk = self._intake.take()
        except Missed:
            self._metrics.missed()
            self._compare_at = time.monotonic()
            return
        if chunk is None:
            return
        await self._fold_chunk(runner, chunk)
        if chunk.records:
            self._metrics.folded_until(chunk.timestamp / 1000)
        await asyncio.sleep(0)

    async def _fold_chunk(self, runner: LaneRunner, chunk: Chunk) -> None:
        topic, partition, commits, life = runner.spec.topic, runner.partition, self._commits, self._life
        if chunk.records:
            commits.start_clock()
        # By the tuple's own constructor, which takes half as long: this is done for each record of the log.
        new = tuple.__new__
        records = (new(SourceRecord, (topic, partition, r.offset, r.key, r.value, r.timestamp)) for r in chunk.records)
        gaps = runner.gaps
        for _ in runner.apply(records, _YIELD_EVERY):
            if life.state is not LaneState.RUNNING:
                await self._pause()
            if commits.due(runner):
                if commits.under_way and commits.full(runner):
                    await commits.settle()
                if not commits.under_way:
                    commits.begin(runner)
            commits.start_clock()
            await asyncio.sleep(0)
        runner.cover(chunk.end)
        if not runner.pending and runner.position != runner.transaction.position:
            commits.start_clock(_COVERED_WITHIN_S)
        if runner.gaps > gaps:
            self._metrics.gap(runner.gaps - gaps)
        self._moved()

    async def _compare(self, runner: LaneRunner, at: float) -> None:
        """Find out why what came does not meet what was there; where Kafka cannot tell, ask again a little later."""
        if (wait := at - time.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._life.woken()
            return
        try:
            await self._read_again(runner)
        except KafkaError as error:
            if not passes(error):
                raise
            where = {"topic": runner.spec.topic, "partition": runner.partition}
            log.warning("lane_asks_again", extra={**where, "error": repr(error)})
            self._compare_at = time.monotonic() + AGAIN_AFTER_S
        else:
            self._compare_at = None

    async def _read_again(self, runner: LaneRunner) -> None:
        """What came does not meet what was there: read from there again, unless the log itself has lost it."""
        topic, partition = runner.spec.topic, runner.partition
        bounds = await self._host.bounds(topic, partition)
        check_id(topic, partition, runner.topic_id, bounds.topic_id)
        check_silence(topic, partition, runner.transaction.quiet_until, bounds)
        try:
            check(topic, partition, self._intake.received, bounds)
        except SourceGap as gap:
            runner.offset, runner.step = accept(gap, self._host.settings, self._metrics)
            self._commits.start_clock()
            self._intake.received = runner.offset
        await self._intake.read_from(self._intake.received)
