"""
Erasing a person or an account: what is written to the log for it, in which order, and what the log keeps for how long.

First attribution forgets the person. Once it has, and so has forwarded what it had of them, a random pseudonym takes the place
of theirs in the state of each account, so that no number of people falls. Once the scorer has read that, and the alerter what
the scorer wrote before, the order for the warehouse follows, which covers what was appended before it. All of it is in the log:
it is carried out whenever the processes run, and by a replay too.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from schemas import codec
from schemas.topics import (
    ACCOUNT_HEALTH,
    ACCOUNT_HEALTH_LATEST,
    ALERTER_ACCOUNT_HEALTH_STATE,
    DEAD_LETTERS,
    EXPANSION_SIGNALS,
    OPEN_SIGNALS,
    RISK_SIGNALS,
    SCORER_USAGE_EVENTS_STATE,
    SCORER_USAGE_UNATTRIBUTED_STATE,
    TOPICS,
    USAGE_DETAILS,
    USAGE_EVENTS,
    USAGE_REJECTED,
    USAGE_UNATTRIBUTED,
)
from services.cli.quarantine import Quarantined, quarantined, user_here
from services.scorer.attribution_facts import read_positions
from services.scorer.lane_facts import LaneFacts, read_lanes
from services.shared.attribution_wait import AttributionWait, NotAttributed
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.errors import Retryable
from services.shared.kafka.clients import producer
from services.shared.kafka.reading import decoded, ends, last_records, scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.pseudonyms import PREFIX
from services.shared.units import DAY_MS

_SEGMENT_MS = 7 * DAY_MS
"""After which Kafka begins a new segment, if the topic does not say otherwise."""
_OPEN_MS = 180 * DAY_MS
"""For how long a signal may be open, if its rule does not say otherwise; while it is, its text names who caused it."""
_HOLDS_PERSON = {
    USAGE_DETAILS: "the ids as they were sent, properties, context",
    USAGE_REJECTED: "what was refused, as it was sent",
    USAGE_EVENTS: "the pseudonym",
    USAGE_UNATTRIBUTED: "the pseudonym",
    DEAD_LETTERS: "the pseudonym",
    ACCOUNT_HEALTH: "the pseudonym of who gave the lowest answer",
    ACCOUNT_HEALTH_LATEST: "the pseudonym of who gave the lowest answer",
    RISK_SIGNALS: "the pseudonym of who gave the lowest answer",
    OPEN_SIGNALS: "the pseudonym of who gave the lowest answer, while the signal is open",
    SCORER_USAGE_EVENTS_STATE: "a hash of the pseudonym",
    SCORER_USAGE_UNATTRIBUTED_STATE: "the pseudonym",
    ALERTER_ACCOUNT_HEALTH_STATE: "the pseudonym of who gave the lowest answer",
}
_HOLDS_ACCOUNT = {
    **dict.fromkeys(_HOLDS_PERSON, "records of the account"),
    EXPANSION_SIGNALS: "records of the account",
    USAGE_REJECTED: "what was refused, as it was sent",
}
_link, _command, _order = (codec.encoder(name) for name in ("user_link", "command", "erasure"))
_AT_ONCE = 1_000


class Kept(NamedTuple):
    """What a topic still holds, and until when at most."""

    topic: str
    what: str
    until: str
    """ISO date."""


def kept(*, person: bool, now_ms: int) -> list[Kept]:
    """Return the topics that hold something of a person or an account, which retention or compaction removes."""
    holds = _HOLDS_PERSON if person else _HOLDS_ACCOUNT
    found = [Kept(topic, what, _date(now_ms + _lasts_ms(topic))) for topic, what in holds.items()]
    return sorted(found, key=lambda each: (each.until, each.topic))


def _lasts_ms(topic: str) -> int:
    """Return for how long a topic may hold a record that was appended now, or that a newer one of its key replaces now."""
    record = TOPICS[topic]
    if record.cleanup == "compact":
        lasts = int(record.config["max.compaction.lag.ms"]) + DAY_MS
        return lasts + _OPEN_MS if topic == OPEN_SIGNALS else lasts
    return record.retention_ms + int(record.config.get("segment.ms", _SEGMENT_MS))


def _date(at_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).date().isoformat()


async def order_person(
    kafka: KafkaSettings, pseudonyms: Sequence[str], accounts: Sequence[str], within_s: float
) -> None:
    """
    Order that a person is erased, who has these pseudonyms and is in these accounts.

    Raises:
        Retryable: a drive is going on, or an account is quarantined, so nothing was ordered; or the scorer or the alerter
            has not done its part in time, so the warehouse was not told yet.
    """
    check(await read_lanes(kafka), await quarantined(kafka), accounts)
    now_ms = time.time_ns() // 1_000_000
    instead = {each: PREFIX + urlsafe_b64encode(secrets.token_bytes(15)).decode() for each in pseudonyms}
    forget = [(USAGE_UNATTRIBUTED, each, _link(_said("FORGOTTEN", each, now_ms))) for each in pseudonyms]
    rename = [
        (USAGE_EVENTS, account, _link({**_said("SAME", each, now_ms), "account": account, "known_as": instead[each]}))
        for account in accounts
        for each in pseudonyms
    ]
    orders = [
        (USAGE_DETAILS, each, _order({"user": each, "stands_for": instead[each], "at": now_ms, "by": user_here()}))
        for each in pseudonyms
    ]
    async with producer(kafka, linger_ms=5) as out:
        await _send(kafka, out, forget)
        await _await_attribution(kafka, within_s)
        await _send(kafka, out, rename)
        await _await_lanes(kafka, within_s)
        await _await_alerter(kafka, within_s)
        await _send(kafka, out, orders)


async def order_account(kafka: KafkaSettings, account: str, only_there: Sequence[str], within_s: float) -> None:
    """
    Order that an account is erased, with what attribution knows of people who are in no other.

    Raises:
        Retryable: a drive is going on, so nothing was ordered; or the scorer or the alerter has not done its part in time,
            so the warehouse was not told yet.
    """
    check(await read_lanes(kafka), [], [])
    now_ms = time.time_ns() // 1_000_000
    command = {"command": "FORGET", "account": account, "at": now_ms, "by": user_here()}
    forget = [(USAGE_UNATTRIBUTED, each, _link(_said("FORGOTTEN", each, now_ms))) for each in only_there]
    async with producer(kafka, linger_ms=5) as out:
        await _send(kafka, out, forget)
        await _await_attribution(kafka, within_s)
        await _send(kafka, out, [(USAGE_EVENTS, account, _command(command))])
        await _await_lanes(kafka, within_s)
        await _await_alerter(kafka, within_s)
        await _until(
            lambda: _nothing_open(kafka, account), within_s, "the alerter has not closed the account's signals"
        )
        await _send(
            kafka, out, [(USAGE_DETAILS, account, _order({"account": account, "at": now_ms, "by": user_here()}))]
        )


def check(lanes: Mapping[int, LaneFacts], apart: Sequence[Quarantined], accounts: Sequence[str]) -> None:
    """
    Refuse an erasure that lanes would not carry out.

    A lane that is driven puts live records off: they would bring back who was erased. An account that cannot be closed takes
    no other pseudonym.

    Raises:
        Retryable: a drive is going on, or one of these accounts is quarantined.
    """
    driven = sorted(number for number, facts in lanes.items() if facts.driven)
    if driven:
        raise Retryable(
            f"a drive is going on in the lanes {driven}, so nothing was ordered. Wait for the end of `tidemark backfill`"
            " (`tidemark doctor` shows it), and run the same command again"
        )
    if names := sorted({each.account for each in apart} & set(accounts)):
        raise Retryable(
            f"quarantined: {', '.join(names)}, so nothing was ordered. See why (`tidemark accounts quarantined`), release"
            " these accounts (`tidemark accounts release`), and run the same command again"
        )


def _said(kind: str, user: str, now_ms: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "user": user,
        "identified": True,
        "authority": "OPERATOR",
        "via": "UNKNOWN",
        "source": "operator",
        "environment": "production",
        "occurred_at": now_ms,
        "received_at": now_ms,
    }


async def _send(kafka: KafkaSettings, out: AIOKafkaProducer, records: Sequence[tuple[str, str, bytes]]) -> None:
    for start in range(0, len(records), _AT_ONCE):
        sent = [
            await out.send(kafka.scoped(topic), value, key=key.encode())
            for topic, key, value in records[start : start + _AT_ONCE]
        ]
        for each in sent:
            await each


async def _await_attribution(kafka: KafkaSettings, within_s: float) -> None:
    """Return once attribution has forgotten who it is to forget, and has forwarded what it had of them before."""
    try:
        await AttributionWait(kafka, partial(ends, kafka, USAGE_UNATTRIBUTED), read_positions, within_s).settle()
    except NotAttributed as error:
        raise _late("attribution has not read whom it is to forget", within_s) from error


async def _await_lanes(kafka: KafkaSettings, within_s: float) -> None:
    """Return once the scorer's lanes have read what is on usage-events now."""
    until = await ends(kafka, USAGE_EVENTS)

    async def has_read() -> bool:
        lanes = await read_lanes(kafka)
        return all(partition in lanes and lanes[partition].position >= end for partition, end in until.items() if end)

    await _until(has_read, within_s, "the scorer has not read what it is to forget")


async def _await_alerter(kafka: KafkaSettings, within_s: float) -> None:
    """Return once the alerter has read what is on account-health now: it makes signals of it, which name people."""
    until = await ends(kafka, ACCOUNT_HEALTH)

    async def has_read() -> bool:
        found = await last_records(kafka, ALERTER_ACCOUNT_HEALTH_STATE, (POSITION_KEY,))
        read = {partition: Position.decode(each[POSITION_KEY])[0].offset for partition, each in found.items() if each}
        return all(read.get(partition, 0) >= end for partition, end in until.items())

    await _until(has_read, within_s, "the alerter has not read the health from before the erasure")


async def _nothing_open(kafka: KafkaSettings, account: str) -> bool:
    """Return whether the account has neither health nor open signals any more."""
    health, open_signals = b"", set()
    async for record in scan(kafka, ACCOUNT_HEALTH_LATEST):
        if record.key == account.encode():
            health = record.value
    async for record in scan(kafka, OPEN_SIGNALS):
        if record.value is None:
            open_signals.discard(record.key)
        elif decoded(record.value)[1].get("account") == account:
            open_signals.add(record.key)
    return not health and not open_signals


async def _until(done: Callable[[], Awaitable[bool]], within_s: float, otherwise: str) -> None:
    deadline = time.monotonic() + within_s
    while not await done():
        if time.monotonic() >= deadline:
            raise _late(otherwise, within_s)
        await asyncio.sleep(0.2)


def _late(what: str, within_s: float) -> Retryable:
    return Retryable(
        f"{what} in {within_s:.0f} s, so the warehouse was not told yet. Is it running and ready (`tidemark doctor`)? Run the same"
        " command again: it goes on from here"
    )
