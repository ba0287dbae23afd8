"""What the weekly report is made of, as the query API answers it. Every list that is read has a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from services.console.api_client import Api
from services.console.bands import JUDGED
from services.console.recorded.judgements import judgements_on_record
from services.console.recorded.losses import losses_on_record
from services.shared.errors import Fatal

Found = Mapping[str, Any]

BASE_WEEKS = 30
SPARK_WEEKS = 13
DAYS = 7
NEWS_POINTS = 5.0
"""A score that moves by less in a week is no news while the band stays."""
MOST_SIGNALS = 100
MOST_ROWS = 60
"""So many changed accounts, signals that opened and signals that were resolved are listed; all are counted."""
_PAGE = 1000
_MOST_PAGES = 50
_TOLD_OWNERS = 10
_AT_ONCE = 4
"""So many questions at a time: the API answers other readers meanwhile."""


@dataclass(frozen=True, slots=True)
class Week:
    """One week of a portfolio. Days are texts such as `2026-03-31`."""

    owner: str
    as_of: str
    first_day: str
    """The day from whose end on the week is told."""
    last_day: str
    base: Sequence[Found]
    """Accounts and revenue by band, week by week, oldest first."""
    accounts: Sequence[Found]
    """All accounts, largest revenue first, each with its score week by week."""
    total: int
    """How many there are; more than `accounts` where there are very many."""
    changed: Sequence[Found]
    """Those that changed, the worst first, each with `before` and `now`; the first ones have `why`."""
    signals: Sequence[Found]
    """Open signals that somebody needs to work on, in the order in which to work them; those that have eased come last."""
    open_total: int
    """How many there are of these, listed or not."""
    open_critical: int
    set_aside: int
    """Open signals beside them: of accounts that are lost, and those that were judged not useful."""
    fired: Sequence[Found]
    """Signals that opened in the week, latest first."""
    fired_total: int
    """How many there are of these, listed or not."""
    resolved: Sequence[Found]
    resolved_total: int
    lost: frozenset[str] = frozenset()
    """Accounts that are on record as lost, which renew nothing."""


async def read(api: Api, *, owner: str = "", at: str | None = None) -> Week:
    """
    Return the week that ends now, or at the end of a day.

    Args:
        api: The query API.
        owner: Whose accounts; empty: everybody's.
        at: The day, as `2026-03-31`.

    Raises:
        ApiError: the API refuses, or does not answer.
        Fatal: there is nothing to report on; says what to do.
    """
    critical = {"category": "RISK", "severity": "CRITICAL", "limit": 1}
    base, opened, worst, listed, (lost, is_set_aside) = await asyncio.gather(
        api.get("/v1/portfolio", weeks=BASE_WEEKS, owner=owner, at=at),
        api.get("/v1/signals", open=True, order="work", limit=_PAGE, owner=owner, at=at),
        api.get("/v1/signals", open=True, owner=owner, at=at, **critical),
        _accounts(api, owner, at),
        _set_aside(api, at),
    )
    accounts, total = listed
    if base["as_of"] is None:
        raise Fatal("nothing is stored yet: a report needs accounts. `tidemark demo` has sixty simulated ones")
    if not total:
        raise Fatal(await _no_accounts(api, owner, at))
    last_day = base["weeks"][-1]["day"]
    first_day = (datetime.fromisoformat(last_day) - timedelta(days=DAYS)).date().isoformat()
    since = f"{datetime.fromisoformat(first_day).date() + timedelta(days=1)}T00:00:00Z"
    news = {"since": since, "order": "latest", "limit": MOST_ROWS, "owner": owner, "at": last_day}
    changed, fired, resolved = await asyncio.gather(
        _changed(api, accounts, at),
        api.get("/v1/signals", transition="firing", **news),
        api.get("/v1/signals", transition="resolved", **news),
    )
    to_do: list[Found] = []
    aside: list[Found] = []
    for each in opened["signals"]:
        (aside if is_set_aside(each) else to_do).append(each)
    return Week(
        owner=owner,
        as_of=base["as_of"],
        first_day=first_day,
        last_day=last_day,
        base=[week for week in base["weeks"] if week["bands"]],
        accounts=accounts,
        total=total,
        changed=changed,
        signals=sorted(to_do, key=itemgetter("eased"))[:MOST_SIGNALS],
        open_total=opened["total"] - len(aside),
        open_critical=worst["total"] - sum(_is_critical(each) for each in aside),
        set_aside=len(aside),
        fired=fired["signals"],
        fired_total=fired["total"],
        resolved=resolved["signals"],
        resolved_total=resolved["total"],
        lost=lost,
    )


async def _set_aside(api: Api, at: str | None) -> tuple[frozenset[str], Callable[[Found], bool]]:
    """Return who was lost by a day, and what says of an open signal whether nobody needs to work on it, by what was on record then."""
    losses, judged = await asyncio.gather(losses_on_record(api), judgements_on_record(api, at))
    lost = frozenset(loss.account for loss in losses.losses if at is None or loss.date <= at)

    def is_set_aside(signal: Found) -> bool:
        if signal["account"] in lost:
            return True
        said = judged.get((signal["account"], signal["episode_id"]))
        return said is not None and said.sets_aside(signal)

    return lost, is_set_aside


def _is_critical(signal: Found) -> bool:
    return bool(signal["category"] == "RISK" and signal["severity"] == "CRITICAL")


async def _accounts(api: Api, owner: str, at: str | None) -> tuple[list[Found], int]:
    found: list[Found] = []
    asked = {"sort": "-revenue", "weeks": SPARK_WEEKS, "owner": owner, "at": at, "limit": _PAGE}
    total = 0
    async for page in _pages(api, "/v1/accounts", asked, _MOST_PAGES):
        found += page["accounts"]
        total = page["total"]
    return found, total


async def _no_accounts(api: Api, owner: str, at: str | None) -> str:
    if not owner:
        return f"no account was known at the end of {at}: choose a later day"
    told = await api.get("/v1/accounts", sort="-revenue", limit=_PAGE, at=at)
    owners = sorted({each["owner"] for each in told["accounts"] if each["owner"]})
    some = ", ".join(repr(each) for each in owners[:_TOLD_OWNERS]) or "none has an owner"
    return f"no account has the owner {owner!r}; the largest ones have: {some}"


async def _changed(api: Api, accounts: Sequence[Found], at: str | None) -> list[Found]:
    found: list[Found] = [each for account in accounts if (each := _change(account)) is not None]
    found.sort(key=lambda each: (each["points"] is None or each["points"] >= 0, -abs(each["points"] or 0.0)))
    turns = asyncio.Semaphore(_AT_ONCE)

    async def explained_by(account: str) -> list[Found]:
        async with turns:
            return await _why(api, account, at)

    explained = await asyncio.gather(*(explained_by(each["account"]) for each in found[:MOST_ROWS]))
    return [{**each, "why": why} for each, why in zip(found, explained, strict=False)] + found[MOST_ROWS:]


def _change(account: Found) -> dict[str, Any] | None:
    """Return an account with what it was a week ago and what it is now; None: it is much the same."""
    before, now = (account.get("weeks") or [None, None])[-2:]
    if before is None or now is None:
        return None
    judged = before["band"] in JUDGED and now["band"] in JUDGED
    points = now["score"] - before["score"] if judged else None
    if before["band"] == now["band"] and (points is None or abs(points) < NEWS_POINTS):
        return None
    return {**account, "before": before, "now": now, "points": points, "why": []}


async def _why(api: Api, account: str, at: str | None) -> list[Found]:
    """Return the parts of the score that moved it most in the week, in the direction in which it went."""
    told = await api.account(account, "history", days=DAYS + 1, limit=DAYS + 1, at=at)
    days = told["history"]
    if len(days) < 2:
        return []
    new = {part["name"]: part for part in days[0]["parts"]}
    old = {part["name"]: part for part in days[-1]["parts"]}
    fell = days[0]["score"] < days[-1]["score"]
    parts = []
    for name in [*new, *(each for each in old if each not in new)]:
        part = new.get(name) or old[name]
        change = (new[name]["points"] if name in new else 0.0) - (old[name]["points"] if name in old else 0.0)
        if change and (change < 0) == fell:
            parts.append({**part, "change": change})
    return sorted(parts, key=lambda part: -abs(part["change"]))


async def _pages(api: Api, path: str, asked: Mapping[str, Any], most: int) -> AsyncIterator[Found]:
    cursor = None
    for _ in range(most):
        page = await api.get(path, **asked, cursor=cursor)
        yield page
        cursor = page["next"]
        if cursor is None:
            return
