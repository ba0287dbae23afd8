"""What a lane needs of the worker that it belongs to, and of the transactions that make it durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from services.shared.engine.fold.start import Bounds
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.kafka.changelog import Loaded
from services.shared.engine.processor import Append, SourceRecord
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec


class Writer(Protocol):
    """Makes transactions durable; see transaction.py."""

    async def start(self) -> None:
        """Fence the former owner."""

    async def write(self, transaction: Transaction) -> None:
        """Commit a transaction."""

    async def still_owns(self, transaction: Transaction) -> bool:
        """Return whether no other owner has fenced this one; the transaction is empty, at the last position committed."""

    async def close(self) -> None:
        """Give back what it holds."""


class LaneHost(Protocol):
    """What a lane needs of the worker that it belongs to."""

    settings: EngineSettings
    limits: dict[str, int]
    openings: asyncio.Semaphore

    def writer(self, spec: LaneSpec, partition: int) -> Writer:
        """Make the writer of a lane."""

    async def load(self, spec: LaneSpec, partition: int) -> Loaded:
        """Read the changelogs of a lane."""

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """Say what exists of the source."""

    async def look_ahead(
        self, topic: str, partition: int, start: int, wanted: Callable[[SourceRecord], bool]
    ) -> tuple[SourceRecord | None, int]:
        """Find a record further down the log; return it, and where to look next."""

    async def append(self, appends: Iterable[Append]) -> None:
        """Write appends and return when all are acknowledged."""

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read the source from an offset on."""

    def hold_fetch(self, topic: str, partition: int, hold: bool) -> None:
        """Stop or go on fetching a partition."""

    def fail(self, error: BaseException) -> None:
        """End the process."""
