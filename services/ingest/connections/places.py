"""Which connection makes way for a new one, once there are as many as there may be."""

from __future__ import annotations

from typing import Generic, TypeVar

C = TypeVar("C")


class Places(Generic[C]):
    """
    The connections that can be missed, in lines, each with the one first that has waited longest.

    One line is of those without a request, or whose sender is not known: they lose nothing that they would not send
    again. Each source has a line of those whose request is still arriving: write keys of browsers are public, and who sends
    a byte now and then under one shall not keep out everybody else. Where a request is complete and worked on, its
    connection stands in none.

    Newcomers beyond the limit stand apart, and have no place yet: they take one once their request
    is there, or too many came after them.
    """

    def __init__(self) -> None:
        self._lines: dict[str, dict[C, None]] = {}
        self._line_of: dict[C, str] = {}
        self._newcomers: dict[C, None] = {}

    @property
    def newcomers(self) -> int:
        """How many there are."""
        return len(self._newcomers)

    def is_new(self, connection: C) -> bool:
        """Return whether a connection is one of the newcomers."""
        return connection in self._newcomers

    def arrive(self, connection: C, most: int) -> C | None:
        """Put a connection at the end of the newcomers; with more than `most` of them return the first."""
        self.leave(connection)
        self._newcomers[connection] = None
        return next(iter(self._newcomers)) if len(self._newcomers) > most else None

    def wait(self, connection: C, source: str = "") -> None:
        """Put a connection at the end of a line: that of a source, or of those without one."""
        self.leave(connection)
        self._lines.setdefault(source, {})[connection] = None
        self._line_of[connection] = source

    def leave(self, connection: C) -> None:
        """Take a connection out of its line or the newcomers, if it stands there."""
        self._newcomers.pop(connection, None)
        source = self._line_of.pop(connection, None)
        if source is None:
            return
        line = self._lines[source]
        del line[connection]
        if not line:
            del self._lines[source]

    def make_way(self) -> tuple[C, str] | None:
        """Take out the first of the longest line, and return it with the line's source; None: nobody can be missed."""
        if not self._lines:
            return None
        source, longest = max(self._lines.items(), key=lambda line: len(line[1]))
        connection = next(iter(longest))
        self.leave(connection)
        return connection, source
