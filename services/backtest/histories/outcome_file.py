"""
The list of lost customers: CSV with the columns account and date, and optionally reason.

All lines that cannot be read are told at once, each with its number and what to do; the others are used. Of several losses
of one account the first counts. An account whose date cannot be used was lost all the same: it is not one that stayed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from services.backfill.text_files import first_undecodable, other_mark
from services.backtest.domain.history import AccountOutcome
from services.backtest.words import Speech
from services.shared.errors import WrongArgument
from services.shared.tracking_plan.losses import EARLIEST
from services.shared.units import day_number

MOST_LINES = 1_000_000
COLUMNS = ("account", "date")
_REASON = "reason"
_LONGEST_RECORD = 50
"""Lines of a record whose cells have several."""
_TOLD = 10
_DAY = re.compile(r"[0-9]{4}(-?)[0-9]{2}\1[0-9]{2}(?:[T ].*)?")
"""A day, perhaps with a time; Python takes weeks too, which are none."""


class BadOutcomesError(WrongArgument):
    """A list of lost customers that cannot be used at all; the message says what to do."""


@dataclass(frozen=True, slots=True)
class OutcomeFile:
    """What a list of lost customers says."""

    outcomes: tuple[AccountOutcome, ...]
    problems: tuple[str, ...]
    """One sentence for each line that was left out, with its number (the header is line 1)."""
    dayless: tuple[str, ...] = ()
    """Accounts of lines whose date cannot be used, of which no other line says when they were lost."""


def read_outcomes(path: Path, today: date, say: Speech) -> OutcomeFile:
    """
    Read a list of lost customers.

    Args:
        path: Of the file.
        today: A loss after it cannot have happened.
        say: The language of problems.

    Raises:
        BadOutcomesError: it cannot be read, has no such columns, or no line of it can be used.
    """
    found: dict[str, list[tuple[int, AccountOutcome]]] = {}
    problems: dict[int, str] = {}
    dayless: dict[str, None] = {}
    text = _lines(path, say)
    records = _records(text, say)
    line, cells = next(records, (1, []))
    header = _header(path, cells, "".join(text[line - 1 : line]), say)
    for line, cells in records:
        if not _any_text(cells):
            continue  # a spreadsheet writes a row of commas for each row that was ever touched
        outcome = _outcome(cells, header, today, say)
        if isinstance(outcome, _Problem):
            problems[line] = outcome.text
            dayless.update(dict.fromkeys(outcome.dayless))
        else:
            found.setdefault(outcome.account, []).append((line, outcome))
    outcomes = []
    for account, lines in found.items():
        taken, first = min(lines, key=lambda each: each[1].day)
        outcomes.append(first)
        twice = say("outcomes.twice", account=repr(account), taken=taken)
        problems.update((line, twice) for line, _ in lines if line != taken)
    told = [say("outcomes.line", line=line, problem=problem) for line, problem in sorted(problems.items())]
    if not outcomes:
        shown = "".join(f"\n  {problem}" for problem in told[:_TOLD])
        if len(told) > _TOLD:
            shown += f"\n  {say('outcomes.more', count=len(told) - _TOLD)}"
        nothing = say("outcomes.nothing_usable", file=path.name)
        raise BadOutcomesError(f"{nothing}:{shown}" if shown else nothing + say("outcomes.only_header"))
    return OutcomeFile(tuple(outcomes), tuple(told), tuple(account for account in dayless if account not in found))


def _lines(path: Path, say: Speech) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            lines = list(islice(text, MOST_LINES + 1))
    except UnicodeDecodeError as error:
        raise _not_utf8(path, say) from error
    except OSError as error:
        raise BadOutcomesError(say("outcomes.unreadable", file=path.name, error=error)) from error
    if len(lines) > MOST_LINES:
        raise BadOutcomesError(say("outcomes.too_long", file=path.name, most=say.number(MOST_LINES)))
    return lines


def _not_utf8(path: Path, say: Speech) -> BadOutcomesError:
    with path.open("rb") as lines:
        at = first_undecodable(lines)
    line, byte = at or (1, 1)
    return BadOutcomesError(say("outcomes.not_utf8", file=path.name, line=line, byte=byte))


class _Header(NamedTuple):
    columns: Mapping[str, int]
    """The place of each by its name."""
    width: int


def _records(lines: list[str], say: Speech) -> Iterator[tuple[int, list[str] | str]]:
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
            cells = say("outcomes.bad_quote", error=error)
        if not isinstance(cells, str) and reader.line_num > 1 and len(cells) < width:
            cells = say("outcomes.open_quote", line=at + reader.line_num)
        width = width or len(cells)
        if cells:
            yield at + 1, cells
        at += 1 if isinstance(cells, str) else reader.line_num


def _header(path: Path, cells: list[str] | str, text: str, say: Speech) -> _Header:
    """Return where columns stand; quotes beside another mark than a comma cannot be read, and then the text shows the mark."""
    named = [name.strip().lower() for name in (cells if isinstance(cells, list) else text.split(","))]
    columns = {name: place for place, name in enumerate(named) if isinstance(cells, list)}
    missing = [name for name in COLUMNS if name not in columns]
    mark = other_mark(named, COLUMNS[0])
    if missing and mark:
        raise BadOutcomesError(say("outcomes.other_mark", file=path.name, mark=repr(mark)))
    if missing:
        lacking = say("outcomes.no_column_and").join(map(repr, missing))
        raise BadOutcomesError(say("outcomes.no_column", file=path.name, columns=lacking))
    for name in (*COLUMNS, _REASON):
        if named.count(name) > 1:
            raise BadOutcomesError(say("outcomes.same_columns", file=path.name, column=repr(name)))
    return _Header(columns, len(named))


def _any_text(cells: list[str] | str) -> bool:
    return any(cell.strip() for cell in cells)


class _Problem(NamedTuple):
    """What is wrong with a record."""

    text: str
    dayless: tuple[str, ...] = ()
    """The account, where only the day of its loss cannot be used."""


def _outcome(cells: list[str] | str, header: _Header, today: date, say: Speech) -> AccountOutcome | _Problem:
    """Return the outcome in a record, or what is wrong with it."""
    if isinstance(cells, str):
        return _Problem(cells)
    if _any_text(cells[header.width :]):
        return _Problem(say("outcomes.more_cells"))

    def cell(name: str) -> str:
        place = header.columns.get(name, len(cells))
        return cells[place].strip() if place < len(cells) else ""

    account, text = cell("account"), cell("date")
    if not account:
        return _Problem(say("outcomes.no_account"))
    if not text:
        return _Problem(say("outcomes.no_date"), (account,))
    try:
        day = _day(text)
    except ValueError:
        return _Problem(say("outcomes.no_day", date=repr(text[:40])), (account,))
    if day > today:
        return _Problem(say("outcomes.ahead", date=text[:10]))
    if day < EARLIEST:
        return _Problem(say("outcomes.too_early", date=text[:10], year=EARLIEST.year), (account,))
    return AccountOutcome(account, day_number(day), "lost", cell(_REASON))


def _day(text: str) -> date:
    """Return the day that is written; with a time and a zone, the day there."""
    if not _DAY.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text).date()
