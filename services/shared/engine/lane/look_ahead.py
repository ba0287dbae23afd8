"""Looking further down the source for the answer that a lane waits for: a record that asked cannot be folded before it."""

from __future__ import annotations

import asyncio
import logging

from aiokafka.errors import KafkaError

from services.shared.engine.errors import SourceBehind
from services.shared.engine.fold.runner import LaneRunner
from services.shared.engine.fold.start import check_id
from services.shared.engine.lane.ports import LaneHost
from services.shared.engine.processor import Asks, SourceRecord

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
"""How often a lane that stands still looks for the answer that it waits for."""


async def look_ahead(runner: LaneRunner, host: LaneHost) -> SourceRecord:
    """
    Wait for the answer to the record at which the fold stands still, and give it to the processor; return it.

    Raises:
        SourceBehind: the source ends before that record now: nothing that is appended to it would be its answer.
        SourceRecreated: what would be its answer is in another topic of that name.
        TypeError: the processor raises `Unanswered` but does not have the methods of `Asks`.
    """
    topic, partition, processor = runner.spec.topic, runner.partition, runner.processor
    if not isinstance(processor, Asks):
        raise TypeError(f"a processor that asks must be able to hear: {type(processor).__name__}")
    answer, at = None, runner.offset + 1
    while answer is None:
        await asyncio.sleep(_LOOK_EVERY_S)
        try:
            found, at = await host.look_ahead(topic, partition, at, processor.is_answer)
            if found is not None:
                check_id(topic, partition, runner.topic_id, (await host.bounds(topic, partition)).topic_id)
            answer = found
        except (KafkaError, OSError) as error:
            log.warning("look_ahead_failed", extra={"topic": topic, "partition": partition, "error": repr(error)})
        if at < runner.offset:
            raise SourceBehind(topic, partition, at, runner.offset)
    processor.answered(answer)
    return answer
