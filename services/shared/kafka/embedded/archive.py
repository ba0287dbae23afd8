"""
Make the archive of the broker's classes: a broker runs once, does a little of everything, and Java keeps what it loaded.

A part of the set-up. On failure, or where the Java is older than 24, brokers start more slowly and nothing else changes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import tempfile
from pathlib import Path

from services.shared.kafka import topics
from services.shared.kafka.clients import consumer, transactional_producer
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.embedded.jars import ensure
from services.shared.kafka.embedded.java import archive_file, command
from services.shared.kafka.settings import KafkaSettings

_HEAP_MB = 512
_USE_WITHIN_S = 120.0
_RECORD_WITHIN_S = 300.0


def make(file: Path) -> bool:
    """Run a broker and keep its classes in the file, in place of an older one; return whether that came about."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as name:
        folder = Path(name)
        if file.exists():
            file.replace(folder / "before")  # who starts from an archive records nothing
        recorded, draft = f"-XX:AOTConfiguration={folder / 'recorded'}", folder / file.name
        broker = EmbeddedBroker(folder / "broker")
        broker.environment = {"JDK_JAVA_OPTIONS": f"-XX:+IgnoreUnrecognizedVMOptions -XX:AOTMode=record {recorded}"}
        broker.start()
        try:
            asyncio.run(_use(KafkaSettings(bootstrap_servers=broker.bootstrap, partitions=1)))
            os.kill(broker.pid, signal.SIGTERM)
            broker.wait(_RECORD_WITHIN_S)  # `stop` has less patience
        finally:
            broker.stop()
        create = [*command(ensure(), folder / "log", _HEAP_MB), "-XX:AOTMode=create", recorded, f"-XX:AOTCache={draft}"]
        made = subprocess.run(
            create, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=_RECORD_WITHIN_S
        )
        if made.returncode == 0:
            with draft.open("rb") as written:
                os.fsync(written)  # Java trusts what it finds: blocks that a loss of power left empty would end it
            draft.replace(file)
    return made.returncode == 0


async def _use(kafka: KafkaSettings) -> None:
    async with asyncio.timeout(_USE_WITHIN_S):
        await _a_little_of_everything(kafka)


async def _a_little_of_everything(kafka: KafkaSettings) -> None:
    await topics.create(kafka)
    writer = transactional_producer(kafka, "archive")
    reader = consumer(kafka, "fleet", group_id="archive")
    await writer.start()
    await reader.start()
    try:
        async with writer.transaction():
            await writer.send_and_wait(kafka.scoped("fleet"), b"value", b"key", 0)
        await reader.getone()
        await reader.commit()
    finally:
        await reader.stop()
        await writer.stop()


def main() -> None:
    """Make it, and say what came of it."""
    logging.disable()  # clients that wait for a broker which has just started are no news
    try:
        made = make(archive_file())
    except Exception as error:  # noqa: BLE001 - whatever it is, the set-up goes on without
        print(repr(error))
        made = False
    print("the broker starts from an archive of its classes" if made else "no archive: the broker starts more slowly")


if __name__ == "__main__":
    main()
