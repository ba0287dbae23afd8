"""Who holds which token: the API says it, and it is asked again a minute later, so that a revoked token ends soon."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from xxhash import xxh3_128_hexdigest

from services.console.api_client import Api, ApiError, Upstream
from services.console.identity import Identity

UNAUTHORIZED = 401
_KEPT_S = 60.0
_MOST = 10_000


async def holder_of(api: Api) -> str:
    """
    Return the name of who holds the token that an API is asked with.

    Raises:
        ApiError: with status 401 where nobody does, also where the API has no tokens: it takes any then.
    """
    told = await api.get("/v1/whoami")
    if told["open"]:
        raise ApiError(UNAUTHORIZED, "unauthorized", "", "the query API has no tokens, so no token signs anybody in")
    return str(told["name"])


class Holders:
    """The names of those who hold tokens."""

    def __init__(self, upstream: Upstream, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = upstream
        self._clock = clock
        self._known: dict[str, tuple[float, str]] = {}

    async def name_of(self, token: str) -> str:
        """
        Return the name of who holds a token.

        Raises:
            ApiError: with status 401 where nobody does.
        """
        key, now = xxh3_128_hexdigest(token.encode()), self._clock()
        until, name = self._known.get(key, (0.0, ""))
        if now < until:
            return name
        name = await holder_of(Api(self._upstream, token))
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = (now + _KEPT_S, name)
        return name

    async def named(self, identity: Identity) -> Identity:
        """
        Return an identity with its name; unless its holder chose an owner, that name is also whose accounts are "mine".

        Raises:
            ApiError: the token is not accepted any more, or the API does not answer.
        """
        name = await self.name_of(identity.token or "")
        return replace(identity, name=name, owner=identity.owner or name)
