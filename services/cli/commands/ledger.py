"""`tidemark ledger`."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.local.stack_state import DataOption, JsonOption, cluster, reach
from services.cli.terminal import on_one_line, tell_json

if TYPE_CHECKING:
    from services.cli.ledger_audit import Ledger
    from services.shared.kafka.settings import KafkaSettings

OPEN_STATUS = 1


def register(app: typer.Typer) -> None:
    """Add the command `ledger`."""
    app.command("ledger")(ledger)


def ledger(
    *,
    json: JsonOption = False,
    settle: Annotated[float, typer.Option(help="Wait up to this many seconds until nothing is in flight.")] = 0.0,
    data: DataOption = None,
) -> None:
    """
    Show what became of every accepted event, from the topics alone.

    accepted = applied + dead-lettered later + too late + awaiting an account + unresolved + never identified + of other
    environments + deferred + in flight.
    Exit status 1 if it does not add up.
    """
    found = asyncio.run(_settled(cluster(data), settle))
    if json:
        tell_json(found.as_dict())
    else:
        _print(found)
    if not found.closes:
        raise typer.Exit(OPEN_STATUS)


async def _settled(kafka: KafkaSettings, within_s: float) -> Ledger:
    from services.cli.ledger_audit import read

    await reach(kafka)
    deadline = time.monotonic() + within_s
    while True:
        found = await read(kafka)
        if not found.everywhere("in_flight") or time.monotonic() >= deadline:
            return found
        await asyncio.sleep(0.5)


def _print(found: Ledger) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    rows = (
        ("accepted, different ids", found.accepted),
        ("= applied", found.total("applied")),
        ("+ dead-lettered later", found.everywhere("dead_lettered")),
        ("+ too late", found.total("too_late")),
        ("+ awaiting an account", found.without_account("awaiting")),
        ("+ unresolved: nobody said the account of the user", found.without_account("unresolved")),
        ("+ never identified: anonymous visitors", found.without_account("anonymous")),
        ("+ of other environments than production", found.everywhere("non_production")),
        ("+ deferred by a drive", found.total("deferred")),
        ("+ in flight", found.everywhere("in_flight")),
    )
    for what, count in rows:
        table.add_row(what, f"{count:,}")
    table.add_row("", "")
    table.add_row("apart: repeats dropped", f"{found.everywhere('duplicates'):,}")
    table.add_row("of the accepted: forwarded to an account", f"{found.without_account('forwarded'):,}")
    table.add_row("apart: rejected by ingest, different events", f"{found.rejected:,}")
    table.add_row("apart: how often these were rejected", f"{found.rejected + found.rejected_repeats:,}")
    console.print(table)
    each = Table("partition", "position", "end", "ids", "applied", "repeats", "in flight", box=None)
    for part in found.parts:
        cells = (part.partition, part.position, part.end, part.accepted, part.applied, part.duplicates, part.in_flight)
        each.add_row(*(f"{cell:,}" for cell in cells))
    console.print(each)
    for problem in found.problems:
        console.print(f"  {on_one_line(problem)}", style="red", markup=False)
    console.print("CLOSED: everything adds up" if found.closes else "OPEN: it does not add up", style="bold")
