"""Reads what an explanation needs off Kafka: the account's partition up to a day, and what was published of that day."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from difflib import get_close_matches
from typing import Any, NamedTuple

from schemas.topics import ACCOUNT_HEALTH, ACCOUNT_HEALTH_LATEST, USAGE_EVENTS
from services.alerter.domain.rules import RuleSet
from services.cli.explaining.replay import (
    AccountReplay,
    Judgement,
    Life,
    closes,
    day_of,
    known_at_close,
    of_usage_events,
)
from services.cli.held import iso
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.health.model import Model
from services.shared.counts import counted
from services.shared.errors import Fatal
from services.shared.kafka.partition import partition_for
from services.shared.kafka.reading import at_time, beginnings, decoded, ends, scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.units import DAY_MS

PUBLISHED_WITHIN_MS = 36 * 3_600_000
"""After the end of a day its snapshots are appended, unless a backfill drove the clock."""


class Explained(NamedTuple):
    """What was known of an account at the close of a day, days since 1970 UTC."""

    account: str
    day: int
    partition: int
    judgement: Judgement
    life: Life
    state: Account | None
    log_time: int
    log_begins: int
    """Offset with which the partition begins; above 0 its oldest records are gone."""
    published: dict[str, Any] | None
    """The judgement as it was published; None: it is not on account-health, or not where it was looked for."""
    asked: int | None = None
    """The day that was asked for; None: the latest. An account that is silent for long is not judged every day."""

    @property
    def instead(self) -> str:
        """Why another day than the one asked for is explained; empty: it is that day."""
        if self.asked is None or self.asked == self.day:
            return ""
        if self.asked >= day_of(self.log_time):
            return f"{iso(self.asked)} is not over yet: this is the judgement before its close"
        latest = f"it was not judged at the close of {iso(self.asked)}: this is the judgement before"
        if day_of(self.life.forgotten) > self.day and day_of(self.life.forgotten) <= self.asked + 1:
            return f"{latest}, and the scorer forgot the account on {iso(day_of(self.life.forgotten))}"
        return latest


async def explain(
    kafka: KafkaSettings, account: str, day: int | None, plan: TrackingPlan, model: Model, rules: RuleSet
) -> Explained:
    """
    Recompute an account up to the close of a day; None: up to the end of the log, or to where it cannot be read.

    Raises:
        Fatal: the log has no such account, or does not reach to that day; says what there is.
    """
    limits = await ends(kafka, USAGE_EVENTS)
    partition = partition_for(account.encode(), len(limits))
    begins = (await beginnings(kafka, USAGE_EVENTS))[partition]
    replay = AccountReplay(account, plan, model, rules)
    only = {other: end for other, end in limits.items() if other != partition}
    async with aclosing(scan(kafka, USAGE_EVENTS, only, limits)) as records:
        async for record in records:
            if not replay.wants(record.key):
                continue
            replay.take(of_usage_events(partition, record.offset, record.key, record.value, record.timestamp))
            if replay.life.unread or (day is not None and _past(replay, day)):
                break
    life = replay.life
    if not life.records:
        raise Fatal(await _unknown(kafka, account, partition, life, replay.log_time) + _unread(life))
    _check_day(day, partition, life, replay.log_time)
    known = [each for each in life.judgements if day is None or known_at_close(each, day)]
    if not known:
        first = (
            f"it was first judged on {iso(day_of(life.judgements[0].snapshot['at']))}"
            if life.judgements
            else "it was never judged"
        )
        when = "nothing is known" if day is None else f"nothing was known at the close of {iso(day)}"
        raise Fatal(f"{account}: {when}: {first}{_unread(life)}")
    judgement = known[-1]
    explained = int(judgement.snapshot["day"])
    return Explained(
        account=account,
        day=explained,
        partition=partition,
        judgement=judgement,
        life=life,
        state=replay.state,
        log_time=replay.log_time,
        log_begins=begins,
        published=await _published(kafka, account, partition, judgement.snapshot),
        asked=day,
    )


def _past(replay: AccountReplay, day: int) -> bool:
    """Return whether the close of a day has been judged, or cannot come any more."""
    judged = replay.life.judgements
    # Until the account is judged, a drive into the past may still begin; before the first day, say how far the log reaches.
    if not judged or day < day_of(replay.life.first_time):
        return False
    if closes(judged[-1], day) or day_of(replay.log_time) > day + 1:
        return True
    # an account that rests is not judged at this close, and what it says later on the day is no part of the explanation
    return day_of(replay.log_time) == day + 1 and replay.is_idle


def _check_day(day: int | None, partition: int, life: Life, log_time: int) -> None:
    first, last = day_of(life.first_time), day_of(log_time)
    if day is not None and not first <= day <= last:
        raise Fatal(
            f"--at {iso(day)}: the log of partition {partition} reaches from {iso(first)} to {iso(last)} (log time, UTC);"
            f" choose a day of these{_unread(life)}"
        )


def _unread(life: Life) -> str:
    return f"; nothing was read from {life.unread} on" if life.unread else ""


async def _unknown(kafka: KafkaSettings, account: str, partition: int, life: Life, log_time: int) -> str:
    """Say that there is no such account, what the log has, and which accounts are called nearly so."""
    names: set[str] = set()
    async for record in scan(kafka, ACCOUNT_HEALTH_LATEST):
        if record.key is not None:
            names.add(record.key.decode("utf-8", "replace"))
    reaches = (
        f"its partition {partition} is {'unreadable from its first record on' if life.unread else 'empty'}"
        if not life.first_time
        else f"its partition {partition} reaches from {iso(day_of(life.first_time))} to {iso(day_of(log_time))} and has no event of it"
    )
    close = get_close_matches(account, sorted(names), n=3)
    hint = (
        f"; do you mean {' or '.join(close)}?"
        if close
        else f"; {counted(len(names), 'account is', 'accounts are')} known"
    )
    return f"there is no account {account!r} on usage-events: {reaches}{hint}"


async def _published(
    kafka: KafkaSettings, account: str, partition: int, judged: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the published snapshot of the same day and reason: the nearest in time, since a day may have several of a touch."""
    midnight = (judged["day"] + 1) * DAY_MS
    first = await at_time(kafka, ACCOUNT_HEALTH, midnight)
    last = await at_time(kafka, ACCOUNT_HEALTH, midnight + PUBLISHED_WITHIN_MS)
    start = {other: last[other] if other != partition else offset for other, offset in first.items()}
    found: list[dict[str, Any]] = []
    async for record in scan(kafka, ACCOUNT_HEALTH, start, last):
        if record.key == account.encode() and record.value is not None:
            name, snapshot = decoded(record.value)
            if name == "account_health" and all(snapshot[each] == judged[each] for each in ("day", "reason")):
                found.append(snapshot)
    return min(found, key=lambda snapshot: abs(snapshot["at"] - judged["at"]), default=None)
