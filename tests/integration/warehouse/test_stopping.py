"""A warehouse that is asked to stop ends in time, whatever its store does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.shared import exit_status
from tests.support.waiting import until

pytestmark = pytest.mark.integration

IN_A_SECOND = """
import sys
from services.warehouse import __main__ as warehouse

warehouse._END_WITHIN_S = 1.0
sys.exit(warehouse.main([]))
"""


async def test_it_ends_though_a_server_that_hangs_never_answers(tmp_path: Path) -> None:
    """It takes the connection and says nothing: the call fails after five minutes, and its thread waits for that."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        hanging.settimeout(30)
        settings = {
            "CLICKHOUSE_URL": f"http://127.0.0.1:{hanging.getsockname()[1]}",
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "TIDEMARK_DATA_DIR": str(tmp_path),
            "TIDEMARK_HTTP_PORT": "0",
        }
        log = tmp_path / "log"
        with log.open("wb") as out:
            process = subprocess.Popen([sys.executable, "-c", IN_A_SECOND], env=os.environ | settings, stderr=out)
        try:
            connection, _ = hanging.accept()  # the store is being opened
            process.send_signal(signal.SIGTERM)
            await until(lambda: process.poll() is not None, 30)
        finally:
            process.kill()
            process.wait()
            connection.close()

    assert process.returncode == exit_status.FAIL_STOP
    assert b"ended_without_an_answer_of_the_store" in log.read_bytes()
