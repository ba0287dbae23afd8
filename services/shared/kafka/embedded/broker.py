"""
The embedded broker: the real Apache Kafka, one KRaft node, for one machine: development, demo and tests.

Promises: own data folder, loopback only, bounded heap, ends with the process that started it; what a client
was acknowledged survives stop, kill and start. One node has no replicas: losing the disk loses the data.
Tests start several nodes of one cluster with it (`tests/support/embedded_cluster.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from services.shared.errors import Fatal
from services.shared.kafka import guard
from services.shared.kafka.embedded.broker_config import Node, Quorum, new_id, server_properties
from services.shared.kafka.embedded.formatting import format_folder, is_formatted
from services.shared.kafka.embedded.free_ports import free_port, is_free
from services.shared.kafka.embedded.jars import ensure
from services.shared.kafka.embedded.java import command, hint

_START_WITHIN_S = 120.0  # 1 to 3 s on an idle machine; ten times that on a very busy one
_STOP_WITHIN_S = 30.0


class EmbeddedBroker:
    """
    One broker process with its data folder.

    Not for use from two threads. `stop` or the end of this process ends the broker; `kill` ends it as a power
    cut would; `start` after either goes on with the same id, port and data.
    """

    def __init__(
        self,
        data: Path,
        port: int | None = None,
        *,
        node: Node | None = None,
        quorum: Quorum | None = None,
        heap_mb: int = 512,
    ) -> None:
        """
        Keep everything in `data`; nothing runs yet.

        Args:
            data: The folder.
            port: TCP port of a broker that is alone; a free one when None.
            node: Its place in a cluster; with `quorum`.
            quorum: The cluster that it belongs to; alone when None.
            heap_mb: Greatest heap of its Java process.
        """
        self.data = data.resolve()
        self.node = node or Node(1, port or free_port(), 0)
        self.environment: Mapping[str, str] = {}
        """Further variables of the process, from its next start on."""
        self._quorum = quorum
        self._heap_mb = heap_mb
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Its TCP port for clients."""
        return self.node.port

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """The broker's own log file."""
        return self.data / "broker.log"

    @property
    def pid(self) -> int:
        """The process id of the broker itself."""
        return int((self.data / "broker.pid").read_text())

    @property
    def running(self) -> bool:
        """Whether the broker's process lives."""
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> None:
        """
        Start the broker and return once it serves requests.

        Raises:
            Fatal: it ended or did not answer in time; the text has the end of its log.
        """
        if not self.running:
            self.launch()
            self.wait_until_it_serves()

    def launch(self) -> None:
        """
        Start the process and do not wait for it: of a cluster no node serves before most of them run.

        Raises:
            Fatal: a port that it needs is in use, or its folder cannot be prepared.
        """
        quorum = self._quorum
        if quorum is None:  # nobody else needs to know its controller's port
            self.node = self.node._replace(controller_port=free_port())
            quorum = Quorum(new_id(), (self.node,))
        for port in (self.node.port, self.node.controller_port):
            if not is_free(port):
                # Asked first, because the other one may be a broker, and answer in place of ours.
                raise Fatal(f"port {port}, for the embedded broker, is in use: end what uses it, or choose another")
        jars = ensure()
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "broker.pid").unlink(missing_ok=True)
        config = self.data / "server.properties"
        config.write_text(server_properties(self.data / "log", self.node, quorum.nodes))
        if not is_formatted(self.data / "log"):
            format_folder(jars, config, self.data / "log", self.node, quorum.cluster)
        with (self.data / "broker.out").open("wb") as out:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, str(self.data / "broker.pid"),
                 *self._with_environment(), *command(jars, self.log, self._heap_mb), "kafka.Kafka", str(config)],
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def wait_until_it_serves(self) -> None:
        """
        Return once the launched process serves requests.

        Raises:
            Fatal: it ended or did not answer in time; the text has the end of its log.
        """
        started = time.monotonic()
        while not _answers(self.port):
            if not self.running:
                said = self._last_words()
                raise Fatal(f"the embedded broker ended at start{hint(said)}; the end of {self.log}:\n{said}")
            if time.monotonic() - started > _START_WITHIN_S:
                self.kill()
                raise Fatal(f"the embedded broker did not answer within {_START_WITHIN_S:.0f} s; see {self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the broker in order and wait for its end."""
        if self._guard is None:
            return
        if self._guard.stdin:
            self._guard.stdin.close()
        try:
            self._guard.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._guard = None

    def kill(self) -> None:
        """End the broker at once, as a crash would, and wait for its end."""
        if self._guard is None:
            return
        if self.running:  # else its id may be another process's by now
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                os.kill(self.pid, signal.SIGKILL)
        self._guard.wait(_STOP_WITHIN_S)
        if self._guard.stdin:
            self._guard.stdin.close()
        self._guard = None

    def wait(self, within_s: float | None = None) -> int:
        """
        Wait until the broker ends by itself; return its exit status.

        Raises:
            subprocess.TimeoutExpired: it did not in time.
        """
        if self._guard is None:
            return 0
        return self._guard.wait(within_s)

    def pause(self) -> None:
        """Freeze the broker: connections stay, and nothing answers once this returns."""
        psutil.Process(self.pid).suspend()
        asked = time.monotonic()
        while self._runs():  # on a busy machine its threads go on for a moment
            if time.monotonic() - asked > _STOP_WITHIN_S:
                raise Fatal(f"the embedded broker was not frozen within {_STOP_WITHIN_S:.0f} s")
            time.sleep(0.002)

    def resume(self) -> None:
        """Let a frozen broker go on."""
        psutil.Process(self.pid).resume()

    def _runs(self) -> bool:
        threads = list(Path(f"/proc/{self.pid}/task").glob("*/stat"))  # Linux; elsewhere the process tells
        if not threads:
            return psutil.Process(self.pid).status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
        for each in threads:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread may end meanwhile
                if each.read_text().rpartition(")")[2].split()[0] not in "TtXZ":
                    return True
        return False

    def _with_environment(self) -> list[str]:
        # Of the broker alone: the guard's clock, for one, stays right.
        return ["env", *(f"{name}={value}" for name, value in self.environment.items())] if self.environment else []

    def _last_words(self) -> str:
        text = ""
        for file in (self.log, self.data / "broker.out"):
            if file.exists():
                text += "".join(file.read_text(errors="replace").splitlines(keepends=True)[-15:])
        return text


def _answers(port: int) -> bool:
    """Whether a broker answers an ApiVersions request: it does only once it may serve clients."""
    client = b"tidemark"
    body = struct.pack(">hhih", 18, 0, 1, len(client)) + client
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            return len(connection.recv(8)) == 8
    except OSError:
        return False


def main(argv: list[str] | None = None) -> int:
    """Run a broker in the foreground until SIGTERM, SIGINT or its own end."""
    parser = argparse.ArgumentParser(description="Run the embedded Apache Kafka broker.")
    parser.add_argument("--data", type=Path, required=True, help="folder for everything it keeps")
    parser.add_argument("--port", type=int, help="TCP port on the loopback interface; a free one by default")
    options = parser.parse_args(argv)
    broker = EmbeddedBroker(options.data, options.port)

    def stop(_signal: int, _frame: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        broker.start()
        print(f"Apache Kafka is ready on {broker.bootstrap}", flush=True)
        return broker.wait()
    except Fatal as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        broker.stop()
