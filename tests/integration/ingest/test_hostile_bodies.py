"""A hostile body costs its sender: whoever else is there waits no longer than the loop takes for one turn."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from services.shared.kafka import topics
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.partition import partition_for
from services.shared.kafka.settings import KafkaSettings
from services.shared.pseudonyms import Pseudonyms
from tests.conftest import Kafka
from tests.integration.ingest.hostile import BODIES
from tests.support.keys import entry

pytestmark = [pytest.mark.integration, pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

ATTACKERS = 4
ROUNDS_S = 0.5
AWAY_S = 0.2
"""Processor time that ingest may take for others while somebody waits for /healthz: of 0.25 s, the rest is the machine's."""
GOOD_S = 0.5
"""
The same for a small request with a good event, which takes several turns and an acknowledgement of Kafka. On a slow machine it
may wait for a turn of each attacker and one more, of the longest that /healthz has waited for.
"""
RSS_MB = 400
_USER = Pseudonyms(bytes.fromhex(os.environ["TIDEMARK_PSEUDONYM_KEY"])).of
_TAKEN = {partition_for(key.encode(), 4) for key in ("acme", "g", "web", _USER("u"), _USER("ann"))}
_ACCOUNT = next(a for n in range(99) if partition_for((a := f"a{n}").encode(), 4) not in _TAKEN)
_PERSON = next(p for n in range(99) if partition_for(_USER(p := f"p{n}").encode(), 4) not in _TAKEN)
"""An account and a person in partitions that the attackers do not write to: one that has its share takes no more."""
GOOD = json.dumps({"type": "track", "event": "Opened", "userId": _PERSON, "groupId": _ACCOUNT, "messageId": "1"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[int, int]]:
    """A real ingest: its port and its process id."""
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap, topic_prefix=f"h{os.getpid()}-", partitions=4)
    await topics.create(settings)
    keys = tmp_path_factory.mktemp("keys") / "keys.yaml"
    keys.write_text(entry("wk", "web") + entry("flood", "flood", events_per_s=10, burst_s=1))
    port = free_port()
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.ingest",
        env=os.environ
        | {
            "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "TIDEMARK_TOPIC_PREFIX": settings.topic_prefix,
            "TIDEMARK_PARTITIONS": "4",
            "TIDEMARK_HTTP_PORT": str(port),
            "TIDEMARK_WRITE_KEYS_FILE": str(keys),
        },
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(30):
        while True:
            try:
                if _ask(port, "GET", "/readyz") == 200:
                    break
            except OSError:
                pass
            await asyncio.sleep(0.05)
    yield port, running.pid
    running.terminate()
    await asyncio.wait_for(running.wait(), 30)
    await topics.delete(settings)


def _ask(port: int, method: str, path: str, body: str | bytes | None = None, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _busy_s(pid: int) -> float:
    """Return the processor time of the thread that runs the loop."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def _peak_mb(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


class Waits(threading.Thread):
    """
    Asks again and again, on one connection, and remembers the longest wait.

    What counts is the processor time that ingest's loop took meanwhile: the machine has other work too.
    """

    def __init__(self, process: tuple[int, int], method: str, path: str, body: str | None = None) -> None:
        super().__init__(daemon=True)
        port, self._pid = process
        self.busy: list[float] = []
        self._request = (method, path, body, {"Authorization": "Basic d2s6"})
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.statuses: set[int] = set()
        self.waits: list[float] = []
        self.going = True

    def run(self) -> None:
        while self.going:
            began, busy = time.perf_counter(), _busy_s(self._pid)
            self._connection.request(*self._request)
            answer = self._connection.getresponse()
            answer.read()
            self.waits.append(time.perf_counter() - began)
            self.busy.append(_busy_s(self._pid) - busy)
            self.statuses.add(answer.status)
            time.sleep(0.005)
        self._connection.close()


@contextmanager
def waits(process: tuple[int, int]) -> Iterator[tuple[Waits, Waits]]:
    both = Waits(process, "GET", "/healthz"), Waits(process, "POST", "/v1/track", GOOD)
    for one in both:
        one.start()
    try:
        yield both
    finally:
        for one in both:
            one.going = False
            one.join(20)


async def attack(port: int, body: bytes, headers: bytes, until: float) -> list[bytes]:
    """Send the body again and again; return the status lines."""
    lines = []
    head = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n" % (len(body), headers)
    while time.perf_counter() < until:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head + body)
            lines.append((await asyncio.wait_for(reader.readline(), 30))[9:12])
        except OSError:
            lines.append(b"reset")
        finally:
            writer.close()
    return lines


async def under_attack(process: tuple[int, int], name: str, body: bytes, headers: bytes) -> set[bytes]:
    """Send a body from several connections at once, and hold that nobody waits; return the statuses."""
    port, pid = process
    began = _busy_s(pid)
    with waits(process) as (health, good):
        until = time.perf_counter() + ROUNDS_S
        attacks = (attack(port, body, headers, until) for _ in range(ATTACKERS))
        lines = [line for each in await asyncio.gather(*attacks) for line in each]
    each = (_busy_s(pid) - began) / max(1, len(lines))
    report = (
        f"{len(lines)} sent, {each * 1000:.1f} ms each; /healthz {max(health.waits):.3f} s, of it {max(health.busy):.3f} s"
        f" busy; a good event {max(good.waits):.3f} s, {max(good.busy):.3f} s; peak {_peak_mb(pid):.0f} MB"
    )
    print(f"\n{name}: {report} {sorted(set(lines))}")
    assert health.statuses == {200}
    assert good.statuses == {200}
    assert max(health.busy) < AWAY_S, report
    assert max(good.busy) < max(GOOD_S, (ATTACKERS + 1) * max(health.busy)), report
    assert _peak_mb(pid) < RSS_MB, report
    return set(lines)


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_with_a_known_key_keeps_nobody_waiting(process: tuple[int, int], name: str) -> None:
    statuses = await under_attack(process, name, BODIES[name](), b"Authorization: Basic d2s6\r\n")

    # 429 where Kafka is slower than they are.
    assert statuses <= {b"200", b"400", b"413", b"429"}


@pytest.mark.parametrize(
    ("made", "headers"),
    [
        (BODIES["commas in 4 KB"], b""),
        (BODIES["4 MB of real events"], b""),
        (BODIES["4 MB of real events"], b"Authorization: Basic bm9ib2R5Og==\r\n"),
        (lambda: b'{"batch":[' + b'"writeKey":"nobody",' * 25_000 + b"]}", b""),
        (lambda: b'{"writeKey":"' + b"\\u0041" * 87_000 + b'"}', b""),
        (lambda: b'"writeKey"' + b" " * 500_000, b""),
    ],
    ids=["compressed", "large", "an unknown key", "many unknown keys", "a long key", "half a key"],
)
async def test_who_has_no_key_costs_next_to_nothing(
    process: tuple[int, int], made: Callable[[], bytes], headers: bytes
) -> None:
    port, pid = process
    body = made()
    statuses = await under_attack(process, f"no key, {len(body)} bytes", body, headers)
    assert statuses == {b"401"}

    began = _busy_s(pid)
    lines = await attack(port, body, headers, time.perf_counter() + 0.5)
    # Receiving half a megabyte is most of it.
    assert (_busy_s(pid) - began) / len(lines) < 0.01


@pytest.mark.parametrize("body", [f"[{','.join([GOOD] * 10)}]", None], ids=["10 events", "4 MB"])
async def test_a_key_over_its_rate_keeps_nobody_waiting(process: tuple[int, int], body: str | None) -> None:
    port, pid = process
    batch = f'{{"batch":{body}}}'.encode() if body else BODIES["4 MB of real events"]()
    key = b"X-Write-Key: flood\r\n"
    statuses = await under_attack(process, f"over its rate, {len(batch)} bytes", batch, key)
    assert b"429" in statuses
    assert statuses <= {b"200", b"429"}

    began = _busy_s(pid)
    lines = await attack(port, batch, key, time.perf_counter() + 0.5)
    # Letting up to 2 MB of a body go by is most of it.
    assert (_busy_s(pid) - began) / len(lines) < 0.02
