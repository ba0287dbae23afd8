"""Addresses that stand in a bootstrap list before the real broker: one that never answers, and one that is slow."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress


@contextmanager
def silent() -> Iterator[str]:
    """Yield an address that takes connections and never answers, as a broker does whose process is frozen."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def slow(broker: str, by_s: float) -> AsyncIterator[str]:
    """Yield an address at which a broker is reached whose every answer comes so many seconds late."""
    host, _, port = broker.rpartition(":")
    loop = asyncio.get_running_loop()
    ways: set[asyncio.Task[None]] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        its_reader, its_writer = await asyncio.open_connection(host, port)

        async def answers() -> None:
            while data := await its_reader.read(1 << 16):
                loop.call_later(by_s, writer.write, data)

        answering = asyncio.create_task(answers())
        try:
            while data := await reader.read(1 << 16):
                its_writer.write(data)
        finally:
            answering.cancel()
            for each in (its_writer, writer):
                each.close()

    async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        ways.add(task)
        with suppress(OSError):
            await relay(reader, writer)

    server = await asyncio.start_server(noted, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
