"""
Who may watch events arrive.

With a token configured: who has it. Without one: whoever sits at the machine on which ingest listens, and nobody else. A
page of another site in that person's browser is somebody else, whatever name it was reached by, and so is anybody behind a
proxy.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr

_PROXIED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Denied(NamedTuple):
    """Why somebody may not."""

    status: int
    code: str
    detail: str


class Access:
    """
    Who may watch one ingest.

    `token`: what has to be known; None: nothing, on this machine alone. `host`: the address on which ingest listens.
    `public_url`: the one at which browsers reach it; empty if it is not configured.
    """

    def __init__(self, token: SecretStr | None, host: str, public_url: str = "") -> None:
        self._token = token.get_secret_value().encode() if token is not None else b""
        # A proxy need not tell that it is one: nginx by default sends its own Host, the loopback address, and no more.
        self._local = is_loopback(host) and (not public_url or is_loopback(_name_of(urlsplit(public_url).netloc)))

    def denied(self, headers: Mapping[str, str], peer: str, http_version: str = "1.1") -> Denied | None:
        """Return why a request may not watch; None if it may. `headers` are by name in small letters."""
        origin, host = headers.get("origin"), headers.get("host", "")
        if origin is not None and _host_of(origin) != host:
            return Denied(403, "other_origin", "pages of other sites may not watch")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return Denied(403, "other_origin", "pages of other sites may not watch")
        if self._token:
            given = headers.get("authorization", "").encode()
            if hmac.compare_digest(given, b"Bearer " + self._token):
                return None
            return Denied(401, "token_needed", "send TIDEMARK_INGEST_LIVE_TOKEN as Bearer authorization")
        here = self._local and is_loopback(peer) and is_loopback(_name_of(host))
        proxied = http_version == "1.0" or any(
            name in headers for name in _PROXIED
        )  # no browser speaks 1.0; nginx does
        if here and not proxied:
            return None
        return Denied(
            403,
            "not_open",
            "without TIDEMARK_INGEST_LIVE_TOKEN, events are only shown on the machine itself, by its own name",
        )


def _host_of(origin: str) -> str:
    """Return the host of an origin, with its port; empty if it has none that can be read."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _name_of(host: str) -> str:
    """Return a host without its port; empty if it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by an address or name that no other machine has."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
