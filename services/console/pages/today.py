"""Today: what changed since yesterday, and the accounts with open signals, in the order in which to work on them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

from starlette.responses import Response

from services.console.addresses import account_address
from services.console.bands import JUDGED
from services.console.days import days_between
from services.console.owners import SHOWN, is_owner, meant, nearest_first, owners_of
from services.console.recorded.contacts import Contact, last_contacts
from services.console.recorded.judgements import Judgements, judgements
from services.console.recorded.losses import Loss, lost_accounts
from services.console.rendering import Visit
from services.shared.units import DAY_S

CHANGES_SHOWN = 12
"""So many accounts that changed are shown at first."""
MOST_SIGNALS = 100
"""So many signals to work on are shown, and so many accounts in each of the lists below them."""
_LOOKED_AT = 1_000
"""Open signals, the first in the order of work, of which it is looked up whether somebody needs to work on them."""
_BEHIND_DAYS = 2
"""So many days after the newest snapshot the page says that it is not of today."""


async def show(visit: Visit) -> Response:
    """Render the page, for all owners or for one's own accounts."""
    mine = visit.request.query_params.get("mine") == "1"
    owner = visit.identity.owner if mine else ""
    if mine and (not owner or "choose" in visit.request.query_params):
        return await _who(visit, "")
    told = await visit.api.get("/v1/today", owner=owner)
    # Nothing to do is good news only to somebody who has accounts.
    is_nobody = mine and told["as_of"] and not told["signals"] and not await is_owner(visit, owner)
    if is_nobody and (known := await owners_of(visit)):
        owner = meant(owner, known)
        if not owner:
            return await _who(visit, visit.identity.owner)
        told = await visit.api.get("/v1/today", owner=owner)
    changes = [_change(visit, change) for change in told["changes"]]
    losses, contacts, judged, is_told = await _recorded(visit) if told["signals"] else ({}, {}, {}, True)
    still_open = await _open_signals(visit, owner, told)
    signals = [_signal(signal, told["as_of"], judged) for signal in still_open.signals]
    lost = [each for each in signals if each["account"] in losses]
    aside = [each for each in signals if each["set_aside"] and each["account"] not in losses]
    left = [each for each in signals if not each["set_aside"] and each["account"] not in losses]
    to_do, done = left[:MOST_SIGNALS], [*lost, *aside]
    total, risks_total = still_open.total - len(done), still_open.risks - len(_risks(done))
    return visit.page(
        "today.html.jinja",
        "today",
        mine=mine,
        owner=owner,
        as_of=told["as_of"],
        behind=_is_behind(told["as_of"], visit.request.app.state.clock()),
        opened=told["opened"],
        resolved=told["resolved"],
        total=total,
        shown=len(to_do),
        risks=by_account(_risks(to_do)),
        risks_total=risks_total,
        chances=by_account(each for each in to_do if not _is_risk(each)),
        chances_total=total - risks_total,
        aside=by_account(aside),
        lost=by_account(lost),
        most=MOST_SIGNALS,
        is_told=is_told,
        losses=losses,
        contacts={account: (days_between(each.at, told["as_of"]), each) for account, each in contacts.items()},
        changes=changes,
        changes_total=told["changes_total"],
        changes_shown=CHANGES_SHOWN,
        judged=JUDGED,
    )


class _Open(NamedTuple):
    """Open signals in the order of the page, and how many are open in all."""

    signals: Sequence[Mapping[str, Any]]
    total: int
    risks: int


async def _open_signals(visit: Visit, owner: str, told: Mapping[str, Any]) -> _Open:
    """Return the signals that the API tells at first, or more where there are more: those to work on may come later."""
    first = told["signals"]
    if len(first) >= told["total"]:
        return _Open(first, told["total"], len(_risks(first)))
    wanted = {"owner": owner, "open": True}
    listed, risks = await asyncio.gather(
        visit.api.get("/v1/signals", **wanted, order="work", limit=_LOOKED_AT),
        visit.api.get("/v1/signals", **wanted, category="RISK", limit=1),
    )
    return _Open(sorted(listed["signals"], key=itemgetter("eased")), listed["total"], risks["total"])


async def _who(visit: Visit, unknown: str) -> Response:
    """Ask for the owner whose accounts are the reader's; `unknown` is a name that no account has."""
    owners = nearest_first(unknown, await owners_of(visit))
    return visit.page("who_are_you.html.jinja", "today", unknown=unknown, owners=owners, shown=SHOWN)


def by_account(signals: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return the signals of each account, in the order of its first: a person calls a customer, not a signal."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each in signals:
        found.setdefault(each["account"], []).append(each)
    return list(found.values())


def _is_behind(as_of: str | None, now_s: float) -> bool:
    """Return whether the newest data are so old that the page is not of today."""
    return as_of is not None and now_s - datetime.fromisoformat(as_of).timestamp() > _BEHIND_DAYS * DAY_S


async def _recorded(visit: Visit) -> tuple[Mapping[str, Loss], Mapping[str, Contact], Judgements, bool]:
    """Return what people recorded, and whether all of it was told."""
    api = visit.api
    losses, contacts, judged = await asyncio.gather(lost_accounts(api), last_contacts(api), judgements(api))
    return losses or {}, contacts or {}, judged or {}, None not in (losses, contacts, judged)


def _is_risk(signal: Mapping[str, Any]) -> bool:
    return bool(signal["category"] == "RISK")


def _risks(signals: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [each for each in signals if _is_risk(each)]


def _signal(signal: Mapping[str, Any], as_of: str, judged: Judgements) -> dict[str, Any]:
    said = judged.get((signal["account"], signal["episode_id"]))
    return {
        **signal,
        "name": signal["account_name"] or signal["account"],
        "address": account_address(signal["account"]),
        "kind": str(signal["severity"]).lower() if _is_risk(signal) else "expansion",
        "said": said,
        "said_days": days_between(said.at, as_of) if said else None,
        "set_aside": bool(said and said.sets_aside(signal)),
        "days": days_between(signal["episode_started_at"], as_of),
        "age": days_between(signal["at"], as_of),
        "renewal_in": days_between(as_of, signal["renewal_date"]),
    }


def _change(visit: Visit, change: Mapping[str, Any]) -> dict[str, Any]:
    before, after = change["from"], change["to"]
    known = before["score"] is not None and after["score"] is not None
    return {
        **change,
        "name": change["name"] or change["account"],
        "address": account_address(change["account"]),
        "points": after["score"] - before["score"] if known else None,
        "digits": 1 if known and round(before["score"]) == round(after["score"]) else 0,
        "reasons": visit.wording.reasons(change["why"]),
    }
