"""One server and one browser for all pages."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from services.shared.http.server import serving
from services.warehouse.http.feed import Feed
from services.warehouse.memory.store import MemoryStore
from tests.support.clients import chromium_without_windows
from tests.support.console import HOSTILE, app_over, filled
from tests.support.pages import a_browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store() -> MemoryStore:
    """Accounts with hostile and with plain names."""
    return await asyncio.to_thread(filled, ["acme", "globex", "initech", *HOSTILE])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def feed(store: MemoryStore) -> Feed:
    """What streams tell."""
    return Feed(lambda: store)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(store: MemoryStore, feed: Feed) -> AsyncIterator[str]:
    """Where the console is served."""
    async with serving(app_over(store, feed=feed), "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"
        feed.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium."""
    async with a_browser(chromium_without_windows()) as opened:
        yield opened
