"""
The whole pipeline on one machine: broker, topics, services, under one supervisor.

    with Stack(Path(".data/dev"), port=8080) as stack:   # returns when every /readyz is ok
        stack.state.addresses["ingest"]

At the end, or when this process ends however it may, everything stops. What was accepted stays in the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from schemas.topics import TOPICS
from services.cli.local import own_secrets, supervision, write_keys
from services.cli.local.key_ring import KeyRing, key_ring_file
from services.cli.local.readiness import readiness_of_all
from services.cli.local.stack_state import StackState, hold, write_state
from services.shared.errors import Fatal
from services.shared.files.data_folder import using
from services.shared.kafka import topics
from services.shared.kafka.clients import wait_for_broker
from services.shared.kafka.embedded.free_ports import free_port, is_free
from services.shared.kafka.guard import die_with_parent
from services.shared.kafka.settings import KafkaSettings
from services.shared.ports import PORTS
from services.shared.settings import load

OFFSETS = {name: port - PORTS["ingest"] for name, port in PORTS.items()}
"""Each service, and its port above the first one."""

_EMBEDDED_PARTITIONS = 4
_READY_WITHIN_S = 180.0
_STOP_WITHIN_S = 90.0
_NO_ROOM = 4 * 1024**2
"""Of bytes: a broker that has ended for want of room leaves a little."""

Say = Callable[[str], None]


class Stack:
    """One stack with its data folder, on four ports from `port` on. Two on one folder are refused."""

    def __init__(self, data: Path, port: int = 8080, write_key: str | None = None, say: Say | None = None) -> None:
        self.data = data.resolve()
        self.port = port
        self._write_key = write_key
        self._say: Say = say or (lambda _: None)
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.supervisor = supervision.Supervisor(supervision.socket_path(self.data))
        self._pids: dict[str, int] = {}
        self.state: StackState

    def __enter__(self) -> Self:
        self._take_folder()
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the services, then the broker, and wait for them."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process = None
        if self._lock:
            (self.data / "status.json").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def failed(self) -> str | None:
        """Return what ended that cannot be started again, in words; None while all is well."""
        if self._process is None or self._process.poll() is not None:
            return f"the supervisor has ended; see {self.data}/supervisor/supervisord.log"
        return None

    def disk_full(self) -> bool:
        """Return whether the disk of the data folder has no room left that would be worth a start."""
        return shutil.disk_usage(self.data).free < _NO_ROOM

    def given_up(self) -> dict[str, str]:
        """Return the programs that are not started again, each with the path of its log."""
        if not self.supervisor.answers():
            return {}
        return {
            process["name"]: str(self.data / "logs" / f"{process['name']}.log")
            for process in self.supervisor.processes()
            if process["statename"] == "FATAL"
            or (process["statename"] == "EXITED" and process["exitstatus"] in supervision.NOT_AGAIN)
        }

    def started_again(self) -> dict[str, str]:
        """Return the programs that were started again since this was last asked, each with how it had ended; empty if unknown."""
        if not self.supervisor.answers():
            return {}
        now = {process["name"]: int(process["pid"]) for process in self.supervisor.processes() if process["pid"]}
        before, self._pids = self._pids, self._pids | now
        return {
            name: supervision.how_it_ended(self.data, name, pid)
            for name, pid in now.items()
            if before.get(name, pid) != pid
        }

    def not_ready(self) -> dict[str, str]:
        """Return the services that are not ready, each with the reason."""
        return readiness_of_all(self.state, self.supervisor)

    def _take_folder(self) -> None:
        with using(self.data, "--data"):
            self.data.mkdir(parents=True, exist_ok=True, mode=0o700)  # the broker's and ClickHouse's files name people
            self._lock = hold(self.data)
        (self.data / "status.json").unlink(missing_ok=True)  # of one that was killed

    def _start(self) -> None:
        self._await_former()
        self._check_ports()
        embedded = not os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        kafka = self._kafka(embedded=embedded)
        if embedded:
            from services.shared.kafka.embedded.jars import ensure

            ensure()
        self.state = self._state(kafka, embedded=embedded)
        programs = self._programs(kafka, embedded=embedded)
        configuration = supervision.write_configuration(self.data, programs)
        supervision.socket_path(self.data).unlink(missing_ok=True)
        self._process = subprocess.Popen(
            supervision.command(configuration),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # Tracebacks of a log that cannot be written. It ends where these cannot be written either: no file takes them.
            stderr=subprocess.DEVNULL,
            preexec_fn=_as_supervisor,  # noqa: PLW1509  forked from the main thread, before there are others
            env={**os.environ, "TIDEMARK_STOP_WITH_PARENT": "1"},
        )
        self._until("the supervisor", self.supervisor.answers, 60)
        if embedded:
            self._say("starting Apache Kafka")
            self.supervisor.start("kafka")
        # Services wait for a broker but refuse to run without their topics. Where the topics are known to be there,
        # all start together, which saves seconds; the check is made all the same.
        known = embedded and self._topics_known(kafka)
        if known:
            self._start_services()
        asyncio.run(self._prepare(kafka, embedded=embedded))
        if not known:
            self._start_services()
        write_state(self.state)
        self._until("the services", lambda: not self.not_ready(), _READY_WITHIN_S)

    def _await_former(self) -> None:
        """Wait while the programs of a run that was killed are being stopped: they have the ports, and the broker its files."""
        deadline = time.monotonic() + _STOP_WITHIN_S
        if supervision.still_runs(self.data):
            self._say("waiting for the end of what the last run has left")
        while supervision.still_runs(self.data):
            if time.monotonic() > deadline:
                raise Fatal(f"the supervisor of the last run does not end; see {self.data}/supervisor/supervisord.log")
            time.sleep(0.1)

    def _start_services(self) -> None:
        self._say("starting ingest, scorer, alerter and warehouse")
        for name in OFFSETS:
            self.supervisor.start(name)

    def _topics_known(self, kafka: KafkaSettings) -> bool:
        file = self.data / "kafka.topics"
        return file.exists() and file.read_text() == _fingerprint(kafka)

    async def _prepare(self, kafka: KafkaSettings, *, embedded: bool) -> None:
        def tell(cause: str) -> None:
            if not embedded:  # our own is starting, and nothing listens yet
                self._say(f"waiting for Kafka: {cause}")

        # Watched, so that a broker that cannot start is told at once and not as one that does not answer.
        waiting = asyncio.create_task(wait_for_broker(kafka, _READY_WITHIN_S, tell))
        while not waiting.done():
            self._watch()
            await asyncio.wait([waiting], timeout=0.2)
        await waiting
        await topics.create(kafka)
        problems = await topics.check(kafka)
        if problems:
            raise Fatal("the topics do not match their definitions:\n" + "\n".join(f"  - {p}" for p in problems))
        (self.data / "kafka.topics").write_text(_fingerprint(kafka))

    def _kafka(self, *, embedded: bool) -> KafkaSettings:
        if not embedded:
            return load(KafkaSettings)
        given: dict[str, object] = {"bootstrap_servers": f"127.0.0.1:{self._broker_port()}"}
        if not os.environ.get("TIDEMARK_PARTITIONS"):
            given["partitions"] = _EMBEDDED_PARTITIONS
        return load(KafkaSettings, **given)

    def _broker_port(self) -> int:
        # The same as last time where it is free, so that a client that still runs finds the broker again.
        file = self.data / "kafka.port"
        with contextlib.suppress(OSError, ValueError):
            port = int(file.read_text())
            if is_free(port):
                return port
        port = free_port()
        file.write_text(str(port))
        return port

    def _check_ports(self) -> None:
        for name, offset in OFFSETS.items():
            if not is_free(self.port + offset):
                raise Fatal(
                    f"port {self.port + offset}, for {name}, is in use: choose another first port with --port"
                    ' (`make dev ARGS="--port 9000"`)'
                )

    def _state(self, kafka: KafkaSettings, *, embedded: bool) -> StackState:
        file = Path(os.environ.get("TIDEMARK_WRITE_KEYS_FILE") or self.data / "write-keys.yaml")
        if self._write_key and not write_keys.holds(file, self._write_key):
            write_keys.add(file, "app", "production", client="server", write_key=self._write_key)
        ring = KeyRing(key_ring_file(self.data), file)
        return StackState(
            data=str(self.data),
            kafka=kafka.bootstrap_servers,
            embedded=embedded,
            topic_prefix=kafka.topic_prefix,
            partitions=kafka.partitions,
            replication=kafka.replication,
            addresses={name: f"http://127.0.0.1:{self.port + offset}" for name, offset in OFFSETS.items()},
            write_keys_file=str(file),
            write_key=self._write_key or ring.key("app"),
            backfill_key=ring.key("backfill", backfill=True),
            live=f"http://127.0.0.1:{self.port}/live#token={quote(own_secrets.live_token(self.data), safe='')}",
            supervisor=str(supervision.socket_path(self.data)),
            pid=os.getpid(),
        )

    def _programs(self, kafka: KafkaSettings, *, embedded: bool) -> list[supervision.Program]:
        programs = []
        if embedded:
            port = kafka.bootstrap_servers.rpartition(":")[2]
            launch = [sys.executable, "-m", "services.shared.kafka.embedded"]
            programs.append(
                supervision.Program("kafka", [*launch, "--data", str(self.data / "kafka"), "--port", port], priority=1)
            )
        for name, offset in OFFSETS.items():
            environment = {
                "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
                "TIDEMARK_PARTITIONS": str(kafka.partitions),
                "TIDEMARK_HTTP_HOST": "127.0.0.1",
                "TIDEMARK_HTTP_PORT": str(self.port + offset),
                "TIDEMARK_DATA_DIR": str(self.data / name),
                "TIDEMARK_WRITE_KEYS_FILE": self.state.write_keys_file,
            }
            if name == "ingest":
                environment[own_secrets.PSEUDONYM_KEY] = own_secrets.pseudonym_key(self.data)
                environment[own_secrets.LIVE_TOKEN] = own_secrets.live_token(self.data)
            if name == "warehouse":
                environment |= self._recording()
            programs.append(
                supervision.Program(name, [sys.executable, "-m", f"services.{name}"], 10 + offset, environment)
            )
        return programs

    def _recording(self) -> dict[str, str]:
        """Return what the console in the warehouse's process records with; what the environment says wins."""
        ring = KeyRing(key_ring_file(self.data), Path(self.state.write_keys_file))
        return {
            "TIDEMARK_CONSOLE_INGEST": os.environ.get("TIDEMARK_CONSOLE_INGEST") or self.state.addresses["ingest"],
            "TIDEMARK_CONSOLE_WRITE_KEY": os.environ.get("TIDEMARK_CONSOLE_WRITE_KEY") or ring.key("console"),
        }

    def _until(self, what: str, done: Callable[[], bool], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not done():
            self._watch()
            if time.monotonic() > deadline:
                waiting = "; ".join(f"{name}: {why}" for name, why in self.not_ready().items())
                raise Fatal(f"{what} did not get ready within {within_s:.0f} s ({waiting}); logs: {self.data}/logs")
            time.sleep(0.1)

    def _watch(self) -> None:
        """Raise Fatal with the end of its log when a program gives up or has a wrong configuration."""
        failed = self.failed()
        if failed:
            raise Fatal(failed)
        if not self.supervisor.answers():
            return
        for process in self.supervisor.processes():
            down = process["statename"] in ("FATAL", "BACKOFF", "EXITED")
            if process["statename"] == "FATAL" or (down and process["exitstatus"] in (*supervision.NOT_AGAIN, 127)):
                log = self.data / "logs" / f"{process['name']}.log"
                text = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""
                raise Fatal(f"{process['name']} cannot start; the end of {log}:\n{text}")


def _fingerprint(kafka: KafkaSettings) -> str:
    records = [(topics.full_name(kafka, topic), topics.partitions_of(kafka, topic)) for topic in TOPICS]
    return hashlib.sha256(repr(records).encode()).hexdigest()


def _as_supervisor() -> None:
    # Ctrl-C in the terminal is for us: we stop the services before their broker. But if we are killed, it stops.
    os.setpgid(0, 0)
    die_with_parent(signal.SIGTERM)
