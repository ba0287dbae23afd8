"""What was refused, counted from a real log."""

import asyncio
import contextlib
import time

from schemas.topics import DEAD_LETTERS, USAGE_REJECTED
from services.shared.dead_letters import DeadLetter
from services.shared.kafka.settings import KafkaSettings
from services.warehouse.domain.refusals import Refusals
from services.warehouse.refusal_tail import follow
from tests.integration.warehouse.sinks import producing
from tests.support.waiting import until


def letter(reason: str, original: bytes) -> DeadLetter:
    return DeadLetter(by="ingest", reason=reason, field="timestamp", detail="x", original=original, source="web")


async def test_letters_before_and_after_the_start_are_counted_with_their_places(kafka_settings: KafkaSettings) -> None:
    refusals = Refusals()
    rejected, dead = (kafka_settings.scoped(topic) for topic in (USAGE_REJECTED, DEAD_LETTERS))
    async with producing(kafka_settings) as producer:
        large = letter("bad_timestamp", b'{"type":"track","event":"' + b"x" * 800_000 + b'"}')
        for _ in range(20):
            await producer.send_and_wait(rejected, large.encode(), key=large.key)
        following = asyncio.create_task(follow(kafka_settings, refusals))
        await until(lambda: _counted(refusals, 20), 30)
        late = letter("too_late", b'{"type":"track","event":"Report Shared","userId":"ann"}')
        await producer.send_and_wait(dead, late.encode(), key=late.key)
        await producer.send_and_wait(rejected, b"nobody can read this", key=late.key)
        await until(lambda: _counted(refusals, 21), 30)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following

    newest = {each["reason"]: each for each in refusals.told(_now())}
    assert refusals.problem == ""
    assert newest["bad_timestamp"]["count"] == 20
    assert newest["bad_timestamp"]["example"] == ""
    assert newest["too_late"]["letter"].startswith("dead-letters/")
    assert newest["too_late"]["example"] == '{"type":"track","event":"Report Shared","userId":"text"}'


async def test_while_the_log_is_away_the_counts_say_so(kafka_settings: KafkaSettings) -> None:
    away = kafka_settings.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    refusals = Refusals()
    following = asyncio.create_task(follow(away, refusals))
    await until(lambda: _says(refusals, "cannot be read"), 30)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following


async def _counted(refusals: Refusals, count: int) -> bool:
    return bool(sum(each["count"] for each in refusals.told(_now())) == count)


async def _says(refusals: Refusals, part: str) -> bool:
    return part in refusals.problem


def _now() -> int:
    return int(time.time() * 1000)
