"""Jitsu's ingest, from a binary that is given, beside ours on the same broker."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from tests.bench.cluster import PARTITIONS
from tests.bench.ingest.subjects import Subject
from tests.support.waiting import wait_until

VARIABLE = "TIDEMARK_BENCH_JITSU"
_ID = re.compile(rb'"messageId":"([^"]*)"')
_STREAM = {
    "stream": {
        "id": "bench", "workspaceId": "bench", "name": "bench", "type": "stream",
        "publicKeys": [{"id": "bench", "plaintext": "bench"}], "privateKeys": [{"id": "bench", "plaintext": "bench"}],
    },
    "destinations": [{"id": "store", "connectionId": "store", "destinationType": "clickhouse"}],
}  # fmt: skip
"""One source with one destination, so that each event becomes one record, and a key that both sides of its API take."""


@contextmanager
def jitsu(binary: Path, kafka: KafkaSettings, folder: Path) -> Iterator[Subject]:
    """Run it with its defaults, and topics of its own that are deleted afterwards."""
    port = free_port()
    topic = f"b{uuid.uuid4().hex[:8]}-jitsu"
    topics = [topic, f"{topic}-retry", f"{topic}-dead"]
    asyncio.run(_topics(kafka, topics, create=True))
    repository = ThreadingHTTPServer(("127.0.0.1", 0), _Repository)
    threading.Thread(target=repository.serve_forever, daemon=True).start()
    served = f"http://127.0.0.1:{repository.server_port}"
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_DESTINATIONS_TOPIC_NAME": topics[0],
        "KAFKA_DESTINATIONS_RETRY_TOPIC_NAME": topics[1],
        "KAFKA_DESTINATIONS_DEAD_LETTER_TOPIC_NAME": topics[2],
        "REPOSITORY_URL": served,
        "SCRIPT_ORIGIN": f"{served}/p.js",
        "RAW_AUTH_TOKENS": "bench",
        "HTTP_PORT": str(port),
        "METRICS_PORT": str(free_port()),
        "CACHE_DIR": str(folder),
    }
    log = (folder / "jitsu.log").open("wb")
    process = subprocess.Popen(
        [str(binary)],
        env=os.environ | {f"INGEST_{name}": value for name, value in environment.items()},
        cwd=folder, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _healthy(url, process, folder), otherwise=lambda: "Jitsu's ingest did not become ready")
        yield Subject("Jitsu", process.pid, url, kafka, (topic,), _ids, "/api/s/s2s/track")
    finally:
        process.kill()  # it would wait five seconds for its metrics to be read
        process.wait(30)
        log.close()
        repository.shutdown()
        asyncio.run(_topics(kafka, topics, create=False))


class _Repository(BaseHTTPRequestHandler):
    """What Jitsu's console tells its ingest: the sources that there are; and a script for browsers, which is empty."""

    def do_GET(self) -> None:
        body = b"" if self.path.endswith(".js") else json.dumps([_STREAM]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _healthy(url: str, process: subprocess.Popen[bytes], folder: Path) -> bool:
    if process.poll() is not None:
        raise SystemExit(f"Jitsu's ingest ended before it was ready:\n{(folder / 'jitsu.log').read_text()[-2000:]}")
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1):
            return True
    except OSError:
        return False


async def _topics(kafka: KafkaSettings, names: list[str], *, create: bool) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await client.start()
    try:
        if create:
            await client.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
        else:
            await client.delete_topics(names)
    finally:
        await client.close()


def _ids(value: bytes) -> list[str]:
    found = _ID.findall(value)
    return [found[0].decode()] if found else [""]
