"""A writer whose lane another has opened says so once, and leaves no failure of which nobody has heard."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

from services.shared.engine.errors import FailStop
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.kafka.writer import LaneWriter
from services.shared.engine.position import Position
from services.shared.engine.processor import Output
from tests.support.counting.processor import counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, GROUP, OUT, SOURCE, Trial, trial

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


def writer(log: Trial) -> LaneWriter:
    spec = counting_spec(SOURCE, CHANGELOG, OUT, DEAD)
    return LaneWriter(log.kafka, GROUP, spec, 0, limits={}, partitions={}, timeout_s=15.0)


async def write_what_fails(log: Trial, *outputs: Output) -> None:
    former, other = writer(log), writer(log)
    for each in (former, other):
        await each.start()
    with pytest.raises(FailStop, match="ProducerFenced"):
        await former.write(Transaction(Position(2), outputs=list(outputs)))
    await former.close()
    await other.close()


async def ask_in_vain(log: Trial) -> None:
    former, other = writer(log), writer(log)
    for each in (former, other):
        await each.start()
    assert not await former.still_owns(Transaction(Position(2)))
    await former.close()
    await other.close()


async def test_asyncio_has_nothing_to_tell_of_what_a_fenced_writer_had_sent(
    kafka: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "asyncio")
    async with trial(kafka.bootstrap, partitions=2) as log:
        await write_what_fails(log)
        await write_what_fails(log, *(Output(OUT, b"k%d" % n, b"w" * 100_000) for n in range(30)))
        await ask_in_vain(log)
    await asyncio.sleep(0)
    gc.collect()

    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
