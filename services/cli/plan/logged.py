"""
Events that were sent, from the log: the long log has what the plan names, `usage-details` has the rest.

Of more events than can be held, one in so many is taken, the same ones on all topics, chosen by their ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from xxhash import xxh64_intdigest

from schemas.topics import USAGE_DETAILS, USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.cli.plan.observed import Observed, path_of
from services.shared.kafka.reading import Offsets, at_time, decoded, ends, record_of, scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.tracking_plan.actors import number_said
from services.shared.tracking_plan.event_check import Beside
from services.shared.units import DAY_MS

MOST = 100_000
"""Events that are looked at, of which the details are held: about 60 MB."""
_decode = msgspec.json.Decoder().decode

_Key = tuple[str, str, str]


class Sample(NamedTuple):
    """Which events were looked at."""

    one_in: int
    """1: all of them."""
    without_details: int
    """Events whose details are not there, since they were kept for a shorter time; they were passed over."""


async def read_log(kafka: KafkaSettings, since_ms: int, take: Callable[[Observed], None], most: int = MOST) -> Sample:
    """Hand over each event that was appended at `since_ms` or later, once, in no order that matters."""
    topics = (USAGE_DETAILS, USAGE_UNATTRIBUTED, USAGE_EVENTS)
    spans = dict(zip(topics, await asyncio.gather(*(_span(kafka, topic, since_ms) for topic in topics)), strict=True))
    start, stop = spans[USAGE_DETAILS]
    one_in = max(1, -(-sum(stop[each] - start[each] for each in stop) // most))
    details: dict[_Key, tuple[str, str] | None] = {}
    async for record in scan(kafka, USAGE_DETAILS, start, stop):
        found = _chosen(record.value, "event_details", one_in)
        if found is not None:
            details[_key(found)] = (found["properties"], found["extra"])
    without = 0
    for topic in (USAGE_UNATTRIBUTED, USAGE_EVENTS):
        async for record in scan(kafka, topic, *spans[topic]):
            event = _chosen(record.value, "usage_event", one_in)
            if event is None or event["forwards"]:  # what attribution forwards was on usage-unattributed before
                continue
            key = _key(event)
            if key in details:
                beyond = details[key]
                if beyond is None:
                    continue  # the sender repeated it
            elif event["user"]:  # such a one has details, always
                without += 1
                continue
            else:
                beyond = ("{}", "{}")
            details[key] = None
            take(_observed(event, *beyond))
    return Sample(one_in, without)


async def _span(kafka: KafkaSettings, topic: str, since_ms: int) -> tuple[Offsets, Offsets]:
    stop = await ends(kafka, topic)
    return await at_time(kafka, topic, since_ms), stop


def _chosen(value: bytes | None, kind: str, one_in: int) -> dict[str, Any] | None:
    if record_of(value) != kind:
        return None
    _, found = decoded(value)
    return found if found and xxh64_intdigest(found["event_id"].encode()) % one_in == 0 else None


def _key(record: dict[str, Any]) -> _Key:
    return record["source"], record["user"], record["event_id"]


def _observed(event: dict[str, Any], properties: str, extra: str) -> Observed:
    merged = {**_decode(event["properties"]), **_decode(properties)}
    context = _decode(extra).get("context")
    path = path_of(merged, context) if event["kind"] == "PAGE" else ""
    beside = Beside(
        number_said(context), bool(event["user"]), event["received_at"] // DAY_MS, event["authority"] == "BROWSER"
    )
    return Observed(event["kind"], event["name"], path, merged, beside)
