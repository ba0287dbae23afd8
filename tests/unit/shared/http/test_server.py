"""Every process serves the same operations endpoints and lets its address go at the end."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
from pathlib import Path

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry, Counter
from starlette.applications import Starlette

from schemas import formats
from services.shared.errors import Fatal
from services.shared.http.server import _Server, listener, ops_routes, serving
from services.shared.release import release
from tests.support.waiting import until


async def get(port: int, path: str) -> httpx.Response:
    """Ask this machine."""
    async with httpx.AsyncClient() as client:
        return await client.get(f"http://127.0.0.1:{port}{path}")


async def test_metrics_health_and_readiness_are_served() -> None:
    """Readiness follows the process; health only says that the loop turns."""
    registry = CollectorRegistry()
    Counter("tidemark_test_events_total", "Events.", registry=registry).inc(3)
    reasons: list[str | None] = ["lanes are loading", None, "a lane has stopped"]
    app = Starlette(routes=ops_routes(registry, lambda: reasons.pop(0)))

    async with serving(app, "127.0.0.1", 0) as port:
        waiting, ready = await get(port, "/readyz"), await get(port, "/readyz")
        metrics, health = await get(port, "/metrics"), await get(port, "/healthz")

    assert (waiting.status_code, waiting.json()["reason"]) == (503, "lanes are loading")
    levels = {"written": formats.DEFAULT, "read": formats.NEWEST}
    assert ready.json() == {"ready": True, "pid": os.getpid(), "release": release(), "formats": levels}
    assert waiting.json()["formats"] == levels
    assert f"tidemark_formats_written {formats.DEFAULT:.1f}" in metrics.text
    assert f'tidemark_release_info{{version="{release()}"}} 1.0' in metrics.text
    assert "tidemark_test_events_total 3.0" in metrics.text
    assert "tidemark_process_ready 0.0" in metrics.text, "as /readyz would say by now"
    assert health.status_code == 200


async def test_a_file_that_cannot_be_taken_over_is_named_and_the_process_is_ready_all_the_same() -> None:
    files: list[list[str]] = [["/etc/tidemark/write-keys.yaml"], []]
    app = Starlette(routes=ops_routes(CollectorRegistry(), lambda: None, unreadable=lambda: files.pop(0)))

    async with serving(app, "127.0.0.1", 0) as port:
        broken, mended = await get(port, "/readyz"), await get(port, "/readyz")

    assert (broken.status_code, mended.status_code) == (200, 200)
    assert broken.json()["unreadable"] == ["/etc/tidemark/write-keys.yaml"]
    assert "unreadable" not in mended.json()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells when a process started")
async def test_a_process_tells_when_it_was_started_so_that_restarts_can_be_counted() -> None:
    app = Starlette(routes=ops_routes(CollectorRegistry(), lambda: None))

    async with serving(app, "127.0.0.1", 0) as port:
        told = (await get(port, "/metrics")).text

    found = re.search(r"^process_start_time_seconds (\S+)$", told, re.MULTILINE)
    assert found is not None
    assert 0 < float(found[1]) <= time.time() + 1


async def test_a_process_that_is_as_good_as_dead_says_so_with_the_reason() -> None:
    """For whoever replaces processes: health is 503 only then."""
    reasons: list[str | None] = [None, "Kafka has not answered for 121 s"]
    app = Starlette(routes=ops_routes(CollectorRegistry(), lambda: None, lambda: reasons.pop(0)))

    async with serving(app, "127.0.0.1", 0) as port:
        alive, dead = await get(port, "/healthz"), await get(port, "/healthz")

    assert (alive.status_code, dead.status_code) == (200, 503)
    assert dead.text == "Kafka has not answered for 121 s\n"


async def test_an_address_in_use_is_told_with_the_variable() -> None:
    """The reader learns what to change."""
    app = Starlette()
    async with serving(app, "127.0.0.1", 0) as port:
        with pytest.raises(Fatal, match=f"127.0.0.1:{port} .*TIDEMARK_HTTP_PORT"):
            async with serving(app, "127.0.0.1", port):
                pass


async def test_the_address_is_free_after_the_end() -> None:
    """A restarted service gets it back at once."""
    app = Starlette(routes=ops_routes(CollectorRegistry(), lambda: None))
    async with serving(app, "127.0.0.1", 0) as port:
        await get(port, "/healthz")

    async with serving(app, "127.0.0.1", port) as again:
        assert again == port


async def test_a_connection_that_was_accepted_in_the_turn_of_the_stop_does_not_hold_it_up() -> None:
    config = uvicorn.Config(
        Starlette(), log_config=None, lifespan="off", timeout_keep_alive=60, timeout_graceful_shutdown=60
    )
    server, bound = _Server(config), listener("127.0.0.1", 0)
    serving_ = asyncio.create_task(server.serve(sockets=[bound]))
    await until(lambda: server.started)
    async with httpx.AsyncClient() as client:
        await client.get(f"http://127.0.0.1:{bound.getsockname()[1]}/")
        connections = server.server_state.connections
        late = connections.pop()
        server.should_exit = True
        await until(lambda: not server.servers[0].is_serving())
        connections.add(late)

        await asyncio.wait_for(serving_, 20)
    bound.close()


async def test_connections_send_at_once_so_that_no_answer_in_two_parts_waits_for_an_acknowledgement() -> None:
    bound = listener("127.0.0.1", 0)
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(take, sock=bound):
        _, writer = await asyncio.open_connection("127.0.0.1", bound.getsockname()[1])
        assert await asyncio.wait_for(accepted, 5) != 0
        writer.close()
