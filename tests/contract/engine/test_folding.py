"""What a processor may rely on, whichever way it is run: each record once, each output once, steps, positions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.shared.engine.errors import EXIT_FAIL_STOP, Unanswered
from services.shared.engine.position import Position
from services.shared.engine.spec import SourceMode
from tests.contract.engine.backends import APPENDS_FIRST, IN_TRANSACTIONS, Backend, OnKafka, with_processor
from tests.support.counting.processor import CountingProcessor, counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, OUT, SOURCE, trial


class FailsOnce(CountingProcessor):
    """Raises an OSError in the fifth step of a long record, the first time only."""

    spent = False

    def _long(self, key: bytes, argument: bytes, step: int) -> Iterator[None]:
        for n, _ in enumerate(super()._long(key, argument, step), start=step):
            if n == 5 and not FailsOnce.spent:
                FailsOnce.spent = True
                raise OSError(28, "No space left on device")
            yield


async def test_every_record_is_folded_once_and_every_output_written_once(backend: Backend) -> None:
    await backend.append(("a" if n % 3 else "b", str(n)) for n in range(60))

    assert await backend.fold() is None
    assert await backend.fold() is None  # a second worker finds everything done

    result = await backend.found()
    assert result.counts == {"a": 40, "b": 20}
    assert sorted(result.outputs) == sorted(["a:10", "a:20", "a:30", "a:40", "b:10", "b:20"])
    assert result.position == Position(60, 0)


async def test_what_comes_later_goes_on_from_the_restored_state(backend: Backend) -> None:
    await backend.append(("a", str(n)) for n in range(15))
    await backend.fold()
    await backend.append(("a", str(n)) for n in range(15))
    await backend.fold()

    result = await backend.found()
    assert result.counts == {"a": 30}
    assert result.outputs == ["a:10", "a:20", "a:30"]


async def test_a_long_fold_resumes_at_the_step_that_was_not_durable(backend: Backend) -> None:
    FailsOnce.spent = False
    spec = with_processor(lambda: FailsOnce(0, OUT))
    await backend.append([("a", "1"), ("a", "long:25"), ("a", "2")])

    assert await backend.fold(spec) == EXIT_FAIL_STOP
    assert await backend.fold(spec) is None

    result = await backend.found()
    assert result.counts == {"a": 27}
    assert result.outputs == ["a:10", "a:20"]


async def test_an_append_follows_its_transaction(backend: Backend) -> None:
    await backend.append([("a", "1"), ("a", "append"), ("a", "2")])

    assert await backend.fold() is None

    assert (await backend.found()).side == ["after:2"]


async def test_appends_that_come_first_are_written_with_their_transaction(backend: Backend) -> None:
    await backend.append([("a", "1"), ("a", "append"), ("a", "2")])

    assert await backend.fold(APPENDS_FIRST) is None

    result = await backend.found()
    assert (result.side, result.counts) == (["after:2"], {"a": 3})


async def test_an_oversized_append_is_traced_to_the_record_that_made_it(backend: Backend) -> None:
    await backend.append([("a", "1"), ("a", "far:150000"), ("a", "2")])

    assert await backend.fold(APPENDS_FIRST) is None

    result = await backend.found()
    assert (result.side, result.counts) == ([], {"a": 2})
    assert [reason for reason, _ in result.dead] == ["fold_raised"]


async def test_a_record_that_asks_waits_for_an_answer_further_down_the_log(backend: Backend) -> None:
    await backend.append([("a", "1"), ("a", "ask"), ("a", "2")])

    assert isinstance(await backend.fold(), Unanswered)
    result = await backend.found()
    assert (result.counts, result.position, result.dead) == ({"a": 1}, Position(1, 0), [])

    await backend.append([("a", "answer"), ("a", "ask")])
    await backend.fold(until=4)
    result = await backend.found()
    assert (result.counts, result.position, result.dead) == ({"a": 4}, Position(4, 0), [])


async def test_the_position_lies_behind_markers_and_aborted_records(backend: Backend) -> None:
    await backend.append_transaction([("a", "1")] * 3)
    await backend.append_transaction([("a", "lost")] * 2, abort=True)

    assert await backend.fold(IN_TRANSACTIONS, until=3) is None

    result = await backend.found()
    assert result.counts == {"a": 3}
    assert result.position == Position(3 + 1 + 2 + 1)


async def test_what_retention_took_of_markers_is_no_gap(backend: Backend) -> None:
    await backend.append_transaction([("a", "1")] * 5)
    assert await backend.fold(IN_TRANSACTIONS, until=5) is None
    await backend.expire(before=6)

    assert await backend.fold(IN_TRANSACTIONS, until=6) is None
    await backend.append_transaction([("a", "2")])
    assert await backend.fold(IN_TRANSACTIONS, until=7) is None

    assert (await backend.found()).counts == {"a": 6}


@pytest.mark.integration
async def test_aborted_records_of_a_transactional_source_are_not_counted(kafka: Any, tmp_path: Path) -> None:
    """Faust by itself reads uncommitted records: of 120 it counted here, 20 had been aborted."""
    spec = counting_spec(SOURCE, CHANGELOG, OUT, DEAD, mode=SourceMode.TRANSACTIONAL)
    async with trial(kafka.bootstrap, partitions=1) as on:
        backend = OnKafka(on, tmp_path)
        await on.produce_transactions([[(b"a", b"%d" % (i * 20 + n)) for n in range(20)] for i in range(6)], abort=[2])

        assert await backend.fold(spec, until=5 * 21 + 20) is None

        result = await backend.found()
        assert result.counts == {"a": 100}
        assert result.outputs == [f"a:{n}" for n in range(10, 101, 10)]


@pytest.mark.integration
async def test_a_fetch_that_holds_nothing_but_aborted_records_does_not_stop_a_lane(kafka: Any, tmp_path: Path) -> None:
    """Read again from where it stood, a lane would fetch the same nothing for ever."""
    spec = counting_spec(SOURCE, CHANGELOG, OUT, DEAD, mode=SourceMode.TRANSACTIONAL)
    async with trial(kafka.bootstrap, partitions=1) as on:
        backend = OnKafka(on, tmp_path)
        more_than_a_fetch = [(b"a", b"1" * 10_000) for _ in range(300)]
        await on.produce_transactions([[(b"a", b"1")] * 3, more_than_a_fetch, [(b"a", b"2")] * 2], abort=[1])

        assert await backend.fold(spec, until=4 + 301 + 2) is None

        assert (await backend.found()).counts == {"a": 5}
