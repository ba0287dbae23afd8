"""
What was refused or could not be applied in the last 24 hours: how often, by reason, field and source, with an example.

Bounded however much is refused, and without anything personal: an example has the names of members and the kinds of their values,
never the values.
"""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.shared.units import HOUR_MS

HOURS = 24
MOST_KINDS = 500
"""Combinations of reason, field and source that are told apart; what is beyond is counted as one."""
_OTHERS = ("", "other_reasons", "", "")
_LONGEST = 200
_LONGEST_ORIGINAL = 64 * 1024
_LONGEST_EXAMPLE = 2_000
_NEW_EXAMPLE_MS = 60_000
_MOST_MEMBERS, _MOST_DEPTH = 20, 4
_PLAIN_NAME = re.compile(r"[A-Za-z_$][\w .$-]{0,39}", re.ASCII)
_SAYS_WHAT = {"track": "event", "page": "name", "screen": "name", "identify": "type", "group": "type", "alias": "type"}
"""By type of an event the member that says what it is beside the type: these have their values, as on every topic."""

Kind = tuple[str, str, str, str]


@dataclass(slots=True)
class _Counted:
    by_hour: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    last_at: int = 0
    letter: str = ""
    example: str = ""
    example_at: int = 0


class Refusals:
    """Counts dead letters as they come. It may be read from another thread."""

    def __init__(self) -> None:
        self._kinds: dict[Kind, _Counted] = {}
        self._looked_through = 0
        """The hour at which room was last made for other kinds."""
        self._lock = threading.Lock()
        self.problem = "the letters have not been read yet"
        """Why counts may lack something; empty where they do not."""

    def see(self, letter: Mapping[str, Any], place: str, at: int) -> None:
        """Count one letter (a decoded dead_letter), which was written at this place of the log at this time, milliseconds."""
        kind = tuple(str(letter[name])[:_LONGEST] for name in ("by", "reason", "field", "source"))
        with self._lock:
            counted = self._counted(kind, at // HOUR_MS)  # type: ignore[arg-type]
            counted.by_hour[at // HOUR_MS] += 1
            if at < counted.last_at:
                return
            counted.last_at, counted.letter = at, place
            if not counted.example or at - counted.example_at >= _NEW_EXAMPLE_MS:
                counted.example, counted.example_at = shape_of(letter["original"]), at

    def clear(self) -> None:
        """Forget all, to count from the beginning."""
        with self._lock:
            self._kinds.clear()

    def told(self, now_ms: int) -> list[dict[str, Any]]:
        """Return what was counted in the last 24 hours, most frequent first."""
        with self._lock:
            self._let_go(now_ms // HOUR_MS - HOURS)
            found = [
                {
                    **dict(zip(("by", "reason", "field", "source"), kind, strict=True)),
                    "count": sum(counted.by_hour.values()),
                    "last_at": counted.last_at,
                    "letter": counted.letter,
                    "example": counted.example,
                }
                for kind, counted in self._kinds.items()
            ]
        return sorted(found, key=lambda each: (-each["count"], each["reason"], each["field"], each["source"]))

    def _let_go(self, last: int) -> None:
        """Forget the hours up to one."""
        for kind, counted in list(self._kinds.items()):
            for hour in [hour for hour in counted.by_hour if hour <= last]:
                del counted.by_hour[hour]
            if not counted.by_hour:
                del self._kinds[kind]

    def _counted(self, kind: Kind, hour: int) -> _Counted:
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            if hour > self._looked_through:  # once an hour; nobody may have asked for days
                self._looked_through = hour
                self._let_go(hour - HOURS)
            if len(self._kinds) >= MOST_KINDS:
                kind = _OTHERS
        return self._kinds.setdefault(kind, _Counted())


def shape_of(original: bytes) -> str:
    """Return an event or a body as JSON with kinds in the place of values; empty for what is too large or no JSON."""
    if len(original) > _LONGEST_ORIGINAL:
        return ""
    try:
        text = msgspec.json.encode(_shape(msgspec.json.decode(original), 0)).decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        return ""
    return text if len(text) <= _LONGEST_EXAMPLE else f"{text[:_LONGEST_EXAMPLE]}…"


def _shape(value: Any, depth: int) -> Any:
    match value:
        case None:
            return None
        case bool():
            return "true or false"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return [_shape(value[0], depth + 1)] if value and depth < _MOST_DEPTH else []
        case dict():
            return _members(value, depth) if depth < _MOST_DEPTH else {}
        case _:
            return "text"


def _members(value: Mapping[str, Any], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    kind = value.get("type") if depth == 0 else None
    shown_names = {"type", _SAYS_WHAT[kind]} if isinstance(kind, str) and kind in _SAYS_WHAT else set()
    for name, member in list(value.items())[:_MOST_MEMBERS]:
        says_what = name in shown_names and isinstance(member, str)
        shown = name if _PLAIN_NAME.fullmatch(name) else "member"
        found[shown] = member[:_LONGEST] if says_what else _shape(member, depth + 1)
    return found
