"""Ingest as the console records with it: a batch of calls with the console's write key, each accepted or refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec

from services.console.settings import ConsoleSettings

TIMEOUT = httpx.Timeout(10.0, connect=3.0)

Call = Mapping[str, Any]


class NotRecorded(Exception):
    """
    Ingest did not take what was sent. Nothing of it is on the log, or it may safely be sent again with the same ids.

    `code`, `field` and `detail` are ingest's own; `code` is `unavailable` where it gave no answer that can be read.
    """

    def __init__(self, code: str, field: str, detail: str) -> None:
        super().__init__(f"{code} {field}: {detail}")
        self.code, self.field, self.detail = code, field, detail


def can_record(settings: ConsoleSettings) -> bool:
    """Return whether it is known where to record, and with which key."""
    return settings.ingest is not None and settings.write_key is not None


async def record(settings: ConsoleSettings, calls: Sequence[Call]) -> None:
    """
    Send calls, and return once they are on the log.

    Raises:
        NotRecorded: one was refused or breaks the tracking plan, the key is not accepted, or ingest does not answer.
    """
    if settings.ingest is None or settings.write_key is None:
        raise NotRecorded("not_configured", "", "TIDEMARK_CONSOLE_INGEST and TIDEMARK_CONSOLE_WRITE_KEY are not set")
    key = settings.write_key.get_secret_value()
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:
            answer = await client.post(f"{settings.ingest}/v1/batch", json={"batch": list(calls)}, auth=(key, ""))
    except httpx.HTTPError as error:
        raise NotRecorded("unavailable", "", f"ingest does not answer: {error}") from error
    told = _read(answer)
    for result in told.get("results", []):
        if result.get("verdict") == "rejected":
            raise NotRecorded(result.get("code", ""), result.get("field", ""), result.get("detail", ""))
    if answer.status_code != httpx.codes.OK or not told.get("success", False):
        code = str(told.get("code") or "unavailable")
        detail = str(told.get("message") or told.get("detail") or f"ingest answered {answer.status_code}")
        raise NotRecorded(code, str(told.get("field") or ""), detail)


def _read(answer: httpx.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
