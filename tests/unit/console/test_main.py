"""The console's own process."""

from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.console import __main__ as console
from services.console.api_client import Apart
from services.console.app import console_app
from services.console.settings import ConsoleSettings
from services.shared.errors import Fatal
from services.shared.http.server import serving
from services.shared.settings import ProcessSettings, load
from services.warehouse.http.app import query_app
from services.warehouse.http.guard import Guard
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics


def test_the_api_is_named_on_the_command_line_or_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def run_service(name: str, argv: list[str], *_: object) -> int:
        given.append((name, argv))
        return 0

    monkeypatch.setattr(console, "run_service", run_service)
    monkeypatch.setenv("TIDEMARK_CONSOLE_API", "http://other.example")

    assert console.main(["--api", "https://tidemark.example/", "--check-config"]) == 0
    assert given == [("console", ["--check-config"])]
    assert load(ConsoleSettings).api == "https://tidemark.example"


async def test_without_an_api_it_does_not_start_and_says_what_to_set() -> None:
    with pytest.raises(Fatal, match="TIDEMARK_CONSOLE_API"):
        await console.run(load(ProcessSettings), ConsoleSettings())


async def test_over_an_api_without_tokens_no_cookie_and_nothing_typed_is_let_in() -> None:
    metrics = WarehouseMetrics(CollectorRegistry())
    api = Guard(query_app(MemoryStore, metrics), None, metrics)
    async with serving(api, "127.0.0.1", 0) as port:
        app = console_app(Apart(f"http://127.0.0.1:{port}"), ConsoleSettings(), is_open=False)
        transport = httpx.ASGITransport(app, client=("203.0.113.9", 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://console.example:8084") as client:
            page = await client.get("/portfolio", headers={"cookie": "tidemark_token=made-up"})
            entered = await client.post("/sign-in", data={"token": "anything"})

    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?again=1")
    assert (entered.status_code, entered.headers.get("set-cookie")) == (401, None)


@pytest.mark.parametrize(
    ("host", "settings", "open_"),
    [
        ("127.0.0.1", {}, True),
        ("0.0.0.0", {}, False),
        ("127.0.0.1", {"api_token": SecretStr("secret")}, False),
        ("127.0.0.1", {"user_header": "X-User", "trusted_proxies": "127.0.0.1"}, False),
    ],
)
def test_it_is_open_only_on_loopback_with_no_proxy_and_no_token(
    host: str, settings: dict[str, Any], open_: bool
) -> None:
    assert console.is_open(host, ConsoleSettings(**settings)) is open_
