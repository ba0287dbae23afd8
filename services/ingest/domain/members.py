"""The members of an event that have a field of their own in its record: each read, and checked on its own."""

from __future__ import annotations

from typing import Any

from services.ingest.domain import identity
from services.ingest.domain.limits import Limits
from services.ingest.domain.personal import UserIds
from services.ingest.domain.request import Rules
from services.ingest.errors import Code
from services.shared.errors import Rejected
from services.shared.tracking_plan.traffic import TrafficPlan

_KINDS = ("track", "page", "screen", "identify", "group", "alias")
_KIND_OF = {name: name.upper() for name in _KINDS} | {
    "t": "TRACK",
    "p": "PAGE",
    "s": "SCREEN",
    "i": "IDENTIFY",
    "g": "GROUP",
    "a": "ALIAS",
}

_FIRST = ("integrations", "channel", "_metadata", "groupId")
"""Members without a field of their own that SDKs send: they are written first, in this order, whatever was sent."""


def kind_named(name: str) -> str:
    """Return the kind that a path segment or type names, as the event record spells it; empty if none."""
    return _KIND_OF.get(name, "")


def member(event: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object that a member is, empty if it was not sent; refuse what is no object."""
    value = event.get(name)
    if value is None:
        return {}
    if type(value) is not dict:
        raise Rejected(Code.WRONG_TYPE, name, f"{name} must be a JSON object")
    return value


def kind_of(event: dict[str, Any]) -> str:
    """Return the kind of an event of a batch, as the event record spells it; refuse a type that there is not."""
    value = event.get("type")
    if value is None or value == "":
        raise Rejected(Code.MISSING_FIELD, "type", f"type is missing; send one of {', '.join(_KINDS)}")
    if type(value) is not str:
        raise Rejected(Code.WRONG_TYPE, "type", "type must be text")
    kind = _KIND_OF.get(value) or _KIND_OF.get(value.lower())
    if kind is None:
        raise Rejected(
            Code.UNKNOWN_TYPE, "type", f"{value[:40]!r} is no type of event; send one of {', '.join(_KINDS)}"
        )
    return kind


def name_of(event: dict[str, Any], kind: str, limits: Limits) -> str:
    """Return the name that was sent: of what happened, of a page or a screen; empty for other kinds."""
    if kind == "TRACK":
        value = event.get("event")
        if type(value) is int:
            raise Rejected(Code.WRONG_TYPE, "event", "event, the name of what happened, must be text")
        name = identity.text(value, "event", limits.name_chars)
        if not name and "batch" in event:
            raise Rejected(Code.MISSING_FIELD, "event", "this path takes one event; send a batch to /v1/batch")
        if not name:
            raise Rejected(Code.MISSING_FIELD, "event", "a track call needs event, the name of what happened")
        return name
    if kind in ("PAGE", "SCREEN"):
        return identity.text(event.get("name"), "name", limits.name_chars)
    return ""


def page_name(properties: dict[str, Any], context: dict[str, Any] | None, plan: TrafficPlan) -> str:
    """Return the tracking plan's name of the page, by its path; empty if it has none."""
    path = properties.get("path")
    if path is None and context and type(page := context.get("page")) is dict:
        path = page.get("path")
    return plan.page_name(path) if type(path) is str else ""


def person_of(event: dict[str, Any], rules: Rules) -> UserIds:
    """Return the ids of the user, as sent and as pseudonym."""
    limit = rules.limits.id_chars
    user_id = identity.text(event.get("userId"), "userId", limit)
    anonymous_id = identity.text(event.get("anonymousId"), "anonymousId", limit)
    return UserIds.of(user_id, anonymous_id, rules.pseudonyms)


def check_identity(event: dict[str, Any], kind: str, user: str, account: str, limits: Limits) -> str:
    """Refuse an event that does not say enough about whom it is of; return the former id that an alias call names."""
    previous = ""
    if kind == "GROUP" and not account:
        raise Rejected(Code.MISSING_FIELD, "groupId", "a group call needs groupId, the account")
    if kind == "ALIAS":
        previous = identity.text(event.get("previousId"), "previousId", limits.id_chars)
        if not previous:
            raise Rejected(Code.MISSING_FIELD, "previousId", "an alias call needs previousId")
        if not user:
            raise Rejected(Code.MISSING_FIELD, "userId", "an alias call needs userId")
    if not user and (kind == "IDENTIFY" or not account):
        raise Rejected(Code.MISSING_IDENTITY, "userId", "the event needs userId or anonymousId")
    return previous


def without_fields(event: dict[str, Any], kind: str, holder: str, by_group: bool) -> dict[str, Any]:
    """Return the members that have no field of their own; `event` is not to be used afterwards."""
    for name in (
        "type",
        "messageId",
        "timestamp",
        "originalTimestamp",
        "sentAt",
        "writeKey",
        "context",
        "userId",
        "anonymousId",
        holder,
    ):
        event.pop(name, None)
    if kind == "TRACK":
        event.pop("event", None)
    elif kind in ("PAGE", "SCREEN"):
        event.pop("name", None)
    if by_group:
        event.pop("groupId", None)
    for name in [name for name, value in event.items() if value is None]:
        del event[name]
    return {name: event.pop(name) for name in _FIRST if name in event} | event
