"""Which things of a list are wanted, in which order, after which of them, and as of which day."""

from __future__ import annotations

from dataclasses import dataclass

from services.shared.units import DAY_MS
from services.warehouse.domain import ordering
from services.warehouse.domain.ordering import Order, Place

BANDS = ("LEARNING", "UNKNOWN", "RED", "YELLOW", "GREEN")
STAGES = ordering.STAGES
TENTHS = tuple(map(str, range(1, 11)))
CATEGORIES = ("RISK", "EXPANSION")
SEVERITIES = ("INFO", "WARNING", "CRITICAL")
TRANSITIONS = ("FIRING", "UPDATED", "RESOLVED")
EVENT_KINDS = ("TRACK", "PAGE", "SCREEN", "IDENTIFY", "GROUP", "ALIAS")
MOST_ROWS = 1000


def end_of(day: int) -> int:
    """Return the last moment of a day, milliseconds since 1970 UTC: its midnight, at which its closing belongs to it."""
    return (day + 1) * DAY_MS


def day_of(milliseconds: int) -> int:
    """Return the day, days since 1970 UTC, to whose past a moment belongs; see `end_of`."""
    return (milliseconds - 1) // DAY_MS


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """Which accounts, in which order. What is empty filters nothing."""

    text: str = ""
    """Part of the id, the name or the owner, in any case."""
    bands: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    tenths: tuple[int, ...] = ()
    """Tenths by risk among all accounts whose risk is known; 1 is the riskiest."""
    sort: str = "score"
    descending: bool = False
    limit: int = 100
    after: Place | None = None
    until_day: int | None = None
    """As it was at the end of this day."""
    lacking: str = ""
    """Only those of which this measure is not known."""
    renewal: tuple[int, int] | None = None
    """Only those whose contract renews between these days, both included; days since 1970 UTC."""

    @property
    def order(self) -> Order:
        """What the list is sorted by."""
        return ordering.of_accounts(self.sort, descending=self.descending)


@dataclass(frozen=True, slots=True)
class SignalFilter:
    """Which signals. With `open_only`, the last transition of each episode that is not resolved."""

    account: str = ""
    rule: str = ""
    categories: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    """Of open signals, owners of their accounts now; of others, those of when they were sent."""
    transitions: tuple[str, ...] = ()
    since_ms: int | None = None
    """Only those later than this, milliseconds since 1970 UTC; with `open_only`, of those that are open by then."""
    open_only: bool = False
    historical: bool | None = None
    order_by: str = "latest"
    limit: int = 100
    after: Place | None = None
    until_day: int | None = None

    @property
    def order(self) -> Order:
        """What the list is sorted by."""
        return ordering.SIGNAL_ORDERS[self.order_by]


@dataclass(frozen=True, slots=True)
class EventFilter:
    """
    Which events of one account, latest first, then by topic and partition, then by offset, latest first.

    `names` and `kinds` are any if there are none; `before` is a time in milliseconds since 1970 UTC.
    """

    account: str
    names: tuple[str, ...] = ()
    before: int | None = None
    after: Place | None = None
    limit: int = 100
    kinds: tuple[str, ...] = ()

    @property
    def order(self) -> Order:
        """What the list is sorted by."""
        return ordering.EVENTS


@dataclass(frozen=True, slots=True)
class PeopleFilter:
    """Which people of one account, latest active first: those who were active in the `days` until the end of a day."""

    account: str
    until_day: int
    days: int = 210
    limit: int = 100
    after: Place | None = None

    @property
    def order(self) -> Order:
        """What the list is sorted by."""
        return ordering.PEOPLE
