"""Questions about all accounts at once: today, the portfolio, and what comes in."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from operator import itemgetter
from typing import Any

from schemas.topics import USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.shared.units import HOUR_MS, MINUTE_MS
from services.warehouse.domain import changes, filters, ordering, parameters, presentation, refusals, weeks
from services.warehouse.domain.filters import AccountFilter, SignalFilter
from services.warehouse.domain.rows import columns
from services.warehouse.http.answers.overview import (
    ActivityAnswer,
    ArrivedAnswer,
    PortfolioAnswer,
    RejectionsAnswer,
    TodayAnswer,
)
from services.warehouse.http.feed import ARRIVED
from services.warehouse.http.question import AT, Asked, Question, Told, as_of, in_time, standing
from services.warehouse.ports import MOST_ARRIVALS, Page

_MOST_CHANGES = 100
_MOST_SIGNALS = 100
_MOST_LOOKED_AT = 1_000
"""Open signals, where so many of the first have eased that more are looked for that have not."""
_MOST_ACCOUNTS = 2_000
_MOST_OWNERS = 1_000
_MOST_HOURS = 24 * 35
_OWNER = parameters.TextsParameter("owner", "Owners, with commas between.")
_SHOWN = ("account", "name", "owner", "band", "revenue", "stage")


def _today(asked: Asked) -> Told:
    store, owners, until = asked.store, asked.given["owner"], asked.given["at"]
    known = as_of(asked)
    signals = _to_work_on(asked)
    told: Told = {
        "as_of": in_time(known),
        "changes": [],
        "changes_total": 0,
        "signals": [presentation.signal(each) for each in signals.rows],
        "opened": 0,
        "resolved": 0,
        "total": signals.total,
    }
    if known is None:
        return told
    yesterday = filters.day_of(known) - 1
    news = sorted(store.changes(yesterday, owners, until), key=lambda both: changes.urgency(*both))
    shown = news[:_MOST_CHANGES]
    names = [now["account"] for _, now in shown]
    then, latest = store.snapshots(names, (yesterday, until))
    for before, now in shown:
        name = now["account"]
        why = changes.reasons(then[name], latest[name]) if name in then and name in latest else []
        told["changes"].append(presentation.change(before, now, why))
    counts = store.transitions(filters.end_of(yesterday), owners, until)
    told.update(changes_total=len(news), opened=counts.get("FIRING", 0), resolved=counts.get("RESOLVED", 0))
    return told


def _to_work_on(asked: Asked) -> Page:
    """Return open signals in the order to work on them; those that have eased need nobody today, and come last."""
    owners, until = asked.given["owner"], asked.given["at"]
    wanted = SignalFilter(owners=owners, open_only=True, order_by="work", limit=_MOST_SIGNALS, until_day=until)
    page = asked.store.signals(wanted)
    found, total = standing(asked, page.rows), page.total
    while sum(not each["eased"] for each in found) < _MOST_SIGNALS == len(page.rows) and len(found) < _MOST_LOOKED_AT:
        page = asked.store.signals(replace(wanted, after=ordering.place(wanted.order, page.rows[-1])))
        found += standing(asked, page.rows)
    return Page(sorted(found, key=itemgetter("eased"))[:_MOST_SIGNALS], total)


def _portfolio(asked: Asked) -> Told:
    store, owners, until, number = asked.store, asked.given["owner"], asked.given["at"], asked.given["weeks"]
    known = as_of(asked)
    found = store.accounts(
        AccountFilter(owners=owners, sort="revenue", descending=True, limit=_MOST_ACCOUNTS, until_day=until)
    )
    accounts = [
        {
            **{name: row[name] for name in _SHOWN},
            "score": presentation.points_of(row["score_tenths"]),
            "renewal_date": presentation.date_of(row["renewal_day"]),
        }
        for row in found.rows
    ]
    told: list[Told] = []
    if known is not None:
        last_day = filters.day_of(known)
        bands: defaultdict[int, dict[str, Any]] = defaultdict(dict)
        for row in store.bands(last_day, number, owners):
            bands[row["slot"]][row["band"]] = {"accounts": row["accounts"], "revenue": row["revenue"]}
        told = [
            {"day": presentation.date_of(day), "bands": bands[slot]}
            for slot, day in enumerate(weeks.ends(last_day, number))
        ]
    return {
        "weeks": told,
        "accounts": accounts,
        **_choices(asked),
        "total": found.total,
        "next": None,
        "as_of": in_time(known),
    }


def _choices(asked: Asked) -> Told:
    """Return the owners and stages that lists can be narrowed to, of all accounts."""
    owners: dict[str, Told] = {}
    stages: dict[str, Told] = {}
    for row in asked.store.choices(asked.given["at"]):
        owner = owners.setdefault(row["owner"], {"owner": row["owner"], "accounts": 0, "revenue": 0.0})
        owner["accounts"] += row["accounts"]
        owner["revenue"] += row["revenue"]
        stage = stages.setdefault(row["stage"], {"stage": row["stage"], "accounts": 0})
        stage["accounts"] += row["accounts"]
    return {"owners": list(owners.values())[:_MOST_OWNERS], "stages": list(stages.values())}


def _activity(asked: Asked) -> Told:
    hour = asked.now_ms // HOUR_MS * HOUR_MS
    since = hour - asked.given["hours"] * HOUR_MS
    found = asked.store.arrivals(since)
    truncated = len(found) >= MOST_ARRIVALS
    if truncated:  # the last lines of the oldest hour are missing, so it goes, unless it is all there is
        since = min(found[-1]["hour"] + HOUR_MS, found[0]["hour"], hour)
        found = [each for each in found if each["hour"] >= since]
    return {
        "events": [presentation.arrival(each) for each in found if each["topic"] == USAGE_EVENTS],
        "unattributed": [presentation.arrival(each) for each in found if each["topic"] == USAGE_UNATTRIBUTED],
        "since": presentation.time_of(since),
        "truncated": truncated,
        "as_of": presentation.time_of(asked.now_ms // MINUTE_MS * MINUTE_MS),
        "total": len(found),
        "next": None,
    }


def _arrived(asked: Asked) -> Told:
    feed, names = asked.feed, columns("events")
    rows = [dict(zip(names, row, strict=True)) for row in (feed.arrived if feed else ())]
    newest = sorted(rows, key=lambda row: (row["received_at"], row["offset"]), reverse=True)
    return {
        "events": [presentation.arrived(row) for row in newest[: asked.given["limit"]]],
        "stored": feed.events_stored if feed else 0,
        "total": len(rows),
        "next": None,
    }


def _rejections(asked: Asked) -> Told:
    known = asked.refusals
    found = known.told(asked.now_ms) if known else []
    return {
        "rejections": [{**each, "last_at": presentation.time_of(each["last_at"])} for each in found],
        "problem": known.problem if known else "the letters are not read here",
        "since": presentation.time_of((asked.now_ms // HOUR_MS - refusals.HOURS + 1) * HOUR_MS),
        "as_of": presentation.time_of(asked.now_ms),
        "total": len(found),
        "next": None,
    }


QUESTIONS = (
    Question(
        "/v1/today",
        "What changed since the day before, and the open signals in the order in which to work on them.",
        _today,
        TodayAnswer,
        (_OWNER, AT),
        names_people=True,
    ),
    Question(
        "/v1/portfolio",
        "How many accounts and how much revenue were in each band, week by week, and the largest accounts.",
        _portfolio,
        PortfolioAnswer,
        (parameters.NumberParameter("weeks", "How many weeks.", 30, 1, 104), _OWNER, AT),
    ),
    Question(
        "/v1/activity",
        "What came in, hour by hour. Records are counted, so a client's retry counts again.",
        _activity,
        ActivityAnswer,
        (parameters.NumberParameter("hours", "How many hours before this one.", 24, 1, _MOST_HOURS),),
    ),
    Question(
        "/v1/arrived",
        "The last events that were stored, latest received first. The 200 that Kafka took last are held in memory.",
        _arrived,
        ArrivedAnswer,
        (parameters.NumberParameter("limit", "How many to list at most.", 50, 1, ARRIVED),),
        names_people=True,
    ),
    Question(
        "/v1/rejections",
        "What was refused or could not be applied in the last 24 hours, by reason, most frequent first.",
        _rejections,
        RejectionsAnswer,
    ),
)
