"""Putting a file of accounts in force: the table of aliases for attribution, and the end of accounts that were merged."""

from __future__ import annotations

import time
from functools import partial

from schemas import codec
from schemas.topics import TOPICS, USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.cli.quarantine import user_here
from services.ingest.domain.accounts import AccountBook
from services.scorer.lane_facts import read_positions
from services.shared.attribution_wait import AttributionWait, NotAttributed
from services.shared.errors import Fatal
from services.shared.kafka.clients import producer
from services.shared.kafka.reading import ends
from services.shared.kafka.settings import KafkaSettings

_FRAMING = 1024


async def apply(kafka: KafkaSettings, book: AccountBook, within_s: float = 60.0) -> int:
    """
    Write the aliases to every partition of usage-unattributed, and have the accounts of these ids forgotten; return how many.

    They are forgotten once attribution has read the aliases: until then it forwards events to them, which would make them
    anew. Doing it again changes nothing. What is open of the accounts is resolved as `forgotten`.

    Raises:
        Fatal: the table is larger than a record may be.
        NotAttributed: attribution has not read the table within so many seconds; nothing is forgotten.
    """
    now_ms, by = time.time_ns() // 1_000_000, user_here()
    table = codec.encoder("account_aliases")({"at": now_ms, "by": by, "aliases": dict(sorted(book.aliases.items()))})
    limit = TOPICS[USAGE_UNATTRIBUTED].max_message_bytes - _FRAMING
    if len(table) > limit:
        raise Fatal(f"the aliases take {len(table):,} bytes as a record; {limit:,} are the most")
    forget = codec.encoder("command")
    async with producer(kafka, linger_ms=5) as out:
        sent = [
            await out.send(kafka.scoped(USAGE_UNATTRIBUTED), table, partition=partition)
            for partition in sorted(await ends(kafka, USAGE_UNATTRIBUTED))
        ]
        for each in sent:
            await each
        try:
            await AttributionWait(kafka, partial(ends, kafka, USAGE_UNATTRIBUTED), read_positions, within_s).settle()
        except NotAttributed as error:
            raise NotAttributed(
                f"the aliases are in the log, but nobody has read them in {within_s:.0f} s, so no account is forgotten yet."
                " Start the scorer and wait until it is ready (`tidemark doctor`), then run the same command again"
            ) from error
        for alias in sorted(book.aliases):
            order = forget({"command": "FORGET", "account": alias, "at": now_ms, "by": by})
            await out.send_and_wait(kafka.scoped(USAGE_EVENTS), order, key=alias.encode())
    return len(book.aliases)
