"""An account: how it stands, why that changed, and all that is known of it on one axis of time, as of any day."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx
from starlette.responses import RedirectResponse, Response

from services.console.account import happened, questions
from services.console.account.fall import fall
from services.console.account.happened import SignalEpisode
from services.console.account.past import SPAN_DAYS, Day, Past
from services.console.account.records import CALL, KINDS, Recorded, recorded
from services.console.account.risk import risk
from services.console.addresses import account_address
from services.console.api_client import ApiError, Told
from services.console.days import days_between, log_day
from services.console.pages.account_events import events_of
from services.console.pages.record_forms import forms, today
from services.console.panels.all_panels import Panels
from services.console.panels.context import PanelContext
from services.console.rendering import Visit, clipped
from services.shared.units import read_date

PEOPLE = 1_000
"""How many people are read, as many as the API lists at once: those who left come last in it."""
RECORDS = 200
"""How many records are read, the newest."""
STANDING = tuple(KINDS[kind] for kind in ("goal", "reached", "judged", "churn"))
"""These are read beside them: what they say of now stays so however much has been recorded since."""
STANDING_READ = 1_000
"""How many of these are read, as many as the API lists at once."""
OPEN = 200
"""How many open signals are read."""
TRANSITIONS = 1_000
"""How many transitions of signals are read where there are more than come with the account."""
SPANS = (7, 28, 90)
"""Days back that the change of the score is offered over."""
_USUAL_SPAN = 28
_FURTHEST_DAYS = 1000


@dataclass(frozen=True)
class _Told:
    """What the API told of an account."""

    account: Told
    signals: list[Told]
    """The latest transitions, and the last one of each open episode, however old."""
    past: Past
    people: Told
    records: list[Recorded]


async def show(visit: Visit) -> Response:
    """Render the page, or its newest events alone."""
    account = account_of(visit)
    if not account:
        return RedirectResponse("/portfolio", 303)
    if visit.wants_part:
        return visit.page("account_events.html.jinja", "portfolio", account=account, **await events_of(visit, account))
    try:
        return await page(visit, account)
    except ApiError as error:
        if error.status != httpx.codes.NOT_FOUND:
            raise
        return await _unknown(visit, account)


async def _unknown(visit: Visit, account: str) -> Response:
    """Say that nothing is known of the account: of that day, or at all."""
    at, _ = _at(visit)
    first = await _first_day(visit, account) if at else None
    return visit.page("no_account.html.jinja", "portfolio", 404, account=account, at=at, first=first)


async def _first_day(visit: Visit, account: str) -> str | None:
    """Return the first day of which anything was published of an account; None: nothing is known of it now either."""
    try:
        whole = await visit.api.account(account, days=_FURTHEST_DAYS)
    except ApiError as error:
        if error.status == httpx.codes.NOT_FOUND:
            return None
        raise
    days = [each["day"] for each in [*whole["history"], *whole["activity"]]]
    return min(days, default=_day_of(whole).isoformat())


async def page(visit: Visit, account: str, *, status: int = 200, refused: Mapping[str, Any] | None = None) -> Response:
    """Render the page, with a form that was refused if there is one: what was written, and what is wrong with it."""
    at, no_day = _at(visit)
    told, events = await asyncio.gather(_ask(visit, account, at), events_of(visit, account, at))
    latest = told.past.latest
    first, last = await asyncio.gather(*(_compared(visit, account, told.past, day) for day in _two_days(visit, told)))
    name = (latest.told["facts"].get("name") if latest else None) or account
    as_of = told.account["as_of"]
    episodes = happened.still_open(told.signals)
    return visit.page(
        "account.html.jinja",
        "portfolio",
        status,
        account=account,
        name=name,
        at=at,
        no_day=no_day,
        here=account_address(account),
        as_of=as_of,
        today=told.past.last.isoformat(),
        latest=latest,
        days_between=days_between,
        change=_change(told.past),
        compared=(first, last),
        fall=fall(first, last) if first and last else None,
        spans=[_span(account, told.past.last, at, span) for span in SPANS],
        episodes=episodes,
        judged=happened.judgements(told.records),
        loss=happened.loss(told.records),
        rest=questions.rest(told.past),
        risk=risk(latest) if latest else None,
        tenth=told.account["risk_tenth"],
        people=questions.by_state(told.people["people"]),
        people_total=told.people["total"],
        silent_since=questions.silent_since(told.past, told.people["people"]),
        records=told.records,
        panels=Panels(PanelContext(visit, account, told.past, told.signals, told.people["people"], told.records)),
        forms=forms(visit, refused, latest),
        recorded=visit.request.query_params.get("recorded") if refused is None else None,
        problem=_said_of_nothing(refused, episodes, told.records) if refused else "",
        **events,
    )


def _said_of_nothing(refused: Mapping[str, Any], episodes: list[SignalEpisode], records: list[Recorded]) -> str:
    """Return what is wrong with a form that the page has no more: its signal has closed, or its goal was reached."""
    there = {each.signal["episode_id"] for each in episodes}
    there |= {each.id for each in records if each.kind == "goal" and each.reached is None}
    given, of = refused["given"], {"judged": "episode_id", "reached": "goal_id"}.get(refused["kind"])
    return "" if of is None or given.get(of) in there else str(refused["problem"])


def account_of(visit: Visit) -> str:
    """Return which account the address names."""
    return str(visit.request.path_params.get("account") or visit.request.query_params.get("id", ""))


async def _ask(visit: Visit, account: str, at: date | None) -> _Told:
    api, given = visit.api, {"at": at.isoformat() if at else ""}
    before = (at + timedelta(days=1)).isoformat() if at and at < date.max else None
    whole, history, people, records, standing, still_open = await asyncio.gather(
        api.account(account, days=SPAN_DAYS, **given),
        api.account(account, "history", days=SPAN_DAYS, limit=SPAN_DAYS, **given),
        api.account(account, "people", days=SPAN_DAYS, limit=PEOPLE, **given),
        api.account(account, "events", name=tuple(KINDS.values()), kind=CALL, limit=RECORDS, before=before),
        api.account(account, "events", name=STANDING, kind=CALL, limit=STANDING_READ, before=before),
        api.get("/v1/signals", account=account, open=True, limit=OPEN, **given),
    )
    last = at or _day_of(whole)
    latest = whole["signals"]
    if whole["signals_total"] > len(latest):
        latest = (await api.get("/v1/signals", account=account, limit=TRANSITIONS, **given))["signals"]
    # A signal that opens between the two answers is in the first alone, which does not say whether it has eased.
    signals = [*({"eased": False, **each} for each in latest), *still_open["signals"]]
    read = {each["event_id"]: each for each in [*records["events"], *standing["events"]]}
    return _Told(whole, signals, Past(history["history"], last), people, recorded(read.values(), at))


def _day_of(whole: Told) -> date:
    """Return the day that the page ends with: that on which the newest snapshot of all was published."""
    return log_day(whole["as_of"]) if whole["as_of"] else today()


def _at(visit: Visit) -> tuple[date | None, tuple[str, str]]:
    """Return the past day that the address asks for, None for now; and what else it asks for, with what is wrong with it."""
    given = visit.request.query_params.get("at", "")
    if not given:
        return None, ("", "")
    try:
        day = read_date(given)
    except ValueError:
        return None, ("no_day", clipped(given, 40))
    return (day, ("", "")) if day <= today() else (None, ("future_day", day.isoformat()))


def _two_days(visit: Visit, told: _Told) -> tuple[date, date]:
    """Return the two days that are compared, the earlier first. Young accounts are compared with their first day."""
    chosen = []
    usual = told.past.last - timedelta(days=_USUAL_SPAN)
    first_day = max(usual, told.past.days[0].on) if told.past.days else usual
    for name, otherwise in (("from", first_day), ("to", told.past.last)):
        try:
            chosen.append(read_date(visit.request.query_params[name]))
        except (KeyError, ValueError):
            chosen.append(otherwise)
    first, last = sorted(chosen)
    return first, min(last, told.past.last)


def _span(account: str, last: date, at: date | None, days: int) -> tuple[int, str, str]:
    """Return a number of days, the day that lies so far back, and the address of the comparison with it."""
    day = (last - timedelta(days=days)).isoformat()
    return days, day, account_address(account, **({"at": at.isoformat()} if at else {}), **{"from": day})


async def _compared(visit: Visit, account: str, past: Past, day: date) -> Day | None:
    """Return what was known at the end of a day; days before the axis are asked for. None: nothing was."""
    known = past.on(day)
    if known is not None or day >= past.first:
        return known
    try:
        whole = await visit.api.account(account, days=1, at=day.isoformat())
    except ApiError as error:
        if error.status == httpx.codes.NOT_FOUND:
            return None
        raise
    return Day(whole["health"]) if whole["health"] else None


def _change(past: Past) -> float | None:
    """Return by how many points the score has moved in four weeks."""
    before = past.on(past.last - timedelta(days=28))
    if past.latest is None or before is None or not (past.latest.is_judged and before.is_judged):
        return None
    return float(past.latest.told["score"] - before.told["score"])
