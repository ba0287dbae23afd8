"""Who may watch events arrive: who has the token, another site's page never."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from services.ingest.live.access import Access

TOKEN = SecretStr("0123456789abcdef")
HERE = {"host": "127.0.0.1:8080"}
BEARER = {"authorization": f"Bearer {TOKEN.get_secret_value()}"}


@pytest.mark.parametrize("headers", [{}, {"host": "localhost"}, {"authorization": "Bearer "}, BEARER])
def test_without_a_token_nobody_may_watch(headers: dict[str, str]) -> None:
    """Not on the machine itself either: a proxy that speaks HTTP/1.1 and says nothing of itself looks the same."""
    denied = Access(None).denied(HERE | headers)

    assert denied is not None
    assert (denied.status, denied.code) == (403, "not_open")
    assert "TIDEMARK_INGEST_LIVE_TOKEN" in denied.detail


def test_with_a_token_who_has_it_may_watch_from_anywhere() -> None:
    access = Access(TOKEN)
    headers = {"host": "events.example", "x-forwarded-for": "203.0.113.7"}

    assert access.denied(headers | BEARER) is None
    for given in ("", "Bearer ", "Bearer wrong", f"Basic {TOKEN.get_secret_value()}"):
        denied = access.denied(headers | {"authorization": given})
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
def test_a_page_of_another_site_may_never_watch(headers: dict[str, str]) -> None:
    denied = Access(TOKEN).denied(HERE | BEARER | headers)

    assert denied is not None
    assert denied.code == "other_origin"


def test_the_page_itself_may_watch() -> None:
    headers = HERE | BEARER | {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}

    assert Access(TOKEN).denied(headers) is None


@pytest.mark.parametrize("headers", [{"origin": "http://["}, {"host": "[", "origin": "http://["}])
def test_an_origin_that_cannot_be_read_is_refused(headers: dict[str, str]) -> None:
    denied = Access(TOKEN).denied(HERE | BEARER | headers)

    assert denied is not None
    assert denied.status == 403
