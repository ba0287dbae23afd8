"""A service that is asked to stop ends with status 0, however early that is, and however often it is asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.shared.ports import APART, PORTS
from tests.support.waiting import until

pytestmark = pytest.mark.integration

SERVICES = sorted(PORTS | APART)
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


SIGNALLED_IN_AN_IMPORT = """
import os, runpy, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("AT", "uvloop"):
            os.kill(os.getpid(), signal.Signals[os.environ.get("WITH", "SIGTERM")])

sys.meta_path.insert(0, Finder())
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""Runs a module that gets SIGTERM, or the signal WITH, when it imports what every service needs, or the module AT."""


class Stopping:
    """A service that finds no Kafka where it looks for it, and so never gets further than to wait."""

    def __init__(self, arguments: list[str], folder: Path, **more: str) -> None:
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "TIDEMARK_DATA_DIR": str(folder),
            "TIDEMARK_HTTP_PORT": "0",
            "TIDEMARK_CONSOLE_API": "http://127.0.0.1:1",
            **{f"TIDEMARK_{name.upper()}_URL": "http://127.0.0.1:1" for name in PORTS},  # one may run on this machine
            **more,
        }
        self._log = folder / "log"
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, *arguments], env=os.environ | settings, stdout=out, stderr=out
            )

    def says(self, text: bytes) -> bool:
        return text in self._log.read_bytes()

    def status(self) -> int:
        """Wait for its end."""
        try:
            status = self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
        assert not self.says(b"Traceback")
        return status


async def waiting_for_kafka(folder: Path) -> Stopping:
    service = Stopping(["-m", "services.scorer"], folder)
    await until(lambda: service.process.poll() is not None or service.says(b"waiting_for_broker"))
    return service


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_still_imports_what_it_needs_ends_with_status_0(name: str, tmp_path: Path) -> None:
    assert Stopping(["-c", SIGNALLED_IN_AN_IMPORT, f"services.{name}"], tmp_path).status() == 0


def test_so_does_one_that_the_tool_starts(tmp_path: Path) -> None:
    assert Stopping(["-c", SIGNALLED_IN_AN_IMPORT, "services.cli", "scorer"], tmp_path).status() == 0


def test_other_commands_of_the_tool_do_not_say_that_they_have_done_their_work(tmp_path: Path) -> None:
    assert Stopping(["-c", SIGNALLED_IN_AN_IMPORT, "services.cli", "status"], tmp_path).status() != 0


@pytest.mark.parametrize("module", ["typer", "services.cli.commands.doctor", "services.cli.local.stack"])
def test_ctrl_c_while_the_tool_is_being_loaded_ends_it_as_one_later_does_and_without_a_traceback(
    module: str, tmp_path: Path
) -> None:
    command = ["-c", SIGNALLED_IN_AN_IMPORT, "services.cli", "dev", "--data", str(tmp_path)]

    assert Stopping(command, tmp_path, AT=module, WITH="SIGINT").status() == 130


def test_nor_does_a_check_of_the_configuration_that_was_cut_short(tmp_path: Path) -> None:
    command = ["-c", SIGNALLED_IN_AN_IMPORT, "services.scorer", "--check-config"]

    assert Stopping(command, tmp_path).status() == -signal.SIGTERM


@pytest.mark.parametrize("number", STOPS)
async def test_every_signal_that_asks_to_stop_ends_a_running_service_with_status_0(
    number: signal.Signals, tmp_path: Path
) -> None:
    service = await waiting_for_kafka(tmp_path)

    service.process.send_signal(number)

    assert service.status() == 0


async def test_to_ask_again_and_again_changes_nothing(tmp_path: Path) -> None:
    service = await waiting_for_kafka(tmp_path)

    def ended_when_asked_again() -> bool:
        for number in STOPS:
            service.process.send_signal(number)
        return service.process.poll() is not None

    await until(ended_when_asked_again)

    assert service.status() == 0
