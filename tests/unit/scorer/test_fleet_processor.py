"""The aggregator's lane: decides once, in order, and repeats only what readers may ignore."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from schemas import codec
from services.scorer.domain.fleet import FleetTally
from services.scorer.fleet_processor import AGAIN, FORMAT, MOST_WAITING, FleetProcessor
from services.scorer.lanes import fleet_lane
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import Cuts, MemoryRunner
from services.shared.engine.processor import SourceRecord
from services.shared.errors import IncompatibleState, Poison

_encode = codec.encoder("fleet_partial")


def partial(day: int, partition: int, partitions: int = 3, epoch: int = 0) -> bytes:
    tally = FleetTally()
    for n in range(12):
        tally.add(5 + day % 3 + partition, 100 + n, 10, 0)
    return _encode(
        {
            "day": day, "segment": "all", "epoch": epoch, "partition": partition, "partitions": partitions,
            "accounts": tally.accounts, "weight_sum": tally.weight_sum, "weighted_ratio_sum": tally.ratio_sum,
            "histogram": tally.counts(), "connected": [["usage"], ["support"], []][partition],
        }
    )  # fmt: skip


def run(values: list[bytes], cuts: Cuts | None = None) -> tuple[MemoryLog, MemoryRunner]:
    log = MemoryLog(3)
    for number, value in enumerate(values):
        log.append("fleet-partials", b"%d" % number, value)
    runner = MemoryRunner(log, [fleet_lane()], cuts)
    runner.run()
    return log, runner


def decisions(log: MemoryLog) -> list[dict[str, Any]]:
    return [codec.decode(value)[1] for value in log.values("fleet")]


def test_a_day_is_decided_once_all_partitions_have_reported_in_any_order() -> None:
    ends = set()
    for order in itertools.permutations([partial(5, 0), partial(5, 1), partial(5, 2), partial(5, 1)]):
        log, _ = run(list(order))
        found = decisions(log)
        assert [(d["day"], d["accounts"], d["connected"]) for d in found] == [(5, 36, ["support", "usage"])]
        ends.add(log.values("fleet")[0])

    assert len(ends) == 1
    assert not decisions(run([partial(5, 0), partial(5, 1)])[0])


def test_the_decision_is_appended_to_every_partition() -> None:
    log, _ = run([partial(5, n) for n in range(3)])

    assert [r.partition for r in log.records("usage-events")] == [0, 1, 2]
    assert {r.value for r in log.records("usage-events")} == set(log.values("fleet"))


def test_a_crash_anywhere_decides_the_same_and_loses_no_append() -> None:
    values = [partial(day, n) for day in range(4) for n in range(3)]
    expected, runner = run(values, Cuts(chunk=(2,)))
    for point in range(1, runner.points + 1):
        log, _ = run(values, Cuts(chunk=(2,), crashes=(point,)))
        assert log.values("fleet") == expected.values("fleet"), point
        for partition in range(3):
            first = list(dict.fromkeys(r.value for r in log.read("usage-events", partition)))
            assert first == expected.values("fleet"), point


def test_the_latest_decisions_are_appended_again_when_the_lane_opens() -> None:
    log, runner = run([partial(day, n) for day in range(AGAIN + 3) for n in range(3)])
    before = len(log.records("usage-events"))
    runner.crash()
    runner.processor("fleet-partials")

    again = log.records("usage-events")
    assert len(again) - before in {0, AGAIN * 3}  # the runner may append at its next turn
    runner.run()
    assert len(log.records("usage-events")) - before == AGAIN * 3


def test_a_partial_of_a_decided_day_is_a_repetition() -> None:
    log, _ = run([partial(day, n) for day in (5, 6) for n in range(3)] + [partial(5, n) for n in range(3)])

    assert [d["day"] for d in decisions(log)] == [5, 6]


def test_each_epoch_has_its_own_days() -> None:
    log, _ = run([partial(9, n, epoch=4) for n in range(3)] + [partial(5, n) for n in range(3)])

    assert [(d["epoch"], d["day"]) for d in decisions(log)] == [(4, 9), (0, 5)]


def test_days_that_never_become_complete_do_not_pile_up() -> None:
    log, runner = run([partial(day, 0) for day in range(3 * MOST_WAITING)])
    waiting = [key for key in log.latest("scorer-fleet-partials-state") if key.startswith(b"waiting/")]

    assert len(waiting) == MOST_WAITING
    assert runner.processor("fleet-partials") is not None


@pytest.mark.parametrize(
    "value", [None, b"x", codec.encoder("tick")({"at": 1, "epoch": 0}), partial(5, 2, partitions=2)]
)
def test_what_is_no_partial_is_poison(value: bytes | None) -> None:
    with pytest.raises(Poison):
        FleetProcessor().decode(SourceRecord("fleet-partials", 0, 0, b"k", value))


def test_a_newer_state_is_refused() -> None:
    with pytest.raises(IncompatibleState):
        FleetProcessor().restore("state", b"decided", bytes((FORMAT + 1,)))
