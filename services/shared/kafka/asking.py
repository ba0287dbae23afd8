"""
Ask a cluster again what it could not tell.

A broker that dies takes its leaders and coordinators with it until others are elected, and whoever was just about to ask it
gets an error: that is no reason to end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka.errors import KafkaError, KafkaTimeoutError
from tenacity import AsyncRetrying, retry_if_exception, wait_fixed

from services.shared.kafka.cause import find_cause
from services.shared.kafka.clients import tell_log, wait_for_broker
from services.shared.kafka.settings import KafkaSettings

AGAIN_AFTER_S = 1.0
"""Pause before Kafka is asked again what it could not tell."""

_Answer = TypeVar("_Answer")


def passes(error: BaseException) -> bool:
    """Return whether to ask again may help: there is no leader or no coordinator just now, or no answer came in time."""
    if isinstance(error, KafkaError):
        return bool(error.retriable) or isinstance(error, KafkaTimeoutError)
    return isinstance(error, TimeoutError)


async def until_answered(
    kafka: KafkaSettings, ask: Callable[[], Awaitable[_Answer]], tell: Callable[[str], None] = tell_log
) -> _Answer:
    """
    Wait for the cluster, ask it something, and begin anew where it went away meanwhile.

    `tell` is called with what is waited for, as by `wait_for_broker`.

    Raises:
        ConfigurationError, Fatal: as `wait_for_broker`.
        KafkaError: one that does not pass.
    """

    async def attempt() -> _Answer:
        await wait_for_broker(kafka, tell=tell)
        try:
            return await ask()
        except (KafkaError, TimeoutError) as error:
            if passes(error):
                cause = await find_cause(kafka)
                tell(cause.text if cause else str(error) or repr(error))
            raise

    again = AsyncRetrying(retry=retry_if_exception(passes), wait=wait_fixed(AGAIN_AFTER_S))
    return await again(attempt)
