"""What follows when a record or a key fails, whichever way a processor is run."""

from __future__ import annotations

import pytest

from services.shared.engine.errors import NotThisVersion, TooManyRaises, Unanswered
from services.shared.engine.position import Position
from services.shared.engine.processor import SourceRecord
from services.shared.errors import Poison
from tests.contract.engine.backends import Backend, with_processor
from tests.support.counting.processor import CountingProcessor
from tests.support.counting.trial import OUT


class RefusesLong(CountingProcessor):
    """Calls long values poison."""

    def decode(self, record: SourceRecord) -> tuple[bytes, bytes]:
        if record.value and len(record.value) > 80_000:
            raise Poison("too_long", "value")
        return super().decode(record)


async def test_poison_is_dead_lettered_with_its_original_and_the_rest_goes_on(backend: Backend) -> None:
    await backend.append([("a", "1"), ("a", "poison"), ("a", "poison-fold"), ("a", "2")])

    assert await backend.fold() is None

    result = await backend.found()
    assert result.counts == {"a": 2}
    assert result.dead == [("not_countable", "1"), ("not_foldable", "2")]


async def test_a_raising_fold_leaves_no_trace_and_its_record_is_dead_lettered(backend: Backend) -> None:
    await backend.append([("a", "1"), ("b", "2"), ("a", "raise"), ("a", "3"), ("b", "raise"), ("b", "4")])

    assert await backend.fold() is None

    result = await backend.found()
    assert result.counts == {"a": 2, "b": 2}
    assert result.dead == [("fold_raised", "2"), ("fold_raised", "4")]


async def test_a_fold_that_raises_in_a_step_keeps_the_steps_before(backend: Backend) -> None:
    await backend.append([("a", "1"), ("a", "long:9:4"), ("a", "2")])

    assert await backend.fold() is None

    result = await backend.found()
    assert result.counts == {"a": 6}
    assert result.dead == [("fold_raised", "1")]


async def test_too_many_raising_folds_in_a_row_stop_the_lane(backend: Backend) -> None:
    await backend.append([("a", "1"), *[("a", "raise")] * 2, ("a", "2"), *[("a", "raise")] * 3, ("a", "3")])

    assert isinstance(await backend.fold(), TooManyRaises)

    result = await backend.found()
    assert result.counts.get("a", 0) <= 2
    assert ("fold_raised", "6") not in result.dead


async def test_a_record_that_folds_ends_the_row_of_those_that_raise(backend: Backend) -> None:
    await backend.append([("a", "raise"), ("a", "raise"), ("a", "1")] * 3)

    assert await backend.fold() is None

    result = await backend.found()
    assert result.counts == {"a": 3}
    assert result.dead == [("fold_raised", str(at)) for at in (0, 1, 3, 4, 6, 7)]


@pytest.mark.parametrize(("value", "stopped"), [("version:2", NotThisVersion), ("ask", Unanswered)])
async def test_what_cannot_be_kept_before_a_stop_is_dead_lettered_and_the_rest_is_durable(
    backend: Backend, value: str, stopped: type[Exception]
) -> None:
    await backend.append([("a", "1"), ("b", "fat:250000"), ("c", "2"), ("a", value), ("a", "3")])

    assert isinstance(await backend.fold(), stopped)

    result = await backend.found()
    assert (result.counts, result.position) == ({"a": 1, "c": 1}, Position(3))
    assert result.dead == [("fold_raised", "1")]


@pytest.mark.parametrize("value", ["wide:150000", "fat:250000"])
async def test_an_oversized_record_is_traced_to_the_one_that_made_it(backend: Backend, value: str) -> None:
    await backend.append([*[("a", str(n)) for n in range(12)], ("b", value), ("c", "1"), ("wide", "wide:90000")])

    assert await backend.fold() is None

    result = await backend.found()
    assert result.counts == {"a": 12, "c": 1, "wide": 1}
    assert result.dead == [("fold_raised", "12")]
    assert result.outputs == ["a:10", "90000 bytes"]


async def test_an_original_too_large_for_the_dead_letters_is_cut(backend: Backend) -> None:
    spec = with_processor(lambda: RefusesLong(0, OUT))
    await backend.append([("a", "x" * 90_000), ("a", "1")])

    assert await backend.fold(spec) is None

    result = await backend.found()
    assert result.counts == {"a": 1}
    assert result.dead == [("too_long", "0")]


async def test_a_key_that_cannot_be_worked_on_is_set_apart_and_no_record_is_blamed(backend: Backend) -> None:
    await backend.append([("a", "1"), ("b", "break"), ("c", "2"), ("b", "3"), ("a", "4"), ("b", "5")])

    assert await backend.fold() is None
    await backend.append([("b", "6"), ("c", "7")])
    assert await backend.fold() is None

    result = await backend.found()
    assert result.counts == {"a": 2, "b": 1, "c": 2}
    assert result.dead == []


async def test_a_key_at_fault_in_a_step_of_a_long_fold_costs_the_others_nothing(backend: Backend) -> None:
    await backend.append([("a", "1"), ("b", "break"), ("c", "break"), ("d", "2")])
    await backend.append([("x", "sweep")] * 6)

    assert await backend.fold() is None

    result = await backend.found()
    assert result.counts == {"a": 7, "b": 1, "c": 1, "d": 7}
    assert result.dead == []


async def test_a_lane_that_is_restored_too_often_stops_whatever_the_causes(backend: Backend) -> None:
    for n in range(9):
        await backend.append([(f"k{n}", "break"), ("a", "1"), (f"k{n}", "2"), ("a", "1")])

    assert isinstance(await backend.fold(), TooManyRaises)

    assert (await backend.found()).dead == []
