"""
Measures ingest: events a second in batches, single requests a second, and the time to the answer of each.

    python tests/bench/ingest/load.py                      starts a broker and one ingest worker by itself
    python tests/bench/ingest/load.py --url http://127.0.0.1:8080 --write-key KEY
    python tests/bench/ingest/load.py --single --connections 64 --seconds 5 --json
    python tests/bench/ingest/load.py --rate 150           a fixed number of requests a second, spread evenly

Every answer is a 200 that Kafka acknowledged; any other is counted and shown. The client shares the machine with the
worker and the broker. Bodies are made before the clock starts; each event has its own id and one of 5,000 accounts.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import uvloop

from services.shared.kafka import topics
from services.shared.kafka.embedded import EmbeddedBroker, free_port
from services.shared.kafka.settings import KafkaSettings

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


def requests(batch: int, write_key: str, host: str) -> list[bytes]:
    """Return whole HTTP requests, ready to be written to a socket."""
    rng = random.Random(7)
    made = []
    for number in range(BODIES):
        sent_at = {"sentAt": "2026-05-04T10:11:12.400+00:00"}
        if batch:
            body = json.dumps({"batch": [event(rng, number * batch + n) for n in range(batch)], **sent_at})
        else:
            body = json.dumps({**event(rng, number), **sent_at})
        basic = base64.b64encode(f"{write_key}:".encode()).decode()
        head = (
            f"POST {'/v1/batch' if batch else '/v1/track'} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {basic}\r\n"
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

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.idle()

    def idle(self) -> None:
        if self.run.ending():
            self.transport.close()
        elif self.run.interval:
            self.run.waiting.append(self)
        else:
            self.send(time.perf_counter())

    def send(self, due: float) -> None:
        self.sent = due
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

    def __init__(self, made: list[bytes], seconds: float, rate: float) -> None:
        self.made = made
        self.number = 0
        self.interval = 1 / rate if rate else 0.0
        self.begin = time.perf_counter()
        self.end = self.begin + seconds
        self.statuses: dict[str, int] = {}
        self.times: list[float] = []
        self.waiting: list[Connection] = []

    def ending(self) -> bool:
        return time.perf_counter() >= self.end

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
                self.waiting.pop().send(due)
            due += self.interval
        for connection in self.waiting:
            connection.transport.close()


async def measure(
    url: str, write_key: str, *, batch: int, connections: int, seconds: float, rate: float
) -> dict[str, Any]:
    """Return the figures of one run."""
    address = urllib.parse.urlsplit(url)
    made = requests(batch, write_key, address.netloc)
    run = Run(made, seconds, rate)
    loop = asyncio.get_running_loop()
    open_ones = [
        (await loop.create_connection(lambda: Connection(run), address.hostname, address.port))[0]
        for _ in range(connections)
    ]
    pacer = asyncio.create_task(run.pace()) if rate else None
    while not all(transport.is_closing() for transport in open_ones):
        await asyncio.sleep(0.01)
    if pacer:
        await pacer
    elapsed = time.perf_counter() - run.begin
    ok = run.statuses.get("200", 0)
    run.times.sort()
    return {
        "what": f"batches of {batch}" if batch else "single events",
        "connections": connections,
        "seconds": round(elapsed, 2),
        "requests_per_s": round(ok / elapsed),
        "events_per_s": round(ok * max(1, batch) / elapsed),
        "p50_ms": round(run.times[len(run.times) // 2] * 1000, 1),
        "p99_ms": round(run.times[int(len(run.times) * 0.99)] * 1000, 1),
        "statuses": run.statuses,
    }


def started(folder: Path) -> tuple[EmbeddedBroker | None, subprocess.Popen[bytes], str]:
    """Start what is needed; return the broker, the worker and the worker's address."""
    broker = None
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
    if not bootstrap:
        broker = EmbeddedBroker(folder / "kafka")
        broker.start()
        bootstrap = broker.bootstrap
    settings = KafkaSettings(bootstrap_servers=bootstrap, partitions=4, topic_prefix=f"bench-{os.getpid()}-")
    asyncio.run(topics.create(settings))
    (folder / "keys.yaml").write_text("- {write_key: bench, source: bench}\n")
    port = free_port()
    worker = subprocess.Popen(
        [sys.executable, "-m", "services.ingest"],
        env=os.environ
        | {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "TIDEMARK_PARTITIONS": "4",
            "TIDEMARK_TOPIC_PREFIX": settings.topic_prefix,
            "TIDEMARK_HTTP_PORT": str(port),
            "TIDEMARK_WRITE_KEYS_FILE": str(folder / "keys.yaml"),
        },
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            with urllib.request.urlopen(url + "/readyz", timeout=1):
                return broker, worker, url
        except OSError:
            time.sleep(0.1)
    worker.kill()
    raise SystemExit("ingest did not become ready")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an ingest that runs; without it one is started")
    parser.add_argument("--write-key", default="bench")
    parser.add_argument("--single", action="store_true", help="single events only")
    parser.add_argument("--batch", type=int, help="batches of this many events only")
    parser.add_argument("--connections", type=int)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: as fast as answers come")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    runs = [(0, 64)] if chosen.single else [(chosen.batch, 16)] if chosen.batch else [(100, 16), (0, 64)]
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        broker, worker, url = (None, None, chosen.url) if chosen.url else started(Path(folder))
        try:
            for batch, connections in runs:
                figures = uvloop.run(
                    measure(
                        url,
                        chosen.write_key,
                        batch=batch,
                        connections=chosen.connections or connections,
                        seconds=chosen.seconds,
                        rate=chosen.rate,
                    )
                )
                print(
                    json.dumps(figures) if chosen.json else "  ".join(f"{k}={v}" for k, v in figures.items()),
                    flush=True,
                )
        finally:
            if worker:
                worker.terminate()
                worker.wait(20)
            if broker:
                broker.stop()


if __name__ == "__main__":
    main()
