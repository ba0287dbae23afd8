"""
What many tests stand on: a real Kafka broker and isolated topics on it.

With KAFKA_BOOTSTRAP_SERVERS set the tests use that cluster and launch nothing.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Collection, Generator, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import httpx._transports.default
import psutil
import pytest
from hypothesis import HealthCheck, settings

from schemas.topics import TOPICS
from services.shared.kafka import topics
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.settings import KafkaSettings
from services.shared.process.garbage import gc_paused

# For the many short lives of processes here: bytecode is kept, and a broker's code is not compiled for the long run.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
os.environ.setdefault("TIDEMARK_PSEUDONYM_KEY", "5e" * 32)
# Files with secrets that every user may write are refused, and where the umask is 0 all that tests write are such.
os.umask(0o022)
# A test process that is killed takes the services that it has started with it; brokers and servers of ClickHouse watch their
# standard input.
os.environ["TIDEMARK_STOP_WITH_PARENT"] = "1"
# Stores and the broker write many small files and wait for the disk at many of them: where memory has room, they are in memory.
_IN_MEMORY, _ROOM_BYTES = Path("/dev/shm"), 4 * 1024**3
if _IN_MEMORY.is_dir() and min(shutil.disk_usage(_IN_MEMORY).free, psutil.virtual_memory().available) > _ROOM_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_IN_MEMORY))
# Each client of httpx reads all certificates of the machine, 25 ms of CPU, and those who wait make many: once is enough.
httpx._transports.default.create_ssl_context = cache(httpx.create_ssl_context)  # type: ignore[attr-defined]
# How long an example takes is the machine's business: other tests run beside it.
settings.register_profile("tidemark", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tidemark")
_WAIT = ("chaos", "e2e", "integration")
"""Folders whose tests wait for processes, longest files first."""
_BROKER = pytest.StashKey[EmbeddedBroker]()
_COMPUTE = ("golden", "property", "contract", "unit")
"""Folders whose tests compute, longest files first."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None]:
    """Look for no garbage among the tests, neither while they are collected, a fifth of that time, nor ever again."""
    with gc_paused():
        return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Where files run side by side, let those that wait take turns with those that compute: each fills the other's pauses.

    The many short files of unit tests are left for the end, so that no worker has nothing to do while another is busy.
    """
    if not hasattr(config, "workerinput"):
        return
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    by_folder: dict[str, list[list[pytest.Item]]] = {}
    for path, tests in files.items():
        by_folder.setdefault(path.relative_to(Path(__file__).parent).parts[0], []).append(tests)
    waiting, computing = ([tests for name in names for tests in by_folder.pop(name, [])] for names in (_WAIT, _COMPUTE))
    turns = chain.from_iterable(zip_longest(waiting, [*computing, *chain(*by_folder.values())], fillvalue=[]))
    items[:] = chain.from_iterable(turns)


@dataclass(frozen=True, slots=True)
class Kafka:
    """The broker of this test session."""

    bootstrap: str


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Where tests run side by side, give all workers one broker: each of their own would take a minute of CPU."""
    config: pytest.Config = node.config
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return
    if _BROKER not in config.stash:
        folder = tempfile.TemporaryDirectory(prefix="tidemark-kafka-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))
        config.add_cleanup(folder.cleanup)
        broker = config.stash[_BROKER] = EmbeddedBroker(Path(folder.name))
        config.add_cleanup(broker.stop)
        broker.start()
    node.workerinput["kafka"] = config.stash[_BROKER].bootstrap


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Yield the address of a real broker that lives as long as the test session."""
    of_all_workers = getattr(request.config, "workerinput", {}).get("kafka")
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or of_all_workers
    if given:
        yield Kafka(given)
        return
    broker = EmbeddedBroker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    try:
        yield Kafka(broker.bootstrap)
    finally:
        broker.stop()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """Yield a broker of this test alone, which may do to it what it likes."""
    broker = EmbeddedBroker(tmp_path / "own_broker")
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def partitions() -> int:
    """How many partitions `kafka_settings` have: two show what several do, and each costs a broker work."""
    return 2


@pytest.fixture
def topic_names() -> Collection[str]:
    """Which topics of `kafka_settings` there are: all of a deployment, as services ask for theirs."""
    return TOPICS


@pytest.fixture
async def kafka_settings(kafka: Kafka, partitions: int, topic_names: Collection[str]) -> AsyncIterator[KafkaSettings]:
    """Yield settings under which these topics exist, empty, and nobody else uses them."""
    prefix = f"t{uuid.uuid4().hex[:12]}-"
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap, topic_prefix=prefix, partitions=partitions)
    await topics.create(settings, [TOPICS[name] for name in topic_names])
    try:
        yield settings
    finally:
        await topics.delete(settings)


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The root of the project."""
    return Path(__file__).parents[1]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded as rows: `record_property("table: TITLE", {COLUMN: CELL, ...})`."""
    tables: dict[str, list[dict[str, str]]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, row in getattr(report, "user_properties", ()):
                if name.startswith("table: ") and report.when == "call":
                    tables.setdefault(name.removeprefix("table: "), []).append(row)
    for title, rows in tables.items():
        terminalreporter.section(title)
        lines = [list(rows[0]), *(list(row.values()) for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            terminalreporter.line("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
