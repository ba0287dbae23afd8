"""`tidemark rejected list`, `tidemark rejected show ID`, `tidemark rejected replay`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.local.given_key import KeyFileOption, key_of
from services.cli.local.key_ring import KeyRing, key_ring_file
from services.cli.local.stack_state import DataOption, JsonOption, Running, cluster, data_folder, find, reach
from services.cli.terminal import tell_json
from services.shared.counts import counted
from services.shared.errors import Fatal, WrongArgument

if TYPE_CHECKING:
    from services.cli.rejected.erased import Erased
    from services.cli.rejected.letters import Stretch, Wanted
    from services.cli.rejected.overview import Overview
    from services.cli.rejected.replaying import Replayer
    from services.cli.rejected.tally import Plan, ReplayTally
    from services.shared.kafka.settings import KafkaSettings

REFUSED_STATUS = 3
"""Exit status when ingest refused something again."""
_TELL_EVERY_S = 5.0

SinceOption = Annotated[
    str, typer.Option(help="From when on: an age such as 30m, 2h or 3d, or a time such as 2026-01-31T08:15Z.")
]
UntilOption = Annotated[str | None, typer.Option(help="Up to when, in the same forms.", show_default="now")]
ReasonOption = Annotated[list[str] | None, typer.Option(help="Only this reason; may be repeated.")]
SourceOption = Annotated[list[str] | None, typer.Option(help="Only this source; may be repeated.")]
ByOption = Annotated[list[str] | None, typer.Option(help="Only what this service refused; may be repeated.")]
AccountOption = Annotated[
    list[str] | None,
    typer.Option(help="Only this account; may be repeated. Ingest knows no account of what it refuses."),
]


def register(app: typer.Typer) -> None:
    """Add the group `rejected`."""
    group = typer.Typer(help="What was rejected or dead-lettered, and how to send it again.", no_args_is_help=True)
    group.command("list")(show_list)
    group.command("show")(show)
    group.command("replay")(replay)
    app.add_typer(group, name="rejected")


def show_list(  # noqa: PLR0913  typer reads the options from the signature
    *,
    since: SinceOption = "24h",
    until: UntilOption = None,
    reason: ReasonOption = None,
    source: SourceOption = None,
    by: ByOption = None,
    account: AccountOption = None,
    limit: Annotated[
        int, typer.Option(min=0, max=100_000, help="Most letters to list, the newest; the summary counts all.")
    ] = 20,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Count dead letters by service, reason and source, with an example of each; then list the newest of them."""
    wanted = _wanted(since, until, reason, source, by, account)
    found = asyncio.run(_overview(cluster(data), wanted, limit))
    if json:
        tell_json(found.as_dict())
        return
    if not found.total:
        narrowed = " with this reason, source, service or account" if reason or source or by or account else ""
        print(f"no dead letters since {since}{narrowed}")
        return
    _print_overview(found)


def show(
    place: Annotated[
        str, typer.Argument(metavar="ID", help="topic/partition/offset, as `tidemark rejected list` names it.")
    ],
    *,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show everything about one dead letter, with its original."""
    from services.cli.rejected import wording
    from services.cli.rejected.letters import letter_at, parse_place

    parse_place(place)
    kafka = cluster(data)

    async def run() -> None:
        await reach(kafka)
        letter = await letter_at(kafka, place)
        if json:
            tell_json(wording.whole(letter))
            return
        for line in wording.letter_in_words(letter):
            print(line)

    asyncio.run(run())


def replay(  # noqa: PLR0913  typer reads the options from the signature
    *,
    since: SinceOption = "24h",
    until: UntilOption = None,
    reason: ReasonOption = None,
    source: SourceOption = None,
    by: ByOption = None,
    account: AccountOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Most letters to send, the oldest of each partition.")
    ] = None,
    key_file: KeyFileOption = None,
    any_source: Annotated[
        bool, typer.Option("--any-source", help="Send letters of every source, as events of the key's own source.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """
    Send the originals of dead letters again: through ingest, or to the topic that they come from.

    Nothing is deleted. What was taken is noted beside its letter, so no other replay sends it again; what is refused
    again keeps its letter. Exit status 3 if something was refused again.

    The letters of people and accounts that were erased after they were written are left out, and counted. If a person was, it takes
    the key of the pseudonyms: TIDEMARK_PSEUDONYM_KEY, or the data folder of `tidemark dev`.

    It takes a write key of the letters' source that has `backfill: true`: from --key-file, else from
    TIDEMARK_BACKFILL_KEY. `tidemark dev` makes one by itself.
    """
    from services.cli.rejected import wording
    from services.cli.rejected.replaying import Replayer
    from services.cli.rejected.tally import ReplayTally

    given = key_of(key_file) or os.environ.get("TIDEMARK_BACKFILL_KEY")
    wanted = _wanted(since, until, reason, source, by, account)
    kafka, running = cluster(data), find(data)
    erased = _erased(data_folder(data))
    places, planned = asyncio.run(_planned(kafka, wanted, limit, erased))
    asks = planned.total and not (yes or dry_run)
    if asks or not json:
        for line in wording.plan_in_words(planned):
            print(line, file=sys.stderr if json else None)
    if dry_run or not planned.total:
        if json:
            tell_json(planned if dry_run else ReplayTally(left=planned.left))
        return
    if not yes:
        if not sys.stdin.isatty():
            raise WrongArgument("nobody can be asked here: give --yes to replay, or --dry-run to look")
        typer.confirm("replay?", abort=True, err=json)
    if planned.sources and running.ingest is None:
        raise Fatal("where is ingest? Start `tidemark dev`, name its folder with --data, or set TIDEMARK_INGEST_URL")
    key_for = _keys(running, given, any_source=any_source)
    replayer_of = partial(Replayer, kafka, running.ingest, key_for, erased=erased, any_source=any_source)
    tally = asyncio.run(_replay(replayer_of, places, wanted, limit))
    if json:
        tell_json(tally)
    else:
        for line in wording.tally_in_words(tally):
            print(line)
    if tally.refused:
        raise typer.Exit(REFUSED_STATUS)


def _wanted(
    since: str,
    until: str | None,
    reason: list[str] | None,
    source: list[str] | None,
    by: list[str] | None,
    account: list[str] | None,
) -> Wanted:
    from services.cli.rejected.letters import Wanted
    from services.cli.rejected.times import moment

    now = time.time_ns() // 1_000_000
    wanted = Wanted(
        moment(since, now, "--since"),
        None if until is None else moment(until, now, "--until"),
        frozenset(reason or ()),
        frozenset(source or ()),
        frozenset(by or ()),
        frozenset(account or ()),
    )
    if wanted.until is not None and wanted.until <= wanted.since:
        raise WrongArgument("--until must be later than --since")
    return wanted


async def _overview(kafka: KafkaSettings, wanted: Wanted, limit: int) -> Overview:
    from services.cli.rejected.letters import letters_in, replayed_in, stretches
    from services.cli.rejected.overview import Overview

    await reach(kafka)
    found = Overview(limit)
    for stretch in await stretches(kafka, wanted):
        replayed = await replayed_in(kafka, stretch)
        async for letter in letters_in(kafka, stretch, wanted):
            found.add(letter, replayed=replayed.has(letter))
    return found


def _print_overview(found: Overview) -> None:
    from services.cli.rejected import wording

    for group in found.groups:
        for text in wording.group_in_words(group):
            print(text)
    newest = found.newest
    if newest:
        print(
            f"\nthe newest {len(newest):,} of {found.total:,}; `tidemark rejected show ID` shows one with its original"
        )
        for line in newest:
            print(wording.line_in_words(line))


def _erased(data: Path) -> Erased:
    from services.cli.local.own_secrets import existing_pseudonyms
    from services.cli.rejected.erased import AccountNames, Erased
    from services.ingest.accounts_file import load_accounts
    from services.ingest.settings import AccountSettings
    from services.shared.settings import load

    found = load(AccountSettings)
    names = AccountNames(found.fields(), load_accounts(found.accounts_file))
    return Erased(partial(existing_pseudonyms, data), names)


async def _planned(
    kafka: KafkaSettings, wanted: Wanted, limit: int | None, erased: Erased
) -> tuple[list[Stretch], Plan]:
    from services.cli.rejected.letters import stretches
    from services.cli.rejected.replaying import plan

    await reach(kafka)
    places = await stretches(kafka, wanted)
    return places, await plan(kafka, places, wanted, limit, erased)


async def _replay(
    replayer_of: Callable[..., Replayer], places: list[Stretch], wanted: Wanted, limit: int | None
) -> ReplayTally:
    told_at = time.monotonic()

    def report(tally: ReplayTally) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > _TELL_EVERY_S:
            told_at = time.monotonic()
            print(f"{counted(tally.letters, 'letter')} replayed", file=sys.stderr, flush=True)

    async with replayer_of(report=report) as replayer:
        try:
            await replayer.replay(places, wanted, limit)
        except BaseException:
            if replayer.tally.letters:
                told = f"stopped after {counted(replayer.tally.letters, 'letter')}; run the same command again to go on"
                print(told, file=sys.stderr)
            raise
        return replayer.tally


def _keys(running: Running, given: str | None, *, any_source: bool) -> Callable[[str, str], str]:
    """Return what gives the write key for a source and environment."""
    state = running.state
    one = given or (running.backfill_key if any_source else None)

    def key_for(source: str, environment: str) -> str:
        if one is not None:
            return one
        if state is None:
            raise WrongArgument("give --key-file, or set TIDEMARK_BACKFILL_KEY, with a key that has `backfill: true`")
        ring = KeyRing(key_ring_file(Path(state.data)), Path(state.write_keys_file))
        return ring.key(source, backfill=True, environment=environment)

    return key_for
