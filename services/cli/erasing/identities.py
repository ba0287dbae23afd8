"""
Who is the same person, and in which accounts, as attribution knows it.

The warehouse tells it by details, which are gone after 30 days, and by events that went from one id to another. What attribution
has learned from calls has no end: whom an anonymous id is known as, which user id took the place of which, and whose accounts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from schemas.topics import SCORER_USAGE_UNATTRIBUTED_STATE
from services.scorer.domain.attribution.membership import KnownUser
from services.scorer.domain.attribution.state import ALIASES_KEY, USER, AttributionState
from services.scorer.domain.attribution.waiting import WaitingBounds
from services.shared.kafka.reading import ends, scan
from services.shared.kafka.settings import KafkaSettings
from services.warehouse.domain.erasing import OTHERS

Told = dict[str, Any]
"""What the warehouse answers to a question for traces."""


class Identities:
    """What the state of attribution says of some users. Take its records in the order of each partition."""

    def __init__(self, users: Collection[str]) -> None:
        """Look for users, given as pseudonyms."""
        self._users = set(users)
        self._wanted = [each.encode() for each in users]
        self._found: dict[str, KnownUser] = {}
        self._aliases: dict[str, str] = {}

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """
        Take in a record of the state.

        Raises:
            IncompatibleState: a newer version wrote it.
        """
        if key == ALIASES_KEY and value is not None:
            self._aliases |= _restored(key, value).aliases
        if key is None or not key.startswith(USER):
            return
        name = key[len(USER) :].decode()
        user = None
        if value is not None and (name in self._users or any(each in value for each in self._wanted)):
            user = _restored(key, value).users.get(name)
        if user is not None and (name in self._users or user.same in self._users):
            self._found[name] = user
        else:
            self._found.pop(name, None)

    @property
    def accounts(self) -> set[str]:
        """Where the users are, as calls and events have said."""
        own = {name: user for name, user in self._found.items() if name in self._users}
        return {account for user in own.values() for account in (*user.accounts({}), *user.accounts(self._aliases))}

    @property
    def browsers(self) -> list[str]:
        """Pseudonyms that are known as one of the users, and of which no event had a user id."""
        return sorted(name for name, user in self._found.items() if name not in self._users and not user.identified)

    @property
    def others(self) -> list[str]:
        """Pseudonyms of user ids that are known as one of the users, or as which one of them is known by its user id."""
        of_ids = {name: user for name, user in self._found.items() if user.identified}
        return sorted((of_ids.keys() | {user.same for user in of_ids.values()}) - self._users - {""})


async def identities(kafka: KafkaSettings, users: Collection[str]) -> Identities:
    """
    Return what attribution knows of users; it reads the whole state topic.

    Raises:
        IncompatibleState: a newer version wrote it.
    """
    found = Identities(users)
    limits = await ends(kafka, SCORER_USAGE_UNATTRIBUTED_STATE, committed=True)
    async for record in scan(kafka, SCORER_USAGE_UNATTRIBUTED_STATE, stop=limits):
        found.take(record.key, record.value)
    return found


async def widened(
    traces: Told,
    known: Callable[[Collection[str]], Awaitable[Identities]],
    ask: Callable[[str], Awaitable[Told]],
    name_of: Callable[[str], Awaitable[str]],
    *,
    linked: bool,
) -> Told:
    """
    Return the traces of a person with what attribution knows beyond them; `forget` are pseudonyms that only attribution is to forget.

    Args:
        traces: What the warehouse told.
        known: Tells what attribution knows of pseudonyms.
        ask: Asks the warehouse for the traces of one more pseudonym.
        name_of: Returns the user id of a pseudonym, else the pseudonym.
        linked: Whether user ids that are linked go too, step by step and up to OTHERS.
    """
    wide = {**traces, "forget": []}
    while True:
        found = await known(wide["pseudonyms"])
        wide["accounts"] = sorted({*wide["accounts"], *found.accounts})
        wide["forget"] = sorted({*wide["forget"], *found.browsers} - {*wide["pseudonyms"]})
        stored = {each: await ask(each) for each in found.others[:OTHERS]}
        others = {each: await name_of(each) for each, of_one in stored.items() if of_one["rows"]}  # else erased before
        others = {user: name for user, name in others.items() if name not in {*wide["others"], *wide["linked"]}}
        if not linked or not others or len(wide["linked"]) + len(others) > OTHERS:
            wide["others"] = [*wide["others"], *others.values()]
            return wide
        wide["linked"] = [*wide["linked"], *others.values()]
        for user in others:
            _add(wide, stored[user])


def _add(wide: Told, more: Told) -> None:
    """Add the traces of one more pseudonym."""
    for name in ("pseudonyms", "accounts", "linked", "others"):
        wide[name] = list(dict.fromkeys([*wide[name], *more[name]]))
    wide["others"] = [each for each in wide["others"] if each not in wide["linked"]]
    wide["rows"] = {
        table: wide["rows"].get(table, 0) + more["rows"].get(table, 0) for table in {**wide["rows"], **more["rows"]}
    }


def _restored(key: bytes, value: bytes) -> AttributionState:
    state = AttributionState(1_000, WaitingBounds(), 1 << 62)
    state.restore(key, value)
    for _ in state.restoring():
        pass
    return state
