"""Putting a file of accounts in force: the table of aliases for attribution, and the end of accounts that were merged."""

from __future__ import annotations

import time

from schemas import codec
from schemas.topics import TOPICS, USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.cli.quarantine import user_here
from services.ingest.domain.accounts import AccountBook
from services.shared.errors import Fatal
from services.shared.kafka.clients import producer
from services.shared.kafka.reading import ends
from services.shared.kafka.settings import KafkaSettings

_FRAMING = 1024


async def apply(kafka: KafkaSettings, book: AccountBook) -> int:
    """
    Write the aliases to every partition of usage-unattributed, and have the accounts of these ids forgotten; return how many.

    Doing it again changes nothing. The accounts are forgotten without a signal; what is open of them is resolved.

    Raises:
        Fatal: the table is larger than a record may be.
    """
    now_ms, by = time.time_ns() // 1_000_000, user_here()
    table = codec.encoder("account_aliases")({"at": now_ms, "by": by, "aliases": dict(sorted(book.aliases.items()))})
    limit = TOPICS[USAGE_UNATTRIBUTED].max_message_bytes - _FRAMING
    if len(table) > limit:
        raise Fatal(f"the aliases take {len(table):,} bytes as a record; {limit:,} are the most")
    forget = codec.encoder("command")
    async with producer(kafka, linger_ms=5) as out:
        # First the table: what attribution forwards from then on names the account itself.
        sent = [
            await out.send(kafka.scoped(USAGE_UNATTRIBUTED), table, partition=partition)
            for partition in sorted(await ends(kafka, USAGE_UNATTRIBUTED))
        ]
        for each in sent:
            await each
        for alias in sorted(book.aliases):
            order = forget({"command": "FORGET", "account": alias, "at": now_ms, "by": by})
            await out.send_and_wait(kafka.scoped(USAGE_EVENTS), order, key=alias.encode())
    return len(book.aliases)
