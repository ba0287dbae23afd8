"""
Take in the bodies of requests within bounds, and let those of the refused go by.

A body whose write key is in the headers is read up to the limit. One whose key may only be in the body, as browsers
send it, is taken up to a smaller limit, uncompressed, and only looked through for a known key; nothing is inflated or
parsed before one was found. All bodies together have a bound; one source has half of it, and those without a key a small part.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import msgspec
from starlette.types import Receive

from services.ingest.errors import Code, Overloaded
from services.shared.errors import Rejected

KEYLESS_BYTES = 512 * 1024
"""The largest body whose key may be in the body: SDKs in browsers send 450 KB at most."""
KEYLESS_SHARE = 8
"""The part of the room for all bodies that those without a key may have: an eighth."""
SOURCE_SHARE = 2
"""The part of it that one source may have: half, so that bodies which stop half way never leave nothing for others."""
_DRAIN_FACTOR = 4
"""Times the limit that an oversized body is read to its end, since a client that is cut off mid-body sees no 413."""
_DROPPED_BYTES = 1024 * 1024
_DROPPING_S = 5.0
_QUIETLY_DROPPED = 64 * 1024
_KEY = re.compile(rb'"writeKey"\s{0,8}+:\s{0,8}+("(?:[^"\\]|\\.){1,256}+")')
_CANDIDATES = 64


class Gone(Exception):
    """The client left before its request was complete."""


class Room:
    """How many bytes all that hold some may hold together; where it is `within` another, they count there too."""

    def __init__(self, limit: int, within: Room | None = None, make_room: Callable[[], bool] | None = None) -> None:
        """Take the bytes; `make_room` is called where they are full, and returns whether somebody gave up what it held."""
        self.limit = limit
        self._within = within
        self._make_room = make_room
        self.held = 0
        self.most = 0

    def take(self, size: int) -> None:
        """
        Hold some more.

        Raises:
            Overloaded: there is no room.
        """
        while self.held + size > self.limit:
            if self._make_room is None or not self._make_room():
                raise Overloaded("too many request bodies are being received", 1.0)
        if self._within is not None:
            self._within.take(size)
        self.held += size
        self.most = max(self.most, self.held)

    def give(self, size: int) -> None:
        """Hold less."""
        if self._within is not None:
            self._within.give(size)
        self.held -= size


class Incoming:
    """The body of one request: what has come of it, and what is still to come. `close` it at the end."""

    def __init__(self, receive: Receive, headers: dict[bytes, bytes]) -> None:
        self._receive = receive
        self._room: Room | None = None
        self._held = 0
        length = headers.get(b"content-length", b"")
        self.declared = int(length) if length.isdigit() and len(length) < 20 else 0
        self.complete = self.declared == 0 and b"transfer-encoding" not in headers
        """Whether nothing of it is to come any more."""

    async def read(self, limit: int, room: Room) -> bytes:
        """
        Return the body; of one that is over `limit` only the part up to there and some more, the rest is dropped.

        Raises:
            Overloaded: the room is full.
            Gone: the client left.
        """
        self._room = room
        parts: list[bytes] = []
        size = 0
        while True:
            part = await self._next()
            if size <= limit:
                room.take(len(part))
                self._held += len(part)
                parts.append(part)
            size += len(part)
            if self.complete or size > _DRAIN_FACTOR * limit:
                return parts[0] if len(parts) == 1 else b"".join(parts)

    @property
    def holds(self) -> bool:
        """Whether it takes any room."""
        return self._held > 0

    def small(self) -> bool:
        """Return whether what is still to come is so little that the connection may go on after it."""
        return self.complete or 0 < self.declared <= _QUIETLY_DROPPED

    async def drop(self) -> None:
        """
        Let the rest go by, up to a number of bytes and seconds.

        The client has its answer by then; cut off at once, it might see an error of the network instead.
        """
        dropped = 0
        try:
            async with asyncio.timeout(_DROPPING_S):
                while not self.complete and dropped < _DROPPED_BYTES:
                    dropped += len(await self._next())
        except (TimeoutError, Gone):
            return

    def close(self) -> None:
        """Give back the room that it takes."""
        if self._room is not None:
            self._room.give(self._held)
        self._held = 0

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Gone
        self.complete = not message.get("more_body", False)
        return message.get("body", b"")  # type: ignore[no-any-return]


class Reception:
    """The bounds of one process."""

    def __init__(self, max_body_bytes: int, max_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self.room = Room(max_bytes)
        self.keyless_room = Room(max_bytes // KEYLESS_SHARE, within=self.room, make_room=self._evict)
        self._strangers: dict[Incoming, asyncio.Timeout] = {}
        """Bodies of senders that are not known yet, the one that began first at the front."""
        self._source_rooms: dict[str, Room] = {}

    async def with_key(self, incoming: Incoming, source: str) -> bytes:
        """Return the body of a request whose write key is known; it may be a little larger than the limit."""
        room = self._source_rooms.get(source)
        if room is None:
            room = self._source_rooms[source] = Room(self.room.limit // SOURCE_SHARE, within=self.room)
        return await incoming.read(self.max_body_bytes, room)

    async def signed(self, incoming: Incoming) -> bytes:
        """
        Return a body whose signature is still to be checked.

        Raises:
            Rejected: it is larger than bodies without a known sender may be.
        """
        limit = min(KEYLESS_BYTES, self.max_body_bytes)
        body = b"" if incoming.declared > limit else await self._of_stranger(incoming, limit)
        if incoming.declared > limit or len(body) > limit:
            raise Rejected(Code.BODY_TOO_LARGE, "body", f"the body is over {limit} bytes")
        return body

    async def without_key(self, incoming: Incoming, encoding: bytes, known: Callable[[str], bool]) -> bytes:
        """
        Return a body in which a known key was seen; whether it is the body's own remains to be found out.

        Raises:
            Rejected: there is no such key, or the body is of a kind that is not looked through.
        """
        limit = min(KEYLESS_BYTES, self.max_body_bytes)
        if encoding.strip().lower() not in (b"", b"identity") or incoming.declared > limit:
            raise missing_key(f"a compressed body, or one of over {limit} bytes, needs its write key outside of it: ")
        body = await self._of_stranger(incoming, limit)
        if len(body) > limit:
            raise missing_key(f"a body of over {limit} bytes needs its write key outside of it: ")
        seen = False
        for number, found in enumerate(_KEY.finditer(body)):
            seen = True
            if number >= _CANDIDATES:
                break
            try:
                if known(msgspec.json.decode(found.group(1), type=str)):
                    return body
            except (msgspec.MsgspecError, ValueError):
                continue
        if seen:
            raise Rejected(
                Code.UNKNOWN_WRITE_KEY,
                "writeKey",
                "this write key is not known here; make one with `tidemark keys create`",
            )
        raise missing_key()

    async def _of_stranger(self, incoming: Incoming, limit: int) -> bytes:
        """
        Return the body of a sender that is not known yet.

        Where all of them take too much, who has been sending for the longest makes way: a body that never ends keeps
        nobody out.

        Raises:
            Overloaded: it had to make way.
            Gone: the client left.
        """
        try:
            async with asyncio.timeout(None) as patience:
                self._strangers[incoming] = patience
                return await incoming.read(limit, self.keyless_room)
        except TimeoutError:
            raise Overloaded("too many request bodies are being received", 1.0) from None
        finally:
            self._strangers.pop(incoming, None)

    def _evict(self) -> bool:
        for incoming, patience in self._strangers.items():
            if incoming.holds:
                del self._strangers[incoming]
                incoming.close()
                patience.reschedule(asyncio.get_running_loop().time())
                return True
        return False


def missing_key(why: str = "") -> Rejected:
    """Return the refusal of a request that names no write key where one is looked for."""
    return Rejected(
        Code.MISSING_WRITE_KEY,
        "writeKey",
        f"{why}send it as the user name of Basic authorization, as X-Write-Key, or as writeKey in the query"
        + ("" if why else " or the body"),
    )
