"""The live stream of a console apart from its API: it ends with its reader, and takes nothing from the pages."""

import asyncio
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from services.console.api_client import Apart
from services.console.app import console_app
from services.console.settings import ConsoleSettings
from services.shared.http.server import serving
from tests.support.waiting import until


class Endless:
    """An API whose streams never end; it counts those that are open."""

    def __init__(self) -> None:
        self.open = 0
        self.app = Starlette(routes=[Route("/v1/stream", self._answer)])

    async def _answer(self, _: Request) -> StreamingResponse:
        return StreamingResponse(self._parts(), media_type="text/event-stream")

    async def _parts(self) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            yield b"event: ready\ndata: {}\n\n"
            await asyncio.Event().wait()
        finally:
            self.open -= 1


async def test_a_stream_of_the_api_ends_when_its_reader_leaves() -> None:
    api = Endless()
    async with serving(api.app, "127.0.0.1", 0) as port:
        upstream = Apart(f"http://127.0.0.1:{port}")
        app = console_app(upstream, ConsoleSettings(), is_open=True)
        async with upstream.client, upstream.streams, serving(app, "127.0.0.1", 0) as own_port:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{own_port}") as browser:
                for _ in range(3):
                    async with browser.stream("GET", "/live") as answer:
                        assert answer.headers["content-type"].startswith("text/event-stream")
                        assert await anext(answer.aiter_lines()) == "event: ready"
            await until(lambda: api.open == 0)


async def test_a_proxy_before_the_api_that_packs_answers_leaves_a_stream_readable() -> None:
    api = Starlette(
        routes=[Route("/v1/stream", lambda _: PlainTextResponse("event: ready\n" * 100))],
        middleware=[Middleware(GZipMiddleware, minimum_size=1)],
    )
    async with serving(api, "127.0.0.1", 0) as port:
        upstream = Apart(f"http://127.0.0.1:{port}")
        app = console_app(upstream, ConsoleSettings(), is_open=True)
        async with (
            upstream.client,
            upstream.streams,
            serving(app, "127.0.0.1", 0) as own,
            httpx.AsyncClient() as browser,
        ):
            answer = await browser.get(f"http://127.0.0.1:{own}/live")

    assert answer.text.startswith("event: ready\n")


async def test_where_the_api_does_not_answer_the_stream_says_to_come_back() -> None:
    upstream = Apart("http://127.0.0.1:9")
    app = console_app(upstream, ConsoleSettings(), is_open=True)
    async with upstream.client, upstream.streams, serving(app, "127.0.0.1", 0) as port, httpx.AsyncClient() as browser:
        answer = await browser.get(f"http://127.0.0.1:{port}/live")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
