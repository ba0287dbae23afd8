"""Whether ingest has an accounts file in force, asked of itself: it reads the file at its start only."""

from __future__ import annotations

import re
from enum import Enum

import httpx

from services.ingest.domain.accounts import AccountBook

_FINGERPRINT = re.compile(r'^tidemark_ingest_accounts_info\{fingerprint="([^"]*)"\} 1', re.MULTILINE)


class InForce(Enum):
    """What ingest has."""

    SAME = "ingest has these accounts in force"
    OTHER = "ingest has other accounts in force"
    UNKNOWN = "ingest does not say which accounts it has in force"


def in_force(address: str, book: AccountBook) -> InForce:
    """Ask an ingest process whether it has these accounts in force."""
    try:
        found = _FINGERPRINT.search(httpx.get(f"{address}/metrics", timeout=5).text)
    except (httpx.HTTPError, httpx.InvalidURL):
        return InForce.UNKNOWN
    if found is None:
        return InForce.UNKNOWN
    return InForce.SAME if found[1] == book.fingerprint else InForce.OTHER
