"""Whatever the group asks of a lane and whenever, it moves by its table, and what becomes durable is the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.engine.fold.committed import Committed
from services.shared.engine.fold.start import Bounds
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import MemoryRunner
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.processor import SourceRecord
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec
from tests.support.examples import examples
from tests.support.waiting import until
from tests.unit.engine.lane_host import SPEC, Host, chunk, new_lanes

HOME = ("events", 0)
SETTINGS = EngineSettings(transaction_ms=1, max_raises=1000, max_restores=1000)
VALUES = st.lists(
    st.sampled_from(["1", "1", "1", "raise", "long:4", "long:9:4", "poison", "ask", "urgent"]), max_size=8
)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("feed"), VALUES),
        st.tuples(st.just("turns"), st.integers(1, 9)),
        st.tuples(st.sampled_from(["hold", "assign", "miss", "lose", "take over"]), st.none()),
        st.tuples(st.sampled_from(["writes", "loads"]), st.booleans()),
    ),
    max_size=40,
)


class Group(Host):
    """A group of one source: it fetches from where it is told to, and revokes and assigns the lane."""

    def __init__(self) -> None:
        super().__init__(log=MemoryLog(partitions=1), settings=SETTINGS)
        self.source: list[str] = []
        self.fetch_at = 0
        self.generation = 1
        self.lanes = new_lanes(self)
        self.holding: asyncio.Task[None] | None = None

    def writer(self, spec: LaneSpec, partition: int) -> Any:
        writer, group = super().writer(spec, partition), self
        start, still_owns = writer.start, writer.still_owns

        async def fence() -> None:
            group.fenced = False
            await start()

        async def still_owns_after_a_while(transaction: Transaction) -> bool:
            for _ in range(4):
                await asyncio.sleep(0)
            return bool(await still_owns(transaction))

        writer.start, writer.still_owns = fence, still_owns_after_a_while
        return writer

    async def bounds(self, _topic: str, _partition: int) -> Bounds:
        position = self.position()
        return Bounds(0, len(self.source), None if position is None else Committed(Position(position)))

    async def seek(self, _topic: str, _partition: int, offset: int) -> None:
        self.fetch_at = offset

    async def look_ahead(
        self, _topic: str, _partition: int, start: int, wanted: Callable[[SourceRecord], bool]
    ) -> tuple[SourceRecord | None, int]:
        records = (SourceRecord("events", 0, at, b"a", self.source[at].encode()) for at in range(len(self.source)))
        return next((record for record in records if record.offset >= start and wanted(record)), None), start

    def position(self) -> int | None:
        value = self.log.latest("state", 0).get(POSITION_KEY)
        return None if value is None else Position.decode(value)[0].offset

    def deliver(self) -> None:
        values = self.source[self.fetch_at : self.fetch_at + 3]
        if values:
            self.lanes.receive("events", chunk(self.fetch_at, *values))
            self.fetch_at += len(values)

    def revoke(self) -> None:
        if self.holding is None or self.holding.done():
            self.holding = asyncio.create_task(self.lanes.hold())

    async def assign(self, mine: Sequence[tuple[str, int]], *, missed: int = 0, taken: bool = False) -> None:
        """Assign as the group does: when every lane has come to rest, from the committed offset on."""
        self.revoke()
        assert self.holding is not None
        self.may_write.set()
        async with asyncio.timeout(5):
            await self.holding
        self.holding = None
        self.fenced = taken
        self.fetch_at = self.position() or 0
        self.generation += 1 + missed
        self.lanes.assign(mine, self.generation)

    async def do(self, action: str, argument: Any) -> None:
        match action:
            case "feed":
                self.source += argument
                self.deliver()
            case "turns":
                for _ in range(argument):
                    await asyncio.sleep(0)
            case "hold":
                self.revoke()
            case "assign":
                await self.assign([HOME])
            case "miss":
                await self.assign([HOME], missed=1)
            case "take over":
                await self.assign([HOME], missed=1, taken=True)
            case "lose":
                await self.assign([])
            case _:
                event = self.may_write if action == "writes" else self.may_load
                (event.set if argument else event.clear)()


async def lead(actions: Sequence[tuple[str, Any]]) -> Group:
    group = Group()
    group.lanes.assign([HOME], group.generation)
    for action, argument in actions:
        await group.do(action, argument)
        await asyncio.sleep(0)
    group.source += ["1", "answer"]
    group.may_load.set()
    await group.assign([HOME])

    def done() -> bool:
        group.deliver()
        return bool(group.failed) or group.position() == len(group.source)

    await until(done)
    await group.lanes.close()
    return group


def durable(log: MemoryLog) -> tuple[Any, ...]:
    return {**log.latest("state", 0), POSITION_KEY: b""}, log.values("out"), log.values("dead")


@settings(max_examples=examples(60), deadline=None)
@given(ACTIONS)
def test_whatever_the_group_does_and_when_a_lane_never_meets_an_event_that_its_state_does_not_know(
    actions: Sequence[tuple[str, Any]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.shared.engine.lane.look_ahead._LOOK_EVERY_S", 0)
        group = asyncio.run(lead(actions))
    undisturbed = MemoryLog(partitions=1)
    for value in group.source:
        undisturbed.append("events", b"a", value.encode())
    MemoryRunner(undisturbed, [SPEC], max_raises=1000, max_restores=1000).run()

    assert group.failed == []
    assert durable(group.log) == durable(undisturbed)
