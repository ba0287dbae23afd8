"""Ingest behind the proxies of docs/operating.md, with the configuration that is given there, over real HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from schemas import codec
from services.ingest.__main__ import application, server_options
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from services.ingest.webhooks.endpoints import Endpoints, read
from services.ingest.write_keys.keys import WriteKey, WriteKeys
from services.shared.http.server import serving
from services.shared.kafka.embedded.free_ports import free_port
from tests.support.waiting import until
from tests.support.webhooks import fixture, stripe

served = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[3]
FILES = ROOT / "deploy/proxy"
NAME = "events.example.com"
SECRET = "whsec_0123456789abcdef"
ENDPOINT = {"vendor": "stripe", "name": "billing", "source": "stripe", "account": "metadata.account_id"}
SETTINGS = IngestSettings(TIDEMARK_INGEST_PUBLIC_URL=f"https://{NAME}")
TRACK = {"type": "track", "event": "x", "userId": "ann", "messageId": "m", "context": {"groupId": "acme"}}


@dataclass
class Proxied:
    """A client of the proxy, and what reached the log behind it."""

    client: httpx.AsyncClient
    log: MemoryEventLog

    def records(self, kind: str) -> list[dict[str, Any]]:
        written = [codec.decode(record.value) for records in self.log.records.values() for record in records]
        return [value for name, value in written if name == kind]


def nginx(folder: Path, port: int, ingest: int) -> list[str]:
    """Write a whole configuration around the server, and return the command that serves it."""
    certificate = ["-keyout", str(folder / "key"), "-out", str(folder / "pem"), "-subj", f"/CN={NAME}", "-days", "1"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *certificate], check=True, capture_output=True)  # fmt: skip
    server = (FILES / "nginx.conf").read_text()
    server = server.replace("listen 443", f"listen 127.0.0.1:{port}").replace("127.0.0.1:8080", f"127.0.0.1:{ingest}")
    server = re.sub(r"(ssl_certificate_key) \S+;", rf"\1 {folder}/key;", server)
    server = re.sub(r"(ssl_certificate) \S+;", rf"\1 {folder}/pem;", server)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers could not write in the folder
    (folder / "nginx.conf").write_text(
        f"daemon off; {user} pid {folder}/pid; error_log stderr; events {{}} http {{ access_log off; {paths} {server} }}"
    )
    command = ["nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    return command


def caddy(folder: Path, port: int, ingest: int) -> list[str]:
    """Write the configuration for an address of this machine, without a certificate, and return the command."""
    server = (FILES / "Caddyfile").read_text()
    server = server.replace(f"{NAME} {{", f"http://{NAME}:{port} {{").replace("127.0.0.1:8080", f"127.0.0.1:{ingest}")
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + server)
    given = ["--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    subprocess.run(["caddy", "validate", *given], check=True, capture_output=True)
    return ["caddy", "run", *given]


PROXIES: dict[str, tuple[Callable[[Path, int, int], list[str]], str]] = {
    "nginx": (nginx, "https"),
    "caddy": (caddy, "http"),
}


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                shutil.which(name) is None, reason=f"{name} is not installed (apt install {name})"
            ),
        )
        for name in PROXIES
    ],
)
async def proxied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxied]:
    folder = tmp_path_factory.mktemp(request.param)
    hooks = folder / "webhooks.yaml"
    hooks.touch(mode=0o600)
    hooks.write_text("- " + json.dumps({**ENDPOINT, "secrets": [SECRET]}))
    log, metrics = MemoryEventLog(), IngestMetrics(CollectorRegistry())
    keys = WriteKeys({"wk": WriteKey("", "web")}, metrics)
    app = application(log, keys, metrics, SETTINGS, endpoints=Endpoints(read(hooks)))
    configure, scheme = PROXIES[request.param]
    port = free_port()
    async with serving(app, "127.0.0.1", 0, **server_options(SETTINGS)) as ingest:
        command = configure(folder, port, ingest)
        home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | home, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        address = f"{scheme}://127.0.0.1:{port}"
        try:
            async with httpx.AsyncClient(base_url=address, headers={"Host": f"{NAME}:{port}"}, verify=False) as client:
                await until(lambda: answers(client), 10)
                yield Proxied(client, log)
        finally:
            process.terminate()
            await process.wait()


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/openapi.json")).status_code == 200
    except httpx.TransportError:
        return False


@served
async def test_a_compressed_batch_arrives_as_it_was_sent(proxied: Proxied) -> None:
    body = gzip.compress(json.dumps({"batch": [TRACK]}).encode())
    answer = await proxied.client.post("/v1/batch", content=body, headers={"Content-Encoding": "gzip"}, auth=("wk", ""))

    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert [event["event_id"] for event in proxied.records("usage_event")] == ["m"]


@served
async def test_a_webhook_keeps_its_signature_and_its_bytes(proxied: Proxied) -> None:
    body = json.dumps(fixture("stripe-subscription-updated-basil")["payload"], indent=1).encode()
    answer = await proxied.client.post(
        "/v1/webhooks/stripe/billing", content=body, headers=list(stripe(SECRET.encode(), body, time.time()).items())
    )

    assert (answer.status_code, answer.json()["success"]) == (200, True)


@served
async def test_what_is_too_large_is_answered_and_kept_by_ingest(proxied: Proxied) -> None:
    body = b'{"batch":[' + b" " * SETTINGS.max_body_bytes + b"]}"
    answer = await proxied.client.post("/v1/batch", content=body, auth=("wk", ""))

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert [letter["reason"] for letter in proxied.records("dead_letter")] == ["body_too_large"]


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "/%6detrics", "/healthz", "/readyz", "/live", "/live/events"]
)
@served
async def test_what_is_for_operators_is_not_forwarded(proxied: Proxied, path: str) -> None:
    answer = await proxied.client.get(path)

    assert answer.status_code == 404
    assert "tidemark_ingest" not in answer.text


@served
async def test_a_long_pixel_arrives(proxied: Proxied) -> None:
    answer = await proxied.client.get(f"/v1/pixel/page?writeKey=wk&userId=ann&name=x&properties.a={'x' * 7_000}")

    assert answer.status_code == 200


@served
async def test_the_log_has_the_address_of_the_sender_and_not_what_it_claims(
    proxied: Proxied, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await proxied.client.post(
            "/v1/batch", json={}, auth=("unknown", ""), headers={"X-Forwarded-For": "203.0.113.7"}
        )

    [refused] = [record for record in caplog.records if record.message == "request_refused"]
    assert getattr(refused, "forwarded_for", "") == "127.0.0.1"


@served
async def test_sdks_are_told_the_public_address(proxied: Proxied) -> None:
    answer = await proxied.client.get("/v1/projects/wk/settings")

    assert answer.json()["integrations"]["Segment.io"]["apiHost"] == f"{NAME}/v1"


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_the_document_has_the_files_as_they_are(name: str) -> None:
    assert (FILES / name).read_text().partition("\n\n")[2].strip() in (ROOT / "docs/operating.md").read_text()
