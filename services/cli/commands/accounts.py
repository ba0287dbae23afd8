"""`tidemark accounts import FILE`, `tidemark accounts quarantined`, `tidemark accounts release ACCOUNT`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from services.cli.local.stack_state import DataOption, JsonOption, find
from services.shared.errors import Fatal


def register(app: typer.Typer) -> None:
    """Add the group `accounts`."""
    group = typer.Typer(help="Account facts, and quarantined accounts.", no_args_is_help=True)
    group.command("import")(import_file)
    group.command("quarantined")(show_quarantined)
    group.command("release")(release)
    app.add_typer(group, name="accounts")


def import_file(
    file: Annotated[
        Path, typer.Argument(help="CSV, YAML or NDJSON, one account per row.", exists=True, dir_okay=False)
    ],
    account: Annotated[str, typer.Option(help="Column with the account's id.")] = "account",
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """
    Send account facts (name, owner, revenue, seats, plan, contract_start, renewal_date, parent) as group calls.

    Importing the same rows again changes nothing. Malformed rows are listed and left out; the others are sent.
    """
    from services.backfill.account_file import read
    from services.backfill.sender import IngestSender

    calls, problems = read(file, account, time.time_ns() // 1_000_000)
    running = find(data)
    if running.ingest is None or running.write_key is None:
        raise Fatal("where is ingest? Start `tidemark dev`, or set TIDEMARK_INGEST_URL and TIDEMARK_WRITE_KEY")
    url, write_key = running.ingest, running.write_key

    async def send() -> IngestSender:
        async with IngestSender(url, write_key, historical=False) as sender:
            await sender.ready()
            if calls:
                await sender.send(calls)
            return sender

    tally = asyncio.run(send()).tally
    problems += tally.rejections
    if json:
        import msgspec

        print(msgspec.json.encode({"accepted": tally.accepted, "problems": problems}).decode())
    else:
        print(f"{tally.accepted} accounts sent, {len(problems)} rows left out")
        for problem in problems:
            print(f"  {problem}")
    if problems:
        raise typer.Exit(1)


def show_quarantined(data: DataOption = None, json: JsonOption = False) -> None:
    """List the quarantined accounts, each with the error; it reads the scorer's whole state topic."""
    from services.cli.quarantine import quarantined

    found = asyncio.run(quarantined(find(data).kafka))
    if json:
        import msgspec

        print(msgspec.json.encode([each._asdict() for each in found]).decode())
        return
    for each in found:
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(each.at_ms / 1000))
        frozen = "; its events are on the dead letters" if each.frozen else ""
        print(f"{each.account}  partition {each.partition}, since {since}: {each.reason}{frozen}")
    if found:
        print("Once the cause is fixed: `tidemark accounts release ACCOUNT`.")
    else:
        print("no account is quarantined")


def release(
    account: Annotated[str, typer.Argument(help="The account's id, as in its events.")], data: DataOption = None
) -> None:
    """Evaluate a quarantined account again; for one that is not quarantined, this changes nothing."""
    from services.cli.quarantine import release as order

    if not account:
        raise Fatal("which account? `tidemark accounts quarantined` lists them")
    asyncio.run(order(find(data).kafka, account))
    print(
        f"the release of {account} is in the log: it is evaluated on the next tick, and quarantined again if that fails"
    )
