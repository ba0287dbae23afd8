"""What a test process has started ends with it, also where it is killed and can end nothing itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

SERVICE = """
import asyncio
from services.shared.kafka.settings import KafkaSettings
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

async def start():
    process = ServiceProcess("scorer", KafkaSettings(bootstrap_servers="127.0.0.1:1"), folder)
    await process.start()
    await until(lambda: "waiting_for_broker" in process.log.read_text("utf-8"))
    print("runs", flush=True)
    await asyncio.Event().wait()

asyncio.run(start())
"""
WORKER = """
import os, subprocess
from tests.support.waiting import wait_until

log = folder / "worker.log"
with log.open("wb") as out:
    subprocess.Popen([sys.executable, "-m", "tests.support.counting.worker"], stderr=out, stdout=subprocess.DEVNULL,
        env=os.environ | {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "TIDEMARK_DATA_DIR": str(folder)})
wait_until(lambda: "waiting_for_broker" in log.read_text("utf-8"))
print("runs", flush=True)
sys.stdin.read()
"""
CLICKHOUSE = """
from tests.support.clickhouse_server import clickhouse_server

with clickhouse_server(folder):
    print("runs", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("code", [SERVICE, WORKER, CLICKHOUSE], ids=["service", "worker", "clickhouse"])
def test_what_tests_start_ends_when_their_process_is_killed(code: str, tmp_path: Path) -> None:
    """The broker has such a test of its own."""
    whole = f"import sys\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n{code}"
    parent = subprocess.Popen(
        [sys.executable, "-c", whole, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "runs\n"
    started = psutil.Process(parent.pid).children(recursive=True)
    assert started

    parent.kill()
    parent.wait()

    try:
        wait_until(lambda: not any(_runs(each) for each in started), within_s=30)
    finally:
        for each in started:
            if each.is_running():
                each.kill()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
