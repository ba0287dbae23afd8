"""
Who may watch events arrive: who has the token, from the page itself or from a program.

Without a token nobody may. A request from this machine is no proof that a person sits at it: a proxy in front of ingest may
say nothing of itself, and then looks like a browser next to it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr


class Denied(NamedTuple):
    """Why somebody may not."""

    status: int
    code: str
    detail: str


class Access:
    """Who may watch one ingest: who has the `token`; None: nobody."""

    def __init__(self, token: SecretStr | None) -> None:
        self._token = token.get_secret_value().encode() if token is not None else b""

    def denied(self, headers: Mapping[str, str]) -> Denied | None:
        """Return why a request may not watch; None if it may. `headers` are by name in small letters."""
        origin, host = headers.get("origin"), headers.get("host", "")
        if origin is not None and _host_of(origin) != host:
            return Denied(403, "other_origin", "pages of other sites may not watch")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return Denied(403, "other_origin", "pages of other sites may not watch")
        if not self._token:
            detail = "set TIDEMARK_INGEST_LIVE_TOKEN to show events here; `tidemark tail` needs none"
            return Denied(403, "not_open", detail)
        if hmac.compare_digest(headers.get("authorization", "").encode(), b"Bearer " + self._token):
            return None
        return Denied(401, "token_needed", "send TIDEMARK_INGEST_LIVE_TOKEN as Bearer authorization")


def _host_of(origin: str) -> str:
    """Return the host of an origin, with its port; empty if it has none that can be read."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
