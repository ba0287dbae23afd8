"""
`tidemark demo`: the whole pipeline with sixty simulated customers, from their past into the present.

The past goes through the real ingest once and is kept; a second start goes on from there.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.shared.errors import Fatal

if TYPE_CHECKING:
    import threading

    from rich.console import Console

    from services.cli.local.stack import Stack
    from services.cli.local.stack_state import Running
    from services.simulator import History

DATA = Path(".data/demo")
EVENTS_A_SECOND = 8.0
TELL_EVERY_S = 5.0
"""Where there is no terminal for a progress bar."""
QUIET_S = 10.0
"""Without a signal of the past for so long, it is over: its last day is closed within seconds of the first live events."""


def register(app: typer.Typer) -> None:
    """Add the command `demo`."""
    app.command("demo")(demo)


def demo(
    *,
    port: Annotated[
        int, typer.Option(min=1, max=65532, help="Port of ingest; the other services take the next three.")
    ] = 8080,
    data: Annotated[Path, typer.Option(help="Folder for all data.")] = DATA,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the data and start over.")] = False,
    weeks: Annotated[
        int | None, typer.Option(min=1, max=35, help="Weeks of history.", show_default="35, or as before")
    ] = None,
    stop_after: Annotated[float | None, typer.Option(help="Seconds of live traffic; by default until Ctrl-C.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the console, where there is a desktop.")] = True,
) -> None:
    """
    Run the whole pipeline with simulated customers until Ctrl-C, and show it in the console and here.

    It prints the address of the console first, then a tour of five customers, then signals as they fire.
    """
    from rich.console import Console

    from services.cli.commands.dev import interrupt_on_signals, stop_on_signals, tell_absence, telling
    from services.cli.local.demo_source import delete, require_same
    from services.cli.local.stack import Stack
    from services.cli.local.tour import open_browser

    console = Console(highlight=False)
    interrupt_on_signals()
    if fresh:
        delete(data)
    require_same(data, weeks)
    os.environ.setdefault("TIDEMARK_CONSOLE_CURRENCY", "EUR")
    started = time.monotonic()
    try:
        with Stack(data, port, say=lambda text: print(f"  {text} ...", file=sys.stderr)) as stack:
            tell_absence(stack)
            address = stack.state.addresses["warehouse"]
            console.print(f"\nThe console: {address}/\n", style="bold", soft_wrap=True)
            with telling(stack):
                history = asyncio.run(_past(stack, console, weeks))
                opened = browser and open_browser(address)
                where = " The console is open in your browser." if opened else ""
                console.print(f"\nReady after {time.monotonic() - started:.1f} s.{where}", style="bold")
                _show_tour(history, address, console)
                _how_to_look_further(stack, console)
                stop = stop_on_signals()
                asyncio.run(_present(stack, console, history.seed, stop, stop_after))
            print("stopping ...", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped; `make demo` goes on from here", file=sys.stderr)
        raise typer.Exit(1) from None


async def _past(stack: Stack, console: Console, weeks: int | None) -> History:
    from rich.console import Console as Terminal
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from services.backfill.sender import IngestSender
    from services.backfill.service import BackfillState, Options, backfill
    from services.cli.local.demo_source import DemoHistory, remembered
    from services.cli.local.stack_state import find
    from services.scorer.lane_facts import read_lanes, read_positions

    history = DemoHistory(remembered(stack.data, weeks, time.time_ns() // 1_000_000))
    weeks = history.history.weeks
    running = find(stack.data)
    began = told_at = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    terminal = Terminal(stderr=True)
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
        task = bar.add_task(f"  {weeks} weeks of 60 customers", total=history.span_ms, note="")

        def report(state: BackfillState) -> None:
            note = f"{time.strftime('%Y-%m-%d', time.gmtime(state.log_time / 1000))}, {state.rows:,} events"
            bar.update(task, completed=state.log_time - history.first_ms, note=note)
            nonlocal told_at
            if not terminal.is_terminal and time.monotonic() - told_at > TELL_EVERY_S:
                told_at = time.monotonic()
                print(f"  {note}", file=sys.stderr, flush=True)

        key = stack.state.backfill_key
        async with IngestSender(stack.state.addresses["ingest"], key) as sender:
            await sender.ready()
            outcome = await backfill(history, sender, running.kafka, Options(read_lanes, read_positions, report=report))
    if outcome.tally.rejected:
        raise Fatal(f"ingest rejected {outcome.tally.rejected} simulated events: {outcome.tally.rejections[:3]}")
    if outcome.tally.accepted:
        console.print(
            f"  {outcome.rows:,} events of {weeks} weeks went through ingest in {time.monotonic() - began:.1f} s",
        )
    else:
        console.print(f"  {outcome.rows:,} events of the past are here from an earlier start (--fresh starts over)")
    return history.history


def _show_tour(history: History, address: str, console: Console) -> None:
    from services.cli.local.tour import LEAST_WEEKS, tour

    if history.weeks < LEAST_WEEKS:
        return
    console.print("\nFive customers to look at:", style="bold")
    for stop in tour(history.seed, address):
        console.print(f"  {stop.name}: {stop.look}\n    {stop.address}", soft_wrap=True, markup=False)


async def _present(stack: Stack, console: Console, seed: int, stop: threading.Event, stop_after: float | None) -> None:
    from services.cli.local.stack_state import find

    shower = asyncio.create_task(_show(find(stack.data), console))
    traffic = asyncio.create_task(_traffic(stack, seed))
    deadline = None if stop_after is None else time.monotonic() + stop_after
    try:
        while not stop.is_set() and (deadline is None or time.monotonic() < deadline):
            done, _ = await asyncio.wait([shower, traffic], timeout=0.3, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
            failed = stack.failed()
            if failed:
                raise Fatal(failed)
    finally:
        for task in (shower, traffic):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _show(running: Running, console: Console) -> None:
    from services.cli.local.demo_screen import Screen
    from services.cli.people import People
    from services.cli.signal_stream import SignalStream

    screen, people = Screen(console), People(running.warehouse, running.query_token)
    later = asyncio.get_running_loop().call_later
    async with SignalStream(running.kafka, console.print) as stream:
        screen.past([await people.in_signal(signal, new=False) for signal in await stream.past()])
        quiet = later(QUIET_S, screen.live)
        try:
            async for signal in stream.news():
                quiet.cancel()
                screen.show(await people.in_signal(signal))
                quiet = later(QUIET_S, screen.live)
        finally:
            quiet.cancel()


async def _traffic(stack: Stack, seed: int) -> None:
    """Send what the simulated customers do now, at the moment they do it."""
    from services.backfill.mapping import TimedCall
    from services.backfill.sender import IngestSender
    from services.simulator import live_traffic, stray_traffic

    now = time.time_ns() // 1_000_000
    traffic = heapq.merge(
        live_traffic(seed, now, EVENTS_A_SECOND), stray_traffic(seed, now), key=lambda each: each.at_ms
    )
    async with IngestSender(stack.state.addresses["ingest"], stack.state.write_key, historical=False) as sender:
        waiting: list[TimedCall] = []
        for at_ms, call in traffic:
            ahead = at_ms / 1000 - time.time()
            if ahead > 0:
                if waiting:
                    await sender.send(waiting)
                    waiting = []
                await asyncio.sleep(max(0.0, at_ms / 1000 - time.time()))
            waiting.append(TimedCall(at_ms, call))


def _how_to_look_further(stack: Stack, console: Console) -> None:
    addresses = stack.state.addresses
    console.print(
        f"""
The console, for a browser: {addresses["warehouse"]}/

Look further, in another terminal:
  the week as one HTML file   .venv/bin/tidemark report --data {stack.data} --currency EUR
  all accounts, worst first   curl -s '{addresses["warehouse"]}/v1/accounts?limit=10'
  all signals of the past     .venv/bin/tidemark signals tail --data {stack.data} --history --once
  what became of each event   .venv/bin/tidemark ledger --data {stack.data}
  send an event yourself      curl -s -u {stack.state.write_key}: {addresses["ingest"]}/v1/track -d \\
                              '{{"userId":"ann","event":"Report Shared","context":{{"groupId":"my-account"}}}}'
  metrics                     curl -s {addresses["scorer"]}/metrics
Ctrl-C stops it; the data stays in {stack.data}.
""",
        soft_wrap=True,
        markup=False,
    )
