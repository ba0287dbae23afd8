"""The embedded broker keeps what it acknowledged and never outlives who started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from schemas.topics import TOPICS
from services.shared.errors import Fatal
from services.shared.kafka import topics
from services.shared.kafka.clients import consumer, producer, wait_for_broker
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.embedded.java import archive_file, command
from services.shared.kafka.settings import KafkaSettings
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A broker of this file alone; each test leaves it running."""
    broker = EmbeddedBroker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.stop()


async def read_all(kafka: KafkaSettings, count: int) -> list[bytes]:
    """Return the first records of the fleet topic."""
    reader = consumer(kafka, "fleet")
    await reader.start()
    try:
        return [(await reader.getone()).value for _ in range(count)]
    finally:
        await reader.stop()


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_what_was_acknowledged_survives_a_restart(broker: EmbeddedBroker, how: str) -> None:
    """On the same port, after an orderly stop and after SIGKILL."""
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap, partitions=1, topic_prefix=f"{how}-")
    await topics.create(kafka, [TOPICS["fleet"]])
    writer = producer(kafka)
    await writer.start()
    await writer.send_and_wait(kafka.scoped("fleet"), b"one", key=b"k")
    await writer.stop()

    getattr(broker, how)()
    assert not broker.running
    broker.start()

    await wait_for_broker(kafka)
    assert await read_all(kafka, 1) == [b"one"]


def test_the_broker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves the parent no time to say goodbye."""
    port = free_port()
    parent = subprocess.Popen(
        [sys.executable, "-m", "services.shared.kafka.embedded", "--data", str(tmp_path), "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == f"Apache Kafka is ready on 127.0.0.1:{port}\n"
    broker = psutil.Process(int((tmp_path / "broker.pid").read_text()))

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()

    wait_until(lambda: not broker.is_running() or broker.status() == psutil.STATUS_ZOMBIE)


def test_the_launcher_stops_its_broker_on_sigterm(tmp_path: Path) -> None:
    """As a supervisor stops it."""
    launcher = subprocess.Popen(
        [sys.executable, "-m", "services.shared.kafka.embedded", "--data", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert launcher.stdout is not None
    launcher.stdout.readline()
    broker = int((tmp_path / "broker.pid").read_text())

    launcher.terminate()

    assert launcher.wait(30) == 0
    assert not psutil.pid_exists(broker)


def test_a_broker_that_cannot_start_tells_the_end_of_its_log(tmp_path: Path) -> None:
    """The reader learns why, not only that."""
    (tmp_path / "log").mkdir(parents=True)
    (tmp_path / "log" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=x\n")

    with pytest.raises(Fatal, match=r"(?s)ended at start.*; the end of .*broker\.log:.*node"):
        EmbeddedBroker(tmp_path).start()


def test_an_archive_of_classes_that_is_of_no_use_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a cache, of other jars or of another Java perhaps: a start without it is slower, and that is all."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    archive_file().parent.mkdir()
    archive_file().write_bytes(b"no archive")
    broker = EmbeddedBroker(tmp_path / "kafka")

    broker.start()
    broker.stop()

    assert "-XX:AOTCache=" + str(archive_file()) in command([], tmp_path, 256)


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    """Another broker there would have answered for ours."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(Fatal, match=f"port {port}, for the embedded broker, is in use"):
            EmbeddedBroker(tmp_path, port).start()
