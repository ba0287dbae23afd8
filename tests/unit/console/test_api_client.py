"""What the console makes of a query API that is slow, is something else, or is asked for what no address can say."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.console import api_client
from services.console.api_client import Apart, InProcess
from services.console.app import console_app
from services.console.settings import ConsoleSettings
from tests.support.console import app_over, filled
from tests.unit.console.test_pages import PAGES, Found, client_of


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>Sign in</html>"),
        (200, b"[]"),
        (200, b'{"a":"\xff"}'),
        (404, b"[]"),
        (502, b'{"error":"Bad Gateway"}'),
    ],
)
async def test_something_else_in_place_of_the_api_is_said_and_no_error_of_the_console(status: int, body: bytes) -> None:
    async def other(_: Request) -> Response:
        return Response(body, status)

    upstream = InProcess(Starlette(routes=[Route("/{path:path}", other)]))
    async with client_of(console_app(upstream, ConsoleSettings(), is_open=True)) as client:
        answers = [await client.get(path) for path in (*PAGES, "/right")]

    assert {each.status_code for each in answers} == {404 if status == 404 else 503}


async def test_an_api_that_never_answers_is_waited_for_no_longer_than_a_reader_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(_: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(api_client, "ANSWER_WITHIN_S", 0.01)
    upstream = InProcess(Starlette(routes=[Route("/{path:path}", never)]))
    async with client_of(console_app(upstream, ConsoleSettings(), is_open=True)) as client:
        answer = await asyncio.wait_for(client.get("/portfolio"), 30)

    assert answer.status_code == 503
    assert "does not answer: not within" in answer.text


@pytest.mark.parametrize("address", ["/accounts/" + "!" * 30_000, "/accounts?id=" + "(" * 30_000])
async def test_an_id_that_is_longer_than_any_address_is_no_error_of_the_console(address: str) -> None:
    async with client_of(app_over(filled(["acme"]))) as client:
        answer = await client.get(address)

    assert answer.status_code == 400
    assert "too long" in answer.text


async def test_while_the_api_is_away_nothing_leads_to_another_host_that_the_path_names() -> None:
    app = console_app(Apart("http://127.0.0.1:1"), ConsoleSettings(), is_open=False)
    async with client_of(app, cookies={"tidemark_token": "t"}) as client:
        page = Found((await client.get("http://127.0.0.1:8081//evil.example/")).text)

    assert "/evil.example/" in {each.get("href") for each in page.all("a")}
    assert [each["href"] for each in page.all("a") if (each.get("href") or "").startswith("//")] == []


async def test_pages_that_are_opened_at_once_wait_for_their_turn() -> None:
    """As by somebody who opens each account of a list in a tab of its own."""
    names = [f"a{number}" for number in range(12)]
    async with client_of(app_over(filled(names))) as client:
        answers = await asyncio.gather(*(client.get(f"/accounts/{name}") for name in names))

    assert {each.status_code for each in answers} == {200}
