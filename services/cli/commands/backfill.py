"""`tidemark backfill FILE`, `tidemark backfill --abandon`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.backfill.times import TimeFormat
from services.cli.event_columns import (
    AccountColumn,
    EventColumn,
    EventName,
    SkipBadRows,
    TimeColumn,
    TimesFormat,
    UserColumn,
)
from services.cli.local.key_ring import KeyRing, key_ring_file
from services.cli.local.stack_state import DataOption, JsonOption, Running, cluster, find
from services.cli.terminal import tell, tell_json, tell_lines
from services.shared.counts import counted
from services.shared.errors import Fatal, WrongArgument
from services.shared.units import date_of, day_of

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from services.backfill.files import EventFile
    from services.backfill.sender import IngestSender, Tally
    from services.backfill.service import BackfillState, Mode, Outcome

TELL_EVERY_S = 5.0
"""Where there is no terminal for a progress bar."""
_EVENT_NAME = "Activity"
_SHOWN = 10
"""Rejections, and warnings, that are told in words."""
REJECTED_STATUS = 3
"""Exit status when ingest rejected rows."""


def register(app: typer.Typer) -> None:
    """Add the command `backfill`."""
    app.command("backfill")(backfill)


def backfill(  # noqa: PLR0913  typer reads the options from the signature
    file: Annotated[
        Path | None, typer.Argument(help="CSV or NDJSON, optionally compressed with gzip.", exists=True, dir_okay=False)
    ] = None,
    *,
    abandon: Annotated[
        bool,
        typer.Option("--abandon", help="Give up the drive of an unfinished backfill: the clock is live again."),
    ] = False,
    account: AccountColumn = "account",
    user: UserColumn = "user",
    at: TimeColumn = "timestamp",
    time_format: TimesFormat = TimeFormat.ISO,
    event: EventColumn = None,
    event_name: EventName = _EVENT_NAME,
    event_id: Annotated[
        str | None, typer.Option("--id", help="Column with the event's id; by default it is made from file and row.")
    ] = None,
    source: Annotated[str, typer.Option(help="Name of the source in the records.")] = "backfill",
    skip_bad_rows: SkipBadRows = False,
    sort_window: Annotated[
        int, typer.Option(min=1, help="Number of rows by which the file may be out of time order.")
    ] = 100_000,
    tick_hours: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=24,
            help="Hours between ticks in an empty log; must divide 24. By default 6, or 24 for over two years.",
        ),
    ] = None,
    accounts_file: Annotated[
        Path | None,
        typer.Option(
            "--accounts-file",
            envvar="TIDEMARK_ACCOUNTS_FILE",
            help="The file of aliases that ingest has: for rows with ids of their own that name an alias.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """
    Import a file of past events; running it again resumes, or adds nothing.

    In an empty log it drives the clock through the past, then hands it back to live. In a log that has events, the
    file's events are late ones. Signals that they cause are marked `historical`. Live events that arrive while it drives
    the clock are counted once the clock is handed back; --abandon does that at once, from any machine.
    """
    if abandon:
        if file is not None:
            raise WrongArgument("--abandon takes no file: it gives up whatever has the clock")
        _abandon(data, json=json)
        return
    if file is None:
        raise WrongArgument("which file? See `tidemark backfill --help`")
    from services.backfill.files import survey
    from services.backfill.mapping import Mapping
    from services.backfill.plan import tick_hours_for
    from services.ingest.accounts_file import load_accounts

    if tick_hours is not None and 24 % tick_hours:
        raise WrongArgument("--tick-hours must divide 24")
    if event is not None and event_name != _EVENT_NAME:
        raise WrongArgument("--event names a column, and --event-name is for files without one: leave one of them out")
    mapping = Mapping(account, user, at, time_format, event, event_name, event_id)
    now_ms = time.time_ns() // 1_000_000
    events = survey(
        file, mapping, source, now_ms, skip_bad_rows=skip_bad_rows, window=sort_window, told=_checked(file.name)
    )
    first, last = (date_of(day_of(each)) for each in (events.first_ms, events.last_ms))
    tell(f"{events.name}: {counted(events.total, 'row')}, from {first} to {last}", sys.stderr)
    running = find(data)
    hours = tick_hours or tick_hours_for(events.first_ms, events.last_ms)
    book = load_accounts(accounts_file)
    with _display(shown=not json) as bar:
        outcome = asyncio.run(
            _run(running, events, source, bar, ticks=tick_hours is not None, tick_hours=hours, account=book.account)
        )
    _tell(outcome, events, json=json)
    if outcome.tally.rejected:
        raise typer.Exit(REJECTED_STATUS)


def _checked(name: str) -> Callable[[int], None]:
    """Return what says how many rows were checked: of ten million that takes minutes."""
    told_at = time.monotonic()

    def told(rows: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > TELL_EVERY_S:
            told_at = time.monotonic()
            tell(f"{name}: {counted(rows, 'row')} checked; nothing is sent before all are", sys.stderr)

    return told


def _abandon(data: Path | None, *, json: bool) -> None:
    from services.backfill.drive import abandon
    from services.scorer.lane_facts import read_lanes

    given_up = asyncio.run(abandon(cluster(data), read_lanes, time.time_ns() // 1_000_000))
    if json:
        tell_json({"given_up": [{"file": name, "deferred": count} for name, count in given_up]})
        return
    if not given_up:
        print("no backfill drives the clock: nothing was changed")
    for name, count in given_up:
        deferred = counted(count, "deferred event has", "deferred events have")
        tell(
            f"{name}: given up, the clock is live again; {deferred} been appended again to be counted. Run the backfill"
            " again to send the rest as late events."
        )


async def _run(running: Running, events: EventFile, source: str, bar: Bar, *, ticks: bool, **given: Any) -> Outcome:
    from services.backfill.claim import TakenOver
    from services.backfill.sender import IngestSender
    from services.backfill.service import Mode, Options
    from services.backfill.service import backfill as run
    from services.scorer.domain.lane.lateness import oldest_day
    from services.scorer.lane_facts import read_lanes, read_positions

    if running.ingest is None:
        raise Fatal("where is ingest? Start `tidemark dev`, name its folder with --data, or set TIDEMARK_INGEST_URL")
    task = bar.add_task(events.name, total=events.total, note="")
    told_at = time.monotonic()
    entered: Mode | None = None

    def begun(mode: Mode) -> None:
        nonlocal entered
        entered = mode
        if mode is Mode.LATE and ticks:
            tell(
                f"{events.name}: --tick-hours has no effect, since no clock is driven into a log with events",
                sys.stderr,
            )
        oldest = oldest_day(_today())
        if mode is Mode.LATE and day_of(events.first_ms) < oldest:
            tell(
                f"{events.name}: the log has events already, so these come as late ones, and those before {date_of(oldest)}"
                " are too old to be counted",
                sys.stderr,
            )

    def report(state: BackfillState) -> None:
        nonlocal told_at
        note = f"{state.mode.value}, {time.strftime('%Y-%m-%d', time.gmtime(state.log_time / 1000))}"
        bar.update(task, completed=state.rows, note=note)
        if not bar.console.is_terminal and time.monotonic() - told_at > TELL_EVERY_S:
            told_at = time.monotonic()
            print(f"{events.name}: {state.rows} of {events.total} rows, {note}", file=sys.stderr, flush=True)

    async with IngestSender(running.ingest, backfill_key(running, source)) as sender:
        await sender.ready()
        await _tell_key(sender, events.name, source)
        options = Options(read_lanes, read_positions, report=report, begun=begun, oldest_day=oldest_day, **given)
        try:
            return await run(events, sender, running.kafka, options)
        except BaseException as error:
            if entered is not None:
                left = None if isinstance(error, TakenOver) else entered
                tell_lines(_stopped(events.name, sender.tally, left), sys.stderr)
            raise


async def _tell_key(sender: IngestSender, name: str, source: str) -> None:
    """Say what the write key makes of the events, where it is not what the command says."""
    if not await sender.key_is_of(source=source):
        tell(
            f"{name}: the write key is of another source than --source {source}: events carry that of the key",
            sys.stderr,
        )
    if not await sender.key_is_of(environment="production"):
        tell(
            f"{name}: the write key is of another environment than production: events are stored, and count for no score",
            sys.stderr,
        )


def _stopped(name: str, tally: Tally, left: Mode | None) -> Iterator[str]:
    """
    Yield what a run that does not come to its end has done: the next one knows only its own part.

    Args:
        name: Of the file.
        tally: What ingest answered.
        left: How the events entered the log, where nobody goes on with them.
    """
    accepted = tally.accepted + tally.unattributed
    yield f"{name}: stopped after {counted(accepted, 'event')} accepted and {tally.rejected:,} rejected"
    yield from _refusals(tally)
    if left is None:
        return
    yield "  run the same command again to go on"
    if left.value == "driven":
        yield (
            "  the backfill still has the clock: until it has finished, live events are deferred and no live signal fires;"
            " `tidemark backfill --abandon` gives the clock back"
        )


def _refusals(tally: Tally) -> Iterator[str]:
    shown = tally.rejections[:_SHOWN]
    for rejection in shown:
        yield f"  rejected: {rejection}"
    if tally.rejected > len(shown):
        yield "  `tidemark rejected list` shows the others"


def _today() -> int:
    return day_of(time.time_ns() // 1_000_000)


def backfill_key(running: Running, source: str) -> str:
    """
    Return a write key that may send history as `source`; make one where this machine's stack keeps the keys.

    Raises:
        Fatal: there is no key and no file to put one into.
    """
    if running.state is None:
        if running.backfill_key is None:
            raise WrongArgument("set TIDEMARK_BACKFILL_KEY to a write key that has `backfill: true`")
        return running.backfill_key
    ring = KeyRing(key_ring_file(Path(running.state.data)), Path(running.state.write_keys_file))
    return ring.key(source, backfill=True)


def _display(*, shown: bool) -> AbstractContextManager[Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not shown or not console.is_terminal,
    )


_ENTERED = {
    "driven": "(driven: they moved the clock through the past)",
    "late": "(late: the log had events already, whose clock goes on)",
}


def _tell(outcome: Outcome, events: EventFile, *, json: bool) -> None:
    tally = outcome.tally
    if json:
        told = {
            "file": events.name,
            "file_sha256": events.sha256,
            "mode": outcome.mode.value,
            "rows": outcome.rows,
            "resumed_at": outcome.resumed_at,
            "found_in_log": outcome.found_in_log,
            "accepted": tally.accepted,
            "unattributed": tally.unattributed,
            "rejected": tally.rejected,
            "too_late": outcome.too_late,
            "skipped": events.skipped,
            "rejections": tally.rejections,
            "broke_plan": tally.broke_plan,
            "warnings": tally.warnings,
        }
        tell_json(told)
        return
    if events.skipped:
        print(f"{events.name}: {counted(events.skipped, 'malformed row was', 'malformed rows were')} left out")
    if outcome.resumed_at == outcome.rows:
        print(f"{events.name} is in already ({counted(outcome.rows, 'row')}): nothing was added")
        return
    print(
        f"{events.name}: {counted(tally.accepted, 'event')} accepted, {tally.rejected:,} rejected, "
        f"{counted(tally.unattributed, 'waits', 'wait')} for an account; "
        f"{counted(outcome.resumed_at + outcome.found_in_log, 'row')} had been sent before {_ENTERED[outcome.mode]}"
    )
    tell_lines(_refusals(tally))
    if outcome.too_late:
        was = counted(outcome.too_late, "row was too old to be counted", "rows were too old to be counted")
        print(f"  {was}: what ingest accepted of them is in the warehouse, and on the dead letters as too_late")
    if tally.broke_plan:
        print(
            f"{counted(tally.broke_plan, 'event breaks', 'events break')} the tracking plan, and the scorer dead-letters what it"
            " cannot read: see `tidemark plan check` and `tidemark rejected list`"
        )
        tell_lines(f"  accepted, but: {warning}" for warning in tally.warnings[:_SHOWN])
