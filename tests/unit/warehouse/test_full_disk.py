"""A full disk of the store is told as what it is, and waited for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from services.console.settings import ConsoleSettings
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings
from services.warehouse.__main__ import Warehouse
from services.warehouse.clickhouse.store import open_server
from services.warehouse.ports import StoreFull
from services.warehouse.settings import RetentionSettings, WarehouseSettings
from tests.support.served import stub

NO_SPACE = "Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE) (version 26.4.1.1)"
WRITE_FAILED = (
    "Code: 75. DB::ErrnoException: Cannot write to file /data/x: , errno: 28, strerror: No space left on device."
    " (CANNOT_WRITE_TO_FILE_DESCRIPTOR)"
)

_FAILURES = re.compile(r"^tidemark_warehouse_failures_total (\S+)$", re.MULTILINE)


@contextmanager
def server_that_says(text: str) -> Iterator[str]:
    """Serve a ClickHouse that answers everything with one exception; give its address."""

    class Refuses(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(500)
            self.send_header("X-ClickHouse-Exception-Code", text.split(".", maxsplit=1)[0].removeprefix("Code: "))
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST  # noqa: N815

    with stub(Refuses) as address:
        yield f"http://user:secret@{address}"


@pytest.mark.parametrize("text", [NO_SPACE, WRITE_FAILED])
def test_a_server_with_a_full_disk_is_to_be_tried_again_and_told_so(text: str) -> None:
    with server_that_says(text) as url, pytest.raises(StoreFull, match="the disk of the store is full") as caught:
        open_server(url, "tidemark")

    assert "secret" not in str(caught.value)


async def test_a_warehouse_that_finds_its_disk_full_says_so_and_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    port = free_port()
    stop = asyncio.Event()
    with server_that_says(NO_SPACE) as url:
        warehouse = Warehouse(
            KafkaSettings(),
            ProcessSettings(http_port=port, data_dir=tmp_path),
            WarehouseSettings(clickhouse_url=SecretStr(url)),
            RetentionSettings(),
            ConsoleSettings(),
        )
        running = asyncio.create_task(warehouse.run(stop))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(30):
            while "full" not in (said := await _page(client, "/readyz")):
                assert not running.done()
                await asyncio.sleep(0.05)
            # What the alert TidemarkWarehouseFails counts: a disk that is full ends the embedded store, which then does not open.
            while float(_FAILURES.findall(await _page(client, "/metrics"))[0]) < 2:
                assert not running.done()
                await asyncio.sleep(0.05)
        stop.set()
        await asyncio.wait_for(running, 30)

    assert "the disk of the store is full" in said


async def _page(client: httpx.AsyncClient, path: str) -> str:
    try:
        return (await client.get(path)).text
    except httpx.TransportError:
        return ""
