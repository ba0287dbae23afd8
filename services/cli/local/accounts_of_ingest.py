"""Whether ingest has an accounts file in force, asked of itself: it reads the file at its start only."""

from __future__ import annotations

from enum import Enum

import httpx

from services.cli.local.metrics_page import metrics_of
from services.ingest.domain.accounts import AccountBook


class InForce(Enum):
    """What ingest has."""

    SAME = "ingest has these accounts in force"
    OTHER = "ingest has other accounts in force"
    UNKNOWN = "ingest does not say which accounts it has in force"


def in_force(address: str, book: AccountBook) -> InForce:
    """Ask an ingest process whether it has these accounts in force."""
    try:
        found = metrics_of(address, {"tidemark_ingest_accounts_info"})
    except (httpx.HTTPError, httpx.InvalidURL):
        return InForce.UNKNOWN
    if not found:
        return InForce.UNKNOWN
    in_force_now = {each.labels["fingerprint"] for each in found if each.value}
    return InForce.SAME if book.fingerprint in in_force_now else InForce.OTHER
