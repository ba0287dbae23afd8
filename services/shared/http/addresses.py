"""Addresses of services, as settings and variables give them."""

from __future__ import annotations

from urllib.parse import urlsplit


def host_of(address: str) -> str | None:
    """Return the host of an address of http or https; None: it is no such address, or its port is none."""
    try:
        parts = urlsplit(address)
        return parts.hostname if parts.scheme in ("http", "https") and parts.port != 0 else None
    except ValueError:  # a bracket that is not closed, or a port that is none
        return None
