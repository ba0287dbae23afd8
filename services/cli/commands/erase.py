"""`tidemark erase`: a person or an account, everywhere."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.local.stack_state import DataOption, JsonOption, cluster, find
from services.cli.terminal import tell, tell_json, tell_lines
from services.shared.counts import counted
from services.shared.errors import Fatal, Retryable, WrongArgument

if TYPE_CHECKING:
    from services.cli.erasing.traces import QueryAccess, Subject
    from services.shared.kafka.settings import KafkaSettings


def register(app: typer.Typer) -> None:
    """Add the command `erase`."""
    app.command("erase")(erase)


def erase(  # noqa: PLR0913  typer reads the options from the signature
    *,
    user: Annotated[str | None, typer.Option(help="User id as in the events, or pseudonym.")] = None,
    anonymous: Annotated[str | None, typer.Option(help="Anonymous id of somebody without a user id.")] = None,
    account: Annotated[str | None, typer.Option(help="Account id.")] = None,
    linked: Annotated[
        bool,
        typer.Option("--linked", help="With a person, erase the ids that `alias` calls have linked, step by step."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    within: Annotated[float, typer.Option(help="Seconds in which each service has to do its part.", min=1)] = 60.0,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """
    Erase a person or an account, and report what was removed and what retention will remove.

    Of a person, details of events and the user id are deleted, and a random pseudonym takes the place of theirs: numbers of people
    stay, and lead to nobody. Of an account, everything is deleted. What comes afterwards is kept: stop sending first. Doing it
    again erases what has come since. The scorer, the alerter and the warehouse have to run.
    """
    from services.cli.erasing.traces import QueryAccess, Subject, all_traces, pseudonym_of

    given = {"user": user, "anonymous": anonymous, "account": account}
    named = [(kind, each) for kind, each in given.items() if each is not None]
    if len(named) != 1:
        raise WrongArgument("whom? Give one of --user, --anonymous and --account")
    ((kind, whose),) = named
    if not whose.strip():
        raise WrongArgument(
            f"the id after --{kind} is empty, perhaps from a variable that is not set: nothing was erased"
        )
    if linked and kind == "account":
        raise WrongArgument("--linked is about a person's ids: leave it out with --account")
    kafka, running = cluster(data), find(data)
    if running.warehouse is None:
        raise Fatal("where is the warehouse? Start `tidemark dev`, or set TIDEMARK_WAREHOUSE_URL")
    whom = (
        Subject("", whose)
        if kind == "account"
        else Subject(pseudonym_of(whose, data, anonymous=kind == "anonymous"), "", linked)
    )
    warehouse = QueryAccess(running.warehouse, running.query_token)
    traces = asyncio.run(all_traces(kafka, warehouse, whom))
    subject = f"{kind} {whose}"
    if not yes:
        _show(subject, traces)
        if not sys.stdin.isatty():
            raise WrongArgument("this cannot be undone: give --yes, or run it in a terminal and confirm")
        typer.confirm("Erase all of it? This cannot be undone.", abort=True, err=True)
    report = asyncio.run(_erase(kafka, warehouse, whom, traces, within))
    unknown = not traces["rows"] and not traces["accounts"] and not any(report["removed"].values())
    if unknown and not traces["erasures"]:
        raise Fatal(
            f"nothing was found of {subject}, so nothing was erased: check the spelling, capitals and blanks count, and an id"
            " of a browser stands after --anonymous"
        )
    _print(subject, report, json=json)
    if report["left"] or report["others"] or report["set_aside"]:
        raise typer.Exit(1)


async def _erase(
    kafka: KafkaSettings, warehouse: QueryAccess, whom: Subject, traces: Mapping[str, Any], within_s: float
) -> dict[str, Any]:
    """Order the erasure, wait until it is done, and return the report."""
    from services.cli.erasing.kept import kept
    from services.cli.erasing.orders import order_account, order_person
    from services.cli.erasing.traces import Subject

    now_ms = time.time_ns() // 1_000_000
    if whom.account:
        await order_account(kafka, whom.account, traces["pseudonyms"], within_s)
        parts = [whom]
    else:
        await order_person(kafka, traces["pseudonyms"], traces["accounts"], within_s, traces["forget"])
        parts = [Subject(each, "") for each in traces["pseudonyms"]]
    removed: dict[str, int] = {}
    left: dict[str, int] = {}
    set_aside: list[str] = []
    for part in parts:
        after = await _done(warehouse, part, now_ms, within_s)
        for table, count in after["erasures"][-1]["removed"].items():
            removed[table] = removed.get(table, 0) + count
        for table, count in after["rows"].items():
            left[table] = left.get(table, 0) + count
        set_aside = after["set_aside"]
    return {
        "pseudonyms": traces["pseudonyms"],
        "accounts": traces["accounts"],
        "linked": traces["linked"],
        "others": traces["others"],
        "removed": removed,
        "left": left,
        "set_aside": set_aside,
        "kept": [each._asdict() for each in kept(person=bool(whom.user), now_ms=now_ms)],
    }


async def _done(warehouse: QueryAccess, whom: Subject, since_ms: int, within_s: float) -> dict[str, Any]:
    """Return the traces once the warehouse has carried out an order that was given since then."""
    from services.cli.erasing.traces import warehouse_traces

    deadline = time.monotonic() + within_s
    while True:
        found = await warehouse_traces(warehouse, whom)
        found["erasures"] = [each for each in found["erasures"] if each["done"] and each["at"] >= since_ms]
        if found["erasures"]:
            return found
        if time.monotonic() >= deadline:
            raise Retryable(
                f"the order is in the log, but the warehouse has not carried it out in {within_s:.0f} s. It will, as soon as it has"
                " read so far (`tidemark doctor` says how far it is); run the same command again for the report"
            )
        await asyncio.sleep(0.2)


def _show(subject: str, traces: Mapping[str, Any]) -> None:
    """Tell whoever is asked; standard output is the report's."""
    lines = [f"{subject}: {counted(sum(traces['rows'].values()), 'row')} in the warehouse"]
    lines += [f"  {table}: {count:,}" for table, count in sorted(traces["rows"].items())]
    if traces["accounts"]:
        lines.append(f"  in the accounts {', '.join(traces['accounts'])}")
    if traces["linked"]:
        lines.append(f"  also as {', '.join(traces['linked'])}")
    if traces["others"]:
        lines.append(f"  linked by `alias` calls, and not erased with it: {', '.join(traces['others'])}")
    tell_lines(lines, sys.stderr)


def _print(subject: str, report: dict[str, Any], *, json: bool) -> None:
    if json:
        tell_json(report)
        return
    total = sum(report["removed"].values())
    gone = ("row of the warehouse was deleted, or leads", "rows of the warehouse were deleted, or lead")
    tell(f"{subject} is erased: {counted(total, *gone)} to nobody any more")
    for table, count in sorted(report["removed"].items()):
        print(f"  {table}: {count:,}")
    if report["accounts"]:
        named = ", ".join(report["accounts"])
        tell_lines([f"  in the scorer's state of {named}, a random pseudonym is in the place of theirs"])
    if report["linked"]:
        tell_lines([f"  with the ids that `alias` calls have linked: {', '.join(report['linked'])}"])
    print("What retention and compaction remove, by when at the latest:")
    for each in report["kept"]:
        print(f"  {each['until']}  {each['topic']}: {each['what']}")
    if report["others"]:
        tell_lines(
            ["An `alias` call has linked other ids, which are not erased yet. If they are the same person's, run:"]
        )
        tell_lines([f"  tidemark erase --linked --user {shlex.quote(each)}" for each in report["others"]])
    if report["set_aside"]:
        print(
            "Not complete: ClickHouse has set parts of tables aside, and no erasure reaches into them. They may hold rows of it."
        )
        tell_lines([f"  delete them (docs/privacy.md): {', '.join(report['set_aside'])}"])
    if report["left"]:
        rows = ", ".join(f"{table} {count:,}" for table, count in sorted(report["left"].items()))
        print(f"Rows have come since ({rows}): stop the sender, and run the same command again.")
