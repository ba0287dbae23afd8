"""User ids in the place of pseudonyms, as the warehouse knows them: for people who read signals in a terminal."""

from __future__ import annotations

from typing import Any

import httpx
from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

from services.warehouse.domain.people import named, pseudonyms_in

_WITHIN_S = 3.0
"""A signal may come before the warehouse has stored the event that caused it."""


class People:
    """Asks the warehouse at an address for each person once; without one nobody is known."""

    def __init__(self, warehouse: str | None, token: str | None = None) -> None:
        """Take the address, if there is a warehouse, and a token, if it needs one."""
        self._warehouse = warehouse
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._names: dict[str, str] = {}
        self._awaited: set[str] = set()
        """Who was waited for already: people who were erased are never known again."""

    async def in_signal(self, signal: dict[str, Any], *, new: bool = True) -> dict[str, Any]:
        """Return a signal whose summary has user ids, as far as they are known; only for a new one they are waited for."""
        wanted = pseudonyms_in(signal["summary"])
        if not wanted or self._warehouse is None:
            return signal
        async with httpx.AsyncClient(base_url=self._warehouse, headers=self._headers, timeout=_WITHIN_S) as client:
            for user in sorted(wanted - self._names.keys()):
                if name := await self._ask(client, user, _WITHIN_S if new and user not in self._awaited else 0.0):
                    self._names[user] = name
        return {**signal, "summary": named(signal["summary"], self._names)}

    async def _ask(self, client: httpx.AsyncClient, user: str, within_s: float) -> str:
        attempts = AsyncRetrying(
            retry=retry_if_result(lambda name: not name), stop=stop_after_delay(within_s), wait=wait_fixed(0.25)
        )
        if within_s:
            self._awaited.add(user)
        try:
            found: str = await attempts(_user_id, client, user)
        except (httpx.HTTPError, RetryError):
            return ""
        return found


async def _user_id(client: httpx.AsyncClient, user: str) -> str:
    answer = await client.get(f"/v1/people/{user}")
    return str(answer.json()["user_id"]) if answer.is_success else ""
