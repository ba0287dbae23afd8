"""The lanes of one history, in this process or each in one of its own; the fleet is decided here, day by day."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from services.backtest.domain.history import BacktestHistory
from services.backtest.driving.lane import Span
from services.backtest.driving.scoring import LANES, Scored, Walked, span_of, together, walk
from services.backtest.driving.snapshots import Snapshots
from services.scorer.domain.fleet import decide
from services.scorer.domain.health.model import Model
from services.shared.errors import Fatal
from services.shared.tracking_plan.plan import TrackingPlan

Progress = Callable[[int], None]
_PARTIALS, _COUNT, _FRAME, _DONE, _FAILED = range(5)


def score(
    history: BacktestHistory, scoring: tuple[TrackingPlan, Model], workers: int, progress: Progress
) -> tuple[Scored, Snapshots]:
    """
    Drive a history through the scorer, in one process or two; the result is the same.

    Raises:
        EmptyHistoryError: the history has no events.
    """
    span, snapshots = span_of(history), Snapshots()
    if workers == 1:
        parts = [walk(history, span, range(LANES), scoring, Aggregator(), progress, snapshots)]
    else:
        parts = _in_processes(history, span, scoring, progress, snapshots)
    return together(span, parts), snapshots


class Aggregator:
    """Decides the fleet's factor of each day from the partials of all lanes."""

    def __init__(self) -> None:
        self._connected: Sequence[str] = ()

    def __call__(self, partials: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Decide one day."""
        decision = decide(partials, self._connected)
        self._connected = decision["connected"]
        return decision


def _in_processes(
    history: BacktestHistory, span: Span, scoring: tuple[TrackingPlan, Model], progress: Progress, snapshots: Snapshots
) -> list[Walked]:
    aggregate = Aggregator()
    processes: list[multiprocessing.Process] = []
    ours: list[Connection] = []
    try:
        for lane in range(LANES):
            own, theirs = multiprocessing.Pipe()  # not before: the process of another lane would hold both ends too
            ours.append(own)
            process = multiprocessing.Process(
                target=_lane, args=(theirs, tuple(ours), history, span, lane, scoring), daemon=True
            )
            process.start()
            processes.append(process)
            theirs.close()  # so that a process that dies is seen
        while True:
            said = _next(ours, progress, snapshots)
            if said[0][0] == _DONE:
                return [each[1] for each in said]
            decision = aggregate([partial for _, partials in said for partial in partials])
            for own in ours:
                own.send(decision)
    except (EOFError, ConnectionError) as error:
        raise Fatal("a process of the back-test has died: is there enough memory?") from error
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _next(ours: Sequence[Connection], progress: Progress, snapshots: Snapshots) -> list[tuple[int, Any]]:
    """
    Return what each lane says next, other than how far it is, and take its snapshots.

    Lanes are read as they speak, and hand over their snapshots as they go: all of them at the end would be in memory four times.
    """
    found: dict[Connection, tuple[int, Any]] = {}
    while len(found) < len(ours):
        for own in wait([each for each in ours if each not in found]):
            assert isinstance(own, Connection)
            what, value = own.recv()
            if what == _FAILED:
                raise value
            if what == _COUNT:
                progress(value)
            elif what == _FRAME:
                snapshots.take(*value)
            else:
                found[own] = what, value
    return [found[own] for own in ours]


def _lane(
    theirs: Connection,
    ours: Sequence[Connection],
    history: BacktestHistory,
    span: Span,
    lane: int,
    scoring: tuple[TrackingPlan, Model],
) -> None:
    for own in ours:
        own.close()  # so that the end of whoever waits is seen

    def ask(partials: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        theirs.send((_PARTIALS, partials))
        decision: Mapping[str, Any] = theirs.recv()
        return decision

    def count(events: int) -> None:
        if lane == 0:
            theirs.send((_COUNT, events))

    def pass_on(shard: int, frame: bytes) -> None:
        theirs.send((_FRAME, (shard, frame)))

    try:
        snapshots = Snapshots(pass_on=pass_on)
        theirs.send((_DONE, walk(history, span, (lane,), scoring, ask, count, snapshots)))
    except (EOFError, ConnectionError):
        return  # nobody waits any more
    except Exception as error:  # noqa: BLE001 - it is raised again where the lanes are waited for
        theirs.send((_FAILED, error))
