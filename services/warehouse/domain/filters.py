"""
What the query API can be asked, parsed and checked parameter by parameter.

A wrong or unknown parameter is `Rejected` with its name: a filter that is misspelt and silently ignored would
answer another question than the one asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from services.shared.errors import Rejected

BANDS = ("LEARNING", "UNKNOWN", "RED", "YELLOW", "GREEN")
UNJUDGED = ("LEARNING", "UNKNOWN")
"""Bands of accounts whose score says nothing yet, or no more."""
CATEGORIES = ("RISK", "EXPANSION")
SEVERITIES = ("INFO", "WARNING", "CRITICAL")
SORTS = ("account", "score", "change", "revenue", "renewal", "silent", "risk")
MOST_ROWS = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Parameters = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """Which accounts, in which order. Empty text filters nothing."""

    band: str = ""
    owner: str = ""
    sort: str = "score"
    descending: bool = False
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class SignalFilter:
    """Which signals, latest first. With `open_only`, the last transition of each episode that is not resolved."""

    account: str = ""
    rule: str = ""
    category: str = ""
    severity: str = ""
    owner: str = ""
    open_only: bool = False
    historical: bool | None = None
    limit: int = 100
    offset: int = 0


class EventCursor(NamedTuple):
    """
    The place of one event in the list of its account's events; no two have the same.

    Ordered by time, latest first, then by topic and partition, then by offset, latest first. Written as its members
    with colons between.
    """

    occurred_at: int
    """Milliseconds since 1970 UTC."""
    topic: str
    partition: int
    offset: int

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> EventCursor:
        """Return the place of an event."""
        return cls(*(event[name] for name in cls._fields))

    @property
    def order(self) -> tuple[int, str, int, int]:
        """What the list is sorted by, ascending."""
        return -self.occurred_at, self.topic, self.partition, -self.offset

    def __str__(self) -> str:
        """Write it as the API does."""
        return ":".join(map(str, self))


_CURSOR = re.compile(r"(-?\d{1,15}):(usage-events|usage-unattributed):(\d{1,9}):(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """
    Which events of one account, latest first.

    `before` is a time in milliseconds since 1970 UTC; `after` is the last event of the page before.
    """

    account: str
    name: str = ""
    before: int | None = None
    after: EventCursor | None = None
    limit: int = 100


def account_filter(given: Parameters) -> AccountFilter:
    """
    Parse the parameters of a list of accounts; a minus before `sort` turns the order round.

    Raises:
        Rejected: names the parameter.
    """
    _known(given, "band", "owner", "sort", "limit", "offset")
    sort = given.get("sort", "score")
    return AccountFilter(
        band=_one_of(given, "band", BANDS),
        owner=given.get("owner", ""),
        sort=_one_of({"sort": sort.removeprefix("-")}, "sort", SORTS, fold=str.lower),
        descending=sort.startswith("-"),
        limit=_number(given, "limit", 100, least=1, most=MOST_ROWS),
        offset=_number(given, "offset", 0),
    )


def signal_filter(given: Parameters) -> SignalFilter:
    """
    Parse the parameters of a list of signals.

    Raises:
        Rejected: names the parameter.
    """
    _known(given, "account", "rule", "category", "severity", "owner", "open", "historical", "limit", "offset")
    return SignalFilter(
        account=given.get("account", ""),
        rule=given.get("rule", ""),
        category=_one_of(given, "category", CATEGORIES),
        severity=_one_of(given, "severity", SEVERITIES),
        owner=given.get("owner", ""),
        open_only=_flag(given, "open") or False,
        historical=_flag(given, "historical"),
        limit=_number(given, "limit", 100, least=1, most=MOST_ROWS),
        offset=_number(given, "offset", 0),
    )


def event_filter(account: str, given: Parameters) -> EventFilter:
    """
    Parse the parameters of a list of one account's events.

    Raises:
        Rejected: names the parameter.
    """
    _known(given, "name", "before", "cursor", "limit")
    return EventFilter(
        account,
        name=given.get("name", ""),
        before=_time(given, "before") if "before" in given else None,
        after=_cursor(given, "cursor") if "cursor" in given else None,
        limit=_number(given, "limit", 100, least=1, most=MOST_ROWS),
    )


def history_days(given: Parameters) -> int:
    """
    Parse how many days of history are wanted.

    Raises:
        Rejected: names the parameter.
    """
    _known(given, "days")
    return _number(given, "days", 90, least=1, most=MOST_ROWS)


def nothing(given: Parameters) -> None:
    """
    Check that a question without parameters has none.

    Raises:
        Rejected: names the parameter.
    """
    _known(given)


def _cursor(given: Parameters, name: str) -> EventCursor:
    found = _CURSOR.fullmatch(given[name])
    if found is None:
        raise Rejected("bad_parameter", name, f"{given[name][:100]!r} is not what `next` said in the page before")
    return EventCursor(int(found[1]), found[2], int(found[3]), int(found[4]))


def _known(given: Parameters, *names: str) -> None:
    for name in sorted(given):
        if name not in names:
            raise Rejected(
                "unknown_parameter", name, f"there is no such parameter; there are: {', '.join(names) or 'none'}"
            )


def _one_of(given: Parameters, name: str, allowed: tuple[str, ...], fold: Callable[[str], str] = str.upper) -> str:
    value = fold(given.get(name, ""))
    if name in given and value not in allowed:
        raise Rejected("bad_parameter", name, f"{given[name][:100]!r} is none of {', '.join(allowed)}")
    return value


def _time(given: Parameters, name: str) -> int:
    try:
        moment = datetime.fromisoformat(given[name])
    except ValueError:
        detail = f"{given[name][:100]!r} is no date or time such as 2026-03-31 or 2026-03-31T12:00:00Z"
        raise Rejected("bad_parameter", name, detail) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _flag(given: Parameters, name: str) -> bool | None:
    if name not in given:
        return None
    found = {"true": True, "1": True, "false": False, "0": False}.get(given[name].lower())
    if found is None:
        raise Rejected("bad_parameter", name, f"{given[name][:100]!r} is neither true nor false")
    return found


def _number(given: Parameters, name: str, default: int, *, least: int = 0, most: int = 2**53) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 17) or not least <= int(text) <= most:
        raise Rejected("bad_parameter", name, f"{text[:100]!r} is not a whole number from {least} to {most}")
    return int(text)
