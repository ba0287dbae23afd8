"""The HTTP server inside each process: metrics, health and readiness, and room for a service's own routes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from schemas import codec, formats
from services.shared.errors import Fatal
from services.shared.formats import FormatMetrics
from services.shared.http.connections import bounded
from services.shared.http.readiness import NotReady, ReadinessMetrics
from services.shared.release import ReleaseMetrics, release

_TELL_EVERY_S = 0.05

FORWARDED = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})
"""Headers of which one says that a proxy asks for somebody: then a request from loopback is not from this machine."""
NotAlive = Callable[[], str | None]
"""Returns why a new process should take this one's place, in words; None while it should not."""


def ops_routes(
    registry: CollectorRegistry,
    not_ready: NotReady,
    not_alive: NotAlive = lambda: None,
    slow: Callable[[], list[str]] = list,
    unreadable: Callable[[], list[str]] = list,
) -> list[Route]:
    """
    Return the routes that every process serves.

    `/metrics`: Prometheus text, with what Linux tells of the process. `/healthz`: 200 while the loop turns and `not_alive`
    says nothing, else 503 with why. `/readyz`: 200 when the process does its work, 503 with the reason until then, either
    with what is `slow`, and which files are `unreadable` as they are now while what they held before is in force; it names
    the process id, since another process may hold the port, the release, and the level of formats that is written and the
    newest read.
    """
    FormatMetrics(registry)
    ReleaseMetrics(registry)
    ReadinessMetrics(registry, not_ready)
    ProcessCollector(registry=registry)
    levels = {"written": codec.level(), "read": formats.NEWEST}
    common = {"pid": os.getpid(), "release": release(), "formats": levels}

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: Request) -> Response:
        reason = not_alive()
        return PlainTextResponse("ok\n") if reason is None else PlainTextResponse(f"{reason}\n", status_code=503)

    async def readyz(_: Request) -> Response:
        reason = not_ready()
        more = {name: found for name, found in (("slow", slow()), ("unreadable", unreadable())) if found}
        if reason is None:
            return JSONResponse({"ready": True, **common, **more})
        return JSONResponse({"ready": False, "reason": reason, **common, **more}, status_code=503)

    return [Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)]


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn tells its connections once; one that was accepted in that very turn would stay for 10 s."""
        telling = asyncio.create_task(self._tell_connections())
        try:
            await super().shutdown(sockets)
        finally:
            telling.cancel()

    async def _tell_connections(self) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            for connection in list(self.server_state.connections):
                connection.shutdown()


@contextlib.asynccontextmanager
async def serving(app: Any, host: str, port: int, *, shared: bool = False, **options: Any) -> AsyncIterator[int]:
    """
    Serve an ASGI app in the running loop; yield the port once it accepts (0 takes a free one).

    At the end it stops accepting, finishes the open requests within 10 s and returns. `shared`: other processes of this
    user may serve at the same address, and the kernel spreads connections over them. `options` go to uvicorn.Config.

    Raises:
        Fatal: the address cannot be bound.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        **{
            "http": bounded(),
            "access_log": False,
            "log_config": None,
            "lifespan": "off",
            "server_header": False,
            "timeout_graceful_shutdown": 10,
            **options,
        },
    )
    bound = listener(host, port, shared=shared)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        while not server.started and not task.done():
            await asyncio.sleep(0.005)
        if task.done():
            await task
            raise Fatal(f"the HTTP server on {host}:{port} ended at start")
        yield int(bound.getsockname()[1])
    finally:
        server.should_exit = True
        await task
        bound.close()


def listener(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """
    Return a socket that is bound to an address.

    Raises:
        Fatal: it is in use, or is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Asyncio has connections send at once only where the protocol is named: else an answer in two parts waits 40 ms for the
    # client's delayed acknowledgement of the first.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Fatal(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another TIDEMARK_HTTP_PORT or end what uses it"
        ) from error
    bound.set_inheritable(False)
    return bound
