"""`tidemark tail`."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.local.given_key import KeyFileOption, key_of
from services.cli.local.stack_state import DataOption, JsonOption, cluster, reach, read_state
from services.cli.terminal import on_one_line, tell_json
from services.shared.counts import counted
from services.shared.errors import Fatal, WrongArgument

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from services.ingest.domain.arrivals import Arrival
    from services.ingest.live.log_tail import News
    from services.ingest.write_keys.keys import WriteKey
    from services.shared.kafka.settings import KafkaSettings

STYLES = {"accepted": "green", "attributed": "green", "unattributed": "yellow", "rejected": "bold red"}
_A_SECOND = 200.0
_BEAT_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tail")(tail)


def tail(
    source: Annotated[
        str, typer.Argument(help="A source, or the id of a write key as `keys list` shows it; all sources by default.")
    ] = "",
    *,
    key_file: KeyFileOption = None,
    json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="Stop after so many events; 0: go on until Ctrl-C.", min=0)] = 0,
    data: DataOption = None,
) -> None:
    """Show events as they arrive: the verdict on each, its account and how that was found, or why it was rejected."""
    wanted = source_of(source, key_of(key_file), data)
    with suppress(KeyboardInterrupt):
        asyncio.run(_tail(cluster(data), wanted, json=json, limit=limit))


def source_of(named: str, key: str | None, data: Path | None) -> str:
    """
    Return the source that is named, or the one that a write key or its id stands for.

    Raises:
        Fatal: the key is not known here; or a key was given in the place of a source.
    """
    from services.shared.credentials import ID_CHARS, digest, id_of

    keys = _known_keys(data)
    if key is not None:
        found = keys.get(digest(key))
        if found is None:
            raise Fatal(f"no file of write keys here has the key with the id {id_of(digest(key))}; name its source")
        return found.source
    if digest(named) in keys or named.startswith("tmk_"):
        raise WrongArgument(
            "this is a write key, and every user of the machine sees command lines: give its source, its id"
            " (`tidemark keys list`), or --key-file"
        )
    if len(named) == ID_CHARS:
        return next((each.source for each in keys.values() if each.id == named), named)
    return named


def _known_keys(data: Path | None) -> dict[str, WriteKey]:
    """Return the keys of ingest's file by their hashes; none where it cannot be read, as ingest itself says."""
    from services.ingest.write_keys.keys import read
    from services.shared.errors import ConfigurationError

    state = read_state(data)
    file = os.environ.get("TIDEMARK_WRITE_KEYS_FILE") or (state.write_keys_file if state else None)
    if not file:
        return {}
    try:
        return read(Path(file))
    except ConfigurationError:
        return {}


async def _tail(kafka: KafkaSettings, source: str, *, json: bool, limit: int) -> None:
    from rich.console import Console

    from services.ingest.live.log_tail import LogTail

    await reach(kafka)
    says, console = Console(stderr=True, highlight=False), Console(highlight=False, soft_wrap=True)
    shown, begun = 0, False
    async with LogTail(kafka).watch(source, _A_SECOND) as watcher:
        while True:
            news = await watcher.next(_BEAT_S)
            if watcher.begun and not begun:
                begun = True
                named = on_one_line(source) or "all sources"
                says.print(f"Waiting for events of {named}. Ctrl-C ends.", style="dim", markup=False)
            if news is None:
                continue
            for arrival in news.arrivals:
                _show(arrival, console, json=json)
                shown += 1
                if shown == limit:
                    return
            for line in _apart(news):
                says.print(line, style="dim")


def _show(arrival: Arrival, console: Console, *, json: bool) -> None:
    if json:
        tell_json(arrival)
    else:
        console.print(in_words(arrival))


def _apart(news: News) -> list[str]:
    """Return what is to be said beside the events."""
    lines = [f"{news.hidden:,} more not shown"] if news.hidden else []
    if news.passed:
        lines.append(f"{counted(news.passed, 'record')} of all sources passed by too fast to be looked at")
    return lines + ([news.problem] if news.problem else [])


def in_words(arrival: Arrival) -> Text:
    """Return one line for people."""
    import msgspec
    from rich.text import Text

    said = {
        name: on_one_line(value) for name, value in msgspec.structs.asdict(arrival).items() if isinstance(value, str)
    }
    arrival = msgspec.structs.replace(arrival, **said)
    text = Text()
    text.append(f"{datetime.fromtimestamp(arrival.at / 1000, UTC):%H:%M:%S}  ", style="dim")
    text.append(f"{arrival.verdict:12} ", style=STYLES[arrival.verdict])
    if arrival.kind:
        text.append(f"{arrival.kind:8} {arrival.name}")
    if arrival.code:
        text.append(f"{': '.join(filter(None, (arrival.code, arrival.field, arrival.detail)))}", style="red")
    if arrival.account:
        text.append(f"  account {arrival.account}", style="bold")
        text.append(f" by {arrival.via}" if arrival.via else "")
    if arrival.user:
        text.append(f"  user {arrival.user}")
    where = arrival.source if arrival.environment in ("", "production") else f"{arrival.source}, {arrival.environment}"
    text.append(f"  {where}  {arrival.id}", style="dim")
    return text
