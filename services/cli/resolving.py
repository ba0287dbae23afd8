"""
What an operator says about users: links of the highest authority, and the events of these users that were given up, once more.

An event is sent in again only if it has not been before, so the command can be repeated, also after it was cut short.
"""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from schemas import codec
from schemas.topics import DEAD_LETTERS, USAGE_UNATTRIBUTED
from services.cli.attribution_audit import GIVEN_UP, identity_of
from services.shared.kafka.clients import producer
from services.shared.kafka.reading import decoded, record_of, scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.pseudonyms import Pseudonyms

AT_ONCE = 1_000
"""Records sent before their acknowledgements are awaited."""
_PSEUDONYM = re.compile(r"u_[A-Za-z0-9_-]{20}")
_link = codec.encoder("user_link")


class Resolved(NamedTuple):
    """What was written."""

    users: int
    events: int
    """Events that were given up and are sent in again."""
    before: int
    """Events that a former run had sent in again."""


def read_file(path: Path, pseudonyms: Pseudonyms) -> tuple[dict[str, str], list[str]]:
    """Return the account by pseudonym out of a CSV file with the columns user and account, and what is wrong with it."""
    accounts: dict[str, str] = {}
    problems: list[str] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        missing = sorted({"user", "account"} - set(rows.fieldnames or ()))
        if missing:
            return {}, [
                f"{path}: there is no column {' and no column '.join(missing)}; the first line names the columns"
            ]
        for number, row in enumerate(rows, 2):
            user, account = (row["user"] or "").strip(), (row["account"] or "").strip()
            if not user or not account:
                problems.append(f"line {number}: {'account' if user else 'user'} is empty")
                continue
            name = user if _PSEUDONYM.fullmatch(user) else pseudonyms.of(user)
            if accounts.setdefault(name, account) != account:
                problems.append(f"line {number}: {user} has another account above; a user has one")
    return accounts, problems


async def resolve(kafka: KafkaSettings, accounts: Mapping[str, str]) -> Resolved:
    """Write that users, given by their pseudonyms, belong to accounts, and send in again what was given up of them."""
    now_ms = time.time_ns() // 1_000_000
    async with producer(kafka, linger_ms=5) as out:
        await _send(kafka, out, ((user, _link(_said(user, accounts[user], now_ms))) for user in sorted(accounts)))
        given_up = await _given_up(kafka, accounts)
        before = await _sent_again(kafka, given_up.keys()) if given_up else set()
        again = [event for identity, event in given_up.items() if identity not in before]
        await _send(kafka, out, ((event["user"], encode(event)) for event, encode in again))
    return Resolved(len(accounts), len(again), len(before))


def _said(user: str, account: str, now_ms: int) -> dict[str, Any]:
    return {
        "kind": "MEMBER",
        "user": user,
        "identified": True,
        "account": account,
        "authority": "OPERATOR",
        "via": "OPERATOR",
        "source": "operator",
        "environment": "production",
        "occurred_at": 0,  # for all that the user has ever done
        "received_at": now_ms,
    }


async def _given_up(kafka: KafkaSettings, accounts: Mapping[str, str]) -> dict[int, tuple[dict[str, Any], Any]]:
    """Return the events of the users that are on the dead letters, as they are to be sent again, by their identity then."""
    found: dict[int, tuple[dict[str, Any], Any]] = {}
    async for record in scan(kafka, DEAD_LETTERS):
        name, letter = decoded(record.value)
        if name != "dead_letter" or letter["by"] != "scorer" or letter["reason"] not in GIVEN_UP:
            continue
        kind, event = decoded(letter["original"])
        if kind == "usage_event" and event["user"] in accounts:
            event["forwards"] += 1
            version = codec.version_of(letter["original"])
            found[_identity(event)] = (event, codec.encoder("usage_event", version))
    return found


async def _sent_again(kafka: KafkaSettings, wanted: Iterable[int]) -> set[int]:
    """Return those identities that are on usage-unattributed."""
    left, found = set(wanted), set()
    async for record in scan(kafka, USAGE_UNATTRIBUTED):
        if record_of(record.value) == "usage_event":
            _, event = decoded(record.value)
            if event and event["forwards"] and _identity(event) in left:
                found.add(_identity(event))
    return found


def _identity(event: Mapping[str, Any]) -> int:
    return identity_of(event["source"], event["user"], event["event_id"], event["forwards"])


async def _send(kafka: KafkaSettings, out: AIOKafkaProducer, records: Iterable[tuple[str, bytes]]) -> None:
    sent = []
    for user, value in records:
        sent.append(await out.send(kafka.scoped(USAGE_UNATTRIBUTED), value, user.encode()))
        if len(sent) >= AT_ONCE:
            for each in sent:
                await each
            sent = []
    for each in sent:
        await each
