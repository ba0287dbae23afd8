"""What services that are ready have put off nevertheless, or never seen: events to be sent again, records that are gone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from services.shared.counts import counted

_EXPIRED = re.compile(r'^tidemark_warehouse_expired_total\{topic="([^"]*)"\} (\S+)$', re.MULTILINE)
_GAPS = re.compile(
    r'^tidemark_engine_gaps_total\{(?=[^}]*topic="([^"]*)")(?=[^}]*partition="([^"]*)")[^}]*\} (\S+)$', re.MULTILINE
)


def put_off(ingest: str) -> str:
    """Say whether ingest takes all events, though it is ready: it lists what it puts off."""
    from services.cli.local.readiness import told

    slow = told(ingest).get("slow", ())
    if slow:
        raise OSError(f"events that go there are put off (429): {'; '.join(slow)}")
    return "ingest puts nothing off"


def lost(addresses: Mapping[str, str]) -> str:
    """Say whether records were deleted before services had read them, as far as the processes that run have noticed."""
    import httpx

    expired: Counter[str] = Counter()
    gaps = []
    for name, address in addresses.items():
        with suppress(httpx.HTTPError):  # whether it answers is another line
            page = httpx.get(f"{address}/metrics", timeout=5).text
            for topic, count in _EXPIRED.findall(page):
                expired[topic] += int(float(count))
            gaps += [f"{name} went over a gap in {t}/{p}" for t, p, count in _GAPS.findall(page) if float(count)]
    said = [
        f"{counted(count, 'record')} of {topic} will never be in the warehouse"
        for topic, count in expired.items()
        if count
    ]
    if said or gaps:
        raise OSError(
            f"records were deleted before they were read, since these processes started: {'; '.join([*said, *gaps])}"
        )
    return "nothing was deleted before it was read, since these processes started"
