"""Weeks that end on the same day of the week: what was known of an account at the end of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from services.warehouse.domain.rows import FORGOTTEN

Found = Mapping[str, Any]
WEEK = 7


class State(NamedTuple):
    """What was known of an account at one moment."""

    band: str
    score_tenths: int


Line = Sequence[State | None]
"""What was known of an account at the end of each of some weeks, oldest first; None: nothing, or it was forgotten then."""


@lru_cache(maxsize=8192)
def state(band: str, score_tenths: int) -> State:
    """Return a state; equal ones are one object, since there are few and lines have many."""
    return State(band, score_tenths)


def ends(last_day: int, weeks: int) -> list[int]:
    """Return the last day of each of so many weeks, oldest first; the last one ends on `last_day`."""
    return [last_day - WEEK * (weeks - 1 - n) for n in range(weeks)]


def slot(day: int, last_day: int, weeks: int) -> int:
    """Return the week to which a day belongs, from 0; all days before the weeks belong to the first."""
    return max(0, weeks - 1 - (last_day - day) // WEEK)


def filled(states: Iterable[Found], weeks: int) -> dict[str, list[Found | None]]:
    """
    Return by account what was known at the end of each week.

    Args:
        states: Of each account and week in which anything became known, the last one, with its `slot` and `offset`.
        weeks: How many there are.

    Returns:
        What was known before goes on until something else is that stands later on the log; None: nothing was known yet, or
        the account was forgotten.
    """
    known: defaultdict[str, dict[int, Found]] = defaultdict(dict)
    for state in states:
        known[state["account"]][state["slot"]] = state
    return {account: _carried(of, weeks) for account, of in known.items()}


def _carried(states: Mapping[int, Found], weeks: int) -> list[Found | None]:
    found: list[Found | None] = []
    last: Found | None = None
    for week in range(weeks):
        state = states.get(week)
        if state is not None and (last is None or state["offset"] > last["offset"]):
            last = state
        found.append(None if last is None or last["reason"] == FORGOTTEN else last)
    return found


def lines(states: Iterable[Found], weeks: int) -> dict[str, Line]:
    """Return by account its line; `states` and `weeks` are those of `filled`."""
    return {
        account: tuple(None if each is None else state(each["band"], each["score_tenths"]) for each in of)
        for account, of in filled(states, weeks).items()
    }
