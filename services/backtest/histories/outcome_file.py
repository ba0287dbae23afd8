"""
The list of lost customers: CSV with the columns account and date, and optionally reason.

All lines that cannot be read are told at once, each with its number and what to do; the others are used.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from services.backtest.domain.history import AccountOutcome
from services.shared.errors import TidemarkError

_EPOCH = date(1970, 1, 1).toordinal()
_EARLIEST = date(1990, 1, 1)
MOST_LINES = 1_000_000
COLUMNS = ("account", "date")


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
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.DictReader(text)
            names = {name.strip().lower(): name for name in rows.fieldnames or ()}
            missing = [name for name in COLUMNS if name not in names]
            if missing:
                raise BadOutcomesError(
                    f"{path.name}: there is no column {' and no column '.join(map(repr, missing))}. The first line must "
                    "name the columns: account,date or account,date,reason"
                )
            for row in rows:
                if rows.line_num > MOST_LINES:
                    raise BadOutcomesError(f"{path.name}: more than {MOST_LINES:,} lines: is it the right file?")
                found = _outcome(row, names, today)
                before = seen.get(found.account) if isinstance(found, AccountOutcome) else None
                if isinstance(found, str):
                    problems.append(f"line {rows.line_num}: {found}")
                elif before is not None:
                    problems.append(
                        f"line {rows.line_num}: account {found.account!r} is on line {before} already; keep the line of the "
                        "first loss"
                    )
                else:
                    seen[found.account] = rows.line_num
                    outcomes.append(found)
    except UnicodeDecodeError as error:
        raise BadOutcomesError(f"{path.name}: not UTF-8 (byte {error.start}): save it as CSV UTF-8") from error
    except (OSError, csv.Error) as error:
        raise BadOutcomesError(f"{path.name}: cannot be read: {error}") from error
    if not outcomes:
        told = "".join(f"\n  {problem}" for problem in problems[:10])
        raise BadOutcomesError(
            f"{path.name}: no line of it can be used{':' if told else ', it has only a header'}{told}"
        )
    return OutcomeFile(tuple(outcomes), tuple(problems))


def _outcome(row: dict[str | None, str | None], names: dict[str, str], today: date) -> AccountOutcome | str:
    """Return the outcome in a row, or what is wrong with it."""
    if row.get(None):
        return "more cells than the first line has columns: put quotes around text with commas"
    account = (row[names["account"]] or "").strip()
    text = (row[names["date"]] or "").strip()
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
    if day < _EARLIEST:
        return f"date {text[:10]} lies before {_EARLIEST.year}: is the year right?"
    reason = (row[names["reason"]] or "").strip() if "reason" in names else ""
    return AccountOutcome(account, day.toordinal() - _EPOCH, "lost", reason)
