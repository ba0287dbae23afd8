"""`tidemark backtest`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.backfill.times import TimeFormat
from services.cli import risk_fits
from services.cli.event_columns import (
    AccountColumn,
    EventColumn,
    EventName,
    SkipBadRows,
    TimeColumn,
    TimesFormat,
    UserColumn,
)
from services.cli.languages import Language
from services.cli.local.stack_state import DataOption
from services.cli.output_files import require_files, require_folder, write_whole
from services.cli.past import HistorySource, histories, own
from services.cli.risk_fits import Target
from services.cli.terminal import on_one_line, printable, tell_lines
from services.shared.errors import WrongArgument

if TYPE_CHECKING:
    from services.backtest.domain.history import AccountOutcome, BacktestHistory
    from services.backtest.driving import Driven
    from services.backtest.driving.drive import Scoring
    from services.backtest.generator import Generated
    from services.backtest.report.contents import Measured, ReportPart
    from services.backtest.words import Speech
    from services.cli.risk_fits import RiskFitReport

_TOLD_PROBLEMS = 10
_NO_FIGURES = ("--keep", "--html", "--markdown", "--data", "--workers", "--write", "--language")


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
    recorded: Annotated[
        bool,
        typer.Option("--recorded", help="Take the losses that people recorded in your own history as lost customers."),
    ] = False,
    generated: Annotated[
        list[int] | None, typer.Option(min=0, help="Also test on made-up customers of this seed; may be repeated.")
    ] = None,
    account: AccountColumn = "account",
    user: UserColumn = "user",
    at: TimeColumn = "timestamp",
    time_format: TimesFormat = TimeFormat.ISO,
    event: EventColumn = None,
    event_name: EventName = "Activity",
    skip_bad_rows: SkipBadRows = False,
    rules: Annotated[Path | None, typer.Option(help="Folder with rule files, to try other rules.")] = None,
    overrides: Annotated[Path | None, typer.Option(help="File that overrides fields of rules.")] = None,
    least_base: Annotated[
        float, typer.Option(min=0.1, help="Active user-days a week below which accounts are not measured.")
    ] = 1.0,
    keep: Annotated[
        Path | None,
        typer.Option(help="Folder to keep snapshots in: the next run with other rules takes a fraction of the time."),
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Also fit the risk on these losses, so that it can be told in per cent.")
    ] = False,
    target: Annotated[
        Target | None,
        typer.Option(
            help="With --fit: a loss on the list, or a collapse of use; by default a loss if there is a list."
        ),
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="With --fit: write a model with the fitted risk to this file, if it stands.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report with plots to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report in text to this file.")] = None,
    draws: Annotated[int, typer.Option(min=0, max=5000, help="Draws for the intervals; 0: no intervals.")] = 200,
    short: Annotated[bool, typer.Option("--short", help="Print the first lines only.")] = False,
    language: Annotated[Language, typer.Option(help="Language of the report.")] = Language.EN,
    workers: Annotated[int, typer.Option(min=1, max=2, help="Processes.")] = 2,
    source: Annotated[
        HistorySource, typer.Option("--from", help="Where one's own history is read, if no file is given.")
    ] = HistorySource.LOG,
    data: DataOption = None,
) -> None:
    """
    Tell who would have been called, how early, and how often in vain, beside what the plainest rules would have done.

    A past is driven through the very code that scores and judges live events, in memory; nothing is written to Kafka.
    With --outcomes it is measured by a list of lost customers, with --recorded by the losses that people recorded in the
    console, else by how much accounts used the product afterwards.
    With --fit the risk is fitted on these losses too; where that is no better than the shipped coefficients, nothing is
    written and the status is 1.
    """
    from services.alerter.rule_files import SHIPPED_RULES, load_rules
    from services.backfill.mapping import Mapping
    from services.backtest.driving.drive import Scoring
    from services.backtest.report.contents import part_of
    from services.backtest.report.page import require_page
    from services.backtest.words import speech
    from services.scorer.settings import ScorerSettings, load_scoring
    from services.shared.settings import load

    if html is not None:
        require_page()
    require_files({"--html": html, "--markdown": markdown, "--write": write})  # not after minutes of work
    require_folder("--keep", keep)
    say = speech(language.value)
    settings = load(ScorerSettings)
    plan, model = load_scoring(settings)
    scoring = Scoring(plan, model, load_rules(rules or SHIPPED_RULES, overrides))
    lost, problems = _outcomes(outcomes, say)
    mapping = Mapping(account, user, at, time_format, event, event_name)
    parts: list[ReportPart] = []
    fitted: RiskFitReport | None = None
    read_own = partial(own, source, lost, data, say, recorded=recorded)
    if recorded and (lost or generated or file is not None):
        raise WrongArgument(
            "--recorded takes losses out of your own history: give it without --outcomes, --generated and a file"
        )
    if source is not HistorySource.LOG and (generated or file is not None):
        raise WrongArgument("--from says where your own history is: give it without --generated and a file")
    if lost and file is None and generated:
        raise WrongArgument(
            "--outcomes says what became of real accounts: give it without --generated, or with a file of events"
        )
    asked = risk_fits.RiskFitRequest(fit, target, write)
    count = len(generated or []) + (file is not None)
    predicts = asked.checked(plan, settings.model_file, listed=bool(lost) or recorded, histories=count)
    in_force = settings.model_file if write is not None else None
    for history, made in histories(file, mapping, lost, generated or [], read_own, skip_bad_rows=skip_bad_rows):
        driven = _driven(history, scoring, keep, workers, say)
        part = part_of(_measured(driven, made, () if made else problems, least_base, draws), say)
        if predicts is not None:
            fitted = risk_fits.fit(driven, predicts, plan, in_force, say, least_base=least_base, draws=draws)
            part = replace(
                part, headline=[*part.headline, fitted.headline], sections=[*part.sections, *fitted.sections]
            )
        parts.append(part)
    intro = [say("made_by", command=_command(), rules=scoring.rules.version, model=model.fingerprint)]
    _report(parts, intro, say, short=short, markdown=markdown, html=html)
    if fitted is not None:
        asked.finish(fitted, say)


def _report(
    parts: list[ReportPart], intro: list[str], say: Speech, *, short: bool, markdown: Path | None, html: Path | None
) -> None:
    """Write what is asked for, and print all of it, or the first lines."""
    from services.backtest.report.markdown import markdown as as_markdown
    from services.backtest.report.page import page

    text = printable(as_markdown(say("title"), intro, parts))
    if markdown is not None:
        write_whole(markdown, text.encode())
    if html is not None:
        write_whole(html, page(say("title"), [line.replace("`", "") for line in intro], parts, say).encode())
    if short or markdown is not None or html is not None:
        for part in parts:
            tell_lines([f"{part.name}:", *(f"  {line}" for line in part.headline)])
    else:
        print(text)
    for path in (markdown, html):
        if path is not None:
            print(say("terminal.wrote", file=path))


def _outcomes(path: Path | None, say: Speech) -> tuple[tuple[AccountOutcome, ...], tuple[str, ...]]:
    """Read the list of lost customers; say at once what cannot be used of it."""
    from services.backtest.domain.history import lost_without_day
    from services.backtest.histories.outcome_file import read_outcomes

    if path is None:
        return (), ()
    found = read_outcomes(path, datetime.now(UTC).date(), say)
    if found.problems:
        used = say.number(len(found.outcomes))
        print(say("terminal.left_out", count=len(found.problems), file=path.name, used=used), file=sys.stderr)
        tell_lines((f"  {problem}" for problem in found.problems[:_TOLD_PROBLEMS]), sys.stderr)
        if len(found.problems) > _TOLD_PROBLEMS:
            print(f"  {say('terminal.more', count=len(found.problems) - _TOLD_PROBLEMS)}", file=sys.stderr)
    outcomes = (*found.outcomes, *lost_without_day(found.dayless))
    return outcomes, tuple(f"{path.name}, {problem}" for problem in found.problems)


def _driven(history: BacktestHistory, scoring: Scoring, keep: Path | None, workers: int, say: Speech) -> Driven:
    from services.backtest.driving import drive

    file = None if keep is None else keep / f"{history.name.replace(' ', '-')}.snapshots"
    with _progress(history, say) as progress:
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
def _progress(history: BacktestHistory, say: Speech) -> Iterator[Callable[[int], None]]:
    """Show how many events have been driven: as a bar on a terminal, elsewhere in a line for every 5 %."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from services.backtest.report.contents import name_of

    console, name = Console(stderr=True), on_one_line(name_of(history.name, say))
    total = sum(1 for _ in history.read())
    if not console.is_terminal:
        yield _lines(name, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(f"{name}: {say('terminal.driving')}", total=total)

        def told(count: int) -> None:
            doing = say("terminal.driving" if count < total else "terminal.judging")
            bar.update(task, completed=count, description=f"{name}: {doing}")

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
