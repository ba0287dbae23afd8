"""
The lanes of one worker, following the group: who is opened, held, closed, and when.

Rebalances come as two signals. *Revoked*: every lane commits what it has folded and stands still. *Complete*: lanes of
lost partitions are closed, new ones opened in the background, the rest goes on as it is. Neither ever waits for a
changelog, or the group would evict the worker.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from services.shared.engine.chunk import Chunk
from services.shared.engine.lane.lane import Lane
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.lane.ports import LaneHost
from services.shared.engine.lane.states import LanePhase
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.position import UNKNOWN_TOPIC
from services.shared.engine.spec import LaneSpec
from services.shared.kafka.partition import TopicPartition

log = logging.getLogger(__name__)


class Lanes:
    """All lanes of one worker; used from its loop only."""

    def __init__(self, specs: Iterable[LaneSpec], host: LaneHost, metrics: EngineMetrics) -> None:
        self.specs = {spec.topic: spec for spec in specs}
        self.joined = False
        self._host = host
        self._metrics = metrics
        self._lanes: dict[TopicPartition, Lane] = {}
        self._views: dict[TopicPartition, LaneMetrics] = {}
        self._known_at: dict[TopicPartition, float] = {}
        """When the end of each lane's partition was last known, by the monotonic clock."""
        self._unknown: set[TopicPartition] = set()
        """Lanes of which it was not known at the last look."""
        self._apart: dict[TopicPartition, tuple[int, int]] = {}
        """How far the consumer has read, and how far its chunks reach, where these differed at the last look."""
        self._held: dict[TopicPartition, tuple[int, float]] = {}
        """Where a lane has read all that it may, with more behind an open transaction, and since when."""
        self._silent_s = 0.0
        self._generation: int | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, topic: str) -> dict[int, Lane]:
        """Return the lanes of a topic by partition, open or not."""
        return {partition: lane for (at, partition), lane in sorted(self._lanes.items()) if at == topic}

    def receive(self, topic: str, chunk: Chunk) -> None:
        """Hand a chunk to its lane; without one it is dropped, and read again when there is one."""
        lane = self._lanes.get((topic, chunk.partition))
        if lane is not None:
            lane.receive(chunk)

    async def hold(self) -> None:
        """Bring every lane to rest, with everything folded durable."""
        await asyncio.gather(*(lane.hold() for lane in self._lanes.values()))

    def assign(self, mine: Iterable[TopicPartition], generation: int) -> None:
        """
        Follow an assignment of the group.

        Where a generation was missed a partition may have been another's meanwhile, and what is in memory may be old:
        the group had evicted this worker. An opening is thrown away then; a lane that runs asks its own fence whether
        anybody else has opened it, and is opened anew only if so. A group that was deleted, or has expired, counts anew.
        """
        mine = set(mine)
        missed = self._generation is not None and not self._generation <= generation <= self._generation + 1
        for tp, lane in list(self._lanes.items()):
            if tp not in mine or (missed and not lane.ready):
                self._close(tp)
            elif missed:
                lane.doubt()
        for tp in sorted(mine - self._lanes.keys()):
            self._open(tp)
        for lane in self._lanes.values():
            lane.resume()
        self._generation = generation
        self.joined = True
        self._metrics.rebalances.inc()

    async def close(self) -> None:
        """Bring every lane to rest and close it."""
        await self.hold()
        for tp in list(self._lanes):
            self._close(tp)
        if self._closing:
            await asyncio.wait(self._closing)

    def not_ready(self) -> str | None:
        """Say what is missing before this worker does all its work; None if nothing is."""
        stall_s = self._host.settings.stall_s
        if self._silent_s > stall_s:
            return f"the Kafka consumer has not polled for {self._silent_s:.0f} s"
        if not self.joined:
            return "waiting for the group to assign partitions"
        for (topic, partition), lane in sorted(self._lanes.items()):
            if lane.stopped is not None:
                return str(lane.stopped)
            if not lane.ready:
                why = f", and asks again: {lane.unanswered}" if lane.unanswered else ""
                return f"lane {topic}/{partition} is {lane.phase.value}{why}"
            if self._stalled_for(lane) > stall_s:
                return f"lane {topic}/{partition} has records to fold and does not move"
            if self._held_for((topic, partition)) > stall_s:
                offset, _ = self._held[topic, partition]
                return (
                    f"lane {topic}/{partition} waits at offset {offset} behind a transaction that has been open for"
                    f" {self._held_for((topic, partition)):.0f} s: see docs/runbooks/TidemarkLaneStalled.md"
                )
            if self._unknown_for((topic, partition)) > stall_s:
                return f"nobody can say where {topic}/{partition} ends: Kafka is away, or the partition has no leader"
        return None

    def observe(
        self,
        ends: Callable[[TopicPartition], tuple[int, int] | None],
        now: float,
        silent_s: float = 0.0,
        written: Callable[[TopicPartition], int | None] = lambda _: None,
    ) -> float:
        """
        Refresh the gauges; return for how many seconds a lane has had work without moving, the longest of all.

        `ends` gives (how far it is read, end of what may be read) of a partition, None while that is not known; `silent_s` is
        for how long the consumer has not polled; `written` gives where a partition ends with its open transactions. None of
        these is part of what is returned: a lane whose partition has lost its leader, or has a transaction that does not end,
        cannot get what it has to fold, and once it can its time begins anew. A lane is not stalled while it opens, has
        nothing to fold, or has been stopped.
        """
        self._silent_s = silent_s
        longest = 0.0
        counts = {(topic, state): 0 for topic in self.specs for state in LanePhase}
        for tp, lane in self._lanes.items():
            counts[tp[0], lane.phase] += 1
            view = self._views[tp]
            known = ends(tp)
            if (known is not None or not lane.ready) and lane.unanswered is None:
                self._known_at[tp] = time.monotonic()
            if known is None:
                self._unknown.add(tp)
            elif tp in self._unknown:
                self._unknown.discard(tp)
                lane.note_behind(0)
            if known is not None and lane.phase is not LanePhase.OPENING:
                covered, end = known
                lane.note_behind(max(0, end - lane.next.offset))
                self._compare(tp, lane, covered, end)
                beyond = max(0, (written(tp) or 0) - end)
                self._hold(tp, end if beyond and covered >= end else None)
                view.lag(lane.behind + beyond, lane.queued, now)
            stalled = self._stalled_for(lane)
            view.stalled(
                max(stalled, silent_s, self._unknown_for(tp), self._held_for(tp)) > self._host.settings.stall_s
            )
            if known is not None:
                longest = max(longest, stalled)
        for (topic, state), count in counts.items():
            self._metrics.lanes.labels(topic, state.value).set(count)
        return longest

    def keep(self) -> None:
        """Have each lane keep its transactional id, however little happens in it."""
        for lane in self._lanes.values():
            lane.keep()

    def stop_damaged(self, why: Callable[[TopicPartition], str | None]) -> None:
        """Stop the lanes whose source is not read any more; `why` says so of a partition, else None."""
        for tp, lane in self._lanes.items():
            if lane.ready and (damage := why(tp)) is not None:
                lane.source_damaged(damage)

    def source_found(self, topic: str, id_: bytes) -> None:
        """Have the lanes of a topic compare their source that opened another topic of its name."""
        for lane in self.of(topic).values():
            if UNKNOWN_TOPIC not in (lane.topic_id, id_) and lane.topic_id != id_:
                lane.compare()

    def _compare(self, tp: TopicPartition, lane: Lane, covered: int, end: int) -> None:
        """
        Have a lane compare its source where the consumer stands elsewhere than its chunks end, at two looks in a row.

        A consumer whose next records are gone, or whose topic is another, goes on at the first that is there. Until one
        comes, no chunk tells. Nor does one where a lane that is being rebuilt loses the end of what it has to fold in silence.
        """
        if lane.ready and end < lane.quiet_until:
            lane.compare()
        apart = (covered, lane.received)
        if not lane.ready or lane.queued or covered == lane.received:
            self._apart.pop(tp, None)
        elif self._apart.get(tp) != apart:
            self._apart[tp] = apart
        else:
            del self._apart[tp]
            lane.compare()

    @staticmethod
    def _stalled_for(lane: Lane) -> float:
        """Return for how many seconds a lane has had work without moving."""
        if not lane.ready or not lane.behind:
            return 0.0
        return time.monotonic() - lane.moved_at

    def _unknown_for(self, tp: TopicPartition) -> float:
        """
        Return for how many seconds it has not been known whether a lane has work, or from what it is to open.

        A lane that moves is known to have some.
        """
        return time.monotonic() - max(self._known_at[tp], self._lanes[tp].moved_at)

    def _hold(self, tp: TopicPartition, offset: int | None) -> None:
        """Note where an open transaction holds a lane up; None: nowhere."""
        if offset is None:
            self._held.pop(tp, None)
        elif self._held.get(tp, (-1, 0.0))[0] != offset:
            self._held[tp] = offset, time.monotonic()

    def _held_for(self, tp: TopicPartition) -> float:
        """Return for how many seconds one and the same open transaction has held a lane up."""
        held = self._held.get(tp)
        return 0.0 if held is None else time.monotonic() - held[1]

    def _open(self, tp: TopicPartition) -> None:
        topic, partition = tp
        self._known_at[tp] = time.monotonic()
        view = self._views[tp] = LaneMetrics(self._metrics, topic, partition)
        lane = self._lanes[tp] = Lane(self.specs[topic], partition, self._host, view)
        lane.start()

    def _close(self, tp: TopicPartition) -> None:
        lane = self._lanes.pop(tp)
        self._views.pop(tp).forget()
        self._unknown.discard(tp)
        self._apart.pop(tp, None)
        self._held.pop(tp, None)
        log.info("lane_closed", extra={"topic": tp[0], "partition": tp[1]})
        lane.abandon()  # its processor is not called again
        if lane.spec.closed is not None:
            lane.spec.closed(tp[1])
        task = asyncio.create_task(lane.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
