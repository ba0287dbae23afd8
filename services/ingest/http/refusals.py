"""
Say in the log who was refused for want of a right, without letting them fill it.

An SDK with a wrong key discards what it sends, and its own log is on somebody else's machine: the operator's log is
where it can be seen. It holds what is known of the sender, never a key.
"""

from __future__ import annotations

import logging
import time

from services.ingest.http.call import Call

log = logging.getLogger(__name__)

_EVERY_S = 60.0
_LINES = 60
"""In that time, of all senders together."""
_CHARS = 120
STATUSES = frozenset({401, 403, 421})


class RefusalLog:
    """One line for each code and sender's address in a minute, and not many in all."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._told: set[tuple[str, str]] = set()
        self._kept = 0

    def note(self, call: Call, status: int, code: str, endpoint: str) -> None:
        """Log a refusal, or count it for the next line."""
        now = time.monotonic()
        if now - self._began >= _EVERY_S:
            self._began = now
            self._told.clear()
        address = str((call.scope.get("client") or ("",))[0])
        if (code, address) in self._told or len(self._told) >= _LINES:
            self._kept += 1
            return
        self._told.add((code, address))
        kept, self._kept = self._kept, 0
        known = {
            "origin": call.header(b"origin"),
            "user_agent": call.header(b"user-agent"),
            "forwarded_for": call.header(b"x-forwarded-for"),
        }
        said = {name: value[:_CHARS] for name, value in known.items() if value}
        fields = {"code": code, "status": status, "endpoint": endpoint, "client": address, **said}
        log.warning("request_refused", extra={**fields, "others_not_logged": kept} if kept else fields)
