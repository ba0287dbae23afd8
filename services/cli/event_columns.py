"""Options that say how a file of events is read, for every command that reads one."""

from __future__ import annotations

from typing import Annotated

import typer

from services.backfill.times import TimeFormat

AccountColumn = Annotated[str, typer.Option("--account", help="Column with the account.")]
UserColumn = Annotated[str, typer.Option("--user", help="Column with the user.")]
TimeColumn = Annotated[str, typer.Option("--time", help="Column with the time.")]
TimesFormat = Annotated[TimeFormat, typer.Option("--time-format", help="Format of the times.")]
EventColumn = Annotated[str | None, typer.Option("--event", help="Column with the event's name.")]
EventName = Annotated[str, typer.Option("--event-name", help="Name of the events if no column has it.")]
SkipBadRows = Annotated[bool, typer.Option("--skip-bad-rows", help="Leave out malformed rows.")]
