"""The rows that the warehouse holds of a person, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import msgspec

from services.cli.erasing.traces import QueryAccess, refused
from services.shared.errors import Retryable
from services.warehouse.domain.personal import PERSONAL_TABLES

_BUSY_S = 60.0
"""For so long somebody else's export may keep the warehouse busy."""
_AGAIN_S = 1.0


def personal_lines(
    warehouse: QueryAccess, pseudonyms: Sequence[str], busy_s: float = _BUSY_S
) -> Iterator[dict[str, Any]]:
    """
    Yield each row that a table has of one of these, with the name of the table.

    Raises:
        Retryable: the warehouse does not answer, is busy for too long, or stopped amid its answer: what was told is not all.
        Fatal: it refuses.
    """
    headers = {"Authorization": f"Bearer {warehouse.token}"} if warehouse.token else {}
    waiting = httpx.Timeout(10.0, read=None)  # the first byte comes when the engine is done
    try:
        with httpx.Client(base_url=warehouse.address, timeout=waiting, headers=headers) as client:
            for user in pseudonyms:
                for table in PERSONAL_TABLES:
                    for line in _lines(client, warehouse, f"/v1/traces/people/{user}/{table}", busy_s):
                        yield {"table": table, **msgspec.json.decode(line)}
    except httpx.HTTPError as error:
        raise Retryable(
            f"the warehouse at {warehouse.address} does not answer, or stopped amid its answer ({error!r}), so what was printed is"
            " not all: see `tidemark doctor`, and run the same command again"
        ) from error


def _lines(client: httpx.Client, warehouse: QueryAccess, path: str, busy_s: float) -> Iterator[bytes]:
    deadline = time.monotonic() + busy_s
    while True:
        with client.stream("GET", path) as answer:
            if not answer.is_error:
                rest = b""
                for piece in answer.iter_bytes():
                    *whole, rest = (rest + piece).split(b"\n")
                    yield from whole
                return
            answer.read()
        if b'"busy"' not in answer.content or time.monotonic() >= deadline:
            raise refused(warehouse, answer)
        time.sleep(_AGAIN_S)
