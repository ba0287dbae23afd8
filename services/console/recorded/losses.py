"""Losses that people have recorded, as the list of lost customers of a back-test."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from services.console.api_client import Api, Told

COLUMNS = ("account", "date", "reason")


class Loss(NamedTuple):
    """One loss."""

    account: str
    date: str
    reason: str


class LossesOnRecord(NamedTuple):
    """What people recorded of losses."""

    losses: list[Loss]
    """Those that have happened by today, UTC."""
    ahead: int
    """Accounts whose loss lies ahead."""
    without_day: list[str]
    """Accounts whose records name no day."""
    left_out: int = 0
    """Accounts whose records are older than all that the API tells."""


NOTHING = LossesOnRecord([], 0, [])


async def losses_on_record(api: Api) -> LossesOnRecord:
    """
    Return the losses that people recorded, and those that cannot stand in a list of lost customers.

    Raises:
        ApiError: the API refused, or did not answer.
    """
    return _recorded(await api.get("/v1/losses"))


async def lost_accounts(api: Api) -> Mapping[str, Loss] | None:
    """Return the losses that have happened, by account; None where the API does not say it soon."""
    told = await api.get_soon("/v1/losses")
    return None if told is None else {loss.account: loss for loss in _recorded(told).losses}


def _recorded(told: Told) -> LossesOnRecord:
    today = datetime.now(UTC).date().isoformat()
    dated = [Loss(each["account"], each["date"], each["reason"]) for each in told["losses"] if each["date"] is not None]
    happened = [loss for loss in dated if loss.date <= today]
    without = [each["account"] for part in ("losses", "without_day") for each in told[part] if each.get("date") is None]
    left_out = told["total"] - len(told["losses"]) if told["truncated"] else 0
    return LossesOnRecord(happened, len(dated) - len(happened), without, left_out)


def as_list(found: LossesOnRecord) -> bytes:
    """Return losses as the file that `tidemark backtest --outcomes` reads: an account without a date is not one that stayed."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(found.losses)
    writer.writerows(Loss(account, "", "") for account in found.without_day)
    return text.getvalue().encode()
