"""
The rules by which one event is taken: from the bytes of one event to a record for the log, or a refusal.

`admit` is a function of its arguments alone. It either returns, or raises `Rejected` with the code, the field and
a sentence for the sender; there is no third way, whatever the bytes are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from services.ingest.domain import identity, timing
from services.ingest.domain.accounts import AccountBook
from services.ingest.domain.denylist import Denylist
from services.ingest.domain.diagnosis import depth_of, diagnose, unusable_member
from services.ingest.domain.limits import ACCOUNT_FIELDS, Limits
from services.ingest.domain.personal import AUTHORITY, Sender, UserIds, UserLink, Where, links, part
from services.ingest.domain.plan_check import PlanMode, checked
from services.ingest.errors import Code
from services.shared.errors import Rejected
from services.shared.pseudonyms import Pseudonyms
from services.shared.tracking_plan.actors import NUMBERS, SYMBOLS, Actor, number_said
from services.shared.tracking_plan.plan import DenyPlan
from services.shared.tracking_plan.traffic import TrafficPlan, Violation

_KINDS = ("track", "page", "screen", "identify", "group", "alias")
_KIND_OF = {name: name.upper() for name in _KINDS} | {
    "t": "TRACK",
    "p": "PAGE",
    "s": "SCREEN",
    "i": "IDENTIFY",
    "g": "GROUP",
    "a": "ALIAS",
}
_TRAITS = frozenset({"IDENTIFY", "GROUP"})
_CLIENT, _CONTENT, _ASSIGNED = "CLIENT", "CONTENT", "ASSIGNED"
BROKEN = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)

_FIRST = ("integrations", "channel", "_metadata", "groupId")
"""Members without a field of their own that SDKs send: they are written first, in this order, whatever was sent."""

_DIGITS = bytes(48 if 48 <= byte <= 57 else 46 for byte in range(256))
_TWENTY_DIGITS = b"0" * 20
"""The shortest run of digits that can be an integer of more than 64 bits."""


def finite(text: str) -> float:
    """Return the number that JSON text is; refuse what no double holds, such as 1e999."""
    value = float(text)
    if math.isinf(value):
        raise ValueError("the number is out of range")
    return value


def has_long_number(raw: bytes) -> bool:
    """Return whether an integer of more than 64 bits may be in it, which msgspec would take."""
    return _TWENTY_DIGITS in raw.translate(_DIGITS)


class _Id(msgspec.Struct):
    messageId: msgspec.Raw = msgspec.Raw(b"")  # noqa: N815 - the wire's name


# Without the hook msgspec takes 7 us for each number like 1e300: five seconds for a body of 4 MB.
_decode = msgspec.json.Decoder(dict[str, Any], float_hook=finite).decode
_decode_id = msgspec.json.Decoder(_Id).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Rules:
    """What an installation configures about admission."""

    pseudonyms: Pseudonyms
    plan: TrafficPlan
    limits: Limits = field(default_factory=Limits)
    account_fields: tuple[str, ...] = ACCOUNT_FIELDS
    denylist: Denylist = field(default_factory=lambda: Denylist(DenyPlan()))
    accounts: AccountBook = field(default_factory=AccountBook)


class Request(msgspec.Struct, frozen=True):
    """What all events of one request have in common."""

    source: str
    environment: str
    received_at: int
    """Milliseconds since 1970 UTC."""
    first_received_at: int = 0
    """When what is replayed was received at first, by which its times are corrected; 0: it is no replay."""
    kind: str = ""
    """Kind that the path names, as the event record spells it; empty for a batch."""
    sent_at: int | None = None
    context: dict[str, Any] | None = None
    backfill: bool = False
    """Whether times are the sender's own: uncorrected, and of any age."""
    epoch: int = 0
    historical: bool = False
    accepted_by: str = ""
    """Name of this ingest, whose clock `received_at` is."""
    client: str = "server"
    """Who holds the write key, `server` or `browser`: whether what is said about memberships can be believed."""
    plan_mode: PlanMode = "observe"
    actor: Actor | None = None
    """Who acts, where neither the event nor the tracking plan says it; None: people."""

    def received_of(self, occurred_at: int) -> int:
        """Return the receipt of an event: in a driven epoch, log time is when it happened."""
        return occurred_at if self.backfill and self.epoch else self.received_at


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


def kind_named(name: str) -> str:
    """Return the kind that a path segment or type names, as the event record spells it; empty if none."""
    return _KIND_OF.get(name, "")


def admit(raw: bytes, request: Request, rules: Rules, assign_id: Callable[[], str]) -> Admitted:
    """
    Judge one event.

    `assign_id` is called for an event that has neither an id nor a timestamp.

    Raises:
        Rejected: with the code, the field and what to do about it.
    """
    limits = rules.limits
    event = rules.denylist.clean(_object(raw, rules))
    context = _member(event, "context")
    if request.context is not None:
        context = {**request.context, **context} if context else request.context
    kind = request.kind or _kind(event)
    holder = "traits" if kind in _TRAITS else "properties"
    properties = _member(event, holder)

    given = event.get("messageId")
    event_id = identity.text(given, "messageId", limits.id_chars)
    person = _person(event, rules)
    named, by_group = identity.account_of(event, properties, context, rules.account_fields, limits)
    account = rules.accounts.account(named)
    sent_name = name = _name(event, kind, limits)
    if kind == "PAGE":
        name = page_name(properties, context, rules.plan) or name
    previous = _check_identity(event, kind, person.user, account, limits)
    said_actor = number_said(context)
    violations = checked(rules.plan, request.plan_mode, kind, name, properties, said_actor)

    timestamp = event.get("timestamp")
    stamp = timing.to_millis(event.get("originalTimestamp") if timestamp is None else timestamp, "timestamp")
    if request.backfill:
        occurred_at, skew = _historical(stamp), 0
    else:
        sent_at = request.sent_at
        if sent_at is None and "sentAt" in event:
            sent_at = timing.sent_at_millis(event["sentAt"])
        occurred_at, skew = timing.occurred(stamp, sent_at, request.first_received_at or request.received_at, limits)
    received_at = request.received_of(occurred_at)

    if event_id:
        id_source = _CLIENT
    elif stamp is not None:
        event_id, id_source = identity.content_id(kind, event, rules.pseudonyms), _CONTENT
    else:
        event_id, id_source = assign_id(), _ASSIGNED

    event = _without_fields(event, kind, holder, by_group)
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


def message_id_of(raw: bytes, limits: Limits) -> str:
    """Return the id that a refused event carries, as far as it can be read and shown; empty otherwise."""
    try:
        given = bytes(_decode_id(raw).messageId)
        value = msgspec.json.decode(given) if len(given) <= 8 * limits.id_chars else None
    except BROKEN:
        return ""
    if type(value) is int:
        value = str(value)
    return value if isinstance(value, str) and len(value) <= limits.id_chars else ""


def _object(raw: bytes, rules: Rules) -> dict[str, Any]:
    limits = rules.limits
    if len(raw) > limits.event_bytes:
        raise Rejected(
            Code.EVENT_TOO_LARGE, "", f"the event is {len(raw)} bytes; at most {limits.event_bytes} are taken"
        )
    # Counting brackets is far cheaper than following them, and nearly always enough.
    if raw.count(b"{") + raw.count(b"[") > limits.depth and depth_of(raw) > limits.depth:
        raise Rejected(
            Code.TOO_DEEP, "", f"objects and lists are nested over {limits.depth} deep; send flatter properties"
        )
    try:
        event = _decode(raw)
    except BROKEN as error:
        raise diagnose(raw, error, rules.denylist) from None
    if has_long_number(raw) and (fault := unusable_member(event, rules.denylist)):
        raise fault
    return event


def _member(event: dict[str, Any], name: str) -> dict[str, Any]:
    value = event.get(name)
    if value is None:
        return {}
    if type(value) is not dict:
        raise Rejected(Code.WRONG_TYPE, name, f"{name} must be a JSON object")
    return value


def _kind(event: dict[str, Any]) -> str:
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


def _name(event: dict[str, Any], kind: str, limits: Limits) -> str:
    if kind == "TRACK":
        value = event.get("event")
        if type(value) is int:
            raise Rejected(Code.WRONG_TYPE, "event", "event, the name of what happened, must be text")
        name = identity.text(value, "event", limits.name_chars)
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


def _person(event: dict[str, Any], rules: Rules) -> UserIds:
    limit = rules.limits.id_chars
    user_id = identity.text(event.get("userId"), "userId", limit)
    anonymous_id = identity.text(event.get("anonymousId"), "anonymousId", limit)
    return UserIds.of(user_id, anonymous_id, rules.pseudonyms)


def _check_identity(event: dict[str, Any], kind: str, user: str, account: str, limits: Limits) -> str:
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


def _historical(stamp: int | None) -> int:
    if stamp is None:
        raise Rejected(Code.MISSING_FIELD, "timestamp", "an event of a backfill needs timestamp")
    if stamp < 0:
        raise Rejected(Code.TIMESTAMP_OUT_OF_RANGE, "timestamp", "times before 1970 are not taken")
    return stamp


def _without_fields(event: dict[str, Any], kind: str, holder: str, by_group: bool) -> dict[str, Any]:
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
