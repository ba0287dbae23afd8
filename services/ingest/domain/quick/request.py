"""The events of one request, taken the quick way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.flat_writer import long, size_of, text
from services.ingest.domain import identity, timing
from services.ingest.domain.decoding import BROKEN, finite, has_long_number
from services.ingest.domain.members import page_name
from services.ingest.domain.personal import part
from services.ingest.domain.plan_check import checked
from services.ingest.domain.quick.way import KINDS, Origin, QuickWay, RememberedName, RememberedPerson
from services.ingest.domain.request import Request
from services.shared.errors import Rejected
from services.shared.tracking_plan.actors import number_said
from services.shared.tracking_plan.event_check import Beside
from services.shared.units import DAY_MS

_ELSEWHERE = (Rejected, *BROKEN, TypeError, KeyError)
_NOTHING = b"{}"
_NOTHING_WRITTEN = size_of(_NOTHING) + _NOTHING
_encode = msgspec.json.Encoder().encode


Taken = tuple[str, RememberedPerson, bytes, bytes | None, int]
"""An event that was taken: its id, whose it is, the values of its record and of that of its details, when it happened."""


class _Event(msgspec.Struct, forbid_unknown_fields=True, gc=False):
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


class _Extra(msgspec.Struct, omit_defaults=True, gc=False):
    """What of it has no field of its own, in the order in which `admit` writes it."""

    integrations: Any = None
    channel: Any = None
    metadata: Any = msgspec.field(default=None, name="_metadata")
    groupId: str | None = None  # noqa: N815
    name: str | None = None
    context: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Event, float_hook=finite).decode


def quick_request(way: QuickWay, request: Request) -> QuickRequest | None:
    """Return what takes the events of a request; None where all of them have to be judged with care."""
    origin = way.origin(request)
    return None if origin is None else QuickRequest(way, request, origin)


class QuickRequest:
    """Takes the events of one request."""

    __slots__ = (
        "_context", "_day", "_depth", "_details_begins", "_details_middle", "_ends", "_event_begins", "_id_chars", "_largest",
        "_origin", "_persons", "_received", "_request", "_skew", "_way",
    )  # fmt: skip

    def __init__(self, way: QuickWay, request: Request, origin: Origin) -> None:
        self._way = way
        self._request = request
        self._context = request.context
        self._origin = origin
        self._persons = origin.persons
        limits = way.rules.limits
        self._largest, self._depth, self._id_chars = limits.event_bytes, limits.depth, limits.id_chars
        self._received = long(request.received_at)
        self._day = request.received_at // DAY_MS
        self._event_begins, self._details_begins = way.prefixes
        self._details_middle = self._received + origin.epoch
        self._skew = 0
        """The last correction, which is mostly that of all events."""
        self._ends: dict[int, bytes] = {}
        """What comes after the time of an event with this correction and without properties, by the standing of its person and its actor."""

    def take(self, raw: bytes) -> Taken | None:
        """Return an event as its records; None where it has to be judged with care."""
        # The limits first: what is over one of them is not even parsed.
        if len(raw) > self._largest or raw.count(b"{") + raw.count(b"[") > self._depth or has_long_number(raw):
            return None
        try:
            event = _decode(raw)
            kind = self._request.kind or KINDS[event.type]
            id_, name, context = event.messageId, event.event, event.context
            if not id_ or len(id_) > self._id_chars or not id_.isprintable() or id_.isspace():
                return None
            if self._context is not None:
                context = {**self._context, **context} if context else self._context
            extra = _Extra(event.integrations, event.channel, event.metadata, event.groupId, None, context or None)
            if context and (account := context.get("groupId")):
                known = account, event.userId or "", event.anonymousId or ""
                person = self._persons.get(known) or self._person(event, context, extra)
            else:
                person = self._person(event, context, extra)
            if kind != "TRACK":
                name = self._page(event, kind, context, extra)
            elif event.name is not None:
                return None
            called = self._way.names[kind].get(name) or self._way.name(kind, name)  # type: ignore[arg-type]
            if person is None or called is None:
                return None
            properties = event.properties or {}
            if called.planned and checked(
                self._way.rules.plan, self._request.plan_mode, called.kind, called.name, properties,
                Beside(has_user=bool(person.user), day=self._day, from_browser=self._request.client == "browser"),
            ):  # fmt: skip
                return None
            actor = called.actor or person.actor or self._origin.actor
            if context and "actor" in context:
                said = number_said(context)
                if said is None:
                    return None
                actor = said or actor
            return self._records(
                id_, person, called, person.standing + 8 * actor, self._times(event), properties, extra
            )
        except _ELSEWHERE:
            return None

    def _records(
        self,
        id_: str,
        person: RememberedPerson,
        called: RememberedName,
        standing: int,
        times: tuple[int, int],
        properties: Mapping[str, Any],
        extra: _Extra,
    ) -> Taken | None:
        occurred_at, skew = times
        clear = rest = _NOTHING
        if called.clear and not called.clear.isdisjoint(properties):
            stays, properties = part(properties, called.clear, folded=False)
            clear = _encode(stays)
        if properties:
            rest = _encode(properties)
        more = _encode(extra)
        if len(clear) + len(rest) + len(more) > self._way.room:
            return None
        origin, occurred, begin = self._origin, long(occurred_at), text(id_)
        value = b"".join(
            (
                self._event_begins, begin, origin.event, person.whose, called.value, occurred,
                self._end(standing, skew, clear),
            )
        )  # fmt: skip
        if not person.user and rest == more == _NOTHING:
            return id_, person, value, None, occurred_at
        details = b"".join(
            (
                self._details_begins, begin, origin.details, person.ids, occurred, self._details_middle, size_of(rest),
                rest, size_of(more), more,
            )
        )  # fmt: skip
        return id_, person, value, details, occurred_at

    def _end(self, standing: int, skew: int, clear: bytes) -> bytes:
        """Return what comes in the record of an event after the time when it happened."""
        origin = self._origin
        if clear is not _NOTHING:
            return b"".join(
                (self._received, long(skew), origin.live, size_of(clear), clear, origin.standings[standing])
            )
        if skew != self._skew:
            self._skew = skew
            self._ends.clear()
        end = self._ends.get(standing)
        if end is None:
            end = self._ends[standing] = b"".join(
                (self._received, long(skew), origin.live, _NOTHING_WRITTEN, origin.standings[standing])
            )
        return end

    def _person(self, event: _Event, context: dict[str, Any] | None, extra: _Extra) -> RememberedPerson | None:
        """Return whose the event is, wherever it names an account; None where that needs care."""
        rules = self._way.rules
        user_id, anonymous_id = event.userId or "", event.anonymousId or ""
        account, by_group = identity.account_of(
            {"groupId": event.groupId}, event.properties or {}, context, rules.account_fields, rules.limits
        )
        if by_group:
            extra.groupId = None
        return self._persons.get((account, user_id, anonymous_id)) or self._way.meet(
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
        return timing.occurred(timing.to_millis(stamp, "timestamp"), sent_at, request.received_at)
