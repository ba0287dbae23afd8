"""Answers that are kept for a while."""

import asyncio
from typing import Any

import httpx
import pytest

from services.console.api_client import Apart, Api, ApiError
from services.console.recent import FRESH_S, STALE_S, Recent


class Asking:
    """Counts, and answers when it is let to."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        await self.go.wait()
        if self.error:
            raise self.error
        return {"asked": self.asked}


async def test_those_who_ask_at_once_get_one_answer_and_one_who_leaves_takes_it_from_nobody() -> None:
    recent, ask = Recent(), Asking()
    first, second = (asyncio.create_task(recent.get("q", ask)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    ask.go.set()

    assert await second == {"asked": 1}
    assert await recent.get("q", ask) == {"asked": 1}


async def test_an_answer_that_is_not_fresh_is_given_while_it_is_asked_for_anew() -> None:
    now = 0.0
    recent, ask = Recent(lambda: now), Asking()
    ask.go.set()
    await recent.get("q", ask)
    now = FRESH_S

    assert [await recent.get("q", ask) for _ in range(2)] == [{"asked": 1}, {"asked": 1}]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await recent.get("q", ask) == {"asked": 2}
    assert ask.asked == 2


async def test_an_answer_that_is_too_old_is_waited_for() -> None:
    now = 0.0
    recent, ask = Recent(lambda: now), Asking()
    ask.go.set()
    await recent.get("q", ask)
    now = STALE_S

    assert await recent.get("q", ask) == {"asked": 2}
    assert await recent.get("other", ask) == {"asked": 3}


async def test_while_the_api_refuses_the_last_answer_is_given_until_it_is_too_old() -> None:
    now = 0.0
    recent, ask = Recent(lambda: now), Asking()
    ask.go.set()
    await recent.get("q", ask)
    ask.error = ValueError("no")

    while (now := now + FRESH_S) < STALE_S:
        assert await recent.get("q", ask) == {"asked": 1}
        await asyncio.sleep(0)
    assert ask.asked == STALE_S / FRESH_S
    with pytest.raises(ValueError, match="no"):
        await recent.get("q", ask)


async def test_a_refusal_is_not_kept() -> None:
    recent, ask = Recent(), Asking()
    ask.go.set()
    ask.error = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        await recent.get("q", ask)
    ask.error = None

    assert await recent.get("q", ask) == {"asked": 2}


async def test_what_is_kept_is_bounded() -> None:
    recent, ask = Recent(), Asking()
    ask.go.set()
    for number in range(500):
        await recent.get(str(number), ask)

    assert len(recent._kept) <= 50


async def test_an_erasure_clears_what_is_kept_and_what_was_asked_for_before_it_is_not_kept() -> None:
    recent, ask = Recent(), Asking()
    recent.note_erasures("a-0")
    before = asyncio.create_task(recent.get("q", ask))
    await asyncio.sleep(0)
    recent.note_erasures("a-1")
    ask.go.set()
    await before

    assert await recent.get("q", ask) == {"asked": 2}
    recent.note_erasures("a-1")
    assert await recent.get("q", ask) == {"asked": 2}
    recent.note_erasures("a-2")
    assert await recent.get("q", ask) == {"asked": 3}


async def test_a_revoked_token_refuses_nobody_who_waits_for_the_same_answer_with_a_good_one() -> None:
    came, go = asyncio.Event(), asyncio.Event()

    async def answered(request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] == "Bearer good":
            return httpx.Response(200, json={"told": "to good"})
        came.set()
        await go.wait()
        return httpx.Response(401, json={"code": "unknown_token", "detail": "this token is not known here"})

    upstream = Apart("http://127.0.0.1:9")
    upstream.client = httpx.AsyncClient(base_url="http://127.0.0.1:9", transport=httpx.MockTransport(answered))
    revoked = asyncio.create_task(Api(upstream, "revoked").get_recent("/v1/losses"))
    await came.wait()
    good = asyncio.create_task(Api(upstream, "good").get_recent("/v1/losses"))
    await asyncio.sleep(0)
    go.set()

    assert await good == {"told": "to good"}
    with pytest.raises(ApiError, match="401"):
        await revoked
