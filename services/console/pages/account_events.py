"""The events of an account, the newest first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from services.console.account.records import is_record
from services.console.addresses import account_address
from services.console.rendering import Visit

SHOWN = 20


async def events_of(visit: Visit, account: str, at: date | None = None) -> dict[str, Any]:
    """Return what the list of events shows: those up to a day, or the newest."""
    cursor = visit.request.query_params.get("events")
    before = (at + timedelta(days=1)).isoformat() if at and at < date.max else None
    told = await visit.api.account(account, "events", limit=SHOWN, cursor=cursor, before=before)
    then = {"at": at.isoformat()} if at else {}
    return {
        "events": [_shown(event) for event in told["events"]],
        "events_total": told["total"],
        "events_older": account_address(account, **then, events=told["next"]) if told["next"] else "",
        "events_newest": account_address(account, **then) if cursor is not None else "",
        "events_live": cursor is None and at is None,
    }


def _shown(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": event["name"] or str(event["kind"]).capitalize(),
        "kind": str(event["kind"]).lower(),
        "who": event["user_id"] or event["anonymous_id"] or event["user"],
        "at": event["occurred_at"],
        "source": event["source"],
        "environment": event["environment"],
        "is_record": is_record(event),
    }
