"""The supervisor's configuration says what we mean, in any folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE

import pytest
from supervisor.options import ServerOptions

from services.cli.commands.dev import tell_until
from services.cli.local.paced import quick_ends
from services.cli.local.stack import Stack
from services.cli.local.supervision import Program, Supervisor, command, socket_path, still_runs, write_configuration
from services.shared.errors import Fatal
from services.shared.kafka.embedded.free_ports import free_port
from tests.support.waiting import wait_until

ENDS_WITHIN_S = 40
"""A signal that comes before a new process has become its program is lost; supervisord kills it 25 s later."""


@pytest.mark.parametrize("folder", ["plain", "two words", "100%", "it's"])
def test_any_data_folder_survives_the_configuration(tmp_path: Path, folder: str) -> None:
    """Blanks, quotes and percent signs included."""
    data = tmp_path / folder
    data.mkdir()
    program = Program("one", ["/bin/echo", str(data)], 1, {"TIDEMARK_DATA_DIR": str(data)})

    file = write_configuration(data, [program])

    options = ServerOptions()
    options.realize(["--configuration", str(file)])
    [group] = options.process_group_configs
    [process] = group.process_configs
    import shlex

    assert shlex.split(process.command)[-2:] == program.command
    assert process.environment["TIDEMARK_DATA_DIR"] == str(data)


def test_nobody_else_on_the_machine_reads_the_configuration_for_it_has_the_secrets_of_the_services(
    tmp_path: Path,
) -> None:
    file = tmp_path / "supervisor" / "supervisord.conf"
    file.parent.mkdir()
    file.touch(mode=0o644)

    write_configuration(tmp_path, [Program("one", ["/bin/true"], 1, {"TIDEMARK_PSEUDONYM_KEY": "0" * 64})])

    assert S_IMODE(file.stat().st_mode) == 0o600


def test_nobody_else_on_the_machine_looks_into_the_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Fatal, match=r"in use: .*ARGS=\"--port 9000\""), Stack(data, taken.getsockname()[1]):
            pass

    assert S_IMODE(data.stat().st_mode) == 0o700


def test_what_is_missing_of_a_cluster_of_ones_own_is_said_at_once_and_not_after_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", address)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        raise Fatal("it was said")

    with pytest.raises(Fatal, match="it was said"), Stack(tmp_path, free_port(4), say=say):
        pass

    assert said == [f"waiting for Kafka: nothing listens at {address}: start the broker, or correct the port"]


def test_a_supervisor_that_cannot_write_its_log_does_not_fill_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As on a full disk: its logger prints a traceback for each line."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
    (tmp_path / "supervisor").mkdir()
    (tmp_path / "supervisor" / "supervisord.log").symlink_to("/dev/full")

    def say(_text: str) -> None:
        raise Fatal("it runs")

    with pytest.raises(Fatal, match="it runs"), Stack(tmp_path, free_port(4), say=say):
        pass

    assert capfd.readouterr().err == ""


def test_a_long_folder_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    """A unix socket's path has at most 108 bytes."""
    data = tmp_path / ("x" * 100)

    assert len(os.fsencode(socket_path(data))) <= 85
    assert socket_path(data) != socket_path(data / "y")


def test_the_next_run_waits_for_the_supervisor_that_a_killed_one_has_left(tmp_path: Path) -> None:
    """It still stops the broker: another one could not use its files, and the ports are taken."""
    former = subprocess.Popen(command(write_configuration(tmp_path, [])), stdout=subprocess.DEVNULL)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        former.terminate()

    try:
        wait_until(Supervisor(socket_path(tmp_path)).answers, within_s=20)
        Stack(tmp_path, say=say)._await_former()

        assert said == ["waiting for the end of what the last run has left"]
        assert not Supervisor(socket_path(tmp_path)).answers()
    finally:
        former.kill()
        former.wait()


def test_the_process_id_of_another_program_is_not_waited_for(tmp_path: Path) -> None:
    write_configuration(tmp_path, [])
    (tmp_path / "supervisor" / "supervisord.pid").write_text(f"{os.getpid()}\n")

    assert not still_runs(tmp_path)


def test_what_refuses_to_run_is_not_started_again_and_what_fails_is_after_a_pause(tmp_path: Path) -> None:
    """Though both end at once: supervisord alone would try the first again, whatever its status."""
    script = 'echo x >> "$0"; exit "$1"'
    programs = [
        Program(name, ["/bin/sh", "-c", script, str(tmp_path / name), status], 1)
        for name, status in (("refused", "78"), ("failed", "1"))
    ]
    supervisor = Supervisor(socket_path(tmp_path))
    process = subprocess.Popen(
        command(write_configuration(tmp_path, programs)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )

    def starts(name: str) -> int:
        file = tmp_path / name
        return len(file.read_text().splitlines()) if file.exists() else 0

    try:
        wait_until(supervisor.answers)
        began = time.monotonic()
        supervisor.start("failed")
        supervisor.start("refused")
        wait_until(lambda: starts("failed") >= 4)

        assert time.monotonic() - began >= 1 + 2 + 3
        assert (starts("refused"), _state(supervisor, "refused")) == (1, "EXITED")
    finally:
        process.terminate()
        process.wait(ENDS_WITHIN_S)


def test_dev_says_what_ended_and_was_started_again_and_how_it_had_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = write_configuration(tmp_path, [Program("scorer", ["/bin/sleep", "600"], 1)])
    stack = Stack(tmp_path)
    stack._process = process = subprocess.Popen(command(configuration), stdout=subprocess.DEVNULL)
    said = ""

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            nonlocal said
            [told] = stack.supervisor.processes()
            if told["pid"] == first:
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(first, signal.SIGKILL)
            said += capsys.readouterr().err
            return bool(said) or super().wait(0.05)

    try:
        wait_until(stack.supervisor.answers)
        stack.supervisor.start("scorer")
        [told] = stack.supervisor.processes()
        first = told["pid"]
        assert stack.started_again() == {}
        tell_until(Stop(), stack)

        assert said == "scorer ended (SIGKILL), started again\n"
    finally:
        process.terminate()
        process.wait(ENDS_WITHIN_S)


def test_what_has_lived_for_a_while_starts_again_at_once(tmp_path: Path) -> None:
    """And forgets what was before."""
    file = str(tmp_path / "one.starts")

    assert [quick_ends(file, now) for now in (0.0, 1.0, 3.0, 6.0)] == [0, 1, 2, 3]
    assert quick_ends(file, 100.0) == 0


def test_a_start_that_cannot_be_noted_waits_longest(tmp_path: Path) -> None:
    """As on a full disk, where the broker ends at each start: supervisord would start it again without a pause."""
    assert quick_ends(str(tmp_path / "no folder" / "one.starts"), 0.0) == 30


def _state(supervisor: Supervisor, name: str) -> str:
    return str(next(each["statename"] for each in supervisor.processes() if each["name"] == name))
