"""
In which order lists come, and the place of a thing in such an order: what the cursor of the next page says.

Both stores sort by the same keys; no two things of a list have the same place, so a page that begins after the last place of
the page before loses nothing and repeats nothing of what has not changed.
"""

from __future__ import annotations

import base64
import binascii
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from xxhash import xxh3_64_hexdigest

from services.shared.errors import Rejected

Found = Mapping[str, Any]
Place = tuple[Any, ...]

STAGES = ("UNKNOWN", "ONBOARDING", "ADOPTION", "ONGOING", "RENEWAL")
"""In the order of an account's life."""
UNJUDGED = ("LEARNING", "UNKNOWN")
"""Bands of accounts whose score says nothing yet, or no more."""
NO_RENEWAL = 1_000_000
"""The day of a renewal that nobody has named: after all that have been."""
_SEVERITY = ("CRITICAL", "WARNING", "INFO")


class Key(NamedTuple):
    """One thing that a list is sorted by."""

    name: str
    kind: type
    """int, float or str."""
    of: Callable[[Found], Any]
    descending: bool = False


Order = tuple[Key, ...]


def _column(name: str, kind: type = str, *, descending: bool = False) -> Key:
    return Key(name, kind, lambda row: row[name], descending)


def _change(row: Found) -> int:
    before = row["previous_score_tenths"]
    return 0 if before is None else int(row["score_tenths"] - before)


_ACCOUNT = _column("account")
_REVENUE = Key("revenue", float, lambda row: float(row["revenue"] or 0.0))
_RENEWAL = Key("renewal", int, lambda row: NO_RENEWAL if row["renewal_day"] is None else row["renewal_day"])
_AT = _column("at", int, descending=True)
_SIGNAL = (_ACCOUNT, _column("signal_id"))

_OF_ACCOUNTS: Mapping[str, Key] = {
    "account": _ACCOUNT,
    "name": Key("name", str, lambda row: row["name"] or row["account"]),
    "score": Key("score", int, lambda row: row["score_tenths"]),
    "change": Key("change", int, _change),
    "revenue": _REVENUE,
    "renewal": Key("renewal", int, lambda row: row["renewal_day"] or 0),
    "silent": Key("silent", int, lambda row: row["silent_days"]),
    "risk": Key("risk", int, lambda row: -(row["risk_thousandths"] or 0)),
    "signals": Key("signals", int, lambda row: -row["urgency"]),
    "owner": _column("owner"),
    "stage": Key("stage", int, lambda row: 1 + STAGES.index(row["stage"]) if row["stage"] in STAGES else 0),
}
ACCOUNT_SORTS = tuple(_OF_ACCOUNTS)
_LAST_EITHER_WAY: Mapping[str, Key] = {
    "score": Key("unjudged", int, lambda row: int(row["band"] in UNJUDGED)),
    "renewal": Key("no_renewal", int, lambda row: int(row["renewal_day"] is None)),
    "risk": Key("no_risk", int, lambda row: int(row["risk_thousandths"] is None)),
}
"""By sort, what marks the accounts of which it knows nothing: they come last in both directions."""

BY_SIGNALS = "signals"
"""The sort that needs the `urgency` of each account."""
MOST_OPEN = 1_000


def urgency(category: str, severity: str, count: int) -> int:
    """
    Return what open signals of one kind add to the urgency of their account: one critical outweighs any number of warnings.

    Chances come last; up to MOST_OPEN of a kind are told apart.
    """
    rank = 0 if category != "RISK" else len(_SEVERITY) - _SEVERITY.index(severity) if severity in _SEVERITY else 0
    return min(count, MOST_OPEN - 1) * int(MOST_OPEN**rank)


SIGNAL_ORDERS: Mapping[str, Order] = {
    "latest": (_AT, *_SIGNAL),
    "work": (
        Key("category", int, lambda row: int(row["category"] != "RISK")),
        Key("severity", int, lambda row: _SEVERITY.index(row["severity"]) if row["severity"] in _SEVERITY else 3),
        _REVENUE._replace(descending=True),
        _RENEWAL,
        _AT,
        *_SIGNAL,
    ),
}
EVENTS: Order = (
    _column("occurred_at", int, descending=True),
    _column("topic"),
    _column("partition", int),
    _column("offset", int, descending=True),
)
PEOPLE: Order = (_column("last_active_day", int, descending=True), _column("user"))


def of_accounts(sort: str, *, descending: bool) -> Order:
    """Return the order of a list of accounts; those without a score, a risk or a renewal come last either way."""
    key = _OF_ACCOUNTS[sort]._replace(descending=descending)
    first = (_LAST_EITHER_WAY[sort],) if sort in _LAST_EITHER_WAY else ()
    last = () if sort == "account" else (_ACCOUNT,)
    return (*first, key, *last)


def place(order: Order, row: Found) -> Place:
    """Return the place of one thing."""
    return tuple(key.of(row) for key in order)


def in_order(order: Order, rows: Iterable[Found]) -> list[Any]:
    """Return things sorted."""
    found = list(rows)
    for key in reversed(order):
        found.sort(key=key.of, reverse=key.descending)
    return found


def after(order: Order, rows: Sequence[Any], last: Place | None) -> list[Any]:
    """Return those of sorted things that come after a place."""
    if last is None:
        return list(rows)
    return list(rows[bisect_left(rows, True, key=lambda row: _is_after(order, place(order, row), last)) :])


def _is_after(order: Order, one: Place, other: Place) -> bool:
    for key, mine, theirs in zip(order, one, other, strict=True):
        if mine != theirs:
            return bool(mine < theirs) if key.descending else bool(mine > theirs)
    return False


def cursor(order: Order, question: object, row: Found) -> str:
    """
    Return the text by which the page after a thing is asked for.

    It holds a mark of the `question`, so that it is not taken for a place in another list.
    """
    text = msgspec.json.encode([_mark(question), *place(order, row)])
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def place_of(order: Order, question: object, text: str) -> Place:
    """
    Return the place that a cursor stands for.

    Raises:
        Rejected: it is none, or is one of another list.
    """
    try:
        found = msgspec.json.decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        mark, *values = found
        fits = len(values) == len(order) and all(_fits(key, each) for key, each in zip(order, values, strict=True))
    except (msgspec.MsgspecError, binascii.Error, ValueError, TypeError):
        fits = False
    if not fits:
        raise Rejected("bad_parameter", "cursor", f"{text[:100]!r} is not what `next` said in the page before")
    if mark != _mark(question):
        raise Rejected(
            "bad_parameter", "cursor", "is of a list with other parameters: keep them from page to page, or begin anew"
        )
    return tuple(float(each) if key.kind is float else each for key, each in zip(order, values, strict=True))


def _fits(key: Key, value: object) -> bool:
    if key.kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if key.kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, str)


def _mark(question: object) -> str:
    return xxh3_64_hexdigest(repr(question).encode("utf-8", "surrogatepass"))[:8]
