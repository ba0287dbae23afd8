"""The counting job three ways on one topic of one broker: the engine, a plain Faust agent with a table, Quix Streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import RecordMetadata

from services.shared.engine.counting_trial import SOURCE, Trial, trial
from services.shared.kafka.clients import producer

RECORDS = 400_000
PLAIN_RECORDS = 20_000
ACCOUNTS = 5_000
HERE = Path(__file__).parent


async def fill(log: Trial) -> None:
    """Fill every partition evenly: 5,000 accounts, JSON values of about 100 bytes."""
    client = producer(log.kafka, max_batch_size=512 << 10)
    await client.start()
    sent: list[Any] = []
    for partition in range(log.kafka.partitions):
        batch = client.create_batch()
        for n in range(RECORDS // log.kafka.partitions):
            account = b"account-%06d" % (
                (n * 7919 % (ACCOUNTS // log.kafka.partitions)) * log.kafka.partitions + partition
            )
            value = b'{"event":"Report Exported","user":"user-%05d","at":"2026-05-04T10:11:12.345Z","n":%d}' % (
                n % 20,
                n,
            )
            while batch.append(timestamp=None, key=account, value=value) is None:
                sent.append(await client.send_batch(batch, log.scoped(SOURCE), partition=partition))
                batch = client.create_batch()
        sent.append(await client.send_batch(batch, log.scoped(SOURCE), partition=partition))
    done: list[RecordMetadata] = [await s for s in sent]
    assert done
    await client.stop()


def run(log: Trial, python: str, script: str, records: int) -> dict[str, float]:
    """Run one of the scripts and return what it printed."""
    env = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": log.kafka.bootstrap_servers,
        "TIDEMARK_TOPIC_PREFIX": log.kafka.topic_prefix,
    }
    ended = subprocess.run(
        [python, str(HERE / script), str(records)], env=env, capture_output=True, text=True, timeout=300, check=False
    )
    lines = [line for line in ended.stdout.splitlines() if line.startswith('{"records"')]
    assert lines, ended.stderr[-2000:]
    result: dict[str, float] = json.loads(lines[-1])
    return result


@pytest.mark.bench
async def test_counting_through_the_engine_beats_plain_faust_and_quix(kafka: Any, project_root: Path) -> None:
    async with trial(kafka.bootstrap) as log:
        await fill(log)
        engine = run(log, sys.executable, "engine_counting.py", RECORDS)
        quix = run(log, str(project_root / ".venv-bench" / "bin" / "python"), "engine_quix.py", RECORDS)
        plain = run(log, sys.executable, "engine_plain_faust.py", PLAIN_RECORDS)

    print(f"\ncounting job, {RECORDS:,} JSON records, {ACCOUNTS:,} accounts, 4 partitions, one worker")
    rates = {}
    for name, result in (("engine, exactly once", engine), ("Quix Streams", quix), ("plain Faust, table", plain)):
        rates[name] = result["records"] / result["seconds"]
        print(
            f"  {name:22} {rates[name]:10,.0f} records/s  {result['seconds'] / result['records'] * 1e6:7.2f} us a record"
            f"  (CPU {result['cpu'] / result['records'] * 1e6:6.2f} us)"
        )
    ours = rates["engine, exactly once"]
    print(
        f"  engine / plain Faust {ours / rates['plain Faust, table']:.1f}, engine / Quix {ours / rates['Quix Streams']:.2f}"
    )
