"""
Measures ingest: events a second in batches, single requests a second, and the time to the answer of each.

    python -m tests.bench.ingest.load                      starts a broker and one ingest worker by itself
    python -m tests.bench.ingest.load --url http://127.0.0.1:8080 --write-key KEY
    python -m tests.bench.ingest.load --single --connections 64 --seconds 5 --json
    python -m tests.bench.ingest.load --rate 150           a fixed number of requests a second, spread evenly
    python -m tests.bench.ingest.load --half               and then at half of what was reached

Every answer is a 200 that Kafka acknowledged; any other is counted and shown. The client shares the machine with the
worker and the broker. Bodies are made before the clock starts; each event has its own id and one of 5,000 accounts.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from tests.bench.cluster import cpu_of, deployment, environment
from tests.support.keys import entry
from tests.support.waiting import wait_until

ACCOUNTS = 5_000
BODIES = 400


def event(rng: random.Random, number: int) -> dict[str, Any]:
    """Return one event as the Python SDK sends it, about 420 bytes."""
    account = rng.randrange(ACCOUNTS)
    return {
        "type": "track",
        "event": rng.choice(["Report Exported", "Dashboard Viewed", "Invite Sent", "Query Run"]),
        "userId": f"user-{account}-{rng.randrange(20)}",
        "anonymousId": None,
        "messageId": f"{number:08x}-{rng.getrandbits(64):016x}-{rng.getrandbits(48):012x}",
        "timestamp": "2026-05-04T10:11:12.345+00:00",
        "context": {
            "groupId": f"account-{account}",
            "library": {"name": "analytics-python", "version": "2.4.0"},
        },
        "properties": {"rows": rng.randrange(1000), "format": "csv", "plan": "pro"},
        "integrations": {},
    }


def requests(
    batch: int,
    write_key: str,
    host: str,
    bodies: int = BODIES,
    make: Callable[..., dict[str, Any]] = event,
    single: str = "/v1/track",
) -> list[bytes]:
    """Return whole HTTP requests, ready to be written to a socket; `make` makes an event of its number, `single` takes one."""
    rng = random.Random(7)
    made = []
    for number in range(bodies):
        sent_at = {"sentAt": "2026-05-04T10:11:12.400+00:00"}
        if batch:
            body = json.dumps({"batch": [make(rng, number * batch + n) for n in range(batch)], **sent_at})
        else:
            body = json.dumps({**make(rng, number), **sent_at})
        basic = base64.b64encode(f"{write_key}:".encode()).decode()
        head = (
            f"POST {'/v1/batch' if batch else single} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {basic}\r\n"
            f"Content-Type: application/json\r\nUser-Agent: load\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body.encode())
    return made


class Connection(asyncio.Protocol):
    """One keep-alive connection that sends its next request when the former is answered."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.buffer = b""
        self.sent = 0.0
        self.asked = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.run.open.add(self)
        self.idle()

    def connection_lost(self, _error: Exception | None) -> None:
        self.run.lost(self)

    def idle(self) -> None:
        self.asked = False
        if self.run.ending():
            self.transport.close()
        elif self.run.interval:
            self.run.waiting.append(self)
        else:
            self.send(time.perf_counter())

    def send(self, due: float) -> None:
        self.sent, self.asked = due, True
        self.transport.write(self.run.next_request())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self.buffer = body[length:]
        self.run.answered(head[9:12].decode(), time.perf_counter() - self.sent)
        self.idle()


class Run:
    """One measurement."""

    def __init__(self, url: str, made: list[bytes], seconds: float, rate: float, requests: int = 0) -> None:
        """Send `made` in turn for so many seconds, or where `requests` are given so many of them; see the module for `rate`."""
        address = urllib.parse.urlsplit(url)
        self.address = address.hostname or "", address.port or 80
        self.made = made
        self.number = 0
        self.interval = 1 / rate if rate else 0.0
        self.begin = time.perf_counter()
        self.end = self.begin + seconds
        self.requests = requests
        self.elapsed = 0.0
        self.statuses: dict[str, int] = {}
        self.times: list[float] = []
        self.open: set[Connection] = set()
        self.waiting: deque[Connection] = deque()
        self.connecting: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: Connection(self), *self.address)

    def lost(self, connection: Connection) -> None:
        """Connect anew: a server closes what has been idle for long; what was asked and not answered is told."""
        self.open.discard(connection)
        if connection in self.waiting:
            self.waiting.remove(connection)
        if connection.asked:
            self.statuses["no answer"] = self.statuses.get("no answer", 0) + 1
        if not self.ending():
            task = asyncio.create_task(self.connect())
            self.connecting.add(task)
            task.add_done_callback(self.connecting.discard)

    def ending(self) -> bool:
        return self.number >= self.requests if self.requests else time.perf_counter() >= self.end

    def next_request(self) -> bytes:
        self.number += 1
        return self.made[self.number % len(self.made)]

    def answered(self, status: str, seconds: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.times.append(seconds)

    async def pace(self) -> None:
        """Give each request its own due time; a late answer counts against it, not against the ones after."""
        due = self.begin
        while not self.ending():
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            while not self.waiting and not self.ending():
                await asyncio.sleep(0.0005)
            if self.waiting:
                self.waiting.popleft().send(due)
            due += self.interval
        for connection in list(self.waiting):
            connection.transport.close()


async def drive(
    url: str, made: list[bytes], *, connections: int, rate: float, seconds: float = 0.0, requests: int = 0
) -> Run:
    """Send for so many seconds, or so many requests, and return what came back."""
    run = Run(url, made, seconds, rate, requests)
    for _ in range(connections):
        await run.connect()
    pacer = asyncio.create_task(run.pace()) if rate else None
    while run.open or run.connecting or not run.ending():
        await asyncio.sleep(0.01)
    if pacer:
        await pacer
    run.elapsed = time.perf_counter() - run.begin
    run.times.sort()
    return run


async def measure(
    url: str, write_key: str, *, batch: int, connections: int, seconds: float, rate: float, pid: int | None = None
) -> dict[str, Any]:
    """Return the figures of one run; with the worker's process id, its CPU time among them."""
    made = requests(batch, write_key, urllib.parse.urlsplit(url).netloc)
    used = cpu_of(pid)
    run = await drive(url, made, connections=connections, seconds=seconds, rate=rate)
    used = cpu_of(pid) - used
    ok = run.statuses.get("200", 0)
    return {
        "what": f"batches of {batch}" if batch else "single events",
        "connections": connections,
        "offered_per_s": round(rate, 1),
        "seconds": round(run.elapsed, 2),
        "requests_per_s": round(ok / run.elapsed),
        "events_per_s": round(ok * max(1, batch) / run.elapsed),
        "cpu_us_per_event": round(used / max(1, ok * max(1, batch)) * 1e6, 2),
        "p50_ms": round(run.times[len(run.times) // 2] * 1000, 1),
        "p99_ms": round(run.times[int(len(run.times) * 0.99)] * 1000, 1),
        "statuses": run.statuses,
    }


@contextmanager
def worker(kafka: KafkaSettings, folder: Path, checkout: Path | None = None) -> Iterator[tuple[int, str]]:
    """Run one ingest worker of a deployment, of this checkout or another one; give its process id and its address."""
    keys = (checkout or Path()) / "services" / "ingest" / "keys.py"
    # Of an older checkout the file has the keys themselves.
    hashed = not keys.exists() or "key_sha256" in keys.read_text("utf-8")
    (folder / "keys.yaml").write_text(entry("bench", "bench") if hashed else "- {write_key: bench, source: bench}\n")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "services.ingest"],
        env=environment(
            kafka, TIDEMARK_HTTP_PORT=str(port), TIDEMARK_WRITE_KEYS_FILE=str(folder / "keys.yaml"), TIDEMARK_PSEUDONYM_KEY="5e" * 32,
            TIDEMARK_DATA_DIR=str(folder), **({"PYTHONPATH": str(checkout)} if checkout else {}),
        ),
        cwd=checkout,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_ready(url, process)
        yield process.pid, url
    finally:
        process.terminate()
        process.wait(30)


def _wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        if process.poll() is not None:
            raise SystemExit("ingest ended before it was ready")
        try:
            with urllib.request.urlopen(url + "/readyz", timeout=1):
                return True
        except OSError:
            return False

    wait_until(answers, otherwise=lambda: "ingest did not become ready")


@contextmanager
def started(chosen: argparse.Namespace) -> Iterator[tuple[int | None, str]]:
    """Give the process id and the address of a worker: of one that is started, or of the one that was named."""
    if chosen.url:
        yield None, chosen.url
        return
    with (
        deployment() as kafka,
        tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder,
        worker(kafka, Path(folder)) as found,
    ):
        yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an ingest that runs; without it one is started")
    parser.add_argument("--write-key", default="bench")
    parser.add_argument("--single", action="store_true", help="single events only")
    parser.add_argument("--batch", type=int, help="batches of this many events only")
    parser.add_argument("--connections", type=int)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: as fast as answers come")
    parser.add_argument(
        "--half", action="store_true", help="afterwards the same at half of the rate reached, whenever answers come"
    )
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    runs = [(0, 64)] if chosen.single else [(chosen.batch, 16)] if chosen.batch else [(100, 16), (0, 64)]
    reached: dict[int, list[float]] = {}
    with started(chosen) as (pid, url):
        for half in (False, True) if chosen.half else (False,):
            for batch, connections in [run for _ in range(chosen.rounds) for run in runs]:
                found = uvloop.run(
                    measure(
                        url, chosen.write_key, batch=batch, connections=chosen.connections or connections,
                        seconds=chosen.seconds, rate=median(reached[batch]) / 2 if half else chosen.rate, pid=pid,
                    )
                )  # fmt: skip
                if not half:
                    reached.setdefault(batch, []).append(found["requests_per_s"])
                print(json.dumps(found) if chosen.json else "  ".join(f"{k}={v}" for k, v in found.items()), flush=True)


if __name__ == "__main__":
    main()
