"""What a lane makes of what its group has committed where that is not what its changelogs hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from services.shared.engine.errors import ChangelogBehind, ChangelogsApart
from services.shared.engine.fold.committed import Committed
from services.shared.engine.fold.start import Bounds, is_torn, start
from services.shared.engine.lane.lane import Lane
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.position import POSITION_KEY, Position
from tests.support.waiting import until
from tests.unit.engine.lane_host import SPEC, Host, running

ONE, OTHER = b"1" * 16, b"2" * 16
IDS = f"counts={ONE.hex()} ids={OTHER.hex()}"
TWO_STORES = replace(SPEC, stores={"counts": "state", "ids": "more"})


@pytest.mark.parametrize(
    ("held", "group"),
    [
        pytest.param(Position(3), Committed(Position(7), Position(3)), id="folded again"),
        pytest.param(Position(3, 2), Committed(Position(7), Position(3, 2)), id="from a step on"),
    ],
)
def test_a_group_that_is_ahead_by_the_transaction_that_began_at_the_changelogs_end_is_not_believed(
    held: Position, group: Committed
) -> None:
    assert start("events", 0, (held, ONE), Bounds(0, 9, group, ONE)) == held


@pytest.mark.parametrize(
    "group",
    [
        pytest.param(Committed(Position(7), Position(5)), id="more than one transaction is missing"),
        pytest.param(Committed(Position(7), Position(2)), id="it began before"),
        pytest.param(Committed(Position(7), Position(3, 1)), id="it began at another step"),
        pytest.param(Committed(Position(7)), id="nobody said where it began"),
        pytest.param(Committed(Position(3, 5), Position(3, 4)), id="more than one step of a record is missing"),
    ],
)
def test_a_group_that_is_ahead_by_anything_else_is_refused(group: Committed) -> None:
    with pytest.raises(ChangelogBehind):
        start("events", 0, (Position(3), ONE), Bounds(0, 9, group, ONE))


@pytest.mark.parametrize(
    ("group", "torn"),
    [
        (Committed(Position(7, 2), Position(3)), False),
        (Committed(Position(7, 1), Position(3)), True),
        (Committed(Position(6), Position(3)), True),
        (Committed(Position(8), Position(7, 2)), True),
        (Committed(Position(7)), False),
        (Committed(Position(6)), True),
    ],
)
def test_a_group_that_is_not_where_the_changelogs_are_is_told_of(group: Committed, torn: bool) -> None:
    assert is_torn(Position(7, 2), group) is torn


@pytest.mark.parametrize("metadata", ["", "moved by hand", "1.0>0", "1.0>x;", "a=b c"])
def test_of_an_offset_that_another_program_has_committed_only_the_offset_is_known(metadata: str) -> None:
    assert Committed.read(7, metadata) == Committed(Position(7))


def test_what_is_committed_beside_an_offset_is_read_back() -> None:
    for given in (
        Committed(Position(7, 3), Position(6, 1), "counts=01 links=02"),
        Committed(Position(0), Position(0)),
        Committed(Position(7, 3), Position(6, 1), "counts=01 links=02", Position(90, 4)),
    ):
        assert Committed.read(given.position.offset, given.metadata) == given


@pytest.mark.parametrize(
    ("host", "why"),
    [
        pytest.param(Host(committed=7, before=Position(3), committed_ids=IDS), "more holds no position", id="lost"),
        pytest.param(
            Host(committed=7, before=Position(7), committed_ids=IDS), "more holds no position", id="untouched"
        ),
        pytest.param(Host(committed=5, before=Position(3), committed_ids=IDS), "more holds no position", id="ahead"),
        pytest.param(Host(committed=7, before=Position(3), committed_ids=IDS[:-36]), None, id="a new store"),
        pytest.param(
            Host(committed=9, before=Position(7), committed_ids=IDS), None, id="torn, the first that wrote to it"
        ),
        pytest.param(Host(), None, id="nobody knows"),
    ],
)
async def test_a_changelog_that_has_lost_all_its_records_is_noticed_by_its_position(
    host: Host, why: str | None
) -> None:
    """As one partition whose disk was replaced: the topic is the same, so its id tells nothing."""
    host.log.append("state", POSITION_KEY, Position(7).encode(), 0)

    lane = await running(host, TWO_STORES)

    assert lane.ready is (why is None), lane.stopped
    if why is not None:
        assert isinstance(lane.stopped, ChangelogsApart)
        assert why in str(lane.stopped)
    await lane.close()


@pytest.mark.parametrize("moved", [True, False], ids=["another came", "nobody came"])
async def test_an_owner_that_came_while_a_lane_waited_for_its_changelogs_has_torn_nothing(moved: bool) -> None:
    """As where a worker is frozen for a minute while it opens: its group has gone on without it."""
    registry = CollectorRegistry()
    host = Host(committed=3, before=Position(2))
    host.may_load.clear()
    lane = Lane(SPEC, 0, host, LaneMetrics(EngineMetrics(registry), "events", 0))
    lane.start()
    await until(lambda: "load" in host.asked)

    host.log.append("state", POSITION_KEY, Position(7).encode(), 0)
    if moved:
        host.committed, host.before = 7, Position(3)
    host.may_load.set()

    await until(lambda: lane.ready)
    labels = {"topic": "events", "partition": "0"}
    assert registry.get_sample_value("tidemark_engine_torn_transactions_total", labels) == (0 if moved else 1)
    await lane.close()
