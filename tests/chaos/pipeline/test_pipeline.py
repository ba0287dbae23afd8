"""
Every process is killed under load, and the broker stopped; afterwards each accepted event counts once, everywhere.

What should have happened is worked out from the list of what was sent, without any of the pipeline's own code but
the codec. The signals are compared with those of an undisturbed run of the same log in memory.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Any

import pytest
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from schemas import codec
from services.alerter.core import alerter_lanes
from services.alerter.metrics import AlerterMetrics
from services.alerter.rule_files import load_rules
from services.backfill.mapping import TimedCall
from services.backfill.sender import IngestSender
from services.backfill.service import Options, State, backfill
from services.cli import ledger_reading
from services.scorer.adapters.core import IDS, STATE, ScorerCore
from services.scorer.adapters.lanes import usage_lanes
from services.scorer.adapters.settings import ScorerSettings, load_scoring
from services.scorer.domain.rings import ACTIVE, EVENTS
from services.shared.engine.memory import Cuts, MemoryRunner
from services.shared.engine.memory_log import MemoryLog
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.errors import TidemarkError
from services.shared.kafka.reading import ends, scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import load
from services.simulator import History, live_traffic
from services.warehouse.clickhouse import open_embedded

pytestmark = pytest.mark.chaos

DAY_MS = 86_400_000
SEED = 7
RETRIED = 0.27
INVALID_EVERY = 400
NO_ACTIVITY = {"Ticket Opened", "Ticket Closed", "NPS Submitted"}


@dataclass(frozen=True)
class Form:
    """How large the test is."""

    weeks: int
    every: int
    pace: float
    rounds: int
    """How often each thing is killed."""
    live_s: float
    at_least: int
    """Events that are sent, repeats included."""


SHORT = Form(weeks=12, every=4, pace=1.4, rounds=1, live_s=8, at_least=10_000)
LONG = Form(weeks=35, every=1, pace=3.0, rounds=3, live_s=30, at_least=200_000)


@dataclass
class Sent:
    """What the client knows: every call that it offered, and the verdicts that it got."""

    calls: dict[str, TimedCall] = field(default_factory=dict)
    """Valid ones by message id."""
    invalid: set[str] = field(default_factory=set)
    offered: int = 0
    repeated: int = 0


class Client(IngestSender):
    """Sends a part of its batches twice, as a client does whose answer got lost."""

    def __init__(self, url: str, write_key: str, sent: Sent, dice: Random, **options: Any) -> None:
        super().__init__(url, write_key, **options)
        self._sent = sent
        self._dice = dice

    async def _post(self, calls: list[dict[str, Any]], headers: dict[str, str]) -> None:
        self._sent.offered += len(calls)
        await super()._post(calls, headers)
        if self._dice.random() < RETRIED:
            self._sent.offered += len(calls)
            self._sent.repeated += len(calls)
            await super()._post(calls, headers)


@dataclass(frozen=True)
class Past:
    """The simulated past with an invalid event now and then, and a note of all that it gave out."""

    history: History
    sent: Sent
    name: str = "chaos"
    sha256: str = "c" * 64

    @property
    def first_ms(self) -> int:
        return (self.history.last_day - self.history.weeks * 7 + 1) * DAY_MS

    def events(self) -> Iterator[TimedCall]:
        for number, (at_ms, call) in enumerate(self.history.events()):
            self.sent.calls[call["messageId"]] = TimedCall(at_ms, call)
            yield TimedCall(at_ms, call)
            if number % INVALID_EVERY == 0:
                bad = {**call, "messageId": f"bad-{number}", "type": "track", "event": number}
                self.sent.invalid.add(bad["messageId"])
                yield TimedCall(at_ms, bad)


def expected(sent: Sent) -> dict[str, dict[int, tuple[int, int]]]:
    """Work out events and active people of each account and day from what was sent, by the rules of the documents."""
    events: dict[str, Counter[int]] = defaultdict(Counter)
    people: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for at_ms, call in sent.calls.values():
        if call["type"] in ("track", "page", "screen") and call.get("event") not in NO_ACTIVITY:
            account, day = call["context"]["groupId"], at_ms // DAY_MS
            events[account][day] += 1
            people[account][day].add(call["userId"])
    return {
        account: {day: (count, len(people[account][day])) for day, count in days.items()}
        for account, days in events.items()
    }


class Chaos:
    """Breaks one thing after the other as the traffic goes on."""

    def __init__(self, pipeline: Any, form: Form, rows: int) -> None:
        self.pipeline = pipeline
        self.done: list[str] = []
        self._rows = 0
        self._moved = asyncio.Event()
        dice = Random(SEED)
        blows = ["scorer", "alerter", "warehouse", "ingest", "join", "broker"] * form.rounds
        dice.shuffle(blows)
        moments = sorted(dice.uniform(0.06, 0.94) for _ in blows)
        self._plan = [(int(moment * rows), blow) for moment, blow in zip(moments, blows, strict=True)]

    def report(self, state: State) -> None:
        """Take how far the traffic is."""
        self._rows = state.rows
        self._moved.set()

    async def run(self) -> None:
        """Carry out the plan."""
        for at, blow in self._plan:
            while self._rows < at:
                self._moved.clear()
                await self._moved.wait()
            print(f"  at row {self._rows}: {blow}", flush=True)
            await self._strike(blow)
            self.done.append(blow)

    async def _strike(self, blow: str) -> None:
        if blow == "broker":
            await asyncio.to_thread(self.pipeline.broker.stop)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(self.pipeline.broker.start)
        elif blow == "join":
            self.pipeline.start("scorer-2")
            with suppress(TimeoutError):
                await self.pipeline.ready("scorer-2", within_s=20)
            await self.pipeline.stop("scorer-2")
        else:
            self.pipeline.kill(blow)
            self.pipeline.kill(blow if blow != "scorer" else "scorer-2")


@pytest.mark.timeout(400)
async def test_nothing_is_lost_or_doubled_when_everything_is_killed(pipeline: Any) -> None:
    await drive_and_check(pipeline, SHORT)


@pytest.mark.chaos_long
@pytest.mark.timeout(3600)
async def test_nothing_is_lost_or_doubled_in_the_long_form(pipeline: Any) -> None:
    await drive_and_check(pipeline, LONG)


async def drive_and_check(pipeline: Any, form: Form) -> None:
    """Drive traffic through the pipeline while it is broken, let it settle, and compare everything."""
    began = time.monotonic()
    sent = Sent()
    past = Past(History(SEED, time.time_ns() // 1_000_000, form.weeks, form.every, form.pace), sent)
    rows = sum(1 for _ in past.events())
    chaos = Chaos(pipeline, form, rows)
    breaking = asyncio.create_task(chaos.run())
    await _send_past(pipeline, past, chaos)
    await breaking
    await _send_present(pipeline, form, sent)
    assert sent.offered >= form.at_least
    assert sent.repeated >= sent.offered * 0.19
    print(f"  sent {sent.offered} ({sent.repeated} repeats, {len(sent.invalid)} invalid), {chaos.done}")

    await _settle(pipeline)
    assert all(pipeline.programs[name].ended > form.rounds for name in ("ingest", "scorer", "alerter", "warehouse"))
    ledger = await ledger_reading.read(pipeline.kafka)
    assert ledger.problems == []
    assert (ledger.accepted, ledger.total("applied")) == (len(sent.calls), len(sent.calls))
    assert ledger.total("in_flight") == 0
    assert ledger.total("duplicates") >= sent.repeated * 0.9
    assert ledger.rejected == len(sent.invalid)

    await _check_rejected(pipeline.kafka, sent)
    await _check_state(pipeline.kafka, sent)
    await _check_warehouse(pipeline, sent)
    signals = await _check_replay(pipeline.kafka)
    print(
        f"  ledger closed: {ledger.accepted} accepted = applied, {ledger.total('duplicates')} repeats dropped, "
        f"{ledger.rejected} rejected; {signals} signals equal those of the undisturbed run; "
        f"restarts: { ({name: program.ended for name, program in pipeline.programs.items()}) }; "
        f"{time.monotonic() - began:.0f} s"
    )


async def _send_past(pipeline: Any, past: Past, chaos: Chaos) -> None:
    """Run the backfill until it is through: whatever breaks it, running it again goes on."""
    dice = Random(SEED + 1)
    for attempt in range(20):
        try:
            async with Client(pipeline.ingest, "past", past.sent, dice, batch=100, patience_s=120) as client:
                await client.ready(60)
                await backfill(past, client, pipeline.kafka, Options(report=chaos.report, fleet_within_s=120))
        except (KafkaError, TidemarkError, ExceptionGroup) as error:
            print(f"  the backfill stopped (attempt {attempt + 1}): {type(error).__name__}: {str(error)[:200]}")
            await asyncio.sleep(1)
        else:
            return
    pytest.fail("the backfill did not get through")


async def _send_present(pipeline: Any, form: Form, sent: Sent) -> None:
    """Send live traffic for a while, and kill each service once in it."""
    now = time.time_ns() // 1_000_000
    victims = ["scorer", "ingest", "alerter", "warehouse"]
    active = {call.call["context"]["groupId"] for call in sent.calls.values()}
    async with Client(pipeline.ingest, "live", sent, Random(SEED + 2), historical=False, patience_s=120) as client:
        every = islice(live_traffic(SEED, now, 60.0), int(form.live_s * 60))
        traffic = [TimedCall(*each) for each in every if each.call["context"]["groupId"] in active]
        size = max(1, len(traffic) // 20)
        for number, start in enumerate(range(0, len(traffic), size)):
            part = traffic[start : start + size]
            await asyncio.sleep(max(0.0, part[-1].at_ms / 1000 - time.time()))
            sent.calls.update({call.call["messageId"]: call for call in part})
            if number % 4 == 1 and victims:
                pipeline.kill(victims.pop(0))
            await client.send(part)


async def _two_ticks(kafka: KafkaSettings) -> None:
    """Wait until every partition of usage-events, to which only the ticker writes now, is two records longer."""
    before = await ends(kafka, "usage-events")
    while any(end < before[partition] + 2 for partition, end in (await ends(kafka, "usage-events")).items()):
        await asyncio.sleep(0.2)


async def _settle(pipeline: Any) -> None:
    """Stop new records at their source, then wait until each service has read to the end of what it reads."""
    async with asyncio.timeout(180):
        for name in ("ingest", "scorer", "alerter", "warehouse"):
            await pipeline.ready(name)
        while (await ledger_reading.read(pipeline.kafka)).total("in_flight"):
            await asyncio.sleep(0.5)
        await _two_ticks(pipeline.kafka)  # on them, what the last events touched is evaluated
        await pipeline.stop("ingest")
        await pipeline.stop("scorer")
        last: dict[int, int] = {}
        async for record in scan(pipeline.kafka, "account-health"):
            last[record.partition] = record.offset + 1
        while not await _alerter_at(pipeline.kafka, last):
            await asyncio.sleep(0.5)
        wanted = await _event_records(pipeline.kafka)
        import httpx

        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                totals = (await client.get(pipeline.warehouse + "/v1/totals")).json()["totals"]
                if {each["topic"]: each["rows"] for each in totals}.get("usage-events") == wanted:
                    break
                await asyncio.sleep(0.5)
        await pipeline.stop("alerter")
        await pipeline.stop("warehouse")


async def _alerter_at(kafka: KafkaSettings, wanted: dict[int, int]) -> bool:
    positions: dict[int, int] = {}
    settled = await ends(kafka, "alerter-account-health-state", committed=True)
    async for record in scan(kafka, "alerter-account-health-state", stop=settled):
        if record.key == POSITION_KEY and record.value is not None:
            positions[record.partition] = Position.decode(record.value)[0].offset
    return all(positions.get(partition, 0) >= offset for partition, offset in wanted.items())


async def _event_records(kafka: KafkaSettings) -> int:
    found = codec.SCHEMA_IDS["usage_event"].to_bytes(4, "big")
    return sum([1 async for record in scan(kafka, "usage-events", committed=False) if record.value[1:5] == found])


async def _check_rejected(kafka: KafkaSettings, sent: Sent) -> None:
    """Each invalid event is on usage-rejected, and nothing else is."""
    ids = {codec.decode(record.value)[1]["event_id"] async for record in scan(kafka, "usage-rejected")}
    assert ids == sent.invalid


async def _check_state(kafka: KafkaSettings, sent: Sent) -> None:
    """Each account's state has the events and active people of each day that were sent, day by day."""
    plan, model = load_scoring(load(ScorerSettings))
    spec = usage_lanes(kafka.partitions, plan, model)
    found: dict[str, dict[int, tuple[int, int]]] = {}
    live: dict[int, dict[str, dict[bytes, bytes]]] = defaultdict(lambda: {STATE: {}, IDS: {}})
    for store, topic in spec.stores.items():
        async for record in scan(kafka, topic):
            if record.value is None:
                live[record.partition][store].pop(record.key, None)
            else:
                live[record.partition][store][record.key] = record.value
    for partition, stores in live.items():
        core = spec.core(partition)
        assert isinstance(core, ScorerCore)
        for store, records in stores.items():
            for key in sorted(records):
                if not key.startswith(b"\0"):
                    core.restore(store, key, records[key])
        list(core.opened())
        today = core.state.clock.today
        for name, account in core.state.accounts.items():
            days = {
                day: (account.rings.get(EVENTS, day), account.rings.get(ACTIVE, day))
                for day in range(today - 250, today)
            }
            days[today] = (account.events_today, account.people.today.bit_count())
            found[name] = {day: counts for day, counts in days.items() if counts != (0, 0)}
    wanted = expected(sent)
    wrong = {
        (account, day): (found.get(account, {}).get(day), wanted.get(account, {}).get(day))
        for account in wanted.keys() | found.keys()
        for day in wanted.get(account, {}).keys() | found.get(account, {}).keys()
        if found.get(account, {}).get(day) != wanted.get(account, {}).get(day)
    }
    assert wrong == {}


async def _check_warehouse(pipeline: Any, sent: Sent) -> None:
    """Each accepted id is stored once."""
    store = await asyncio.to_thread(open_embedded, pipeline.folder / "warehouse" / "clickhouse", "tidemark")
    try:
        query = "SELECT event_id, count() AS stored FROM events_unique WHERE topic = 'usage-events' GROUP BY event_id"
        stored = {each["event_id"]: each["stored"] for each in store._found(query)}
    finally:
        store.close()
    assert set(stored.values()) == {1}
    assert stored.keys() == sent.calls.keys()


async def _check_replay(kafka: KafkaSettings) -> int:
    """Health and signals are, byte for byte, those of one quiet run over the same log; return how many signals."""
    log = MemoryLog(kafka.partitions)
    records: dict[int, list[Any]] = defaultdict(list)
    async for record in scan(kafka, "usage-events", committed=False):
        records[record.partition].append(record)
    for partition, those in sorted(records.items()):
        for record in those:
            log.append("usage-events", record.key, record.value, partition)
    plan, model = load_scoring(load(ScorerSettings))
    lanes = [
        usage_lanes(kafka.partitions, plan, model),
        alerter_lanes(load_rules(), AlerterMetrics(CollectorRegistry())),
    ]
    await asyncio.to_thread(MemoryRunner(log, lanes, Cuts(chunk=(997, 61), transaction=3)).run)
    signals = 0
    for topic in ("account-health", "risk-signals", "expansion-signals"):
        real: dict[bytes | None, list[bytes | None]] = defaultdict(list)
        async for record in scan(kafka, topic):
            real[record.key].append(record.value)
        for key in real.keys() | {record.key for record in log.records(topic)}:
            assert real[key] == log.values(topic, key), f"{topic} of {key!r} differs from the undisturbed run"
        signals += sum(map(len, real.values())) if topic != "account-health" else 0
    assert signals > 0
    return signals
