"""
The address at which browsers reach ingest, for documents that tell them where to send.

The `Host` of a request is whatever its sender wrote, and a cache may hand the answer on to others: it is believed only
where it names this machine itself.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from services.ingest.errors import Code
from services.ingest.http.call import Call
from services.shared.errors import Rejected

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[0-9.]{7,15}|localhost)(:[0-9]{1,5})?")


class Address(NamedTuple):
    """Scheme, and host with its port."""

    scheme: str
    host: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}"


def public_address(call: Call, configured: str) -> Address:
    """
    Return the configured address, else the one that the call was sent to if that is an address of this machine.

    Raises:
        Rejected: it is not configured, and the call was sent to some other name.
    """
    if configured:
        parts = urlsplit(configured)
        return Address(parts.scheme, parts.netloc)
    host = call.header(b"host")
    match = _HOST.fullmatch(host)
    if match is None or not _of_this_machine(match[1].strip("[]"), call.scope.get("server")):
        raise Rejected(
            Code.PUBLIC_URL_NOT_SET,
            "Host",
            "set TIDEMARK_INGEST_PUBLIC_URL to the address at which browsers reach ingest",
        )
    return Address(call.scope.get("scheme", "http"), host)


def _of_this_machine(name: str, server: tuple[str, int] | None) -> bool:
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
        return address.is_loopback or (server is not None and address == ipaddress.ip_address(server[0]))
    except ValueError:
        return False
