"""What passes by itself is asked again, once a broker answers; what does not is raised."""

from __future__ import annotations

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)

from services.shared.errors import ConfigurationError, Fatal
from services.shared.kafka import asking
from services.shared.kafka.settings import KafkaSettings

KAFKA = KafkaSettings(bootstrap_servers="127.0.0.1:1")


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[Exception | None]:
    """Stand where the cluster is waited for: raise what is in the list, from the end; and do not pause."""
    to_raise: list[Exception | None] = []

    async def wait_for_broker(*_: object, **__: object) -> None:
        if to_raise and (error := to_raise.pop()):
            raise error

    monkeypatch.setattr(asking, "wait_for_broker", wait_for_broker)
    monkeypatch.setattr(asking, "AGAIN_AFTER_S", 0.0)
    return to_raise


@pytest.mark.parametrize(
    "error",
    [
        NodeNotReadyError("node 1 is not ready"),
        KafkaConnectionError("closed"),
        RequestTimedOutError(),
        KafkaTimeoutError("late"),
        TimeoutError("late"),
    ],
)
async def test_a_question_is_asked_again_where_the_broker_went_away_meanwhile(error: Exception) -> None:
    answers: list[str | Exception] = ["answer", error, error]
    told: list[str] = []

    async def ask() -> str:
        answer = answers.pop()
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await asking.until_answered(KAFKA, ask, told.append) == "answer"
    assert told == ["nothing listens at 127.0.0.1:1: start the broker, or correct the port"] * 2


@pytest.mark.parametrize("error", [TopicAuthorizationFailedError("t"), ConfigurationError(["a topic is missing"])])
async def test_what_does_not_pass_is_raised_at_once(error: Exception) -> None:
    asked = 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        raise error

    with pytest.raises(type(error)):
        await asking.until_answered(KAFKA, ask)
    assert asked == 1


async def test_a_cluster_that_stays_away_is_waited_for_as_long_as_at_the_start(waits: list[Exception | None]) -> None:
    waits += [Fatal("Kafka does not answer"), None]

    async def ask() -> None:
        raise NodeNotReadyError

    with pytest.raises(Fatal):
        await asking.until_answered(KAFKA, ask)
