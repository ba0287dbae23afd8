"""`tidemark keys`: create, list, rotate and revoke write keys."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.local import write_keys
from services.cli.local.secret_files import there
from services.cli.local.stack_state import DataOption, JsonOption, read_state
from services.shared.credentials import id_of
from services.shared.errors import WrongArgument

FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="File of write keys; by default TIDEMARK_WRITE_KEYS_FILE, or the running stack's."),
]
NamedArgument = Annotated[
    str, typer.Argument(metavar="id|source", help="Id of the key, as `list` shows it, or its source if that has one.")
]


class KeyHolder(StrEnum):
    """Who holds a key."""

    SERVER = "server"
    BROWSER = "browser"


class PlanMode(StrEnum):
    """What comes of events that break the tracking plan."""

    REJECT = "reject"
    OBSERVE = "observe"
    OFF = "off"


class Actor(StrEnum):
    """Who acts in what a key sends."""

    PERSON = "person"
    AGENT = "agent"
    INTEGRATION = "integration"


def register(app: typer.Typer) -> None:
    """Add the group `keys`."""
    group = typer.Typer(help="Write keys: who may send events.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_)
    group.command("rotate")(rotate)
    group.command("revoke")(revoke)
    app.add_typer(group, name="keys")


def create(  # noqa: PLR0913  typer reads the options from the signature
    source: Annotated[str, typer.Option(help="Name of the app, site or server that uses the key; records carry it.")],
    client: Annotated[
        KeyHolder,
        typer.Option(help="Who holds the key. What browsers say about memberships never overrides what a server says."),
    ],
    environment: Annotated[
        str,
        typer.Option(
            help="Events of an environment other than 'production' are stored and counted, but do not affect health."
        ),
    ] = "production",
    backfill: Annotated[bool, typer.Option("--backfill", help="Allow it to send past events.")] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Origin of pages that may use it, https://app.example.com; may be repeated."),
    ] = None,
    plan: Annotated[
        PlanMode,
        typer.Option(help="What comes of events that break the tracking plan: observe takes, counts and tells."),
    ] = PlanMode.OBSERVE,
    actor: Annotated[
        Actor | None,
        typer.Option(help="Who acts in what it sends, where neither the event nor the tracking plan says it."),
    ] = None,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Create a write key and print it, this once: only its hash is stored. Ingest accepts it within seconds."""
    more: dict[str, Any] = {
        **({"plan": plan.value} if plan != PlanMode.OBSERVE else {}),
        **({"actor": actor.value} if actor else {}),
        **({"origins": [_origin(each) for each in origin]} if origin else {}),
    }
    print(write_keys.add(_file(file, data), source, environment, client=client.value, backfill=backfill, **more))


def list_(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the write keys by their ids; the keys themselves are not stored."""
    entries = [
        {"id": id_of(entry["key_sha256"]), **{name: value for name, value in entry.items() if name != "key_sha256"}}
        for entry in write_keys.read(there(_file(file, data)))
    ]
    if as_json:
        print(json.dumps(entries, default=str, indent=2))
        return
    for entry in entries:
        rest = [f"{name}={value}" for name, value in entry.items() if name not in ("id", "source") and value]
        print(f"{entry['id']}  {entry['source']}  {' '.join(rest)}")


def rotate(
    named: NamedArgument,
    keep_days: Annotated[
        float, typer.Option(help="Days for which the existing key stays valid.", min=0, max=36_500)
    ] = 7.0,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Print a new key of the same source and rights; the existing one stays valid for some days."""
    until = (datetime.now(UTC) + timedelta(days=keep_days)).replace(microsecond=0)
    key, old = write_keys.rotate(there(_file(file, data)), named, until)
    print(key)
    print(
        f"The existing key, {old}, is valid until {until:%Y-%m-%d %H:%M:%S} UTC."
        " tidemark_ingest_write_key_last_used_timestamp_seconds shows who still uses it.",
        file=sys.stderr,
    )


def revoke(named: NamedArgument, file: FileOption = None, data: DataOption = None) -> None:
    """Remove a key; ingest refuses it within seconds."""
    gone = write_keys.revoke(there(_file(file, data)), named)
    print(f"revoked {id_of(gone['key_sha256'])} of {gone['source']}")


def _origin(text: str) -> str:
    if not re.fullmatch(r"https?://[a-z0-9.:\[\]-]+", text):
        raise WrongArgument(
            f"the origin {text!r} must be as browsers send it: https://app.example.com, in lower case, no path"
        )
    return text


def _file(file: Path | None, data: Path | None) -> Path:
    state = read_state(data)
    named = file or os.environ.get("TIDEMARK_WRITE_KEYS_FILE") or (state.write_keys_file if state else None)
    if not named:
        raise WrongArgument(
            "which file of write keys? Give --file, set TIDEMARK_WRITE_KEYS_FILE, or start `tidemark dev`"
        )
    return Path(named)
