"""
What became of every event: in the log, in the state of the accounts, in the warehouse, and in a replay.

What should be is worked out from the list of what was sent, without any of the pipeline's own code but the codec.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import httpx

from schemas import codec
from services.backfill.mapping import TimedCall
from services.cli import ledger_audit
from services.scorer.domain.accounts.daily_counts import ACTIVE, EVENTS
from services.scorer.lanes import usage_lanes
from services.scorer.settings import ScorerSettings, load_scoring
from services.scorer.usage_processor import IDS, STATE, UsageProcessor
from services.shared.kafka.clients import admin
from services.shared.kafka.reading import decoded, ends, scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import load
from services.shared.units import DAY_MS, HOUR_MS
from tests.chaos import replay
from tests.chaos.clients import Sent
from tests.chaos.deployment import Deployment
from tests.support.waiting import until

NO_ACTIVITY = {"Ticket Opened", "Ticket Closed", "NPS Submitted"}
AHEAD_MS = 60_000
"""By how much a lane's time may be ahead of this machine's before it is called wrong."""
_READ_WITHIN_S = 90.0
_STORED_WITHIN_S = 60.0

Days = dict[str, dict[int, tuple[int, int]]]
"""Events and actors by account and day."""


@dataclass
class Findings:
    """What a comparison of everything found. All counts are of events."""

    events: int = 0
    """Different ids that were acknowledged."""
    lost: Counter[str] = field(default_factory=Counter)
    """Acknowledged and missing, by where: log, state, warehouse."""
    doubled: Counter[str] = field(default_factory=Counter)
    """Counted or stored more than once, by where."""
    differs: list[str] = field(default_factory=list)
    """Topics and keys whose values are not those of a replay."""
    signals: int = 0
    problems: list[str] = field(default_factory=list)
    """Whatever else is not as it should be, one sentence each."""

    @property
    def clean(self) -> bool:
        """Whether everything is as it should be."""
        return not (self.lost or self.doubled or self.differs or self.problems)


def expected(calls: Iterable[TimedCall]) -> Days:
    """Work out events and actors (people and agents) of each account and day from calls, by the rules of the documents."""
    events: dict[str, Counter[int]] = defaultdict(Counter)
    actors: dict[str, dict[int, set[tuple[str, str]]]] = defaultdict(lambda: defaultdict(set))
    for at_ms, call in calls:
        of_somebody = "userId" in call  # what is recorded of an account has no user, and is no use of the product
        if of_somebody and call["type"] in ("track", "page", "screen") and call.get("event") not in NO_ACTIVITY:
            account, day = call["context"]["groupId"], at_ms // DAY_MS
            events[account][day] += 1
            actors[account][day].add((call["userId"], call["context"].get("actor", "person")))
    return {
        account: {day: (count, len(actors[account][day])) for day, count in days.items()}
        for account, days in events.items()
    }


async def check(deployment: Deployment, sent: Sent) -> Findings:
    """
    Wait, within bounds, until everything that was sent is read; then compare. No client may be sending.

    Raises:
        RuntimeError: events came in meanwhile. Then what looks lost or doubled may only be later than what it is compared with.
    """
    kafka = deployment.kafka
    found = Findings(events=len(sent.acknowledged))
    if not await _all_folded(kafka):
        found.problems.append(f"the scorer has not read all events within {_READ_WITHIN_S:.0f} s")
    found.differs, found.signals = await replay.differences(kafka)
    logged = await _logged(kafka)
    found.lost["log"] = len(sent.acknowledged - logged.keys())
    counted = sent.acknowledged | (logged.keys() & sent.calls.keys())
    await _check_ledger(kafka, sent, len(counted), found)
    await _check_state(kafka, expected(sent.calls[each] for each in counted), found)
    await _check_warehouse(deployment, sent, sum(logged.values()), found)
    came = (await _logged(kafka)).total() - logged.total()
    if came:
        raise RuntimeError(f"{came} events came in while all was compared: end every client first")
    found.lost, found.doubled = +found.lost, +found.doubled
    return found


async def _all_folded(kafka: KafkaSettings) -> bool:
    wanted = await ends(kafka, "usage-events")
    async with admin(kafka) as client:

        async def there() -> bool:
            committed = await client.list_consumer_group_offsets(kafka.scoped("scorer"))
            at = {tp.partition: each.offset for tp, each in committed.items() if tp.topic.endswith("usage-events")}
            return all(at.get(partition, 0) >= end for partition, end in wanted.items())

        try:
            await until(there, _READ_WITHIN_S)
        except TimeoutError:
            return False
        return True


async def _logged(kafka: KafkaSettings) -> Counter[str]:
    """Return how often each event id is on usage-events, repeats included."""
    ids: Counter[str] = Counter()
    async for record in scan(kafka, "usage-events"):
        kind, value = decoded(record.value)
        if kind == "usage_event":
            ids[value["event_id"]] += 1
    return ids


async def _check_ledger(kafka: KafkaSettings, sent: Sent, counted: int, found: Findings) -> None:
    """Everything adds up, each invalid event is on usage-rejected, and nothing else is."""
    ledger = await ledger_audit.read(kafka)
    found.problems += [f"the ledger does not close: {problem}" for problem in ledger.problems]
    if ledger.accepted != counted:
        found.problems.append(f"the ledger has {ledger.accepted} accepted events, {counted} were sent")
    if ledger.total("applied") != counted:
        found.problems.append(f"the scorer applied {ledger.total('applied')} of {counted} events")
    letters = Counter({"ingest": 0})
    ids = set()
    async for record in scan(kafka, "usage-rejected"):
        _, letter = codec.decode(record.value)
        if letter["by"] == "ingest":
            ids.add(letter["event_id"])
        else:
            letters[f"{letter['by']}: {letter['reason']}"] += 1
    if ids != sent.invalid:
        found.problems.append(f"{len(sent.invalid ^ ids)} invalid events are not where they should be")
    found.problems += [f"{count} dead letters of the {reason}" for reason, count in sorted((+letters).items())]


async def _check_state(kafka: KafkaSettings, wanted: Days, found: Findings) -> None:
    """Each account's state has the events and actors of each day that were sent, day by day."""
    state, log_times = await _state(kafka)
    for account in wanted.keys() | state.keys():
        ours, theirs = wanted.get(account, {}), state.get(account, {})
        for day in ours.keys() | theirs.keys():
            difference = theirs.get(day, (0, 0))[0] - ours.get(day, (0, 0))[0]
            found.lost["state"] += max(0, -difference)
            found.doubled["state"] += max(0, difference)
            if not difference and theirs.get(day) != ours.get(day):
                found.problems.append(f"actors of {account} on day {day}: {theirs.get(day)}, not {ours.get(day)}")
    now = time.time_ns() // 1_000_000
    found.problems += [
        f"the time of lane {partition} is {(at - now) / HOUR_MS:.1f} h ahead"
        for partition, at in sorted(log_times.items())
        if at > now + AHEAD_MS
    ]


async def _state(kafka: KafkaSettings) -> tuple[Days, dict[int, int]]:
    """Return what the changelogs say of each account, and the log time of each lane."""
    plan, model = load_scoring(load(ScorerSettings))
    spec = usage_lanes(kafka.partitions, plan, model)
    live: Mapping[int, dict[str, dict[bytes, bytes]]] = defaultdict(lambda: {STATE: {}, IDS: {}})
    for store, topic in spec.stores.items():
        settled = await ends(kafka, topic, committed=True)
        async for record in scan(kafka, topic, stop=settled):
            if record.value is None:
                live[record.partition][store].pop(record.key, None)
            else:
                live[record.partition][store][record.key] = record.value
    found: Days = {}
    log_times = {}
    for partition, stores in live.items():
        processor = spec.processor(partition)
        assert isinstance(processor, UsageProcessor)
        for store, records in stores.items():
            for key in sorted(records):
                if not key.startswith(b"\0"):
                    processor.restore(store, key, records[key])
        list(processor.opened())
        log_times[partition] = processor.log_time
        today = processor.state.clock.today
        for name, account in processor.state.accounts.items():
            days = {
                day: (account.daily_counts.get(EVENTS, day), account.daily_counts.get(ACTIVE, day))
                for day in range(today - 250, today)
            }
            days[account.open_day] = (account.events_today, account.active_users.today.bit_count())
            found[name] = {day: counts for day, counts in days.items() if counts != (0, 0)}
    return found, log_times


async def _check_warehouse(deployment: Deployment, sent: Sent, records: int, found: Findings) -> None:
    """Each acknowledged id is stored, and once. The warehouse is down for as long as its files are looked at."""
    warehouse = deployment.programs["warehouse"]
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:

        async def all_stored() -> bool:
            return await _stored_events(client, warehouse.url) == records

        try:
            await until(all_stored, _STORED_WITHIN_S)
        except TimeoutError:
            found.problems.append(f"the warehouse has not stored all events within {_STORED_WITHIN_S:.0f} s")
    await deployment.stop("warehouse")
    try:
        looking = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.chaos.stored", warehouse.environment["TIDEMARK_DATA_DIR"],
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            printed, _ = await asyncio.wait_for(looking.communicate(), 60)
        except TimeoutError:
            looking.kill()
            raise
        stored: dict[str, int] = json.loads(printed)
    finally:
        deployment.start("warehouse")
    found.lost["warehouse"] = len(sent.acknowledged - stored.keys())
    found.doubled["warehouse"] = sum(count - 1 for count in stored.values())
    unknown = stored.keys() - sent.calls.keys()
    if unknown:
        found.problems.append(f"the warehouse has {len(unknown)} events that nobody sent")


async def _stored_events(client: httpx.AsyncClient, warehouse: str) -> int:
    try:
        totals = (await client.get(warehouse + "/v1/totals")).json().get("totals", [])
    except (httpx.HTTPError, ValueError):
        return -1
    return int({each["topic"]: each["rows"] for each in totals}.get("usage-events", 0))
