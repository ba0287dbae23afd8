"""
The states of a lane and what moves it from one to the next.

`MOVES` is all there is: an event that a state does not know is a mistake of the engine and raises. docs/engine.md shows
the same table, and a test compares the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum


class LanePhase(Enum):
    """What a worker and its metrics tell of a lane: one word for several states."""

    OPENING = "opening"
    RUNNING = "running"
    STOPPED = "stopped"
    CLOSED = "closed"


class LaneState(Enum):
    """Where a lane is in its life. *Held*: its partition was revoked and is not assigned again yet."""

    OPENING = "opening"
    OPENING_HELD = "opening_held"
    RUNNING = "running"
    HOLDING = "holding"
    HELD = "held"
    CHECKING = "checking"
    ASKING = "asking"
    ASKING_HELD = "asking_held"
    STOPPED = "stopped"
    CLOSED = "closed"


class LaneEvent(Enum):
    """What moves a lane: the group (hold, resume, doubt, close), or what has come of the lane's own work."""

    HOLD = "hold"
    RESUME = "resume"
    DOUBT = "doubt"
    OPENED = "opened"
    SETTLED = "settled"
    CHECKED = "checked"
    TAKEN_OVER = "taken_over"
    RAISED = "raised"
    ASKED = "asked"
    ANSWERED = "answered"
    STOP = "stop"
    CLOSE = "close"


_S, _E = LaneState, LaneEvent

MOVES: Mapping[LaneState, Mapping[LaneEvent, LaneState]] = {
    _S.OPENING: {
        _E.HOLD: _S.OPENING_HELD,
        _E.RESUME: _S.OPENING,
        _E.DOUBT: _S.OPENING,
        _E.OPENED: _S.RUNNING,
        _E.STOP: _S.STOPPED,
        _E.CLOSE: _S.CLOSED,
    },
    _S.OPENING_HELD: {
        _E.HOLD: _S.OPENING_HELD,
        _E.RESUME: _S.OPENING,
        _E.DOUBT: _S.OPENING,
        _E.OPENED: _S.HOLDING,
        _E.STOP: _S.STOPPED,
        _E.CLOSE: _S.CLOSED,
    },
    _S.RUNNING: {
        _E.HOLD: _S.HOLDING,
        _E.RESUME: _S.RUNNING,
        _E.DOUBT: _S.CHECKING,
        _E.RAISED: _S.OPENING,
        _E.ASKED: _S.ASKING,
        _E.STOP: _S.STOPPED,
        _E.CLOSE: _S.CLOSED,
    },
    _S.HOLDING: {
        _E.HOLD: _S.HOLDING,
        _E.RESUME: _S.RUNNING,
        _E.DOUBT: _S.CHECKING,
        _E.SETTLED: _S.HELD,
        _E.TAKEN_OVER: _S.OPENING_HELD,  # a check was under way when the lane was told to hold
        _E.RAISED: _S.OPENING_HELD,
        _E.STOP: _S.STOPPED,
        _E.CLOSE: _S.CLOSED,
    },
    _S.HELD: {
        _E.HOLD: _S.HELD,
        _E.RESUME: _S.RUNNING,
        _E.DOUBT: _S.CHECKING,
        _E.CLOSE: _S.CLOSED,
    },
    _S.CHECKING: {
        _E.HOLD: _S.HOLDING,
        _E.DOUBT: _S.CHECKING,
        _E.CHECKED: _S.RUNNING,
        _E.TAKEN_OVER: _S.OPENING,
        _E.RAISED: _S.OPENING,  # a commit was under way when the lane was resumed
        _E.STOP: _S.STOPPED,
        _E.CLOSE: _S.CLOSED,
    },
    _S.ASKING: {
        _E.HOLD: _S.ASKING_HELD,
        _E.RESUME: _S.ASKING,
        _E.ANSWERED: _S.RUNNING,
        _E.STOP: _S.STOPPED,
        _E.CLOSE: _S.CLOSED,
    },
    _S.ASKING_HELD: {
        _E.HOLD: _S.ASKING_HELD,
        _E.RESUME: _S.ASKING,
        _E.ANSWERED: _S.HOLDING,
        _E.STOP: _S.STOPPED,
        _E.CLOSE: _S.CLOSED,
    },
    _S.STOPPED: {
        _E.HOLD: _S.STOPPED,
        _E.RESUME: _S.STOPPED,
        _E.DOUBT: _S.STOPPED,
        _E.CLOSE: _S.CLOSED,
    },
    _S.CLOSED: {
        _E.HOLD: _S.CLOSED,  # a worker holds all its lanes at once, and one may leave meanwhile
        _E.CLOSE: _S.CLOSED,
    },
}

PHASES: Mapping[LaneState, LanePhase] = {
    _S.OPENING: LanePhase.OPENING,
    _S.OPENING_HELD: LanePhase.OPENING,
    _S.RUNNING: LanePhase.RUNNING,
    _S.HOLDING: LanePhase.RUNNING,
    _S.HELD: LanePhase.RUNNING,
    _S.CHECKING: LanePhase.RUNNING,
    _S.ASKING: LanePhase.STOPPED,
    _S.ASKING_HELD: LanePhase.STOPPED,
    _S.STOPPED: LanePhase.STOPPED,
    _S.CLOSED: LanePhase.CLOSED,
}


class IllegalMove(RuntimeError):
    """A lane met an event that its state does not know."""


class LaneLife:
    """The state of one lane, which only `move` changes, and waiting for it to change."""

    def __init__(self) -> None:
        """Begin in OPENING."""
        self.state = LaneState.OPENING
        self._changed = asyncio.Event()
        self._not_holding = asyncio.Event()
        self._not_holding.set()

    @property
    def phase(self) -> LanePhase:
        """What others are told of the state."""
        return PHASES[self.state]

    def move(self, event: LaneEvent) -> None:
        """
        Go to the state that the table says, and wake the lane.

        Raises:
            IllegalMove: the state does not know the event.
        """
        to = MOVES[self.state].get(event)
        if to is None:
            raise IllegalMove(f"a lane that is {self.state.value} cannot meet {event.value}")
        self.state = to
        if to is LaneState.HOLDING:
            self._not_holding.clear()
        else:
            self._not_holding.set()
        self.wake()

    def wake(self) -> None:
        """Let the lane look whether there is something to do."""
        self._changed.set()

    def look(self) -> None:
        """Note that the lane looks now: only what changes from here on wakes it."""
        self._changed.clear()

    async def woken(self) -> None:
        """Wait for `wake`, if it has not been called since the last `look`."""
        await self._changed.wait()

    async def while_holding(self) -> None:
        """Wait until the lane is not HOLDING any more: it is held, or something else has moved it."""
        await self._not_holding.wait()
