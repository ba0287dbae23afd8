"""A history from a file of events, as `tidemark backfill` takes it."""

from __future__ import annotations

import time
from pathlib import Path
from sys import intern
from typing import Any

from services.backfill.files import survey
from services.backfill.mapping import Mapping, TimedCall
from services.backtest.domain.history import NOTHING, AccountOutcome, BacktestHistory, Event, KeptEvents
from services.shared.tracking_plan.actors import SYMBOLS, number_said

_KINDS = {
    "track": "TRACK",
    "page": "PAGE",
    "screen": "SCREEN",
    "identify": "IDENTIFY",
    "group": "GROUP",
    "alias": "ALIAS",
}


def read_event_file(
    path: Path, mapping: Mapping, *, outcomes: tuple[AccountOutcome, ...] = (), skip_bad_rows: bool = False
) -> BacktestHistory:
    """
    Return the history in a file. It is parsed here, and its events are held in memory.

    Raises:
        BadFile: it cannot be read as it is; the message says which rows, and what to do.
    """
    file = survey(path, mapping, "backtest", time.time_ns() // 1_000_000, skip_bad_rows=skip_bad_rows)
    events = KeptEvents([_event(timed) for timed in file.events()])
    return BacktestHistory(path.name.split(".")[0], events, file.sha256, outcomes=outcomes, malformed=file.skipped)


def _event(timed: TimedCall) -> Event:
    call: dict[str, Any] = timed.call
    kind = _KINDS.get(call["type"], "TRACK")
    said = call.get("traits" if kind in {"GROUP", "IDENTIFY"} else "properties") or NOTHING
    account = str(call.get("groupId") or (call.get("context") or {}).get("groupId") or "")
    user = str(call.get("userId") or call.get("anonymousId") or "")
    name = str(call.get("event") or call.get("name") or "")
    actor = SYMBOLS[number_said(call.get("context")) or 0]
    return Event(intern(account), intern(user), timed.at_ms, intern(name), said, kind, actor=actor)
