"""`tidemark tail`."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.local.stack_state import DataOption, JsonOption, cluster, reach, read_state

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from services.ingest.domain.arrivals import Arrival
    from services.ingest.live.log_tail import News
    from services.shared.kafka.settings import KafkaSettings

STYLES = {"accepted": "green", "attributed": "green", "unattributed": "yellow", "rejected": "bold red"}
_A_SECOND = 200.0
_BEAT_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tail")(tail)


def tail(
    key_or_source: Annotated[
        str, typer.Argument(help="A write key, or the source that it stands for; all sources by default.")
    ] = "",
    *,
    json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="Stop after so many events; 0: go on until Ctrl-C.", min=0)] = 0,
    data: DataOption = None,
) -> None:
    """Show events as they arrive: the verdict on each, its account and how that was found, or why it was rejected."""
    with suppress(KeyboardInterrupt):
        asyncio.run(_tail(cluster(data), source_of(key_or_source, data), json=json, limit=limit))


def source_of(key_or_source: str, data: Path | None) -> str:
    """Return the source that a write key stands for; what is no known key is taken for a source."""
    from services.ingest.write_keys.keys import read
    from services.shared.errors import ConfigurationError
    from services.shared.write_key import digest

    state = read_state(data)
    named = os.environ.get("TIDEMARK_WRITE_KEYS_FILE") or (state.write_keys_file if state else None)
    if not named or not key_or_source:
        return key_or_source
    with suppress(ConfigurationError):  # the file is that of ingest, which says what is wrong with it
        known = read(Path(named)).get(digest(key_or_source))
        return known.source if known else key_or_source
    return key_or_source


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
                says.print(f"Waiting for events of {source or 'all sources'}. Ctrl-C ends.", style="dim")
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
    import msgspec

    if json:
        print(msgspec.json.encode(arrival).decode(), flush=True)
    else:
        console.print(in_words(arrival))


def _apart(news: News) -> list[str]:
    """Return what is to be said beside the events."""
    lines = [f"{news.hidden:,} more not shown"] if news.hidden else []
    if news.passed:
        lines.append(f"{news.passed:,} records of all sources passed by too fast to be looked at")
    return lines + ([news.problem] if news.problem else [])


def in_words(arrival: Arrival) -> Text:
    """Return one line for people."""
    from rich.text import Text

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
