"""One server and one browser for all pages."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from services.shared.http import serving
from tests.support.clients import CHROMIUM_OPTIONS, chromium
from tests.support.console import HOSTILE, app_over, filled


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address() -> AsyncIterator[str]:
    """Where the console is served, over accounts with hostile and with plain names."""
    store = await asyncio.to_thread(filled, ["acme", "globex", "initech", *HOSTILE])
    async with serving(app_over(store), "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium."""
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_OPTIONS))
        yield opened
        await opened.close()
