"""Counts the bench's topic with a plain Faust agent and a table; prints records, seconds and CPU seconds as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from typing import Any

import faust

PREFIX, BOOTSTRAP = os.environ["TIDEMARK_TOPIC_PREFIX"], os.environ["KAFKA_BOOTSTRAP_SERVERS"]
TOTAL = int(sys.argv[1])


def make(data: str, done: asyncio.Event) -> faust.App:
    """Make the app as Faust's tutorial does, with its defaults."""
    app = faust.App(
        f"{PREFIX}plain", broker=f"kafka://{BOOTSTRAP}", store="memory://", topic_partitions=4, web_enabled=False,
        datadir=data, consumer_auto_offset_reset="earliest", topic_disable_leader=True,
    )  # fmt: skip
    topic = app.topic(f"{PREFIX}count-source", key_type=str, value_serializer="json")
    counts: Any = app.Table("counts", default=int, partitions=4)

    async def count(stream: Any) -> None:
        seen, began, cpu = 0, 0.0, 0.0
        async for key, _value in stream.items():  # noqa: PERF102 - a stream, no dict
            if not seen:
                began, cpu = time.perf_counter(), time.process_time()
            counts[key] += 1
            seen += 1
            if seen == TOTAL:
                used = time.process_time() - cpu
                print(
                    json.dumps({"records": seen - 1, "seconds": time.perf_counter() - began, "cpu": used}), flush=True
                )
                done.set()

    app.agent(topic)(count)
    return app


async def main() -> None:
    """Count so many records and leave."""
    done = asyncio.Event()
    with tempfile.TemporaryDirectory() as data:
        app = make(data, done)
        starting = asyncio.create_task(app.start())
        await done.wait()
        starting.cancel()
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
