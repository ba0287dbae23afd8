"""Tidemark from its wheel, without the repository: each service as its systemd unit runs it."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from services.shared.kafka.settings import KafkaSettings
from services.shared.ports import PORTS
from tests.support import systemd
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

_UV = Path(sys.executable).with_name("uv")


@dataclass(frozen=True)
class Machine:
    """A machine on which it is installed as docs/operating.md says; the packages of the lock file are those of the tests."""

    program: Path
    state: Path
    environment: dict[str, str]

    def run(self, *words: str) -> str:
        """Run the tool with what /etc/tidemark/tidemark.env says; return its output."""
        done = subprocess.run(
            [self.program / "bin/tidemark", *words],
            cwd=self.state, env=self.environment, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(self, code: str) -> str:
        """Run some code in its Python; return what it printed."""
        command = [str(self.program / "bin/python"), "-c", code]
        done = subprocess.run(command, cwd=self.state, stdout=subprocess.PIPE, text=True, timeout=120, check=True)
        return done.stdout.strip()

    def here(self, text: str) -> str:
        """Return a value of the unit with the folders of this machine."""
        return text.replace(systemd.PROGRAM, str(self.program)).replace(systemd.STATE, str(self.state))


class Unit(ServiceProcess):
    """A service as its unit runs it."""

    def __init__(self, name: str, kafka: KafkaSettings, machine: Machine) -> None:
        super().__init__(name, kafka, machine.state)
        own = dict(machine.here(each).split("=", 1) for each in systemd.values("Environment"))
        self.environment = machine.environment | own | {"TIDEMARK_HTTP_PORT": str(self.port)}
        command = shlex.split(machine.here(systemd.values("ExecStart")[0]).replace("%i", name))
        self._command = [*systemd.filtered(), *command]
        self._folder = machine.here(systemd.values("WorkingDirectory")[0])

    async def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                *self._command, cwd=self._folder, env=self.environment, stdout=out, stderr=out
            )


@pytest.fixture
def machine(kafka_settings: KafkaSettings, project_root: Path, tmp_path: Path) -> Machine:
    program, state = tmp_path / "opt", tmp_path / "state"
    for folder in (state, tmp_path / "home"):
        folder.mkdir()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=project_root, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    for command in (
        [sys.executable, "-m", "venv", "--without-pip", str(program)],
        [str(_UV), "pip", "install", "--offline", "--no-deps", "--python", str(program / "bin/python"), str(wheel)],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    (packages,) = program.glob("lib/python*/site-packages")
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")  # the editable install there is not read
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path / "home"),
        "KAFKA_BOOTSTRAP_SERVERS": kafka_settings.bootstrap_servers,
        "TIDEMARK_TOPIC_PREFIX": kafka_settings.topic_prefix,
        "TIDEMARK_PARTITIONS": str(kafka_settings.partitions),
        "TIDEMARK_PSEUDONYM_KEY": "5e" * 32,
    }
    told = systemd.variables()
    for name in ("TIDEMARK_WRITE_KEYS_FILE", "TIDEMARK_LOG_FORMAT"):
        environment[name] = told[name].replace(systemd.STATE, str(state))
    return Machine(program, state, environment)


async def test_services_of_a_wheel_take_an_event_to_the_store(machine: Machine, kafka_settings: KafkaSettings) -> None:
    """From the first steps of docs/operating.md to SIGTERM; no file of the repository is read."""
    assert Path(machine.python("import services; print(services.__file__)")).is_relative_to(machine.program)
    await asyncio.to_thread(machine.run, "topics", "check")
    made = await asyncio.to_thread(machine.run, "keys", "create", "--source", "app", "--client", "server")
    key = next(line for line in made.split() if line.startswith("tmk_"))
    units = {name: Unit(name, kafka_settings, machine) for name in PORTS}
    addresses = {f"TIDEMARK_{name.upper()}_URL": f"http://127.0.0.1:{unit.port}" for name, unit in units.items()}
    event = {"userId": "ada", "event": "Report Shared", "context": {"groupId": "acme"}}
    try:
        for unit in units.values():
            await unit.start()
        for unit in units.values():
            await until(unit.ready, 60, lambda unit=unit: f"{unit.name} is not ready")  # type: ignore[misc]
        async with httpx.AsyncClient(timeout=10) as client:
            sent = await client.post(f"{addresses['TIDEMARK_INGEST_URL']}/v1/track", auth=(key, ""), json=event)
            assert sent.status_code == httpx.codes.OK, sent.text

            async def stored() -> bool:
                found = await client.get(f"{addresses['TIDEMARK_WAREHOUSE_URL']}/v1/accounts/acme")
                return found.is_success and bool(found.json()["health"])

            await until(stored, 60, lambda: "the account is not in the store")
            console = await client.get(addresses["TIDEMARK_WAREHOUSE_URL"])
            tracker = await client.get(f"{addresses['TIDEMARK_INGEST_URL']}/t.js")
        reached = Machine(machine.program, machine.state, machine.environment | addresses)
        told = json.loads(await asyncio.to_thread(reached.run, "status", "--json"))
        ended = {name: await unit.stop() for name, unit in units.items()}
    finally:
        for unit in units.values():
            if unit.process is not None:
                await unit.kill()

    assert (console.status_code, tracker.status_code) == (httpx.codes.OK, httpx.codes.OK)
    assert told["ready"] is True
    assert ended == dict.fromkeys(units, 0)


def test_the_jars_of_the_broker_are_known_to_a_wheel(machine: Machine) -> None:
    """`tidemark dev` works from it too."""
    found = machine.python("from services.shared.kafka.embedded.jars import ensure; print(len(ensure()))")

    assert int(found) > 0
