"""
Zendesk's ticket and organization events as ours, and the bodies that a trigger of ours sends.

A ticket is opened once, closed when it is solved, and opened again when it is reopened. That a solved ticket is closed some
days later is no second closing: how long tickets take is measured up to the solution.

An event of a ticket names its organization by Zendesk's number only, never by the `external_id` that may be the account.
Events of organizations have both: each makes a group call, so that it is known from then on whose the organization is. A
trigger can send the `external_id` itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from services.ingest.domain.webhooks.payload import Mapped, Payload, without_nothing

_TICKET, _ORGANIZATION = "zen:event-type:ticket.", "zen:event-type:organization."

EVENTS = {
    f"{_TICKET}created": "`Ticket Opened`; with `Ticket Closed` if it is solved already",
    f"{_TICKET}status_changed": "`Ticket Closed` when it is solved or closed, `Ticket Opened` when it is open again",
    f"{_TICKET}organization_changed": "`Ticket Closed` for the one account, `Ticket Opened` for the other",
    f"{_TICKET}merged": "`Ticket Closed`",
    f"{_TICKET}marked_as_spam": "`Ticket Closed`",
    f"{_TICKET}soft_deleted": "`Ticket Closed`",
    f"{_TICKET}undeleted": "`Ticket Opened`",
    f"{_ORGANIZATION}created": "a group call with the name",
    f"{_ORGANIZATION}name_changed": "a group call with the name",
    f"{_ORGANIZATION}external_id_changed": "a group call with the name",
    "tidemark:ticket_opened": "`Ticket Opened`",
    "tidemark:ticket_closed": "`Ticket Closed`",
    "tidemark:ticket_reopened": "`Ticket Opened`, later than what else its minute has",
}
"""Type of event to what becomes of it; docs/webhooks.md has the same table. The last three are bodies of triggers."""

ACCOUNTS = ("organization.external_id", "organization.id")
"""Where the account may be found."""

_DONE = frozenset({"SOLVED", "CLOSED"})
_GONE = frozenset({f"{_TICKET}merged", f"{_TICKET}marked_as_spam", f"{_TICKET}soft_deleted"})
_OPENED, _CLOSED = "Ticket Opened", "Ticket Closed"
_REOPENED = "tidemark:ticket_reopened"


def understands(account: str) -> bool:
    """Return whether this is a place where the account may be found."""
    return account in ACCOUNTS


def events_of(payload: Payload, account_at: str) -> Mapped:
    """
    Return what becomes of one of Zendesk's events, or of the body of a trigger.

    Args:
        payload: The event.
        account_at: One of `ACCOUNTS`.

    Raises:
        Rejected: it does not have what an event of its type has.
    """
    kind = payload.required("type")
    if kind not in EVENTS:
        return Mapped(kind, [], "events of this type are not taken")
    if kind.startswith("tidemark:"):
        return Mapped(kind, [_triggered(payload, kind, account_at)])
    if kind.startswith(_ORGANIZATION):
        return _organization(payload, kind, account_at)
    return _ticket(payload, kind, account_at)


def _ticket(payload: Payload, kind: str, account_at: str) -> Mapped:
    status = payload.text("detail", "status").upper()
    organization = _number_at(payload, "detail", "organization_id")
    happened: list[tuple[str, str]] = []
    """Name of the event, and the organization that it is of."""
    if kind == f"{_TICKET}status_changed":
        before, now = (payload.text("event", when).upper() in _DONE for when in ("previous", "current"))
        if before != now:
            happened = [(_CLOSED if now else _OPENED, organization)]
    elif kind == f"{_TICKET}created":
        happened = [(_OPENED, organization)] + ([(_CLOSED, organization)] if status in _DONE else [])
    elif status in _DONE:
        pass  # it was closed before
    elif kind == f"{_TICKET}organization_changed":
        happened = [
            (_CLOSED, _number_at(payload, "event", "previous")),
            (_OPENED, _number_at(payload, "event", "current")),
        ]
    else:
        happened = [(_CLOSED if kind in _GONE else _OPENED, organization)]
    if not happened:
        return Mapped(kind, [], "the ticket is as open, or as closed, as it was before")
    ticket = payload.required("detail", "id")
    event_id, at = payload.required("id"), payload.required("time")
    properties = without_nothing(
        {
            "ticket_id": ticket,
            "priority": payload.text("detail", "priority").lower(),
            "channel": payload.text("detail", "via", "channel"),
        }
    )
    requester = payload.text("detail", "requester_id")
    return Mapped(
        kind,
        [
            {
                "type": "track",
                "event": name,
                "messageId": event_id if name == happened[0][0] else f"{event_id}:{name.split()[1].lower()}",
                "timestamp": at,
                "properties": properties,
                **_whose(of if account_at == "organization.id" else "", _user(of, requester or ticket)),
            }
            for name, of in happened
        ],
    )


def _number_at(payload: Payload, *path: str) -> str:
    """Return the number of an organization; Zendesk sends null or 0 where there is none."""
    number = payload.text(*path)
    return "" if number == "0" else number


def _organization(payload: Payload, kind: str, account_at: str) -> Mapped:
    number = payload.required("detail", "id")
    account = number if account_at == "organization.id" else payload.text("detail", "external_id")
    if not account:
        return Mapped(kind, [], "the organization has no external_id, so it is not known whose it is")
    return Mapped(
        kind,
        [
            {
                "type": "group",
                "groupId": account,
                "userId": _user(number, ""),
                "messageId": payload.required("id"),
                "timestamp": payload.required("time"),
                "traits": without_nothing({"name": payload.text("detail", "name")}),
            }
        ],
    )


def _triggered(payload: Payload, kind: str, account_at: str) -> dict[str, Any]:
    ticket, at = payload.required("ticket_id"), payload.required("at")
    name = EVENTS[kind].split("`")[1]
    account = payload.text("organization", account_at.removeprefix("organization."))
    return {
        "type": "track",
        "event": name,
        "messageId": f"{ticket}:{kind.rpartition('_')[2]}:{at}",
        "timestamp": _after(at) if kind == _REOPENED else at,
        "properties": without_nothing({"ticket_id": ticket, "priority": payload.text("priority").lower()}),
        **_whose(account, payload.text("requester_email") or _user("", ticket)),
    }


def _after(at: str) -> str:
    """
    Return a time a little later; what is no time as it is, for admission to refuse.

    Triggers know times to the minute. A ticket that is opened and solved within one is closed, so one that is solved and
    opened again within one has to differ.
    """
    try:
        return (datetime.fromisoformat(at) + timedelta(milliseconds=1)).isoformat()
    except (ValueError, OverflowError):
        return at


def _whose(account: str, user: str) -> dict[str, Any]:
    """Return the members that say whose an event is: nobody used the product, so with an account it has no user."""
    return {"groupId": account} if account else {"userId": user}


def _user(organization: str, requester: str) -> str:
    return f"organization-{organization}.zendesk" if organization else f"requester-{requester}.zendesk"
