"""Rows of account_health for tests of the warehouse and the console."""

from __future__ import annotations

from services.warehouse.domain.rows import Place, Row, row


def forgotten(place: Place, account: str, at: int | None = None) -> Row:
    """Return the row of an account that the scorer forgot at this log time, or when Kafka took the record."""
    when = place.appended_at if at is None else at
    made = row(place, "account_forgotten", {"account": account, "at": when, "historical": False})
    assert made is not None
    return made
