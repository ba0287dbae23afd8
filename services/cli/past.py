"""The histories that `tidemark backtest` is given: a file, made-up customers, or one's own past."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from services.cli.local.stack_state import cluster, data_folder
from services.cli.terminal import tell_lines
from services.shared.errors import Fatal

if TYPE_CHECKING:
    from services.backfill.mapping import Mapping
    from services.backtest.domain.history import AccountOutcome, BacktestHistory
    from services.backtest.generator import Generated
    from services.backtest.words import Speech


_SHOWN = 10
"""Accounts that are named; of the rest, how many they are."""


class HistorySource(StrEnum):
    """Where one's own history is read."""

    LOG = "log"
    WAREHOUSE = "warehouse"


def histories(
    file: Path | None,
    mapping: Mapping,
    lost: tuple[AccountOutcome, ...],
    seeds: list[int],
    read_own: Callable[[], BacktestHistory],
    *,
    skip_bad_rows: bool = False,
) -> Iterator[tuple[BacktestHistory, Generated | None]]:
    """Return the histories that are asked for, with the truth about those that are made up."""
    from services.backtest.histories.event_file import read_event_file
    from services.backtest.histories.generated import made_up

    if file is not None:
        yield read_event_file(file, mapping, outcomes=lost, skip_bad_rows=skip_bad_rows), None
    elif not seeds:
        yield read_own(), None
    for seed in seeds:
        yield made_up(seed)


def own(
    source: HistorySource, lost: tuple[AccountOutcome, ...], data: Path | None, say: Speech, *, recorded: bool
) -> BacktestHistory:
    """
    Return one's own history, as the log or the warehouse holds it.

    Args:
        source: Where it is.
        lost: The list of lost customers; empty: there is none.
        data: The folder of the stack.
        say: The language of what is told.
        recorded: Whether the losses that people recorded are the list.

    Raises:
        Fatal: there is no such history, or no loss was recorded.
    """
    from services.backtest.domain.history import lost_without_day

    history = _read(source, lost, data)
    count = len(history.recorded)
    if history.dayless:
        tell_lines([_without_day(history.dayless, say)], sys.stderr)
    if recorded and not count:
        raise Fatal(say("terminal.no_record"))
    if recorded:
        print(say("terminal.taken", count=count), file=sys.stderr)
        return replace(history, outcomes=(*history.recorded, *lost_without_day(history.dayless)))
    if count and not lost:
        print(say("terminal.on_record", count=count), file=sys.stderr)
    return history


def _without_day(accounts: tuple[str, ...], say: Speech) -> str:
    more = len(accounts) - _SHOWN
    shown = ", ".join(accounts[:_SHOWN]) + (say("terminal.more_accounts", count=more) if more > 0 else "")
    return say("terminal.without_day", accounts=shown)


def _read(source: HistorySource, lost: tuple[AccountOutcome, ...], data: Path | None) -> BacktestHistory:
    from services.backtest.histories.own import read_log, read_warehouse
    from services.shared.settings import load
    from services.warehouse.clickhouse.store import open_embedded, open_server
    from services.warehouse.settings import WarehouseSettings

    now_ms = time.time_ns() // 1_000_000
    if source is HistorySource.LOG:
        return asyncio.run(read_log(cluster(data), lost, now_ms))
    settings = load(WarehouseSettings)
    if settings.clickhouse_url is not None:
        store = open_server(settings.clickhouse_url.get_secret_value(), settings.clickhouse_database)
    else:
        folder = data_folder(data) / "warehouse" / "clickhouse"
        if not folder.is_dir():
            raise Fatal(f"there is no warehouse at {folder}: give --data, or set CLICKHOUSE_URL to your server")
        store = open_embedded(folder, settings.clickhouse_database)
    try:
        return read_warehouse(store, lost, now_ms)
    finally:
        store.close()
