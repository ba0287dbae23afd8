"""The address at which browsers reach ingest, for documents that tell them where to send."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from services.ingest.dialects.route import Call


class Address(NamedTuple):
    """Scheme, and host with its port."""

    scheme: str
    host: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}"


def public_address(call: Call, configured: str) -> Address:
    """Return the configured address, else the one that the call was sent to."""
    if configured:
        parts = urlsplit(configured)
        return Address(parts.scheme, parts.netloc)
    scheme = call.header(b"x-forwarded-proto") or call.scope.get("scheme", "http")
    return Address(scheme, call.header(b"host"))
