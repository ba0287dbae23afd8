"""Requests as bytes, to a server of ingest."""

from __future__ import annotations

import asyncio

KNOWN = b"Authorization: Basic d2s6\r\n"
"""The header of a known key."""
GOOD = {"type": "track", "event": "Opened", "userId": "ann", "groupId": "acme", "messageId": "1"}


async def answers(port: int, data: bytes) -> bytes:
    """Write bytes, then read until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
