"""
A worker: it joins the group, runs the lanes of the partitions that it gets, and ends with the process.

    worker = Worker("scorer", [spec], kafka, engine, registry)
    await worker.run()          # returns after `stop`; at a fail-stop the process ends inside it

`open_lanes(topic)` shows the lanes to tasks that run beside it, such as a ticker; `not_ready()` is for /readyz.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from services.shared import logging as logs
from services.shared.engine.errors import EXIT_FAIL_STOP, EXIT_REFUSED, FailStop, InstanceTaken
from services.shared.engine.faust_seam.app import TP, App, consumer_of, make_app
from services.shared.engine.fold.start import Bounds
from services.shared.engine.kafka import changelog
from services.shared.engine.kafka.cluster import learn
from services.shared.engine.kafka.ends import Ends
from services.shared.engine.kafka.topic_watch import TopicWatch
from services.shared.engine.kafka.writer import LaneWriter
from services.shared.engine.lane.lane import Lane
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.processor import Append, SourceRecord
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec
from services.shared.engine.worker.appender import Appender
from services.shared.engine.worker.lanes import Lanes
from services.shared.engine.worker.membership import Membership
from services.shared.engine.worker.watchdog import Watchdog
from services.shared.errors import IncompatibleState, Misfit
from services.shared.kafka.asking import until_answered
from services.shared.kafka.clients import producer, tell_log
from services.shared.kafka.partition import TopicPartition
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.watch import ClusterWatch
from services.shared.process.garbage import collect_less_often
from services.shared.settings import ProcessSettings

log = logging.getLogger(__name__)

_STOP_WITHIN_S = 20.0
"""Supervisors kill what has not ended 25 s after SIGTERM."""
_LAST_RESORT_S = 22.0
"""After this the process ends although its loop stands still."""
_LOOK_EVERY_S = 1.0
_SEEK_WITHIN_S = 30.0
"""After this the lane finds out by its next chunk, and asks again."""

_Answer = TypeVar("_Answer")


class Worker:
    """One member of a group, with its lanes. Make it and use it in one event loop."""

    def __init__(
        self, name: str, specs: Iterable[LaneSpec], kafka: KafkaSettings, engine: EngineSettings,
        registry: CollectorRegistry, process: ProcessSettings | None = None, *,
        leave: Callable[[int], Any] = os._exit,
    ) -> None:  # fmt: skip
        """Take the group's name without prefix; `leave` ends the process with a status."""
        self.name = name
        self.kafka = kafka
        self.settings = engine
        self.limits: dict[str, int] = {}
        self.partitions: dict[str, int] = {}
        self.openings = asyncio.Semaphore(engine.openings)
        self.metrics = EngineMetrics(registry)
        self.lanes = Lanes(specs, self, self.metrics)
        self.failed: BaseException | None = None
        self._process = process or ProcessSettings()
        self._membership = Membership(kafka, name, engine, self._process)
        self._cluster = ClusterWatch(kafka, self._process.liveness_s)
        self._leave = leave
        self._stopping = asyncio.Event()
        self._waits_for: str | None = None
        """What the start waits for; None while it waits for nothing, and once it is over."""
        self._tasks: list[asyncio.Task[None]] = []
        self._app: App | None = None
        self._appender = Appender(lambda: producer(kafka), kafka.scoped)

    async def run(self) -> None:
        """
        Wait for the broker, join the group and fold until `stop`.

        Raises:
            Misfit: the topics on the cluster do not fit, or another process is this member of the group.
            Fatal: no broker has answered for five minutes.
        """
        collect_less_often()
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and starting.exception() is None:
            await stopping
        stopping.cancel()
        # Faust waits for its threads with the loop standing still: only a thread sees to the end of that.
        last_resort = threading.Timer(_LAST_RESORT_S, self._leave, [EXIT_FAIL_STOP])
        last_resort.daemon = True
        last_resort.start()
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                starting.cancel()
                await asyncio.wait([starting])
                await self._shut_down()
        except TimeoutError:
            self.fail(FailStop(f"the worker did not stop within {_STOP_WITHIN_S:.0f} s"))
        finally:
            last_resort.cancel()
        if not starting.cancelled():
            starting.result()

    async def _start(self) -> None:
        self._membership.take()
        cluster = await self._answered(lambda: learn(self.kafka, self.lanes.specs.values()))
        self.limits, self.partitions = cluster.limits, cluster.partitions
        self._waits_for = f"waiting until nobody else is the group member {self._membership.instance}"
        await self._membership.wait_until_free()
        await self._answered(self._appender.start)
        self._app = make_app(
            self.name, self.lanes.specs, self.kafka, self.settings, instance=self._membership.instance,
            client_id=self._membership.client_id, data_dir=self._process.data_dir, deliver=self.lanes.receive, revoked=self._revoked, complete=self._complete,
        )  # fmt: skip
        watchdog = Watchdog(
            self._app, self.lanes, self.metrics, self.settings, Ends(self.kafka), self._tp, self.fail
        )  # fmt: skip
        self._cluster.answered()
        self._tasks = [
            asyncio.create_task(self._run_app(self._app)),
            asyncio.create_task(self._watch(watchdog.run())),
            asyncio.create_task(self._watch(self._cluster.run(self.partitions))),
            asyncio.create_task(
                TopicWatch(self.kafka, self.lanes.specs.values(), self.metrics, self.lanes.source_found).run()
            ),
            asyncio.create_task(self._watch(self._watch_place(self._app))),
        ]

    async def _answered(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        answer = await until_answered(self.kafka, ask, self._wait_for)
        self._waits_for = None
        self._cluster.answered()
        return answer

    def _wait_for(self, cause: str) -> None:
        tell_log(cause)
        self._waits_for = f"waiting for Kafka: {cause}"

    def stop(self) -> None:
        """Ask `run` to commit what is folded, leave and return."""
        self._stopping.set()

    def open_lanes(self, topic: str) -> dict[int, Lane]:
        """Return the lanes of a topic that are ready, by partition."""
        return {partition: lane for partition, lane in self.lanes.of(topic).items() if lane.ready}

    @property
    def ready(self) -> bool:
        """Whether every lane of this worker does its work."""
        return self.not_ready() is None

    def not_ready(self) -> str | None:
        """Say what is missing before this worker does all its work; None if nothing is."""
        return self._waits_for or self._cluster.not_ready() or self.lanes.not_ready()

    def not_alive(self) -> str | None:
        """Say why a new process should take this one's place; None while it should not."""
        return self._cluster.not_alive()

    def fail(self, error: BaseException) -> None:
        """End the process: only a new one can know what is durable."""
        if self.failed is not None:
            return
        self.failed = error
        refused = isinstance(error, Misfit | IncompatibleState)
        log.critical("fail_stop", exc_info=error)
        logs.flush()
        self._leave(EXIT_REFUSED if refused else EXIT_FAIL_STOP)

    # what lanes need

    def writer(self, spec: LaneSpec, partition: int) -> LaneWriter:
        """Make the writer of a lane."""
        return LaneWriter(
            self.kafka, self.name, spec, partition, limits=self.limits, partitions=self.partitions,
            timeout_s=self.settings.transaction_timeout_s,
        )  # fmt: skip

    async def load(self, spec: LaneSpec, partition: int) -> changelog.Loaded:
        """Read the changelogs of a lane."""
        return await changelog.load(self.kafka, spec.stores, partition)

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """Say what exists of the source and what the group has committed."""
        return await changelog.bounds(self.kafka, self.name, topic, partition, self.lanes.specs[topic].stores)

    async def look_ahead(
        self, topic: str, partition: int, start: int, wanted: Callable[[SourceRecord], bool]
    ) -> tuple[SourceRecord | None, int]:
        """Find a record further down the log; return it, and where to look next."""
        return await changelog.look_ahead(self.kafka, topic, partition, start, wanted)

    async def append(self, appends: Iterable[Append]) -> None:
        """Write appends outside of any transaction; return when all are acknowledged."""
        await self._appender.append(appends)

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read a partition from an offset on; if it is not ours just now, the next assignment decides."""
        if self._app is None:
            return
        try:
            async with asyncio.timeout(_SEEK_WITHIN_S):
                await consumer_of(self._app).seek_wait({self._tp((topic, partition)): offset})
        except Exception as error:  # noqa: BLE001 - whatever it is, the next chunk that does not fit asks again
            log.warning("seek_failed", extra={"topic": topic, "partition": partition, "error": repr(error)})

    def hold_fetch(self, topic: str, partition: int, hold: bool) -> None:
        """Stop or go on fetching a partition."""
        if self._app is None:
            return
        consumer = consumer_of(self._app)
        if hold:
            consumer.on_buffer_full(self._tp((topic, partition)))
        else:
            consumer.on_buffer_drop(self._tp((topic, partition)))

    # what Faust tells

    async def _revoked(self, _sender: Any, _revoked: set[TP], **_: Any) -> None:
        try:
            await self._membership.check(self._member_id())
        except InstanceTaken as error:
            self.fail(error)
        await self.lanes.hold()

    def _member_id(self) -> str:
        return consumer_of(self._app).member_id if self._app is not None else ""

    async def _watch_place(self, app: App) -> None:
        while (error := consumer_of(app).group_error) is None:
            consumer_of(app).let_it_join()
            await asyncio.sleep(_LOOK_EVERY_S)
        self.fail(await self._membership.why(error, self._member_id()))

    async def _complete(self, _sender: Any, **_: Any) -> None:
        app = self._app
        self._membership.joined(self._member_id())
        if app is None or self._stopping.is_set():
            return
        if consumer_of(app).assigned_at != app.rebalancing_count:
            return  # the next rebalance has begun: lanes stand still until it is complete
        names = {self.kafka.scoped(topic): topic for topic in self.lanes.specs}
        mine = [(names[tp.topic], tp.partition) for tp in app.consumer.assignment() if tp.topic in names]
        log.info("assigned", extra={"generation": app.consumer_generation_id, "partitions": len(mine)})
        self.lanes.assign(mine, app.consumer_generation_id)

    async def _run_app(self, app: App) -> None:
        try:
            await app.start()
            await app.wait_until_stopped()
        except Exception as error:  # noqa: BLE001 - nothing may end Faust but not the process
            self.fail(error)
            return
        if not self._stopping.is_set():
            self.fail(app.crash_reason or FailStop("Faust stopped by itself"))

    async def _watch(self, watching: Coroutine[Any, Any, None]) -> None:
        try:
            await watching
        except Exception as error:  # noqa: BLE001 - unwatched is worse than restarted
            self.fail(error)

    async def _shut_down(self) -> None:
        await self.lanes.hold()
        if self._app is not None:
            await self._app.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.lanes.close()
        await self._appender.stop()
        self._membership.give_back()
        log.info("worker_stopped", extra={"group": self.name})

    def _tp(self, lane: TopicPartition) -> TP:
        topic, partition = lane
        return TP(self.kafka.scoped(topic), partition)
