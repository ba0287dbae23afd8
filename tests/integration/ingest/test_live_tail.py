"""Events as they arrive, from a real log: each once, with what became of it, and of a flood no more than anybody can read."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from schemas import codec
from services.ingest.domain.arrivals import Arrival, Arrivals
from services.ingest.live import log_tail
from services.ingest.live.log_tail import LogTail, Watcher
from services.shared.dead_letters import DeadLetter
from services.shared.kafka.clients import producer
from services.shared.kafka.settings import KafkaSettings
from tests.support.keys import entry
from tests.support.waiting import until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
EXAMPLE = json.loads((ROOT / "schemas/usage_event/examples/track.json").read_text())
encode = codec.encoder("usage_event")


class Log:
    """Writes what ingest and attribution write."""

    def __init__(self, kafka: KafkaSettings, writer: AIOKafkaProducer) -> None:
        self._kafka = kafka
        self._writer = writer

    async def event(self, topic: str = "usage-events", **more: Any) -> None:
        """Write an event."""
        event = EXAMPLE | {"source": "web", "account": "acme"} | more
        key = (event["account"] or event["user"]).encode()
        await self._writer.send_and_wait(self._kafka.scoped(topic), encode(event), key=key)

    async def letter(self, source: str = "web", **more: Any) -> None:
        """Write a dead letter: of ingest, or of whoever `by` names."""
        said = {"by": "ingest", "reason": "wrong_type", "field": "properties", "detail": "no", "original": b"{}"}
        letter = DeadLetter(**{**said, "source": source, **more})
        topic = "usage-rejected" if letter.by == "ingest" else "dead-letters"
        await self._writer.send_and_wait(self._kafka.scoped(topic), letter.encode(), key=letter.key)

    async def flood(self, count: int) -> None:
        """Write many events of another source."""
        value = encode(EXAMPLE | {"source": "flood", "account": "other"})
        for _ in range(count):
            await self._writer.send(self._kafka.scoped("usage-events"), value, key=b"other")
        await self._writer.flush()


@pytest.fixture
async def log(kafka_settings: KafkaSettings) -> AsyncIterator[Log]:
    writer = producer(kafka_settings)
    await writer.start()
    yield Log(kafka_settings, writer)
    await writer.stop()


async def seen(watcher: Watcher, count: int) -> list[Arrival]:
    """Return the next arrivals, once there are so many."""
    found: list[Arrival] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            news = await watcher.next(1)
            found += news.arrivals if news else []
    return found


async def test_each_event_is_shown_with_what_became_of_it(kafka_settings: KafkaSettings, log: Log) -> None:
    await log.event(event_id="before")
    async with LogTail(kafka_settings).watch("web", 1000) as watcher:
        await until(lambda: watcher.begun)
        await log.event(event_id="m1")
        await log.event(event_id="other", source="app")
        await log.letter("app")
        await log.letter()
        await log.event("usage-unattributed", event_id="m2", account="", via="UNKNOWN")
        found = await seen(watcher, 3)
        await log.event(event_id="m2", account="globex", via="USER", forwards=1)
        found += await seen(watcher, 1)
        await log.letter(by="scorer", reason="too_late", event_id="m1", account="acme")
        found += await seen(watcher, 1)

    assert [(each.verdict, each.id, each.account, each.code) for each in found] == [
        ("accepted", "m1", "acme", ""),
        ("rejected", "", "", "wrong_type"),
        ("unattributed", "m2", "", ""),
        ("attributed", "m2", "globex", ""),
        ("rejected", "m1", "acme", "too_late"),
    ]


async def test_nothing_is_read_while_nobody_watches(kafka_settings: KafkaSettings, log: Log) -> None:
    tail = LogTail(kafka_settings)
    async with tail.watch("", 1000) as first, tail.watch("app", 1000) as second:
        await until(lambda: first.begun)
        await log.event(event_id="m1")
        assert [each.id for each in await seen(first, 1)] == ["m1"]
        assert await second.next(0) is None
        assert tail.watched == 2
    assert tail._task is None

    await log.event(event_id="m2")
    async with tail.watch("", 1000) as later:
        await until(lambda: later.begun)
        await log.event(event_id="m3")
        assert [each.id for each in await seen(later, 1)] == ["m3"]


async def test_a_record_that_nobody_expected_ends_no_tail_and_is_told(kafka_settings: KafkaSettings, log: Log) -> None:
    class Unexpected(Arrivals):
        def of_event(self, event: Mapping[str, Any]) -> Arrival:
            return super().of_event(event if event["event_id"] != "m1" else {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_tail, "Arrivals", Unexpected)
        async with LogTail(kafka_settings).watch("", 1000) as watcher:
            await until(lambda: watcher.begun)
            await log.event(event_id="m1")
            told = await watcher.next(20)
            assert told is not None
            assert told.problem == "the log cannot be read: 'account'"
            back = await watcher.next(20)
            assert back is not None
            assert not back.problem
            await log.event(event_id="m2")
            assert [each.id for each in await seen(watcher, 1)] == ["m2"]


async def test_of_a_flood_some_is_shown_and_the_rest_is_counted(
    kafka_settings: KafkaSettings, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tail, "_AT_A_TIME", 20)
    monkeypatch.setattr(log_tail, "_BEHIND", 200)
    async with LogTail(kafka_settings).watch("", 10) as watcher:
        await until(lambda: watcher.begun)
        await log.flood(2_000)
        shown = hidden = passed = 0
        async with asyncio.timeout(30):
            while shown + hidden + passed < 2_000:
                news = await watcher.next(1)
                if news:
                    shown, hidden, passed = shown + len(news.arrivals), hidden + news.hidden, passed + news.passed

    assert shown + hidden + passed == 2_000
    assert 0 < shown < 500
    assert hidden > 0
    assert passed > 1_000


async def test_the_command_prints_what_arrives_for_a_write_key(
    kafka_settings: KafkaSettings, log: Log, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(entry("wk", "web"))
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "services.cli",
            "tail",
            "--key-file",
            "-",
            "--json",
            "--limit",
            "2",
            "--data",
            str(tmp_path),
        ),
        env={
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": kafka_settings.bootstrap_servers,
            "TIDEMARK_TOPIC_PREFIX": kafka_settings.topic_prefix,
            "TIDEMARK_PARTITIONS": str(kafka_settings.partitions),
            "TIDEMARK_WRITE_KEYS_FILE": str(keys),
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(b"wk\n")
    process.stdin.close()
    async with asyncio.timeout(60):
        assert b"Waiting for events of web" in await process.stderr.readline()
        await log.event(event_id="m0", source="app")
        await log.event(event_id="m1")
        await log.letter()
        out, _ = await process.communicate()

    assert process.returncode == 0
    first, second = map(json.loads, out.splitlines())
    assert (first["verdict"], first["id"], first["account"], first["via"]) == ("accepted", "m1", "acme", "event")
    assert (second["verdict"], second["code"], second["field"]) == ("rejected", "wrong_type", "properties")
