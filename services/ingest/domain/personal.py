"""
What of an event goes where: the long log has what scoring needs, and nothing that says who a person is.

`usage-events` gets the pseudonym and the properties that the tracking plan names; `usage-details`, which is kept for
a short time, gets the rest. What the event says about its user goes to attribution as links.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from services.shared.pseudonyms import Pseudonyms

AUTHORITY = {"browser": "BROWSER", "server": "SERVER"}
"""By who holds a write key: the authority of what is sent with it, as links have it."""


class UserIds(NamedTuple):
    """Who an event is about."""

    user_id: str
    anonymous_id: str
    user: str
    """The pseudonym of the user id, else of the anonymous id; empty: there is neither."""

    @classmethod
    def of(cls, user_id: str, anonymous_id: str, pseudonyms: Pseudonyms) -> UserIds:
        """Return who these ids name."""
        user = pseudonyms.of(user_id) if user_id else pseudonyms.of_anonymous(anonymous_id)
        return cls(user_id, anonymous_id, user)


class Where(NamedTuple):
    """The account that an event tells of, empty for none, and how it was found: `EVENT` or `DOMAIN`."""

    account: str
    via: str = "EVENT"


class Sender(NamedTuple):
    """Who says something about a user, and where."""

    authority: str
    environment: str
    internal: bool
    """Whether the tracking plan leaves the user out."""


class UserLink(msgspec.Struct, frozen=True, gc=False):
    """Something that an event says about a user; see the record UserLink."""

    kind: str
    user: str
    identified: bool
    account: str
    known_as: str
    authority: str
    environment: str
    via: str = "EVENT"
    """How the account was found, as in UsageEvent."""
    internal: bool = False
    """Whether the tracking plan leaves the user out; of SAME, whether it leaves out `known_as`."""
    login: bool = False
    """Of SAME: whether an identify or alias call says so, not just an event with both ids."""

    @property
    def repeats(self) -> bool:
        """Whether it says nothing new the next time: then it is sent only now and then."""
        return self.via == "DOMAIN" if self.kind == "MEMBER" else not self.login


def part(
    properties: Mapping[str, Any], kept: frozenset[str], *, folded: bool
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """
    Return what of the properties stays on the long log, and the rest.

    Args:
        properties: As they were sent.
        kept: The names that stay; of traits in lower case.
        folded: Whether the properties are traits, whose names are compared without regard to case.
    """
    if not kept or not properties:
        return {}, properties
    clear = {name: value for name, value in properties.items() if (name.lower() if folded else name) in kept}
    if not clear:
        return clear, properties
    return clear, {name: value for name, value in properties.items() if name not in clear}


def links(
    kind: str,
    person: UserIds,
    where: Where,
    previous: str,
    pseudonyms: Pseudonyms,
    sender: Sender,
) -> list[UserLink]:
    """
    Return what an event says about its user.

    A group or identify call says where the user belongs. Any other event that names an account is a hint at it. An
    event with both ids says that they are one person, and an alias call says so of the former id. An e-mail address at
    the domain of an account says where the user belongs, where nobody says anything better.
    """
    user_id, anonymous_id, user = person
    if not user:
        return []
    authority, environment, internal = sender
    said = (authority, environment)
    same = (*said, "EVENT", internal, kind in ("IDENTIFY", "ALIAS"))
    found = []
    account, via = where
    if account:
        belongs = via == "DOMAIN" or kind in ("GROUP", "IDENTIFY")
        found.append(UserLink("MEMBER" if belongs else "NAMED", user, bool(user_id), account, "", *said, via, internal))
    if user_id and anonymous_id:
        found.append(UserLink("SAME", pseudonyms.of_anonymous(anonymous_id), False, "", user, *same))
    if previous and previous != anonymous_id:
        found.append(UserLink("SAME", pseudonyms.of_anonymous(previous), False, "", user, *same))
        # An alias does not say of which kind its former id is, and a browser may not say it of a user.
        if authority == "SERVER" and previous != user_id:
            found.append(UserLink("SAME", pseudonyms.of(previous), False, "", user, *same))
    return found
