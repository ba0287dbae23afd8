"""A lane that is rebuilt comes to the state that it had, and gives out only what it has not given out before."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from services.shared.engine.fold.committed import Committed
from services.shared.engine.fold.failure_policy import Patience
from services.shared.engine.fold.raises import Raises
from services.shared.engine.fold.runner import LaneRunner
from services.shared.engine.fold.start import Bounds, quiet_until, start
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.position import UNKNOWN_TOPIC, Position
from services.shared.engine.processor import Append, Output, SourceRecord
from tests.contract.engine.backends import APPENDS_FIRST
from tests.support.counting.processor import CountingProcessor

VALUES = st.lists(
    st.sampled_from(["1", "1", "long:4", "sweep", "poison", "poison-fold", "append", "wide:3", "urgent"]),
    min_size=1,
    max_size=25,
)
CUTS = st.tuples(st.integers(1, 6), st.integers(1, 5))
"""Records between two yields, and yields between two transactions."""


@dataclass
class Durable:
    """What a lane has written, and its group."""

    state: dict[bytes, bytes] = field(default_factory=dict)
    held: Position | None = None
    committed: Committed | None = None
    outputs: list[Output] = field(default_factory=list)
    appends: list[Append] = field(default_factory=list)

    def write(self, transaction: Transaction) -> None:
        for (_, key), value in transaction.changes.items():
            assert value is not None
            self.state[key] = value
        self.held = transaction.position
        self.committed = Committed.read(transaction.position.offset, transaction.committed().metadata)
        self.outputs += transaction.outputs
        self.appends += transaction.appends

    def open(self, end: int) -> LaneRunner:
        """Open the lane as a worker does, where the operator lets it be rebuilt."""
        processor = CountingProcessor(0, "out", "side", every=3)
        for key, value in self.state.items():
            processor.restore("counts", key, value)
        held = None if self.held is None else (self.held, UNKNOWN_TOPIC)
        position = start("events", 0, held, Bounds(0, end, self.committed), rebuild=True)
        until = quiet_until(position, self.held, self.committed)
        raises = Raises("events/0", Patience(5, 20, 1000))
        return LaneRunner(APPENDS_FIRST, 0, processor, position, raises=raises, quiet_until=until)


def fold(durable: Durable, records: list[SourceRecord], cuts: tuple[int, int], transactions: int | None = None) -> None:
    """Fold records from where the lane is, up to so many transactions; what is in memory then is lost."""
    runner = durable.open(len(records))
    every, yields = cuts
    wrote = 0
    for n, _ in enumerate(runner.apply(records[runner.offset :], every), 1):
        if n % yields == 0 and (transaction := runner.take_transaction()) is not None:
            durable.write(transaction)
            wrote += 1
            if wrote == transactions:
                return
    if (transaction := runner.take_transaction()) is not None:
        durable.write(transaction)


@given(VALUES, st.integers(1, 30), CUTS, st.lists(st.tuples(CUTS, st.integers(1, 4)), max_size=3), CUTS)
def test_state_is_made_anew_and_nothing_is_given_out_twice_or_left_out(
    values: list[str],
    reached: int,
    cuts: tuple[int, int],
    crashes: list[tuple[tuple[int, int], int]],
    last: tuple[int, int],
) -> None:
    records = [SourceRecord("events", 0, n, b"ab"[n % 2 : n % 2 + 1], v.encode(), 0) for n, v in enumerate(values)]
    undisturbed = Durable()
    fold(undisturbed, records, (1, 1))

    lane = Durable()
    fold(lane, records, cuts, reached)
    lane.state, lane.held = {}, None  # the changelogs are deleted, the group is not
    for crash, transactions in crashes:
        fold(lane, records, crash, transactions)
    fold(lane, records, last)

    assert lane.state == undisturbed.state
    assert lane.held == undisturbed.held
    assert (lane.outputs, lane.appends) == (undisturbed.outputs, undisturbed.appends)
    assert lane.committed is not None
    assert lane.committed.given_out == lane.held
