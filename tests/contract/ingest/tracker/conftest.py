"""A site whose pages carry the tracker, the ingest that they send to, and a Chromium that reads them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page
from prometheus_client import CollectorRegistry

from schemas import codec
from services.ingest.__main__ import application, server_options
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from services.ingest.write_keys.keys import WriteKey, WriteKeys
from services.shared.http.server import serving
from tests.support.clients import CHROMIUM_OPTIONS, chromium, chromium_without_windows
from tests.support.pages import a_browser
from tests.support.waiting import until

BUILT = Path(__file__).parents[4] / "services/ingest/tracker/t.js"
FLUSH_MS, SETTLE_MS = 100, 50
SETTINGS = IngestSettings()
_ANSWERED = """async () => !(await navigator.locks.query()).held.length
    && !Object.keys(localStorage).some(key => key.startsWith('tidemark:e'))"""
"""Whether a page has nothing queued and waits for no answer."""
PASSED = "window.passed = 1; performance.now = () => passed"
"""Script of a page whose time, in milliseconds, is what it says."""


@dataclass
class Request:
    """One request that a page made."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    at: float
    body: bytes = b""

    def ids(self) -> list[str]:
        """Return the ids of its events."""
        return [event["messageId"] for event in json.loads(self.body)["batch"]]


class Gateway:
    """Ingest as a page reaches it, over HTTP: what comes is kept, and may be answered by a failing proxy first."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.requests: list[Request] = []
        self.failures: list[tuple[int, dict[str, str]]] = []
        """Answers given instead of those of ingest, one a request."""
        self.open = asyncio.Event()
        """While it is not set, events wait for their answer."""
        self.open.set()

    def posts(self) -> list[Request]:
        """Return the requests with events."""
        return [request for request in self.requests if request.method == "POST"]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope["method"], scope["path"], dict(scope["headers"]), time.monotonic())
        self.requests.append(request)
        if request.method == "POST":
            await self.open.wait()

        async def read() -> Any:
            message = await receive()
            request.body += message.get("body", b"")
            return message

        if not self.failures or scope["method"] != "POST":
            await self._app(scope, read, send)
            return
        status, headers = self.failures.pop(0)
        while (await read()).get("more_body"):
            pass
        given = {"access-control-allow-origin": "*", "access-control-expose-headers": "Retry-After", **headers}
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            }
        )
        await send({"type": "http.response.body", "body": b""})


@dataclass
class Site:
    """Pages of a customer's application; each is served at its path."""

    ingest: str
    url: str = ""
    pages: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)

    def page(self, path: str, body: str = "", *, head: str = "", headers: Any = None, **options: Any) -> str:
        """Add a page with ingest's tracker in it; return its address. A `None` leaves an option out."""
        given = {"key": "wk", "flush": FLUSH_MS, "settle": SETTLE_MS, **options}
        source = given.pop("src", self.ingest + "/t.js")
        attributes = " ".join(f'data-{name}="{value}"' for name, value in given.items() if value is not None)
        return self.plain(path, f"{head}<script defer src={source} {attributes}></script>{body}", headers)

    def plain(self, path: str, text: str, headers: dict[str, str] | None = None) -> str:
        """Add a page as it is; return its address."""
        title = path.strip("/") or "home"
        self.pages[path] = (f"<!doctype html><title>{title}</title>{text}", headers or {})
        return self.url + path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/t.js":
            body, kind, headers = BUILT.read_bytes(), "text/javascript", dict[str, str]()
        else:
            text, headers = self.pages.get(scope["path"], ("", {}))
            body, kind = text.encode(), "text/html; charset=utf-8"
        given = {"content-type": kind, "content-length": str(len(body)), **headers}
        pairs = [(name.encode(), value.encode()) for name, value in given.items()]
        await send({"type": "http.response.start", "status": 200, "headers": pairs})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Tracking:
    """What a test of the tracker needs."""

    site: Site
    gateway: Gateway
    log: MemoryEventLog
    browser: Browser
    context: BrowserContext
    problems: list[str]
    """Errors and warnings that pages wrote to their consoles."""

    async def open(self, address: str) -> Page:
        """Open a page in a new tab."""
        page = await self.context.new_page()
        page.on("console", lambda message: self.problems.append(message.text) if message.type == "warning" else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        await page.goto(address)
        return page

    async def open_from(self, page: Page, address: str) -> Page:
        """
        Let a page open another one in a new tab. The two share a process, and so what they store.

        A tab in another process sees later what was stored or deleted, and may send again what was sent: by the same id.
        """
        async with page.expect_popup() as opened:
            await page.evaluate("address => void open(address)", address)
        other = await opened.value
        await other.wait_for_load_state()
        return other

    async def until_answered(self, page: Page) -> None:
        """Wait until a page has the answers to all that it sent: what came is in the log some time before."""
        await until(lambda: page.evaluate(_ANSWERED), 20)

    def events(self) -> list[dict[str, Any]]:
        """
        Return what came, in its order, each event once: a repeated id counts once, as it does downstream.

        Each is put together from what the log keeps long and what it keeps for some weeks: `user` is the id as it was
        sent, and the members that have no field of their own are there by name.
        """
        details = {record["event_id"]: record for record in self._records("event_details")}
        events = {}
        for event in self._records("usage_event"):
            more = details.get(
                event["event_id"], {"properties": "{}", "extra": "{}", "user_id": "", "anonymous_id": ""}
            )
            events[event["event_id"]] = {
                **json.loads(more["extra"]),
                **event,
                "user": more["user_id"] or more["anonymous_id"],
                "anonymousId": more["anonymous_id"],
                "properties": {**json.loads(more["properties"]), **json.loads(event["properties"])},
            }
        return sorted(events.values(), key=lambda event: event["event_id"])

    def copies(self) -> Counter[str]:
        """Return how often each event id came."""
        return Counter(event["event_id"] for event in self._records("usage_event"))

    def _records(self, kind: str) -> list[dict[str, Any]]:
        decoded = (codec.decode(record.value) for records in self.log.records.values() for record in records)
        return [record for found, record in decoded if found == kind]

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return the track events of a name."""
        return [event for event in self.events() if event["name"] == name]

    def paths(self) -> list[str]:
        """Return the paths of the page views."""
        return [event["properties"]["path"] for event in self.events() if event["kind"] == "PAGE"]

    async def until_paths(self, *paths: str) -> None:
        """Wait until the page views are these."""
        await until(lambda: self.paths() == [*paths], 20, lambda: f"{self.paths()}, not {[*paths]}")

    async def until_named(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until there are so many track events of a name; return them."""
        await until(lambda: len(self.named(name)) == count, 20, lambda: f"{len(self.named(name))} of {name}")
        return self.named(name)

    async def focus(self, page: Page) -> None:
        """Let a page have the real focus of its window, in place of the one that a driven page always has."""
        session = await self.context.new_cdp_session(page)
        await session.send("Emulation.setFocusEmulationEnabled", {"enabled": False})


class Served:
    """An application on a port, which names the port and so is made once it is known."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all modules but the one that says otherwise."""
    async with a_browser(chromium_without_windows()) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def tracking(browser: Browser) -> AsyncIterator[Tracking]:
    """
    What one test needs, on ports of its own.

    A page sends what has no answer once more as it is closed, and that may come late: to a server that is gone, not to
    the next test.
    """
    log = MemoryEventLog()
    ingest, pages = Served(), Served()
    async with (
        serving(ingest, "127.0.0.1", 0, **server_options(SETTINGS)) as ingest_port,
        serving(pages, "127.0.0.1", 0) as pages_port,
    ):
        site = pages.app = Site(f"http://127.0.0.1:{ingest_port}", f"http://127.0.0.1:{pages_port}")
        keys = WriteKeys({"wk": WriteKey("", "web", client="browser", origins=(site.url,))})
        gateway = ingest.app = Gateway(application(log, keys, IngestMetrics(CollectorRegistry()), SETTINGS))
        context = await browser.new_context()
        context.set_default_timeout(20_000)
        # On a busy machine a second passes on any page, which says so as it is left.
        await context.add_init_script(PASSED)
        try:
            yield Tracking(site, gateway, log, browser, context, [])
        finally:
            gateway.open.set()
            await context.close()


@pytest.fixture
def unattended(tmp_path: Path) -> Any:
    """Return a context in which a Chromium that nothing drives reads a page."""
    executable = chromium()

    @asynccontextmanager
    async def reading(address: str) -> AsyncIterator[None]:
        options = (*CHROMIUM_OPTIONS, "--disable-popup-blocking", f"--user-data-dir={tmp_path / 'profile'}")
        # It leaves the folder of its socket behind, whose path may have a hundred letters at most.
        with TemporaryDirectory(prefix="tidemark-chromium-") as folder:
            process = await asyncio.create_subprocess_exec(
                executable,
                *options,
                address,
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, "TMPDIR": folder},
            )
            try:
                yield
            finally:
                process.terminate()
                await process.wait()

    return reading
