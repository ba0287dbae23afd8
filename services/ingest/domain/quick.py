"""
The quick way for events of the common shape: the verdict and the records of `admission.admit`, for a fraction of the time.

It only ever accepts. Whatever is not of the common shape, or not quite right, gives None, and `admit` judges the bytes
anew; so every refusal, every warning and every odd case has one home. What it accepts becomes the same records byte for
byte (held by a property test).

Three things make it quick: what all events of a request have in common is encoded once; so is what all events of a
person, and all events of a name, have in common, for as long as they are remembered; and the rest goes into the records
without dictionaries in between. Identifiers are checked when they are met; those remembered were right.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

import msgspec

from schemas import codec
from schemas.flat_writer import long, size_of, text
from services.ingest.domain import identity, timing
from services.ingest.domain.admission import BROKEN, Request, Rules, finite, has_long_number, page_name
from services.ingest.domain.personal import AUTHORITY, Sender, UserIds, UserLink, Where, links, part
from services.ingest.domain.plan_check import checked
from services.shared.errors import Rejected

_KINDS = {"track": "TRACK", "page": "PAGE", "screen": "SCREEN"}
_TAKEN = frozenset(_KINDS.values())
_ELSEWHERE = (Rejected, *BROKEN, TypeError, KeyError)
_REMEMBERED_PERSONS = 50_000
"""Persons, about 50 MB at the most. When there are more, all are forgotten."""
_REMEMBERED_NAMES = 20_000
_REMEMBERED_CHARS = 256
"""Of the identifiers of a person, or of a name: longer ones are encoded each time."""
_EMPTY = b"{}"
_OTHER_BYTES = 32 * 1024
"""More than key and value of a record have beside its JSON."""
_encode = msgspec.json.Encoder().encode


class RememberedPerson(NamedTuple):
    """What all events of one person in one account have in common."""

    account: str
    user: str
    key: bytes
    """Of the record of an event."""
    details_key: bytes
    whose: bytes
    """Account and user, as the record of an event has them."""
    ids: bytes
    """Account, user and the ids as they were sent, as the details have them."""
    standing: tuple[bool, bool, bool]
    """Whether the person is identified, is left out, and has an account."""
    links: tuple[UserLink, ...]


_Persons = dict[tuple[str, str, str], RememberedPerson]
"""By account, user id and anonymous id."""


class _Name(NamedTuple):
    """What all events of one kind and name have in common."""

    value: bytes
    """Kind and name, as the record of an event has them."""
    clear: frozenset[str]
    """The properties that stay on the long log."""
    kind: str
    name: str
    planned: bool
    """Whether the tracking plan has anything to say about it."""


Taken = tuple[str, RememberedPerson, bytes, bytes | None, int]
"""An event that was taken: its id, whose it is, the values of its two records, and when it happened."""


class _Event(msgspec.Struct, forbid_unknown_fields=True):
    """What SDKs send; with anything else, an event is judged with care."""

    messageId: str  # noqa: N815 - the wire's names
    timestamp: str | None = None
    type: str = ""
    event: str | None = None
    name: str | None = None
    userId: str | None = None  # noqa: N815
    anonymousId: str | None = None  # noqa: N815
    groupId: str | None = None  # noqa: N815
    context: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None
    originalTimestamp: str | None = None  # noqa: N815
    sentAt: str | None = None  # noqa: N815
    writeKey: str | None = None  # noqa: N815
    integrations: Any = None
    channel: Any = None
    metadata: Any = msgspec.field(default=None, name="_metadata")


class _Extra(msgspec.Struct, omit_defaults=True):
    """What of it has no field of its own, in the order in which `admit` writes it."""

    integrations: Any = None
    channel: Any = None
    metadata: Any = msgspec.field(default=None, name="_metadata")
    groupId: str | None = None  # noqa: N815
    name: str | None = None
    context: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Event, float_hook=finite).decode


class _Parts:
    """The writers of the parts that records are put together from, at the level in force."""

    def __init__(self) -> None:
        self.level = codec.level()
        _, self.origin, self.whose, self.name, _, _, _, self.epoch, _, self.end = codec.parts(
            "usage_event", ("event_id",), ("id_source", "source", "environment"), ("account", "user"), ("kind", "name"),
            ("occurred_at",), ("received_at",), ("skew_ms",), ("epoch", "historical"), ("properties",),
            ("identified", "internal", "via", "forwards", "authority", "accepted_by"),
        )  # fmt: skip
        _, self.details_origin, self.ids, _, _, self.details_epoch, _, _ = codec.parts(
            "event_details", ("event_id",), ("source", "environment"), ("account", "user", "user_id", "anonymous_id"),
            ("occurred_at",), ("received_at",), ("epoch",), ("properties",), ("extra",),
        )  # fmt: skip


class _Origin:
    """What all events of one source have in common."""

    __slots__ = ("details", "epoch", "event", "live", "persons", "standings")

    def __init__(self, parts: _Parts, request: Request, persons: _Persons) -> None:
        common = {
            "id_source": "CLIENT",
            "source": request.source,
            "environment": request.environment,
            "epoch": request.epoch,
            "historical": request.historical,
        }
        self.event = parts.origin(common)
        self.details = parts.details_origin(common)
        self.live = parts.epoch(common)
        self.epoch = parts.details_epoch(common)
        self.persons = persons
        self.standings = {
            standing: parts.end(
                dict(zip(("identified", "internal"), standing, strict=False))
                | {"via": "EVENT" if standing[2] else "UNKNOWN", "forwards": 0}
                | {"authority": AUTHORITY[request.client], "accepted_by": request.accepted_by}
            )
            for standing in product((False, True), repeat=3)
        }


class QuickWay:
    """One for a process; it remembers a bounded number of persons and names."""

    def __init__(self, rules: Rules, largest_record: int) -> None:
        """Take the rules by which `admit` judges, and how many bytes key and value of a record may have."""
        self.rules = rules
        self.id_chars = rules.limits.id_chars
        self.room = largest_record - _OTHER_BYTES
        self._begin()

    def _begin(self) -> None:
        self.parts = _Parts()
        self._origins: dict[tuple[str, ...], _Origin] = {}
        self._persons: dict[tuple[str, str], _Persons] = {}
        self._names: dict[str, dict[str, _Name]] = {kind: {} for kind in _TAKEN}

    def of(self, request: Request) -> QuickRequest | None:
        """Return what takes the events of a request; None where all of them have to be judged with care."""
        if request.backfill or self.rules.denylist or (request.kind and request.kind not in _TAKEN):
            return None
        if self.parts.level != codec.level():
            self._begin()  # what is remembered is encoded at the former level
        named = request.source, request.environment, request.client, request.accepted_by
        origin = self._origins.get(named)
        if origin is None:
            persons = self._persons.setdefault((request.client, request.environment), {})
            origin = self._origins[named] = _Origin(self.parts, request, persons)
        return QuickRequest(self, request, origin, self._names)

    def meet(self, request: Request, named: str, user_id: str, anonymous_id: str) -> RememberedPerson | None:
        """Return a person who was not met yet, from a valid account and ids as sent; None where they need care."""
        rules = self.rules
        account = rules.accounts.account(named)
        if not account and rules.accounts.domains:
            return None  # the e-mail address may tell the account
        limit = rules.limits.id_chars
        for given, field in ((user_id, "userId"), (anonymous_id, "anonymousId")):
            if identity.text(given, field, limit) != given:
                return None
        ids = UserIds.of(user_id, anonymous_id, rules.pseudonyms)
        user = ids.user
        if not user and not account:
            return None
        value = {"account": account, "user": user, "user_id": user_id, "anonymous_id": anonymous_id}
        internal = bool(user_id) and rules.plan.leaves_out(user_id)
        said = links(
            "TRACK", ids, Where(account), "", rules.pseudonyms,
            Sender(AUTHORITY[request.client], request.environment, internal),
        )  # fmt: skip
        person = RememberedPerson(
            account,
            user,
            (account or user).encode(),
            (user or account).encode(),
            self.parts.whose(value),
            self.parts.ids(value),
            (bool(user_id), internal, bool(account)),
            tuple(said),
        )
        if len(named) + len(user_id) + len(anonymous_id) <= _REMEMBERED_CHARS:
            if sum(map(len, self._persons.values())) >= _REMEMBERED_PERSONS:
                for known in self._persons.values():
                    known.clear()
            self._persons[request.client, request.environment][named, user_id, anonymous_id] = person
        return person

    def name(self, kind: str, name: str | None) -> _Name | None:
        """Return what a name of events stands for, as sent or as the plan calls a page; None where it needs care."""
        known = self._names[kind]
        if name is None or (kind == "TRACK" and not name):
            return None
        if kind == "TRACK" and identity.text(name, "name", self.rules.limits.name_chars) != name:
            return None
        plan = self.rules.plan
        planned = bool(plan.named(kind, name) or plan.violations(kind, name, {}))
        value = self.parts.name({"kind": kind, "name": name})
        found = _Name(value, plan.clear_properties(kind, name), kind, name, planned)
        if len(name) <= _REMEMBERED_CHARS:
            if len(known) >= _REMEMBERED_NAMES:
                known.clear()
            known[name] = found
        return found


class QuickRequest:
    """Takes the events of one request."""

    __slots__ = (
        "_context", "_depth", "_details_begins", "_event_begins", "_largest", "_names", "_origin", "_received", "_request",
        "_room", "_skew", "_way",
    )  # fmt: skip

    def __init__(self, way: QuickWay, request: Request, origin: _Origin, names: dict[str, dict[str, _Name]]) -> None:
        self._way = way
        self._request = request
        self._context = request.context
        self._origin = origin
        self._names = names
        self._largest = way.rules.limits.event_bytes
        self._depth = way.rules.limits.depth
        self._room = way.room
        self._received = long(request.received_at)
        self._event_begins = codec.prefix("usage_event")
        self._details_begins = codec.prefix("event_details")
        self._skew = 0, b"\0"
        """The last correction, which is mostly that of all events, and its bytes."""

    def take(self, raw: bytes) -> Taken | None:
        """Return an event as its records; None where it has to be judged with care."""
        # The limits first: what is over one of them is not even parsed.
        if len(raw) > self._largest or raw.count(b"{") + raw.count(b"[") > self._depth or has_long_number(raw):
            return None
        try:
            event = _decode(raw)
            kind = self._request.kind or _KINDS[event.type]
            id_, name, context = event.messageId, event.event, event.context
            if not id_ or len(id_) > self._way.id_chars or not id_.isprintable() or id_.isspace():
                return None
            if self._context is not None:
                context = {**self._context, **context} if context else self._context
            extra = _Extra(event.integrations, event.channel, event.metadata, event.groupId, None, context or None)
            person = self._person(event, context, extra)
            if kind != "TRACK":
                name = self._page(event, kind, context, extra)
            elif event.name is not None:
                return None
            called = self._names[kind].get(name) or self._way.name(kind, name)  # type: ignore[arg-type]
            if person is None or called is None:
                return None
            occurred_at, skew = self._times(event)
            return self._records(id_, person, called, occurred_at, skew, event.properties or {}, extra)
        except _ELSEWHERE:
            return None

    def _records(
        self,
        id_: str,
        person: RememberedPerson,
        called: _Name,
        occurred_at: int,
        skew: int,
        properties: Mapping[str, Any],
        extra: _Extra,
    ) -> Taken | None:
        request = self._request
        if called.planned and checked(self._way.rules.plan, request.plan_mode, called.kind, called.name, properties):
            return None
        clear, rest = _EMPTY, _EMPTY
        if called.clear and not called.clear.isdisjoint(properties):
            stays, properties = part(properties, called.clear, folded=False)
            clear = _encode(stays)
        if properties:
            rest = _encode(properties)
        more = _encode(extra)
        if len(clear) + len(rest) + len(more) > self._room:
            return None
        if self._skew[0] != skew:
            self._skew = skew, long(skew)
        origin, received, occurred, begin = self._origin, self._received, long(occurred_at), text(id_)
        value = b"".join(
            (
                self._event_begins, begin, origin.event, person.whose, called.value, occurred, received, self._skew[1],
                origin.live, size_of(clear), clear, origin.standings[person.standing],
            )
        )  # fmt: skip
        if not person.user and rest == more == _EMPTY:
            return id_, person, value, None, occurred_at
        details = b"".join(
            (
                self._details_begins, begin, origin.details, person.ids, occurred, received, origin.epoch, size_of(rest),
                rest, size_of(more), more,
            )
        )  # fmt: skip
        return id_, person, value, details, occurred_at

    def _person(self, event: _Event, context: dict[str, Any] | None, extra: _Extra) -> RememberedPerson | None:
        account = context.get("groupId") if context else None
        user_id, anonymous_id = event.userId or "", event.anonymousId or ""
        if account:
            found = self._origin.persons.get((account, user_id, anonymous_id))
            if found is not None:
                return found
        rules = self._way.rules
        account, by_group = identity.account_of(
            {"groupId": event.groupId}, event.properties or {}, context, rules.account_fields, rules.limits
        )
        if by_group:
            extra.groupId = None
        return self._origin.persons.get((account, user_id, anonymous_id)) or self._way.meet(
            self._request, account, user_id, anonymous_id
        )

    def _page(self, event: _Event, kind: str, context: dict[str, Any] | None, extra: _Extra) -> str | None:
        """Return what a page or screen is called; a page by the plan, and then what the sender calls it is extra."""
        if event.event is not None:
            return None
        rules = self._way.rules
        sent = identity.text(event.name, "name", rules.limits.name_chars)
        if kind == "PAGE":
            planned = page_name(event.properties or {}, context, rules.plan)
            if planned and planned != sent:
                extra.name = sent or None
                return planned
        return sent

    def _times(self, event: _Event) -> tuple[int, int]:
        request = self._request
        sent_at = request.sent_at
        if sent_at is None and event.sentAt is not None:
            sent_at = timing.sent_at_millis(event.sentAt)
        stamp = event.originalTimestamp if event.timestamp is None else event.timestamp
        return timing.occurred(
            timing.to_millis(stamp, "timestamp"), sent_at, request.received_at, self._way.rules.limits
        )
