"""The records that an erasure consists of, appended one after the other: each waits for what the one before leads to."""

from __future__ import annotations

import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas import codec
from schemas.topics import DEAD_LETTERS, USAGE_DETAILS, USAGE_EVENTS, USAGE_REJECTED, USAGE_UNATTRIBUTED
from services.cli.erasing.waits import await_alerter, await_attribution, await_lanes, await_nothing_open
from services.cli.quarantine import Quarantined, quarantined, user_here
from services.scorer.lane_facts import LaneFacts, read_lanes
from services.shared.errors import Retryable
from services.shared.kafka.clients import producer
from services.shared.kafka.settings import KafkaSettings
from services.shared.pseudonyms import PREFIX

_link, _command, _order = (codec.encoder(name) for name in ("user_link", "command", "erasure"))
_AT_ONCE = 1_000


async def order_person(
    kafka: KafkaSettings,
    pseudonyms: Sequence[str],
    accounts: Sequence[str],
    within_s: float,
    known_as: Sequence[str] = (),
) -> None:
    """
    Order that a person is erased, who has these pseudonyms and is in these accounts.

    Attribution also forgets others that are `known_as` one of them, so that nothing leads to the person from there.

    Raises:
        Retryable: a drive is going on, or an account is quarantined, so nothing was ordered; or the scorer or the alerter
            has not done its part in time, so the warehouse was not told yet.
    """
    check(await read_lanes(kafka), await quarantined(kafka), accounts)
    now_ms = time.time_ns() // 1_000_000
    instead = {each: PREFIX + urlsafe_b64encode(secrets.token_bytes(15)).decode() for each in pseudonyms}
    forget = [(USAGE_UNATTRIBUTED, each, _link(_said("FORGOTTEN", each, now_ms))) for each in (*pseudonyms, *known_as)]
    rename = [
        (USAGE_EVENTS, account, _link({**_said("SAME", each, now_ms), "account": account, "known_as": instead[each]}))
        for account in accounts
        for each in pseudonyms
    ]
    letters = [order for each in (*pseudonyms, *known_as) for order in _beside_letters({"user": each}, now_ms)]
    orders = [
        (USAGE_DETAILS, each, _order({"user": each, "stands_for": instead[each], "at": now_ms, "by": user_here()}))
        for each in pseudonyms
    ]
    async with producer(kafka, linger_ms=5) as out:
        # Also first: of an erasure that is cut short nobody knows any more whom it meant.
        await _send(kafka, out, letters)
        await _send(kafka, out, forget)
        try:
            await await_attribution(kafka, within_s)
            await _send(kafka, out, rename)
            await await_lanes(kafka, within_s)
            await await_alerter(kafka, within_s)
        except Retryable as error:
            raise _each_by_itself(error, pseudonyms) from error
        await _send(kafka, out, letters)
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
    gone = ({"account": account}, *({"user": each} for each in only_there))
    letters = [order for each in gone for order in _beside_letters(each, now_ms)]
    async with producer(kafka, linger_ms=5) as out:
        await _send(kafka, out, forget)
        await await_attribution(kafka, within_s)
        await _send(kafka, out, [(USAGE_EVENTS, account, _command(command))])
        await await_lanes(kafka, within_s)
        await await_alerter(kafka, within_s)
        await await_nothing_open(kafka, account, within_s)
        await _send(kafka, out, letters)
        await _send(
            kafka, out, [(USAGE_DETAILS, account, _order({"account": account, "at": now_ms, "by": user_here()}))]
        )


def _each_by_itself(error: Retryable, pseudonyms: Sequence[str]) -> Retryable:
    """Return the error with a command for each id: what links them is what attribution forgets first."""
    if len(pseudonyms) == 1:
        return error
    each = ", ".join(f"`tidemark erase --user {pseudonym}`" for pseudonym in pseudonyms)
    return Retryable(
        f"{error.detail}. Attribution may have forgotten by then that these ids are one person's, so run a command for each: {each}"
    )


def _beside_letters(whom: Mapping[str, str], now_ms: int) -> list[tuple[str, str, bytes]]:
    """Return an order for each topic of dead letters: what was written there before is not to be replayed."""
    (name,) = whom.values()
    order = _order({**whom, "at": now_ms, "by": user_here()})
    return [(topic, name, order) for topic in (USAGE_REJECTED, DEAD_LETTERS)]


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
