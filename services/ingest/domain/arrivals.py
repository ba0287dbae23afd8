"""
What a developer is shown of events as they arrive: verdict, account, how it was found, or the reason of a refusal.

Nothing of an event's properties, and of its user only what is on the log.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

ACCEPTED, UNATTRIBUTED, ATTRIBUTED, REJECTED = "accepted", "unattributed", "attributed", "rejected"
"""accepted: it names its account. attributed: it named none, and it is known by now whose it is."""

_REMEMBERED = 10_000
_SHOWN_CHARS = 300


class Arrival(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event, or what a refused one was refused for. The same `source` and `id` again say more of the same event."""

    verdict: str
    source: str
    id: str
    at: int
    """Milliseconds since 1970 UTC at which it was received."""
    kind: str = ""
    name: str = ""
    account: str = ""
    via: str = ""
    """How the account was found: event, domain, user, operator; empty where there is none."""
    user: str = ""
    """As on the log."""
    environment: str = ""
    code: str = ""
    field: str = ""
    detail: str = ""


class Arrivals:
    """Makes arrivals of records; remembers the latest events without an account, to know them again."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, str], None] = OrderedDict()

    def of_event(self, event: Mapping[str, Any]) -> Arrival:
        """Return what is shown of a usage_event."""
        account, which = event["account"], (event["source"], event["event_id"])
        if not account:
            verdict = UNATTRIBUTED
            self._waiting[which] = None
            if len(self._waiting) > _REMEMBERED:
                self._waiting.popitem(last=False)
        else:
            known = which in self._waiting
            self._waiting.pop(which, None)
            verdict = ATTRIBUTED if known or event.get("forwards", 0) else ACCEPTED
        via = str(event.get("via", "EVENT")).lower() if account else ""
        return Arrival(
            verdict=verdict,
            source=event["source"],
            id=event["event_id"],
            at=event["received_at"],
            kind=event["kind"].lower(),
            name=event["name"][:_SHOWN_CHARS],
            account=account,
            via="" if via == "unknown" else via,
            user=event["user"],
            environment=event["environment"],
        )

    @staticmethod
    def of_letter(letter: Mapping[str, Any]) -> Arrival:
        """Return what is shown of a dead_letter: the reason, not the original."""
        return Arrival(
            verdict=REJECTED,
            source=letter["source"],
            id=letter["event_id"],
            at=letter["rejected_at"],
            account=letter["account"],
            code=letter["reason"],
            field=letter["field"],
            detail=letter["detail"][:_SHOWN_CHARS],
        )


class Budget:
    """How much may be shown: so many a second, and what was saved up while nothing came, at most for one second."""

    def __init__(self, per_s: float, now_s: float) -> None:
        self._per_s = per_s
        self._left = per_s
        self._at = now_s

    def take(self, now_s: float) -> bool:
        """Return whether one more may be shown at this time, by any clock that only goes forward."""
        self._left = min(self._per_s, self._left + (now_s - self._at) * self._per_s)
        self._at = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
