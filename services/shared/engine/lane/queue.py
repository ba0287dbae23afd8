"""Chunks that wait for a lane: bounded by taking the partition out of the fetches while it is full."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from services.shared.engine.chunk import Chunk
from services.shared.engine.settings import EngineSettings


class ChunkQueue:
    """In the order in which they came. It never refuses one: what is on its way when it is full still comes."""

    def __init__(self, settings: EngineSettings, hold_fetch: Callable[[bool], None]) -> None:
        """Call `hold_fetch` with True while it is full, and with False once it is half empty."""
        self.records = 0
        self.bytes = 0
        self._most_records = settings.queue_records
        self._most_bytes = settings.queue_bytes
        self._hold_fetch = hold_fetch
        self._held = False
        self._chunks: deque[Chunk] = deque()

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self._chunks)

    def reaches(self, offset: int) -> bool:
        """Return whether reading has come to an offset: a chunk covers it, or ends there."""
        return any(chunk.start <= offset <= chunk.end for chunk in self._chunks)

    def put(self, chunk: Chunk) -> None:
        """Append a chunk."""
        self._chunks.append(chunk)
        self.records += len(chunk.records)
        self.bytes += chunk.size
        if self.records >= self._most_records or self.bytes >= self._most_bytes:
            self._held = True
            self._hold_fetch(True)

    def take(self) -> Chunk:
        """Return the next chunk."""
        chunk = self._chunks.popleft()
        self.records -= len(chunk.records)
        self.bytes -= chunk.size
        half_empty = self.records < self._most_records // 2 and self.bytes < self._most_bytes // 2
        if self._held and (half_empty or not self._chunks):
            self._release()
        return chunk

    def clear(self) -> None:
        """Drop all: it will be read again."""
        self._chunks.clear()
        self.records = self.bytes = 0
        if self._held:
            self._release()

    def _release(self) -> None:
        self._held = False
        self._hold_fetch(False)
