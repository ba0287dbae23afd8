"""What a broker passes over in a topic that is not compacted is told from what is not there yet."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException
from aiokafka.protocol.fetch import FetchRequest

from services.shared.kafka.fetching.holes import Holes

FIRST, SECOND = TopicPartition("events", 0), TopicPartition("events", 1)
REQUEST = FetchRequest(50, 1, 1000, 1, [("events", [(0, 5, 1000), (1, 5, 1000)])], rack_id="")


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("services.shared.kafka.fetching.holes.time", made)
    return made


def answer(*parts: tuple[int, bytes], code: int = 0) -> Any:
    """Return an answer for the partitions from the first on: where the committed records end, and the bytes given."""
    told = [(n, code, end + 3, end, None, -1, given) for n, (end, given) in enumerate(parts)]
    return SimpleNamespace(topics=[("events", told)])


def silent(holes: Holes, clock: Clock, *answers: Any) -> list[TopicPartition]:
    """Return what is silent when these answers have come, one each three and a half seconds."""
    found: list[TopicPartition] = []
    for each in answers:
        clock.now += 3.5
        found = holes.silent(REQUEST, each)
    return found


MORE, NONE, GIVEN = (7, b""), (5, b""), (7, b"batch")


def test_a_partition_that_goes_on_but_of_which_nothing_comes_is_told_after_a_minute(clock: Clock) -> None:
    holes = Holes({"events"})

    assert silent(holes, clock, *[answer(MORE, NONE)] * 19) == []
    assert silent(holes, clock, answer(MORE, MORE)) == [FIRST]
    assert silent(holes, clock, *[answer(NONE, MORE)] * 18) == []
    assert silent(holes, clock, answer(NONE, MORE)) == [SECOND]


@pytest.mark.parametrize(
    "between",
    [answer(GIVEN, NONE), answer(NONE, NONE), answer(MORE, NONE, code=6), SimpleNamespace(topics=[])],
    ids=["records came", "open transaction", "another leads", "throttled"],
)
def test_what_came_meanwhile_or_was_not_asked_of_the_log_begins_the_time_anew(clock: Clock, between: Any) -> None:
    holes = Holes({"events"})

    assert silent(holes, clock, *[answer(MORE, NONE)] * 15, between, *[answer(MORE, NONE)] * 19) == []


def test_a_partition_that_was_not_asked_for_meanwhile_was_not_silent(clock: Clock) -> None:
    """Brokers with remote storage give nothing now and then, and a lane that has enough to fold asks for no more for minutes."""
    holes = Holes({"events"})
    for _ in range(15):
        assert silent(holes, clock, answer(MORE, NONE)) == []
        clock.now += 600


def test_many_answers_in_a_short_time_are_no_silence(clock: Clock) -> None:
    holes = Holes({"events"})
    for _ in range(1000):
        clock.now += 0.05
        assert holes.silent(REQUEST, answer(MORE, NONE)) == []


def test_a_partition_behind_one_that_may_have_filled_the_answer_is_not_silent(clock: Clock) -> None:
    assert silent(Holes({"events"}), clock, *[answer(GIVEN, MORE)] * 30) == []


def test_another_offset_is_another_question(clock: Clock) -> None:
    holes = Holes({"events"})
    further = FetchRequest(50, 1, 1000, 1, [("events", [(0, 6, 1000)])], rack_id="")
    silent(holes, clock, *[answer(MORE, NONE)] * 19)
    clock.now += 60

    assert holes.silent(further, answer(MORE)) == []


def test_a_compacted_topic_may_end_with_nothing_and_have_holes(clock: Clock) -> None:
    holes = Holes({"other"})

    holes.refuse(FIRST, 5, 9)
    assert silent(holes, clock, *[answer(MORE, MORE)] * 30) == []


def test_a_batch_that_begins_behind_what_was_asked_for_is_refused() -> None:
    holes = Holes({"events"})
    holes.refuse(FIRST, 5, 5)
    holes.refuse(FIRST, 5, 3)  # reading may begin in the middle of a batch

    with pytest.raises(CorruptRecordException, match="offsets 5 to 8 are not given"):
        holes.refuse(FIRST, 5, 9)
