"""
Who reads the console: the name is "mine" in lists, and the author of what is recorded.

In this order: a trusted proxy names the person in a header; a token was exchanged for a cookie; on loopback without
either, everyone is let in, and the console says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote

from starlette.requests import Request

from services.console.settings import ConsoleSettings
from services.shared.http.server import FORWARDED

TOKEN_COOKIE = "tidemark_token"  # noqa: S105 - the name of a cookie, not a token
ME_COOKIE = "tidemark_me"
_LONGEST_NAME = 200
_LONGEST_TOKEN = 512
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Identity:
    """One reader."""

    name: str
    """Who they are; empty where nobody has said it."""
    how: str
    """`proxy`, `token` or `open`."""
    token: str | None = None
    """What the API is asked with."""
    owner: str = ""
    """The owner whose accounts are "mine": what they chose, or else their name."""


def identify(request: Request, settings: ConsoleSettings, *, is_open: bool) -> Identity | None:
    """Return who asks, or None where they have to sign in first."""
    chosen = unquote(request.cookies.get(ME_COOKIE, ""))[:_LONGEST_NAME]
    own_token = settings.api_token.get_secret_value() if settings.api_token else None
    if settings.user_header and _from_proxy(request, settings.trusted_proxies):
        named = _name_in(request.headers.getlist(settings.user_header))
        if named:
            return Identity(named, "proxy", own_token, chosen or named)
    if may_be_token(token := request.cookies.get(TOKEN_COOKIE, "")):
        return Identity(chosen, "token", token, chosen)
    return Identity(chosen, "open", own_token, chosen) if is_open and _is_local(request) else None


def _name_in(given: Sequence[str]) -> str:
    """Return the name that a proxy gives, in UTF-8 or else in Latin-1; empty where it gives none, or more than one."""
    raw = given[0].encode("latin-1") if len(given) == 1 else b""
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        name = raw.decode("latin-1")
    return name.strip()[:_LONGEST_NAME]


def may_be_token(text: str) -> bool:
    """Return whether a text has the form of a token, so that a header can carry it."""
    return 0 < len(text) <= _LONGEST_TOKEN and text.isascii() and text.isprintable()


def on_loopback(host: str) -> bool:
    """Return whether an address to listen on is this machine's own."""
    return host in _LOOPBACK


def over_tls(request: Request, settings: ConsoleSettings) -> bool:
    """
    Return whether the reader's browser speaks TLS: to us, to a trusted proxy, or as it says of the page that a form is from.

    Whoever makes the last up only keeps a cookie from themselves.
    """
    if request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://"):
        return True
    forwarded = request.headers.get("x-forwarded-proto", "")
    return forwarded == "https" and _from_proxy(request, settings.trusted_proxies)


def same_site(request: Request) -> bool:
    """Return whether a form was sent from a page of the console itself."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def _is_local(request: Request) -> bool:
    """
    Return whether a request is from this machine itself.

    A name that was made to resolve to this machine (DNS rebinding) and a proxy in front of us both reach a loopback address
    from elsewhere: the first shows in the host, the second says for whom it asks.
    """
    host = request.headers.get("host", "").lower()
    name = host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return name in _LOOPBACK and not any(header in request.headers for header in FORWARDED)


def _from_proxy(request: Request, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    if request.client is None:
        return False
    try:
        address = ip_address(request.client.host)
    except ValueError:
        return False
    # A socket for both versions gives an address of version 4 in the form of version 6.
    plain = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any((plain or address) in network for network in trusted)
