"""Sessions of real clients, several at once: they wait more than they compute."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import client_programs
from tests.support.client_programs import CLIENTS, Client, Language, Session
from tests.support.pages import Pages
from tests.support.waiting import until

_AT_ONCE = 4
CALLS = {"IDENTIFY": 1, "GROUP": 1, "TRACK": 10, "PAGE": 6}
"""What a session calls, by the kind of its events."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that has ended."""

    began_ms: float
    ended_ms: float
    said: str


class Sessions:
    """Builds programs and pages, and runs them; pages share one browser."""

    def __init__(self, folder: Path) -> None:
        """Keep what is built in a folder."""
        self._folder = folder
        self._pages = Pages()
        self._numbers = itertools.count()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def run(
        self, language: Language, source: str, session: Session, arrived: Callable[[], Any], within_s: float = 60
    ) -> Ended:
        """
        Run a program to its end; or a page, until everything has `arrived` and it is still.

        Raises:
            RuntimeError: it failed; the text is what it said.
            TimeoutError: it did not end in time; of a page, the text is what it said.
        """
        name = f"page-{next(self._numbers)}"
        folder = self._folder / name
        folder.mkdir()
        async with self._turns:
            if language not in ("module", "html"):
                command = await client_programs.build(language, source, folder)
                began = time.time()
                said = await client_programs.run(command, session, within_s)
                return Ended(began * 1000, time.time() * 1000, said)
            files = await client_programs.page_files(language, source, session, folder)
            began = time.time()
            page = await self._pages.open(name, files)
            await until(arrived, within_s, lambda: "\n".join(self._pages.said[name]) or "the page says nothing")
            await page.wait_for_load_state("networkidle")
            await page.context.close()
            return Ended(began * 1000, time.time() * 1000, "\n".join(self._pages.said[name]))

    async def close(self) -> None:
        """Close the browser."""
        await self._pages.close()


class AllAtOnce:
    """Runs something for clients, those that are there, all at once as soon as the first is asked for."""

    def __init__(self, run: Callable[[Client], Awaitable[Ended]], clients: Mapping[str, Client] = CLIENTS) -> None:
        """Run nothing yet."""
        self._run = run
        self._clients = clients
        self._running: dict[str, asyncio.Future[Ended]] = {}

    def start(self) -> None:
        """Run them, unless that was done before."""
        for name, client in self._clients.items():
            if name not in self._running and client_programs.missing(client.language) is None:
                self._running[name] = asyncio.ensure_future(self._run(client))

    async def ended(self, client: Client) -> Ended:
        """Return what came of a client, once it has ended."""
        self.start()
        return await self._running[client.name]

    async def all_ended(self) -> None:
        """Wait until all have ended, well or not."""
        self.start()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def close(self) -> None:
        """Stop those that still run."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
