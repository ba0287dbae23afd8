"""
The duplicate window: which events were seen in the last 24 hours of log time.

An event's identity is a 64-bit hash, made in usage_fold.py. Identities lie in blocks, by log hour of arrival; within a
block in sorted numpy runs of eight bytes each. A Bloom filter over several blocks answers "surely new" for nearly every
event; only where it says "perhaps" are the runs searched, so a filter alone never drops an event. The newest few
thousand are a plain set. All together at most 12 bytes an identity.

Where more than `limit` identities arrive within 24 hours the oldest block leaves early: the window is then shorter
than 24 hours, and `shortened` counts how often that happened. Where blocks begin, end and leave depends on the log
alone, never on when state was written or restored.

The window is durable as records keyed (log hour, block, number). A block that leaves is deleted record by record,
a bounded number at a time. Only where time starts anew all are deleted at once: what was left of an hour could not be told
from the same hour that comes again.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
from rbloom import Bloom

from services.shared.errors import IncompatibleState

WINDOW_HOURS = 24
SEAL = 16_384
"""Identities that wait in the set before they become a run."""
FALSE_POSITIVES = 0.001
DELETIONS_AT_ONCE = 1_000
_FILTER_HOURS = 6
_SMALLEST_FILTER = 4 * SEAL
_LARGEST_FILTER = 1 << 26
_BLOCKS_PER_LIMIT = 8

_KEY = struct.Struct(">cIHI")
_PREFIX = b"i"
"""The kind of record: another format of them has another. Keys that start with a zero byte are the engine's."""
Run = npt.NDArray[np.uint64]


class _Block:
    """Identities of one log hour, or of a part of it."""

    __slots__ = ("count", "hour", "number", "records", "runs")

    def __init__(self, hour: int, number: int) -> None:
        self.hour = hour
        self.number = number
        self.count = 0
        """Those in runs; the newest of the current block are in the set."""
        self.records = 0
        """How many records of the changelog hold this block."""
        self.runs: list[Run] = []

    def seal(self, run: Run) -> None:
        """Add a sorted run, merging those of about its size so that few remain."""
        self.count += run.size
        while self.runs and self.runs[-1].size <= 2 * run.size:
            run = np.concatenate((self.runs.pop(), run))
            run.sort(kind="stable")  # two sorted halves: a merge
        self.runs.append(run)

    def holds(self, identity_: int) -> bool:
        """Search the runs."""
        wanted = np.uint64(identity_)
        for run in self.runs:
            at = int(run.searchsorted(wanted))
            if at < run.size and run[at] == wanted:
                return True
        return False


class _Filter:
    """One Bloom filter and the blocks whose identities it knows."""

    __slots__ = ("blocks", "bloom", "capacity", "count", "first_hour")

    def __init__(self, hour: int, capacity: int) -> None:
        self.first_hour = hour
        self.capacity = capacity
        self.count = 0
        self.bloom = Bloom(capacity, FALSE_POSITIVES)
        self.blocks: list[_Block] = []

    def learn(self, block: _Block, run: Run) -> None:
        """Know a run of one block from now on."""
        if block not in self.blocks:
            self.blocks.append(block)
        self.count += run.size
        self.bloom.update(run.tolist())


def _runs(parts: Iterable[Run]) -> Iterator[Run]:
    """Join parts to sorted runs of about `SEAL` identities."""
    waiting: list[Run] = []
    size = 0
    for piece in (part[at : at + SEAL] for part in parts for at in range(0, part.size, SEAL)):
        waiting.append(piece)
        size += piece.size
        if size >= SEAL:
            yield np.sort(np.concatenate(waiting))
            waiting, size = [], 0
    if waiting:
        yield np.sort(np.concatenate(waiting))


class DuplicateWindow:
    """The identities of one lane."""

    __slots__ = (
        "_block", "_deletions", "_due", "_filters", "_fresh", "_loaded", "_seal_at", "_tail", "_written", "block_size",
        "blocks", "hour", "limit", "oldest", "sealed", "shortened",
    )  # fmt: skip

    def __init__(self, limit: int) -> None:
        """Start empty, to hold at most `limit` identities."""
        if limit < _BLOCKS_PER_LIMIT:
            raise ValueError(f"a duplicate window holds at least {_BLOCKS_PER_LIMIT} identities")
        self.limit = limit
        self.block_size = limit // _BLOCKS_PER_LIMIT
        self.hour = 0
        self.sealed = 0
        """Identities in blocks, without those in the set."""
        self.shortened = 0
        self.oldest: tuple[int, int] = (0, 0)
        """Hour and number of the oldest block that is still in the window."""
        self.blocks: deque[_Block] = deque()
        self._filters: list[_Filter] = []  # the newest first: a client retries soon
        self._block: _Block | None = None
        self._tail: set[int] = set()
        self._seal_at = 0
        self._fresh: list[int] = []
        self._written: list[tuple[bytes, bytes]] = []
        self._deletions: dict[bytes, None] = {}
        """Keys whose records are still to be deleted, the oldest first."""
        self._due = 0
        """How many of them may not wait."""
        self._loaded: dict[tuple[int, int], list[tuple[int, Run]]] = {}

    def seen(self, identity_: int) -> bool:
        """Return whether this identity is in the window, and put it there."""
        if identity_ in self._tail:
            return True
        for known in self._filters:
            if identity_ in known.bloom and any(block.holds(identity_) for block in known.blocks):
                return True
        if self._block is None:
            self._begin_block()
        self._tail.add(identity_)
        self._fresh.append(identity_)
        if len(self._tail) >= self._seal_at:
            self._seal()
        return False

    def roll(self, hour: int) -> None:
        """Move to a log hour (hours since 1970): blocks that are wholly older than the window leave."""
        if hour <= self.hour:
            return
        self._end_block()
        self.hour = hour
        while self.blocks and self.blocks[0].hour < hour - WINDOW_HOURS:
            self._drop_oldest()

    def clear(self) -> None:
        """Forget everything, for a log whose time starts anew."""
        self._end_block()
        while self.blocks:
            self._drop_oldest()
        self._due = len(self._deletions)
        self.hour = 0
        self.oldest = (0, 0)

    def __len__(self) -> int:
        """Return how many identities are remembered."""
        return self.sealed + len(self._tail)

    def memory_bytes(self) -> int:
        """Return what the runs and filters take, without the newest few thousand."""
        runs = sum(run.nbytes for block in self.blocks for run in block.runs)
        return runs + int(sum(f.bloom.size_in_bits for f in self._filters) // 8)

    def take_changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Return and forget what is to be written: new identities, and deletions, not too many at once but after `clear`."""
        self._flush_fresh()
        written, self._written = self._written, []
        yield from written
        at_once, self._due = max(DELETIONS_AT_ONCE, self._due), 0
        for key in [*islice(self._deletions, at_once)]:
            del self._deletions[key]
            yield key, None

    def load(self, key: bytes, value: bytes) -> None:
        """Take back one record of the changelog."""
        if key[:1] != _PREFIX:
            raise IncompatibleState(
                f"the duplicate window has records of kind {key[:1]!r}, this version reads {_PREFIX!r}:"
                " run the version that wrote it, or a later one"
            )
        _, hour, number, record = _KEY.unpack(key)
        self._loaded.setdefault((hour, number), []).append((record, np.frombuffer(value, "<u8").astype(np.uint64)))

    def loading(self, hour: int, oldest: tuple[int, int], shortened: int) -> Iterator[None]:
        """
        Rebuild runs and filters after the last record, for a lane whose log stands at `hour`.

        In steps of about `SEAL` identities, 10 ms each: a full window takes seconds in one go.
        """
        self.hour = hour
        self.oldest = oldest
        self.shortened = shortened
        for (block_hour, number), parts in sorted(self._loaded.items()):
            parts.sort(key=lambda part: part[0])
            if (block_hour, number) < oldest or block_hour > hour:
                self._delete(block_hour, number, (record for record, _ in parts))
                continue
            block = _Block(block_hour, number)
            block.records = parts[-1][0] + 1
            self.blocks.append(block)
            coming = sum(part.size for _, part in parts)
            for run in _runs(part for _, part in parts):
                self._keep(block, run, coming - block.count)
                yield
        self._loaded = {}
        last = self.blocks[-1] if self.blocks else None
        if last is not None and last.hour == hour and last.count < self.block_size:
            self._block = last
            self._seal_at = min(SEAL, self.block_size - last.count)

    def _begin_block(self) -> None:
        while self.blocks and self.sealed + self.block_size > self.limit:
            self._drop_oldest()
            self.shortened += 1
        last = self.blocks[-1] if self.blocks else None
        number = last.number + 1 if last is not None and last.hour == self.hour else 0
        self._block = _Block(self.hour, number)
        self._seal_at = min(SEAL, self.block_size)
        if last is None:
            self.oldest = (self.hour, number)
        self.blocks.append(self._block)

    def _seal(self) -> None:
        block = self._block
        if block is None or not self._tail:
            return
        run = np.fromiter(self._tail, np.uint64, len(self._tail))
        run.sort()
        self._tail = set()
        self._keep(block, run)
        self._seal_at = min(SEAL, self.block_size - block.count)
        if block.count >= self.block_size:
            self._flush_fresh()
            self._block = None

    def _end_block(self) -> None:
        self._flush_fresh()
        self._seal()
        self._block = None

    def _keep(self, block: _Block, run: Run, coming: int = 0) -> None:
        """Remember a run; `coming` identities of the block, with those of the run, are known to follow at once."""
        coming = max(coming, run.size)
        newest = self._filters[0] if self._filters else None
        if (
            newest is None
            or newest.count + coming > newest.capacity
            or (block.count == 0 and block.hour - newest.first_hour >= _FILTER_HOURS)
        ):
            # sized by what the one before took in; too small only means one more filter
            before = newest.count if newest else 0
            size = min(max(_SMALLEST_FILTER, before + before // 8, 2 * coming), _LARGEST_FILTER)
            newest = _Filter(block.hour, max(size, run.size))
            self._filters.insert(0, newest)
        newest.learn(block, run)
        block.seal(run)
        self.sealed += run.size

    def _flush_fresh(self) -> None:
        block = self._block
        if block is None or not self._fresh:
            return
        key = _KEY.pack(_PREFIX, block.hour, block.number, block.records)
        block.records += 1
        self._deletions.pop(key, None)  # after `clear` an hour may come once more, and its blocks are numbered anew
        self._written.append((key, np.array(self._fresh, "<u8").tobytes()))
        self._fresh = []

    def _delete(self, hour: int, number: int, records: Iterable[int]) -> None:
        self._deletions.update((_KEY.pack(_PREFIX, hour, number, record), None) for record in records)

    def _drop_oldest(self) -> None:
        block = self.blocks.popleft()
        self.sealed -= block.count
        self._delete(block.hour, block.number, range(block.records))
        for known in self._filters:
            if block in known.blocks:
                known.blocks.remove(block)
        self._filters = [known for known in self._filters if known.blocks]
        self.oldest = (self.blocks[0].hour, self.blocks[0].number) if self.blocks else (block.hour, block.number + 1)
