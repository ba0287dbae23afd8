"""
A way to Kafka on which the answers for chosen partitions are held back, as if a follower of theirs hung.

The broker behind it is a real one. It gets every request at once; but the answer to a Produce request in which a held partition
takes part waits until `release`, and so does, as with a broker, everything that comes after it on that connection. Or one request
waits on its way to the broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import Self

_PRODUCE = 0


class SlowPartitions:
    """A proxy on a port of its own; clients that bootstrap from it stay on it."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._held: set[tuple[str, int]] = set()
        self._delayed: set[tuple[str, int]] = set()
        self._releases = 0
        self._released = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.withheld = 0
        """How many answers were held, so far."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold(self, topic: str, partition: int) -> None:
        """Hold the answers for a partition from now on."""
        self._held.add((topic, partition))

    def delay_next(self, topic: str, partition: int) -> None:
        """Keep the next request in which a partition takes part from the broker until `release`; later ones go through."""
        self._delayed.add((topic, partition))

    async def release(self) -> None:
        """Let all requests and answers go."""
        self._held.clear()
        self._delayed.clear()
        self._releases += 1
        async with self._released:
            self._released.notify_all()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        up: asyncio.StreamWriter | None = None
        try:
            down, up = await asyncio.open_connection("127.0.0.1", self._broker_port)
            while True:
                request = await _frame(reader)
                touched = _partitions(request)
                if touched & self._delayed:
                    self._delayed -= touched
                    released = self._releases
                    async with self._released:
                        await self._released.wait_for(lambda: self._releases > released)  # noqa: B023
                up.write(request)
                answer = await _frame(down)
                self.withheld += bool(touched & self._held)
                async with self._released:
                    await self._released.wait_for(lambda: not (touched & self._held))  # noqa: B023
                writer.write(self._here(answer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            for end in (writer, up):
                if end is not None:
                    with contextlib.suppress(OSError):
                        end.close()

    def _here(self, answer: bytes) -> bytes:
        """Name this port wherever the broker names its own."""
        host = b"\x00\x09127.0.0.1"
        return answer.replace(host + struct.pack(">i", self._broker_port), host + struct.pack(">i", self.port))


async def _frame(reader: asyncio.StreamReader) -> bytes:
    size = await reader.readexactly(4)
    return size + await reader.readexactly(struct.unpack(">i", size)[0])


def _partitions(request: bytes) -> set[tuple[str, int]]:
    """Return the partitions of a Produce request, of the versions 3 to 8 which aiokafka speaks."""
    api, _version, _correlation = struct.unpack_from(">hhi", request, 4)
    if api != _PRODUCE:
        return set()
    at = 12

    def text() -> str:
        nonlocal at
        (size,) = struct.unpack_from(">h", request, at)
        at += 2
        start, at = at, at + max(0, size)
        return request[start:at].decode()

    def number() -> int:
        nonlocal at
        (value,) = struct.unpack_from(">i", request, at)
        at += 4
        return int(value)

    text()  # client id
    text()  # transactional id
    at += 6  # acks, timeout
    touched = set()
    for _ in range(number()):
        topic = text()
        for _ in range(number()):
            touched.add((topic, number()))
            size = number()
            at += size
    return touched
