"""Addresses of services, as settings and variables give them."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

ORIGIN = re.compile(r"https?://([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?")
"""The origin of a page, as browsers send it."""


def host_of(address: str) -> str | None:
    """Return the host of an address of http or https; None: it is no such address, or its port is none."""
    try:
        parts = urlsplit(address)
        return parts.hostname if parts.scheme in ("http", "https") and parts.port != 0 else None
    except ValueError:  # a bracket that is not closed, or a port that is none
        return None


def _require_host(value: SecretStr) -> SecretStr:
    if not host_of(value.get_secret_value()):
        raise ValueError("give http://user:password@host:port, or https for TLS")
    return value


SecretAddress = Annotated[SecretStr, AfterValidator(_require_host)]
"""An address of http or https, which may hold a password and so is not shown."""
