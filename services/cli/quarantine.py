"""Accounts that the scorer has set apart: which, why, and the order to take one back."""

from __future__ import annotations

import getpass
import time
from typing import NamedTuple

import msgspec

from schemas import codec
from services.scorer.adapters.lane_facts import STATE_TOPIC
from services.scorer.domain.state_format import body_of
from services.shared.kafka.clients import producer
from services.shared.kafka.reading import scan
from services.shared.kafka.settings import KafkaSettings

KEY = b"q:"
"""In front of the account's name, in the scorer's state."""


class Quarantined(NamedTuple):
    """One account that is not evaluated until a person releases it."""

    account: str
    partition: int
    reason: str
    at_ms: int
    """Log time at which it was set apart."""


async def quarantined(kafka: KafkaSettings) -> list[Quarantined]:
    """
    Return the accounts that are set apart now, in the order of their names; it reads the whole state topic.

    Raises:
        IncompatibleState: a newer version wrote it.
    """
    found: dict[bytes, Quarantined] = {}
    async for record in scan(kafka, STATE_TOPIC):
        if record.key is None or not record.key.startswith(KEY):
            continue
        if record.value is None:
            found.pop(record.key, None)
        else:
            reason, at_ms = msgspec.msgpack.decode(body_of(record.value))
            found[record.key] = Quarantined(record.key[len(KEY) :].decode(), record.partition, reason, at_ms)
    return [found[key] for key in sorted(found)]


async def release(kafka: KafkaSettings, account: str) -> None:
    """Append the order to release an account; return once it is in the log."""
    order = {"command": "RELEASE", "account": account, "at": time.time_ns() // 1_000_000, "by": _user()}
    async with producer(kafka) as out:
        await out.send_and_wait(kafka.scoped("usage-events"), codec.encoder("command")(order), key=account.encode())


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
