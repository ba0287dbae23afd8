"""What a lane takes of what it was given: chunks that meet; all else is compared with the log, and read again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from services.shared.engine.chunk import Chunk
from services.shared.engine.lane.intake import Intake, Missed
from services.shared.engine.settings import EngineSettings
from tests.unit.engine.lane_host import Host, chunk

clock = SimpleNamespace(now=0.0)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(clock, "now", 1000.0)
    monkeypatch.setattr("services.shared.engine.lane.intake.time", SimpleNamespace(monotonic=lambda: clock.now))
    return Host(settings=EngineSettings(queue_records=4))


@pytest.fixture
async def intake(host: Host) -> Intake:
    """Which reads from offset 5 on, and was told so just now."""
    found = Intake("events", 0, host)
    await found.read_from(5)
    return found


def taken(intake: Intake, given: Chunk) -> int | None:
    intake.put(given)
    found = intake.take()
    return None if found is None else found.start


def test_chunks_that_meet_are_taken_however_long_nothing_was_compared(intake: Intake) -> None:
    clock.now += 3_600

    assert [taken(intake, chunk(5, "1", "1")), taken(intake, chunk(7, "1"))] == [5, 7]
    assert intake.received == 8


def test_a_chunk_that_comes_after_a_hole_is_none_to_fold(intake: Intake) -> None:
    with pytest.raises(Missed):
        taken(intake, chunk(6, "1"))

    assert intake.received == 5


async def test_what_was_on_its_way_when_the_source_is_read_from_elsewhere_may_come_again(intake: Intake) -> None:
    taken(intake, chunk(5, "1", "1", "1"))
    clock.now += 3_600
    await intake.read_from(8)
    clock.now += 9

    assert taken(intake, chunk(5, "1", "1", "1")) is None
    assert taken(intake, chunk(7, "1", "1")) == 7  # its first record is not folded again


@pytest.mark.parametrize("given", [chunk(5, "1", "1", "1"), chunk(7, "1", "1")])
def test_what_comes_again_later_is_compared_first(intake: Intake, given: Chunk) -> None:
    """A topic that was made anew under the same name begins at offset 0."""
    taken(intake, chunk(5, "1", "1", "1"))
    clock.now += 11
    with pytest.raises(Missed):
        taken(intake, given)

    intake.compared()
    assert taken(intake, given) == (None if given.end == 8 else 7)


async def test_reading_from_elsewhere_drops_what_waits(host: Host, intake: Intake) -> None:
    for first in (6, 8, 10):
        intake.put(chunk(first, "1", "1"))
    assert host.held == [True, True]

    await intake.read_from(5)

    assert (len(intake), intake.records, host.held[-1], host.sought) == (0, 0, False, [5, 5])
    assert taken(intake, chunk(5, "1")) == 5
