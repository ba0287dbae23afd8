"""What comes in, for product engineers: rates by event, and events of users whose account is not known."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from services.console.rendering import Visit

SPANS = (24, 168)
"""Hours that one may look back."""
_ROWS = 200
_REASONS = 50
_TAIL = 50
"""Events of the live tail."""


@dataclass
class _Name:
    """All arrivals of one name of event."""

    name: str
    kind: str
    sources: set[str] = field(default_factory=set)
    environments: set[str] = field(default_factory=set)
    by_hour: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def events(self) -> int:
        return sum(self.by_hour.values())


async def show(visit: Visit) -> Response:
    """Render the page, or its live tail alone."""
    if visit.wants_part:
        return visit.page("ingest_tail.html.jinja", "ingest", **await _tail(visit))
    given = visit.request.query_params.get("hours", "")
    span = int(given) if given in {str(each) for each in SPANS} else SPANS[0]
    told, refused, tail = await asyncio.gather(
        visit.api.get("/v1/activity", hours=span), visit.api.get("/v1/rejections"), _tail(visit)
    )
    hours = [hour for hour in _hours(told["as_of"], span) if hour >= told["since"]]
    names, lost = _by_name(told["events"], hours), _by_name(told["unattributed"], hours)
    known, unknown = _by_hour(told["events"], hours), _by_hour(told["unattributed"], hours)
    return visit.page(
        "ingest.html.jinja",
        "ingest",
        spans=SPANS,
        span=span,
        as_of=told["as_of"],
        hours=hours,
        since=told["since"] if told["truncated"] else None,
        known=known,
        unknown=unknown,
        all_by_hour=[with_account + without for with_account, without in zip(known, unknown, strict=True)],
        names=[_row(visit, each, hours) for each in names[:_ROWS]],
        all_names=len(names),
        lost=[_row(visit, each, hours) for each in lost[:_ROWS]],
        all_lost=len(lost),
        sources=sorted({source for each in (*names, *lost) for source in each.sources}),
        refused=refused["rejections"][:_REASONS],
        all_refused=len(refused["rejections"]),
        refused_sum=sum(each["count"] for each in refused["rejections"]),
        refused_problem=refused["problem"],
        ingest=visit.ingest,
        **tail,
    )


async def _tail(visit: Visit) -> dict[str, Any]:
    """Return what the live tail shows."""
    told = await visit.api.get("/v1/arrived", limit=_TAIL)
    return {"tail": told["events"], "stored": told["stored"]}


def _hours(as_of: str, span: int) -> list[str]:
    """Return the hours up to the one that runs, oldest first, as the API names them."""
    last = datetime.fromisoformat(as_of).replace(minute=0, second=0, microsecond=0)
    return [_named(last - timedelta(hours=back)) for back in range(span - 1, -1, -1)]


def _named(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:00:00.000Z}"


def _by_name(arrivals: Iterable[Mapping[str, Any]], hours: Sequence[str]) -> list[_Name]:
    found: dict[tuple[str, str], _Name] = {}
    within = frozenset(hours)
    for each in arrivals:
        if each["hour"] not in within:
            continue
        name = found.setdefault((each["kind"], each["name"]), _Name(each["name"], each["kind"]))
        name.sources.add(each["source"])
        name.environments.add(each["environment"])
        name.by_hour[each["hour"]] += each["events"]
    return sorted(found.values(), key=lambda each: -each.events)


def _by_hour(arrivals: Iterable[Mapping[str, Any]], hours: Sequence[str]) -> list[int]:
    sums: dict[str, int] = defaultdict(int)
    for each in arrivals:
        sums[each["hour"]] += each["events"]
    return [sums[hour] for hour in hours]


def _row(visit: Visit, name: _Name, hours: Sequence[str]) -> dict[str, Any]:
    counts = [name.by_hour.get(hour, 0) for hour in hours]
    label = visit.words("ingest.bars", most=visit.formats.number(max(counts, default=0)))
    return {
        "name": name.name or visit.words("ingest.nameless"),
        "kind": name.kind.lower(),
        "sources": ", ".join(sorted(name.sources)),
        "environments": ", ".join(sorted(name.environments - {"production"})),
        "events": sum(counts),
        "counts": counts,
        "label": label,
        "last": max(name.by_hour),
    }
