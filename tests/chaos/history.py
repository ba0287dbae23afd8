"""
A past of some weeks that is sent by a backfill while things are broken, at rows that are drawn before.

The backfill may fail; running it again has to go on where it stood.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
from aiokafka.errors import KafkaError

from services.backfill.log import NoFleet
from services.backfill.mapping import TimedCall
from services.backfill.sender import IngestSender
from services.backfill.service import BackfillState, Options, backfill
from services.scorer.lane_facts import read_lanes, read_positions
from services.shared.errors import TidemarkError
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_MS
from services.simulator import History
from tests.chaos.clients import INVALID_EVERY, REPEATED, SEED, Seen, Sent

_ATTEMPTS = 20
_STANDSTILLS = 2
"""So often a day may wait in vain for its fleet record: whoever waits longer never sees why."""

Strike = Callable[[str], Awaitable[None]]
"""Deals one blow, by its name."""


class Client(IngestSender):
    """Sends a part of its batches twice, as a client does whose answer got lost, and counts the answers."""

    def __init__(self, url: str, sent: Sent, seen: Seen, dice: Random, **options: Any) -> None:
        """Take the address of ingest, the notes to write, and what decides which batches are repeated."""
        super().__init__(url, "past", **options)
        self._sent = sent
        self._dice = dice

        async def answered(answer: httpx.Response) -> None:
            seen.statuses[str(answer.status_code)] += 1

        self._http.event_hooks["response"].append(answered)

    async def _post(self, calls: list[dict[str, Any]], texts: list[bytes], headers: dict[str, str]) -> None:
        self._sent.offered += len(calls)
        await super()._post(calls, texts, headers)
        if self._dice.random() < REPEATED:
            self._sent.offered += len(calls)
            self._sent.repeated += len(calls)
            await super()._post(calls, texts, headers)


@dataclass(frozen=True)
class Past:
    """The simulated past with an invalid event now and then, and a note of all that it gave out."""

    history: History
    sent: Sent
    name: str = "chaos"
    sha256: str = "c" * 64
    stem: str = "sim-"

    @property
    def first_ms(self) -> int:
        """When it begins."""
        return (self.history.last_day - self.history.weeks * 7 + 1) * DAY_MS

    def events(self) -> Iterator[TimedCall]:
        """Yield its calls, the same each time."""
        for number, (at_ms, call) in enumerate(self.history.events()):
            self.sent.calls[call["messageId"]] = TimedCall(at_ms, call)
            yield TimedCall(at_ms, call)
            if number % INVALID_EVERY == 0:
                bad = {**call, "messageId": f"bad-{number}", "type": "track", "event": number}
                self.sent.invalid.add(bad["messageId"])
                yield TimedCall(at_ms, bad)


@dataclass
class Blows:
    """Blows that fall when the backfill is at certain rows."""

    strike: Strike
    done: list[str] = field(default_factory=list)
    _plan: list[tuple[int, str]] = field(default_factory=list)
    _rows: int = 0
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def plan(self, blows: Sequence[str], rows: int) -> None:
        """Spread blows over so many rows."""
        dice = Random(SEED)
        drawn = list(blows)
        dice.shuffle(drawn)
        moments = sorted(dice.uniform(0.06, 0.94) for _ in drawn)
        self._plan = [(int(moment * rows), blow) for moment, blow in zip(moments, drawn, strict=True)]

    def report(self, state: BackfillState) -> None:
        """Take how far the backfill is."""
        self._rows = state.rows
        self._moved.set()

    async def run(self) -> None:
        """Deal them."""
        for at, blow in self._plan:
            while self._rows < at:
                self._moved.clear()
                await self._moved.wait()
            await self.strike(blow)
            self.done.append(blow)


async def send_past(url: str, kafka: KafkaSettings, past: Past, seen: Seen, blows: Blows) -> Counter[str]:
    """
    Run the backfill until it is through; return the errors with which it stopped on the way.

    Raises:
        RuntimeError: it did not get through.
    """
    dice = Random(SEED + 1)
    stopped: Counter[str] = Counter()
    last = ""
    for _ in range(_ATTEMPTS):
        try:
            async with Client(url, past.sent, seen, dice, batch=100, patience_s=120) as client:
                await client.ready(60)
                await backfill(
                    past, client, kafka, Options(read_lanes, read_positions, report=blows.report, fleet_within_s=120)
                )
        except (KafkaError, TidemarkError, ExceptionGroup) as error:
            stopped[type(error).__name__] += 1
            last = str(error)
            if stopped[NoFleet.__name__] >= _STANDSTILLS:
                break
            await asyncio.sleep(1)  # nothing to wait for: whatever stopped it is tried again, _ATTEMPTS times at most
        else:
            past.sent.acknowledged.update(past.sent.calls)
            return stopped
    raise RuntimeError(f"the backfill did not get through: {dict(stopped)}; the last: {last}")
