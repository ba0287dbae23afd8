"""Files of account facts, as group calls with ids made of the time of the import and of what a row says."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from services.backfill.mapping import TimedCall
from services.backfill.rows import BadFile, is_table, rows
from services.shared.calendars import public_holidays
from services.shared.files.yaml_file import read_yaml
from services.shared.tracking_plan.dates import read_day
from services.shared.tracking_plan.plan import TraitPlan
from services.shared.tracking_plan.values import MAX_FACT_TEXT, MAX_NUMBER, MAX_WHOLE_NUMBER
from services.shared.units import read_date

_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
_GROUPED_OR_NOT = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
"""Twelve thousand as half of Europe writes it, and twelve as others do."""
_ALIKE = 0.8
"""From which likeness on an unknown column is taken for a slip: `revenu`, `seat`, `Renewal Date`."""


class ImportedFacts(NamedTuple):
    """What a file says of accounts."""

    calls: list[TimedCall]
    problems: list[str]
    """One sentence for each row and each column that is left out by mistake."""
    undeclared: list[str]
    """Other columns that are left out: they are no traits of accounts."""


def read(path: Path, account_column: str, now_ms: int, traits: Mapping[str, TraitPlan]) -> ImportedFacts:
    """
    Return the group calls of a file, and what is left out.

    The id of a call has the time of the import in it: were it made of the facts alone, the scorer would drop as a repeat
    what is said again within a day to correct what was said in between.

    Args:
        path: Of the file.
        account_column: The column with the account's id.
        now_ms: The time of the import, milliseconds since 1970 UTC.
        traits: What the tracking plan declares of accounts.

    Raises:
        BadFile: the file as a whole cannot be read.
    """
    reader = _FactRows(account_column, now_ms, {name.lower(): trait for name, trait in traits.items()})
    calls: list[TimedCall] = []
    problems: list[str] = []
    seen: dict[str, str] = {}
    for place, row in _rows(path, account_column):
        try:
            call = reader.call(row)
        except ValueError as error:
            problems.append(f"{place}: {error}")
            continue
        before = seen.setdefault(call["groupId"], place)
        if before != place:
            problems.append(
                f"{place}: account {call['groupId']!r} is in {before} already, which was taken: keep one of them"
            )
            continue
        calls.append(TimedCall(now_ms, call))
    if not calls and not problems:
        raise BadFile(f"{path.name} has no rows")
    slips = {name: meant for name in reader.undeclared if (meant := reader.meant_by(name))}
    told = [
        f"column {name!r}: the tracking plan declares no such trait of accounts; write {meant!r} if that is meant"
        for name, meant in slips.items()
    ]
    return ImportedFacts(calls, told + problems, [name for name in reader.undeclared if name not in slips])


def _rows(path: Path, account_column: str) -> Iterator[tuple[str, Any]]:
    """Yield each row with where it stands: its line, or in YAML its place in the list."""
    if path.suffix.lower() not in (".yaml", ".yml"):
        for line, _, row in rows(path, account_column):
            if isinstance(row, dict) and account_column not in row and is_table(path):
                raise BadFile(
                    f"{path.name} has no column {account_column!r}; it has {', '.join(row)}. Name it with --account"
                )
            yield f"line {line}", row
        return
    try:
        found = read_yaml(path)
    except ValueError as error:
        raise BadFile(f"{path.name}: {error}") from error
    if not isinstance(found, list):
        raise BadFile(f"{path.name} must be a list of accounts")
    yield from ((f"entry {number}", row) for number, row in enumerate(found, start=1))


class _FactRows:
    """Makes calls of rows, and notes the columns that are no traits."""

    def __init__(self, account_column: str, now_ms: int, traits: Mapping[str, TraitPlan]) -> None:
        self._account_column = account_column
        self._now_ms = now_ms
        self._traits = traits
        self.undeclared: dict[str, None] = {}

    def call(self, row: Any) -> dict[str, Any]:
        """Return a row as a group call; a ValueError says all that is wrong with it."""
        if not isinstance(row, dict):
            raise ValueError(row if isinstance(row, str) else "it is not a set of columns")  # noqa: TRY004  said, not raised on
        given = row.get(self._account_column)
        account = str(given).strip() if isinstance(given, str | int) and not isinstance(given, bool) else ""
        faults = [] if account else [f"column {self._account_column!r} {_why_no_id(given)}"]
        facts: dict[str, Any] = {}
        for column, value in row.items():
            name = str(column)
            if name == self._account_column:
                continue
            trait = self._traits.get(name.lower())
            if trait is None:
                self.undeclared[name] = None
            elif value is not None and not (isinstance(value, str) and not value.strip()):
                try:
                    facts[name] = _fact(name, trait, value)
                except ValueError as error:
                    faults.append(str(error))
        if faults:
            raise ValueError("; ".join(faults))
        if not facts:
            raise ValueError(f"account {account!r} has no facts")
        content = json.dumps([self._now_ms, account, facts], sort_keys=True, default=str)
        return {
            "type": "group",
            "messageId": "facts-" + hashlib.sha256(content.encode()).hexdigest()[:32],
            "groupId": account,
            "timestamp": datetime.fromtimestamp(self._now_ms / 1000, UTC).isoformat(timespec="milliseconds"),
            "traits": facts,
        }

    def meant_by(self, column: str) -> str:
        """Return the trait that a column was likely meant to be, empty: none."""
        return next(iter(difflib.get_close_matches(column.lower(), self._traits, 1, _ALIKE)), "")


def _why_no_id(given: Any) -> str:
    """Say why a value is no account's id: YAML takes `yes`, 1.10 and 2027-01-31 for something else than text."""
    if given is None or isinstance(given, str):
        return "is missing or empty"
    return f"is neither text nor a whole number, but {str(given)[:40]}: put the id in quotes"


def _fact(name: str, trait: TraitPlan, value: Any) -> Any:
    match trait.type:
        case "number":
            return _number(name, value)
        case "whole_number":
            number = _number(name, value)
            if number != int(number) or number > MAX_WHOLE_NUMBER:
                raise ValueError(
                    f"column {name!r}: {str(value)[:40]!r} is not a whole number from 0 to {MAX_WHOLE_NUMBER:,}"
                )
            return int(number)
        case "date":
            return _date(name, value)
        case "country":
            return _country(name, value)
    if isinstance(value, list | dict):
        raise ValueError(f"column {name!r}: {str(value)[:40]} is no text")  # noqa: TRY004  said, not raised on
    if trait.means:
        _check_text(name, value)
    return value if isinstance(value, int | float | bool) else str(value)


def _check_text(name: str, value: Any) -> None:
    """Refuse what the scorer would leave out: the account would be sent, and the fact be lost."""
    if isinstance(value, bool):
        raise ValueError(f"column {name!r}: YAML takes the value for {str(value).lower()}: put it in quotes")  # noqa: TRY004  said
    if len(str(value).strip()) > MAX_FACT_TEXT:
        raise ValueError(
            f"column {name!r}: it has more than {MAX_FACT_TEXT} characters, beginning with {str(value)[:40]!r}"
        )


def _number(name: str, value: Any) -> float:
    text = str(value).strip()
    if "," in text and not _GROUPED.fullmatch(text):
        raise ValueError(
            f"column {name!r}: {text[:40]!r} is not a number with commas between thousands, as 1,234.5 is: write it with a "
            "point before the decimals and no comma"
        )
    if isinstance(value, str) and _GROUPED_OR_NOT.fullmatch(text):
        raise ValueError(
            f"column {name!r}: the point of {text!r} may stand between thousands or before decimals: write "
            f"{text.replace('.', '')} or {text}0"
        )
    try:
        number = float(text.replace(",", "").replace("_", ""))
    except ValueError:
        raise ValueError(f"column {name!r}: {text[:40]!r} is not a number") from None
    if not 0 <= number <= MAX_NUMBER:  # not a number is refused as well
        raise ValueError(f"column {name!r}: {number} is not a number from 0 to 1e15")
    return number


def _country(name: str, value: Any) -> str:
    code = public_holidays.normal(str(value))
    if code is None:
        raise ValueError(
            f"column {name!r}: {str(value)[:40]!r} is no ISO 3166 code of a country such as DE, or of a part of one such as DE-BY"
        )
    return code


def _date(name: str, value: Any) -> str:
    try:
        written = value.isoformat() if isinstance(value, date) else read_date(str(value).strip()).isoformat()
    except ValueError:
        raise ValueError(f"column {name!r}: {str(value)[:40]!r} is not a date like 2027-01-31") from None
    try:
        read_day(written)  # as the scorer does; many systems write 0001-01-01 or 9999-12-31 where there is no date
    except ValueError:
        raise ValueError(
            f"column {name!r}: {written[:40]!r} is not from 1970 to 2199: leave it empty if there is no such date"
        ) from None
    return written
