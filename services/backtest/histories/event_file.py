"""A history from a file of events, as `tidemark backfill` takes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.backfill.files import EventFile, survey
from services.backfill.mapping import Mapping, TimedCall
from services.backtest.domain.history import NOTHING, Event, History, Outcome

_KINDS = {"track": "TRACK", "page": "PAGE", "screen": "SCREEN", "identify": "IDENTIFY", "group": "GROUP"}


@dataclass(frozen=True, slots=True)
class _Rows:
    """Reads the events of a file; it can go to another process."""

    file: EventFile

    def __call__(self) -> Iterator[Event]:
        for timed in self.file.events():
            yield _event(timed)


def read_event_file(
    path: Path, mapping: Mapping, *, outcomes: tuple[Outcome, ...] = (), skip_bad_rows: bool = False
) -> History:
    """
    Return the history in a file.

    Raises:
        BadFile: it cannot be read as it is; the message says which rows, and what to do.
    """
    file = survey(path, mapping, "backtest", time.time_ns() // 1_000_000, skip_bad_rows=skip_bad_rows)
    return History(path.name.split(".")[0], _Rows(file), file.sha256, outcomes=outcomes)


def _event(timed: TimedCall) -> Event:
    call: dict[str, Any] = timed.call
    kind = _KINDS.get(call["type"], "TRACK")
    said = call.get("traits" if kind in {"GROUP", "IDENTIFY"} else "properties") or NOTHING
    account = call.get("groupId") or (call.get("context") or {}).get("groupId") or ""
    user = call.get("userId") or call.get("anonymousId") or ""
    return Event(str(account), str(user), timed.at_ms, str(call.get("event") or call.get("name") or ""), said, kind)
