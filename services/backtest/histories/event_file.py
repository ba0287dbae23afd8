"""A history from a file of events, as `tidemark backfill` takes it."""

from __future__ import annotations

import time
from collections import abc
from pathlib import Path
from typing import Any

from services.backfill.files import survey
from services.backfill.mapping import Mapping, TimedCall
from services.backtest.domain.history import NOTHING, AccountOutcome, BacktestHistory, Event
from services.backtest.domain.kept_events import KeptEvents
from services.shared.tracking_plan.actors import SYMBOLS, number_said

MALFORMED = "malformed_row"
"""Why rows of a file are not among the events."""
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
    events = KeptEvents(event for timed in file.events() if (event := _event(timed, file.stem)) is not None)
    malformed = file.skipped + file.total - len(events)
    left_out = {MALFORMED: malformed} if malformed else {}
    name = path.name.split(".")[0]
    return BacktestHistory(name, events, file.sha256, outcomes=outcomes, left_out=left_out)


def _event(timed: TimedCall, made_up: str) -> Event | None:
    """Return the event of a call, None where ingest would refuse it; ids that begin with `made_up` are no one's own."""
    call: dict[str, Any] = timed.call
    kind = _KINDS.get(call["type"], "TRACK")
    said = call.get("traits" if kind in {"GROUP", "IDENTIFY"} else "properties") or NOTHING
    context = call.get("context") or NOTHING
    if not isinstance(said, abc.Mapping) or not isinstance(context, abc.Mapping):
        return None
    try:
        spoken_of = _id(call.get("groupId")) if kind == "GROUP" else ""
        account = spoken_of or _id(context.get("groupId")) or _id(call.get("groupId"))
        user = _id(call.get("userId")) or _id(call.get("anonymousId"))
    except TypeError:
        return None
    name = str(call.get("event") or call.get("name") or "")
    actor = SYMBOLS[number_said(context) or 0]
    own_id = "" if call["messageId"].startswith(made_up) else call["messageId"]
    return Event(account, user, timed.at_ms, name, said, kind, own_id, actor)


def _id(value: Any) -> str:
    """Return an id as ingest takes it: text, or a whole number as its digits; blanks are none."""
    if value is None:
        return ""
    if type(value) not in (str, int):
        raise TypeError(type(value))
    text = str(value)
    return "" if text.isspace() else text
