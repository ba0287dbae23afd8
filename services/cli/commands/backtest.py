"""`tidemark backtest`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.backfill.times import TimeFormat
from services.cli.event_columns import AccountColumn, EventColumn, EventName, TimeColumn, TimesFormat, UserColumn
from services.cli.local.stack_state import DataOption, cluster, data_folder
from services.shared.errors import Fatal

if TYPE_CHECKING:
    from services.backfill.mapping import Mapping
    from services.backtest.domain.history import AccountOutcome, BacktestHistory
    from services.backtest.driving import Driven
    from services.backtest.driving.drive import Scoring
    from services.backtest.generator import Generated
    from services.backtest.report.contents import Measured

_TOLD_PROBLEMS = 10
_NO_FIGURES = ("--keep", "--html", "--markdown", "--data", "--workers")


class HistorySource(StrEnum):
    """Where one's own history is read."""

    LOG = "log"
    WAREHOUSE = "warehouse"


def register(app: typer.Typer) -> None:
    """Add the command `backtest`."""
    app.command("backtest")(backtest)


def backtest(  # noqa: PLR0913  typer reads the options from the signature
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Events, CSV or NDJSON as for `tidemark backfill`. Without it, your own history: see --from.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    *,
    outcomes: Annotated[
        Path | None,
        typer.Option(help="Lost customers: CSV with the columns account, date and optionally reason.", exists=True),
    ] = None,
    generated: Annotated[
        list[int] | None, typer.Option(help="Also test on made-up customers of this seed; may be repeated.")
    ] = None,
    account: AccountColumn = "account",
    user: UserColumn = "user",
    at: TimeColumn = "timestamp",
    time_format: TimesFormat = TimeFormat.ISO,
    event: EventColumn = None,
    event_name: EventName = "Activity",
    rules: Annotated[Path | None, typer.Option(help="Folder with rule files, to try other rules.")] = None,
    overrides: Annotated[Path | None, typer.Option(help="File that overrides members of rules.")] = None,
    least_base: Annotated[
        float, typer.Option(min=0.1, help="Active user-days a week below which accounts are not measured.")
    ] = 1.0,
    keep: Annotated[
        Path | None,
        typer.Option(help="Folder to keep snapshots in: the next run with other rules takes a fraction of the time."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report with plots to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report in text to this file.")] = None,
    draws: Annotated[int, typer.Option(min=0, max=5000, help="Draws for the intervals; 0: no intervals.")] = 200,
    short: Annotated[bool, typer.Option("--short", help="Print the first lines only.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=2, help="Processes.")] = 2,
    source: Annotated[
        HistorySource, typer.Option("--from", help="Where one's own history is read, if no file is given.")
    ] = HistorySource.LOG,
    data: DataOption = None,
) -> None:
    """
    Tell who would have been called, how early, and how often in vain, beside what the plainest rules would have done.

    A past is driven through the very code that scores and judges live events, in memory; nothing is written to Kafka.
    With --outcomes it is measured by a list of lost customers, else by how much accounts used the product afterwards.
    """
    from services.alerter.rule_files import SHIPPED_RULES, load_rules
    from services.backfill.mapping import Mapping
    from services.backtest.driving.drive import Scoring
    from services.backtest.report.contents import part_of
    from services.backtest.report.markdown import markdown as as_markdown
    from services.backtest.report.page import page, require_page
    from services.scorer.settings import ScorerSettings, load_scoring
    from services.shared.settings import load

    if html is not None:
        require_page()
    for path in (html, markdown):
        if path is not None and not os.access(path.parent, os.W_OK):  # not after minutes of work
            raise Fatal(f"{path} cannot be written: there is no folder {path.parent.absolute()}, or it is not writable")
    plan, model = load_scoring(load(ScorerSettings))
    scoring = Scoring(plan, model, load_rules(rules or SHIPPED_RULES, overrides))
    lost, problems = _outcomes(outcomes)
    mapping = Mapping(account, user, at, time_format, event, event_name)
    measured: list[Measured] = []
    own = partial(_own, source, lost, data)
    if lost and file is None and generated:
        raise Fatal(
            "--outcomes says what became of real accounts: give it without --generated, or with a file of events"
        )
    for history, made in _histories(file, mapping, lost, generated or [], own):
        driven = _driven(history, scoring, keep, workers)
        measured.append(_measured(driven, made, () if made else problems, least_base, draws))
    parts = [part_of(each) for each in measured]
    intro = [f"Made by `{_command()}` with the rules {scoring.rules.version} and the model {model.fingerprint}."]
    text = as_markdown("Back-test", intro, parts)
    if markdown is not None:
        markdown.write_text(text, "utf-8")
    if html is not None:
        html.write_text(page("Back-test", [line.replace("`", "") for line in intro], parts), "utf-8")
    if short:
        for part in parts:
            print("\n".join([f"{part.name}:", *(f"  {line}" for line in part.headline)]))
    elif markdown is None and html is None:
        print(text)
    else:
        for part in parts:
            print("\n".join([f"{part.name}:", *(f"  {line}" for line in part.headline)]))
        print("\n".join(f"wrote {path}" for path in (markdown, html) if path is not None))


def _outcomes(path: Path | None) -> tuple[tuple[AccountOutcome, ...], tuple[str, ...]]:
    """Read the list of lost customers; say at once what cannot be used of it."""
    from services.backtest.histories.outcome_file import read_outcomes

    if path is None:
        return (), ()
    found = read_outcomes(path, datetime.now(UTC).date())
    if found.problems:
        print(
            f"{path.name}: {len(found.problems)} lines were left out, {len(found.outcomes)} are used:", file=sys.stderr
        )
        for problem in found.problems[:_TOLD_PROBLEMS]:
            print(f"  {problem}", file=sys.stderr)
        if len(found.problems) > _TOLD_PROBLEMS:
            print(f"  and {len(found.problems) - _TOLD_PROBLEMS} more; the report lists them", file=sys.stderr)
    return found.outcomes, tuple(f"{path.name}, {problem}" for problem in found.problems)


def _histories(
    file: Path | None,
    mapping: Mapping,
    lost: tuple[AccountOutcome, ...],
    seeds: list[int],
    own: Callable[[], BacktestHistory],
) -> Iterator[tuple[BacktestHistory, Generated | None]]:
    from services.backtest.histories.event_file import read_event_file
    from services.backtest.histories.generated import made_up

    if file is not None:
        yield read_event_file(file, mapping, outcomes=lost), None
    elif not seeds:
        yield own(), None
    for seed in seeds:
        yield made_up(seed)


def _own(source: HistorySource, lost: tuple[AccountOutcome, ...], data: Path | None) -> BacktestHistory:
    from services.backtest.histories.own import read_log, read_warehouse
    from services.shared.settings import load
    from services.warehouse.clickhouse import open_embedded, open_server
    from services.warehouse.settings import WarehouseSettings

    now_ms = time.time_ns() // 1_000_000
    if source is HistorySource.LOG:
        return asyncio.run(read_log(cluster(data), lost, now_ms))
    settings = load(WarehouseSettings)
    if settings.clickhouse_url is not None:
        store = open_server(settings.clickhouse_url.get_secret_value(), settings.clickhouse_database)
    else:
        folder = data_folder(data) / "warehouse" / "clickhouse"
        if not folder.is_dir():
            raise Fatal(f"there is no warehouse at {folder}: give --data, or set CLICKHOUSE_URL to your server")
        store = open_embedded(folder, settings.clickhouse_database)
    try:
        return read_warehouse(store, lost, now_ms)
    finally:
        store.close()


def _driven(history: BacktestHistory, scoring: Scoring, keep: Path | None, workers: int) -> Driven:
    from services.backtest.driving import drive

    file = None if keep is None else keep / f"{history.name.replace(' ', '-')}.snapshots"
    with _progress(history) as progress:
        return drive(history, scoring, keep=file, workers=workers, progress=progress)


def _measured(
    driven: Driven, made: Generated | None, problems: tuple[str, ...], least_base: float, draws: int
) -> Measured:
    from services.backtest.measuring import measure, measure_list, measure_truth
    from services.backtest.report.contents import Measured

    listed = any(outcome.kind == "lost" for outcome in driven.outcomes)
    return Measured(
        driven,
        measure(driven, least_base=least_base, draws=draws),
        measure_list(driven) if listed else None,
        measure_truth(driven, made) if made is not None else None,
        problems,
    )


@contextmanager
def _progress(history: BacktestHistory) -> Iterator[Callable[[int], None]]:
    """Show how many events have been driven: as a bar on a terminal, elsewhere in a line for every 5 %."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    total = sum(1 for _ in history.read())
    if not console.is_terminal:
        yield _lines(history.name, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(f"{history.name}: driving", total=total)

        def told(count: int) -> None:
            doing = "driving" if count < total else "judging"
            bar.update(task, completed=count, description=f"{history.name}: {doing}")

        yield told


def _lines(name: str, total: int) -> Callable[[int], None]:
    written = -1

    def told(count: int) -> None:
        nonlocal written
        step = 20 * count // max(1, total)
        if step > written:
            written = step
            print(f"{name}: {5 * step} %", file=sys.stderr, flush=True)

    return told


def _command() -> str:
    """Return the command line: files by their names, without what does not change the figures."""
    words: list[str] = []
    skipped = False
    for word in sys.argv[1:]:
        if skipped or word.startswith(_NO_FIGURES):
            skipped = not skipped and "=" not in word
            continue
        words.append(Path(word).name if "/" in word else word)
    return " ".join(["tidemark", *words])
