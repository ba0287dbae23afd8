"""How a lane that stands still comes to the answer it waits for: by looking further down its own source."""

from __future__ import annotations

import asyncio
import logging

from aiokafka.errors import KafkaError

from services.shared.engine.core import Asks, SourceRecord
from services.shared.engine.fold import LaneFold
from services.shared.engine.surroundings import Surroundings

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
"""How often a lane that stands still looks for the answer that it waits for."""


async def hear(fold: LaneFold, around: Surroundings) -> SourceRecord:
    """
    Wait for the answer to the record at which the fold stands still, and give it to the core; return it.

    Raises:
        TypeError: a core that asks cannot hear.
    """
    topic, partition, core = fold.spec.topic, fold.partition, fold.core
    if not isinstance(core, Asks):
        raise TypeError(f"a core that asks must be able to hear: {type(core).__name__}")
    answer, at = None, fold.offset + 1
    while answer is None:
        await asyncio.sleep(_LOOK_EVERY_S)
        try:
            answer, at = await around.look_ahead(topic, partition, at, core.is_answer)
        except (KafkaError, OSError) as error:
            log.warning("look_ahead_failed", extra={"topic": topic, "partition": partition, "error": repr(error)})
    core.answered(answer)
    return answer
