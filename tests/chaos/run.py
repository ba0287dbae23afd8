"""
`make chaos`: breaks everything in turn, on three brokers under load, and prints what it did to clients and to the data.

    python -m tests.chaos.run [--only NAME,...] [--list] [--json FILE] [--record PAGE] [--keep]

Each fault is one line of the table. After each, every acknowledged event has to be exactly once in the log (repeats
dropped), in the state of its account and in the warehouse; the ledger has to close; the log, replayed in memory, has to
give the same health and signals, byte for byte. The exit status is 1 if anything was lost, doubled or different, or
if it took longer to recover than a fault's bound. What cannot be done on a machine says so.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import logging
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.status import Status

from tests.chaos import table
from tests.chaos.fault import Fault, Row
from tests.chaos.stage import Stage, monotonic

KINDS = ("kills", "brokers", "freezes", "disks", "clocks", "upgrades", "past", "engine")
"""Files in faults/, in the order of the table. A new kind of fault is a new file, and its name here."""
RATE = 300.0
"""Events a second, repeats not counted."""
_ONE_WITHIN_S = 420.0
_BEGIN, _END = "<!-- measured -->", "<!-- end of measured -->"


def all_faults() -> list[Fault]:
    """Return every fault there is."""
    return [fault for kind in KINDS for fault in importlib.import_module(f"tests.chaos.faults.{kind}").FAULTS]


def chosen(only: str | None) -> list[Fault]:
    """Return the faults whose names begin with one of those given, separated by commas; all when None."""
    faults = all_faults()
    if not only:
        return faults
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in wanted if not any(fault.name.startswith(name) for fault in faults)]
    if unknown:
        raise SystemExit(f"there is no fault {', '.join(unknown)}; --list shows all")
    return [fault for fault in faults if any(fault.name.startswith(name) for name in wanted)]


class Progress:
    """Says on a terminal what goes on, and leaves one line behind for each fault that is done."""

    def __init__(self, console: Console, total: int) -> None:
        """Take where to print, and the number of faults."""
        self._console = console
        self._total = total
        self._title = ""
        self._status: Status | None = None

    def say(self, text: str) -> None:
        """Say what goes on just now."""
        if self._status:
            self._status.update(f"{self._title}: {text}" if self._title else text)
        elif os.environ.get("TIDEMARK_CHAOS_VERBOSE"):
            self._console.print(f"  {time.strftime('%H:%M:%S')} {text}", highlight=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show what goes on until the end of the block."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status("") as self._status:
            yield
        self._status = None

    def begin(self, number: int, fault: Fault) -> None:
        """Begin a fault."""
        self._title = f"({number} of {self._total}) {fault.title}"

    def end(self, row: Row) -> None:
        """Print a fault that is done."""
        mark = "[yellow]–[/]" if row.impossible is not None else "[green]✓[/]" if row.good else "[red]✗[/]"
        self._console.print(f"{mark} [bold]{row.title}[/] ({row.took_s:.0f} s)", highlight=False)
        self._console.print(f"    {table.line(row)}", highlight=False, markup=False)
        for problem in [*row.problems, *(f"replay: {each} differs" for each in row.replay_differs[:5])][:12]:
            self._console.print(f"    {problem[:600]}", style="red", highlight=False, markup=False)


async def campaign(faults: Sequence[Fault], folder: Path, progress: Progress, rows: list[Row]) -> None:
    """Play the faults one after the other and append their rows. SIGTERM and Ctrl-C end it in order."""
    playing = asyncio.current_task()
    if playing:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    async with Stage(folder, RATE, progress.say) as stage:
        for number, fault in enumerate(faults, 1):
            progress.begin(number, fault)
            rows.append(await _one(stage, fault))
            progress.end(rows[-1])


async def _one(stage: Stage, fault: Fault) -> Row:
    row = Row(fault.name, fault.title, commit=_commit(), bound_s=fault.bound_s)
    began = monotonic()
    row.impossible = fault.why_not(stage)
    if row.impossible is None:
        try:
            async with asyncio.timeout(_ONE_WITHIN_S):
                await fault.play(stage, row)
        except Exception as error:  # noqa: BLE001  one fault that cannot be played out must not hide the others
            row.problems.append(f"{type(error).__name__}: {error}")
            row.problems += traceback.format_exc().splitlines()[-4:]
        stage.clean = stage.clean and row.good
    row.took_s = monotonic() - began
    return row


def main() -> int:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NAME,...", help="faults whose names begin so: --only broker-kill,clock")
    parser.add_argument("--list", action="store_true", help="list the faults and end")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    parser.add_argument("--record", type=Path, help="put the table into this page, between its two marks")
    parser.add_argument("--keep", action="store_true", help="keep logs and files of all processes")
    options = parser.parse_args()
    faults = chosen(options.only)
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    if options.list:
        for fault in faults:
            console.print(f"{fault.name:24} {fault.title}", highlight=False)
        return 0
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers are meant to be away
    folder = Path(tempfile.mkdtemp(prefix="tidemark-chaos-"))
    progress = Progress(console, len(faults))
    console.print(f"{len(faults)} faults, {RATE:.0f} events/s, on {os.cpu_count()} cores; files in {folder}")
    began = monotonic()
    rows: list[Row] = []
    ended = "the campaign was interrupted"
    with progress.running():
        try:
            asyncio.run(campaign(faults, folder, progress, rows))
            ended = ""
        except (KeyboardInterrupt, asyncio.CancelledError):
            pass
        except Exception as error:  # noqa: BLE001  what was measured is shown all the same
            ended = f"the campaign broke off: {type(error).__name__}: {error}"
    console.print(table.for_terminal(rows))
    if ended:
        console.print(ended, style="red", highlight=False, markup=False)
    bad = [row for row in rows if not row.good]
    console.print(f"{len(rows) - len(bad)} of {len(rows)} faults as promised, {monotonic() - began:.0f} s")
    if options.json:
        options.json.write_text(json.dumps([row.as_dict() for row in rows], indent=1) + "\n", "utf-8")
    if options.record and rows:
        _record(options.record, rows, monotonic() - began)
    if options.keep or bad or ended:
        console.print(f"logs and files are kept in {folder}")
    else:
        subprocess.run(["rm", "-rf", str(folder)], check=False)
    return 1 if bad or ended else 0


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _record(page: Path, rows: Sequence[Row], seconds: float) -> None:
    before, begin, rest = page.read_text("utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise SystemExit(f"{page} has no {_BEGIN} and {_END} to write between")
    when = time.strftime("%Y-%m-%d", time.gmtime())
    head = (
        f"{when}, commit `{rows[0].commit}`, {os.cpu_count()} cores, {platform.system()},"
        f" {RATE:.0f} events/s and a fifth of the requests repeated, {seconds / 60:.0f} minutes."
    )
    page.write_text(f"{before}{begin}\n{head}\n\n{table.in_markdown(rows)}\n{end}{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
