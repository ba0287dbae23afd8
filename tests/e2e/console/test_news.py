"""What the stream tells in a real Chromium: it is taken up again after answers that are no stream, and misses nothing."""

import pytest
from playwright.async_api import Browser, Page, Route

from services.warehouse.http.feed import Feed
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import signal
from tests.e2e.console.test_pages import opened
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


async def test_news_are_taken_up_again_after_503_and_those_in_between_are_told(
    address: str, browser: Browser, feed: Feed, store: MemoryStore
) -> None:
    refused = 0

    async def first_refused(route: Route) -> None:
        nonlocal refused
        refused += 1
        await (route.fulfill(status=503, body="busy") if refused <= 2 else route.continue_())

    async with opened(browser) as (page, _):
        async with page.expect_response("**/live"):
            await page.goto(address)
        await until(lambda: _has_heard(page, feed, store), 20)
        told = await page.locator(".news a").inner_text()
        await page.route("**/live**", first_refused)
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await page.locator(".news-stopped").wait_for(state="visible")
        assert "Trying again" in await page.locator(".news-stopped").inner_text()
        missed = [signal(n, "acme", f"missed{n}", 1, "FIRING", historical=False) for n in (951, 952)]
        store.insert("signals", missed)
        feed.publish({"signals": missed})

        await page.locator(".news-stopped").wait_for(state="hidden", timeout=15_000)
        assert refused >= 3
        await until(lambda: _tells(page, _count(told) + 2), 10)


async def _has_heard(page: Page, feed: Feed, store: MemoryStore) -> bool:
    """Publish again until the page has told: the stream may have begun only now."""
    row = signal(950, "acme", "heard", 1, "FIRING", historical=False)
    store.insert("signals", [row])
    feed.publish({"signals": [row]})
    return await page.locator(".news").is_visible()


async def _tells(page: Page, count: int) -> bool:
    return _count(await page.locator(".news a").inner_text()) == count


def _count(told: str) -> int:
    return int("".join(filter(str.isdigit, told)))
