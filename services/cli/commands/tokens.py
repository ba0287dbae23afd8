"""`tidemark tokens`: create, list and revoke tokens of the query API."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from services.cli.local import query_tokens
from services.cli.local.secret_files import there
from services.cli.local.stack_state import JsonOption
from services.shared.errors import WrongArgument

_VARIABLE = "TIDEMARK_QUERY_TOKENS_FILE"
FileOption = Annotated[Path | None, typer.Option("--file", help=f"File of tokens; by default {_VARIABLE}.")]


def register(app: typer.Typer) -> None:
    """Add the group `tokens`."""
    group = typer.Typer(help="Tokens: who may ask the query API.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_)
    group.command("revoke")(revoke)
    app.add_typer(group, name="tokens")


def create(
    name: Annotated[str, typer.Argument(help="Who gets it: a person or a program.")],
    days: Annotated[
        float | None, typer.Option(help="Days for which it is valid; by default without an end.", min=0.01, max=36_500)
    ] = None,
    file: FileOption = None,
) -> None:
    """Create a token and print it, this once: only its hash is stored. It reads all that the query API answers, and signs in to the console."""
    until = None if days is None else (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)
    print(query_tokens.add(_file(file), name, until))
    if until:
        print(f"It is valid until {until:%Y-%m-%d %H:%M} UTC.", file=sys.stderr)


def list_(file: FileOption = None, as_json: JsonOption = False) -> None:
    """List the tokens by their ids; the tokens themselves are not stored."""
    entries = query_tokens.listed(there(_file(file)))
    if as_json:
        found = [{"id": each.id, "name": each.name, "not_after": each.not_after} for each in entries]
        print(json.dumps(found, default=str, indent=2))
        return
    now = datetime.now(UTC)
    for each in entries:
        end = ""
        if each.not_after is not None:
            end = f"  {'expired' if each.not_after <= now else 'valid until'} {each.not_after:%Y-%m-%d %H:%M} UTC"
        print(f"{each.id}  {each.name}{end}")


def revoke(
    named: Annotated[
        str, typer.Argument(metavar="id|name", help="Id of the token, as `list` shows it, or its name if that has one.")
    ],
    file: FileOption = None,
) -> None:
    """Remove a token; the warehouse refuses it within seconds."""
    gone = query_tokens.revoke(there(_file(file)), named)
    print(f"revoked {gone.id} of {gone.name}")


def _file(file: Path | None) -> Path:
    named = file or os.environ.get(_VARIABLE)
    if not named:
        raise WrongArgument(f"which file of tokens? Give --file, or set {_VARIABLE} as the warehouse has it")
    return Path(named)
