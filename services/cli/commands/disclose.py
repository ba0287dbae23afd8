"""`tidemark disclose`: what the warehouse holds of a person, for the person."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.local.stack_state import DataOption, cluster, find
from services.cli.terminal import tell_json, tell_lines
from services.shared.errors import Fatal, WrongArgument

if TYPE_CHECKING:
    from services.cli.erasing.traces import QueryAccess

_NOT_COVERED = (
    "Not among these rows:",
    "  what only the topics hold: events that the warehouse has not read yet or has let go, and those that wait for an account",
    "  what ingest refused, as it was sent (`tidemark rejected list`, kept for 30 days)",
    "  what others wrote: their properties, texts and authors recorded in the console, an `owner`",
    "  health and signals of the accounts, except where they name the person: they are about the account",
    "  your logs, backups, exports and reports",
)


def register(app: typer.Typer) -> None:
    """Add the command `disclose`."""
    app.command("disclose")(disclose)


def disclose(
    *,
    user: Annotated[str | None, typer.Option(help="User id as in the events, or pseudonym.")] = None,
    anonymous: Annotated[str | None, typer.Option(help="Anonymous id of somebody without a user id.")] = None,
    linked: Annotated[
        bool, typer.Option("--linked", help="Also what is held under ids that `alias` calls have linked, step by step.")
    ] = False,
    data: DataOption = None,
) -> None:
    """
    Print what the warehouse holds of a person, as JSON lines.

    The first line says who it is: pseudonyms, accounts and linked ids. Each further line is a row, and `table` says where it stands. What
    is not covered is said at the end, on standard error. Exit status 1 if nothing is held, or if there are linked ids that were not
    asked for. Memory does not grow with the rows.
    """
    from services.cli.erasing.traces import QueryAccess, Subject, all_traces, pseudonym_of

    given = {"user": user, "anonymous": anonymous}
    named = [(kind, each) for kind, each in given.items() if each is not None]
    if len(named) != 1:
        raise WrongArgument("whom? Give one of --user and --anonymous")
    ((kind, whose),) = named
    if not whose.strip():
        raise WrongArgument(f"the id after --{kind} is empty, perhaps from a variable that is not set")
    kafka, running = cluster(data), find(data)
    if running.warehouse is None:
        raise Fatal("where is the warehouse? Start `tidemark dev`, or set TIDEMARK_WAREHOUSE_URL")
    warehouse = QueryAccess(running.warehouse, running.query_token)
    whom = Subject(pseudonym_of(whose, data, anonymous=kind == "anonymous"), "", linked)
    traces = asyncio.run(all_traces(kafka, warehouse, whom))
    if not traces["rows"] and not traces["accounts"]:
        raise Fatal(
            f"nothing is held of {kind} {whose}: check the spelling, capitals and blanks count, and an id of a browser stands"
            " after --anonymous"
        )
    _print(warehouse, traces)
    if traces["others"]:
        raise typer.Exit(1)


def _print(warehouse: QueryAccess, traces: Mapping[str, Any]) -> None:
    from services.cli.erasing.rows import personal_lines

    names = ("pseudonyms", "accounts", "linked", "others", "forget", "erasures")
    tell_json({"table": "", **{name: traces[name] for name in names}})
    for line in personal_lines(warehouse, traces["pseudonyms"]):
        tell_json(line)
    told = list(_NOT_COVERED)
    if traces["set_aside"]:
        told.append(f"  parts of tables that ClickHouse has set aside: {', '.join(traces['set_aside'])}")
    if traces["others"]:
        told.append(
            f"An `alias` call has linked other ids. If they are the same person's, ask again with --linked: {', '.join(traces['others'])}"
        )
    tell_lines(told, sys.stderr)
