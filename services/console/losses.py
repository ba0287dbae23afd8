"""Losses that people have recorded, as the list of lost customers of a back-test."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from services.console.api_client import Api

COLUMNS = ("account", "date", "reason")


class Loss(NamedTuple):
    """One loss."""

    account: str
    date: str
    reason: str


async def losses_on_record(api: Api) -> list[Loss]:
    """
    Return the losses that have happened by today, UTC; those of a day that the API cannot tell are left out.

    Raises:
        ApiError: the API refused, or did not answer.
    """
    told = await api.get("/v1/losses")
    today = datetime.now(UTC).date().isoformat()
    return [
        Loss(each["account"], each["date"], each["reason"])
        for each in told["losses"]
        if each["date"] is not None and each["date"] <= today
    ]


def as_list(losses: Sequence[Loss]) -> bytes:
    """Return losses as the file that `tidemark backtest --outcomes` reads."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(losses)
    return text.getvalue().encode()
