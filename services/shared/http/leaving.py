"""An answer that goes on until its client has left."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from starlette.types import Receive


async def until_left(answering: Coroutine[None, None, None], receive: Receive) -> asyncio.Task[None]:
    """Answer until that is done or the client has left; return the task, which is done or cancelled."""
    task, leaving = asyncio.create_task(answering), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in (task, leaving):
            each.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)
    return task


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
