"""Accounts that the scorer has quarantined: which, why, and the command that releases one."""

from __future__ import annotations

import difflib
import getpass
import time
from typing import NamedTuple

from aiokafka import ConsumerRecord

from schemas import codec
from schemas.topics import SCORER_USAGE_EVENTS_STATE, USAGE_EVENTS
from services.scorer.domain.lane.quarantine import QUARANTINE, decode_quarantine
from services.shared.errors import Fatal
from services.shared.kafka.clients import producer
from services.shared.kafka.reading import latest
from services.shared.kafka.settings import KafkaSettings


class Quarantined(NamedTuple):
    """One account that is not evaluated until it is released."""

    account: str
    partition: int
    reason: str
    at_ms: int
    """Log time at which it was quarantined."""
    frozen: bool
    """Whether its day could not be closed: its events are on the dead letters meanwhile."""


async def quarantined(kafka: KafkaSettings) -> list[Quarantined]:
    """
    Return the accounts that are quarantined now, in the order of their names; it reads the whole state topic.

    Raises:
        IncompatibleState: a newer version wrote it.
    """

    def take(record: ConsumerRecord[bytes, bytes]) -> Quarantined | None:
        if record.key is None or not record.key.startswith(QUARANTINE):
            return None
        why = decode_quarantine(record.value)
        account = record.key[len(QUARANTINE) :].decode()
        return Quarantined(account, record.partition, why.detail, why.at, why.frozen_day >= 0)

    return [found for _, found in sorted((await latest(kafka, SCORER_USAGE_EVENTS_STATE, take)).items())]


async def release(kafka: KafkaSettings, account: str) -> None:
    """
    Append the command that releases an account; return once it is in the log.

    Raises:
        Fatal: it is not quarantined.
    """
    apart = [each.account for each in await quarantined(kafka)]
    if account not in apart:
        near = difflib.get_close_matches(account, apart, n=3)
        hint = (
            f"; do you mean {' or '.join(near)}?" if near else "; `tidemark accounts quarantined` lists those that are"
        )
        raise Fatal(f"{account!r} is not quarantined{hint}")
    order = {"command": "RELEASE", "account": account, "at": time.time_ns() // 1_000_000, "by": user_here()}
    async with producer(kafka) as out:
        await out.send_and_wait(kafka.scoped(USAGE_EVENTS), codec.encoder("command")(order), key=account.encode())


def user_here() -> str:
    """Return who gives an order, as this machine knows them; empty where it does not."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
