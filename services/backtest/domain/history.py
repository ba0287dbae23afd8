"""What a back-test is given: events in time order, facts about accounts, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from services.shared.tracking_plan.actors import UNSAID

NOTHING: Mapping[str, Any] = {}
"""A plain dictionary, which can go to another process."""
NO_DAY = -1
"""The day of a loss of which nobody can tell the day."""
OWN = "own history"
"""The name of one's own; a report says it in its own language."""


class Event(NamedTuple):
    """One event of one account, as Segment's calls have it."""

    account: str
    user: str
    """Empty: nobody's, so it is no active user-day, unless an agent or an integration acts."""
    at_ms: int
    """When it happened, milliseconds since 1970 UTC."""
    name: str = "Activity"
    properties: Mapping[str, Any] = NOTHING
    kind: str = "TRACK"
    """TRACK, PAGE, SCREEN, IDENTIFY, GROUP or ALIAS. Of GROUP the properties are facts about the account."""
    event_id: str = ""
    """Two of an account and source with one id within a day are one event; empty: it is an event of its own."""
    actor: str = UNSAID
    """Who acts, as event records name it: PERSON, AGENT, INTEGRATION; UNKNOWN: nothing says so."""
    source: str = "backtest"
    """What sent it. An agent or integration without a user is one for each source."""
    internal: bool = False
    """Whether ingest left its user out by the tracking plan, so that what it does is no use of the product."""


class Fact(NamedTuple):
    """What a `group` call says about an account from some time on: seats, renewal_date, owner, plan, revenue."""

    account: str
    at_ms: int
    traits: Mapping[str, Any]


class AccountOutcome(NamedTuple):
    """What became of an account."""

    account: str
    day: int
    """When, days since 1970 UTC; or NO_DAY."""
    kind: str = "lost"
    """`lost`; a generator also has kinds of its own, such as `sudden_stop`, `decay`, `vacation` or `growth`."""
    reason: str = ""


def lost_without_day(accounts: Iterable[str]) -> tuple[AccountOutcome, ...]:
    """Return losses of which nobody can tell the day: of such accounts nothing counts."""
    return tuple(AccountOutcome(account, NO_DAY) for account in accounts)


@dataclass(frozen=True, slots=True)
class BacktestHistory:
    """The past of some accounts."""

    name: str
    """For people, and for files' names."""
    read: Callable[[], Iterable[Event]]
    """Returns the events in time order, always the same ones: they may be read more than once."""
    fingerprint: str
    """Equal where the events and facts are: kept snapshots are found by it."""
    facts: tuple[Fact, ...] = ()
    outcomes: tuple[AccountOutcome, ...] = field(default=())
    """Empty: what became of the accounts is not known, and is told from their use alone."""
    until_day: int | None = None
    """The first day that is not known any more, days since 1970 UTC; None: the day after the last event."""
    recorded: tuple[AccountOutcome, ...] = ()
    """Losses that people recorded beside the events, for who wants them as `outcomes`."""
    dayless: tuple[str, ...] = ()
    """Accounts whose recorded losses name no day, so that they are not among `recorded`."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many rows or events were not taken, by reason."""
