"""
Clients of ingest that never give up, and note what they saw.

Each has accounts of its own and one ingest to talk to. A batch is sent until it is answered 200, under the same ids;
a part of the batches is sent once more after that, as by a client whose answer got lost.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Self

import httpx
import msgspec

from services.backfill.mapping import TimedCall
from services.backfill.sender import account_of
from services.shared.units import DAY_MS
from services.simulator import calls, live_traffic, roster

REPEATED = 0.25
"""Chance that a request is sent once more after it was answered: a fifth of all are then repeats."""
INVALID_EVERY = 400
_BATCH = 50
_TIMEOUT_S = 10.0
_RETRY_S = (0.1, 0.2, 0.4, 0.8, 1.0)
_FINISH_WITHIN_S = 150.0
SEED = 7


@dataclass
class Sent:
    """What the clients know: every call that they offered, and which of them were acknowledged."""

    calls: dict[str, TimedCall] = field(default_factory=dict)
    """Valid ones by message id."""
    acknowledged: set[str] = field(default_factory=set)
    """Ids of valid calls whose request was answered 200."""
    invalid: set[str] = field(default_factory=set)
    offered: int = 0
    repeated: int = 0


@dataclass
class Seen:
    """What clients saw in some time."""

    statuses: Counter[str] = field(default_factory=Counter)
    """Answers by status; `refused` and `no answer` are connections that failed and requests that timed out."""
    longest_s: float = 0.0
    """Longest that any one client went without a 200 while it had something to send."""


class Client:
    """One client: some accounts, one ingest, one request at a time."""

    def __init__(self, url: str, sent: Sent, dice: Random) -> None:
        """Take the address of ingest, the common note, and what decides which requests are repeated."""
        self.waiting: deque[TimedCall] = deque()
        self.seen = Seen()
        self.last_ok = time.monotonic()
        """When it last got a 200, or last had nothing to send."""
        self._url = url + "/v1/batch"
        self._sent = sent
        self._dice = dice
        self._number = 0
        self._http = httpx.AsyncClient(auth=("live", ""), timeout=_TIMEOUT_S, trust_env=False)

    @property
    def without_ok_s(self) -> float:
        """How long it has been without a 200."""
        return time.monotonic() - self.last_ok

    async def run(self) -> None:
        """Send what waits until cancelled, then close the connection."""
        try:
            while True:
                if not self.waiting:
                    self.last_ok = time.monotonic()
                    await asyncio.sleep(0.02)
                    continue
                await self._batch([self.waiting[n] for n in range(min(_BATCH, len(self.waiting)))])
        finally:
            await self._http.aclose()

    async def _batch(self, batch: list[TimedCall]) -> None:
        body = []
        for at_ms, call in batch:
            self._sent.calls[call["messageId"]] = TimedCall(at_ms, call)
            body.append(call)
            self._number += 1
            if self._number % INVALID_EVERY == 0:
                bad = {**call, "messageId": f"bad-{call['messageId']}", "type": "track", "event": self._number}
                self._sent.invalid.add(bad["messageId"])
                body.append(bad)
        content = msgspec.json.encode({"batch": body})
        await self._until_ok(content, len(batch))
        self._sent.acknowledged.update(call.call["messageId"] for call in batch)
        for _ in batch:
            self.waiting.popleft()
        if self._dice.random() < REPEATED:
            self._sent.repeated += len(batch)
            await self._until_ok(content, len(batch))

    async def _until_ok(self, content: bytes, events: int) -> None:
        tries = 0
        while True:
            self._sent.offered += events
            status, wait_s = await self._post(content)
            self.seen.statuses[status] += 1
            now = time.monotonic()
            self.seen.longest_s = max(self.seen.longest_s, now - self.last_ok)
            if status == "200":
                self.last_ok = now
                return
            await asyncio.sleep(min(2.0, max(wait_s, _RETRY_S[min(tries, len(_RETRY_S) - 1)])))
            tries += 1

    async def _post(self, content: bytes) -> tuple[str, float]:
        try:
            answer = await self._http.post(self._url, content=content)
        except httpx.TimeoutException:
            return "no answer", 0.0
        except httpx.TransportError:
            return "refused", 0.0
        wait = answer.headers.get("Retry-After", "")
        return str(answer.status_code), float(wait) if wait.isdigit() else 0.0


class Load:
    """Some clients under whom the traffic of the simulated product is divided by account."""

    def __init__(self, urls: Sequence[str], sent: Sent, rate: float, clients: int = 6) -> None:
        """Take the addresses of all ingests, the note of what was sent, and events a second."""
        self.sent = sent
        self.clients = [Client(urls[n % len(urls)], sent, Random(f"client-{n}")) for n in range(clients)]
        self._rate = rate
        self._tasks: list[asyncio.Task[None]] = []
        self._traffic: asyncio.Task[None] | None = None
        self._started = False

    async def __aenter__(self) -> Self:
        """Start the clients; they have nothing to send yet."""
        self._tasks = [asyncio.create_task(client.run()) for client in self.clients]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the clients, whatever they still have."""
        tasks = [*self._tasks, *([self._traffic] if self._traffic else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def go(self) -> None:
        """
        Let the traffic flow from now on.

        Raises:
            RuntimeError: it flows already. `pause` ends one flow, and another would go on during the comparison.
        """
        if self._traffic:
            raise RuntimeError("the traffic flows already")
        self._traffic = asyncio.create_task(self._flow())

    async def pause(self) -> bool:
        """End the traffic and wait until every client got its answers; return whether all did."""
        if self._traffic:
            self._traffic.cancel()
            self._traffic = None
        try:
            async with asyncio.timeout(_FINISH_WITHIN_S):
                while any(client.waiting for client in self.clients):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            return False
        return True

    def look(self) -> Seen:
        """Return what the clients saw since the last look."""
        seen = Seen()
        for client in self.clients:
            seen.statuses += client.seen.statuses
            waits = client.without_ok_s if client.waiting else 0.0
            seen.longest_s = max(seen.longest_s, client.seen.longest_s, waits)
            client.seen = Seen()
        return seen

    async def _flow(self) -> None:
        now = time.time_ns() // 1_000_000
        for call in () if self._started else _facts(now):
            self._give(call)
        self._started = True
        for each in live_traffic(SEED, now, self._rate):
            wait_s = each.at_ms / 1000 - time.time()
            if wait_s > 0.02:
                await asyncio.sleep(wait_s)
            self._give(TimedCall(*each))

    def _give(self, call: TimedCall) -> None:
        self.clients[zlib.crc32(account_of(call.call).encode()) % len(self.clients)].waiting.append(call)


def _facts(now: int) -> Iterator[TimedCall]:
    """Yield a call with the facts of each account."""
    for account in roster(SEED):
        call = calls.group(account, now // DAY_MS, 12)
        yield TimedCall(now, calls.stamped(call, f"facts-{now}-{account.account}", now))
