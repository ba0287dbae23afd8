"""
What the query API can be asked, parsed and checked parameter by parameter.

A wrong or unknown parameter is `Rejected` with its name: a filter that is misspelt and silently ignored would
answer another question than the one asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.shared.errors import Rejected

BANDS = ("LEARNING", "RED", "YELLOW", "GREEN")
CATEGORIES = ("RISK", "EXPANSION")
SEVERITIES = ("INFO", "WARNING", "CRITICAL")
SORTS = ("account", "score", "change", "revenue", "renewal", "silent")
MOST_ROWS = 1000

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


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events of one account, latest first; `before` is a time in milliseconds since 1970 UTC."""

    account: str
    name: str = ""
    before: int | None = None
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
    _known(given, "name", "before", "limit")
    before = _number(given, "before", 0) if "before" in given else None
    return EventFilter(account, given.get("name", ""), before, _number(given, "limit", 100, least=1, most=MOST_ROWS))


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
