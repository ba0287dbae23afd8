"""`tidemark plan init | check | infer | docs | schema`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.local.stack_state import DataOption, JsonOption, cluster, reach
from services.cli.output_files import unwritable
from services.cli.terminal import tell, tell_json, tell_lines
from services.shared.counts import counted
from services.shared.errors import Fatal, WrongArgument
from services.shared.units import DAY_MS

if TYPE_CHECKING:
    from services.cli.plan.observed import NoCall, Observed
    from services.shared.tracking_plan.plan import TrackingPlan

PlanOption = Annotated[
    Path | None, typer.Option("--plan", help="The plan; by default TIDEMARK_TRACKING_PLAN, else the default plan.")
]

EventsOption = Annotated[
    Path | None,
    typer.Option(
        "--events",
        help="File of calls in Segment's format, one JSON object a line, optionally compressed with gzip; by default the log.",
        exists=True,
        dir_okay=False,
    ),
]
DaysOption = Annotated[
    int, typer.Option(min=1, max=30, help="How many days of the log; properties are kept there for 30.")
]
MostOption = Annotated[
    int, typer.Option(min=1, max=10_000_000, help="Events of the log to look at; of more, one in so many is taken.")
]


def register(app: typer.Typer) -> None:
    """Add the group `plan`."""
    group = typer.Typer(help="The tracking plan: what events are called, hold and mean.", no_args_is_help=True)
    group.command("init")(init)
    group.command("check")(check)
    group.command("infer")(infer)
    group.command("docs")(docs)
    group.command("schema")(schema)
    app.add_typer(group, name="plan")


def init(
    file: Annotated[Path, typer.Argument(help="File to write.")] = Path("tracking-plan.yaml"),
) -> None:
    """Write a plan to start from: Segment's events of B2B SaaS and what the measures need, with comments."""
    from services.shared.plan_file import B2B_SAAS_PLAN_FILE

    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(B2B_SAAS_PLAN_FILE.read_text("utf-8"))
    except FileExistsError:
        raise WrongArgument(f"{file} is there already; name another file, or move it away") from None
    except OSError as error:
        raise unwritable(file, error) from None
    print(
        f"{file} is written. Edit it, then set TIDEMARK_TRACKING_PLAN={shlex.quote(str(file))} for ingest and the scorer."
    )


def check(
    *,
    events: EventsOption = None,
    days: DaysOption = 7,
    most: MostOption = 100_000,
    plan: PlanOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Compare traffic with the plan; exit status 1 if any event breaks it, a line is no call, or there is none to compare."""
    from services.cli.plan.comparing import PlanComparison

    found = PlanComparison(_plan(plan))
    found.one_in = _look(found.add, events, days, most, data)
    if json:
        tell_json(found.as_json())
    else:
        tell_lines(found.lines())
    raise typer.Exit(int(found.broken > 0 or found.unreadable > 0 or found.count == 0))


def infer(
    *, events: EventsOption = None, days: DaysOption = 7, most: MostOption = 100_000, data: DataOption = None
) -> None:
    """Print a draft of a plan from traffic: names, types, what is always there, and how often the rest is."""
    from services.cli.plan.drafting import draft
    from services.cli.plan.inferring import Traffic
    from services.shared.plan_file import B2B_SAAS_PLAN_FILE, read_plan_file

    traffic = Traffic(read_plan_file(B2B_SAAS_PLAN_FILE))
    one_in = _look(traffic.add, events, days, most, data)
    if one_in > 1:
        print(f"one event in {one_in:,} was looked at; --most takes more", file=sys.stderr)
    if not traffic.count:
        raise Fatal("there was no event to draft a plan from")
    tell(draft(traffic).removesuffix("\n"))


def docs(plan: PlanOption = None) -> None:
    """Print the plan as Markdown, for those who send the events."""
    from services.cli.plan.page import page

    tell(page(_plan(plan)).removesuffix("\n"))


def schema() -> None:
    """Print the JSON Schema of plan files, for editors."""
    from services.cli.plan.schema import text

    print(text(), end="")


def _look(
    take: Callable[[Observed | NoCall], None], events: Path | None, days: int, most: int, data: Path | None
) -> int:
    """Hand over the events of a file, or of the last days of the log, one in so many; return in how many."""
    if events is not None:
        from services.cli.plan.observed import calls_in

        for call in calls_in(events):
            take(call)
        return 1
    import asyncio

    from services.cli.plan.logged import Sample, read_log

    kafka = cluster(data)

    async def read() -> Sample:
        await reach(kafka)
        return await read_log(kafka, int(time.time() * 1000) - days * DAY_MS, take, most)

    sample = asyncio.run(read())
    if sample.without_details:
        print(
            counted(
                sample.without_details,
                "event without details was passed over",
                "events without details were passed over",
            ),
            file=sys.stderr,
        )
    return sample.one_in


def _plan(file: Path | None) -> TrackingPlan:
    from services.shared.plan_file import PlanSettings, load_plan, read_plan_file
    from services.shared.settings import load

    return read_plan_file(file, "--plan") if file is not None else load_plan(load(PlanSettings))
