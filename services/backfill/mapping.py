"""Which column means what, and a row as a call in Segment's format."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Mapping as Row
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import msgspec

from services.backfill.times import TimeFormat, parse_time
from services.shared.units import written_time

MOST_BYTES = 3_000_000
"""Of one call, and of all calls in a request: ingest takes bodies of 4 MB."""
_encode = msgspec.json.Encoder().encode
_SEGMENT_TYPES = frozenset({"track", "page", "screen", "identify", "group", "alias"})


class TimedCall(NamedTuple):
    """One call in Segment's format, and when it was made, in milliseconds since 1970 UTC."""

    at_ms: int
    call: dict[str, Any]


class BadRow(ValueError):
    """A row that cannot become an event; the message names each column at fault."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """Columns of a file. A row that is a call in Segment's format already needs none of them but the time."""

    account: str = "account"
    user: str = "user"
    time: str = "timestamp"
    time_format: TimeFormat = TimeFormat.ISO
    event: str | None = None
    """Column with the name of the event."""
    event_name: str = "Activity"
    """Name of the event where there is no such column."""
    id: str | None = None
    """Column with an id of the event; None: the file and the number of the row make one."""

    def fingerprint(self) -> bytes:
        """Return bytes that are equal where the mapping is."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    def call(self, row: Row[str, Any], stem: str, number: int, *, table: bool = False) -> TimedCall:
        """
        Return the call for one row; `stem` and `number` make its id.

        Args:
            row: Values by name.
            stem: What all ids of the file begin with.
            number: Of the row.
            table: Whether the row is one of a table: it is no call in Segment's format then, whatever it calls its type.

        Raises:
            BadRow: a column that is needed is missing, empty or malformed, or the row cannot be sent.
        """
        made = self._call(row, stem, number, table=table)
        try:
            size = len(_encode(made.call))
        except UnicodeEncodeError as error:
            raise BadRow(
                f"half of a surrogate pair, {error.object[error.start]!a}, is no text: it was cut within a character"
            ) from error
        if size > MOST_BYTES:
            raise BadRow(f"it has {size:,} bytes; ingest takes events of up to 32 KB")
        return made

    def _call(self, row: Row[str, Any], stem: str, number: int, *, table: bool) -> TimedCall:
        faults: dict[str, None] = {}
        at_ms = self._tried(faults, self._time, row)
        message_id = f"{stem}{number}" if self.id is None else self._tried(faults, self._text, row, self.id)
        kind = row.get("type")
        is_call = not table and isinstance(kind, str) and kind in _SEGMENT_TYPES
        event, account, user = self.event_name, "", ""
        if not is_call:
            event = event if self.event is None else self._tried(faults, self._text, row, self.event)
            account = self._tried(faults, self._text, row, self.account)
            user = self._tried(faults, self._text, row, self.user)
        if faults:
            raise BadRow("; ".join(faults))
        stamp = written_time(at_ms, "milliseconds")
        if is_call:
            if self.id is None and isinstance(row.get("messageId"), str) and row["messageId"]:
                message_id = row["messageId"]
            return TimedCall(at_ms, {**row, "messageId": message_id, "timestamp": stamp})
        mapped = {self.account, self.user, self.time, self.event, self.id}
        call: dict[str, Any] = {
            "type": "track",
            "messageId": message_id,
            "event": event,
            "timestamp": stamp,
            "context": {"groupId": account},
            "properties": {
                name: value
                for name, value in row.items()
                if name not in mapped and value is not None and not (table and not value.strip())
            },
            "userId": user,
        }
        return TimedCall(at_ms, call)

    @staticmethod
    def _tried(faults: dict[str, None], read: Callable[..., Any], *given: Any) -> Any:
        """Return what is read, or None, with the fault among the others of the row."""
        try:
            return read(*given)
        except BadRow as error:
            faults[str(error)] = None
            return None

    def _time(self, row: Row[str, Any]) -> int:
        try:
            return parse_time(self._text(row, self.time, (str, int, float)), self.time_format)
        except BadRow:
            raise
        except ValueError as error:
            raise BadRow(f"column {self.time!r}: {error}") from error

    @staticmethod
    def _text(row: Row[str, Any], column: str, kinds: tuple[type, ...] = (str, int)) -> str:
        value = row.get(column)
        if value is None:
            raise BadRow(f"column {column!r} is missing")
        if not isinstance(value, kinds) or isinstance(value, bool):  # Python's words for it would be an id
            raise BadRow(f"column {column!r}: {str(value)[:40]!r} is no text and no whole number")
        text = str(value).strip()
        if not text:
            raise BadRow(f"column {column!r} is empty")
        return text
