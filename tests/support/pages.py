"""Pages in a real Chromium, each of an origin of its own, on hosts that the browser itself resolves to this machine."""

from __future__ import annotations

import asyncio
import mimetypes
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from playwright.async_api import Browser, Page, Playwright, async_playwright

from tests.support import clients


@asynccontextmanager
async def a_browser(executable: str) -> AsyncIterator[Browser]:
    """Open a Chromium. It keeps pages to go back to, which Playwright would forbid."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable,
            args=list(clients.CHROMIUM_OPTIONS),
            ignore_default_args=["--disable-back-forward-cache"],
        )
        try:
            yield browser
        finally:
            await browser.close()


class Pages:
    """A browser and a server of pages; each page has cookies and storage of its own, and stays open to the end."""

    def __init__(self) -> None:
        self._files: dict[str, Mapping[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._starting = asyncio.Lock()
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self.said: dict[str, list[str]] = {}
        """By name of the page: its errors, and what it wrote to the console."""

    async def close(self) -> None:
        """Close the browser, and with it all pages."""
        if self._browser is not None:
            await self._browser.close()
            self._server.shutdown()
        if self._playwright is not None:
            await self._playwright.stop()
        self._server.server_close()

    async def open(self, name: str, files: Mapping[str, str]) -> Page:
        """
        Open `http://<name>.localhost/`, and return the page once it has loaded.

        Args:
            name: a new one for each page.
            files: path -> content; every path that is not among them is the page itself, `/`.
        """
        browser = await self._started()
        self._files[name] = files
        said = self.said[name] = []
        page = await (await browser.new_context()).new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("requestfailed", lambda request: said.append(f"{request.method} {request.url}: {request.failure}"))
        await page.goto(f"http://{name}.localhost:{self._server.server_port}/")
        return page

    async def _started(self) -> Browser:
        async with self._starting:
            if self._browser is None:
                self._playwright = await async_playwright().start()
                self._browser = await self._playwright.chromium.launch(
                    executable_path=clients.chromium_without_windows(), args=list(clients.CHROMIUM_OPTIONS)
                )
                threading.Thread(target=self._server.serve_forever, daemon=True).start()
            return self._browser

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pages = self._files

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                files = pages[self.headers["Host"].partition(".")[0]]
                path = self.path.partition("?")[0]
                kind = mimetypes.guess_type(path)[0] if path in files else None
                body = files.get(path, files["/"]).encode()
                self.send_response(200)
                self.send_header("Content-Type", f"{kind or 'text/html'}; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
