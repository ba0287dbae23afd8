"""Counts the bench's topic through the engine, exactly once; prints records, seconds and CPU seconds as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from prometheus_client import CollectorRegistry

from services.shared import logging as structured
from services.shared.engine.processor import SourceRecord
from services.shared.engine.settings import EngineSettings
from services.shared.engine.worker.worker import Worker
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings
from tests.support.counting.processor import CountingProcessor, counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, GROUP, OUT, SOURCE

decode = msgspec.json.Decoder().decode


class JsonProcessor(CountingProcessor):
    """Decodes each value, as the others do, and counts its key."""

    def decode(self, record: SourceRecord) -> Any:
        return record.key, decode(record.value or b"")

    def fold(self, offset: int, item: Any, step: int) -> None:
        self._count(item[0])


async def measure(total: int) -> None:
    """Fold until everything is durable."""
    spec = replace(
        counting_spec(SOURCE, CHANGELOG, OUT, DEAD), processor=lambda p: JsonProcessor(p, OUT, every=1 << 60)
    )
    first = 0
    with tempfile.TemporaryDirectory() as data:
        worker = Worker(
            GROUP, [spec], KafkaSettings(), EngineSettings(), CollectorRegistry(), ProcessSettings(data_dir=Path(data))
        )
        running = asyncio.create_task(worker.run())
        began = cpu = 0.0
        while True:
            lanes = worker.open_lanes(SOURCE).values()
            if not began and any(lane.next.offset for lane in lanes):
                began, cpu = time.perf_counter(), time.process_time()
                first = sum(lane.next.offset for lane in lanes)
            if sum(lane.durable.offset for lane in lanes) >= total:
                break
            await asyncio.sleep(0.005)
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        print(json.dumps({"records": total - first, "seconds": seconds, "cpu": used}), flush=True)
        worker.stop()
        await running


if __name__ == "__main__":
    structured.setup("bench")
    os.environ.setdefault("TIDEMARK_LOG_LEVEL", "ERROR")
    uvloop.run(measure(int(sys.argv[1])))
