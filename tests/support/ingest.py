"""For tests of ingest: the rules of an installation whose tracking plan keeps some properties."""

from __future__ import annotations

from typing import Any

from services.ingest.domain.admission import Rules
from services.ingest.domain.personal import Privacy
from services.shared.pseudonyms import Pseudonyms

PSEUDONYMS = Pseudonyms(b"\x5e" * 32)
"""Those of the services that tests start: see conftest.py."""


def rules(*kept: str, **changes: Any) -> Rules:
    """Return rules by which these properties (and traits) stay on the long log."""
    names = frozenset(kept)
    return Rules(Privacy(PSEUDONYMS, keeps=lambda _kind, _name: names), **changes)


def user(user_id: str) -> str:
    """Return the pseudonym of a user id or an anonymous id."""
    return PSEUDONYMS.of(user_id)
