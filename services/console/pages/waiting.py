"""Waiting for data: which measures and signals are off because nothing feeds them, and what would switch them on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from services.console.addresses import account_address
from services.console.rendering import Visit

OF_EVERY_ACCOUNT = frozenset({"use", "renewal", "seats", "revenue", "country"})
"""Data that every account should have. One without an open ticket or a planned absence lacks nothing."""
MISSING_NAMED = 3
"""So many accounts for which a kind of data is missing are named, those with the largest revenue."""


@dataclass(frozen=True, slots=True)
class DataFeed:
    """One kind of data that somebody has to send."""

    name: str
    """Its words are under `waiting.feeds.`."""
    needs: frozenset[str]
    """State that it gives, as the records of measures name it."""
    known: tuple[str, ...]
    """It comes where any of these measures is known of any account..."""
    positive: tuple[str, ...]
    """... or any of these is above 0: they are known, as 0, of all accounts."""
    call: str
    event: str
    fields: Mapping[str, Any]
    """Properties of a track call, traits of a group or identify call."""
    signals: tuple[str, ...] = ()
    """Shipped rules that cannot fire without it."""


def _group(name: str, needs: str, known: str, trait: str, value: Any, signals: tuple[str, ...] = ()) -> DataFeed:
    return DataFeed(name, frozenset({needs}), (known,), (), "group", "", {trait: value}, signals)


USE_RULES = (
    "usage_silent",
    "usage_decline_fast",
    "usage_decline",
    "regulars_gone",
    "active_users_falling",
    "moved_to_agents",
    "small_account_silent",
    "usage_growth",
)
FEEDS = (
    DataFeed(
        "use",
        frozenset({"counts.active", "counts.events", "people.active", "milestones.first_activity"}),
        ("baseline_weeks",), (), "track", "Report Opened", {}, USE_RULES,
    ),
    DataFeed(
        "value", frozenset({"counts.value", "milestones.first_value"}), (), ("value_days_28", "value_weeks_4"),
        "track", "Report Shared", {},
    ),
    DataFeed(
        "tickets",
        frozenset({"cases.tickets", "counts.tickets_opened", "counts.tickets_closed"}),
        (), ("tickets_open", "tickets_opened_28", "tickets_closed_28"),
        "track", "Ticket Opened", {"ticket_id": "T-1041"}, ("tickets_stuck",),
    ),
    DataFeed(
        "survey", frozenset({"answers.nps"}), (), ("survey_responses",), "track", "NPS Submitted", {"score": 8},
        ("nps_detractor",),
    ),
    _group("renewal", "facts.renewal_day", "renewal_in_days", "renewal_date", "2027-03-31", ("renewal_at_risk",)),
    _group("seats", "facts.seats", "seats", "seats", 25, ("seat_saturation",)),
    _group("revenue", "facts.revenue", "revenue", "revenue", 24000),
    _group("country", "facts.country", "public_holidays_7", "country", "PT"),
    DataFeed(
        "absence", frozenset({"absences.planned"}), ("absence_days_left",), (), "track", "Planned Absence",
        {"from": "2026-12-21", "to": "2027-01-03", "scope": "account"},
    ),
    DataFeed("features", frozenset({"people.features"}), (), ("features_used_28",), "track", "Report Shared", {}),
    DataFeed("roles", frozenset({"people.roles"}), ("roles_gone",), (), "identify", "", {"role": "admin"}),
)  # fmt: skip


async def show(visit: Visit) -> Response:
    """Render the page."""
    told, covered = await asyncio.gather(visit.api.get("/v1/measures"), visit.api.get("/v1/measures/known"))
    coverage = {each["name"]: each for each in covered["measures"]}
    feeds = [_feed(visit, feed, told["measures"], coverage, covered["accounts"]) for feed in FEEDS]
    partly = [feed for feed in feeds if feed["on"] and feed["lacking"] and feed["accounts"] < feed["of"]]
    for feed, lists in zip(partly, await asyncio.gather(*(_missing(visit, feed) for feed in partly)), strict=True):
        feed["missing"], feed["missing_total"] = lists
    return visit.page(
        "waiting.html.jinja",
        "waiting",
        as_of=covered["as_of"],
        accounts=covered["accounts"],
        off=[feed for feed in feeds if not feed["on"]],
        on=[feed for feed in feeds if feed["on"]],
        partly=partly,
    )


async def _missing(visit: Visit, feed: Mapping[str, Any]) -> tuple[list[tuple[str, str]], int]:
    """Return the name and the address of some accounts for which a kind of data is missing, and how many they are."""
    told = await visit.api.get("/v1/accounts", lacking=feed["lacking"], sort="-revenue", limit=MISSING_NAMED)
    named = [(each["name"] or each["account"], account_address(each["account"])) for each in told["accounts"]]
    return named, told["total"]


def _feed(
    visit: Visit, feed: DataFeed, measures: Sequence[Mapping[str, Any]], coverage: Mapping[str, Any], accounts: int
) -> dict[str, Any]:
    fed = [each for each in measures if feed.needs & set(each["needs"])]
    known = max((coverage.get(name, {}).get("known", 0) for name in feed.known), default=0)
    positive = max((coverage.get(name, {}).get("positive", 0) for name in feed.positive), default=0)
    words = visit.words
    return {
        "name": feed.name,
        "on": bool(known or positive),
        "accounts": max(known, positive),
        "of": accounts,
        "lacking": feed.known[0] if feed.name in OF_EVERY_ACCOUNT else "",
        "missing": [],
        "missing_total": 0,
        "measures": [visit.wording.measure(each) for each in fed],
        "signals": [words(f"rules.{rule}.title") for rule in feed.signals],
        "code": code_of(feed),
        "curl": curl_of(feed, visit.ingest or "http://127.0.0.1:8080"),
    }


def code_of(feed: DataFeed) -> str:
    """Return the call of a Segment SDK."""
    fields = json.dumps(feed.fields, ensure_ascii=False)
    if feed.call == "group":
        return f'analytics.group("acme", {fields})'
    if feed.call == "identify":
        return f'analytics.identify("ann", {fields}, {{"context": {{"groupId": "acme"}}}})'
    return f'analytics.track({json.dumps(feed.event)}, {fields}, {{"context": {{"groupId": "acme"}}}})'


def curl_of(feed: DataFeed, ingest: str) -> str:
    """Return the same as a request."""
    body: dict[str, Any] = {"userId": "ann"}
    if feed.call == "group":
        body |= {"groupId": "acme", "traits": feed.fields}
    elif feed.call == "identify":
        body |= {"traits": feed.fields, "context": {"groupId": "acme"}}
    else:
        body |= {"event": feed.event, "properties": feed.fields, "context": {"groupId": "acme"}}
    return (
        f"curl -u WRITE_KEY: {ingest}/v1/{feed.call} \\\n  -H 'content-type: application/json' \\\n"
        f"  -d '{json.dumps(body, ensure_ascii=False)}'"
    )
