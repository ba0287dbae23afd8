"""`tidemark dev` brings the whole pipeline up, keeps it up, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from services.shared.kafka.embedded.free_ports import free_port
from tests.support.commands import command_line, run_command
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
KEY = "e2e-a-key-of-22-characters"


class Dev:
    """A running `tidemark dev`."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.output = data.parent / "dev.out"
        key = data.parent / "dev.key"
        key.write_text(f"{KEY}\n")
        self.process = subprocess.Popen(
            command_line("dev", "--port", str(free_port(4)), "--data", str(data), "--key-file", str(key)),
            stdout=self.output.open("w"),
            stderr=subprocess.STDOUT,
        )

    def wait_ready(self) -> None:
        wait_until(
            lambda: "Tidemark is ready" in self.output.read_text() or self.process.poll() is not None,
            90,
            lambda: "it is not ready",
        )
        assert self.process.poll() is None, self.output.read_text()

    def status(self) -> dict[str, Any]:
        told = run_command("status", "--json", "--data", str(self.data)).stdout
        return dict(json.loads(told)) if told else {}

    def processes(self) -> list[psutil.Process]:
        return [p for p in psutil.process_iter(["cmdline"]) if str(self.data) in " ".join(p.info["cmdline"] or ())]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A stack of this module's tests, ready."""
    running = Dev(tmp_path_factory.mktemp("e2e") / "data of dev")
    try:
        running.wait_ready()
        yield running
    finally:
        running.process.terminate()
        running.process.wait(120)


def test_status_tells_that_all_is_ready_and_where(dev: Dev) -> None:
    """Addresses, processes, topics: all that another tool needs, asked for as people do."""
    command = command_line("status", "--json", "--data", str(dev.data))
    status = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert status["ready"] is True
    assert {"ingest", "scorer", "alerter", "warehouse"} == status["addresses"].keys()
    assert all(psutil.pid_exists(process["pid"]) for process in status["processes"].values())
    assert status["write_key"] == KEY
    page, _, token = status["live"].partition("#token=")
    with httpx.stream("GET", f"{page}/events", headers={"Authorization": f"Bearer {token}"}) as stream:
        assert stream.status_code == 200
    assert httpx.get(f"{page}/events").status_code == 401
    if not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        assert "kafka.Kafka" in psutil.Process(status["processes"]["kafka"]["pid"]).cmdline()


def test_each_address_is_printed_once(dev: Dev) -> None:
    lines = [line.split()[0] for line in dev.output.read_text().splitlines() if "http://" in line]

    assert sorted(lines) == ["alerter", "console", "ingest", "live", "scorer", "warehouse"]


@pytest.mark.parametrize("name", ["ingest", "scorer", "alerter", "warehouse"])
def test_every_process_serves_its_endpoints(dev: Dev, name: str) -> None:
    """Health, readiness and metrics."""
    address = dev.status()["addresses"][name]

    assert httpx.get(f"{address}/healthz").status_code == httpx.codes.OK
    assert httpx.get(f"{address}/readyz").status_code == httpx.codes.OK
    assert f"tidemark_{name}_" in httpx.get(f"{address}/metrics").text


def test_an_event_is_accepted_with_the_write_key(dev: Dev) -> None:
    """As the README shows it."""
    answer = httpx.post(
        dev.status()["addresses"]["ingest"] + "/v1/track",
        auth=(KEY, ""),
        json={"userId": "ada", "event": "Report Shared", "context": {"groupId": "acme"}},
    )

    assert answer.status_code == httpx.codes.OK, answer.text


def test_a_note_of_the_console_reaches_the_store(dev: Dev) -> None:
    """Through ingest and the log, with a key of the stack, and without a setting."""
    warehouse = dev.status()["addresses"]["warehouse"]

    answer = httpx.post(f"{warehouse}/accounts/acme", data={"kind": "note", "text": "They moved", "author": "Ann"})

    assert answer.headers["location"] == "/accounts/acme?recorded=note#recorded", answer.text

    def stored() -> bool:
        told = httpx.get(f"{warehouse}/v1/accounts/acme/events", params={"name": "Note Added"})
        events = told.json()["events"] if told.status_code == httpx.codes.OK else []
        return [(each["source"], each["properties"]) for each in events] == [
            ("console", '{"text":"They moved","author":"Ann"}')
        ]

    wait_until(stored, 60, lambda: "the note is not there")


@pytest.mark.parametrize("name", ["ingest", "scorer"])
def test_a_killed_service_is_started_again(dev: Dev, name: str) -> None:
    """By the supervisor, and gets ready again."""
    before = dev.status()["processes"][name]["pid"]

    os.kill(before, signal.SIGKILL)

    def back() -> bool:
        status = dev.status()
        return bool(status["ready"]) and status["processes"][name]["pid"] != before

    wait_until(back, 90, lambda: f"{name} is not back")


def test_a_second_stack_on_the_same_folder_is_refused(dev: Dev) -> None:
    """Two brokers on one folder would destroy it."""
    second = subprocess.run(
        command_line("dev", "--port", str(free_port(4)), "--data", str(dev.data)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert second.returncode == 1
    assert "runs in" in second.stderr


def test_the_doctor_finds_nothing_wrong(dev: Dev) -> None:
    """Every line is good on a stack that runs."""
    done = subprocess.run(
        command_line("doctor", "--data", str(dev.data)), capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stdout
    assert "BAD" not in done.stdout


def test_nothing_is_left_when_dev_itself_is_killed(dev: Dev) -> None:
    """SIGKILL of the outermost process ends services, broker and supervisor. Comes last, as the stack is this file's."""
    assert dev.processes()

    dev.process.kill()
    dev.process.wait()

    wait_until(lambda: not dev.processes(), otherwise=lambda: "some processes have not ended")
