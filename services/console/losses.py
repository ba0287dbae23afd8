"""Losses that people have recorded, as the list of lost customers of a back-test."""

from __future__ import annotations

import asyncio
import csv
import io
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from services.console.api_client import Api, ApiError, Told

log = logging.getLogger(__name__)

PATIENCE_S = 2.0
"""So long a page waits for what it shows beside its own matter."""
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


NOTHING = LossesOnRecord([], 0, [])


async def losses_on_record(api: Api) -> LossesOnRecord:
    """
    Return the losses that people recorded, and those that cannot stand in a list of lost customers.

    Raises:
        ApiError: the API refused, or did not answer.
    """
    return _recorded(await api.get("/v1/losses"))


async def lost_accounts(api: Api) -> Mapping[str, Loss]:
    """
    Return the losses that have happened, by account, as they were known at most some minutes ago.

    There are none where the API does not say it soon: the page has other things to tell, and its next reader has them.
    """
    try:
        told = await asyncio.wait_for(api.get_recent("/v1/losses"), PATIENCE_S)
    except (ApiError, TimeoutError) as error:
        log.warning("losses_not_marked", extra={"error": str(error) or "no answer yet"})
        return {}
    return {loss.account: loss for loss in _recorded(told).losses}


def _recorded(told: Told) -> LossesOnRecord:
    today = datetime.now(UTC).date().isoformat()
    dated = [Loss(each["account"], each["date"], each["reason"]) for each in told["losses"] if each["date"] is not None]
    happened = [loss for loss in dated if loss.date <= today]
    without = [each["account"] for part in ("losses", "without_day") for each in told[part] if each.get("date") is None]
    return LossesOnRecord(happened, len(dated) - len(happened), without)


def as_list(losses: Sequence[Loss]) -> bytes:
    """Return losses as the file that `tidemark backtest --outcomes` reads."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(losses)
    return text.getvalue().encode()
