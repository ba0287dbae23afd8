"""Names of pages by their paths: `/pricing`, `/reports/*`, `/docs/**`."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_PATH = 2_048
"""Characters of a path; a longer one has no name."""
MAX_PATTERN = 200
_PATTERN = re.compile(r"(/([^/*?#\s]+|\*))*(/\*\*)?/?")

_Group = tuple[re.Pattern[str], list[str]]


def wrong_with(pattern: str) -> str:
    """Return what is wrong with a pattern, empty if it is good."""
    if not pattern.startswith("/") or len(pattern) > MAX_PATTERN or not _PATTERN.fullmatch(pattern):
        return f"{pattern!r} is no path such as /pricing, /reports/* (one part) or /docs/** (all that is left)"
    return ""


class PagePaths:
    """The patterns of a plan, compiled. A path that is written out wins over patterns; of several of those, the first."""

    __slots__ = ("_exact", "_groups", "_others")

    def __init__(self, patterns: Iterable[tuple[str, str]]) -> None:
        """Take page names, each with one pattern."""
        self._exact: dict[str, str] = {}
        starred: list[tuple[str, str]] = []
        for name, given in patterns:
            pattern = given.rstrip("/") or "/"
            if "*" in pattern:
                starred.append((name, pattern))
            else:
                self._exact.setdefault(pattern, name)
        # Patterns are tried by the first part of the path, so that an application with many costs no more per page.
        firsts = {_first(pattern) for _, pattern in starred}
        self._others = _group([pair for pair in starred if _first(pair[1])[0] == "*"])
        self._groups = {
            first: _group([pair for pair in starred if _first(pair[1]) in (first, "*", "**")])
            for first in firsts
            if first[0] != "*"
        }

    def name(self, path: str) -> str:
        """Return the name of the page at a path, empty if it has none; query, fragment and a slash at the end do not count."""
        if len(path) > MAX_PATH:
            return ""
        path = path.partition("?")[0].partition("#")[0].rstrip("/") or "/"
        name = self._exact.get(path)
        if name is not None:
            return name
        group = self._groups.get(_first(path), self._others)
        found = group[0].fullmatch(path) if group else None
        return group[1][found.lastindex - 1] if group and found and found.lastindex else ""


def _first(path: str) -> str:
    return path[1:].partition("/")[0]


def _group(pairs: list[tuple[str, str]]) -> _Group | None:
    if not pairs:
        return None
    return re.compile("|".join(f"({_expression(pattern)})" for _, pattern in pairs)), [name for name, _ in pairs]


def _expression(pattern: str) -> str:
    return "".join(_part(part) for part in pattern[1:].split("/"))


def _part(part: str) -> str:
    if part == "**":
        return "(?:/.*)?"
    return "/[^/]+" if part == "*" else "/" + re.escape(part)
