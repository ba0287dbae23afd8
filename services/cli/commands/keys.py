"""`tidemark keys create`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from services.cli.local import write_keys
from services.cli.local.stack_state import DataOption, read_state
from services.shared.errors import Fatal


def register(app: typer.Typer) -> None:
    """Add the group `keys`."""
    group = typer.Typer(help="Write keys: who may send events.", no_args_is_help=True)
    group.command("create")(create)
    app.add_typer(group, name="keys")


def create(
    source: Annotated[str, typer.Option(help="Name of the app, site or server that uses the key; records carry it.")],
    environment: Annotated[
        str,
        typer.Option(
            help="Events of an environment other than 'production' are stored and counted, but do not affect health."
        ),
    ] = "production",
    backfill: Annotated[bool, typer.Option("--backfill", help="Allow it to send past events.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(help="File of write keys; by default TIDEMARK_WRITE_KEYS_FILE, or that of the running stack."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Create a write key and print it; ingest accepts it within seconds."""
    state = read_state(data)
    named = file or os.environ.get("TIDEMARK_WRITE_KEYS_FILE") or (state.write_keys_file if state else None)
    if not named:
        raise Fatal("which file of write keys? Give --file, set TIDEMARK_WRITE_KEYS_FILE, or start `tidemark dev`")
    print(write_keys.add(Path(named), source, environment, backfill=backfill))
