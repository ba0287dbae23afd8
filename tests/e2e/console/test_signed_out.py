"""Pages that are left open in a real Chromium while their reader signs out, or the token runs out: they lead to the sign-in."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from prometheus_client import CollectorRegistry

from services.console.api_client import InProcess
from services.console.app import console_app
from services.console.settings import ConsoleSettings
from services.shared.http.server import serving
from services.warehouse.http.app import query_app
from services.warehouse.http.feed import Feed
from services.warehouse.http.guard import Guard
from services.warehouse.http.tokens import Tokens
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from tests.e2e.console.test_pages import opened

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

TOKEN = "tq_0123456789abcdef0123456789abcdef"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(store: MemoryStore, feed: Feed, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where a console is served that lets nobody in without a token."""
    file: Path = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
    file.write_text(f"- token_sha256: {hashlib.sha256(TOKEN.encode()).hexdigest()}\n  name: Nora Lindt\n")
    file.chmod(0o600)
    metrics = WarehouseMetrics(CollectorRegistry())
    api = query_app(lambda: store, metrics, feed=feed)
    settings = ConsoleSettings(ingest="http://127.0.0.1:9", write_key="wk_console")  # forms are shown; none is sent
    app = console_app(InProcess(api, Guard(api, Tokens(file), metrics)), settings, is_open=False)
    async with serving(app, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"
        feed.close()


@pytest.mark.parametrize("path", ["/ingest", "/accounts/globex#events", "/"])
async def test_a_page_that_is_left_open_leads_to_the_sign_in_once_its_reader_is_out(
    guarded: str, browser: Browser, path: str
) -> None:
    async with opened(browser) as (page, _):
        await page.context.request.post(f"{guarded}/sign-in", form={"token": TOKEN})
        await page.goto(guarded + path)
        assert await page.locator("h1").count() == 1
        assert "/sign-in" not in page.url
        await page.context.clear_cookies()
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # a stream begins anew

        await page.wait_for_url(f"{guarded}/sign-in", timeout=15_000)
        assert await page.get_by_label("Token").is_visible()


@pytest.mark.parametrize("is_refused", [False, True])
async def test_what_somebody_writes_stays_where_it_is_while_they_sign_in_again(
    guarded: str, browser: Browser, *, is_refused: bool
) -> None:
    async with opened(browser) as (page, _):
        await page.context.request.post(f"{guarded}/sign-in", form={"token": TOKEN})
        await page.goto(f"{guarded}/accounts/globex")
        await page.locator("details.record", has_text="Note").locator("summary").click()
        note = page.locator("textarea[name=text]:visible")
        await note.fill("They are moving offices until March")
        if is_refused:
            await page.get_by_role("button", name="Record", exact=True).locator("visible=true").click()
            await page.get_by_role("alert").wait_for()
        await page.context.clear_cookies()
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # a stream begins anew

        told = page.get_by_role("status").filter(has_text="You are not signed in any more")
        await told.wait_for(timeout=15_000)
        assert "/sign-in" not in page.url
        async with page.context.expect_page() as opening:
            await told.get_by_role("link", name="Sign in").click()
        other = await opening.value
        await other.get_by_label("Token").fill(TOKEN)
        await other.get_by_role("button", name="Sign in").click()
        await other.wait_for_url(f"{guarded}/")

        await page.bring_to_front()
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await told.wait_for(state="hidden", timeout=15_000)
        assert await note.input_value() == "They are moving offices until March"
