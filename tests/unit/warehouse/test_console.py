"""The warehouse's process serves the console beside the API: who is let in, and by what."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr
from starlette.testclient import TestClient

from services.cli.local import query_tokens
from services.console.settings import ConsoleSettings
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings, load
from services.warehouse.__main__ import Warehouse
from services.warehouse.memory.store import MemoryStore
from services.warehouse.settings import RetentionSettings, WarehouseSettings

COOKIE = {"cookie": "tidemark_token=made-up"}


def client_of(
    host: str = "127.0.0.1", console: ConsoleSettings | None = None, store: MemoryStore | None = None, **settings: Any
) -> TestClient:
    process = load(ProcessSettings, http_host=host)
    warehouse = Warehouse(
        load(KafkaSettings),
        process,
        load(WarehouseSettings, **settings),
        load(RetentionSettings),
        console or ConsoleSettings(),
    )
    warehouse._store = store  # type: ignore[assignment]
    return TestClient(warehouse.application(), base_url="http://127.0.0.1:8081", follow_redirects=False)


def test_on_loopback_the_console_is_at_the_root_and_says_that_the_store_is_not_open() -> None:
    client = client_of()

    page = client.get("/")

    assert page.status_code == 503
    assert "Nothing is lost" in page.text
    assert "require-trusted-types-for 'script'" in page.headers["content-security-policy"]
    assert client.get("/portfolio", headers={"host": "evil.example"}).headers["location"] == "/sign-in"
    assert client.get("/v1/today").headers["content-type"] == "application/problem+json"
    assert client.get("/readyz").json()["ready"] is False
    assert client.get("/subjects").status_code == 200


def test_with_tokens_the_console_asks_for_one_and_the_api_judges_it(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    token = query_tokens.add(file, "Nora Lindt")
    client = client_of(query_tokens_file=file)

    assert client.get("/").headers["location"] == "/sign-in"
    assert client.post("/sign-in", data={"token": "wrong"}).status_code == 401
    assert client.post("/sign-in", data={"token": token}).status_code == 503  # whoami waits for the store too


def test_with_a_proxy_to_sign_people_in_the_console_is_not_open_even_on_loopback() -> None:
    proxied = ConsoleSettings(user_header="X-User", trusted_proxies="10.0.0.0/8")
    client = client_of(console=proxied)

    assert client.get("/").headers["location"] == "/sign-in"
    assert client.get("/", headers={"x-user": "Nora Lindt"}).headers["location"] == "/sign-in"


def test_without_tokens_a_made_up_cookie_gets_no_page_of_a_foreign_host() -> None:
    client = client_of(store=MemoryStore())
    foreign = {**COOKIE, "host": "evil.example:8081"}

    assert client.get("/live", headers=foreign).status_code == 401
    for path in ("/", "/portfolio", "/ingest", "/right"):
        answer = client.get(path, headers=foreign)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?again=1"), path
    recorded = client.post(
        "/accounts/acme", data={"kind": "note"}, headers={**foreign, "sec-fetch-site": "same-origin"}
    )
    assert recorded.headers["location"] == "/sign-in?again=1"


def test_behind_a_proxy_without_tokens_nothing_that_is_typed_signs_anybody_in() -> None:
    proxied = ConsoleSettings(user_header="X-User", trusted_proxies="10.0.0.0/8")
    client = client_of(console=proxied, store=MemoryStore())

    entered = client.post("/sign-in", data={"token": "anything"})

    assert (entered.status_code, entered.headers.get("set-cookie")) == (401, None)
    assert client.get("/", headers=COOKIE).headers["location"] == "/sign-in?again=1"


def test_a_token_for_a_console_apart_does_not_lock_out_whom_a_proxy_names() -> None:
    proxied = ConsoleSettings(user_header="X-User", trusted_proxies="127.0.0.1", api_token=SecretStr("secret"))
    app = client_of(console=proxied, store=MemoryStore()).app
    client = TestClient(app, base_url="http://127.0.0.1:8081", follow_redirects=False, client=("127.0.0.1", 5000))

    assert client.get("/", headers={"x-user": "Nora Lindt"}).status_code == 200
