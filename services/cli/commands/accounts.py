"""`tidemark accounts`: facts of accounts, quarantined ones, and users whose account nobody has said."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.local.stack_state import DataOption, JsonOption, cluster, data_folder, find
from services.cli.terminal import tell, tell_json, tell_lines
from services.shared.counts import counted
from services.shared.errors import Fatal, WrongArgument
from services.shared.units import written_time


def register(app: typer.Typer) -> None:
    """Add the group `accounts`."""
    group = typer.Typer(help="Account facts, quarantined accounts, and users without an account.", no_args_is_help=True)
    group.command("import")(import_file)
    group.command("quarantined")(show_quarantined)
    group.command("release")(release)
    group.command("unresolved")(show_unresolved)
    group.command("resolve")(resolve)
    group.command("apply")(apply)
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
    Send account facts as group calls.

    They are name, owner, revenue, seats, plan, contract_start, go_live_on, renewal_date, parent and country.
    Your tracking plan (TIDEMARK_TRACKING_PLAN) may declare others under group_traits; other columns are named and left out.

    Importing the same rows again changes nothing, and what is imported last holds. Malformed rows, and repeated rows
    of an account, are listed and left out; the others are sent.
    """
    from services.backfill.account_file import read
    from services.backfill.sender import IngestSender
    from services.shared.plan_file import PlanSettings, load_plan
    from services.shared.settings import load

    found = read(file, account, time.time_ns() // 1_000_000, load_plan(load(PlanSettings)).group_traits)
    calls, problems = found.calls, found.problems
    running = find(data)
    if running.ingest is None or running.write_key is None:
        raise Fatal("where is ingest? Start `tidemark dev`, or set TIDEMARK_INGEST_URL and TIDEMARK_WRITE_KEY")
    url, write_key = running.ingest, running.write_key

    async def send() -> IngestSender:
        named = "account {groupId!r}".format_map  # no id says to people which row it was
        async with IngestSender(url, write_key, historical=False, called=named) as sender:
            await sender.ready()
            if calls:
                await sender.send(calls)
            return sender

    tally = asyncio.run(send()).tally
    problems += tally.rejections
    if (untold := tally.rejected - len(tally.rejections)) > 0:
        more = counted(untold, "more account was", "more accounts were")
        problems.append(f"{more} rejected: `tidemark rejected list` shows them")
    if json:
        told = {
            "accepted": tally.accepted,
            "problems": problems,
            "undeclared_columns": found.undeclared,
            "broke_plan": tally.broke_plan,
            "warnings": tally.warnings,
        }
        tell_json(told)
    else:
        print(f"{counted(tally.accepted, 'account')} sent, {counted(len(problems), 'problem')}")
        tell_lines(f"  {problem}" for problem in problems)
        if found.undeclared:
            columns = ", ".join(map(repr, found.undeclared))
            tell(f"not sent, since the tracking plan declares no such traits of accounts: {columns}")
        if tally.broke_plan:
            what = counted(tally.broke_plan, "account breaks", "accounts break")
            print(f"{what} the tracking plan of ingest, and the scorer leaves out the traits that it cannot read")
            tell_lines(f"  accepted, but: {warning}" for warning in tally.warnings[:10])
    if problems:
        raise typer.Exit(1)


def show_quarantined(data: DataOption = None, json: JsonOption = False) -> None:
    """List the quarantined accounts, each with the error; it reads the scorer's whole state topic."""
    from services.cli.quarantine import quarantined

    found = asyncio.run(quarantined(cluster(data)))
    if json:
        tell_json([each._asdict() for each in found])
        return
    for each in found:
        frozen = "; its events are on the dead letters" if each.frozen else ""
        tell_lines(
            [f"{each.account}  partition {each.partition}, since {written_time(each.at_ms)}: {each.reason}{frozen}"]
        )
    if found:
        print("Once the cause is fixed: `tidemark accounts release ACCOUNT`.")
    else:
        print("no account is quarantined")


def release(
    account: Annotated[str, typer.Argument(help="The account's id, as in its events.")], data: DataOption = None
) -> None:
    """Evaluate a quarantined account again."""
    from services.cli.quarantine import release as order

    if not account:
        raise WrongArgument("which account? `tidemark accounts quarantined` lists them")
    asyncio.run(order(cluster(data), account))
    tell(
        f"the release of {account} is in the log: it is evaluated on the next tick, and quarantined again if that fails"
    )


def show_unresolved(data: DataOption = None, json: JsonOption = False) -> None:
    """List the identified users whose events wait for an account, by pseudonym; it reads the state of attribution."""
    from services.cli.unresolved import unresolved

    found = asyncio.run(unresolved(cluster(data)))
    if json:
        tell_json([each._asdict() for each in found])
        return
    for each in found:
        tell(f"{each.user}  {counted(each.events, 'event')} since {written_time(each.since_ms)}: {_WHY[each.reason]}")
    if found:
        print("Have the app call `group`, or say where they belong: `tidemark accounts resolve FILE`.")
    else:
        print("no identified user waits for an account")


_WHY = {
    "no_account": "no call says which account the user belongs to",
    "several_accounts": "events name several accounts, and no group call says which one counts",
}


def resolve(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with the columns user (id or pseudonym) and account; user alone to withdraw.",
            exists=True,
            dir_okay=False,
        ),
    ],
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take back what was said of the file's users before.")
    ] = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """
    Say which accounts users belong to, and send in again their events that were given up.

    What the file says overrides all that calls say of these users, until it is withdrawn: then what calls say holds again, for
    the events that come after that. Doing it again changes nothing. Malformed rows are listed and left out.
    """
    from services.cli import resolving
    from services.cli.local.own_secrets import existing_pseudonyms

    kafka = cluster(data)
    pseudonyms = existing_pseudonyms(data_folder(data))
    if withdraw:
        users, problems = resolving.read_users(file, pseudonyms)
        done = asyncio.run(resolving.withdraw(kafka, users))
        nothing = f"; of {done.nothing_said:,} nobody has said anything that holds" if done.nothing_said else ""
        _tell(
            f"what was said of {counted(done.withdrawn, 'user')} is withdrawn{nothing}",
            done._asdict(),
            problems,
            json=json,
        )
        return
    accounts, problems = resolving.read_file(file, pseudonyms)
    resolved = asyncio.run(resolving.resolve(kafka, accounts))
    before = f", {resolved.before:,} had been before" if resolved.before else ""
    erased = f"; {resolved.erased:,} left out, of people who were erased since" if resolved.erased else ""
    text = (
        f"{counted(resolved.users, 'user has', 'users have')} an account; "
        f"{counted(resolved.events, 'event is', 'events are')} sent in again{before}{erased}"
    )
    _tell(text, resolved._asdict(), problems, json=json)


def _tell(text: str, facts: dict[str, Any], problems: list[str], *, json: bool) -> None:
    """
    Print what was done, and which rows were left out.

    Raises:
        Exit: with status 1, if there are any.
    """
    if json:
        tell_json({**facts, "problems": problems})
    else:
        print(text)
        tell_lines(f"  {problem}" for problem in problems)
    if problems:
        raise typer.Exit(1)


def apply(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            help="YAML with aliases and domains.", envvar="TIDEMARK_ACCOUNTS_FILE", exists=True, dir_okay=False
        ),
    ],
    within: Annotated[
        float, typer.Option(help="Seconds in which attribution has to have read the aliases.", min=1)
    ] = 60.0,
    data: DataOption = None,
) -> None:
    """
    Put the aliases of the accounts file in force for users who are known already, and forget the merged accounts.

    Restart ingest with the same file first (TIDEMARK_ACCOUNTS_FILE): until then it writes events under the aliases. The
    scorer has to run: the accounts are forgotten once it has read the aliases. If it has not in time, nothing is forgotten, and
    the command ends with status 1, as it does where ingest says that it has another file.
    """
    from services.cli.account_aliases import apply as write
    from services.cli.local import readiness
    from services.cli.local.accounts_of_ingest import InForce, in_force
    from services.ingest.accounts_file import VARIABLE, load_accounts

    source = context.get_parameter_source("file")
    by_variable = source is not None and source.name == "ENVIRONMENT"
    kafka, running, book = cluster(data), find(data), load_accounts(file, VARIABLE if by_variable else "")
    count = asyncio.run(write(kafka, book, within))
    in_force_now = counted(count, "alias is", "aliases are")
    print(
        f"{in_force_now} in force for attribution; accounts under such an id are forgotten, and their open signals resolved."
    )
    print("Their past stays in the warehouse. The file's domains are ingest's: they hold from its next start.")
    address = running.ingest or readiness.addresses()["ingest"]
    found = in_force(address, book)
    if found is InForce.OTHER:
        # Not before the write: events of users that are known go to the account from now on all the same.
        raise Fatal(
            f"{found.value} ({address}), so events that name an alias make its account anew: restart ingest with"
            f" TIDEMARK_ACCOUNTS_FILE={shlex.quote(str(file))}, then run the same command again"
        )
    if found is InForce.UNKNOWN:
        tell(f"{found.value} ({address}): until it has this one, it writes events under the aliases", sys.stderr)
