"""A restore lets others take a turn, whatever its size."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.shared.engine.errors import ChangelogsApart
from services.shared.engine.fold.restore import BREATH, SORTED_AT_ONCE, Restored, in_order, restore
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.processor import Append
from tests.support.counting.processor import CountingProcessor
from tests.support.steps import finished
from tests.unit.engine.lane_host import SPEC


class Counted(CountingProcessor):
    """Counts what it is given, and finishes in three steps."""

    given = 0

    def restore(self, store: str, key: bytes, value: bytes) -> None:
        Counted.given += 1

    def opened(self) -> Iterator[Append | None]:
        yield None
        yield Append("side", 0, None, b"x")
        yield None


def test_keys_come_in_order_and_are_sorted_a_bounded_number_at_a_time() -> None:
    rnd = random.Random(5)
    live = {rnd.randbytes(8): b"" for _ in range(3 * SORTED_AT_ONCE + 100)}

    found = list(in_order(live))

    assert [key for key in found if key is not None] == sorted(live)
    assert found[:3] == [None] * 3


def test_few_records_reach_the_processor_between_two_turns_of_others() -> None:
    Counted.given = 0
    spec = replace(SPEC, processor=lambda partition: Counted(partition, "out"))
    live: dict[bytes, bytes] = {b"%07d" % n: b"v" for n in range(50_000)}
    live[POSITION_KEY] = Position(7, 2).encode()
    restoring = restore(spec, 0, {"counts": live})
    worst = before = steps = 0
    while True:
        try:
            next(restoring)
        except StopIteration as done:
            restored = done.value
            break
        steps += 1
        worst, before = max(worst, Counted.given - before), Counted.given

    assert worst <= BREATH
    assert steps >= 50_000 / BREATH + 2 + 2
    assert restored.held == (Position(7, 2), bytes(16))
    assert restored.appends == [Append("side", 0, None, b"x")]
    assert live == {}


def restored(**stores: Position) -> Restored:
    spec = replace(SPEC, stores={"counts": "state", "ids": "more"})
    return finished(restore(spec, 0, {store: {POSITION_KEY: at.encode()} for store, at in stores.items()}))


def test_changelogs_that_do_not_end_with_the_same_transaction_are_refused() -> None:
    assert restored(counts=Position(7), ids=Position(7)).held == (Position(7), bytes(16))
    assert restored(counts=Position(7)).held == (Position(7), bytes(16))  # a store that the release before had not
    for apart in (Position(7, 1), Position(6)):
        with pytest.raises(ChangelogsApart, match="state ends at 7"):
            restored(counts=Position(7), ids=apart)
    with pytest.raises(ChangelogsApart, match="more ends at 7"):
        restored(ids=Position(7))
