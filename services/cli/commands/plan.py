"""`tidemark plan init | check | infer | docs | schema`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.shared.errors import Fatal

if TYPE_CHECKING:
    from services.shared.tracking_plan.plan import TrackingPlan

PlanOption = Annotated[
    Path | None, typer.Option("--plan", help="The plan; by default TIDEMARK_TRACKING_PLAN, else the default plan.")
]


def register(app: typer.Typer) -> None:
    """Add the group `plan`."""
    group = typer.Typer(help="The tracking plan: what events are called, hold and mean.", no_args_is_help=True)
    group.command("init")(init)
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
        raise Fatal(f"{file} is there already; name another file, or move it away") from None
    except OSError as error:
        raise Fatal(f"{file} cannot be written: {error.strerror}") from None
    print(f"{file} is written. Edit it, then set TIDEMARK_TRACKING_PLAN={file} for ingest and the scorer.")


def docs(plan: PlanOption = None) -> None:
    """Print the plan as Markdown, for those who send the events."""
    from services.cli.plan.page import page

    print(page(_plan(plan)), end="")


def schema() -> None:
    """Print the JSON Schema of plan files, for editors."""
    from services.cli.plan.schema import text

    print(text(), end="")


def _plan(file: Path | None) -> TrackingPlan:
    from services.shared.plan_file import PlanSettings, load_plan, read_plan_file
    from services.shared.settings import load

    return read_plan_file(file) if file is not None else load_plan(load(PlanSettings))
