"""What the forms of the account page need before anything is written in them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from services.console.account.past import Day
from services.console.account.recording import FORMS, LONGEST_LINE, LONGEST_TEXT, SAID_BESIDE
from services.console.ingest_client import can_record
from services.console.rendering import Visit

_NOTHING_CHOSEN = frozenset({"to", "reason"})
"""Fields that begin empty: what stood there would be recorded by whoever overlooks it, and nothing takes it back."""


def forms(visit: Visit, refused: Mapping[str, Any] | None, latest: Day | None) -> dict[str, Any]:
    """Return what the page's forms need: their fields, what was written, who writes, and whether anything can be recorded."""
    return {
        "kinds": {kind: fields for kind, fields in FORMS.items() if kind not in SAID_BESIDE},
        "refused": refused,
        "possible": can_record(visit.settings),
        "author": author_of(visit),
        "id": refused["given"].get("id", "") if refused else new_id(),
        "today": today().isoformat(),
        "nothing_chosen": _NOTHING_CHOSEN,
        "owner": (latest.told["facts"].get("owner") if latest else None) or "",
        "longest": {"text": LONGEST_TEXT, "line": LONGEST_LINE},
    }


def author_of(visit: Visit) -> str:
    """Return the name under which a reader records: that of the sign-in, or what they called themselves."""
    return visit.identity.name or visit.identity.owner


def new_id() -> str:
    """Return the id of one record: sent twice, it is recorded once."""
    return f"console-{secrets.token_urlsafe(16)}"


def today() -> date:
    """Return the day, UTC."""
    return datetime.now(UTC).date()
