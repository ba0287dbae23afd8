"""
The list of lost customers: CSV with the columns account and date, and optionally reason.

All lines that cannot be read are told at once, each with its number and what to do; the others are used.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from services.backtest.domain.history import AccountOutcome
from services.shared.errors import TidemarkError
from services.shared.tracking_plan.losses import EARLIEST

_EPOCH = date(1970, 1, 1).toordinal()
MOST_LINES = 1_000_000
COLUMNS = ("account", "date")
_LONGEST_RECORD = 50
"""Lines of a record whose cells have several."""
_TOLD = 10


class BadOutcomesError(TidemarkError):
    """A list of lost customers that cannot be used at all; the message says what to do."""


@dataclass(frozen=True, slots=True)
class OutcomeFile:
    """What a list of lost customers says."""

    outcomes: tuple[AccountOutcome, ...]
    problems: tuple[str, ...]
    """One sentence for each line that was left out, with its number (the header is line 1)."""


def read_outcomes(path: Path, today: date) -> OutcomeFile:
    """
    Read a list of lost customers.

    Args:
        path: Of the file.
        today: A loss after it cannot have happened.

    Raises:
        BadOutcomesError: it cannot be read, has no such columns, or no line of it can be used.
    """
    outcomes: list[AccountOutcome] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    records = _records(_lines(path))
    header = _header(path, next(records, (1, []))[1])
    for line, cells in records:
        found = _outcome(cells, header, today)
        before = seen.get(found.account) if isinstance(found, AccountOutcome) else None
        if isinstance(found, str):
            problems.append(f"line {line}: {found}")
        elif before is not None:
            problems.append(
                f"line {line}: account {found.account!r} is on line {before} already; keep the line of the first loss"
            )
        else:
            seen[found.account] = line
            outcomes.append(found)
    if not outcomes:
        told = "".join(f"\n  {problem}" for problem in problems[:_TOLD])
        told += f"\n  and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
        raise BadOutcomesError(
            f"{path.name}: no line of it can be used{':' if told else ', it has only a header'}{told}"
        )
    return OutcomeFile(tuple(outcomes), tuple(problems))


def _lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            lines = list(islice(text, MOST_LINES + 1))
    except UnicodeDecodeError as error:
        raise BadOutcomesError(f"{path.name}: not UTF-8 (byte {error.start}): save it as CSV UTF-8") from error
    except OSError as error:
        raise BadOutcomesError(f"{path.name}: cannot be read: {error}") from error
    if len(lines) > MOST_LINES:
        raise BadOutcomesError(f"{path.name}: more than {MOST_LINES:,} lines: is it the right file?")
    return lines


class _Header(NamedTuple):
    columns: Mapping[str, int]
    """The place of each by its name."""
    width: int


def _records(lines: list[str]) -> Iterator[tuple[int, list[str] | str]]:
    """
    Return each record with the number of its first line: its cells, or what is wrong with it.

    A cell in quotes may have several lines. A quote that is not closed would take all further lines into its cell, so only
    its own line is left out, and reading goes on with the next.
    """
    at = width = 0
    while at < len(lines):
        reader = csv.reader(lines[at : at + _LONGEST_RECORD], strict=True)
        try:
            cells: list[str] | str = next(reader)
        except csv.Error as error:
            cells = f"cannot be read ({error}): is a quote opened and not closed?"
        if not isinstance(cells, str) and reader.line_num > 1 and len(cells) < width:
            cells = f"a quote is opened and not closed before line {at + reader.line_num}: close it, or take it out"
        width = width or len(cells)
        if cells:
            yield at + 1, cells
        at += 1 if isinstance(cells, str) else reader.line_num


def _header(path: Path, cells: list[str] | str) -> _Header:
    named = cells if isinstance(cells, list) else []
    columns = {name.strip().lower(): place for place, name in reversed(list(enumerate(named)))}
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise BadOutcomesError(
            f"{path.name}: there is no column {' and no column '.join(map(repr, missing))}. The first line must "
            "name the columns: account,date or account,date,reason"
        )
    return _Header(columns, len(named))


def _outcome(cells: list[str] | str, header: _Header, today: date) -> AccountOutcome | str:
    """Return the outcome in a record, or what is wrong with it."""
    if isinstance(cells, str):
        return cells
    if len(cells) > header.width:
        return "more cells than the first line has columns: put quotes around text with commas"

    def cell(name: str) -> str:
        place = header.columns.get(name, len(cells))
        return cells[place].strip() if place < len(cells) else ""

    account, text = cell("account"), cell("date")
    if not account:
        return "account is empty: give the id that events carry"
    if not text:
        return "date is empty: give the day on which the account was lost, as 2026-03-31"
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        return f"date {text[:40]!r} is not a date: write it as 2026-03-31 (year-month-day)"
    if day > today:
        return f"date {text[:10]} lies in the future: an account that may still be lost does not belong on the list"
    if day < EARLIEST:
        return f"date {text[:10]} lies before {EARLIEST.year}: is the year right?"
    return AccountOutcome(account, day.toordinal() - _EPOCH, "lost", cell("reason"))
