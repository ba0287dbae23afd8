"""Names of pages by their paths: `/pricing`, `/reports/*`, `/docs/**`."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_PATH = 2_048
"""Characters of a path; a longer one has no name."""
MAX_PATTERN = 200
_PARTS = re.compile(r"(/([^/*?#\s]+|\*))*(/\*\*)?/?")


def wrong_with(pattern: str) -> str:
    """Return what is wrong with a pattern, empty if it is good."""
    if not pattern.startswith("/") or len(pattern) > MAX_PATTERN or not _PARTS.fullmatch(pattern):
        return f"{pattern!r} is no path such as /pricing, /reports/* (one part) or /docs/** (all that is left)"
    return ""


class PagePaths:
    """The patterns of a plan, compiled; of several that match, the first counts."""

    __slots__ = ("_names", "_pattern")

    def __init__(self, patterns: Iterable[tuple[str, str]]) -> None:
        """Take page names, each with one pattern."""
        pairs = list(patterns)
        self._names = [name for name, _ in pairs]
        self._pattern = re.compile("|".join(f"({_expression(pattern)})" for _, pattern in pairs)) if pairs else None

    def name(self, path: str) -> str:
        """Return the name of the page at a path, empty if it has none; query, fragment and a slash at the end do not count."""
        if self._pattern is None or len(path) > MAX_PATH:
            return ""
        path = path.partition("?")[0].partition("#")[0]
        found = self._pattern.fullmatch(path.rstrip("/") or "/")
        return self._names[found.lastindex - 1] if found and found.lastindex else ""


def _expression(pattern: str) -> str:
    parts = pattern.strip("/").split("/")
    if parts == [""]:
        return "/"
    return "".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if part == "**":
        return "(?:/.*)?"
    return "/[^/]+" if part == "*" else "/" + re.escape(part)
