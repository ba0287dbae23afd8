"""
Counts the bench's topic with Quix Streams and its state; prints records, seconds and CPU seconds as JSON.

Runs in an environment of its own, since its Kafka client is pinned: it imports nothing of this project.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

from quixstreams import Application

PREFIX, BOOTSTRAP = os.environ["TIDEMARK_TOPIC_PREFIX"], os.environ["KAFKA_BOOTSTRAP_SERVERS"]
TOTAL = int(sys.argv[1])


def main() -> None:
    """Count so many records and leave."""
    with tempfile.TemporaryDirectory() as data:
        app = Application(
            broker_address=BOOTSTRAP, consumer_group=f"{PREFIX}quix", auto_offset_reset="earliest", state_dir=data,
            auto_create_topics=True, loglevel="ERROR",
        )  # fmt: skip
        frame = app.dataframe(app.topic(f"{PREFIX}count-source", value_deserializer="json", key_deserializer="bytes"))

        started: list[tuple[float, float]] = []

        def count(_value: Any, state: Any) -> None:
            if not started:
                started.append((time.perf_counter(), time.process_time()))
            state.set("n", state.get("n", 0) + 1)

        frame.update(count, stateful=True)
        app.run(count=TOTAL)
        began, cpu = started[0]
        used = time.process_time() - cpu
        print(json.dumps({"records": TOTAL - 1, "seconds": time.perf_counter() - began, "cpu": used}), flush=True)


if __name__ == "__main__":
    main()
