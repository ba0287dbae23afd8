"""Wait for a condition, with a bound: what tests do instead of sleeping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

_LONGEST_PAUSE_S = 0.05


async def until(
    condition: Callable[[], Any], within_s: float = 60.0, otherwise: Callable[[], str] | None = None
) -> Any:
    """
    Return what a condition gives, or what that gives to await, once it is true.

    It is asked at once, then ever more seldom: what comes after a turn of the loop is seen then, and what takes another
    process seconds is not asked a thousand times.

    Raises:
        TimeoutError: it was not true in time; the text is that of `otherwise`, asked then.
    """
    pause = 0.0
    try:
        async with asyncio.timeout(within_s):
            while True:
                found = condition()
                if found := await found if isawaitable(found) else found:
                    return found
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE_S, pause + 0.001)
    except TimeoutError:
        raise TimeoutError(otherwise() if otherwise else f"not true within {within_s} s") from None


def wait_until(
    condition: Callable[[], Any], within_s: float = 60.0, otherwise: Callable[[], str] | None = None
) -> None:
    """
    Return once a condition of another process is true; for tests that run no loop.

    Raises:
        TimeoutError: as `until`.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline:
            raise TimeoutError(otherwise() if otherwise else f"not true within {within_s} s")
        time.sleep(_LONGEST_PAUSE_S)
