"""The in-memory runner: whatever the cuts and crashes, the same outputs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import Cuts, MemoryRunner
from services.shared.engine.position import POSITION_KEY
from services.shared.engine.spec import AppendOrder, LaneSpec
from tests.support.counting.processor import STORE, counting_spec, read_count

SPEC = counting_spec("usage-events", "state", "out", "dead", appends="side")
APPENDS_FIRST = replace(SPEC, appends=AppendOrder.BEFORE_COMMIT)
STREAM = [
    ("a", "1"),
    ("a", "long:12"),
    ("b", "poison"),
    ("a", "2"),
    ("b", "raise"),
    ("b", "3"),
    ("a", "append"),
    ("b", "long:9:4"),
    ("b", "poison-fold"),
    ("a", "urgent"),
    ("b", "fat:2000000"),
    ("a", "wide:2000000"),
    ("a", "4"),
    ("b", "5"),
    ("c", "break"),
    ("d", "break"),
    ("a", "6"),
    ("any", "sweep"),
    ("c", "7"),
    ("a", "sweep"),
    ("b", "8"),
]


def run(cuts: Cuts, spec: LaneSpec = SPEC) -> tuple[MemoryLog, MemoryRunner]:
    log = MemoryLog(partitions=1)
    for key, value in STREAM:
        log.append("usage-events", key.encode(), value.encode())
    runner = MemoryRunner(log, [spec], cuts)
    runner.run()
    return log, runner


def test_what_a_key_makes_raise_costs_no_record_and_no_other_key() -> None:
    log, _ = run(Cuts())

    counts, _, dead = durable(log)

    assert counts == {b"a": 20, b"b": 9, b"c": 1, b"d": 1}
    assert not {b"17", b"18", b"19"} & {offset for _, offset in dead}  # type: ignore[attr-defined]


def durable(log: MemoryLog) -> tuple[object, ...]:
    live = log.latest("state")
    live.pop(POSITION_KEY)
    return (
        {k: read_count(v) for k, v in live.items()},
        log.values("out"),
        [v.split(b"|")[0::3] for v in log.values("dead")],
    )


def test_every_cut_gives_the_same_outputs_and_state() -> None:
    expected = durable(run(Cuts(chunk=(1,)))[0])

    for chunk in ((2,), (3, 1), (1000,)):
        for transaction in (1, 3):
            assert durable(run(Cuts(chunk=chunk, transaction=transaction))[0]) == expected


@pytest.mark.parametrize("transaction", [1, 4])
def test_a_crash_at_any_point_loses_and_doubles_nothing(transaction: int) -> None:
    cuts = Cuts(chunk=(3,), transaction=transaction)
    undisturbed, runner = run(cuts)
    expected = durable(undisturbed)

    for point in range(1, runner.points + 1):
        log, _ = run(Cuts(chunk=(3,), transaction=transaction, crashes=(point,)))
        assert durable(log) == expected, f"crash at point {point}"


@pytest.mark.parametrize("transaction", [1, 4])
def test_a_crash_at_any_point_loses_no_append_that_comes_first(transaction: int) -> None:
    cuts = Cuts(chunk=(3,), transaction=transaction)
    undisturbed, runner = run(cuts, APPENDS_FIRST)
    expected = durable(undisturbed)
    repeated = 0

    for point in range(1, runner.points + 1):
        log, _ = run(Cuts(chunk=(3,), transaction=transaction, crashes=(point,)), APPENDS_FIRST)
        assert durable(log) == expected, f"crash at point {point}"
        assert set(log.values("side")) == {b"after:15"}, f"crash at point {point}"
        repeated += len(log.values("side")) - 1
    assert repeated == 1  # between the append and its commit


def test_an_append_may_repeat_but_is_not_lost_before_its_commit() -> None:
    log, _ = run(Cuts(chunk=(3,)))

    assert log.values("side") == [b"after:15"]


def test_the_same_cuts_give_the_same_log() -> None:
    assert run(Cuts(chunk=(2, 5)))[0]._topics == run(Cuts(chunk=(2, 5)))[0]._topics


def test_the_processor_can_be_looked_at() -> None:
    _, runner = run(Cuts())

    assert runner.processor("usage-events").counts[b"a"] > 10  # type: ignore[attr-defined]
    assert STORE == "counts"


def test_dead_letters_keep_their_place_among_the_outputs() -> None:
    log = MemoryLog(partitions=1)
    for value in [*"123456789", "10", "poison", *"123456789", "10"]:
        log.append("usage-events", b"a", value.encode())

    MemoryRunner(log, [counting_spec("usage-events", "state", "same", "same")]).run()

    assert [v.split(b"|")[0] for v in log.values("same")] == [b"a:10", b"not_countable", b"a:20"]
