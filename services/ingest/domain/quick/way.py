"""What the quick way remembers between requests: sources, persons and names of events, encoded."""

from __future__ import annotations

from itertools import product
from sys import getsizeof

import msgspec

from schemas import codec
from services.ingest.domain import identity
from services.ingest.domain.personal import AUTHORITY, Sender, UserIds, UserLink, Where, links
from services.ingest.domain.request import Request, Rules
from services.shared.tracking_plan.actors import NUMBERS, SYMBOLS

KINDS = {"track": "TRACK", "page": "PAGE", "screen": "SCREEN"}
"""The kinds of events that are taken, by the `type` that names them."""
TAKEN = frozenset(KINDS.values())
_REMEMBERED_PERSONS = 50_000
"""Persons: 80 MB at the most, 30 MB of ordinary ones. When there are more, all are forgotten."""
_REMEMBERED_NAMES = 20_000
"""Names of each kind of event, of all together 50 MB at the most."""
_REMEMBERED_BYTES = 400
"""The most memory that a person's identifiers, or a name, may take to be remembered: 250 letters, or 80 emoji. Longer ones are encoded each time."""
_OTHER_BYTES = 32 * 1024
"""More than key and value of a record have beside its JSON."""


class RememberedPerson(msgspec.Struct, frozen=True, gc=False):
    """What all events of one person in one account have in common."""

    account: str
    user: str
    key: bytes
    """The key of the event's record."""
    details_key: bytes
    whose: bytes
    """Account and user, as the record of an event has them."""
    ids: bytes
    """Account, user and the ids as they were sent, as the details have them."""
    standing: int
    """The sum of 1 if the person is identified, 2 if it is left out, and 4 if it has an account."""
    actor: int
    """The number of what the tracking plan says the user is (actors.py), 0: nothing."""
    links: tuple[UserLink, ...]


Persons = dict[tuple[str, str, str], RememberedPerson]
"""By account, user id and anonymous id."""


class RememberedName(msgspec.Struct, frozen=True, gc=False):
    """What all events of one kind and name have in common."""

    value: bytes
    """Kind, name and whether it is use, as the record of an event has them."""
    clear: frozenset[str]
    """The properties that stay on the long log."""
    kind: str
    name: str
    actor: int
    """The number of who acts by the plan (actors.py), 0: it does not say."""
    planned: bool
    """Whether the tracking plan has anything to say about it."""


class _Parts:
    """The writers of the parts that records are put together from, at the level in force."""

    def __init__(self) -> None:
        self.level = codec.level()
        _, self.origin, self.whose, self.name, _, _, _, self.epoch, _, self.end = codec.parts(
            "usage_event", ("event_id",), ("id_source", "source", "environment"), ("account", "user"), ("kind", "name", "use"),
            ("occurred_at",), ("received_at",), ("skew_ms",), ("epoch", "historical"), ("properties",),
            ("identified", "internal", "via", "forwards", "authority", "actor", "accepted_by"),
        )  # fmt: skip
        _, self.details_origin, self.ids, _, _, self.details_epoch, _, _ = codec.parts(
            "event_details", ("event_id",), ("source", "environment"), ("account", "user", "user_id", "anonymous_id"),
            ("occurred_at",), ("received_at",), ("epoch",), ("properties",), ("extra",),
        )  # fmt: skip


class Origin:
    """What all events of one source have in common."""

    __slots__ = ("actor", "details", "epoch", "event", "live", "persons", "standings")

    def __init__(self, parts: _Parts, request: Request, persons: Persons) -> None:
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
        self.actor = NUMBERS[request.actor]
        self.standings = [
            parts.end(
                {
                    "identified": identified,
                    "internal": internal,
                    "via": "EVENT" if has_account else "UNKNOWN",
                    "forwards": 0,
                    "authority": AUTHORITY[request.client],
                    "actor": actor,
                    "accepted_by": request.accepted_by,
                }
            )
            for actor in SYMBOLS
            for has_account, internal, identified in product((False, True), repeat=3)
        ]
        """The end of an event's record, by the standing of its person and eight times the number of its actor."""


class QuickWay:
    """One for a process; it remembers a bounded number of persons and names."""

    def __init__(self, rules: Rules, largest_record: int) -> None:
        """Take the rules by which `admit` judges, and how many bytes key and value of a record may have."""
        self.rules = rules
        self.room = largest_record - _OTHER_BYTES
        self._begin()

    def _begin(self) -> None:
        self._parts = _Parts()
        self._origins: dict[tuple[str, ...], Origin] = {}
        self._persons: dict[tuple[str, str], Persons] = {}
        self.names: dict[str, dict[str, RememberedName]] = {kind: {} for kind in TAKEN}
        """By kind and by name as sent."""
        self.prefixes = codec.prefix("usage_event"), codec.prefix("event_details")

    def origin(self, request: Request) -> Origin | None:
        """Return what the events of a request have in common; None where all of them have to be judged with care."""
        if request.backfill or self.rules.denylist or (request.kind and request.kind not in TAKEN):
            return None
        if self._parts.level != codec.level():
            self._begin()  # what is remembered is encoded at the former level
        named = request.source, request.environment, request.client, request.accepted_by, request.actor or ""
        origin = self._origins.get(named)
        if origin is None:
            persons = self._persons.setdefault((request.client, request.environment), {})
            origin = self._origins[named] = Origin(self._parts, request, persons)
        return origin

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
        identified = bool(user_id)
        internal = identified and rules.plan.leaves_out(user_id)
        said = links(
            "TRACK", ids, Where(account), "", rules.pseudonyms,
            Sender(AUTHORITY[request.client], request.environment, internal),
        )  # fmt: skip
        person = RememberedPerson(
            account,
            user,
            (account or user).encode(),
            (user or account).encode(),
            self._parts.whose(value),
            self._parts.ids(value),
            identified + 2 * internal + 4 * bool(account),
            rules.plan.actor_of_user(user_id) if identified else 0,
            tuple(said),
        )
        if getsizeof(named) + getsizeof(user_id) + getsizeof(anonymous_id) <= _REMEMBERED_BYTES:
            if sum(map(len, self._persons.values())) >= _REMEMBERED_PERSONS:
                for known in self._persons.values():
                    known.clear()
            self._persons[request.client, request.environment][named, user_id, anonymous_id] = person
        return person

    def name(self, kind: str, name: str | None) -> RememberedName | None:
        """Return what a name of events stands for, as sent or as the plan calls a page; None where it needs care."""
        known = self.names[kind]
        if name is None or (kind == "TRACK" and not name):
            return None
        if kind == "TRACK" and identity.text(name, "name", self.rules.limits.name_chars) != name:
            return None
        plan = self.rules.plan
        planned = bool(plan.named(kind, name) or plan.violations(kind, name, {}))
        value = self._parts.name({"kind": kind, "name": name, "use": plan.is_use(kind, name)})
        actor = plan.actor_of_name(kind, name)
        found = RememberedName(value, plan.clear_properties(kind, name), kind, name, actor, planned)
        if getsizeof(name) <= _REMEMBERED_BYTES:
            if len(known) >= _REMEMBERED_NAMES:
                known.clear()
            known[name] = found
        return found
