"""
Files of events, as a stream in time order.

A file is read twice: once to learn its identity, size and span and to find what is wrong with it before anything
is sent, and once to send it. Memory is bounded by the sort window, whatever the size of the file.
"""

from __future__ import annotations

import hashlib
import heapq
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from services.backfill.mapping import BadRow, Mapping, TimedCall
from services.backfill.rows import BadFile, ChangedFile, is_table, rows, unpacked
from services.shared.counts import counted
from services.shared.units import written_time

SORT_WINDOW = 100_000
"""Rows by which a row may be out of time order; they are held in memory."""
SHOWN_PROBLEMS = 10
TOLD_EVERY = 10_000
"""Rows after which a survey says how far it is."""


@dataclass(frozen=True, slots=True)
class EventFile:
    """A file that was surveyed and found fit to be sent."""

    path: Path
    mapping: Mapping
    sha256: str
    """Of the unpacked file, the mapping and the source: two runs that would send the same events share it."""
    total: int
    skipped: int
    """Rows left out because they are malformed."""
    first_ms: int
    last_ms: int
    window: int = SORT_WINDOW
    until_ms: int = 1 << 62
    """Rows after this time count as malformed: they had not happened yet when the file was surveyed."""
    state: tuple[int, ...] = ()
    """What the file system said of the file when it was surveyed; empty: it is not known."""

    @property
    def name(self) -> str:
        """Return the file's name, without folders; records and JSON hold text alone, so what is none of it is escaped."""
        return self.path.name.encode("utf-8", "backslashreplace").decode()

    @property
    def stem(self) -> str:
        """Return what the ids begin with that are made from file and row."""
        return f"{self.sha256[:20]}-"

    def events(self) -> Iterator[TimedCall]:
        """
        Yield the calls in time order, always in the same one.

        Raises:
            ChangedFile: the file is no longer what it was when it was surveyed.
        """
        _require_unchanged(self.path, self.state)
        count = 0
        for call in in_time_order(_calls(self.path, self.mapping, self.stem, self.until_ms), self.window):
            count += 1
            yield call
        if count != self.total:
            raise ChangedFile(
                f"{self.name} changed while it was being read: {counted(count, 'row')} now, {self.total:,} before"
            )
        _require_unchanged(self.path, self.state)


def survey(
    path: Path,
    mapping: Mapping,
    source: str,
    now_ms: int,
    *,
    skip_bad_rows: bool = False,
    window: int = SORT_WINDOW,
    told: Callable[[int], None] = lambda _: None,
) -> EventFile:
    """
    Read the whole file once and return what is to be known about it; `told` is called with the rows so far, now and then.

    Raises:
        BadFile: it is empty, rows are malformed or lie in the future (unless they are to be skipped), or are further
            out of time order than `window` rows.
        ChangedFile: it changes meanwhile.
    """
    digest = hashlib.sha256()
    try:
        state = _state(path)
        with unpacked(path) as raw:
            while block := raw.read(1 << 20):
                digest.update(block)
    except (OSError, EOFError, zlib.error) as error:
        raise BadFile(f"{path}: cannot be read: {error}") from error
    digest.update(mapping.fingerprint() + b"\0" + source.encode())
    problems = _Problems()
    kept = _Tally()
    for call in in_time_order(_calls(path, mapping, "", now_ms, problems), window):
        kept.add(call.at_ms)
        if kept.count % TOLD_EVERY == 0:
            told(kept.count)
    if problems.count and (not skip_bad_rows or kept.count == 0):
        what = counted(problems.count, "row is malformed", "rows are malformed")
        if not kept.count:
            what = "its only row is malformed" if problems.count == 1 else f"all {what}"
        leave = ", or leave them out with --skip-bad-rows" if kept.count else ""
        raise BadFile(
            f"{path.name}: {what}, so none of it was taken:\n{problems.told()}\n"
            f"Correct them, or name other columns (see --help){leave}."
        )
    if kept.count == 0:
        raise BadFile(f"{path.name} has no rows")
    _require_unchanged(path, state)
    return EventFile(
        path,
        mapping,
        digest.hexdigest(),
        kept.count,
        problems.count,
        kept.first_ms,
        kept.last_ms,
        window,
        now_ms,
        state,
    )


def _state(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _require_unchanged(path: Path, state: tuple[int, ...]) -> None:
    """Raise ChangedFile if the file system says another thing of the file: rows would be sent under ids of others."""
    if state and state != _state(path):
        raise ChangedFile(
            f"{path.name} was written to since it was checked: leave it as it is, and run the same command again"
        )


def in_time_order(calls: Iterable[tuple[int, TimedCall]], window: int) -> Iterator[TimedCall]:
    """
    Sort calls, each with the line of its row, within a window of rows; equal times keep the order of the file.

    Raises:
        BadFile: a row comes too late for the window; the message names it.
    """
    heap: list[tuple[int, int, TimedCall]] = []
    reached = -1
    for line, call in calls:
        if call.at_ms < reached:
            raise BadFile(
                f"line {line} is more than {window} rows out of time order: sort the file by its time column "
                "first, or give `tidemark backfill` a larger --sort-window (rows held in memory)"
            )
        heapq.heappush(heap, (call.at_ms, line, call))
        if len(heap) > window:
            at_ms, _, earliest = heapq.heappop(heap)
            reached = at_ms
            yield earliest
    while heap:
        yield heapq.heappop(heap)[2]


@dataclass(slots=True)
class _Problems:
    """How many rows are malformed, and what is wrong with the first ones."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        self.count += 1
        if len(self.first) < SHOWN_PROBLEMS:
            self.first.append(problem)

    def told(self) -> str:
        more = [f"and {self.count - len(self.first)} more"] if self.count > len(self.first) else []
        return "\n".join(f"  {line}" for line in (*self.first, *more))


@dataclass(slots=True)
class _Tally:
    count: int = 0
    first_ms: int = 0
    last_ms: int = 0

    def add(self, at_ms: int) -> None:
        self.first_ms = at_ms if self.count == 0 else self.first_ms
        self.last_ms = at_ms
        self.count += 1


def _calls(
    path: Path, mapping: Mapping, stem: str, until_ms: int, problems: _Problems | None = None
) -> Iterator[tuple[int, TimedCall]]:
    table = is_table(path)
    for line, number, row in rows(path, mapping.time):
        try:
            call = row if isinstance(row, str) else mapping.call(row, stem, number, table=table)
        except BadRow as error:
            call = str(error)
        if not isinstance(call, str) and call.at_ms > until_ms:
            call = (
                f"column {mapping.time!r}: {written_time(call.at_ms)} lies in the future: is the unit of the times right "
                "(--time-format)?"
            )
        if not isinstance(call, str):
            yield line, call
        elif problems is not None:
            problems.add(f"line {line}: {call}")
