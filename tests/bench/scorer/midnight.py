"""
Measures whether midnight holds anybody up: accepted to health in an ordinary minute and in those of the two sweeps.

    python -m tests.bench.scorer.midnight [--accounts N] [--rate EVENTS_PER_S] [--seconds N]

100,000 accounts with a past. Ingest and scorer live in the past by a shifted clock, so that midnight comes when it is
wanted; the broker's clock is ahead of theirs, which moves nothing. Three spans at the same rate: the last seconds before
midnight, the first after it, while the accounts are closed, and, after a restart with a day that waits for its factor,
those after the factor, while they are evaluated. After midnight every account is new to its day, so each first event
costs an evaluation besides: that is part of what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import uvloop

from schemas import codec
from services.scorer.domain.lane.clock import IDLE
from services.shared.kafka.clients import consumer
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_MS, HOUR_MS
from tests.bench.cluster import Appender, deployment
from tests.bench.ingest import load
from tests.bench.scorer.history import make_lane, names, state_records
from tests.bench.scorer.process import SOURCE, Scorer, scorer
from tests.bench.scorer.recovery import HEALTH, STATE, at_the_start

SHIFTED = Path(__file__).parents[1] / "shifted"
_BATCH, _CONNECTIONS = 20, 16
_BEFORE_S = 90.0
"""Between the start of the processes and midnight, besides the ordinary span."""
_SETTLE_S = 4.0
_READY_WITHIN_S = 90.0

_fleet = codec.encoder("fleet")


class Shift:
    """A clock that is behind, so that a given time of day comes soon."""

    def __init__(self, wanted_ms: int) -> None:
        """Have it be `wanted_ms` now, which lies in the past."""
        self.behind_s = time.time() - wanted_ms / 1000

    def now_ms(self) -> int:
        """Return its time."""
        return int((time.time() - self.behind_s) * 1000)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Shift the processes that are started meanwhile."""
        more = {"PYTHONPATH": str(SHIFTED), "TIDEMARK_BENCH_BEHIND_S": f"{self.behind_s:.3f}"}
        before = {name: os.environ.get(name) for name in more}
        os.environ.update(more)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name)
                else:
                    os.environ[name] = value


async def fill(kafka: KafkaSettings, accounts: int, users: int, now: int) -> None:
    """Write accounts of a past, and a lane clock that stands at `now`."""
    async with Appender(kafka) as log:
        for partition, members in enumerate(names(accounts, kafka.partitions)):
            lane = make_lane(partition, kafka.partitions, members, users, now)
            for key, value in state_records(lane):
                await log.append(STATE, partition, key, value)
            await log.append(STATE, partition, *at_the_start())
            await log.flush()


async def wait_for_a_factor(kafka: KafkaSettings, now: int) -> int:
    """Write lane clocks for which yesterday is closed and waits for its factor; return that day."""
    day = now // DAY_MS - 1
    async with Appender(kafka) as log:
        for partition in range(kafka.partitions):
            lane = make_lane(partition, kafka.partitions, (), 1, now)
            clock = lane.state.clock
            clock.pending, clock.phase = day, IDLE
            lane.state.moved = True
            for key, value in state_records(lane):
                if key == b"l:clock":
                    await log.append(STATE, partition, key, value)
    return day


async def decide(kafka: KafkaSettings, day: int) -> None:
    """Append the factor of a day to every partition."""
    record = {
        "day": day, "segment": "all", "epoch": 0, "factor_ppm": 1_000_000, "accounts": 1000, "weight_cap_milli": 50_000,
        "partitions": kafka.partitions, "reported": kafka.partitions, "connected": [],
    }  # fmt: skip
    async with Appender(kafka) as log:
        for partition in range(kafka.partitions):
            await log.append(SOURCE, partition, None, _fleet(record))


def event_of(accounts: int, span: str) -> Callable[[random.Random, int], dict[str, Any]]:
    """Return a maker of events of accounts with a past; one in twenty opens a ticket, which is urgent."""

    def make(rng: random.Random, number: int) -> dict[str, Any]:
        made = load.event(rng, number)
        made["messageId"] += span  # each span sends the same numbers again
        made["context"]["groupId"] = f"account-{rng.randrange(accounts):06d}"
        if number % 20 == 0:
            made.update(event="Ticket Opened", properties={"ticket_id": f"t{number % 50}"})
        return made

    return make


@asynccontextmanager
async def listening(kafka: KafkaSettings, shift: Shift) -> AsyncIterator[list[tuple[int, float]]]:
    """Note receipt (shifted, ms) and age in seconds of each snapshot that an event caused."""
    waited: list[tuple[int, float]] = []
    there = asyncio.Event()

    async def listen() -> None:
        client = consumer(kafka, HEALTH, group_id=None, auto_offset_reset="latest")
        await client.start()
        try:
            for partition in client.assignment():
                await client.position(partition)
            there.set()
            while True:
                found = await client.getmany(timeout_ms=100)
                now = shift.now_ms()
                for records in found.values():
                    for record in records:
                        if record.value is not None:
                            trigger = codec.decode(record.value)[1]["trigger_received_at"]
                            if trigger:
                                waited.append((trigger, (now - trigger) / 1000))
        finally:
            await client.stop()

    task = asyncio.create_task(listen())
    try:
        async with asyncio.timeout(30):
            await there.wait()
        yield waited
        if task.done():
            task.result()
    finally:
        task.cancel()


@asynccontextmanager
async def watching(process: Scorer) -> AsyncIterator[list[float]]:
    """Note how long the process takes to answer, asked twenty times a second."""
    took = [0.0]

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.to_thread(process.ready)
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(watch())
    try:
        yield took
    finally:
        task.cancel()


def summed_up(what: str, ages: list[float]) -> dict[str, Any]:
    """Return count, median, 99th percentile and maximum."""
    if not ages:
        raise SystemExit(f"no snapshot came: {what}")
    ages.sort()
    return {
        "snapshots": len(ages),
        "p50_s": round(ages[len(ages) // 2], 3),
        "p99_s": round(ages[int(len(ages) * 0.99)], 3),
        "max_s": round(ages[-1], 3),
    }


async def over_midnight(
    kafka: KafkaSettings, process: Scorer, url: str, shift: Shift, accounts: int, rate: int, seconds: float
) -> dict[str, Any]:
    """Send over midnight; return the figures of the span before it and of that after it."""
    midnight = (shift.now_ms() // DAY_MS + 1) * DAY_MS
    made = load.requests(
        _BATCH, "bench", "bench", bodies=int(rate / _BATCH * 2 * seconds) + 50, make=event_of(accounts, "a")
    )
    async with listening(kafka, shift) as waited, watching(process) as took:
        await asyncio.sleep(max(0.0, (midnight - shift.now_ms()) / 1000 - seconds))
        sent = await load.drive(url, made, connections=_CONNECTIONS, seconds=2 * seconds, rate=rate / _BATCH)
        await asyncio.sleep(_SETTLE_S)
    return {
        "statuses": sent.statuses,
        "stall_s": round(max(took), 3),
        "ordinary": summed_up("ordinary", [age for at, age in waited if at < midnight]),
        "closing": summed_up("closing", [age for at, age in waited if at >= midnight]),
    }


async def after_the_factor(
    kafka: KafkaSettings, process: Scorer, url: str, shift: Shift, accounts: int, rate: int, seconds: float, day: int
) -> dict[str, Any]:
    """Send from the moment on at which a day's factor comes."""
    made = load.requests(
        _BATCH, "bench", "bench", bodies=int(rate / _BATCH * seconds) + 50, make=event_of(accounts, "b")
    )
    async with listening(kafka, shift) as waited, watching(process) as took:
        began = shift.now_ms()
        await decide(kafka, day)
        sent = await load.drive(url, made, connections=_CONNECTIONS, seconds=seconds, rate=rate / _BATCH)
        await asyncio.sleep(_SETTLE_S)
    return {
        "statuses": sent.statuses,
        "stall_s": round(max(took), 3),
        "evaluating": summed_up("evaluating", [age for at, age in waited if at >= began]),
    }


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="less than half of what ingest keeps idle connections"
    )
    chosen = parser.parse_args()
    yesterday = int(time.time() * 1000) // DAY_MS * DAY_MS - 1
    load_ = (chosen.accounts, chosen.rate, chosen.seconds)
    with deployment() as kafka, tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        asyncio.run(fill(kafka, chosen.accounts, chosen.users, yesterday - HOUR_MS))
        shift = Shift(yesterday - int((_BEFORE_S + chosen.seconds) * 1000))
        with (
            shift.in_force(),
            scorer(kafka, Path(folder)) as scoring,
            load.worker(kafka, Path(folder)) as (_, url),
        ):
            scoring.wait_ready(_READY_WITHIN_S)
            found = uvloop.run(over_midnight(kafka, scoring, url, shift, *load_))
        now = shift.now_ms() + 1000
        day = asyncio.run(wait_for_a_factor(kafka, now))
        with (
            shift.in_force(),
            scorer(kafka, Path(folder)) as scoring,
            load.worker(kafka, Path(folder)) as (_, url),
        ):
            scoring.wait_ready(_READY_WITHIN_S)
            after = uvloop.run(after_the_factor(kafka, scoring, url, shift, *load_, day))
    after["stall_s"] = max(found["stall_s"], after["stall_s"])
    found |= after
    print(json.dumps({"accounts": chosen.accounts, "rate": chosen.rate, **found}), flush=True)


if __name__ == "__main__":
    main()
