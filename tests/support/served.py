"""Servers beside a test that holds its own thread: a stub by the standard library, or an ASGI app."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from services.shared.http.server import serving


@contextmanager
def stub(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer requests by a handler, without a log; give host and port: a test may add a user and a password."""
    silent = type(handler.__name__, (handler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def app_in_a_thread(app: Any, **options: Any) -> Iterator[str]:
    """Serve an ASGI app on an event loop of its own; give its address."""
    loop = asyncio.new_event_loop()
    ready, stop, ports = threading.Event(), asyncio.Event(), []

    async def run() -> None:
        async with serving(app, "127.0.0.1", 0, **options) as port:
            ports.append(port)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)
    yield f"http://127.0.0.1:{ports[0]}"
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    loop.close()
