"""What a question of the query API is, and the pages that answers come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from services.shared.errors import Rejected
from services.warehouse.domain import easing, ordering, parameters
from services.warehouse.domain.filters import MOST_ROWS, AccountFilter, EventFilter, PeopleFilter, SignalFilter, end_of
from services.warehouse.domain.parameters import Parameter
from services.warehouse.domain.presentation import time_of
from services.warehouse.domain.refusals import Refusals
from services.warehouse.http.feed import Feed
from services.warehouse.ports import Found, Page, Queries

Told = dict[str, Any]
Filter = TypeVar("Filter", AccountFilter, EventFilter, PeopleFilter, SignalFilter)


class NotFound(Rejected):
    """There is no such thing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as it was put."""

    store: Queries
    path: Mapping[str, str]
    """What the address names."""
    given: Mapping[str, Any]
    """The values of all parameters, by name."""
    now_ms: int
    token_name: str | None = None
    """Who has the token that was sent; None where there are no tokens."""
    refusals: Refusals | None = None
    """What was refused lately; None where nobody reads it."""
    feed: Feed | None = None
    """What was stored lately; None where nobody tells of it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One address of the API. `answer` blocks, and runs in a thread of its own."""

    path: str
    summary: str
    answer: Callable[[Asked], Told]
    shape: type
    """A TypedDict that describes the answer."""
    parameters: Sequence[Parameter] = ()
    names_people: bool = False
    """Whether texts of the answer may hold pseudonyms that are to be replaced where the person is known."""


AT = parameters.DayParameter("at", "As it was known at the end of this day, UTC; without it, now.")
CURSOR = parameters.TextParameter("cursor", "`next` of the page before, with the other parameters unchanged.", 4_000)


def limit(default: int = 100) -> parameters.NumberParameter:
    """Return the parameter for the length of a page."""
    return parameters.NumberParameter("limit", "How many to list at most.", default, 1, MOST_ROWS)


def days(default: int) -> parameters.NumberParameter:
    """Return the parameter for a number of days."""
    return parameters.NumberParameter(
        "days", "How many days back from the latest that is known.", default, 1, MOST_ROWS
    )


def paged(
    wanted: Filter, text: str, ask: Callable[[Filter], Page], question: object = None
) -> tuple[list[Found], Told]:
    """
    Return the rows of a page, and `total` and `next`.

    Args:
        wanted: The filter, without the place after which the page begins.
        text: The cursor; empty on the first page.
        ask: The store.
        question: What has to be the same from page to page, where that is not the filter: it may depend on the day.

    Raises:
        Rejected: the text is no cursor of this list.
    """
    question = question or replace(wanted, limit=0)
    after = ordering.place_of(wanted.order, question, text) if text else None
    found = ask(replace(wanted, after=after, limit=wanted.limit + 1))
    rows = found.rows[: wanted.limit]
    following = ordering.cursor(wanted.order, question, rows[-1]) if len(found.rows) > len(rows) else None
    return rows, {"total": found.total, "next": following}


def as_of(asked: Asked) -> int | None:
    """Return the time of what was known, milliseconds since 1970 UTC; None: nothing is known at all."""
    newest, until = asked.store.newest(), asked.given.get("at")
    return newest if newest is None or until is None else min(newest, end_of(until))


def in_time(milliseconds: int | None) -> str | None:
    """Return such a time in text."""
    return None if milliseconds is None else time_of(milliseconds)


def standing(asked: Asked, signals: Sequence[Found]) -> list[Told]:
    """Return open signals with how they stand on the day that is asked for."""
    (latest,) = asked.store.snapshots(sorted({each["account"] for each in signals}), (asked.given.get("at"),))
    return [
        easing.stands(each, latest[each["account"]]["measures"] if each["account"] in latest else {})
        for each in signals
    ]
