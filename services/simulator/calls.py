"""The calls of Segment's format that the simulated product makes, each a plain dictionary."""

from __future__ import annotations

from typing import Any

from services.shared.units import date_of, written_time
from services.simulator.records import Record
from services.simulator.roster import Customer, Person
from services.simulator.storylines import Storyline, begins, renewal_in

Call = dict[str, Any]

PAGES = ("Dashboard", "Reports", "Inbox", "Settings", "Team")
TRACKS = ("Search Performed", "Comment Added", "Filter Applied", "File Uploaded")
VALUE_EVENTS = ("Report Shared", "Workflow Completed")


def track(person: Person, account: Customer, name: str, properties: dict[str, Any]) -> Call:
    """Return a track call."""
    return _call("track", account, person) | {"event": name, "properties": properties}


def page(person: Person, account: Customer, name: str) -> Call:
    """Return a page call."""
    path = name.lower()
    return _call("page", account, person) | {
        "name": name,
        "properties": {"path": f"/{path}", "url": f"https://app.example/{path}"},
    }


def identify(person: Person, account: Customer) -> Call:
    """Return the call that names a person."""
    return _call("identify", account, person) | {"traits": {"name": person.name, "email": person.user}}


def group(account: Customer, last_day: int, weeks: int) -> Call:
    """Return the call that carries the account's facts; `last_day` in days since 1970."""
    first = begins(account.storyline, weeks, account.shift)
    young = account.storyline in (Storyline.ONBOARDING_STUCK, Storyline.ONBOARDING_WELL)
    signed = date_of(last_day - (first + 3 if young else account.contract_age_days))
    renewal = date_of(last_day + renewal_in(account.storyline, account.shift))
    return _call("group", account, account.people[0]) | {
        "groupId": account.account,
        "traits": {
            "name": account.name,
            "owner": account.owner,
            "plan": account.plan,
            "seats": account.seats,
            "revenue": account.revenue,
            "contract_start": signed.isoformat(),
            "renewal_date": renewal.isoformat(),
            **({"country": account.country} if account.country else {}),
        },
    }


def by_agent(call: Call) -> Call:
    """Return the call as one that an agent makes for its person."""
    return call | {"context": {**call["context"], "actor": "agent"}}


def recorded(record: Record, account: Customer, last_day: int) -> Call:
    """Return the call that somebody of the vendor makes about an account: it has no user."""
    days = {name: date_of(last_day - left).isoformat() for name, left in record.days.items()}
    properties = {**days, **record.properties}
    return {"type": "track", "event": record.event, "context": {"groupId": account.account}, "properties": properties}


def stamped(call: Call, message_id: str, at_ms: int) -> Call:
    """Return the call with its id and its time."""
    return call | {"messageId": message_id, "timestamp": written_time(at_ms, "milliseconds")}


def _call(kind: str, account: Customer, person: Person) -> Call:
    return {"type": kind, "userId": person.user, "context": {"groupId": account.account}}
