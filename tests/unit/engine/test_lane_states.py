"""The states of a lane: every pair of a state and an event, and the ways through them that a rebalance takes."""

from __future__ import annotations

import asyncio
from itertools import product

import pytest

from services.shared.engine.errors import NotThisVersion
from services.shared.engine.lane.states import MOVES, PHASES, IllegalMove, LaneEvent, LaneLife, LanePhase, LaneState
from services.shared.engine.position import Position
from services.shared.engine.processor import SourceRecord
from tests.support.waiting import until
from tests.unit.engine.lane_host import PATIENT, Host, chunk, new_lane, running, turns

# the table


@pytest.mark.parametrize(("state", "event"), list(product(LaneState, LaneEvent)))
async def test_an_event_moves_a_lane_as_the_table_says_or_raises(state: LaneState, event: LaneEvent) -> None:
    life = LaneLife()
    life.state = state
    to = MOVES[state].get(event)

    if to is None:
        with pytest.raises(IllegalMove, match=f"{state.value} cannot meet {event.value}"):
            life.move(event)
    else:
        life.move(event)

    assert life.state is (to or state)


def test_every_state_can_be_reached_and_left_for_good() -> None:
    reached, ahead = set(), [LaneState.OPENING]
    while ahead:
        state = ahead.pop()
        if state not in reached:
            reached.add(state)
            ahead.extend(MOVES[state].values())

    assert reached == set(LaneState) == set(PHASES)
    assert all(row[LaneEvent.CLOSE] is LaneState.CLOSED for row in MOVES.values())


def test_a_lane_that_is_held_runs_only_after_it_was_resumed() -> None:
    held = {LaneState.OPENING_HELD, LaneState.HOLDING, LaneState.HELD, LaneState.ASKING_HELD}
    out = {event for state in held for event, to in MOVES[state].items() if to not in held}

    assert {MOVES[state].get(LaneEvent.HOLD, LaneState.HELD) for state in LaneState} <= held | {
        LaneState.STOPPED,
        LaneState.CLOSED,
    }
    assert out == {LaneEvent.RESUME, LaneEvent.DOUBT, LaneEvent.STOP, LaneEvent.CLOSE}


# the ways of a rebalance


async def test_a_rebalance_does_not_wait_for_the_answer_to_a_record_that_asks_while_the_lane_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.shared.engine.lane.look_ahead._LOOK_EVERY_S", 0.001)
    host = Host(settings=PATIENT)
    host.may_write.clear()
    lane = await running(host)
    lane.receive(chunk(0, "1", "ask"))
    await until(lambda: "write" in host.asked)  # what comes before the record that asks is made durable first

    holding = asyncio.create_task(lane.hold())
    await turns()
    assert not holding.done()
    host.may_write.set()
    async with asyncio.timeout(1):
        await holding
    assert host.counts() == {b"a": 1}

    lane.resume()
    await until(lambda: lane.stopped is not None)
    host.further.append(SourceRecord("events", 0, 7, b"a", b"answer"))
    await lane.hold()
    await until(lambda: lane.stopped is None)
    lane.receive(chunk(1, "ask", "2"))
    await turns()
    assert lane.next == Position(1)  # an answer moves no lane that is held
    lane.resume()
    await until(lambda: host.sought[-1:] == [1])
    lane.receive(chunk(1, "ask", "2"))
    await until(lambda: lane.next == Position(3))
    await lane.close()


async def test_a_lane_that_stops_while_it_is_held_has_committed_before_the_rebalance_goes_on() -> None:
    host = Host(settings=PATIENT)
    host.may_write.clear()
    lane = await running(host)
    lane.receive(chunk(0, "1", "version:2"))
    await until(lambda: "write" in host.asked)

    holding = asyncio.create_task(lane.hold())
    await turns()
    assert not holding.done()
    host.may_write.set()
    await holding

    assert host.counts() == {b"a": 1}
    assert isinstance(lane.stopped, NotThisVersion)
    await lane.close()


async def test_a_doubt_that_was_not_settled_before_the_next_rebalance_is_settled_after_it() -> None:
    host = Host()
    lane = await running(host)
    lane.receive(chunk(0, "1"))
    await until(lambda: lane.durable == Position(1))
    await lane.hold()

    lane.doubt()
    lane.resume()
    await lane.hold()
    assert "holds 1" not in host.asked
    lane.resume()
    await until(lambda: "holds 1" in host.asked)

    lane.receive(chunk(1, "2"))
    await until(lambda: host.counts() == {b"a": 2})
    await lane.hold()
    lane.resume()
    await turns()
    assert host.asked.count("holds 1") == 1
    assert "holds 2" not in host.asked
    await lane.close()


async def test_a_closed_lane_whose_cancellation_got_lost_opens_nothing_and_ends_no_process() -> None:
    """`asyncio.wait_for` of Python 3.11 forgets one that comes together with what it waits for."""

    class Forgetful(Host):
        async def seek(self, topic: str, partition: int, offset: int) -> None:
            try:
                await asyncio.Event().wait()  # until it is cancelled
            except asyncio.CancelledError:
                await super().seek(topic, partition, offset)

    host = Forgetful()
    lane = await running(host)
    lane.receive(chunk(0, "raise"))
    await until(lambda: host.asked.count("load") == 2)
    await turns()

    async with asyncio.timeout(1):
        await lane.close()

    assert host.sought == [0]
    assert lane.phase is LanePhase.CLOSED
    assert host.failed == []


async def test_a_lane_that_was_never_started_can_be_held_and_closed() -> None:
    lane = new_lane(Host())

    await lane.hold()
    await lane.close()

    assert lane.phase is LanePhase.CLOSED
