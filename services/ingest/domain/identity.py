"""
Who did it, for which account, and under which id: the three identifiers of an event.

Identifiers are compared byte by byte, so they are never trimmed, cut or folded: two long ids that were cut would
be taken for one.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from services.ingest.domain.limits import Limits
from services.ingest.errors import Code
from services.shared.errors import Rejected
from services.shared.pseudonyms import Pseudonyms

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_VOLATILE = frozenset({"sentAt", "writeKey", "_metadata", "receivedAt"})
"""Members that change between attempts to send the same event."""


def text(value: Any, field: str, limit: int) -> str:
    """
    Return an identifier or name as text, empty where it is missing; an integer is taken as its digits.

    Raises:
        Rejected: it is of another type, longer than `limit` characters, or holds control characters.
    """
    if value is None:
        return ""
    if type(value) is int:
        value = str(value)
    elif type(value) is not str:
        raise Rejected(Code.WRONG_TYPE, field, f"{field} must be text")
    if len(value) > limit:
        raise Rejected(Code.TOO_LONG, field, f"{len(value)} characters; at most {limit} are taken")
    if not value.isprintable() and _CONTROL.search(value):
        raise Rejected(Code.CONTROL_CHARACTERS, field, f"{field} holds control characters; remove them")
    return "" if value.isspace() else value


def content_id(kind: str, event: dict[str, Any], pseudonyms: Pseudonyms) -> str:
    """
    Return an id made of the event's content, the same for each attempt to send it.

    It goes on the long log and the content has the user id, so it is hashed with the key of the pseudonyms.
    """
    lasting = {name: value for name, value in event.items() if name not in _VOLATILE}
    content = msgspec.json.encode(lasting, order="deterministic")
    return "content-" + pseudonyms.content_hash(kind.encode() + content)


def account_of(
    event: dict[str, Any],
    properties: dict[str, Any],
    context: dict[str, Any] | None,
    fields: tuple[str, ...],
    limits: Limits,
    *,
    is_group: bool = False,
) -> tuple[str, bool]:
    """
    Return the account that an event belongs to, empty where it names none, and whether its `groupId` was it.

    Tried in order: `context.groupId`, `groupId`, the configured `fields` of properties (traits of identify and
    group calls), `company.id`, `$groups.company`. A group call speaks of its `groupId`, wherever its user is while it is made,
    so there that comes first.

    Raises:
        Rejected: the first that is there is not usable as an identifier.
    """
    if is_group and (account := text(event.get("groupId"), "groupId", limits.id_chars)):
        return account, True
    if context and (account := text(context.get("groupId"), "context.groupId", limits.id_chars)):
        return account, False
    if (value := event.get("groupId")) is not None and (account := text(value, "groupId", limits.id_chars)):
        return account, True
    if properties:
        for name in fields:
            if (value := properties.get(name)) is not None and (account := text(value, name, limits.id_chars)):
                return account, False
        for holder, name in (("company", "id"), ("$groups", "company")):
            inner = properties.get(holder)
            if type(inner) is dict and (account := text(inner.get(name), f"{holder}.{name}", limits.id_chars)):
                return account, False
    return "", False
