"""
What is known of one user, and what follows from it for an event: the account that it belongs to, or that it must wait.

Statements of calls have a *rank*: a server's over a browser's, and of the same authority what a call names over what an
e-mail domain suggests. Only the statements of the highest rank are kept, so what a key says that anyone can copy from a
browser never overrides a server. What an operator says is kept beside them and comes before all, until it is withdrawn.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

MOST_MEMBERSHIPS = 8
"""A user; beyond that the oldest are merged away, and events before the oldest that is kept go to that one."""
MOST_NAMED = 8
"""Different accounts of a user's events that are kept apart; beyond that there are just several."""
MOST_ID_BYTES = 1_024
"""Room for the account ids of either kind: as many as fit are kept, and at least one. Ordinary ids take less than half of it."""
BROWSER, SERVER, OPERATOR = 1, 2, 3
AUTHORITIES = {"BROWSER": BROWSER, "SERVER": SERVER, "OPERATOR": OPERATOR}
NAMES = {number: name for name, number in AUTHORITIES.items()}
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


def authority_of(name: str) -> int:
    """Return the number of an authority; one that is not known has the least."""
    return AUTHORITIES.get(name, BROWSER)


def rank_of(authority: int, via: str) -> int:
    """Return the rank of a membership."""
    return 2 * authority + (via != "DOMAIN")


class Belongs(NamedTuple):
    """The event belongs to this account."""

    account: str
    via: str
    """How the account was found, as in UsageEvent."""


class IsKnownAs(NamedTuple):
    """The user is the same person as another one, whose lane decides."""

    user: str
    internal: bool
    """Whether the tracking plan leaves that one out."""


class Waits(NamedTuple):
    """Nobody has said yet whose account the user belongs to, or several were said; `reason` is that of a dead letter."""

    reason: str


Decision = Belongs | IsKnownAs | Waits
NO_ACCOUNT, SEVERAL_ACCOUNTS = Waits("no_account"), Waits("several_accounts")


class Stay(NamedTuple):
    """A time for which calls said that the user belongs to an account, milliseconds since 1970 UTC."""

    since: int
    last: int
    """The latest call that said so."""
    account: str


class KnownUser:
    """One user. Times are milliseconds since 1970 UTC."""

    __slots__ = (
        "identified", "internal", "more_named", "named", "named_authority", "operator", "rank", "same", "same_at",
        "same_authority", "same_internal", "seen", "seen_day", "stays",
    )  # fmt: skip

    def __init__(self, *, identified: bool) -> None:
        """Know nothing yet."""
        self.identified = identified
        self.internal = False
        """Whether the tracking plan leaves this user out, as ingest said last."""
        self.seen = 0
        """Grows with each day on which a user of the lane is seen: the least was seen longest ago."""
        self.seen_day = -1
        self.rank = 0
        """The rank of the memberships, which is the same for all; 0: there are none."""
        self.stays: list[Stay] = []
        """The memberships by time."""
        self.named_authority = 0
        self.named: list[str] = []
        """Accounts that the user's events named, in order."""
        self.more_named = False
        self.operator = ""
        """The account that an operator has said; empty: none has."""
        self.same = ""
        """The user whom this one is the same person as; empty: nobody."""
        self.same_internal = False
        """Whether the tracking plan leaves that user out."""
        self.same_authority = 0
        self.same_at = 0

    @property
    def authority(self) -> int:
        """The authority behind the memberships; 0: there are none."""
        return self.rank >> 1

    @property
    def said_by(self) -> int:
        """The highest authority that has told of an account of this user itself; 0: nobody has."""
        return OPERATOR if self.operator else max(self.authority, self.named_authority)

    def decide(self, occurred_at: int, aliases: Mapping[str, str]) -> Decision:
        """Return what becomes of an event of this user."""
        if self.same and self.said_by <= self.same_authority:
            return IsKnownAs(self.same, self.same_internal)
        if self.operator:
            return Belongs(aliases.get(self.operator, self.operator), "OPERATOR")
        named = {aliases.get(account, account) for account in self.named}
        stays = self.stays
        if stays and named and self.named_authority > self.authority:
            # of what a lower authority says, only what the higher has named counts
            stays = [stay for stay in stays if aliases.get(stay.account, stay.account) in named]
        if stays:
            at = bisect_right(stays, occurred_at, key=lambda stay: stay.since)
            account = stays[max(0, at - 1)].account
            return Belongs(aliases.get(account, account), "USER" if self.rank & 1 else "DOMAIN")
        if len(named) == 1 and not self.more_named:
            return Belongs(named.pop(), "USER")
        return SEVERAL_ACCOUNTS if named else NO_ACCOUNT

    def join(self, account: str, at: int, rank: int) -> bool:
        """Take in that the user belonged to an account at a time; return False if that is of too low a rank."""
        if rank >= rank_of(OPERATOR, "DOMAIN"):
            self.operator = account  # for all that the user has ever done
            return True
        if rank < self.rank:
            return False
        if rank > self.rank:
            self.rank = rank
            self.stays = []
        self._be_oneself()
        self.stays = _with(self.stays, account, at)[-MOST_MEMBERSHIPS:]
        while len(self.stays) > 1 and _bytes(stay.account for stay in self.stays) > MOST_ID_BYTES:
            del self.stays[0]
        return True

    def withdraw(self) -> bool:
        """Take back what an operator has said; return False if there is nothing. What calls have said holds again."""
        withdrawn = bool(self.operator)
        self.operator = ""
        return withdrawn

    def name(self, account: str, authority: int) -> bool:
        """Take in that an event of the user named an account; return False if that is of too low an authority."""
        if authority < self.named_authority:
            return False
        if authority > self.named_authority:
            self.named_authority = authority
            self.named, self.more_named = [], False
        if account not in self.named:
            full = len(self.named) >= MOST_NAMED or _bytes((*self.named, account)) > MOST_ID_BYTES
            if self.named and full:
                self.more_named = True
            else:
                self.named = sorted([*self.named, account])
        self._be_oneself()
        return True

    def become(self, user: str, at: int, authority: int, *, internal: bool) -> bool:
        """Take in that this is the same person as another user; return False if something of more weight is known."""
        if authority < max(self.said_by, self.same_authority):
            return False
        if authority == self.same_authority and at < self.same_at:
            return False
        self.same, self.same_authority, self.same_at, self.same_internal = user, authority, at, internal
        return True

    def _be_oneself(self) -> None:
        """Be nobody else any more: what calls of no more authority say goes to the other one, and never comes here."""
        self.same, self.same_authority, self.same_at, self.same_internal = "", 0, 0, False

    def accounts(self, aliases: Mapping[str, str]) -> list[str]:
        """Return the accounts that were ever said of this user, as far as they are kept."""
        said = {*self.named, *(stay.account for stay in self.stays), *filter(None, (self.operator,))}
        return sorted({aliases.get(account, account) for account in said})

    def forget_accounts(self) -> None:
        """Forget the accounts that calls have said: another user has them from now on."""
        self.rank, self.stays = 0, []
        self.named_authority, self.named, self.more_named = 0, [], False

    def encode(self) -> bytes:
        """Return all of it as bytes, which are also its form in memory."""
        return _pack(
            (
                self.identified, self.seen, self.seen_day, self.rank, self.stays, self.named_authority, self.named,
                self.more_named, self.same, self.same_authority, self.same_at, self.same_internal, self.internal,
                self.operator,
            )
        )  # fmt: skip

    @classmethod
    def decode(cls, packed: bytes) -> KnownUser:
        """Read what `encode` wrote."""
        parts: list[Any] = _unpack(packed)
        user = cls(identified=parts[0])
        user.seen, user.seen_day, user.rank = parts[1:4]
        user.stays = [Stay(*stay) for stay in parts[4]]
        user.named_authority, user.named, user.more_named = parts[5:8]
        user.same, user.same_authority, user.same_at, user.same_internal = parts[8:12]
        user.internal, user.operator = parts[12:14]
        return user


def _bytes(ids: Iterable[str]) -> int:
    return sum(len(each.encode()) for each in ids)


def _with(stays: list[Stay], account: str, at: int) -> list[Stay]:
    """Return the stays with one call more, whenever it comes; neighbours of the same account are one."""
    before = [stay for stay in stays if stay.last < at]
    after = [stay for stay in stays if stay.since > at]
    around = [stay for stay in stays if stay.since <= at <= stay.last]
    split: list[Stay] = []
    for stay in around:  # at most one; the later record wins for its very moment
        if stay.since < at:
            before.append(stay._replace(last=stay.since))
        if stay.last > at:
            split.append(stay._replace(since=stay.last))
    joined: list[Stay] = []
    for stay in (*before, Stay(at, at, account), *split, *after):
        if joined and joined[-1].account == stay.account:
            joined[-1] = joined[-1]._replace(last=stay.last)
        else:
            joined.append(stay)
    return joined
