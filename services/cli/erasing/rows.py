"""The rows that the warehouse holds of a person, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import httpx
import msgspec
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from services.cli.erasing.traces import QueryAccess, refused
from services.shared.errors import Fatal, Retryable, TidemarkError
from services.warehouse.domain.disclosure import PERSONAL_TABLES

_BUSY_S = 60.0
"""For so long somebody else's export may keep the warehouse busy."""
_AGAIN_S = 1.0
_IN_THE_WAY = ("busy", "too_much", "unavailable")


class _RowsProblem(msgspec.Struct):
    code: str
    detail: str


def personal_lines(
    warehouse: QueryAccess, pseudonyms: Sequence[str], busy_s: float = _BUSY_S
) -> Iterator[dict[str, Any]]:
    """
    Yield each row that a table has of one of these, with the name of the table.

    Raises:
        Retryable: the warehouse does not answer, is busy for too long, or stopped amid its answer: what was told is not all.
        Fatal: it refuses, or a table takes more memory than it has.
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
    asking = Retrying(
        retry=retry_if_result(_is_busy),
        wait=wait_fixed(_AGAIN_S),
        stop=stop_after_delay(busy_s),
        retry_error_callback=lambda last: last.outcome and last.outcome.result(),
    )
    answer: httpx.Response = asking(_asked, client, path)
    if answer.is_error:
        raise _refused(warehouse, answer)
    with closing(answer):
        rest = b""
        for piece in answer.iter_bytes():
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole


def _asked(client: httpx.Client, path: str) -> httpx.Response:
    """Return the answer: its rows not read yet, an error whole."""
    answer = client.send(client.build_request("GET", path), stream=True)
    if answer.is_error:
        answer.read()
    return answer


def _is_busy(answer: httpx.Response) -> bool:
    return answer.is_error and b'"busy"' in answer.content


def _refused(warehouse: QueryAccess, answer: httpx.Response) -> TidemarkError:
    """Return what an answer says that is an error: what keeps a table from being told says itself what to do."""
    try:
        told = msgspec.json.decode(answer.content, type=_RowsProblem)
    except msgspec.MsgspecError:
        return refused(warehouse, answer)
    if told.code not in _IN_THE_WAY:
        return refused(warehouse, answer)
    kind = Retryable if answer.is_server_error else Fatal
    return kind(
        f"the warehouse at {warehouse.address}: {told.detail}. What was printed is not all: run the same command again"
    )
