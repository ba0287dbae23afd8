"""Who is let in, and under which name."""

from typing import Any

import pytest
from pydantic import SecretStr
from starlette.requests import Request

from services.console.identity import identify, on_loopback, over_tls, same_site
from services.console.settings import ConsoleSettings
from services.shared.errors import ConfigurationError
from services.shared.settings import load

OPEN = ConsoleSettings()
PROXIED = ConsoleSettings(
    user_header="X-Forwarded-User",
    trusted_proxies="10.0.0.0/8, 192.0.2.7",
    api_token=SecretStr("secret"),
)


def request(client: str = "127.0.0.1", scheme: str = "http", **headers: str) -> Request:
    given = {"host": "127.0.0.1:8081", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope: dict[str, Any] = {
        "type": "http",
        "scheme": scheme,
        "path": "/",
        "query_string": b"",
        "server": ("127.0.0.1", 8081),
        "client": (client, 5000),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
    }
    return Request(scope)


def test_on_loopback_everybody_is_let_in_who_is_on_this_machine() -> None:
    found = identify(request(), OPEN, is_open=True)

    assert found is not None
    assert (found.how, found.name, found.token) == ("open", "", None)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": ""},
        {"x_forwarded_for": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
        {"via": "1.1 proxy"},
    ],
)
def test_who_comes_from_elsewhere_to_an_open_console_is_not_let_in(headers: dict[str, str]) -> None:
    """By a name that was made to resolve to this machine, or through a proxy in front of it."""
    assert identify(request(**headers), OPEN, is_open=True) is None


@pytest.mark.parametrize("host", ["localhost:8081", "127.0.0.1", "[::1]:8081", "LOCALHOST"])
def test_an_open_console_is_reached_by_every_name_of_this_machine(host: str) -> None:
    assert identify(request(host=host), OPEN, is_open=True) is not None


def test_beyond_loopback_nobody_is_let_in_without_signing_in() -> None:
    assert identify(request(), OPEN, is_open=False) is None


def test_a_trusted_proxy_names_the_reader() -> None:
    found = identify(request("10.1.2.3", x_forwarded_user="Nora Lindt"), PROXIED, is_open=False)

    assert found is not None
    assert (found.how, found.name, found.owner, found.token) == ("proxy", "Nora Lindt", "Nora Lindt", "secret")


def test_a_trusted_proxy_is_known_by_its_address_in_the_form_of_version_6() -> None:
    found = identify(request("::ffff:10.1.2.3", x_forwarded_user="Nora Lindt"), PROXIED, is_open=False)

    assert found is not None
    assert found.how == "proxy"
    assert identify(request("::ffff:203.0.113.9", x_forwarded_user="Nora Lindt"), PROXIED, is_open=False) is None


@pytest.mark.parametrize("client", ["203.0.113.9", "192.0.2.8", "not an address"])
def test_the_header_of_anybody_else_is_not_believed(client: str) -> None:
    assert identify(request(client, x_forwarded_user="Nora Lindt"), PROXIED, is_open=False) is None


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_name_with_accents_is_read_in_the_encoding_in_which_the_proxy_sends_it(encoding: str) -> None:
    sent = "João Conceição".encode(encoding).decode("latin-1")
    found = identify(request("10.1.2.3", x_forwarded_user=sent), PROXIED, is_open=False)

    assert found is not None
    assert (found.name, found.owner) == ("João Conceição", "João Conceição")


def test_a_proxy_that_names_nobody_lets_nobody_in() -> None:
    assert identify(request("10.1.2.3", x_forwarded_user="  "), PROXIED, is_open=False) is None


def test_a_proxy_that_adds_its_header_to_that_of_a_browser_lets_nobody_in() -> None:
    forged = request("10.1.2.3", x_forwarded_user="Somebody Else")
    forged.scope["headers"].append((b"x-forwarded-user", b"Nora Lindt"))

    assert identify(forged, PROXIED, is_open=False) is None


def test_a_cookie_with_a_token_is_asked_for_with_it() -> None:
    found = identify(request(cookie="tidemark_token=tok; tidemark_me=Nora%20L%C3%AFndt"), OPEN, is_open=False)

    assert found is not None
    assert (found.how, found.token, found.owner) == ("token", "tok", "Nora Lïndt")


@pytest.mark.parametrize("token", ["\xe9", "x" * 513, ""])
def test_a_cookie_that_no_header_could_carry_is_no_token(token: str) -> None:
    assert identify(request(cookie=f"tidemark_token={token}"), OPEN, is_open=False) is None


def test_forms_of_other_sites_are_told_apart() -> None:
    assert same_site(request(sec_fetch_site="same-origin"))
    assert not same_site(request(sec_fetch_site="cross-site"))
    assert not same_site(request(sec_fetch_site="same-site"))
    assert same_site(request(origin="http://127.0.0.1:8081"))
    assert not same_site(request(origin="http://evil.example"))
    assert not same_site(request(origin="null"))


def test_only_a_trusted_proxy_says_that_the_browser_speaks_tls() -> None:
    assert over_tls(request(scheme="https"), OPEN)
    assert over_tls(request("10.0.0.1", x_forwarded_proto="https"), PROXIED)
    assert not over_tls(request("203.0.113.9", x_forwarded_proto="https"), PROXIED)
    assert not over_tls(request(), PROXIED)


def test_a_form_from_a_page_over_tls_says_that_the_browser_speaks_it() -> None:
    assert over_tls(request(origin="https://tidemark.example"), OPEN)
    assert not over_tls(request(origin="http://tidemark.example"), OPEN)


@pytest.mark.parametrize(("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("", False)])
def test_loopback_is_told_by_the_address_to_listen_on(host: str, loopback: bool) -> None:
    assert on_loopback(host) is loopback


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"TIDEMARK_CONSOLE_USER_HEADER": "X-User"}, "TIDEMARK_CONSOLE_TRUSTED_PROXIES"),
        ({"TIDEMARK_CONSOLE_TRUSTED_PROXIES": "10.0.0.0/33"}, "TIDEMARK_CONSOLE_TRUSTED_PROXIES"),
        ({"TIDEMARK_CONSOLE_API": "tidemark.example"}, "TIDEMARK_CONSOLE_API"),
        ({"TIDEMARK_CONSOLE_API": "https:///v1"}, "TIDEMARK_CONSOLE_API"),
        ({"TIDEMARK_CONSOLE_INGEST": "http://[::1"}, "TIDEMARK_CONSOLE_INGEST"),
        ({"TIDEMARK_CONSOLE_INGEST": "http://127.0.0.1:80800"}, "TIDEMARK_CONSOLE_INGEST"),
        ({"TIDEMARK_CONSOLE_LANGUAGE": "de"}, "TIDEMARK_CONSOLE_LANGUAGE"),
        ({"TIDEMARK_CONSOLE_CURRENCY": "euro"}, "TIDEMARK_CONSOLE_CURRENCY"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=named):
        load(ConsoleSettings)
