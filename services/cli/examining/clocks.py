"""
The clocks of all ingest processes, also of those that nobody asks: each of their records has two times.

One is the time at which it was received, by the clock of the process that it names; the other the time at which the broker
appended it. Between them lies a moment, or an outage of Kafka: of a process the two that are closest count.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from schemas.topics import USAGE_EVENTS
from services.cli.examining.findings import told
from services.shared.kafka.reading import at_time, decoded, ends, scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import MINUTE_MS

_RECORDS = 500
"""Of each partition that are looked at, from its end."""
_WITHIN_MS = 15 * MINUTE_MS
_APART_S = 60.0
_UNNAMED = "the ingest that took the latest events (records of format level 1 do not name it)"


class Taken(NamedTuple):
    """An event that an ingest process has taken: by whom, when by its clock, and when by that of the broker."""

    by: str
    received_at: int
    appended_at: int


def taken(value: dict[str, Any], appended_at: int) -> Taken | None:
    """Return an event with its two times; None where the first is the sender's, or it was written again later."""
    if value["epoch"] or value["forwards"]:
        return None
    return Taken(value["accepted_by"], value["received_at"], appended_at)


def apart(events: Iterable[Taken]) -> dict[str, float]:
    """
    Return by how many seconds each process is ahead of the brokers, negative where it is behind: the least of its events.

    Events without a name may be of several. Of these the one that is ahead most counts, since none is received after it was
    appended; one that is behind may have waited.
    """
    least: dict[str, int] = {}
    for event in events:
        ahead = event.received_at - event.appended_at
        if not event.by:
            least[_UNNAMED] = max(ahead, least.get(_UNNAMED, 0))
        elif event.by not in least or abs(ahead) < abs(least[event.by]):
            least[event.by] = ahead
    return {by: ahead / 1000 for by, ahead in sorted(least.items())}


def ingests(kafka: KafkaSettings) -> str:
    """
    Say whether the clocks of the ingest processes agree with those of the brokers.

    Raises:
        OSError: one does not.
    """
    found = apart(told(_events(kafka)))
    wrong = {by: seconds for by, seconds in found.items() if abs(seconds) > _APART_S}
    if wrong:
        each = "; ".join(
            f"{by} is {abs(s):.0f} s {'ahead of' if s > 0 else 'behind'} the brokers" for by, s in wrong.items()
        )
        raise OSError(f"{each}: set the clock of its machine (NTP); the times of what it takes meanwhile are wrong")
    if not found:
        return "no process has taken an event in the last 15 minutes"
    return f"{', '.join(found)} and the brokers agree"


async def _events(kafka: KafkaSettings) -> list[Taken]:
    last = await ends(kafka, USAGE_EVENTS)
    first = await at_time(kafka, USAGE_EVENTS, time.time_ns() // 1_000_000 - _WITHIN_MS)
    start = {partition: max(first[partition], end - _RECORDS) for partition, end in last.items()}
    found: list[Taken] = []
    async for record in scan(kafka, USAGE_EVENTS, start, last):
        name, value = decoded(record.value)
        if name == "usage_event" and not record.headers and (event := taken(value, record.timestamp)):
            found.append(event)
    return found
