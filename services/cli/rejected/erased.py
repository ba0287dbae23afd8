"""
Whom a replay must not bring back: people and accounts that were erased after a letter was written.

An erasure orders it beside the letters too, on their own topics. There an order is kept for as long as a letter that it covers,
and is read with what says that letters were replayed. It names pseudonyms, so an original, which has ids, is compared by the
key of the pseudonyms.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeVar

import msgspec

from schemas import codec
from schemas.topics import DEAD_LETTERS
from services.cli.rejected.letters import Letter
from services.ingest.domain.accounts import AccountBook
from services.ingest.domain.body import split_batch, split_single
from services.ingest.domain.compression import decompress
from services.ingest.domain.decoding import BROKEN
from services.ingest.domain.limits import ACCOUNT_FIELDS, Limits
from services.ingest.domain.personal import UserIds
from services.shared.errors import Rejected
from services.shared.pseudonyms import Pseudonyms
from services.shared.replays import RequestFacts

ERASED = "it is of a person or an account that was erased since"
ERASED_IN_BODY = "it is a whole body, and somebody in it was erased since: send the events of the others again"
UNREADABLE = "it cannot be read, so nothing tells whether it is of somebody who was erased since"

Result = TypeVar("Result")

_ANY = 1 << 30
_BODY_BYTES, _BODY_EVENTS = 64 * 1024 * 1024, 100_000
_OF_SOMEBODY = ("usage_event", "user_link")
_OF_AN_ERASURE = (("OPERATOR", "FORGOTTEN"), ("OPERATOR", "SAME"))
"""Authority and kind of links by which an erasure is carried out."""
_LIMITS = Limits(_BODY_BYTES, _BODY_EVENTS, _ANY, _ANY, _ANY, _ANY, _ANY, _ANY)
"""
What ingest takes is its affair: here everything that can be read is. But a body stays within the most that ingest can be set to take,
since a few compressed kilobytes may hold tens of millions of events.
"""


class AccountNames(NamedTuple):
    """How ingest finds the account of an event."""

    fields: tuple[str, ...] = ACCOUNT_FIELDS
    book: AccountBook = AccountBook()


class Erased:
    """Who was erased, and until when. Take every order that was given since the first letter."""

    def __init__(self, pseudonyms: Callable[[], Pseudonyms], names: AccountNames) -> None:
        """
        Know of nobody yet.

        Args:
            pseudonyms: Gives the pseudonyms of the installation; asked for only if a person was erased.
            names: How ingest finds the account of an event.
        """
        self._pseudonyms = cache(pseudonyms)
        self._names = names
        self._people: dict[str, int] = {}
        self._accounts: dict[str, int] = {}
        self._until = -1
        """When the latest order was appended: newer letters are covered by none."""

    def note(self, order: Mapping[str, Any], at: int) -> None:
        """Take in an order (a decoded `erasure`) that was appended at `at`; the latest of several covers the others."""
        known, name = (self._people, order["user"]) if order["user"] else (self._accounts, order["account"])
        if name:
            known[name] = max(at, known.get(name, -1))
            self._until = max(at, self._until)

    def covers(self, users: set[str], accounts: set[str], at: int) -> bool:
        """Return whether one of these, given by pseudonym and id, was erased after `at`."""
        return any(at <= self._people.get(user, -1) for user in users) or any(
            at <= self._accounts.get(account, -1) for account in accounts
        )

    def why_not(self, letter: Letter) -> str:
        """
        Return why what a letter is about must not come back; empty: it may.

        Raises:
            Fatal: people were erased since, and there is no key of the pseudonyms.
        """
        if letter.at > self._until:
            return ""
        if letter.topic == DEAD_LETTERS:  # it may have the beginning alone; the record is looked at once it is read
            return self.why_not_record(letter.original, None, letter.at)
        facts = letter.facts or RequestFacts()
        try:
            for event, context in _events(letter.original, facts):
                if self.covers(self._users_of(event), self._accounts_of(event, context), letter.at):
                    return ERASED_IN_BODY if facts.whole and not facts.kind else ERASED
        except (Rejected, *BROKEN):
            return UNREADABLE
        return ""

    def why_not_record(self, record: bytes | None, key: bytes | None, at: int) -> str:
        """Return why a record of the log must not be appended again, whose letter was written at `at`; empty: it may."""
        try:
            name, value = codec.decode(record or b"")
        except codec.CodecError:
            whose = {(key or b"").decode(errors="replace")}
            return ERASED if self.covers(whose, whose, at) else ""
        if name not in _OF_SOMEBODY or (value.get("authority"), value.get("kind")) in _OF_AN_ERASURE:
            return ""
        users = {value["user"], value.get("known_as", "")}
        return ERASED if self.covers(users, {value["account"]}, at) else ""

    def _users_of(self, event: Mapping[str, Any]) -> set[str]:
        if not self._people:
            return set()
        pseudonyms = self._pseudonyms()
        user_id, anonymous_id, former = (_text(event.get(name)) for name in ("userId", "anonymousId", "previousId"))
        own = UserIds.of(user_id, anonymous_id, pseudonyms).user
        return {own, pseudonyms.of(former), pseudonyms.of_anonymous(former)} - {""}

    def _accounts_of(self, event: Mapping[str, Any], context: Mapping[str, Any] | None) -> set[str]:
        """Return each account that an event names, wherever ingest may look for one; of one that names none, the account of its e-mail domain."""
        if not self._accounts:
            return set()
        found = {_text(event.get("groupId"))}
        addresses = [event["traits"].get("email")] if isinstance(event.get("traits"), Mapping) else []
        for holder in (event.get("context"), context):
            if isinstance(holder, Mapping):
                found.add(_text(holder.get("groupId")))
                inner = holder.get("traits")
                addresses += [inner.get("email")] if isinstance(inner, Mapping) else []
        for holder in (event.get("traits"), event.get("properties")):
            if isinstance(holder, Mapping):
                found |= {_text(holder.get(name)) for name in self._names.fields}
                for name, member in (("company", "id"), ("$groups", "company")):
                    inner = holder.get(name)
                    found |= {_text(inner.get(member))} if isinstance(inner, Mapping) else set()
        book = self._names.book
        return {book.account(name) for name in found - {""}} or {book.of_address(*addresses, event.get("userId"))}


def _events(original: bytes, facts: RequestFacts) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Yield the events that an original holds, each with the context of its batch."""
    if not facts.whole:
        yield msgspec.json.decode(original, type=dict[str, Any]), facts.context
        return
    plain = _done(decompress(original, facts.encoding, _LIMITS.body_bytes))
    body = _done(split_single(plain) if facts.kind else split_batch(plain, _LIMITS))
    for event in body.events:
        yield msgspec.json.decode(event, type=dict[str, Any]), body.context


def _done(steps: Generator[Any, None, Result]) -> Result:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def _text(value: Any) -> str:
    """Return an id as ingest takes it: an integer as its digits; what it does not take is of nobody."""
    if type(value) is int:
        return str(value)
    return value if isinstance(value, str) and not value.isspace() else ""
