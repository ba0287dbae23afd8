"""
The rules by which one event is taken: from the bytes of one event to a record for the log, or a refusal.

`admit` is a function of its arguments alone. It either returns, or raises `Rejected` with the code, the field and
a sentence for the sender; there is no third way, whatever the bytes are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from services.ingest.domain import identity, timing
from services.ingest.domain.accounts import AccountBook
from services.ingest.domain.decoding import BROKEN, decoded
from services.ingest.domain.diagnosis import diagnose
from services.ingest.domain.members import (
    check_identity,
    kind_of,
    member,
    name_of,
    page_name,
    person_of,
    without_fields,
)
from services.ingest.domain.personal import AUTHORITY, Sender, UserLink, Where, links, part
from services.ingest.domain.plan_check import checked
from services.ingest.domain.request import Request, Rules
from services.shared.tracking_plan.actors import NUMBERS, SYMBOLS, number_said
from services.shared.tracking_plan.event_check import Beside, Violation
from services.shared.units import DAY_MS

_TRAITS = frozenset({"IDENTIFY", "GROUP"})
_CLIENT, _CONTENT, _ASSIGNED = "CLIENT", "CONTENT", "ASSIGNED"
_encode = msgspec.json.Encoder().encode


class Admitted(NamedTuple):
    """An event that was taken."""

    event: dict[str, Any]
    """As the UsageEvent record has it."""
    details: dict[str, Any] | None
    """What it holds beyond that, as the EventDetails record has it; None: nothing."""
    links: list[UserLink]
    """What it says about its user."""
    violations: list[Violation] | None = None
    """What breaks the tracking plan in it, if anything does."""

    @property
    def key(self) -> bytes:
        """The record's key: the account, else the user."""
        return (self.event["account"] or self.event["user"]).encode()  # type: ignore[no-any-return]


def admit(raw: bytes, request: Request, rules: Rules, assign_id: Callable[[], str]) -> Admitted:
    """
    Judge one event.

    `assign_id` is called for an event that has neither an id nor a timestamp.

    Raises:
        Rejected: with the code, the field and what to do about it.
    """
    limits = rules.limits
    event = rules.denylist.clean(decoded(raw, limits, rules.denylist))
    context = member(event, "context")
    if request.context is not None:
        context = {**request.context, **context} if context else request.context
    kind = request.kind or kind_of(event)
    holder = "traits" if kind in _TRAITS else "properties"
    properties = member(event, holder)

    given = event.get("messageId")
    event_id = identity.text(given, "messageId", limits.id_chars)
    person = person_of(event, rules)
    named, by_group = identity.account_of(
        event, properties, context, rules.account_fields, limits, is_group=kind == "GROUP"
    )
    account = rules.accounts.account(named)
    sent_name = name = name_of(event, kind, limits)
    if kind == "PAGE":
        name = page_name(properties, context, rules.plan) or name
    previous = check_identity(event, kind, person.user, account, limits)
    said_actor = number_said(context)

    timestamp = event.get("timestamp")
    stamp = timing.to_millis(event.get("originalTimestamp") if timestamp is None else timestamp, "timestamp")
    if request.backfill:
        occurred_at, skew = timing.historical(stamp, request.received_at), 0
    else:
        sent_at = request.sent_at
        if sent_at is None and "sentAt" in event:
            sent_at = timing.sent_at_millis(event["sentAt"])
        occurred_at, skew = timing.occurred(stamp, sent_at, request.first_received_at or request.received_at)
    received_at = request.received_of(occurred_at)
    beside = Beside(said_actor, bool(person.user), received_at // DAY_MS, request.client == "browser")
    violations = checked(rules.plan, request.plan_mode, kind, name, properties, beside)

    if event_id:
        id_source = _CLIENT
    elif stamp is not None:
        event_id, id_source = identity.content_id(kind, event, rules.pseudonyms), _CONTENT
    else:
        event_id, id_source = assign_id(), _ASSIGNED

    event = without_fields(event, kind, holder, by_group)
    if sent_name != name and sent_name:
        event["name"] = sent_name
    if context:
        event["context"] = context
    clear, rest = part(properties, rules.plan.clear_properties(kind, name), folded=kind in _TRAITS)
    try:
        properties_json = _encode(clear).decode() if clear else "{}"
        rest_json = _encode(rest).decode() if rest else "{}"
        extra_json = _encode(event).decode() if event else "{}"
    except BROKEN as error:
        raise diagnose(raw, error, rules.denylist) from None
    user_id, anonymous_id, user = person
    internal = bool(user_id) and rules.plan.leaves_out(user_id)
    taken = {
        "event_id": event_id,
        "id_source": id_source,
        "source": request.source,
        "environment": request.environment,
        "account": account,
        "user": user,
        "kind": kind,
        "name": name,
        "use": rules.plan.is_use(kind, name),
        "occurred_at": occurred_at,
        "received_at": received_at,
        "skew_ms": skew,
        "epoch": request.epoch,
        "historical": request.historical,
        "properties": properties_json,
        "identified": bool(user_id),
        "internal": internal,
        "via": "EVENT" if account else "UNKNOWN",
        "forwards": 0,
        "authority": AUTHORITY[request.client],
        "actor": SYMBOLS[said_actor or rules.plan.actor_of(kind, name, user_id) or NUMBERS[request.actor]],
        "accepted_by": request.accepted_by,
    }
    details = None
    if user or rest or event:
        details = {
            "event_id": event_id,
            "source": request.source,
            "environment": request.environment,
            "account": account,
            "user": user,
            "user_id": user_id,
            "anonymous_id": anonymous_id,
            "occurred_at": occurred_at,
            "received_at": received_at,
            "epoch": request.epoch,
            "properties": rest_json,
            "extra": extra_json,
        }
    said = links(
        kind,
        person,
        _where(account, kind, properties, context, user_id, rules.accounts),
        previous,
        rules.pseudonyms,
        Sender(AUTHORITY[request.client], request.environment, internal),
    )
    return Admitted(taken, details, said, violations)


def _where(
    account: str, kind: str, properties: dict[str, Any], context: dict[str, Any] | None, user_id: str, book: AccountBook
) -> Where:
    """
    Return what the event tells of the user's account: what it names, else what the user's e-mail address suggests.

    By the address alone the event goes to attribution: a call that names the account of this user counts for more.
    """
    if account or not book.domains:
        return Where(account)
    traits = context.get("traits") if context else None
    addresses = (
        properties.get("email") if kind == "IDENTIFY" else None,
        traits.get("email") if type(traits) is dict else None,
        user_id,
    )
    return Where(book.of_address(*addresses), "DOMAIN")
