"""Signing in with tokens of the API, judged by the API's own guard."""

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.console.api_client import InProcess
from services.console.app import console_app
from services.console.holders import Holders
from services.console.identity import Identity
from services.console.settings import ConsoleSettings
from services.warehouse.http.app import query_app
from services.warehouse.http.guard import Guard
from services.warehouse.http.tokens import Tokens
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from tests.support.console import filled

TOKEN = "tq_0123456789abcdef0123456789abcdef"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.yaml"
    path.write_text(f"- token_sha256: {hashlib.sha256(TOKEN.encode()).hexdigest()}\n  name: Nora Lindt\n")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return filled(["acme"])


@pytest.fixture
def upstream(file: Path, store: MemoryStore) -> InProcess:
    metrics = WarehouseMetrics(CollectorRegistry())
    api = query_app(lambda: store, metrics)
    return InProcess(api, Guard(api, Tokens(file), metrics))


def client_of(upstream: InProcess, **settings: Any) -> httpx.AsyncClient:
    app = console_app(upstream, ConsoleSettings(**settings), is_open=False)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8081")


async def test_a_token_is_exchanged_once_for_a_cookie_that_scripts_cannot_read(upstream: InProcess) -> None:
    async with client_of(upstream) as client:
        entered = await client.post("/sign-in", data={"token": f" {TOKEN} "})
        page = await client.get("/portfolio")

    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert page.status_code == 200
    assert "acme" in page.text
    assert "Signed in as Nora Lindt." in page.text
    assert TOKEN not in page.text


async def test_behind_tls_of_a_proxy_that_says_nothing_the_cookie_is_sent_over_tls_only(upstream: InProcess) -> None:
    async with client_of(upstream) as client:
        headers = {"origin": "https://127.0.0.1:8081"}
        over_tls = await client.post("/sign-in", data={"token": TOKEN}, headers=headers)
        plain = await client.post("/sign-in", data={"token": TOKEN})

    assert "Secure" in over_tls.headers["set-cookie"]
    assert "Secure" not in plain.headers["set-cookie"]


@pytest.mark.parametrize("token", ["wrong", "", "ü", "x" * 10_000, "a\nb", "Bearer " + TOKEN])
async def test_what_is_no_token_lets_nobody_in(upstream: InProcess, token: str) -> None:
    async with client_of(upstream) as client:
        entered = await client.post("/sign-in", data={"token": token})
        page = await client.get("/portfolio")

    assert entered.status_code in {400, 401}
    assert "No such token is in use" in entered.text
    assert page.headers["location"] == "/sign-in"


async def test_a_token_that_is_revoked_meanwhile_leads_back_to_the_sign_in(file: Path, upstream: InProcess) -> None:
    async with client_of(upstream) as client:
        client.cookies.set("tidemark_token", "revoked")
        for path, headers in (("/ingest", {"hx-request": "true"}), ("/live", {})):
            asked = await client.get(path, headers=headers)
            assert (asked.status_code, "set-cookie" in asked.headers) == (401, False)
        answer = await client.get("/")
        page = await client.get(answer.headers["location"])

    assert answer.headers["location"] == "/sign-in?again=1"
    assert 'tidemark_token=""' in answer.headers["set-cookie"]
    assert "not accepted any more" in page.text


async def test_a_token_that_is_revoked_a_moment_ago_leads_to_the_sign_in_on_every_page(
    file: Path, store: MemoryStore
) -> None:
    now = [0.0]
    metrics = WarehouseMetrics(CollectorRegistry())
    api = query_app(lambda: store, metrics)
    upstream = InProcess(api, Guard(api, Tokens(file, clock=lambda: now[0]), metrics))
    async with client_of(upstream) as client:
        await client.post("/sign-in", data={"token": TOKEN})
        assert (await client.get("/portfolio")).status_code == 200
        file.write_text("[]")
        now[0] += 60
        page = await client.get("/portfolio")
        part = await client.get("/portfolio", headers={"hx-request": "true", "cookie": f"tidemark_token={TOKEN}"})

    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?again=1")
    assert part.status_code == 401


async def test_a_token_of_the_console_that_is_revoked_sends_nobody_to_sign_in(store: MemoryStore, file: Path) -> None:
    metrics = WarehouseMetrics(CollectorRegistry())
    api = query_app(lambda: store, metrics)
    settings = ConsoleSettings.model_validate(
        {"api_token": "revoked", "user_header": "x-user", "trusted_proxies": "127.0.0.1"}
    )
    app = console_app(InProcess(api, Guard(api, Tokens(file), metrics)), settings, is_open=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8081") as client:
        page = await client.get("/portfolio?q=acme", headers={"x-user": "Nora Lindt"})

    assert page.status_code == 401
    assert "does not accept the token of this console" in page.text
    assert 'href="/portfolio?q=acme">Try again' in page.text


async def test_who_signs_out_is_out(upstream: InProcess) -> None:
    async with client_of(upstream) as client:
        await client.post("/sign-in", data={"token": TOKEN})
        await client.post("/sign-out")
        answer = await client.get("/")

    assert answer.headers["location"] == "/sign-in"


async def test_a_form_of_another_site_signs_nobody_in_or_out(upstream: InProcess) -> None:
    async with client_of(upstream) as client:
        for path in ("/sign-in", "/sign-out"):
            answer = await client.post(path, data={"token": TOKEN}, headers={"origin": "http://evil.example"})
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


async def test_who_leaves_amid_the_form_is_no_error(upstream: InProcess) -> None:
    """Anybody may, and each error would be a traceback in the log."""
    app = console_app(upstream, ConsoleSettings(), is_open=False)
    said = [{"type": "http.request", "body": b"to", "more_body": True}, {"type": "http.disconnect"}]
    scope = {"type": "http", "method": "POST", "path": "/sign-in", "query_string": b"", "headers": [(b"host", b"x")]}

    async def receive() -> Any:
        return said.pop(0) if len(said) > 1 else said[0]

    async def send(_: Any) -> None:
        """Tell nobody."""

    await app(scope, receive, send)


async def test_whom_a_trusted_proxy_names_reads_without_a_token_of_their_own(upstream: InProcess) -> None:
    settings = {"user_header": "X-User", "trusted_proxies": "127.0.0.0/8"}
    async with client_of(upstream, **settings) as client:
        page = await client.get("/", headers={"x-user": "Peter Osei"})
        mine = await client.get("/?mine=1", headers={"x-user": "Peter Osei"})

    assert "Signed in as Peter Osei." in page.text
    assert mine.status_code == 200
    assert "No account has the owner “Peter Osei”." in mine.text


async def test_the_name_of_a_token_is_asked_for_again_after_a_minute(upstream: InProcess, file: Path) -> None:
    now = 0.0
    holders = Holders(upstream, lambda: now)

    assert await holders.name_of(TOKEN) == "Nora Lindt"
    found = await holders.named(Identity("", "token", TOKEN, "Peter Osei"))
    assert (found.name, found.owner) == ("Nora Lindt", "Peter Osei")
    assert len(holders._known) == 1
    assert TOKEN not in str(holders._known)
