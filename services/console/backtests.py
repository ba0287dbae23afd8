"""
Back-tests that are started from the console: `tidemark backtest` in a process of its own, one at a time.

The console imports no other service, and a back-test takes minutes of a core; so the command runs beside it, and its report
comes back as files. The latest report is kept until the process ends.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import re
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

log = logging.getLogger(__name__)

_PROGRESS = re.compile(r"(\d{1,3}) %$")
_STDERR_LINES = 30
_STDOUT_BYTES = 65_536
_LONGEST_LINE = 1_000
_COMMAND = (sys.executable, "-m", "services.cli", "backtest")


@dataclass
class BacktestRun:
    """One back-test."""

    folder: Path
    by: str
    """Who started it."""
    lost: str
    """Name of the file with lost customers; empty without one."""
    recorded: int
    """How many losses on record were the list; 0: they were not."""
    language: str
    """What its report is written in."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    percent: int | None = None
    """How far it has driven the history; None before it has read it."""
    state: str = "running"
    """`running`, `done`, `failed` or `stopped`."""
    headline: str = ""
    """The first lines of the report."""
    told: deque[str] = field(default_factory=lambda: deque(maxlen=_STDERR_LINES))
    """What the command said beside its report: lines that were left out, or why it failed."""
    process: asyncio.subprocess.Process | None = None
    """None before it has begun."""

    @property
    def report(self) -> Path | None:
        """Return the file of the report, with plots where these can be made; None: there is none."""
        return next((file for file in (self.folder / "report.html", self.folder / "report.md") if file.exists()), None)

    def end(self) -> None:
        """Have the process end, if there is one."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()


class Backtests:
    """The back-test that runs, or the latest one."""

    def __init__(self, history: str, command: Sequence[str] = _COMMAND) -> None:
        """Say on what to test: `log`, `warehouse`, the path of a file of events, or `off`; and what runs the tests."""
        self.possible = history != "off"
        self._source = ("--from", history) if history in {"log", "warehouse"} else (history,)
        self._command = command
        self._task: asyncio.Task[None] | None = None
        self.latest: BacktestRun | None = None
        atexit.register(self._end)

    @property
    def is_running(self) -> bool:
        """Return whether one runs now."""
        return self.latest is not None and self.latest.state == "running"

    def start(self, outcomes: bytes, name: str, by: str, language: str, recorded: int = 0) -> bool:
        """
        Start one, and return whether it did: not while another one runs.

        Args:
            outcomes: The list of lost customers, as CSV; empty: losses are told from use alone.
            name: What the file with the list is called.
            by: Who starts it.
            language: What its report is written in.
            recorded: How many losses on record the list is made of, if it is no file.
        """
        if self.is_running or not self.possible:
            return False
        if self.latest is not None:
            shutil.rmtree(self.latest.folder, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix="tidemark-backtest-"))
        self.latest = BacktestRun(folder, by, name if outcomes else "", recorded, language)
        words = [*self._source, "--workers", "1", "--language", language]
        words += ["--markdown", str(folder / "report.md")]
        if find_spec("matplotlib") is not None:
            words += ["--html", str(folder / "report.html")]
        if outcomes:
            (folder / "lost.csv").write_bytes(outcomes)
            words += ["--outcomes", str(folder / "lost.csv")]
        self._task = asyncio.create_task(self._run(self.latest, words, self._task))
        return True

    def stop(self) -> None:
        """End the one that runs."""
        if self.latest is not None and self.is_running:
            self.latest.state = "stopped"
            self.latest.end()

    async def _run(self, run: BacktestRun, words: Sequence[str], before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})  # it was stopped, and may not have ended yet
        status = 1
        try:
            if run.state == "running":
                status = await _status_of(run, [*self._command, *words])
        except OSError as error:
            run.told.append(str(error))
        if run.state == "running":
            run.state = "done" if status == 0 and run.report is not None else "failed"
        log.info("backtest_ended", extra={"state": run.state, "status": status})

    def _end(self) -> None:
        if self.latest is not None:
            self.latest.end()
            shutil.rmtree(self.latest.folder, ignore_errors=True)


async def _status_of(run: BacktestRun, command: Sequence[str]) -> int:
    """Run the command to its end, and return its exit status."""
    process = run.process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    if run.state == "stopped":
        run.end()
    run.headline, _ = await asyncio.gather(_headline(process), _follow(process, run))
    return await process.wait()


async def _headline(process: asyncio.subprocess.Process) -> str:
    """Return what the command prints: the first lines of each history, without the files that it wrote."""
    assert process.stdout is not None
    text = b""
    while part := await process.stdout.read(65_536):
        text = (text + part)[:_STDOUT_BYTES]
    lines = text.decode("utf-8", "replace").splitlines()
    return "\n".join(line.strip() for line in lines if line.startswith("  "))


async def _follow(process: asyncio.subprocess.Process, run: BacktestRun) -> None:
    assert process.stderr is not None
    rest = b""
    while part := await process.stderr.read(4_096):
        *lines, rest = (rest + part).split(b"\n")
        rest = rest[-_LONGEST_LINE:]
        for line in lines:
            _tell(line.decode("utf-8", "replace").strip()[:_LONGEST_LINE], run)
    _tell(rest.decode("utf-8", "replace").strip(), run)


def _tell(line: str, run: BacktestRun) -> None:
    found = _PROGRESS.search(line)
    if found:
        run.percent = min(100, int(found[1]))
    elif line:
        run.told.append(line)
