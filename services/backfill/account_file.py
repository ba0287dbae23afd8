"""Files of account facts, as group calls with ids made of what a row says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

from services.backfill.files import BadFile, rows
from services.backfill.mapping import TimedCall
from services.shared.tracking_plan.values import MAX_NUMBER

NUMBERS = ("revenue", "arr", "seats")
DATES = ("contract_start", "go_live_on", "renewal_date")


def read(path: Path, account_column: str, now_ms: int) -> tuple[list[TimedCall], list[str]]:
    """
    Return the group calls, and the malformed rows in words.

    The id of a call is a hash of the row, so the same facts imported again within a day are dropped as a repeat,
    and later change nothing since they say the same.

    Raises:
        BadFile: the file as a whole cannot be read.
    """
    calls, problems = [], []
    for number, row in _rows(path, account_column):
        try:
            calls.append(TimedCall(now_ms, _call(row, account_column, now_ms)))
        except ValueError as error:
            problems.append(f"row {number}: {error}")
    if not calls and not problems:
        raise BadFile(f"{path.name} has no rows")
    return calls, problems


def _rows(path: Path, account_column: str) -> Iterator[tuple[int, Any]]:
    if path.suffix.lower() not in (".yaml", ".yml"):
        yield from rows(path, account_column)
        return
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{path.name} is not YAML: {error}") from error
    if not isinstance(found, list):
        raise BadFile(f"{path.name} must be a list of accounts")
    yield from enumerate(found, start=1)


def _call(row: Any, account_column: str, now_ms: int) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(row if isinstance(row, str) else "it is not a set of columns")  # noqa: TRY004  said, not raised on
    account = str(row.get(account_column) or "").strip()
    if not account:
        raise ValueError(f"column {account_column!r} is missing or empty")
    traits = {
        str(name): _fact(str(name), value)
        for name, value in row.items()
        if name != account_column and value is not None and value != ""
    }
    if not traits:
        raise ValueError(f"account {account!r} has no facts")
    content = json.dumps([account, traits], sort_keys=True, default=str)
    return {
        "type": "group",
        "messageId": "facts-" + hashlib.sha256(content.encode()).hexdigest()[:32],
        "userId": "tidemark-accounts-import",
        "groupId": account,
        "timestamp": datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "traits": traits,
    }


def _fact(name: str, value: Any) -> Any:
    if name in NUMBERS:
        try:
            number = float(str(value).replace(",", "").replace("_", ""))
        except ValueError:
            raise ValueError(f"column {name!r}: {str(value)[:40]!r} is not a number") from None
        if not 0 <= number <= MAX_NUMBER:  # not a number is refused as well
            raise ValueError(f"column {name!r}: {number} is not a number from 0 to 1e15")
        return int(number) if name == "seats" else number
    if name in DATES:
        try:
            return value.isoformat() if isinstance(value, date) else date.fromisoformat(str(value).strip()).isoformat()
        except ValueError:
            raise ValueError(f"column {name!r}: {str(value)[:40]!r} is not a date like 2027-01-31") from None
    return value if isinstance(value, int | float | bool) else str(value)
