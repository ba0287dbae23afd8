"""
What a lane does by itself in each of its states: it opens, runs, stands still, checks, reopens, asks, stops.

Failure is of three kinds: a record (dead-lettered, the lane is restored where its state is in doubt), the lane
(`LaneStopped`: it waits for an operator), the process (everything else: fail-stop). That a partition has no leader is
none: nothing is in memory yet while a lane opens, and a new process would know no more, so it asks again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

from services.shared.engine.errors import FailStop, FoldRaised, LaneStopped, Unanswered
from services.shared.engine.fold.failure_policy import Patience
from services.shared.engine.fold.raises import Raises
from services.shared.engine.fold.runner import LaneRunner
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.lane.commits import Commits
from services.shared.engine.lane.feeding import Feeding
from services.shared.engine.lane.intake import Intake
from services.shared.engine.lane.look_ahead import look_ahead
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.lane.ownership import Ownership
from services.shared.engine.lane.ports import LaneHost
from services.shared.engine.lane.recovery import recover
from services.shared.engine.lane.states import IllegalMove, LaneEvent, LaneLife, LaneState
from services.shared.engine.spec import LaneSpec
from services.shared.kafka.asking import AGAIN_AFTER_S, passes

log = logging.getLogger(__name__)

RESTORES_WITHIN_S = 600.0
"""The time in which the restores of a lane are bounded."""

_Answer = TypeVar("_Answer")


class _TakenOver(Exception):
    """Another owner has opened the lane while this one stood still."""


class LaneWork:
    """The parts of one lane, and the task that moves them (`run`)."""

    def __init__(self, spec: LaneSpec, partition: int, host: LaneHost, metrics: LaneMetrics) -> None:
        """Begin in OPENING, with nothing."""
        self.life = life = LaneLife()
        self.stopped: LaneStopped | None = None
        self.unanswered: KafkaError | None = None
        """Why the lane asks Kafka again before it can open; None while it does not."""
        self.moved_at = time.monotonic()
        self.runner: LaneRunner | None = None
        """None before the first opening and while the lane is opened again."""
        self.intake = intake = Intake(spec.topic, partition, host)
        self.ownership = ownership = Ownership(lambda: host.writer(spec, partition))
        self.commits = commits = Commits(ownership, host, metrics, moved=self.moved, wake=life.wake)
        self._spec = spec
        self._partition = partition
        self._host = host
        self._metrics = metrics
        self._name = {"topic": spec.topic, "partition": partition}
        most = host.settings
        self._raises = Raises(
            f"{spec.topic}/{partition}", Patience(most.max_raises, most.max_restores, RESTORES_WITHIN_S)
        )
        self.feeding = Feeding(life, intake, commits, host, metrics, pause=self._pause, moved=self.moved)

    async def run(self) -> None:
        """Open the lane and let it live until it stops or is cancelled; an error of unknown effect ends the process."""
        try:
            try:
                await self._open()
                while True:
                    await self._turn()
            except LaneStopped as stopped:
                self._take_nothing(stopped, LaneEvent.STOP)
        except asyncio.CancelledError:
            # `abandon` closes the lane before it cancels: otherwise a library cancelled what it should not have.
            if self.life.state is not LaneState.CLOSED:
                self._host.fail(FailStop(f"the task of lane {self._spec.topic}/{self._partition} was cancelled"))
            raise
        except Exception as error:  # noqa: BLE001 - an error of unknown effect ends the process
            if self.life.state is not LaneState.CLOSED:  # there a cancellation got lost, and nothing can be committed
                self._host.fail(error)

    async def _turn(self) -> None:
        """Do the next thing there is to do, whatever the state, or wait for it."""
        try:
            try:
                self.life.look()
                if self.life.state is not LaneState.RUNNING:
                    await self._pause()
                await self.feeding.turn(self._must_run())
            except LaneStopped as stopped:
                if stopped.clean:
                    await self.commits.flush(self._must_run())
                if not isinstance(stopped, Unanswered):
                    raise
                await self._ask(stopped)
        except FoldRaised as raised:
            await self._reopen(raised)
        except _TakenOver:
            await self._open_anew()

    async def _open(self) -> None:
        began = time.monotonic()
        elsewhere = await self._restore(self._host.openings)
        if elsewhere and not self.intake.reaches(self.intake.received):
            # Without the group's offset Faust reads from the beginning: that may be 400 days to skip.
            await self.intake.read_from(self.intake.received)
        self.intake.compared()
        self.life.move(LaneEvent.OPENED)
        self.moved()
        self._metrics.opened(time.monotonic() - began)
        offset, step = self._must_run().position
        log.info("lane_opened", extra={**self._name, "offset": offset, "step": step})

    async def _restore(self, place: AbstractAsyncContextManager[Any]) -> bool:
        """
        Build a new processor from the changelogs, and take chunks from its position on; return whether a seek is needed.

        A new writer comes first, also when the lane was ours before: starting it fences a former owner, and returns
        only when the end of the last transaction has reached every partition. A commit that has been acknowledged
        may not yet be visible in the changelogs.
        """
        self.intake.received = -1
        await self._answered(lambda: self.ownership.claim(self._until_resumed))
        runner, elsewhere = await self._answered(
            lambda: recover(self._spec, self._partition, self._host, self._metrics, self._raises, place)
        )
        self.runner = runner
        self.commits.restart(runner.transaction.position)
        if runner.position != runner.transaction.position:
            self.commits.start_clock()
        self.intake.received = runner.offset
        return elsewhere

    async def _answered(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Ask Kafka for as long as the lane is wanted, until it can tell."""
        while True:
            try:
                answer = await ask()
            except KafkaError as error:
                if not passes(error):
                    raise
                log.warning("lane_asks_again", extra={**self._name, "error": repr(error)})
                self.unanswered = error
            else:
                self.unanswered = None
                return answer
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _until_resumed(self) -> None:
        while self.life.state is LaneState.OPENING_HELD:
            self.life.look()
            await self.life.woken()
        if self.life.state is LaneState.CLOSED:
            raise IllegalMove("a lane that is closed cannot fence")

    async def _pause(self) -> None:
        """
        Do what the group has asked for, until the lane is running again.

        Raises:
            _TakenOver: another owner has opened the lane meanwhile.
            FoldRaised: the processor cannot give its changes.
        """
        while (state := self.life.state) is not LaneState.RUNNING:
            if state is LaneState.HOLDING:
                await self.commits.flush(self._must_run())
                if self.life.state is LaneState.HOLDING:
                    self.life.move(LaneEvent.SETTLED)
            elif state is LaneState.HELD:
                self.life.look()
                await self.life.woken()
            elif state is LaneState.CHECKING:
                await self._check()
            else:
                raise IllegalMove(f"a lane that is {state.value} cannot pause")
        self.moved()

    async def _check(self) -> None:
        """Make sure that nobody has had the lane meanwhile. Everything folded is durable here."""
        await self.commits.settle()
        runner = self._must_run()
        until = runner.transaction.quiet_until  # the group's offset is written once more, and what stands beside it
        asked = Transaction(self.commits.durable, runner.topic_id, runner.state_ids, quiet_until=until)
        if not await self.ownership.still_owns(asked):
            raise _TakenOver
        if self.life.state is LaneState.CHECKING:
            self.life.move(LaneEvent.CHECKED)

    async def _open_anew(self) -> None:
        """Throw away what is in memory: another owner has folded on."""
        log.warning("lane_was_anothers", extra=self._name)
        self.life.move(LaneEvent.TAKEN_OVER)
        self.runner = None
        self.intake.clear()
        await self._open()
        await self.intake.read_from(self.intake.received)

    async def _reopen(self, error: FoldRaised) -> None:
        """
        Throw the processor away and restore it, and fold again what is not durable.

        Raises:
            TooManyRaises: a restore would not help.
        """
        await self.commits.settle()
        self.life.move(LaneEvent.RAISED)
        runner, self.runner = self._must_run(), None  # in an unknown state: nothing of it may be committed
        where = {**self._name, "offset": error.offset, "step": error.step}
        log.error("fold_raised", extra=where, exc_info=error.cause)
        runner.blame(error, time.monotonic())
        self._metrics.reopened()
        await self._restore(nullcontext())
        self.life.move(LaneEvent.OPENED)
        self.moved()
        await self.intake.read_from(self.intake.received)

    async def _ask(self, asked: Unanswered) -> None:
        """Stand still before a record that asks until the answer comes, and go on there."""
        if self.life.state is not LaneState.RUNNING:
            await self._pause()
        runner = self._must_run()
        self._take_nothing(asked, LaneEvent.ASKED)
        try:
            answer = await look_ahead(runner, self._host)
        except LaneStopped:
            self._metrics.goes_on()  # it stands still for another reason from now on
            raise
        log.info("lane_goes_on", extra={**self._name, "offset": runner.offset, "answered_at": answer.offset})
        self._metrics.goes_on()
        self.stopped = None
        self.life.move(LaneEvent.ANSWERED)
        self.moved()
        await self.intake.read_from(runner.offset)

    def _take_nothing(self, stopped: LaneStopped, event: LaneEvent) -> None:
        self.life.move(event)
        log.critical("lane_stopped", extra={**self._name, "reason": stopped.reason, "detail": str(stopped)})
        self.stopped = stopped
        self._metrics.stopped(stopped.reason)
        self.intake.clear()

    def _must_run(self) -> LaneRunner:
        if self.runner is None:
            raise RuntimeError("the lane is not open")
        return self.runner

    def moved(self) -> None:
        """Note that the lane has moved just now."""
        self.moved_at = time.monotonic()
