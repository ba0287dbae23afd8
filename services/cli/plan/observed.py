"""Events that were sent, as a plan looks at them: from a file of calls in Segment's format."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from services.ingest.domain.members import kind_named
from services.ingest.domain.timing import to_millis
from services.shared.errors import Rejected, WrongArgument
from services.shared.tracking_plan.actors import number_said
from services.shared.tracking_plan.event_check import Beside
from services.shared.units import DAY_MS

_TRAITS = frozenset({"IDENTIFY", "GROUP"})
_NAMED_BY = {"TRACK": "event", "PAGE": "name", "SCREEN": "name"}
_decode = msgspec.json.Decoder().decode


class Observed(NamedTuple):
    """One event."""

    kind: str
    """As the event record has it: TRACK, PAGE, ..."""
    name: str
    path: str
    """Of its page; empty if it has none."""
    properties: dict[str, Any]
    """The traits of an identify or group call."""
    beside: Beside = Beside()
    """The day is that of its own time, where that of its receipt is not known."""


class NoCall(NamedTuple):
    """What stands where a call should be."""

    line: int
    """Of the file, from 1."""


def calls_in(path: Path) -> Iterator[Observed | NoCall]:
    """
    Yield what a file of JSON lines holds; it may be compressed with gzip.

    A line is one call, or a batch as SDKs send it.

    Raises:
        WrongArgument: the file cannot be read.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    for call in _calls(line):
                        yield NoCall(number) if call is None else call
    except (OSError, EOFError, zlib.error) as error:
        raise WrongArgument(f"{path} cannot be read: {error}") from error


def _calls(line: bytes) -> Iterator[Observed | None]:
    try:
        value = _decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        yield None
        return
    batch = value.get("batch") if isinstance(value, dict) else None
    if not isinstance(batch, list):
        yield _observed(value, None) if isinstance(value, dict) else None
        return
    for call in batch:
        yield _observed(call, value.get("context")) if isinstance(call, dict) else None


def _observed(call: dict[str, Any], of_batch: Any) -> Observed | None:
    given = call.get("type")
    kind = kind_named(given.lower()) if isinstance(given, str) else ""
    properties = call.get("traits" if kind in _TRAITS else "properties")
    name = call.get(_NAMED_BY.get(kind, ""), "")
    if not kind or not isinstance(name, str | None) or not isinstance(properties, dict | None):
        return None
    if kind == "TRACK" and not (name and name.strip()):
        return None
    context = {
        **(of_batch if isinstance(of_batch, dict) else {}),
        **(own if isinstance(own := call.get("context"), dict) else {}),
    }
    return Observed(
        kind,
        name or "",
        path_of(properties or {}, context),
        properties or {},
        Beside(
            number_said(context),
            bool(call.get("userId") or call.get("anonymousId")),
            _day(call.get("timestamp")),
        ),
    )


def _day(timestamp: Any) -> int | None:
    try:
        at_ms = to_millis(timestamp, "timestamp")
    except Rejected:
        return None
    return None if at_ms is None else at_ms // DAY_MS


def path_of(properties: dict[str, Any], context: Any) -> str:
    """Return the path of the page that an event belongs to, as ingest finds it; empty if there is none."""
    path = properties.get("path")
    if path is None and isinstance(context, dict) and isinstance(page := context.get("page"), dict):
        path = page.get("path")
    return path if isinstance(path, str) else ""
