"""
What each client loses while ingest pushes back or is away, measured: `python -m tests.clients.outages`.

Two questions, each for every client and fault. *A spell*: of a session with a call every quarter of a second, how many
events are lost when the fault lasts ten seconds? *For good*: after how long does the client give up a fault that does not
end? The first takes two minutes, the second as long as it may (`--patience`); nothing passes or fails. The figures in
docs/clients.md come from here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support import client_programs
from tests.support.client_programs import CLIENTS, Client, Session
from tests.support.memory_ingest import MemoryIngest
from tests.support.pages import Pages
from tests.support.waiting import until

FAULTS = ("429", "503", "refused", "restart")
SPELL_S = 10
CALLS_A_SECOND = 4
TRACKS = 120
OTHER_CALLS = 8
"""Identify, group and six pages."""
QUIET_S = 90
"""A page that has delivered nothing for so long has given up, or never will."""


@dataclass
class Run:
    """One client under one fault."""

    client: str
    fault: str
    calls: int
    arrived: int
    twice: int
    attempts: int
    """Most requests for one batch; 0 where nobody counts, as where connections are refused."""
    given_up_s: float
    """Most seconds from the first of them to the last."""
    ended_s: float | None
    """Since the first call; None: a page, or a program that was still running when patience ended."""
    said: str


async def fail(ingest: MemoryIngest, fault: str) -> None:
    """Begin a fault."""
    if fault == "429":
        ingest.log.refuse("the broker is away")
    elif fault == "503":
        ingest.unavailable = True
    else:
        await ingest.stop()


async def mend(ingest: MemoryIngest, fault: str) -> None:
    """End a fault."""
    ingest.log.accept()
    ingest.unavailable = False
    if fault in ("refused", "restart"):
        await ingest.start()


@contextlib.asynccontextmanager
async def serving(names: Iterable[str]) -> AsyncIterator[MemoryIngest]:
    """Run an ingest for these clients."""
    ingest = MemoryIngest(names)
    await ingest.start()
    try:
        yield ingest
    finally:
        await ingest.stop()


class Trial:
    """All clients under one fault, at once: they wait more than they compute."""

    def __init__(self, pages: Pages, folder: Path, fault: str, patience_s: float) -> None:
        self._pages = pages
        self._folder = folder
        self._fault = fault
        self._patience_s = patience_s

    async def spell(self, clients: list[Client]) -> list[Run]:
        """Return what came of sessions in the middle of which a fault lasted for a while."""
        async with serving(client.name for client in clients) as ingest:
            prepared = [await self._prepare(client, ingest, TRACKS, 1000 // CALLS_A_SECOND) for client in clients]
            running = [asyncio.create_task(self._run(*each, ingest, TRACKS)) for each in prepared]
            await until(lambda: all(ingest.events(client.name) for client in clients), 60)
            await fail(ingest, self._fault)
            await asyncio.sleep(1 if self._fault == "restart" else SPELL_S)  # the length of the fault itself
            await mend(ingest, self._fault)
            return await asyncio.gather(*running)

    async def for_good(self, clients: list[Client]) -> list[Run]:
        """
        Return when the clients gave up.

        Programs call once a second for as long as they are watched. A page needs its settings first, which are not what is
        measured; then it calls a few times, and stays open.
        """
        seconds = int(self._patience_s)
        async with serving(client.name for client in clients) as ingest:
            pages = [await self._prepare(each, ingest, 10, 250) for each in clients if each.in_browser]
            programs = [await self._prepare(each, ingest, seconds, 1000) for each in clients if not each.in_browser]
            running = [asyncio.create_task(self._run(*each, ingest, 10)) for each in pages]
            await until(lambda: all(ingest.events(client.name) for client, *_ in pages), 120)
            await fail(ingest, self._fault)
            running += [asyncio.create_task(self._run(*each, ingest, seconds)) for each in programs]
            return await asyncio.gather(*running)

    async def _prepare(
        self, client: Client, ingest: MemoryIngest, tracks: int, pause_ms: int
    ) -> tuple[Client, Session, list[str] | dict[str, str]]:
        session = Session(ingest.address, client.name, f"ann-{client.name}", "acme", tracks, pause_ms)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        if client.in_browser:
            return client, session, await client_programs.page_files(client.language, client.source(), session, folder)
        return client, session, await client_programs.build(client.language, client.source(), folder)

    async def _run(
        self, client: Client, session: Session, what: list[str] | dict[str, str], ingest: MemoryIngest, tracks: int
    ) -> Run:
        began, calls = time.monotonic(), tracks + OTHER_CALLS
        ended: float | None = None
        said = ""
        if isinstance(what, dict):
            name = f"{client.name}-{tracks}-{self._fault}"
            await self._pages.open(name, what)
            await self._page_ends(client, ingest, calls, began)
            said = "\n".join(self._pages.said[name])
        else:
            try:
                said = await client_programs.run(what, session, self._patience_s)
                ended = time.monotonic() - began
            except TimeoutError:
                said = "still running"
            except RuntimeError as error:
                said, ended = str(error), time.monotonic() - began
        batches: dict[str, list[float]] = {}
        for answer in ingest.answers:
            if answer.write_key == client.name:
                batches.setdefault(answer.first_id, []).append(answer.at)
        ids = Counter(event["event_id"] for event in ingest.events(client.name))
        return Run(
            client.name,
            self._fault,
            calls,
            len(ids),
            ids.total() - len(ids),
            max(map(len, batches.values()), default=0),
            max((times[-1] - times[0] for times in batches.values()), default=0.0),
            ended,
            said,
        )

    async def _page_ends(self, client: Client, ingest: MemoryIngest, calls: int, began: float) -> None:
        def over() -> bool:
            if len({event["event_id"] for event in ingest.events(client.name)}) >= calls:
                return True
            last = max((answer.at for answer in ingest.answers if answer.write_key == client.name), default=began)
            return time.monotonic() - max(last, began + calls / CALLS_A_SECOND) > QUIET_S

        with contextlib.suppress(TimeoutError):
            await until(over, self._patience_s)


def show(runs: Iterable[Run], *, verbose: bool) -> None:
    """Print runs as a table in Markdown."""
    print("| client | fault | calls | arrived | lost | twice | attempts | over s | ended s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for run in sorted(runs, key=lambda run: (run.client, run.fault)):
        times = f"{run.given_up_s:.0f} | " + ("-" if run.ended_s is None else f"{run.ended_s:.0f}")
        counts = f"{run.calls} | {run.arrived} | {run.calls - run.arrived} | {run.twice} | {run.attempts}"
        print(f"| {run.client} | {run.fault} | {counts} | {times} |")
        if verbose:
            print("\n".join(f"    {line}" for line in run.said.splitlines()[:12]))


async def main() -> None:
    """Measure what the command line asks for."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("question", choices=["spell", "for-good"])
    arguments.add_argument("--only", default=",".join(CLIENTS), help="names, separated by commas")
    arguments.add_argument("--faults", default=",".join(FAULTS))
    arguments.add_argument("--patience", type=float, default=900, help="seconds after which a program is killed")
    arguments.add_argument("--verbose", action="store_true", help="print what the clients said, too")
    wish = arguments.parse_args()
    os.environ.setdefault("TIDEMARK_PSEUDONYM_KEY", "5e" * 32)
    clients = [CLIENTS[name] for name in wish.only.split(",")]
    for client in clients:
        if (reason := client_programs.missing(client.language)) is not None:
            raise SystemExit(reason)
    pages = Pages()
    with tempfile.TemporaryDirectory() as folder:
        trials = [Trial(pages, Path(folder), fault, wish.patience) for fault in wish.faults.split(",")]
        try:
            if wish.question == "spell":
                runs = [run for trial in trials for run in await trial.spell(clients)]
            else:
                runs = [run for each in await asyncio.gather(*(t.for_good(clients) for t in trials)) for run in each]
        finally:
            await pages.close()
    show(runs, verbose=wish.verbose)


if __name__ == "__main__":
    asyncio.run(main())
