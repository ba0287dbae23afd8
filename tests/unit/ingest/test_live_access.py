"""Who may watch events arrive: at the machine itself anybody, elsewhere who has the token, another site's page never."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from services.ingest.live.access import Access

TOKEN = SecretStr("0123456789abcdef")
HERE = {"host": "127.0.0.1:8080"}


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "127.0.0.1"])
def test_at_the_machine_itself_nothing_is_needed(host: str) -> None:
    assert Access(None, "127.0.0.1").denied({"host": host}, "127.0.0.1") is None


@pytest.mark.parametrize(
    ("listens", "peer", "headers"),
    [
        ("0.0.0.0", "127.0.0.1", {}),
        ("10.0.0.7", "10.0.0.8", {}),
        ("127.0.0.1", "10.0.0.8", {}),
        ("127.0.0.1", "", {}),
        ("127.0.0.1", "127.0.0.1", {"host": "rebound.example"}),
        ("127.0.0.1", "127.0.0.1", {"host": ""}),
        ("127.0.0.1", "127.0.0.1", {"x-forwarded-for": "203.0.113.7"}),
        ("127.0.0.1", "127.0.0.1", {"forwarded": "for=203.0.113.7"}),
    ],
)
def test_from_anywhere_else_it_is_closed_without_a_token(listens: str, peer: str, headers: dict[str, str]) -> None:
    denied = Access(None, listens).denied(HERE | headers, peer)

    assert denied is not None
    assert (denied.status, denied.code) == (403, "not_open")
    assert "TIDEMARK_INGEST_LIVE_TOKEN" in denied.detail


def test_behind_a_proxy_that_does_not_say_so_it_is_closed_without_a_token() -> None:
    """Nginx by default: the Host of the loopback address, no further header, and HTTP/1.0."""
    public = Access(None, "127.0.0.1", "https://events.example")
    local = Access(None, "127.0.0.1", "http://localhost:8080")

    assert Access(None, "127.0.0.1").denied(HERE, "127.0.0.1", "1.0") is not None
    assert public.denied(HERE, "127.0.0.1") is not None
    assert local.denied(HERE, "127.0.0.1") is None
    assert (
        Access(TOKEN, "127.0.0.1", "https://events.example").denied(
            {"host": "127.0.0.1:8080", "authorization": f"Bearer {TOKEN.get_secret_value()}"}, "127.0.0.1", "1.0"
        )
        is None
    )


def test_with_a_token_who_has_it_may_watch_from_anywhere() -> None:
    access = Access(TOKEN, "0.0.0.0")
    headers = {"host": "events.example", "x-forwarded-for": "203.0.113.7"}

    assert access.denied(headers | {"authorization": f"Bearer {TOKEN.get_secret_value()}"}, "10.0.0.8") is None
    for given in ("", "Bearer ", "Bearer wrong", f"Basic {TOKEN.get_secret_value()}"):
        denied = access.denied(headers | {"authorization": given}, "127.0.0.1")
        assert denied is not None
        assert denied.status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_page_of_another_site_may_never_watch(headers: dict[str, str], token: SecretStr | None) -> None:
    given = HERE | headers | {"authorization": f"Bearer {TOKEN.get_secret_value()}"}

    denied = Access(token, "127.0.0.1").denied(given, "127.0.0.1")

    assert denied is not None
    assert denied.code == "other_origin"


def test_the_page_itself_may_watch() -> None:
    headers = HERE | {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}

    assert Access(None, "127.0.0.1").denied(headers, "127.0.0.1") is None


@pytest.mark.parametrize("headers", [{"host": "[::1"}, {"origin": "http://["}, {"host": "[", "origin": "http://["}])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_what_cannot_be_read_is_refused(headers: dict[str, str], token: SecretStr | None) -> None:
    denied = Access(token, "127.0.0.1").denied(HERE | headers, "127.0.0.1")

    assert denied is not None
    assert denied.status in (401, 403)
