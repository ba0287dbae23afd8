"""What many dead letters have in common, counted in bounded memory."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

from services.cli.rejected.letters import Letter

MOST_GROUPS = 10_000


@dataclass(slots=True)
class Group:
    """The letters of one service, reason and source."""

    by: str
    reason: str
    source: str
    count: int = 0
    replayed: int = 0
    first: int = 0
    """When the first was appended, milliseconds since 1970 UTC."""
    last: int = 0
    example: str = ""
    """Field and detail of the newest."""


@dataclass(frozen=True, slots=True)
class Line:
    """One letter as a list shows it, without its original."""

    at: int
    place: str
    by: str
    reason: str
    source: str
    account: str
    event_id: str
    field: str
    detail: str
    original_size: int
    cut: bool
    replayed: bool


class Overview:
    """Counts letters by group, and keeps the newest few."""

    def __init__(self, limit: int) -> None:
        self.total = 0
        self.replayed = 0
        self._limit = limit
        self._groups: dict[tuple[str, str, str], Group] = {}
        self._newest: list[tuple[tuple[int, str, int, int], Line]] = []
        """A heap, by time and place."""

    def add(self, letter: Letter, *, replayed: bool) -> None:
        """Take one letter into account."""
        value = letter.value
        self.total += 1
        self.replayed += replayed
        key = (value["by"], value["reason"], value["source"])
        if key not in self._groups and len(self._groups) >= MOST_GROUPS:
            key = (value["by"], value["reason"], "(others)")
        group = self._groups.setdefault(key, Group(*key, first=letter.at))
        group.count += 1
        group.replayed += replayed
        group.first = min(group.first, letter.at)
        if letter.at >= group.last:
            group.last = letter.at
            group.example = ": ".join(part for part in (value["field"], value["detail"]) if part)
        line = Line(
            letter.at, letter.place, value["by"], value["reason"], value["source"], value["account"], value["event_id"],
            value["field"], value["detail"], value["original_size"], letter.cut, replayed,
        )  # fmt: skip
        order = (letter.at, letter.topic, letter.partition, letter.offset)
        if len(self._newest) < self._limit:
            heapq.heappush(self._newest, (order, line))
        elif self._limit:
            heapq.heappushpop(self._newest, (order, line))

    @property
    def groups(self) -> list[Group]:
        """Return the groups, the largest first."""
        return sorted(self._groups.values(), key=lambda group: (-group.count, group.by, group.reason, group.source))

    @property
    def newest(self) -> list[Line]:
        """Return the newest letters, the oldest of them first."""
        return [line for _, line in sorted(self._newest, key=lambda each: each[0])]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"total": self.total, "replayed": self.replayed, "summary": self.groups, "letters": self.newest}
