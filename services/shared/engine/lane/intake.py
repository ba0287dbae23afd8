"""
What a lane has been given of its source: chunks that wait, and how far the log has come without a hole.

A chunk is taken only if it begins where the one before ended. Anything else is found out here; the lane then compares
with the log itself, and reads again.
"""

from __future__ import annotations

import time

from services.shared.engine.chunk import Chunk
from services.shared.engine.lane.ports import LaneHost
from services.shared.engine.lane.queue import ChunkQueue

_DOUBT_AFTER_S = 10.0
"""After this time nothing from before a seek is on its way: what was delivered before should not come again."""


class Missed(Exception):
    """A chunk does not begin where the one before ended: the source has to be compared, and read again."""


class Intake:
    """The chunks of one lane, in the order of the log."""

    def __init__(self, topic: str, partition: int, host: LaneHost) -> None:
        """Hold the fetches of the partition while too much waits."""
        self.received = -1
        """How far the log has been delivered without a hole; -1 while the lane does not take chunks."""
        self._topic = topic
        self._partition = partition
        self._host = host
        self._queue = ChunkQueue(host.settings, lambda hold: host.hold_fetch(topic, partition, hold))
        self._asked_at = time.monotonic()
        """When the source was last compared with what has been delivered, or was read from elsewhere."""

    def __len__(self) -> int:
        """Return the number of chunks that wait."""
        return len(self._queue)

    @property
    def records(self) -> int:
        """Records that wait."""
        return self._queue.records

    def put(self, chunk: Chunk) -> None:
        """Append a chunk as it comes from the fetcher."""
        self._queue.put(chunk)

    def take(self) -> Chunk | None:
        """
        Return the next chunk, to be folded; None if it holds nothing new.

        Raises:
            Missed: what came does not meet what was there.
        """
        chunk, received = self._queue.take(), self.received
        if chunk.start < received and time.monotonic() - self._asked_at > _DOUBT_AFTER_S:
            raise Missed  # nobody has asked for this again: another topic of the same name?
        if chunk.end <= received:
            return None
        if chunk.start > received:
            raise Missed
        self.received = chunk.end
        return chunk

    def clear(self) -> None:
        """Drop all that waits: it will be read again."""
        self._queue.clear()

    def reaches(self, offset: int) -> bool:
        """Return whether what waits covers an offset, or ends there."""
        return self._queue.reaches(offset)

    def compared(self) -> None:
        """Note that the source has been compared with what was delivered, or is read from elsewhere as of now."""
        self._asked_at = time.monotonic()

    async def read_from(self, offset: int) -> None:
        """Drop all that waits and read the source from an offset on."""
        self.clear()
        self.received = offset
        self.compared()
        await self._host.seek(self._topic, self._partition, offset)
